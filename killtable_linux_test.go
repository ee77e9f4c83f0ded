package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/jobs/slurm/slurmtest"
)

// The kill table: real processes of this program are killed at every point of a study's
// life, and whatever is killed when, each seed comes to the one result that it has when
// nothing is. A row is a work, a place, a point and the processes that are killed there.
//
//	go test . -run TestKillTable -v                      a sample, drawn anew every time
//	EVALNAS_KILL_SEED=7 go test . -run 'TestKillTable$/012'   trial 12 of the sample of seed 7
//	EVALNAS_TORTURE=1 go test . -run TestKill -timeout 1h     hundreds of trials

// seedVariable draws the sample, so that a failure can be repeated.
const seedVariable = "EVALNAS_KILL_SEED"

// work is what a cell asks for: seeds that take about a second each.
type work struct {
	name  string
	call  string // of the cells' language; on=... is put before its closing bracket
	seeds int
	timed bool // its results hold seconds
}

var works = []work{
	{name: "evolution", seeds: 4, call: `search("evolution", nasbench101(), params(), seeds=range(1268, 1272), budget=60000)`},
	{name: "enas", seeds: 3, call: `search("enas", nasbench101(), params(), seeds=range(1268, 1271), budget=300)`},
	{name: "train", seeds: 3, timed: true, call: `train(genotype("DARTS_V2"), synthetic(train=256, test=64), seeds=range(1, 4), epochs=4, batch=16, channels=4, cells=3, auxiliary=False)`},
	{name: "shared weights", seeds: 2, timed: true, call: `search("spos", nasbench101(max_vertices=4), shared_weights(synthetic(train=192, test=32, side=8), epochs=8, batch=16, valid_batch=32, channels=8, cells=3, images=160, valid=32, pool=12, save_every=2, pad=1), seeds=range(1, 3), refresh=2)`},
}

// places are what on= may be.
var (
	here    = ""
	onSlurm = "slurm(parallel=2, cpus=1)"
)

// point is a moment in a study's life.
type point struct {
	name string
	// provoke does what brings a study there in which these workers run jobs; nil where
	// time does.
	provoke func(k *trial, running []process)
	// reached says whether the study is there, and may name the job that is.
	reached func(*trial) (job string, ok bool)
	// brink, if set, is before a point that passes within microseconds: from there on the
	// workers run for a moment at a time, and the kill finds them stopped at the point.
	brink func(*trial) (job string, ok bool)
	// spread is how long after the point the kill may come.
	spread time.Duration
	// sets are those that are killed here; nil means all.
	sets []string
	// only, if set, are the works or the place that have this point.
	only []string
}

// sets are the processes that are killed.
const (
	theKernel     = "kernel"
	theRunner     = "runner"
	aWorker       = "worker"
	allWorkers    = "workers"
	runnerWorkers = "runner+workers"
	everything    = "everything"
)

var allSets = []string{theKernel, theRunner, aWorker, allWorkers, runnerWorkers, everything}

var points = []point{
	{name: "submitting", spread: 10 * time.Millisecond, sets: []string{theKernel, everything}, reached: anyFile("jobs/*/job.json")},
	{name: "queued", spread: 80 * time.Millisecond, reached: anyFile("queue.log")},
	{name: "array", only: []string{onSlurm}, spread: 60 * time.Millisecond, sets: []string{theKernel, theRunner, everything}, reached: anyFile("slurm/*/job.sh")},
	{name: "started", spread: 50 * time.Millisecond, reached: anyJob(func(s jobs.Status) bool { return s.Attempt > 0 })},
	{name: "middle", spread: 300 * time.Millisecond, reached: anyJob(func(s jobs.Status) bool { return 3*s.Done >= s.Total && s.Done < s.Total })},
	{name: "checkpoint", only: []string{"train", "shared weights"}, spread: 150 * time.Millisecond, reached: anyFile("jobs/*/checkpoint")},
	{name: "ranking", only: []string{"shared weights"}, spread: 30 * time.Millisecond, reached: anyEvent(nasapi.RankingEvent)},
	{name: "ending", spread: 8 * time.Millisecond, reached: lastStep},
	{name: "result", brink: nearEnd, reached: anyFile("jobs/*/result.json")},
	{name: "half", spread: 500 * time.Millisecond, reached: halfDone},
	{name: "finished", spread: 100 * time.Millisecond, sets: []string{theKernel, theRunner, everything}, reached: allDone},
	{name: "interrupted", provoke: terminateWorker, spread: 150 * time.Millisecond, reached: anyEvent("interrupted", "checkpointed", "preempted")},
	{name: "lost", provoke: killRunnerAndWorkers, spread: 100 * time.Millisecond, reached: isLost},
	{name: "backoff", provoke: killRunning, spread: time.Second, reached: anyEvent("retry")},
	{name: "retried", provoke: killRunning, spread: 300 * time.Millisecond, reached: startedAgain},
}

func anyFile(pattern string) func(*trial) (string, bool) {
	return func(k *trial) (string, bool) {
		found, err := filepath.Glob(filepath.Join(k.study.Dir, pattern))
		if err != nil || len(found) == 0 {
			return "", false
		}
		return filepath.Base(filepath.Dir(found[0])), true
	}
}

func anyJob(is func(jobs.Status) bool) func(*trial) (string, bool) {
	return func(k *trial) (string, bool) {
		for _, j := range k.jobs() {
			if is(j.Status()) {
				return j.ID, true
			}
		}
		return "", false
	}
}

func anyEvent(kinds ...string) func(*trial) (string, bool) {
	return eventually(func(e jobs.Event) bool { return slices.Contains(kinds, e.Kind) })
}

func eventually(is func(jobs.Event) bool) func(*trial) (string, bool) {
	return func(k *trial) (string, bool) {
		for _, j := range k.jobs() {
			if slices.ContainsFunc(k.events(j), is) {
				return j.ID, true
			}
		}
		return "", false
	}
}

var startedAgain = eventually(func(e jobs.Event) bool { return e.Kind == "start" && e.Attempt > 1 })

// isLost is the state, or that a runner has repaired it already.
func isLost(k *trial) (string, bool) {
	if id, ok := anyJob(func(s jobs.Status) bool { return s.State == jobs.Lost })(k); ok {
		return id, ok
	}
	return anyEvent("retry")(k)
}

var nearEnd = anyJob(func(s jobs.Status) bool { return 4*s.Done >= 3*s.Total && s.Total > 0 })

var lastStep = anyJob(func(s jobs.Status) bool { return s.Done >= s.Total && s.Total > 0 })

func countDone(k *trial) int {
	return len(slices.DeleteFunc(k.jobs(), func(j *jobs.Job) bool { return j.Status().State != jobs.Done }))
}

func halfDone(k *trial) (string, bool) { return "", 2*countDone(k) >= k.row.work.seeds }
func allDone(k *trial) (string, bool)  { return "", countDone(k) == k.row.work.seeds }

// terminateWorker asks a worker to end, as a person or SLURM does who wants the place.
func terminateWorker(k *trial, running []process) { k.signal(syscall.SIGTERM, k.pick(running)) }

func killRunning(k *trial, running []process) { k.kill(k.pick(running)) }

func killRunnerAndWorkers(k *trial, _ []process) {
	k.kill(k.victims(processes(k.exe, k.folder), runnerWorkers, "")...)
}

// row is a line of the table.
type row struct {
	work    work
	place   string
	point   point
	set     string
	kernels int // that ask for the same at once
}

func (r row) String() string {
	place := "here"
	if r.place != here {
		place = "slurm"
	}
	return fmt.Sprintf("%s %s %s kill=%s kernels=%d", r.work.name, place, r.point.name, r.set, r.kernels)
}

// killTable are the rows of a place.
func killTable(place string, kernels int) []row {
	var rows []row
	for _, w := range works {
		for _, p := range points {
			if p.only != nil && !slices.Contains(p.only, w.name) && !slices.Contains(p.only, place) {
				continue
			}
			for _, set := range allSets {
				if p.sets == nil || slices.Contains(p.sets, set) {
					rows = append(rows, row{w, place, p, set, kernels})
				}
			}
		}
	}
	return rows
}

func TestKillTable(t *testing.T) {
	runSample(t, killTable(here, 1), 24*time.Second, 10*time.Minute)
}

// TestKillTableOfTwoKernels has two kernels ask one study for the same at once; one of
// them is killed, or both, or what both rely on.
func TestKillTableOfTwoKernels(t *testing.T) {
	runSample(t, killTable(here, 2), 8*time.Second, 4*time.Minute)
}

func TestKillTableOnSLURM(t *testing.T) {
	slurmtest.Setup(t)
	runSample(t, append(killTable(onSlurm, 1), killTable(onSlurm, 2)...), 14*time.Second, 10*time.Minute)
}

// runSample tries rows in an order that a seed draws, for as long as a sample may take, or
// a torture.
func runSample(t *testing.T, table []row, sample, torture time.Duration) {
	if testing.Short() {
		t.Skip("takes half a minute and more: the tests run it without -short")
	}
	limit, most := sample, len(table)
	if os.Getenv("EVALNAS_TORTURE") != "" {
		limit, most = torture, 1000
	}
	seed := sampleSeed(t)
	t.Logf("%s=%d draws this sample of %d rows", seedVariable, seed, len(table))
	name := fnv.New32a()
	name.Write([]byte(t.Name())) // the tests draw different rows
	stream := uint64(name.Sum32()) << 32
	hit, ran, unsaid := 0, 0, 0
	for end := time.Now().Add(limit); ran < most && time.Now().Before(end); ran++ {
		// A trial depends on the seed and its number alone, so that it can be run by itself.
		draw := rand.New(rand.NewPCG(seed, stream+1<<31+uint64(ran/len(table))))
		r := table[draw.Perm(len(table))[ran%len(table)]]
		t.Run(fmt.Sprintf("%03d %v", ran, r), func(t *testing.T) {
			k := newTrial(t, r, rand.New(rand.NewPCG(seed, stream+uint64(ran))))
			if k.run() {
				hit++
			}
			unsaid += k.unsaid
		})
	}
	t.Logf("%d trials, %d of them met their point; %d results of workers that died before they could say so", ran, hit, unsaid)
}

func sampleSeed(t *testing.T) uint64 {
	text := os.Getenv(seedVariable)
	if text == "" {
		return rand.Uint64N(1e6)
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is %q: set it to the number that a failure has printed", seedVariable, text)
	}
	return seed
}

// undisturbed are the results of each work when nothing is killed, by seed; they are
// worked out once.
var undisturbed = map[string]map[int64]string{}

func want(t *testing.T, w work) map[int64]string {
	t.Helper()
	if undisturbed[w.name] == nil {
		k := newTrial(t, row{work: w, place: here, kernels: 1}, rand.New(rand.NewPCG(0, 0)))
		began := time.Now()
		k.ask(k.start(), k.cell())
		k.answers()
		t.Logf("%s takes %.1f s undisturbed", w.name, time.Since(began).Seconds())
		undisturbed[w.name] = k.results()
		k.end()
	}
	return undisturbed[w.name]
}

// processes lists what lives of those that name the folder in their second argument, as
// kernels, runners and workers do.
func processes(exe, folder string) (all []process) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil
	}
	for _, file := range files {
		text, err := os.ReadFile(file) // it may be gone by now
		args := strings.Split(string(text), "\x00")
		if err != nil || len(args) < 3 || args[0] != exe || !strings.HasPrefix(args[2], folder+"/") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil {
			all = append(all, process{pid, args[1], filepath.Base(args[2])})
		}
	}
	return all
}

// process is one of a trial's.
type process struct {
	pid  int
	role string // "kernel", "runner" or "worker"
	of   string // the worker's job
}

func readable(path string) string {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "(no file)\n"
	}
	if err != nil {
		return err.Error() + "\n"
	}
	return string(text)
}
