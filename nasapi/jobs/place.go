package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"evalnas/nasapi/jobs/gpu"
	"evalnas/nasapi/jobs/slurm"
)

// Place is where a batch's jobs run. The zero value is a slot of this machine. No result
// depends on it, so it is in no job's id: the same job may be tried here after it failed there.
type Place struct {
	Local Local          `json:"local,omitzero"` // where Slurm is nil
	Slurm *slurm.Options `json:"slurm,omitempty"`
}

// Local is what a job takes of this machine. The zero value is one slot. The names of a
// settings file are those of the JSON.
type Local struct {
	Cores int `json:"cores,omitempty" toml:"cores"` // whole slots of them are taken; 0: one slot
	GPUs  int `json:"gpus,omitempty" toml:"gpus"`   // beside the slots; only for work that can use them
	// Memory that it may use at most, such as "8G"; what is more than a slot's share takes
	// more slots. "" is the share of its slots.
	Memory string `json:"mem,omitempty" toml:"mem"`
	// Priority of the job among those of its study that wait: higher ones start first,
	// equals in the order in which they were submitted.
	Priority int `json:"priority,omitempty" toml:"priority"`
}

// ErrNoUseForGPUs says that GPUs were asked for by work that cannot use any.
var ErrNoUseForGPUs = errors.New("this work computes on processors only, so a GPU would stand idle: leave gpus out, give more cores instead")

// checkGPUs refuses GPUs for work that would not use them.
func (p Place) checkGPUs(usable bool) error {
	n, asked := p.Local.GPUs, fmt.Sprintf("gpus=%d", p.Local.GPUs)
	if o := p.Slurm; o != nil {
		n, asked = o.GPUs, fmt.Sprintf("gpus=%d", o.GPUs)
		if strings.HasPrefix(o.Gres, "gpu") {
			n, asked = 1, fmt.Sprintf("gres=%q", o.Gres)
		}
	}
	if n > 0 && !usable {
		return fmt.Errorf("%s: %w", asked, ErrNoUseForGPUs)
	}
	return nil
}

// Check says what is wrong with a place.
func (p Place) Check() error {
	if p.Slurm == nil {
		return p.Local.Check()
	}
	if p.Local != (Local{}) {
		return errors.New("a place is this machine or SLURM, not both")
	}
	if err := p.Slurm.Check(); err != nil {
		return fmt.Errorf("slurm: %w", err)
	}
	return nil
}

// Room is what a job has in a place. Slots and AtATime are 0 where SLURM gives it.
type Room struct {
	Threads int // to compute with
	Slots   int // of this machine
	AtATime int // such jobs that run on this machine together, were it free
	// Memory is what a job may have at most, in bytes; 0: nobody says.
	Memory int64
}

// Room is what each job has there.
func (p Place) Room() (Room, error) {
	if p.Slurm != nil {
		// SLURM knows more forms than this.
		bytes, _ := parseMemory(p.Slurm.Memory)
		return Room{Threads: max(1, p.Slurm.CPUs), Memory: bytes}, nil
	}
	host, err := HostSlots()
	if err != nil {
		return Room{}, err
	}
	n, err := host.Need(p.Local)
	if err != nil {
		return Room{}, err
	}
	bytes, err := p.Local.limit(int64(n) * host.Memory())
	return Room{Threads: n * host.Threads(), Slots: n, AtATime: host.N / n, Memory: bytes}, err
}

// Check says what this machine will never have.
func (l Local) Check() error {
	if l.Cores < 0 {
		return fmt.Errorf("cores is %d: give 1 or more, or leave it out for one slot", l.Cores)
	}
	if l.GPUs < 0 {
		return fmt.Errorf("gpus is %d: give 1 or more, or leave it out", l.GPUs)
	}
	slots, err := HostSlots()
	if err != nil {
		return err
	}
	if _, err := slots.Need(l); err != nil || l.GPUs == 0 {
		return err
	}
	_, err = offered(context.Background(), l.GPUs)
	return err
}

// gpuPatience is how long the driver may take to say what there is.
const gpuPatience = 20 * time.Second

// offered are this host's GPUs, at least n.
func offered(ctx context.Context, n int) ([]gpu.GPU, error) {
	ctx, stop := context.WithTimeout(ctx, gpuPatience)
	defer stop()
	all, err := gpu.Offer(ctx)
	if err == nil && len(all) < n {
		err = fmt.Errorf("gpus=%d: this machine offers %d: give at most as many, or on=slurm(gpus=%d)", n, len(all), n)
	}
	return all, err
}

var memoryForm = regexp.MustCompile(`^([1-9]\d{0,8})([MGT])B?$`)

// limit is how much memory a job may have that holds a share of the machine's; 0: as much as
// there is.
func (l Local) limit(share int64) (int64, error) {
	limit, err := parseMemory(l.Memory)
	if err != nil {
		return 0, err
	}
	if limit == 0 {
		limit = share
	}
	if limit < leastMemory { // a smaller share is no limit that anything could keep to
		return 0, nil
	}
	return limit, nil
}

// leastMemory is what a worker takes before it does anything.
const leastMemory = 256 << 20

// parseMemory is a size in bytes, 0 for none.
func parseMemory(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	parts := memoryForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf(`mem is %q: give a number with M, G or T, such as "8G"`, text)
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return 0, err
	}
	unit := map[string]int{"M": 20, "G": 30, "T": 40}[parts[2]]
	n = min(n, math.MaxInt64>>unit) << unit // no machine has more
	if n < leastMemory {
		return 0, fmt.Errorf("mem is %q: a worker needs %s to begin with", text, SizeText(leastMemory))
	}
	return n, nil
}

// setPlace keeps where the job is to run the next time that it starts.
func (j *Job) setPlace(p Place) error {
	if p == (Place{}) {
		return removeFile(j.disk, j.Paths.Place())
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	// Some file systems write to the disk at once what takes the place of a file.
	if old, err := os.ReadFile(j.Paths.Place()); err == nil && bytes.Equal(old, text) {
		return nil
	}
	return writeAtomic(j.disk, j.Paths.Place(), text, false)
}

// place is where the job is to run.
func (j *Job) place() (Place, error) {
	var p Place
	data, err := os.ReadFile(j.Paths.Place())
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return Place{}, fmt.Errorf("%s is damaged (%w): submit the job again to write it anew", j.Paths.Place(), err)
	}
	return p, p.Check() // the machine may have less than when it was submitted
}

// Queued is what SLURM last said of a job's task.
type Queued struct {
	Task   string `json:"task"` // its id, "12_3"
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Node   string `json:"node,omitempty"`
}

// queueStates is the file of them; Asked is when SLURM was asked.
type queueStates struct {
	Asked time.Time         `json:"asked"`
	Jobs  map[string]Queued `json:"jobs"`
	// Error is why SLURM could not be asked since then.
	Error string `json:"error,omitempty"`
}

// Queue is what SLURM last said of the study's jobs, by their ids, and what is wrong with
// asking it, "" if nothing is.
func (st *Study) Queue() (all map[string]Queued, trouble string) {
	data, err := os.ReadFile(st.Paths.QueueStates())
	if err != nil {
		return nil, ""
	}
	var f queueStates
	if json.Unmarshal(data, &f) != nil {
		return nil, "" // the runner writes it anew
	}
	return f.Jobs, f.Error
}
