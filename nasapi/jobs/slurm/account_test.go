//go:build !windows

package slurm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs makes a PATH of scripts of the shell, by their names.
func programs(t *testing.T, scripts map[string]string) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("a shell is not at hand")
	}
	dir := t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!"+sh+"\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

// TestEnded has SLURM with an accounting, without one, and with one that does not know yet.
func TestEnded(t *testing.T) {
	const (
		asked     = `case "$*" in *--jobs=7_3*) ;; *) echo "asked for $*" >&2; exit 9 ;; esac` + "\n"
		sacct     = asked + "echo 'TIMEOUT|n1|0:15'"
		disabled  = "echo 'Slurm accounting storage is disabled' >&2; exit 1"
		scontrol  = `[ "$*" = "show job --oneliner 7_3" ] || exit 9; echo 'JobId=9 ArrayJobId=7 JobState=FAILED Reason=NonZeroExitCode ExitCode=3:0 NodeList=n2'`
		forgotten = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
		deaf      = "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1"
	)
	accounted := Task{State: "TIMEOUT", Node: "n1", Exit: "0:15"}
	remembered := Task{State: "FAILED", Reason: "NonZeroExitCode", Node: "n2", Exit: "3:0"}
	for _, c := range []struct {
		name            string
		sacct, scontrol string // "": not there
		want            Task
		err             string
	}{
		{"the accounting comes first", sacct, scontrol, accounted, ""},
		{"the controller has forgotten", sacct, forgotten, accounted, ""},
		{"the controller does not answer", sacct, deaf, accounted, ""},
		{"no sacct", "", scontrol, remembered, ""},
		{"no accounting behind it", disabled, scontrol, remembered, ""},
		{"the accounting does not know it yet", ":", scontrol, remembered, ""},
		{"nobody knows it", ":", forgotten, Task{}, ""},
		{"nobody answers", disabled, deaf, Task{}, "Unable to contact slurm controller"},
		{"neither program is there", "", "", Task{}, "no scontrol on the PATH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			scripts := map[string]string{}
			for name, text := range map[string]string{"sacct": c.sacct, "scontrol": c.scontrol} {
				if text != "" {
					scripts[name] = text
				}
			}
			programs(t, scripts)
			got, ok, err := Commands{}.Ended(t.Context(), "7_3")
			if got != c.want || ok != (c.want.State != "") {
				t.Errorf("it ended as %+v (%v), want %+v", got, ok, c.want)
			}
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}
