package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Uninstall removes the kernelspec of a name from kernelsDir and returns the
// folder that was removed. A spec of another program is refused. Where there is
// none, the error says where else on the search path the name is.
func Uninstall(kernelsDir, name string, searchPath []string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", fmt.Errorf("uninstall: %w", err)
	}
	dir := filepath.Join(kernelsDir, name)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", notInstalled(dir, name, searchPath)
	}
	k, err := readKernelJSON(dir)
	if err != nil {
		return "", fmt.Errorf("uninstall: %s is not a kernelspec of this program, so it stays: %w", dir, err)
	}
	if !k.ours() {
		return "", fmt.Errorf("uninstall: %s holds another kernel (%q), so it stays; jupyter kernelspec remove %s removes it", dir, k.DisplayName, name)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("uninstall: %w", withAdvice(err))
	}
	return dir, nil
}

func notInstalled(dir, name string, searchPath []string) error {
	msg := fmt.Sprintf("uninstall: no kernel %q at %s", name, dir)
	var elsewhere []string
	for _, path := range searchPath {
		other := filepath.Join(path, name)
		if _, err := os.Stat(filepath.Join(other, "kernel.json")); err == nil && other != dir {
			elsewhere = append(elsewhere, other)
		}
	}
	if len(elsewhere) > 0 {
		return fmt.Errorf("%s; it is at %q: choose that with --user, --sys-prefix or --prefix", msg, elsewhere)
	}
	return fmt.Errorf("%s, nor elsewhere on the search path %q", msg, searchPath)
}
