package main

import (
	"bytes"
	_ "embed" // the trainer
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The kill table of trainers of one's own: a program stops at a point of its life, and there
// one of the processes is killed that have to do with it. Whatever is killed when, the job comes
// to what it comes to when nothing is, nothing of it is left, and no epoch is trained again that
// the program has saved.

//go:embed testdata/stopping_trainer.py
var stoppingTrainer []byte

// Victims beside those of the other table.
const (
	theTrainer    = "trainer"
	theSupervisor = "supervisor"
	theJob        = "worker+supervisor"
)

var trainerVictims = []string{aWorker, theTrainer, theSupervisor, theJob, theKernel, everything}

// trainerPoints are where the program stops, and the epochs that it works out in all where it,
// or its worker, is killed there: of 3, saved in turn.
var trainerPoints = []struct{ name, trained string }{
	{"before ready", "1 2 3"},
	{"ready", "1 2 3"},
	{"epoch 1 said", "1 1 2 3"},
	{"checkpoint 1 being written", "1 1 2 3"},
	{"checkpoint 1 written", "1 2 3"},
	{"epoch 2 said", "1 2 2 3"},
	{"checkpoint 2 being written", "1 2 2 3"},
	{"checkpoint 2 written", "1 2 3"},
	{"checkpoint 2 said", "1 2 3"},
	{"result said", "1 2 3"},
}

// trainedFor is the work of a program that stops at a point.
func trainedFor(stop string) work {
	return work{name: "trainer", seeds: 1, timed: true, call: fmt.Sprintf(
		`train(nasbench101(max_vertices=4)[9], None, trainer=exec("python3 trainer.py", silence=100), epochs=3, stop=%q)`, stop)}
}

func TestKillTrainers(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds of killing trainers are not at hand in short tests")
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not at hand")
	}
	k := newTrainerTrial(t, trainedFor(""), here, rand.New(rand.NewPCG(0, 0)))
	k.ask(k.start(), k.cell())
	k.answers()
	wanted := k.results()
	k.judgeTrainer(wanted, "1 2 3")
	k.end()

	type line struct{ point, victim int }
	var table []line
	for p := range trainerPoints {
		for v := range trainerVictims {
			table = append(table, line{p, v})
		}
	}
	seed, limit := sampleSeed(t), 5*time.Second
	if os.Getenv("EVALNAS_TORTURE") != "" {
		limit = 20 * time.Minute
	}
	t.Logf("%s=%d draws this sample of %d rows", seedVariable, seed, len(table))
	ran, end := 0, time.Now().Add(limit)
	for _, i := range rand.New(rand.NewPCG(seed, 1)).Perm(len(table)) {
		if time.Now().After(end) {
			break
		}
		ran++
		point, victim := trainerPoints[table[i].point], trainerVictims[table[i].victim]
		t.Run(fmt.Sprintf("%s kill=%s", point.name, victim), func(t *testing.T) {
			k := newTrainerTrial(t, trainedFor(point.name), victim, rand.New(rand.NewPCG(seed, uint64(i))))
			k.ask(k.start(), k.cell())
			trained := point.trained
			if k.killTrainerAt() {
				trained = "1 2 3"
			}
			k.reviveTrainer()
			k.judgeTrainer(wanted, trained)
		})
	}
	t.Logf("%d rows", ran)
}

// newTrainerTrial is a trial with the program in the notebook's folder.
func newTrainerTrial(t *testing.T, w work, victim string, draw *rand.Rand) *trial {
	k := newTrial(t, row{work: w, place: here, point: point{name: w.name}, set: victim, kernels: 1}, draw)
	check(t, os.WriteFile(filepath.Join(k.folder, "trainer.py"), stoppingTrainer, 0o644))
	t.Cleanup(func() { // before the folder is gone
		for _, p := range k.descendants() {
			_ = syscall.Kill(p, syscall.SIGKILL) // it may be gone
		}
	})
	return k
}

// killTrainerAt kills the row's victim where the program has stopped, opens the gate and says
// whether the program has lived on.
func (k *trial) killTrainerAt() (lives bool) {
	stopped := filepath.Join(k.folder, "stopped")
	k.until("the program to stop", func() bool { _, err := os.Stat(stopped); return err == nil })
	program, err := strconv.Atoi(strings.TrimSpace(readable(stopped)))
	check(k.T, err)
	supervisor := parent(k.T, program)
	job := k.jobs()[0].ID
	worker := process{pid: parent(k.T, supervisor), role: "worker", of: job}
	victims := []process{{program, theTrainer, job}}
	switch k.row.set {
	case aWorker:
		victims = []process{worker}
	case theSupervisor:
		victims = []process{{supervisor, theSupervisor, job}}
	case theJob:
		victims = []process{worker, {supervisor, theSupervisor, job}}
	case theKernel:
		victims = []process{{pid: k.kernels[0].cmd.Process.Pid, role: "kernel"}}
	case everything:
		victims = processes(k.exe, k.folder)
	}
	k.kill(victims...)
	lives = k.row.set == theKernel
	if !lives {
		k.until("the program to be gone", func() bool { return !runs(program) })
	}
	check(k.T, os.WriteFile(filepath.Join(k.folder, "gate"), nil, 0o644))
	return lives
}

// reviveTrainer asks again, as a person does: in a new kernel where that was killed, and where a
// program ended before it had saved anything its job has failed.
func (k *trial) reviveTrainer() {
	if slices.ContainsFunc(k.kernels, (*liveKernel).dead) {
		k.kernels = slices.DeleteFunc(k.kernels, (*liveKernel).dead)
		k.start()
	}
	k.answers()
	k.ask(k.kernels[0], k.cell())
	k.answers()
}

func (k *trial) judgeTrainer(wanted map[int64]string, trained string) {
	k.Helper()
	k.until("all but the kernel to leave", func() bool { return len(k.descendants()) == 0 })
	k.watch()
	got := k.results()
	for seed, result := range got {
		got[seed] = withoutRestarts(k.T, result)
	}
	if len(got) != 1 || len(wanted) != 1 {
		k.Fatalf("there are %d results, %d wanted", len(got), len(wanted))
	}
	for seed := range wanted {
		if want := withoutRestarts(k.T, wanted[seed]); got[seed] != want {
			k.Errorf("it came to\n%s\nundisturbed it comes to\n%s", got[seed], want)
		}
	}
	if text := strings.TrimSpace(readable(filepath.Join(k.folder, "trained"))); text != trained {
		k.Errorf("the epochs %s were trained, want %s", text, trained)
	}
	for _, j := range k.jobs() {
		k.judgeJob(j)
	}
}

// withoutRestarts takes out the note that the program was started again.
func withoutRestarts(t *testing.T, result string) string {
	t.Helper()
	var all map[string]any
	check(t, json.Unmarshal([]byte(result), &all))
	if notes, ok := all["notes"].([]any); ok {
		notes = slices.DeleteFunc(notes, func(n any) bool { return strings.Contains(fmt.Sprint(n), "started again") })
		if all["notes"] = notes; len(notes) == 0 {
			delete(all, "notes")
		}
	}
	text, err := json.Marshal(all)
	check(t, err)
	return string(text)
}

// descendants are all processes of the trial but its kernels, by what they inherited.
func (k *trial) descendants() (pids []int) {
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	check(k.T, err)
	for _, file := range environs {
		text, err := os.ReadFile(file) // it may be gone by now
		if err != nil || !bytes.Contains(text, []byte("EVALNAS_STUDY="+k.study.Dir+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		check(k.T, err)
		if !slices.ContainsFunc(k.all, func(l *liveKernel) bool { return l.cmd.Process.Pid == pid }) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// statusOf is what /proc tells of a process after its name.
func statusOf(pid int) []string {
	text := readable(fmt.Sprintf("/proc/%d/stat", pid))
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	fields := statusOf(pid)
	if len(fields) < 2 {
		t.Fatalf("process %d is gone", pid)
	}
	n, err := strconv.Atoi(fields[1])
	check(t, err)
	return n
}

// runs says that a process is there and no zombie.
func runs(pid int) bool {
	fields := statusOf(pid)
	return syscall.Kill(pid, 0) == nil && len(fields) > 0 && fields[0] != "Z"
}
