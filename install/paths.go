package install

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Env is what the places of kernelspecs depend on.
type Env struct {
	OS     string              // as runtime.GOOS
	Home   string              // the user's home folder
	Getenv func(string) string // "" for what is not set
}

// HostEnv is the environment of this process.
func HostEnv() (Env, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return Env{}, fmt.Errorf("find the home folder: %w", err)
	}
	return Env{OS: runtime.GOOS, Home: home, Getenv: os.Getenv}, nil
}

// Target says for whom a kernel is installed: for the user (the zero value),
// into the active Python environment, or under a prefix. At most one field may
// be set.
type Target struct {
	User      bool
	SysPrefix bool
	Prefix    string
}

// KernelsDir is the folder that holds the kernelspecs of a target.
func (e Env) KernelsDir(t Target) (string, error) {
	data, err := e.dataDir(t)
	if err != nil {
		return "", err
	}
	// kernel.json outlives the current folder.
	data, err = filepath.Abs(data)
	if err != nil {
		return "", err
	}
	return filepath.Join(data, "kernels"), nil
}

func (e Env) dataDir(t Target) (string, error) {
	switch {
	case t.User && t.SysPrefix, t.User && t.Prefix != "", t.SysPrefix && t.Prefix != "":
		return "", errors.New("--user, --sys-prefix and --prefix exclude each other; give one of them")
	case t.Prefix != "":
		return filepath.Join(t.Prefix, "share", "jupyter"), nil
	case t.SysPrefix:
		prefix := e.ActivePrefix()
		if prefix == "" {
			return "", errors.New("--sys-prefix needs an active Python environment, but neither VIRTUAL_ENV nor CONDA_PREFIX is set; activate one, or name its folder with --prefix")
		}
		return filepath.Join(prefix, "share", "jupyter"), nil
	}
	return e.userDataDir(), nil
}

// ActivePrefix is the folder of the active Python environment, "" if none is.
func (e Env) ActivePrefix() string {
	if p := e.Getenv("VIRTUAL_ENV"); p != "" {
		return p
	}
	return e.Getenv("CONDA_PREFIX")
}

// userDataDir follows jupyter_core.paths.jupyter_data_dir.
func (e Env) userDataDir() string {
	if dir := e.Getenv("JUPYTER_DATA_DIR"); dir != "" {
		return dir
	}
	switch platform := isSet(e.Getenv("JUPYTER_PLATFORM_DIRS")); e.OS {
	case "darwin":
		if platform {
			return filepath.Join(e.Home, "Library", "Application Support", "jupyter")
		}
		return filepath.Join(e.Home, "Library", "Jupyter")
	case "windows":
		if dir := e.Getenv("LOCALAPPDATA"); platform && dir != "" {
			return filepath.Join(dir, "jupyter")
		}
		if dir := e.Getenv("APPDATA"); dir != "" {
			return filepath.Join(dir, "jupyter")
		}
		return filepath.Join(e.Home, ".jupyter", "data")
	}
	if dir := e.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "jupyter")
	}
	return filepath.Join(e.Home, ".local", "share", "jupyter")
}

// SearchPath lists the folders of kernelspecs in the order in which Jupyter
// reads them, for the Python environment at prefix ("": none is known). The
// first spec of a name wins. Jupyter itself says it better where it can be
// asked (see Doctor): it knows whether its Python is a virtual environment.
func (e Env) SearchPath(prefix string) []string {
	var data []string
	if path := e.Getenv("JUPYTER_PATH"); path != "" {
		data = append(data, filepath.SplitList(path)...)
	}
	own := []string{e.userDataDir()}
	if prefix != "" {
		env := filepath.Join(prefix, "share", "jupyter")
		if e.prefersEnvironment(prefix) {
			own = []string{env, own[0]}
		} else {
			own = append(own, env)
		}
	}
	data = append(data, own...)
	if e.OS != "windows" {
		data = append(data, "/usr/local/share/jupyter", "/usr/share/jupyter")
	}
	return kernelsBelow(data)
}

// prefersEnvironment follows jupyter_core: in a virtual environment its specs
// go before the user's, unless a variable says otherwise.
func (e Env) prefersEnvironment(prefix string) bool {
	if v := e.Getenv("JUPYTER_PREFER_ENV_PATH"); v != "" {
		return isSet(v)
	}
	_, err := os.Stat(filepath.Join(prefix, "pyvenv.cfg"))
	return err == nil
}

// isSet reads a switch as jupyter_core does.
func isSet(v string) bool {
	switch strings.ToLower(v) {
	case "", "no", "n", "false", "off", "0", "0.0":
		return false
	}
	return true
}

// kernelsBelow appends kernels to each folder and drops repeated ones.
func kernelsBelow(data []string) []string {
	seen := make(map[string]bool)
	var dirs []string
	for _, d := range data {
		dir := filepath.Join(d, "kernels")
		if d != "" && !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}
