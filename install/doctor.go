package install

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Status is the outcome of a check.
type Status string

// Only Fail makes the whole report a failure.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
)

// Check is one line of a report.
type Check struct {
	Name   string `json:"check"`
	Status Status `json:"status"`
	Detail string `json:"detail"`           // what was found
	Advice string `json:"advice,omitempty"` // what to do about it
}

// Report is what Doctor.Examine found.
type Report struct {
	OK     bool       `json:"ok"` // no check failed
	Checks []Check    `json:"checks"`
	Kernel *KernelRun `json:"kernel"` // null where the kernel did not run
}

// KernelRun is what a kernel said of itself, and how long it took. Times are
// in milliseconds.
type KernelRun struct {
	Implementation string  `json:"implementation"`
	Version        string  `json:"version"`
	Protocol       string  `json:"protocol_version"`
	Language       string  `json:"language"`
	StartMS        float64 `json:"start_ms"` // from the start of the process to kernel_info_reply
	CellMS         float64 `json:"cell_ms"`  // from execute_request to execute_reply and idle
	Result         string  `json:"result"`   // text/plain of the cell
}

// Doctor examines an installation. All fields but Env, Executable and
// RunKernel have useful zero values.
type Doctor struct {
	Env        Env
	Name       string // of the kernel; DefaultName if empty
	Executable string // absolute path of this program
	// RunKernel starts the kernel argv (with {connection_file} in it), asks
	// for its information, runs the cell and stops the kernel.
	RunKernel func(ctx context.Context, argv []string, cell string, encrypted bool) (*KernelRun, error)
	// LookPath finds a program on the PATH; exec.LookPath if nil.
	LookPath func(string) (string, error)
	// AskJupyter returns the data folders that a jupyter program searches;
	// nil runs "jupyter --paths --json".
	AskJupyter func(ctx context.Context, jupyter string) ([]string, error)
	// GPUs says in a sentence which GPUs there are and what comes of them; nil
	// leaves the check out.
	GPUs func(ctx context.Context) (string, error)
}

// Examine makes every check and reports them all, whatever fails.
func (d Doctor) Examine(ctx context.Context) *Report {
	if d.Name == "" {
		d.Name = DefaultName
	}
	if d.LookPath == nil {
		d.LookPath = exec.LookPath
	}
	if d.AskJupyter == nil {
		d.AskJupyter = askJupyter
	}
	r := &Report{}
	path := d.checkJupyter(ctx, r)
	d.checkSpecs(r, path)
	d.checkKernel(ctx, r)
	d.checkGPUs(ctx, r)
	r.OK = !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Status == Fail })
	return r
}

func (r *Report) add(name string, s Status, detail, advice string) {
	r.Checks = append(r.Checks, Check{name, s, detail, advice})
}

// checkJupyter returns the folders in which kernelspecs are searched. A
// missing jupyter is no failure: editors bring their own client.
func (d Doctor) checkJupyter(ctx context.Context, r *Report) []string {
	jupyter := d.findJupyter()
	if jupyter == "" {
		r.add("jupyter", Warn, "no jupyter on the PATH, in an active environment or in .venv",
			"install JupyterLab (python3 -m pip install jupyterlab) or activate its environment; an editor with a Jupyter client of its own needs neither")
		return d.Env.SearchPath(d.Env.ActivePrefix())
	}
	data, err := d.AskJupyter(ctx, jupyter)
	if err != nil {
		r.add("jupyter", Warn, fmt.Sprintf("%s does not tell its paths: %v", jupyter, err),
			"run "+jupyter+" --paths to see why; the checks below assume the usual paths")
		return d.Env.SearchPath(filepath.Dir(filepath.Dir(jupyter)))
	}
	path := kernelsBelow(data)
	r.add("jupyter", OK, jupyter+", searches "+strings.Join(path, ", "), "")
	return path
}

// findJupyter looks on the PATH, in the active environment, in that of the program (where
// a wheel puts it), and in .venv here and beside the program (where "make demo" puts it).
func (d Doctor) findJupyter() string {
	if found, err := d.LookPath("jupyter"); err == nil {
		if abs, err := filepath.Abs(found); err == nil {
			return abs
		}
	}
	beside := filepath.Dir(d.Executable)
	venvs := []string{d.Env.ActivePrefix(), filepath.Dir(beside), ".venv", filepath.Join(beside, ".venv"), filepath.Join(filepath.Dir(beside), ".venv")}
	for _, venv := range venvs {
		if venv == "" {
			continue
		}
		program := filepath.Join(venv, "bin", "jupyter")
		if d.Env.OS == "windows" {
			program = filepath.Join(venv, "Scripts", "jupyter.exe")
		}
		if abs, err := filepath.Abs(program); err == nil && isFile(abs) {
			return abs
		}
	}
	return ""
}

// askJupyter has 20 seconds: a cold Python on a network disk is slow.
func askJupyter(ctx context.Context, jupyter string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, jupyter, "--paths", "--json")
	cmd.Stderr = &complaint
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %.200s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	var paths struct{ Data []string }
	if err := json.Unmarshal(out, &paths); err != nil {
		return nil, fmt.Errorf("its answer is not JSON: %w", err)
	}
	if len(paths.Data) == 0 {
		return nil, errors.New("its answer names no data folders")
	}
	return paths.Data, nil
}

// foundSpec is a kernelspec on the search path.
type foundSpec struct {
	name, dir string
	spec      *kernelJSON
	err       error // why kernel.json could not be read
}

// findSpecs lists the specs that are named name or ours, in search order.
func findSpecs(path []string, name string) []foundSpec {
	var found []foundSpec
	for _, kernels := range path {
		entries, err := os.ReadDir(kernels)
		if err != nil {
			continue // most of the path does not exist on most machines
		}
		for _, e := range entries {
			f := foundSpec{name: strings.ToLower(e.Name()), dir: filepath.Join(kernels, e.Name())}
			f.spec, f.err = readKernelJSON(f.dir)
			if errors.Is(f.err, fs.ErrNotExist) || isNotDir(f.dir) {
				continue
			}
			if f.name == name || f.err == nil && f.spec.ours() {
				found = append(found, f)
			}
		}
	}
	return found
}

func isNotDir(path string) bool {
	info, err := os.Stat(path)
	return err != nil || !info.IsDir()
}

func (d Doctor) checkSpecs(r *Report, path []string) {
	first := make(map[string]string) // name -> folder of the spec that Jupyter uses
	for _, f := range findSpecs(path, d.Name) {
		if by, shadowed := first[f.name]; shadowed {
			r.add("kernelspec", Warn, fmt.Sprintf("%s is never used: %s comes first on the search path", f.dir, by),
				"remove the one that you do not want with evalnas uninstall and --user, --sys-prefix or --prefix")
			continue
		}
		first[f.name] = f.dir
		r.Checks = append(r.Checks, d.judge(f))
	}
	if first[d.Name] == "" {
		r.add("kernelspec", Fail, fmt.Sprintf("no kernel named %q on the search path", d.Name),
			"run evalnas install (with --sys-prefix for the active environment)")
	}
}

// judge says whether the spec that Jupyter uses starts this program. Troubles
// of specs under other names than the one asked for only warn.
func (d Doctor) judge(f foundSpec) Check {
	bad := Fail
	if f.name != d.Name {
		bad = Warn
	}
	again := "run evalnas install again for that place"
	at := func(s Status, detail, advice string) Check {
		return Check{"kernelspec", s, f.dir + detail, advice}
	}
	switch {
	case f.err != nil:
		return at(bad, fmt.Sprintf(" cannot be read: %v", f.err), "repair or remove it")
	case !f.spec.ours():
		return at(bad, fmt.Sprintf(" is another kernel (%q)", f.spec.DisplayName), "install under another --name, or remove it with jupyter kernelspec remove")
	case len(f.spec.Argv) == 0:
		return at(bad, " has no argv", again)
	}
	program := strings.ReplaceAll(f.spec.Argv[0], "{resource_dir}", f.dir)
	if _, err := os.Stat(program); err != nil {
		return at(bad, fmt.Sprintf(" starts a program that is not there: %v", err), again)
	}
	same, err := sameProgram(program, d.Executable)
	switch {
	case err != nil:
		return at(Warn, fmt.Sprintf(": %s cannot be compared with this program: %v", program, err), again)
	case !same:
		return at(Warn, fmt.Sprintf(" starts %s (version %s), which is not this program, %s", program, f.spec.Metadata.Evalnas.Version, d.Executable), again+" to use this one")
	}
	return at(OK, " starts "+program, "")
}

// sameProgram is true of one file under two names, and of two equal files.
func sameProgram(a, b string) (bool, error) {
	infoA, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	infoB, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	if os.SameFile(infoA, infoB) {
		return true, nil
	}
	if infoA.Size() != infoB.Size() {
		return false, nil
	}
	sumA, err := fileSum(a)
	if err != nil {
		return false, err
	}
	sumB, err := fileSum(b)
	return sumA == sumB, err
}

func fileSum(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (d Doctor) checkKernel(ctx context.Context, r *Report) {
	const cell, want = "1 + 1", "2"
	argv := []string{d.Executable, "kernel", "{connection_file}"}
	run, err := d.RunKernel(ctx, argv, cell, false)
	if err != nil {
		r.add("kernel", Fail, fmt.Sprintf("%s did not run a cell: %v", d.Executable, err),
			"run it by hand to see its messages: "+d.Executable+" kernel CONNECTION_FILE; a firewall on the loopback interface is another common cause")
		return
	}
	r.Kernel = run
	if run.Result != want {
		r.add("kernel", Fail, fmt.Sprintf("%s gave %q, not %s", cell, run.Result, want), "report this with the output of evalnas doctor --json")
		return
	}
	// The kernelspec promises it, and Jupyter can be told to demand it.
	if _, err := d.RunKernel(ctx, argv, cell, true); err != nil {
		r.add("kernel", Warn, fmt.Sprintf("%s runs cells, but with encrypted sockets (CURVE) it did not: %v", d.Executable, err),
			"leave KernelManager.transport_encryption disabled, and report this with the output of evalnas doctor --json")
		return
	}
	r.add("kernel", OK, fmt.Sprintf("%s %s, language %s, protocol %s; ready in %.0f ms, %s = %s in %.1f ms",
		run.Implementation, run.Version, run.Language, run.Protocol, run.StartMS, cell, run.Result, run.CellMS), "")
}

// checkGPUs never fails: nothing that the program does needs a GPU.
func (d Doctor) checkGPUs(ctx context.Context, r *Report) {
	if d.GPUs == nil {
		return
	}
	said, err := d.GPUs(ctx)
	if err != nil {
		r.add("gpu", Warn, err.Error(), "the kernel works without GPUs; only work that can use one misses them")
		return
	}
	r.add("gpu", OK, said, "")
}

// WriteText writes the report for people, a line a check.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "%-4s  %-10s  %s\n", c.Status, c.Name, c.Detail)
		if c.Advice != "" {
			fmt.Fprintf(&b, "                  -> %s\n", c.Advice)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
