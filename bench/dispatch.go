package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/jobs/slurm"
)

func init() {
	register(Benchmark{Name: "submit-local", Unit: "ms/job", Want: 5, Open: func(ctx context.Context) (*Comparison, error) { return openDispatch(ctx, "local") }})
	register(Benchmark{Name: "local-jobs", Unit: "ms/job", Want: 5, Open: func(ctx context.Context) (*Comparison, error) { return openDispatch(ctx, throughput) }})
	register(Benchmark{Name: "submit-slurm", Unit: "ms/job", Want: 1, Open: func(ctx context.Context) (*Comparison, error) { return openDispatch(ctx, "slurm") }})
}

// dispatchJobs is how many jobs are submitted together.
const dispatchJobs = 20

// throughput is where jobs run whose time until the last one is done counts, on two slots:
// a thousand of ours, and as many of the peer's as it can start at once.
const throughput = "local until done"

const (
	throughputJobs  = 1000
	throughputSlots = 2
	// throughputLimit is the most milliseconds of a slot that an empty job may take.
	throughputLimit = 15
)

// emptyKind is a job that does nothing: `bench runner` and `bench worker` serve it.
const emptyKind = "empty"

// serveJobs is the runner's or the worker's process.
func serveJobs(role string, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("bench %s FOLDER", role)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if role == "runner" {
		return jobs.RunStudy(ctx, args[0], jobs.RunnerOptions{})
	}
	empty := func(context.Context, *jobs.Task) (any, error) { return struct{}{}, nil }
	return jobs.Worker{Handlers: map[string]jobs.Handler{emptyKind: empty, nasapi.TrainKind: nasapi.TrainHandler}}.Serve(ctx, args[0])
}

// dispatch submits empty jobs to a study of its own.
type dispatch struct {
	dir   string
	where string
	peer  *peer
	// script starts and stops a SLURM of one node in the folder node.
	script, node string
	done         [2][]float64
}

// openDispatch compares the time that whoever submits waits, for each of twenty jobs: for us
// the call that submits them all, when SLURM has them if they are its. For throughput it is the
// time until all are done, of a slot.
func openDispatch(ctx context.Context, where string) (_ *Comparison, err error) {
	d := &dispatch{where: where}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.dir, err = os.MkdirTemp(benchDisk(), "evalnas-bench-"); err != nil {
		return nil, err
	}
	// The peer keeps its files on the same disk.
	if err := os.Setenv("TMPDIR", d.dir); err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"EVALNAS_EXE": exe, "EVALNAS_SLOT_DIR": filepath.Join(d.dir, "slots"), "EVALNAS_SLOTS": "2", "EVALNAS_STUDIES_FILE": filepath.Join(d.dir, "studies")} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	if where == "slurm" {
		if err := d.startNode(ctx); err != nil {
			return nil, err
		}
	}
	if d.peer, err = startPeer(ctx, "dispatch.py"); err != nil {
		return nil, err
	}
	// The first runs read programs from the disk: not counted.
	if _, err = d.ours(ctx, -1); err == nil {
		_, err = d.theirs(ctx, -1)
	}
	if err != nil {
		return nil, err
	}
	d.done = [2][]float64{}
	return &Comparison{
		PeerKind: "reference", Ours: d.ours, Peer: d.theirs, Close: d.close,
		Extra: func(context.Context) (map[string]any, error) {
			if where == throughput {
				return map[string]any{"jobs": throughputJobs, "peer_jobs": dispatchJobs, "slots": throughputSlots, "peer": "submitit", "at_most_ms": throughputLimit}, nil
			}
			return map[string]any{"jobs": dispatchJobs, "peer": "submitit", "ours_until_done_s": round(median(d.done[0])), "peer_until_done_s": round(median(d.done[1]))}, nil
		},
	}, nil
}

// benchDisk is a folder in memory where there is one, else that for temporary files: on ext4
// making a file takes ten times as long for minutes after thousands were removed, as the run
// before did, and that would be all that is measured.
func benchDisk() string {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		return memory
	}
	return ""
}

// startNode starts a SLURM of one node, with the script of the tests.
func (d *dispatch) startNode(ctx context.Context) error {
	top, err := root()
	if err != nil {
		return err
	}
	d.script, d.node = filepath.Join(top, "tests", "slurm", "node"), filepath.Join(d.dir, "node")
	if out, err := exec.CommandContext(ctx, d.script, "start", d.node).CombinedOutput(); err != nil {
		return fmt.Errorf("a node of SLURM: %w: %s", err, out)
	}
	return os.Setenv("SLURM_CONF", filepath.Join(d.node, "slurm.conf"))
}

func (d *dispatch) ours(ctx context.Context, i int) (float64, error) {
	dir := filepath.Join(d.dir, fmt.Sprintf("study%d", i))
	st, err := jobs.OpenStudy(dir)
	if err != nil {
		return 0, err
	}
	b := jobs.Batch{Title: "bench"}
	for seed := range d.count() {
		b.Specs = append(b.Specs, jobs.Spec{Kind: emptyKind, Numerics: 1, Seed: int64(seed), Config: json.RawMessage("{}")})
	}
	if d.where == "slurm" {
		b.On = jobs.Place{Slurm: &slurm.Options{CPUs: 1, Parallel: dispatchJobs}}
	}
	if err := d.settle(ctx); err != nil {
		return 0, err
	}
	began := time.Now()
	h, err := st.Submit(b)
	if err != nil {
		return 0, err
	}
	if d.where == "slurm" && !submitted(dir) {
		return 0, errors.New("SLURM does not have the jobs when they are submitted")
	}
	took := time.Since(began)
	ctx, stop := context.WithTimeout(ctx, 5*time.Minute)
	defer stop()
	if err := h.Wait(ctx); err != nil {
		return 0, err
	}
	d.done[0] = append(d.done[0], time.Since(began).Seconds())
	for _, j := range h.Jobs() {
		if _, err := j.Result(); err != nil {
			return 0, err
		}
	}
	if d.where == throughput {
		return time.Since(began).Seconds() * 1e3 * throughputSlots / throughputJobs, nil
	}
	return took.Seconds() * 1e3 / dispatchJobs, nil
}

// count is how many jobs of ours are submitted.
func (d *dispatch) count() int {
	if d.where == throughput {
		return throughputJobs
	}
	return dispatchJobs
}

// submitted says whether SLURM has given the study's array its number.
func submitted(study string) bool {
	files, err := filepath.Glob(filepath.Join(jobs.StudyPaths{Dir: study}.Arrays(), "*", "array.json"))
	if err != nil {
		return false
	}
	for _, file := range files {
		var a struct{ ID string }
		if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &a) == nil && a.ID != "" {
			return true
		}
	}
	return false
}

// settle waits until SLURM has nothing left of the run before: what its last tasks take of
// the machine is no cost of the next submission.
func (d *dispatch) settle(ctx context.Context) error {
	if d.where != "slurm" {
		return nil
	}
	for end := time.Now().Add(2 * time.Minute); ; {
		left, err := exec.CommandContext(ctx, "squeue", "--noheader").Output()
		if err != nil {
			return fmt.Errorf("squeue: %w", err)
		}
		if len(left) == 0 {
			time.Sleep(time.Second) // squeue, too, has to end
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("SLURM does not come to rest: it still has %s", left)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (d *dispatch) theirs(ctx context.Context, _ int) (float64, error) {
	if err := d.settle(ctx); err != nil {
		return 0, err
	}
	var answer struct{ Submit, Done float64 }
	if err := d.peer.ask(map[string]any{"where": d.where, "jobs": dispatchJobs}, &answer); err != nil {
		return 0, err
	}
	d.done[1] = append(d.done[1], answer.Done)
	if d.where == throughput {
		return answer.Done * 1e3 * throughputSlots / dispatchJobs, nil
	}
	return answer.Submit * 1e3 / dispatchJobs, nil
}

func (d *dispatch) close() error {
	var errs []error
	if d.peer != nil {
		errs = append(errs, d.peer.close())
	}
	if d.node != "" {
		errs = append(errs, exec.Command(d.script, "stop", d.node).Run())
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}
