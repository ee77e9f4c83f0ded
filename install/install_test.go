package install

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// program makes a stand-in for the executable and returns its path.
func program(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "evalnas")
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func fakeEnv(goos string, vars map[string]string) Env {
	return Env{OS: goos, Home: filepath.FromSlash("/home/ada"), Getenv: func(k string) string { return vars[k] }}
}

func mustInstall(t *testing.T, dir string, s Spec) *Installed {
	t.Helper()
	done, err := Install(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestInstallWritesTheSpec(t *testing.T) {
	exe := program(t, "x")
	kernels := filepath.Join(t.TempDir(), "share", "jupyter", "kernels")
	done := mustInstall(t, kernels, Spec{Executable: exe, Version: "1.2.3", Env: map[string]string{"OMP": "1", "A": "x=<y>"}})
	if done.Dir != filepath.Join(kernels, "evalnas") || done.Replaced {
		t.Errorf("installed %+v", done)
	}
	if got := fileNames(t, kernels); !slices.Equal(got, []string{"evalnas"}) {
		t.Errorf("left %v in %s", got, kernels)
	}
	want := []string{"kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"}
	if got := fileNames(t, done.Dir); !slices.Equal(got, want) {
		t.Errorf("wrote %v, want %v", got, want)
	}
	checkGolden(t, filepath.Join(done.Dir, "kernel.json"), exe)
	for name, size := range map[string]int{"logo-32x32.png": 32, "logo-64x64.png": 64} {
		raw, err := os.ReadFile(filepath.Join(done.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(raw))
		if err != nil || img.Bounds().Dx() != size || img.Bounds().Dy() != size {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func checkGolden(t *testing.T, path, exe string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(exe)
	if err != nil {
		t.Fatal(err)
	}
	got := bytes.Replace(raw, quoted, []byte(`"EXECUTABLE"`), 1)
	golden := filepath.Join("testdata", "kernel.json.golden")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("kernel.json is\n%s\nwant (go test ./install -update accepts it)\n%s", got, want)
	}
}

func TestInstallReplacesItsOwnSpec(t *testing.T) {
	kernels := t.TempDir()
	exe := program(t, "x")
	first := mustInstall(t, kernels, Spec{Executable: exe})
	if err := os.WriteFile(filepath.Join(first.Dir, "stale"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	second := mustInstall(t, kernels, Spec{Executable: exe, DisplayName: "other"})
	if !second.Replaced || slices.Contains(fileNames(t, second.Dir), "stale") {
		t.Errorf("%+v left %v", second, fileNames(t, second.Dir))
	}
	k, err := readKernelJSON(second.Dir)
	if err != nil || k.DisplayName != "other" {
		t.Errorf("%+v, %v", k, err)
	}
	if got := fileNames(t, kernels); len(got) != 1 {
		t.Errorf("left %v", got)
	}
}

func writeForeign(t *testing.T, kernels, name string) {
	t.Helper()
	dir := filepath.Join(kernels, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kernel.json"), []byte(`{"argv": ["python3"], "display_name": "Python 3", "language": "python"}`), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestForeignSpecsStay(t *testing.T) {
	kernels := t.TempDir()
	writeForeign(t, kernels, "python3")
	if err := os.Mkdir(filepath.Join(kernels, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"python3": "another kernel", "empty": "not a kernelspec of this program"} {
		if _, err := Install(kernels, Spec{Name: name, Executable: program(t, "x")}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("install over %s: %v", name, err)
		}
		if _, err := Uninstall(kernels, name, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("uninstall of %s: %v", name, err)
		}
	}
	if got := fileNames(t, kernels); !slices.Equal(got, []string{"empty", "python3"}) {
		t.Errorf("left %v", got)
	}
}

func TestSwapPutsTheOldSpecBack(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "evalnas")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := swap(filepath.Join(root, "missing"), dir, filepath.Join(root, "old")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("swap: %v", err)
	}
	if got := fileNames(t, root); !slices.Equal(got, []string{"evalnas"}) {
		t.Errorf("left %v", got)
	}
}

func TestInstallCopy(t *testing.T) {
	kernels := t.TempDir()
	done := mustInstall(t, kernels, Spec{Executable: program(t, "the program"), Copy: true})
	raw, err := os.ReadFile(done.Argv[0])
	if err != nil || string(raw) != "the program" || filepath.Dir(done.Argv[0]) != done.Dir {
		t.Errorf("%v: %q, %v", done.Argv, raw, err)
	}
	if info, err := os.Stat(done.Argv[0]); err != nil || runtime.GOOS != "windows" && info.Mode()&0o100 == 0 {
		t.Errorf("the copy cannot be run: %v, %v", info, err)
	}
	if len(done.Warnings) > 0 {
		t.Errorf("a copy warns %v", done.Warnings)
	}
}

func TestInstallBadInput(t *testing.T) {
	exe := program(t, "x")
	for _, c := range []struct {
		name string
		spec Spec
		want string
	}{
		{"capitals", Spec{Name: "Evalnas", Executable: exe}, `holds 'E'`},
		{"slash", Spec{Name: "a/b", Executable: exe}, `holds '/'`},
		{"dots", Spec{Name: "..", Executable: exe}, "starts or ends with a sign"},
		{"long", Spec{Name: strings.Repeat("a", 101), Executable: exe}, "101 characters"},
		{"unicode", Spec{Name: "é", Executable: exe}, "holds 'é'"},
		{"relative", Spec{Executable: "evalnas"}, "not an absolute path"},
		{"missing", Spec{Executable: exe + "x"}, "the executable"},
		{"folder", Spec{Executable: filepath.Dir(exe)}, "is a folder"},
		{"env", Spec{Executable: exe, Env: map[string]string{"A=B": ""}}, "not a name of an environment variable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kernels := t.TempDir()
			if _, err := Install(kernels, c.spec); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if got := fileNames(t, kernels); len(got) > 0 {
				t.Errorf("left %v", got)
			}
		})
	}
}

func TestInstallIntoAFile(t *testing.T) {
	// A file where a folder should be fails for every user, root included.
	blocked := program(t, "x")
	if _, err := Install(filepath.Join(blocked, "kernels"), Spec{Executable: program(t, "x")}); err == nil {
		t.Error("installed below a file")
	}
}

func TestInstallUnwritable(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Create(filepath.Join(dir, "probe")); err == nil {
		f.Close()
		t.Skip("this user (root, or on Windows any) may write to read-only folders")
	}
	_, err := Install(filepath.Join(dir, "kernels"), Spec{Executable: program(t, "x")})
	if err == nil || !strings.Contains(err.Error(), "--user or --prefix") {
		t.Errorf("got %v", err)
	}
}

func TestPermissionErrorsSayWhatToDo(t *testing.T) {
	err := withAdvice(&os.PathError{Op: "mkdir", Path: "/usr/share", Err: os.ErrPermission})
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "--user or --prefix") {
		t.Errorf("got %v", err)
	}
}

func TestParseEnv(t *testing.T) {
	env, err := ParseEnv([]string{"A=1", "B=", "C=x=y"})
	if err != nil || env["A"] != "1" || env["B"] != "" || env["C"] != "x=y" || len(env) != 3 {
		t.Errorf("%v, %v", env, err)
	}
	for _, bad := range [][]string{{"A"}, {"=1"}, {"A=1", "A=2"}} {
		if _, err := ParseEnv(bad); err == nil {
			t.Errorf("%v was read", bad)
		}
	}
}

func TestUninstall(t *testing.T) {
	here, there := t.TempDir(), t.TempDir()
	path := []string{here, there}
	exe := program(t, "x")
	mustInstall(t, there, Spec{Executable: exe})
	if _, err := Uninstall(here, "evalnas", path); err == nil || !strings.Contains(err.Error(), "it is at") || !strings.Contains(err.Error(), filepath.Base(there)) {
		t.Errorf("elsewhere: %v", err)
	}
	dir, err := Uninstall(there, "evalnas", path)
	if err != nil || dir != filepath.Join(there, "evalnas") || len(fileNames(t, there)) != 0 {
		t.Errorf("%s, %v, left %v", dir, err, fileNames(t, there))
	}
	if _, err := Uninstall(there, "evalnas", path); err == nil || !strings.Contains(err.Error(), "nor elsewhere") {
		t.Errorf("nowhere: %v", err)
	}
	if _, err := Uninstall(there, "../x", path); err == nil {
		t.Error("a path was taken for a name")
	}
}

func TestKernelsDir(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the wanted paths are absolute on Unix only")
	}
	for _, c := range []struct {
		name   string
		goos   string
		vars   map[string]string
		target Target
		want   string // or part of the error
	}{
		{"linux", "linux", nil, Target{}, "/home/ada/.local/share/jupyter/kernels"},
		{"xdg", "linux", map[string]string{"XDG_DATA_HOME": "/xdg"}, Target{User: true}, "/xdg/jupyter/kernels"},
		{"data dir", "darwin", map[string]string{"JUPYTER_DATA_DIR": "/data"}, Target{}, "/data/kernels"},
		{"mac", "darwin", nil, Target{}, "/home/ada/Library/Jupyter/kernels"},
		{"windows", "windows", map[string]string{"APPDATA": "/roaming"}, Target{}, "/roaming/jupyter/kernels"},
		{"windows bare", "windows", nil, Target{}, "/home/ada/.jupyter/data/kernels"},
		{"mac platform", "darwin", map[string]string{"JUPYTER_PLATFORM_DIRS": "1"}, Target{}, "/home/ada/Library/Application Support/jupyter/kernels"},
		{"mac platform off", "darwin", map[string]string{"JUPYTER_PLATFORM_DIRS": "False"}, Target{}, "/home/ada/Library/Jupyter/kernels"},
		{"windows platform", "windows", map[string]string{"JUPYTER_PLATFORM_DIRS": "1", "LOCALAPPDATA": "/local", "APPDATA": "/roaming"}, Target{}, "/local/jupyter/kernels"},
		{"venv", "linux", map[string]string{"VIRTUAL_ENV": "/v", "CONDA_PREFIX": "/c"}, Target{SysPrefix: true}, "/v/share/jupyter/kernels"},
		{"conda", "linux", map[string]string{"CONDA_PREFIX": "/c"}, Target{SysPrefix: true}, "/c/share/jupyter/kernels"},
		{"no env", "linux", nil, Target{SysPrefix: true}, "neither VIRTUAL_ENV nor CONDA_PREFIX"},
		{"prefix", "linux", nil, Target{Prefix: "/opt/j"}, "/opt/j/share/jupyter/kernels"},
		{"two", "linux", nil, Target{User: true, Prefix: "/opt/j"}, "exclude each other"},
		{"two more", "linux", map[string]string{"VIRTUAL_ENV": "/v"}, Target{SysPrefix: true, Prefix: "/opt/j"}, "exclude each other"},
		{"user and sys", "linux", map[string]string{"VIRTUAL_ENV": "/v"}, Target{User: true, SysPrefix: true}, "exclude each other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := fakeEnv(c.goos, c.vars).KernelsDir(c.target)
			if err != nil {
				got = err.Error()
			}
			if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestRelativePrefixBecomesAbsolute(t *testing.T) {
	t.Chdir(t.TempDir())
	got, err := fakeEnv(runtime.GOOS, nil).KernelsDir(Target{Prefix: "env"})
	if err != nil || !filepath.IsAbs(got) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestSearchPathOrder(t *testing.T) {
	venv := t.TempDir()
	if err := os.WriteFile(filepath.Join(venv, "pyvenv.cfg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	user := filepath.FromSlash("/home/ada/.local/share/jupyter/kernels")
	inVenv := filepath.Join(venv, "share", "jupyter", "kernels")
	for _, c := range []struct {
		prefer string
		first  string
	}{{"", inVenv}, {"0", user}, {"1", inVenv}} {
		got := fakeEnv("linux", map[string]string{"JUPYTER_PREFER_ENV_PATH": c.prefer}).SearchPath(venv)
		if got[0] != c.first || !slices.Contains(got, user) || !slices.Contains(got, inVenv) || len(got) != 4 {
			t.Errorf("prefer %q: %v", c.prefer, got)
		}
	}
	list := strings.Join([]string{"x", "y"}, string(os.PathListSeparator))
	got := fakeEnv("linux", map[string]string{"JUPYTER_PATH": list}).SearchPath("")
	if len(got) != 5 || got[0] != filepath.Join("x", "kernels") || got[2] != user {
		t.Errorf("JUPYTER_PATH: %v", got)
	}
}

func TestTemporary(t *testing.T) {
	for path, want := range map[string]bool{
		"/home/ada/.cache/go-build/ab/abcd/evalnas":          true,
		"/somewhere/go-build123/b001/exe/evalnas":            true,
		filepath.Join(os.TempDir(), "x", "evalnas"):          true,
		"/home/ada/bin/evalnas":                              false,
		"/home/ada/go-builder-not/../go/bin/evalnas":         false,
		filepath.Join(filepath.Dir(os.TempDir()), "evalnas"): false,
	} {
		if got := temporary(filepath.Clean(path)) != ""; got != want {
			t.Errorf("temporary(%s) is %v", path, got)
		}
	}
}

// fakeDoctor examines one search path with a kernel that answers.
func fakeDoctor(exe string, data ...string) Doctor {
	return Doctor{
		Env: fakeEnv("linux", nil), Executable: exe,
		LookPath:   func(string) (string, error) { return "/opt/bin/jupyter", nil },
		AskJupyter: func(context.Context, string) ([]string, error) { return data, nil },
		RunKernel: func(_ context.Context, argv []string, cell string, _ bool) (*KernelRun, error) {
			if cell != "1 + 1" || argv[0] != exe {
				return nil, errors.New("asked for something else")
			}
			return &KernelRun{Implementation: "evalnas", Version: "1", Result: "2", StartMS: 12.3}, nil
		},
	}
}

func statuses(r *Report) (out []string) {
	for _, c := range r.Checks {
		out = append(out, c.Name+" "+string(c.Status))
	}
	return out
}

func TestDoctor(t *testing.T) {
	exe, other := program(t, "x"), program(t, "another program")
	put := func(t *testing.T, s Spec) string {
		data := t.TempDir()
		mustInstall(t, filepath.Join(data, "kernels"), s)
		return data
	}
	ok := func(t *testing.T) string { return put(t, Spec{Executable: exe}) }
	for _, c := range []struct {
		name  string
		setup func(t *testing.T) Doctor
		want  []string
		text  string // in the report
	}{
		{"all well", func(t *testing.T) Doctor { return fakeDoctor(exe, ok(t)) },
			[]string{"jupyter ok", "kernelspec ok", "kernel ok"}, "1 + 1 = 2"},
		{"copy", func(t *testing.T) Doctor { return fakeDoctor(exe, put(t, Spec{Executable: exe, Copy: true})) },
			[]string{"jupyter ok", "kernelspec ok", "kernel ok"}, ""},
		{"not installed", func(t *testing.T) Doctor { return fakeDoctor(exe, t.TempDir()) },
			[]string{"jupyter ok", "kernelspec fail", "kernel ok"}, "-> run evalnas install"},
		{"shadowed", func(t *testing.T) Doctor { return fakeDoctor(exe, ok(t), ok(t)) },
			[]string{"jupyter ok", "kernelspec ok", "kernelspec warn", "kernel ok"}, "is never used"},
		{"another program", func(t *testing.T) Doctor { return fakeDoctor(exe, put(t, Spec{Executable: other, Version: "0.9"})) },
			[]string{"jupyter ok", "kernelspec warn", "kernel ok"}, "(version 0.9), which is not this program"},
		{"program gone", func(t *testing.T) Doctor {
			gone := program(t, "x")
			data := put(t, Spec{Executable: gone})
			if err := os.Remove(gone); err != nil {
				t.Fatal(err)
			}
			return fakeDoctor(exe, data)
		}, []string{"jupyter ok", "kernelspec fail", "kernel ok"}, "not there"},
		{"foreign", func(t *testing.T) Doctor {
			data := t.TempDir()
			writeForeign(t, filepath.Join(data, "kernels"), "evalnas")
			return fakeDoctor(exe, data)
		}, []string{"jupyter ok", "kernelspec fail", "kernel ok"}, `another kernel ("Python 3")`},
		{"damaged", func(t *testing.T) Doctor {
			data := ok(t)
			if err := os.WriteFile(filepath.Join(data, "kernels", "evalnas", "kernel.json"), []byte("{"), 0o644); err != nil {
				t.Fatal(err)
			}
			return fakeDoctor(exe, data)
		}, []string{"jupyter ok", "kernelspec fail", "kernel ok"}, "cannot be read"},
		{"other name of ours", func(t *testing.T) Doctor {
			return fakeDoctor(exe, ok(t), put(t, Spec{Name: "second", Executable: other}))
		},
			[]string{"jupyter ok", "kernelspec ok", "kernelspec warn", "kernel ok"}, "second"},
		{"no jupyter", func(t *testing.T) Doctor {
			d := fakeDoctor(exe)
			d.LookPath = func(string) (string, error) { return "", exec.ErrNotFound }
			d.Env = fakeEnv("linux", map[string]string{"JUPYTER_PATH": ok(t)})
			t.Chdir(t.TempDir())
			return d
		}, []string{"jupyter warn", "kernelspec ok", "kernel ok"}, "install JupyterLab"},
		{"mute jupyter", func(t *testing.T) Doctor {
			d := fakeDoctor(exe)
			d.AskJupyter = func(context.Context, string) ([]string, error) { return nil, errors.New("exit status 1") }
			d.Env = fakeEnv("linux", map[string]string{"JUPYTER_PATH": ok(t)})
			return d
		}, []string{"jupyter warn", "kernelspec ok", "kernel ok"}, "exit status 1"},
		{"kernel fails", func(t *testing.T) Doctor {
			d := fakeDoctor(exe, ok(t))
			d.RunKernel = func(context.Context, []string, string, bool) (*KernelRun, error) { return nil, errors.New("no answer") }
			return d
		}, []string{"jupyter ok", "kernelspec ok", "kernel fail"}, "no answer"},
		{"kernel fails encrypted", func(t *testing.T) Doctor {
			d := fakeDoctor(exe, ok(t))
			d.RunKernel = func(_ context.Context, _ []string, _ string, encrypted bool) (*KernelRun, error) {
				if encrypted {
					return nil, errors.New("no answer")
				}
				return &KernelRun{Result: "2"}, nil
			}
			return d
		}, []string{"jupyter ok", "kernelspec ok", "kernel warn"}, "with encrypted sockets (CURVE) it did not: no answer"},
		{"kernel cannot add", func(t *testing.T) Doctor {
			d := fakeDoctor(exe, ok(t))
			d.RunKernel = func(context.Context, []string, string, bool) (*KernelRun, error) { return &KernelRun{Result: "3"}, nil }
			return d
		}, []string{"jupyter ok", "kernelspec ok", "kernel fail"}, `gave "3"`},
		{"a GPU", func(t *testing.T) Doctor {
			d := fakeDoctor(exe, ok(t))
			d.GPUs = func(context.Context) (string, error) { return "0 NVIDIA A100; unused", nil }
			return d
		}, []string{"jupyter ok", "kernelspec ok", "kernel ok", "gpu ok"}, "ok    gpu         0 NVIDIA A100; unused\n"},
		{"a driver that fails", func(t *testing.T) Doctor {
			d := fakeDoctor(exe, ok(t))
			d.GPUs = func(context.Context) (string, error) { return "", errors.New("no driver") }
			return d
		}, []string{"jupyter ok", "kernelspec ok", "kernel ok", "gpu warn"}, "warn  gpu         no driver\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.setup(t).Examine(t.Context())
			var text strings.Builder
			if err := r.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(statuses(r), c.want) || !strings.Contains(text.String(), c.text) {
				t.Errorf("want %q and %q in\n%s", c.want, c.text, &text)
			}
			if failed := strings.Contains(strings.Join(c.want, " "), "fail"); r.OK == failed {
				t.Errorf("ok is %v", r.OK)
			}
		})
	}
}

func TestFindJupyterInTheVenvBeside(t *testing.T) {
	root := t.TempDir()
	jupyter := filepath.Join(root, ".venv", "bin", "jupyter")
	if err := os.MkdirAll(filepath.Dir(jupyter), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(jupyter, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	d := fakeDoctor(filepath.Join(root, "bin", "evalnas"))
	d.LookPath = func(string) (string, error) { return "", exec.ErrNotFound }
	if got := d.findJupyter(); got != jupyter {
		t.Errorf("found %q, want %q", got, jupyter)
	}
}

// The real Jupyter, where there is one, agrees on where specs are.
func TestJupyterListsTheSpec(t *testing.T) {
	jupyter, err := exec.LookPath("jupyter")
	if err != nil {
		t.Skip("no jupyter on the PATH")
	}
	data := t.TempDir()
	t.Setenv("JUPYTER_DATA_DIR", data)
	env, err := HostEnv()
	if err != nil {
		t.Fatal(err)
	}
	kernels, err := env.KernelsDir(Target{})
	if err != nil {
		t.Fatal(err)
	}
	done := mustInstall(t, kernels, Spec{Name: "evalnas-test", Executable: program(t, "x")})
	out, err := exec.Command(jupyter, "kernelspec", "list", "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Kernelspecs map[string]struct {
			ResourceDir string `json:"resource_dir"`
		}
	}
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatal(err)
	}
	if got := list.Kernelspecs["evalnas-test"].ResourceDir; got != done.Dir {
		t.Errorf("jupyter finds %q, want %q in %s", got, done.Dir, out)
	}
	paths, err := askJupyter(t.Context(), jupyter)
	if err != nil || !slices.Contains(paths, data) {
		t.Errorf("jupyter searches %v, %v; want %s among them", paths, err, data)
	}
}
