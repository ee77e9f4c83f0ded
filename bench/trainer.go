package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"evalnas/nasapi"
	"evalnas/nasapi/child"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/space"
)

func init() {
	// An overhead of 0.6 s, a hundredth of a minute, on three seconds of work: 3 / 3.6.
	register(Benchmark{Name: "trainer-overhead", Unit: "s", Want: 0.83, Open: openTrainer})
}

const (
	// trainerSeconds is about how long the program works. It says in them what it would say
	// in a minute, so what a job costs beside the work is that of a minute's training.
	trainerSeconds  = 3.0
	trainerEpochs   = 60
	trainerProgress = 10 // messages an epoch
)

// serveTrainer is a program that trains nothing: it works for so many rounds, and says of it
// what a trainer says.
func serveTrainer(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("bench trainer ROUNDS")
	}
	rounds, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	line, err := bufio.NewReader(in).ReadBytes('\n')
	if err != nil {
		return err
	}
	var told struct{ Init struct{ Checkpoint string } }
	if err := json.Unmarshal(line, &told); err != nil {
		return err
	}
	fmt.Fprintln(out, `{"ready":{"protocol":1}}`)
	total := trainerEpochs * trainerProgress
	for step := 1; step <= total; step++ {
		hashRounds(rounds / total)
		fmt.Fprintf(out, "{\"progress\":{\"done\":%d,\"total\":%d}}\n", step, total)
		if step%trainerProgress > 0 {
			continue
		}
		epoch := step / trainerProgress
		fmt.Fprintf(out, "{\"epoch\":{\"epoch\":%d,\"metrics\":{\"valid\":0.5,\"loss\":1}}}\n", epoch)
		if err := os.WriteFile(told.Init.Checkpoint, []byte("state"), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(out, "{\"checkpoint\":{\"epoch\":%d}}\n", epoch)
	}
	_, err = fmt.Fprintln(out, `{"result":{"metrics":{"valid":0.5}}}`)
	return err
}

// hashRounds is work that no cache or allocator has a part in.
func hashRounds(n int) {
	var block [4096]byte
	for range n {
		sum := sha256.Sum256(block[:])
		copy(block[:], sum[:])
	}
}

// trainerBench runs the program by itself and as the trainer of a job.
type trainerBench struct {
	dir, exe string
	rounds   int
}

func openTrainer(ctx context.Context) (_ *Comparison, err error) {
	b := &trainerBench{}
	if b.dir, err = os.MkdirTemp(benchDisk(), "evalnas-bench-"); err != nil {
		return nil, err
	}
	if b.exe, err = os.Executable(); err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"EVALNAS_EXE": b.exe, "EVALNAS_SLOT_DIR": filepath.Join(b.dir, "slots"), "EVALNAS_SLOTS": "1", "EVALNAS_STUDIES_FILE": filepath.Join(b.dir, "studies")} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	const some = 2000
	began := time.Now()
	hashRounds(some)
	b.rounds = int(trainerSeconds / time.Since(began).Seconds() * some)
	// The first run of each reads the program from the disk: not counted.
	if _, err := b.alone(ctx, -1); err != nil {
		return nil, err
	}
	return &Comparison{
		PeerKind: "reference", Ours: b.asJob, Peer: b.alone,
		Extra: func(context.Context) (map[string]any, error) {
			return map[string]any{"peer": "the same program by itself", "seconds": trainerSeconds, "messages": trainerEpochs * (trainerProgress + 2)}, nil
		},
		Close: func() error { return os.RemoveAll(b.dir) },
	}, nil
}

func (b *trainerBench) alone(ctx context.Context, _ int) (float64, error) {
	cmd := exec.CommandContext(ctx, b.exe, "trainer", strconv.Itoa(b.rounds))
	init, err := json.Marshal(map[string]any{"init": map[string]any{"checkpoint": filepath.Join(b.dir, "checkpoint")}})
	if err != nil {
		return 0, err
	}
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(init)+"\n"), os.Stderr
	began := time.Now()
	err = cmd.Run()
	return time.Since(began).Seconds(), err
}

// asJob is from the request until the result is there, with the start of the runner and worker.
func (b *trainerBench) asJob(ctx context.Context, i int) (float64, error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("study%d", i))
	st, err := jobs.OpenStudy(dir)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	program, err := child.New(dir, b.dir, []string{b.exe, "trainer", strconv.Itoa(b.rounds)}, nil)
	if err != nil {
		return 0, err
	}
	sp, err := space.NASBench101(4)
	if err != nil {
		return 0, err
	}
	t, err := nasapi.StartTraining(st, nasapi.TrainingRequest{
		Archs: []nasapi.Found{{Arch: sp.At(0)}}, Seeds: []int64{1},
		Trainer: &nasapi.TrainerConfig{Program: program, Parameters: map[string]any{"epochs": trainerEpochs}},
	})
	if err != nil {
		return 0, err
	}
	if err := t.Wait(ctx); err != nil {
		return 0, err
	}
	took := time.Since(began).Seconds()
	run := t.Runs()[0]
	if run.Result == nil || len(run.Result.Curve) != trainerEpochs {
		return 0, fmt.Errorf("the training is %s: %s", run.Status.State, run.Status.Error)
	}
	return took, nil
}
