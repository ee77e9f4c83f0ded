package slurm

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMinutes(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "90": 90, "5:30": 5, "12:00:00": 720, "1-00": 1440, "2-12": 3600, "1-01:30": 1530, "1-01:30:59": 1530,
	} {
		o := Options{Time: text}
		if err := o.Check(); err != nil {
			t.Error(err)
		}
		if got := o.Minutes(); got != want {
			t.Errorf("%q is %d minutes, want %d", text, got, want)
		}
	}
	for _, text := range []string{"tomorrow", "1d", "-5", "1:2:3:4", "1-", "1-2-3", " 5", "5\n"} {
		if err := (Options{Time: text}).Check(); err == nil {
			t.Errorf("the time limit %q is let pass", text)
		}
	}
}

// TestScript has bash look at a script of awkward names, and run its work.
func TestScript(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, "it's a folder $HOME")
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	o := Options{Partition: "cpu", Time: "1", Memory: "2G", CPUs: 4, Parallel: 3, Setup: []string{"export A='b c'"}, Options: []string{"--nice=5"}}
	text := Script(o, Array{Name: "n", Tasks: 7, Dir: dir, Output: dir + "/out.%a", Lines: []string{"cd " + Quote(odd), `exec /bin/echo "$A" "$PWD"`}})
	for _, want := range []string{"--array=0-6%3\n", "--time=1\n", "--signal=B:USR1@20\n", "--mem=2G\n", "--cpus-per-task=4\n", "#SBATCH --nice=5\n", "--requeue\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the script does not have %q", want)
		}
	}
	if plain := Script(Options{}, Array{Name: "n", Tasks: 1}); !strings.Contains(plain, "--signal=B:USR1@120\n") || strings.Contains(plain, "--time") {
		t.Errorf("without a time limit the script is %s", plain)
	}
	if strings.Contains(text, "--ntasks") || strings.Contains(text, "gpus") {
		t.Error("the script asks for GPUs")
	}
	file := filepath.Join(dir, "job.sh")
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not at hand")
	}
	out, err := exec.Command(bash, file).CombinedOutput()
	if want := "b c " + odd + "\n"; err != nil || string(out) != want {
		t.Errorf("%q (%v), want %q", out, err, want)
	}
}

func TestWhatSlurmSays(t *testing.T) {
	tasks := ParseTasks("12|0|RUNNING|node1|None\n12|1|PENDING||Resources, or a|bar\n12|2-5|PENDING||x\n13|N/A|RUNNING|node1|None\nslurm_load_jobs error\n\n12|7|CANCELLED by 0|\n")
	if len(tasks) != 2 || !tasks["12_0"].Alive() || tasks["12_0"].Waiting() || tasks["12_1"] != (Task{State: "PENDING", Reason: "Resources, or a|bar"}) || !tasks["12_1"].Waiting() {
		t.Errorf("tasks %v", tasks)
	}
	for text, want := range map[string]Task{
		"COMPLETED|n1|0:0\n":                    {State: "COMPLETED", Node: "n1", Exit: "0:0"},
		"CANCELLED by 1000|None assigned|0:0\n": {State: "CANCELLED", Reason: "by 1000", Node: "None assigned", Exit: "0:0"},
		"TIMEOUT|n1|0:1\nCOMPLETED|n1|0:0\n":    {State: "TIMEOUT", Node: "n1", Exit: "0:1"},
		"":                                      {},
		"sacct: error: Slurm accounting is off\n": {},
	} {
		got, ok := ParseAccount(text)
		if got != want || ok != (want.State != "") {
			t.Errorf("sacct's %q is %v, %v", text, got, ok)
		}
	}
	got, ok := ParseJob("JobId=3 ArrayJobId=2 JobName=JobState=x UserId=root(0) JobState=OUT_OF_MEMORY Reason=OutOfMemory ExitCode=0:125 NodeList=(null) Comment=JobState=RUNNING")
	if want := (Task{State: "OUT_OF_MEMORY", Reason: "OutOfMemory", Exit: "0:125"}); got != want || !ok {
		t.Errorf("scontrol's is %+v, want %+v", got, want)
	}
	for _, c := range []struct {
		t    Task
		want string
	}{
		{Task{State: "FAILED", Node: "n1", Exit: "3:0", Reason: "NonZeroExitCode"}, "SLURM says FAILED on n1, exit code 3:0 (NonZeroExitCode)"},
		{Task{State: "OUT_OF_MEMORY", Node: "n1"}, "SLURM ended it on n1 for want of memory: give more with mem="},
		{Task{}, "SLURM does not know it any more"},
	} {
		if got := c.t.Why(); got != c.want {
			t.Errorf("%v: %s", c.t, got)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&commandError{"sbatch", "sbatch: error: invalid partition specified: nowhere", errors.New("exit status 1")}, true},
		{&commandError{"sbatch", "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)", errors.New("exit status 1")}, false},
		{&commandError{"sbatch", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", errors.New("exit status 1")}, false},
		{&commandError{"squeue", "squeue: error: Invalid user", errors.New("exit status 1")}, false},
		{ErrMissing, false},
	} {
		if got := Refused(c.err); got != c.want {
			t.Errorf("%v: refused %v, want %v", c.err, got, c.want)
		}
	}
}

// TestNoAnswer has programs that complain of the controller and wait: what they would have come
// to is not known, so it is neither a refusal nor the end of a task.
func TestNoAnswer(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("sh is not at hand")
	}
	dir := t.TempDir()
	for name, script := range map[string]string{
		"sbatch":   "echo 'sbatch: error: Slurm job queue full, sleeping and retrying' >&2; exec sleep 60",
		"sacct":    "exit 1",
		"scontrol": "exec sleep 60",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	c := Commands{Patience: 300 * time.Millisecond}
	if _, err := c.Submit(t.Context(), "job.sh"); err == nil || Refused(err) || !strings.Contains(err.Error(), "no answer") || !strings.Contains(err.Error(), "queue full") {
		t.Errorf("sbatch that waits: %v, refused %v", err, Refused(err))
	}
	if task, _, err := c.Ended(t.Context(), "1_0"); err == nil {
		t.Errorf("scontrol that waits knows %+v", task)
	}
}

// FuzzAnswers reads anything as the answer of SLURM's programs.
func FuzzAnswers(f *testing.F) {
	f.Add("12|0|RUNNING|node1|None\n")
	f.Add("CANCELLED by 1000|None assigned|0:0\n")
	f.Add("JobId=3 JobState=OUT_OF_MEMORY Reason=OutOfMemory ExitCode=0:125 NodeList=(null)")
	f.Fuzz(func(t *testing.T, text string) {
		for id, task := range ParseTasks(text) {
			if array, index, ok := strings.Cut(id, "_"); !ok || index == "" || strings.Contains(array, "|") {
				t.Errorf("task %q", id)
			}
			_ = task.Why()
		}
		if task, ok := ParseAccount(text); ok && task.State == "" {
			t.Error("an ending without a state")
		}
		if task, ok := ParseJob(text); ok && task.State == "" {
			t.Error("a job without a state")
		}
	})
}

// FuzzQuote has any text come back from the shell as one word.
func FuzzQuote(f *testing.F) {
	for _, text := range []string{"", "a b", "it's", "$HOME", "a\nb", "-n", "\\"} {
		f.Add(text)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		f.Skip("bash is not at hand")
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x00") {
			t.Skip("no path has it")
		}
		out, err := exec.Command(bash, "-c", "printf %s "+Quote(text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("%q came back as %q (%v)", text, out, err)
		}
	})
}
