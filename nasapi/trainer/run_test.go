package trainer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evalnas/nasapi/child"
)

func TestMain(m *testing.M) {
	child.Supervise()
	os.Exit(m.Run())
}

// scripted is a job of a trainer that is a shell script: it may count on $CHECKPOINT.
func scripted(t *testing.T, script string) Job {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "checkpoint")
	return Job{
		Program: &child.Program{Words: []string{"sh", "-c", "read init\n" + script}, Silence: 20}, Study: dir,
		Init: Init{Checkpoint: file, Folder: dir, Parameters: map[string]any{"epochs": 3}, Metrics: []string{"valid"}},
		Env:  []string{"CHECKPOINT=" + file}, Grace: 10 * time.Second,
	}
}

// sayings are what scripts say.
const (
	isReady = `echo '{"ready":{"protocol":1}}'
`
	good = `echo '{"result":{"metrics":{"valid":0.5,"test":0.25},"parameters":7,"epochs":2}}'
`
	someEpochs = `echo '{"epoch":{"epoch":1,"metrics":{"valid":0.25,"loss":3}}}'
echo '{"progress":{"done":1,"total":2}}'
echo '{"heartbeat":{}}'
echo '{"epoch":{"epoch":2,"metrics":{"valid":0.5}}}'
`
)

func TestTraining(t *testing.T) {
	job := scripted(t, `echo "$init" > "$(dirname "$CHECKPOINT")/init"; echo '{"heartbeat":{}}'
`+isReady+someEpochs+`echo state > "$CHECKPOINT"; echo '{"checkpoint":{"epoch":2}}'
`+good)
	var heard []string
	note := func(words ...string) { heard = append(heard, strings.Join(words, " ")) }
	job.Heard = Heard{
		Started:  func(resumed bool) { note("started", strconv.FormatBool(resumed)) },
		Progress: func(done, total int64) { note("progress", strconv.FormatInt(done, 10), strconv.FormatInt(total, 10)) },
		Epoch: func(e Epoch) error {
			note("epoch", strconv.Itoa(e.Epoch), strconv.FormatFloat(e.Metrics["valid"], 'g', -1, 64))
			return nil
		},
		Checkpoint: func(epoch int) error { note("checkpoint", strconv.Itoa(epoch)); return nil },
	}
	r, err := Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if r.Metrics["valid"] != 0.5 || r.Metrics["test"] != 0.25 || r.Parameters != 7 || r.Epochs != 2 || len(r.Notes) > 0 {
		t.Errorf("the result is %+v", r)
	}
	if got := strings.Join(heard, ", "); got != "started false, epoch 1 0.25, progress 1 2, epoch 2 0.5, checkpoint 2" {
		t.Errorf("heard: %s", got)
	}
	init, err := os.ReadFile(filepath.Join(job.Init.Folder, "init"))
	if want := `{"init":{"protocol":1,"role":"trainer",`; err != nil || !bytes.HasPrefix(init, []byte(want)) || !bytes.Contains(init, []byte(`"data":null`)) || !bytes.Contains(init, []byte(`"resume":false`)) {
		t.Errorf("it was told %s, %v", init, err)
	}
	heard = nil
	if _, err := Run(t.Context(), job); err != nil || heard[0] != "started true" {
		t.Errorf("with its checkpoint there: %v, %v", heard, err)
	}
	// What a result and the epochs do not agree in is noted.
	odd, err := Run(t.Context(), scripted(t, isReady+someEpochs+`echo '{"result":{"metrics":{"valid":0.75},"epochs":3}}'`))
	if err != nil || len(odd.Notes) != 2 || !strings.Contains(odd.Notes[0], "counts 3 epochs") || !strings.Contains(odd.Notes[1], "valid is 0.75 in the result and 0.5 in epoch 2") {
		t.Errorf("%+v, %v", odd, err)
	}
}

// What a trainer may do wrong: what is said of it, and whether another attempt may cure it.
func TestBadTrainers(t *testing.T) {
	epoch := func(body string) string { return isReady + `echo '{"epoch":` + body + `}'; sleep 100` }
	result := func(body string) string { return isReady + `echo '{"result":` + body + `}'` }
	for name, c := range map[string]struct {
		script, want string
		again        bool
	}{
		"crash":              {isReady + `echo "Traceback (most recent call last)" >&2; echo "RuntimeError: out of luck" >&2; exit 1`, "ended with exit status 1 before it had said all that was expected; it said last:\nTraceback (most recent call last)\nRuntimeError: out of luck", true},
		"crash at once":      {`exit 2`, "exit status 2", true},
		"no result":          {isReady + someEpochs, "ended with exit status 0 before", true},
		"bad end":            {isReady + good + `echo oh >&2; exit 3`, "after its result: sh -c", true},
		"killed":             {isReady + `kill -9 $$`, "signal 9", true},
		"garbage":            {isReady + `echo "Epoch 1: loss 0.3"; sleep 100`, `no message (line 2, not a JSON object): "Epoch 1: loss 0.3"`, false},
		"NaN in JSON":        {isReady + `echo '{"epoch":{"epoch":1,"metrics":{"loss":NaN}}}'; sleep 100`, "JSON has neither NaN nor Infinity", false},
		"half a line":        {isReady + `printf '{"epo'`, "in the middle of the line", true},
		"no ready":           {`echo '{"epoch":{"epoch":1}}'; sleep 100`, `answered init with {"epoch": ...}`, false},
		"another version":    {`echo '{"ready":{"protocol":2}}'; sleep 100`, "speaks version 2 of the protocol", false},
		"no version":         {`echo '{"ready":{}}'; sleep 100`, "speaks version none", false},
		"unknown message":    {isReady + `echo '{"epohc":{"epoch":1}}'; sleep 100`, `said "epohc", which no trainer says: there are progress, epoch`, false},
		"per cent":           {epoch(`{"epoch":1,"metrics":{"valid":93.1}}`), `"valid" is 93.1: train, valid, test are shares of images, 0 to 1`, false},
		"below 0":            {result(`{"metrics":{"valid":0.5,"test":-0.1}}`), `"test" is -0.1`, false},
		"null":               {epoch(`{"epoch":1,"metrics":{"valid":null}}`), `no number for "valid"`, false},
		"text":               {epoch(`{"epoch":1,"metrics":{"valid":"0.9"}}`), "wrong form", false},
		"backwards":          {isReady + someEpochs + `echo '{"epoch":{"epoch":1,"metrics":{}}}'; sleep 100`, "epoch 1 after epoch 2", false},
		"twice":              {isReady + someEpochs + `echo '{"epoch":{"epoch":2,"metrics":{}}}'; sleep 100`, "epoch 2 after epoch 2", false},
		"epoch 0":            {epoch(`{"epoch":0,"metrics":{}}`), "its number from 1", false},
		"no number":          {epoch(`{"metrics":{}}`), "its number from 1", false},
		"too far":            {epoch(`{"epoch":4,"metrics":{}}`), "epoch 4 of 3", false},
		"promised":           {result(`{"metrics":{"test":0.5}}`), `without "valid", which is asked for: it has test`, false},
		"empty":              {result(`{"metrics":{}}`), "a result without metrics", false},
		"no metrics":         {result(`{}`), "a result without metrics", false},
		"parameters":         {result(`{"metrics":{"valid":0.5},"parameters":-3}`), "counted -3 parameters", false},
		"negative progress":  {isReady + `echo '{"progress":{"done":-1,"total":3}}'; sleep 100`, "whole numbers of steps", false},
		"half a progress":    {isReady + `echo '{"progress":{"done":1}}'; sleep 100`, "give done and total", false},
		"no such checkpoint": {isReady + `echo '{"checkpoint":{"epoch":1}}'; sleep 100`, "there is no file", false},
		"more":               {isReady + good + `echo '{"progress":{"done":1,"total":2}}'; sleep 100`, `said "progress" after its result`, false},
		"an endless name":    {epoch(`{"epoch":1,"metrics":{"` + strings.Repeat("x", 100) + `":1}}`), "names have 1 to 64 bytes", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), scripted(t, c.script))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v does not say %q", err, c.want)
			}
			wrong := (*WrongError)(nil)
			if errors.As(err, &wrong) == c.again {
				t.Errorf("%v: another attempt may cure it: %v", err, !c.again)
			}
		})
	}
	t.Run("not there", func(t *testing.T) {
		job := scripted(t, "")
		job.Program.Words = []string{"no-such-program-here"}
		wrong := (*WrongError)(nil)
		if _, err := Run(t.Context(), job); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "no such program") {
			t.Errorf("%v", err)
		}
	})
	t.Run("hangs", func(t *testing.T) {
		job := scripted(t, isReady+"sleep 1000")
		job.Program.Silence = 0.1
		wrong := (*WrongError)(nil)
		if _, err := Run(t.Context(), job); err == nil || errors.As(err, &wrong) || !strings.Contains(err.Error(), "has said nothing for 100ms") {
			t.Errorf("%v", err)
		}
	})
	t.Run("hangs after its result", func(t *testing.T) {
		job := scripted(t, isReady+good+"sleep 1000")
		job.Grace = 100 * time.Millisecond
		r, err := Run(t.Context(), job)
		if err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "had not ended 100ms after its result") {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("changed file", func(t *testing.T) {
		job := scripted(t, isReady+good)
		job.Program.Files = []child.File{{Path: "sh", SHA256: "0"}}
		if err := os.WriteFile(filepath.Join(job.Study, "sh"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		wrong := (*WrongError)(nil)
		if _, err := Run(t.Context(), job); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "was changed") {
			t.Errorf("%v", err)
		}
	})
}

// A flood of epochs is refused, one of all else costs nothing but time.
func TestFloods(t *testing.T) {
	job := scripted(t, isReady+`yes '{"progress":{"done":1,"total":2}}' | head -n 100000; yes '{"heartbeat":{}}' | head -n 100000
`+good)
	if _, err := Run(t.Context(), job); err != nil {
		t.Error(err)
	}
	for name, script := range map[string]string{
		"many":  `seq -f '{"epoch":{"epoch":%.0f,"metrics":{"loss":1}}}' 1 20000; sleep 100`,
		"large": `seq -f '{"epoch":{"epoch":%.0f,"metrics":{"loss":1},"more":"` + strings.Repeat("x", 50_000) + `"}}' 1 1000; sleep 100`,
	} {
		job := scripted(t, isReady+script)
		job.Init.Parameters = nil
		heard := 0
		job.Heard.Epoch = func(Epoch) error { heard++; return nil }
		if _, err := Run(t.Context(), job); err == nil || !strings.Contains(err.Error(), "at most 10000") || heard > maxEpochs {
			t.Errorf("%s: after %d epochs %v", name, heard, err)
		}
	}
}

// A signal's victim goes on from its checkpoint as long as it gets further.
func TestRestarts(t *testing.T) {
	further := `n=$(cat "$CHECKPOINT" 2>/dev/null | wc -l); echo x >> "$CHECKPOINT"
`
	job := scripted(t, further+isReady+`[ $n -lt 2 ] && kill -9 $$
`+good)
	var why []string
	job.Heard.Restart = func(err error) error { why = append(why, err.Error()); return nil }
	r, err := Run(t.Context(), job)
	if err != nil || r.Restarts != 2 || len(why) != 2 || !strings.Contains(why[0], "signal 9") {
		t.Errorf("%+v, %v, %v", r, why, err)
	}
	if _, err := Run(t.Context(), scripted(t, further+isReady+`kill -9 $$`)); err == nil || !strings.Contains(err.Error(), "signal 9") {
		t.Errorf("without an end: %v", err)
	}
	why = nil
	job = scripted(t, isReady+`kill -9 $$`)
	job.Heard.Restart = func(err error) error { why = append(why, err.Error()); return nil }
	if _, err := Run(t.Context(), job); err == nil || why != nil {
		t.Errorf("without a checkpoint: started again for %v, %v", why, err)
	}
	job = scripted(t, further+isReady+`exit 1`)
	job.Heard.Restart = func(err error) error { why = append(why, err.Error()); return nil }
	if _, err := Run(t.Context(), job); err == nil || why != nil {
		t.Errorf("with an exit status of its own: started again for %v, %v", why, err)
	}
}

// Told to stop, a trainer saves itself or is killed, with all that it started.
func TestStopping(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		saved  bool
	}{
		"saves itself":     {`trap 'echo state > "$CHECKPOINT"; echo "{\"checkpoint\":{\"epoch\":1}}"; exit 0' TERM`, true},
		"saves in silence": {`trap 'echo state > "$CHECKPOINT"; exit 0' TERM`, true},
		"ignores it":       {`trap '' TERM`, false},
		"dies of it":       {``, false},
		"talks garbage":    {`trap 'echo what; exit 1' TERM`, false},
	} {
		t.Run(name, func(t *testing.T) {
			job := scripted(t, c.script+`
sleep 1000 & echo $! > "$(dirname "$CHECKPOINT")/pids"
setsid sh -c 'trap "" TERM; echo $$ >> "$(dirname "$CHECKPOINT")/pids"; echo said > "$(dirname "$CHECKPOINT")/there"; sleep 1000' &
while [ ! -e "$(dirname "$CHECKPOINT")/there" ]; do sleep 0.01; done
`+isReady+`echo '{"epoch":{"epoch":1,"metrics":{"valid":0.5}}}'
while :; do sleep 0.01; done`)
			if job.Grace = 10 * time.Second; name == "ignores it" {
				job.Grace = 300 * time.Millisecond
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			saved := 0
			job.Heard.Epoch = func(Epoch) error { stop(); return nil }
			job.Heard.Checkpoint = func(int) error { saved++; return nil }
			if _, err := Run(ctx, job); !errors.Is(err, context.Canceled) {
				t.Fatalf("a training that was called off ends with %v", err)
			}
			if (saved > 0) != c.saved {
				t.Errorf("it was saved %d times", saved)
			}
			if runtime.GOOS != "linux" {
				return
			}
			text, err := os.ReadFile(filepath.Join(job.Init.Folder, "pids"))
			pids := strings.Fields(string(text))
			if err != nil || len(pids) != 2 {
				t.Fatalf("%q, %v", text, err)
			}
			if i := slices.IndexFunc(pids, alive); i >= 0 {
				t.Errorf("process %s is there still", pids[i])
			}
		})
	}
}

func alive(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil || syscall.Kill(n, 0) != nil {
		return false
	}
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(text), ") Z ")
}

// Whatever a trainer says is taken or refused.
func FuzzTrainer(f *testing.F) {
	for name, body := range map[string]string{
		"epoch": `{"epoch":1,"metrics":{"valid":0.5}}`, "result": `{"metrics":{"valid":1},"epochs":3}`, "progress": `{"done":1,"total":2}`,
		"checkpoint": `{"epoch":1}`, "heartbeat": `[]`, "": `null`,
	} {
		f.Add(name, body)
	}
	f.Fuzz(func(t *testing.T, name, body string) {
		r := run{Job: Job{Program: &child.Program{Words: []string{"x"}}, Init: Init{Checkpoint: "/nowhere"}}}
		result, err := r.hear(child.Message{Name: name, Body: []byte(body)})
		if result != nil && (err != nil || len(result.Metrics) == 0) {
			t.Errorf("%q %q: %+v, %v", name, body, result, err)
		}
	})
}
