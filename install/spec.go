package install

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// DefaultName is the kernel's name unless another is given.
const DefaultName = "evalnas"

// DefaultDisplayName is what Jupyter's launcher shows unless told otherwise.
const DefaultDisplayName = "evalnas (Starlark)"

//go:embed logo/logo-32x32.png logo/logo-64x64.png logo/logo-svg.svg
var logos embed.FS

// Spec is a kernelspec to write.
type Spec struct {
	Name        string            // folder name; DefaultName if empty
	DisplayName string            // DefaultDisplayName if empty
	Executable  string            // absolute path of the program, started as: Executable kernel CONNECTION_FILE
	Env         map[string]string // environment variables for the kernel
	Version     string            // of the program, kept as metadata
	// Copy puts a copy of the executable beside kernel.json and starts that
	// one, so that the spec survives the removal of the original.
	Copy bool
}

// kernelJSON is kernel.json, as "Making kernels for Jupyter" documents it.
type kernelJSON struct {
	Argv          []string          `json:"argv"`
	DisplayName   string            `json:"display_name"`
	Language      string            `json:"language"`
	InterruptMode string            `json:"interrupt_mode"`
	Env           map[string]string `json:"env,omitempty"`
	Metadata      kernelMetadata    `json:"metadata"`
}

type kernelMetadata struct {
	Debugger bool `json:"debugger"`
	// SupportedEncryption says what jupyter_client may ask for by the connection file.
	SupportedEncryption []string `json:"supported_encryption"`
	// Evalnas marks the specs that this program wrote and may replace or remove.
	Evalnas *ownMark `json:"evalnas,omitempty"`
}

type ownMark struct {
	Version string `json:"version"`
}

// Installed is the outcome of Install.
type Installed struct {
	Name     string   `json:"name"`
	Dir      string   `json:"dir"`      // the spec's folder
	Argv     []string `json:"argv"`     // the command in kernel.json
	Replaced bool     `json:"replaced"` // an older spec of ours was there
	Warnings []string `json:"warnings"`
}

// Install writes the spec into kernelsDir (see Env.KernelsDir), all of it or
// nothing: the folder is made elsewhere and renamed. An older spec of this
// program is replaced, another kernel's never.
func Install(kernelsDir string, s Spec) (*Installed, error) {
	s = s.withDefaults()
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("install: %w", err)
	}
	dir := filepath.Join(kernelsDir, s.Name)
	replaced, err := replaceable(dir)
	if err != nil {
		return nil, fmt.Errorf("install: %w", err)
	}
	argv := s.argv(dir)
	if err := s.place(kernelsDir, dir, argv); err != nil {
		return nil, fmt.Errorf("install %s: %w", dir, withAdvice(err))
	}
	return &Installed{Name: s.Name, Dir: dir, Argv: argv, Replaced: replaced, Warnings: s.warnings()}, nil
}

func (s Spec) withDefaults() Spec {
	if s.Name == "" {
		s.Name = DefaultName
	}
	if s.DisplayName == "" {
		s.DisplayName = DefaultDisplayName
	}
	return s
}

func (s Spec) validate() error {
	if err := CheckName(s.Name); err != nil {
		return err
	}
	if !filepath.IsAbs(s.Executable) {
		return fmt.Errorf("the executable %q is not an absolute path; Jupyter starts kernels from any folder", s.Executable)
	}
	if info, err := os.Stat(s.Executable); err != nil {
		return fmt.Errorf("the executable: %w", err)
	} else if info.IsDir() {
		return fmt.Errorf("the executable %s is a folder", s.Executable)
	}
	for k := range s.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") {
			return fmt.Errorf("%q is not a name of an environment variable", k)
		}
	}
	return nil
}

const maxName = 100

// CheckName says why a kernel name is not allowed, nil if it is. Jupyter lowers
// names, so capitals would give a spec another name than its folder.
func CheckName(name string) error {
	const rule = "a kernel name has 1 to 100 of a-z, 0-9, '.', '_' and '-', and starts and ends with a letter or digit"
	if name == "" || len(name) > maxName {
		return fmt.Errorf("the name %.20q has %d characters; %s", name, len(name), rule)
	}
	for _, r := range name {
		if !alphanumeric(r) && !strings.ContainsRune("._-", r) {
			return fmt.Errorf("the name %q holds %q; %s", name, r, rule)
		}
	}
	if !alphanumeric(rune(name[0])) || !alphanumeric(rune(name[len(name)-1])) {
		return fmt.Errorf("the name %q starts or ends with a sign; %s", name, rule)
	}
	return nil
}

func alphanumeric(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }

// ParseEnv reads assignments KEY=VALUE; the value may hold "=" and be empty.
func ParseEnv(assignments []string) (map[string]string, error) {
	env := make(map[string]string)
	for _, a := range assignments {
		k, v, ok := strings.Cut(a, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("--env %q is not an assignment; write --env KEY=VALUE", a)
		}
		if _, twice := env[k]; twice {
			return nil, fmt.Errorf("--env gives %s twice", k)
		}
		env[k] = v
	}
	return env, nil
}

// replaceable says whether dir holds a spec of ours; an error means that
// something is there which must stay.
func replaceable(dir string) (bool, error) {
	_, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, withAdvice(err)
	}
	k, err := readKernelJSON(dir)
	if err != nil {
		return false, fmt.Errorf("%s exists and is not a kernelspec of this program (%w); choose another --name or remove it", dir, err)
	}
	if !k.ours() {
		return false, fmt.Errorf("%s holds another kernel (%q); choose another --name or remove it with jupyter kernelspec remove", dir, k.DisplayName)
	}
	return true, nil
}

func (k *kernelJSON) ours() bool { return k.Metadata.Evalnas != nil }

// maxKernelJSON is far above any kernel.json.
const maxKernelJSON = 1 << 20

func readKernelJSON(dir string) (*kernelJSON, error) {
	f, err := os.Open(filepath.Join(dir, "kernel.json"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxKernelJSON))
	if err != nil {
		return nil, err
	}
	var k kernelJSON
	if err := json.Unmarshal(raw, &k); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return &k, nil
}

func (s Spec) argv(dir string) []string {
	exe := s.Executable
	if s.Copy {
		exe = filepath.Join(dir, s.copyName())
	}
	return []string{exe, "kernel", "{connection_file}"}
}

func (s Spec) copyName() string {
	if strings.HasSuffix(strings.ToLower(s.Executable), ".exe") {
		return "evalnas.exe"
	}
	return "evalnas"
}

// place writes the folder and moves it to dir. The work folder lies beside dir,
// on the same file system, and has no kernel.json itself, so Jupyter never
// lists it.
func (s Spec) place(kernelsDir, dir string, argv []string) (err error) {
	if err := os.MkdirAll(kernelsDir, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(kernelsDir, ".evalnas-install-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	fresh := filepath.Join(work, "new")
	if err := s.write(fresh, argv); err != nil {
		return err
	}
	return swap(fresh, dir, filepath.Join(work, "old"))
}

// swap renames fresh to dir; what was at dir goes to old, and comes back if the
// second rename fails.
func swap(fresh, dir, old string) error {
	err := os.Rename(dir, old)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	had := err == nil
	if err := os.Rename(fresh, dir); err != nil {
		if had {
			return errors.Join(err, os.Rename(old, dir))
		}
		return err
	}
	return nil
}

func (s Spec) write(dir string, argv []string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := s.writeLogos(dir); err != nil {
		return err
	}
	if s.Copy {
		if err := copyExecutable(s.Executable, filepath.Join(dir, s.copyName())); err != nil {
			return err
		}
	}
	text, err := s.kernelJSON(argv)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "kernel.json"), text, 0o644)
}

func (s Spec) writeLogos(dir string) error {
	entries, err := logos.ReadDir("logo")
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := logos.ReadFile("logo/" + e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s Spec) kernelJSON(argv []string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(kernelJSON{
		Argv:        argv,
		DisplayName: s.DisplayName,
		Language:    "starlark",
		// A signal would reach the workers that share the process group.
		InterruptMode: "message",
		Env:           maps.Clone(s.Env),
		Metadata:      kernelMetadata{SupportedEncryption: []string{"curve"}, Evalnas: &ownMark{s.Version}},
	})
	return b.Bytes(), err
}

func copyExecutable(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

func (s Spec) warnings() []string {
	if s.Copy {
		return []string{}
	}
	if why := temporary(s.Executable); why != "" {
		return []string{fmt.Sprintf("%s lies in %s and may vanish; build it to a lasting place and install from there, or install with --copy", s.Executable, why)}
	}
	return []string{}
}

// temporary says in what short-lived folder a program lies, "" if in none.
func temporary(exe string) string {
	for dir := filepath.Dir(exe); ; dir = filepath.Dir(dir) {
		if strings.HasPrefix(filepath.Base(dir), "go-build") {
			return "Go's build cache (as go run leaves it)"
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if within(os.TempDir(), exe) || runtime.GOOS != "windows" && within("/tmp", exe) {
		return "a temporary folder"
	}
	return ""
}

func within(folder, path string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// withAdvice adds what to do about errors of rights.
func withAdvice(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; choose a folder that you may write with --user or --prefix", err)
	}
	return err
}
