package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"evalnas/install"
)

// runCommand runs a command with arguments and returns what it wrote.
func runCommand(t *testing.T, cmd *cobra.Command, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&complaints)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err = cmd.ExecuteContext(t.Context())
	return out.String(), complaints.String(), err
}

func TestInstallAndUninstallCommands(t *testing.T) {
	prefix := t.TempDir()
	dir := filepath.Join(prefix, "share", "jupyter", "kernels", "my.kernel")
	place := []string{"--prefix", prefix, "--name", "my.kernel"}
	out, complaints, err := runCommand(t, newInstallCommand(), append(place, "--display-name", "Mine", "--env", "A=b=c")...)
	if err != nil || !strings.Contains(out, `installed kernel "my.kernel" in `+dir) {
		t.Fatalf("%s%s%v", out, complaints, err)
	}
	// A test binary lies in a temporary folder.
	if !strings.Contains(complaints, "warning: ") || !strings.Contains(complaints, "may vanish") {
		t.Errorf("no warning in %q", complaints)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "kernel.json"))
	if err != nil || !strings.Contains(string(raw), `"display_name": "Mine"`) || !strings.Contains(string(raw), `"A": "b=c"`) {
		t.Errorf("%s, %v", raw, err)
	}
	out, _, err = runCommand(t, newInstallCommand(), append(place, "--json")...)
	var done install.Installed
	if err != nil || json.Unmarshal([]byte(out), &done) != nil || !done.Replaced || done.Dir != dir {
		t.Errorf("%s, %v", out, err)
	}
	out, _, err = runCommand(t, newUninstallCommand(), place...)
	if err != nil || !strings.Contains(out, dir) {
		t.Errorf("%s, %v", out, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	if _, _, err = runCommand(t, newUninstallCommand(), place...); err == nil || !strings.Contains(err.Error(), `no kernel "my.kernel"`) {
		t.Errorf("second uninstall: %v", err)
	}
}

func TestInstallCommandsRefuse(t *testing.T) {
	t.Setenv("VIRTUAL_ENV", "")
	t.Setenv("CONDA_PREFIX", "")
	// Whatever slips through must not reach the real user's kernels.
	t.Setenv("JUPYTER_DATA_DIR", t.TempDir())
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--sys-prefix"}, "neither VIRTUAL_ENV nor CONDA_PREFIX"},
		{[]string{"--user", "--prefix", "x"}, "exclude each other"},
		{[]string{"--sys-prefix", "--prefix", "x"}, "exclude each other"},
		{[]string{"--prefix", ""}, "--prefix is empty"},
		{[]string{"--name", ""}, "1 to 100"},
		{[]string{"--name", "Two Words"}, "holds 'T'"},
		{[]string{"extra"}, "unknown command"},
		{[]string{"--nmae", "x"}, "unknown flag"},
	} {
		for _, cmd := range []*cobra.Command{newInstallCommand(), newUninstallCommand()} {
			if _, _, err := runCommand(t, cmd, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s %q: %v, want %q", cmd.Name(), c.args, err, c.want)
			}
		}
	}
	if _, _, err := runCommand(t, newInstallCommand(), "--env", "novalue"); err == nil || !strings.Contains(err.Error(), "KEY=VALUE") {
		t.Errorf("--env novalue: %v", err)
	}
	if _, _, err := runCommand(t, newDoctorCommand(), "--name", "A"); err == nil || !strings.Contains(err.Error(), "holds 'A'") {
		t.Errorf("doctor --name A: %v", err)
	}
}

func TestInstallForTheUser(t *testing.T) {
	data := t.TempDir()
	t.Setenv("JUPYTER_DATA_DIR", data)
	if out, _, err := runCommand(t, newInstallCommand()); err != nil || !strings.Contains(out, filepath.Join(data, "kernels", "evalnas")) {
		t.Errorf("%s, %v", out, err)
	}
}

func TestDoctorCommandReports(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	if _, err := install.Install(filepath.Join(data, "kernels"), install.Spec{Executable: exe}); err != nil {
		t.Fatal(err)
	}
	d := install.Doctor{
		Env: install.Env{OS: "linux", Home: data, Getenv: func(string) string { return "" }}, Executable: exe,
		LookPath:   func(string) (string, error) { return "/opt/bin/jupyter", nil },
		AskJupyter: func(context.Context, string) ([]string, error) { return []string{data}, nil },
		RunKernel: func(context.Context, []string, string, bool) (*install.KernelRun, error) {
			return &install.KernelRun{Version: "1", Result: "2"}, nil
		},
	}
	var out bytes.Buffer
	if err := runDoctor(t.Context(), d, &out, false); err != nil {
		t.Errorf("%v in\n%s", err, &out)
	}
	if n := strings.Count(out.String(), "ok    "); n != 3 {
		t.Errorf("%d lines are ok, want 3:\n%s", n, &out)
	}
	d.RunKernel = func(context.Context, []string, string, bool) (*install.KernelRun, error) {
		return nil, errors.New("silence")
	}
	out.Reset()
	if err := runDoctor(t.Context(), d, &out, true); !errors.Is(err, errUnwell) {
		t.Errorf("a failed check ended with %v", err)
	}
	var report install.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if report.OK || report.Kernel != nil || len(report.Checks) != 3 || !strings.Contains(report.Checks[2].Detail, "silence") {
		t.Errorf("report %+v", report)
	}
}
