package gpu

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// patience is how long nvidia-smi may take. It wakes GPUs that nobody uses one
// after the other, about two seconds each.
const patience = 20 * time.Second

// ask runs nvidia-smi. Where it tells of GPUs, its exit status does not count:
// it is not 0 if any GPU of the host ails.
func ask(ctx context.Context, program string, limit time.Duration) ([]GPU, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(limited, program, "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, trouble(fmt.Errorf("%s did not answer in %v", program, limit))
	}
	found := parse(out.String())
	said := strings.Join(strings.Fields(out.String()+" "+complaint.String()), " ")
	switch {
	case len(found) > 0 || strings.HasPrefix(said, "No devices"):
		return found, nil
	case err != nil:
		return nil, trouble(fmt.Errorf("%s failed (%w) and said %.300q", program, err, said))
	case said != "":
		return nil, trouble(fmt.Errorf("%s tells of no GPU; it said %.300q", program, said))
	}
	return nil, nil
}

// parse reads the lines "index, uuid, name, memory in MiB" of nvidia-smi and passes
// over all others: it prints warnings among them. It does not quote, so a comma
// may stand in a name. What it cannot tell stands in brackets: [N/A].
func parse(text string) []GPU {
	var found []GPU
	for line := range strings.Lines(text) {
		if g, ok := parseLine(line); ok {
			found = append(found, g)
		}
	}
	return found
}

func parseLine(line string) (g GPU, ok bool) {
	fields := strings.Split(line, ",")
	if len(fields) < 4 {
		return g, false
	}
	last := len(fields) - 1
	index, err := strconv.ParseUint(strings.TrimSpace(fields[0]), 10, 16)
	g = GPU{
		Index:  int(index),
		UUID:   strings.TrimSpace(fields[1]),
		Name:   strings.TrimSpace(strings.Join(fields[2:last], ",")),
		Memory: mebibytes(fields[last]),
	}
	if !strings.HasPrefix(g.UUID, "GPU-") {
		g.UUID = "" // some boards have none
	}
	// A GPU that fell off the bus answers every question with [GPU is lost].
	return g, err == nil && g.Name != "" && !strings.HasPrefix(g.Name, "[")
}

// mebibytes is 0 for what is no number.
func mebibytes(text string) int64 {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0
	}
	return int64(n) << 20
}
