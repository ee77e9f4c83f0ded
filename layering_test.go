package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layer says what the packages of one folder may import of the project. The
// first layer whose folder holds a package is the package's own.
type layer struct {
	folder string
	may    []string // folders; the own one is always allowed
	why    string
}

// layers is the direction of imports: a package may use what stands in may, and
// so may everything that it reaches through others.
var layers = []layer{
	{"nasapi/rng", nil, "every result hangs on it, so it hangs on nothing"},
	{"nasapi/nearest", nil, "every layer names what was meant"},
	{"nasapi/detmath", nil, "elementary functions take plain numbers"},
	{"nasapi/jobs/gpu", nil, "which GPUs there are does not depend on what they are for"},
	{"nasapi/nn/cpu/kernel", nil, "inner loops take plain numbers"},
	{"nasapi/child", nil, "a program is spoken with whatever it is for"},
	{"nasapi/trainer", []string{"nasapi/child"}, "a training program is spoken with whatever it trains"},
	{"nasapi/host", nil, "what a machine has is asked without knowing for what"},
	{"nasapi/nn", []string{"nasapi/host", "nasapi/rng", "nasapi/detmath", "nasapi/nearest"}, "the engine knows no architectures"},
	{"nasapi/data", []string{"nasapi/rng", "nasapi/nearest"}, "images know no networks"},
	{"nasapi/net", []string{"nasapi/nn", "nasapi/host", "nasapi/space", "nasapi/rng", "nasapi/detmath", "nasapi/nearest"}, "networks are built from architectures and operators"},
	{"nasapi/train", []string{"nasapi/nn", "nasapi/host", "nasapi/net", "nasapi/data", "nasapi/space", "nasapi/rng", "nasapi/detmath", "nasapi/nearest", "nasapi/stats"}, "the training loop joins networks and data"},
	{"nasapi/stats", []string{"nasapi/rng", "nasapi/detmath"}, "statistics take plain numbers"},
	{"plotting", nil, "figures take plain data"},
	{"nasapi/space", []string{"nasapi/rng", "nasapi/nearest"}, "a space knows neither tables nor policies"},
	{"nasapi/table", []string{"nasapi/space", "nasapi/rng", "nasapi/stats", "nasapi/nearest"}, "a table answers for architectures, whoever asks"},
	{"nasapi/objective", []string{"nasapi/space", "nasapi/table", "nasapi/rng", "nasapi/stats", "nasapi/nearest"}, "an objective scores architectures, whoever asks"},
	{"nasapi/policy", []string{"nasapi/space", "nasapi/rng", "nasapi/stats", "nasapi/detmath", "nasapi/nearest"}, "a policy knows neither Jupyter nor SLURM, and its objective is handed to it"},
	{"nasapi/shared", []string{"nasapi/policy", "nasapi/train", "nasapi/nn", "nasapi/host", "nasapi/net", "nasapi/data", "nasapi/space", "nasapi/rng", "nasapi/detmath", "nasapi/nearest", "nasapi/stats"}, "shared weights are trained between a policy and a network, whoever asks"},
	{"nasapi/report", []string{"nasapi"}, "a report is plain data: whoever shows it writes the numbers"},
	{"nasapi", []string{"nasapi"}, "the API knows neither Jupyter nor figures"},
	{"kernel/commands", []string{"kernel", "nasapi", "plotting"}, "the builtins of the cells join the language, the API and the figures"},
	{"kernel", []string{"nasapi/nearest"}, "protocol and language serve any commands: neither knows of architectures"},
	{"install", nil, "a kernelspec is files; the command tree starts the kernel"},
	{"bench", []string{"kernel", "nasapi", "plotting", "install"}, "benchmarks may drive anything but the command tree"},
	{"", []string{"kernel", "nasapi", "plotting", "install"}, "the command tree joins all but the benchmarks"},
}

// confined keeps a dependency in the folders that are meant to hide it.
var confined = []struct {
	dependency string
	folders    []string
	why        string
}{
	{"github.com/go-zeromq/zmq4", []string{"kernel", "bench"}, "sockets live behind the guarded transport"},
	{"go.starlark.net", []string{"kernel/starlark", "kernel/commands"}, "the language of the cells is one implementation of kernel.Language"},
	{"gorgonia.org/gorgonia", []string{"nasapi/policy"}, "only controllers are built on Gorgonia"},
	{"gorgonia.org/tensor", []string{"nasapi/policy"}, "only controllers are built on Gorgonia"},
	{"gorgonia.org/cu", []string{"nasapi/jobs/gpu"}, "CUDA's driver is loaded in one place, behind a build tag"},
	{"github.com/parquet-go/parquet-go", []string{"nasapi/table"}, "tables of files are read and written in one place"},
	{"gonum.org/v1/plot", []string{"plotting"}, "figures are drawn in one place and one style"},
}

func TestImportsGoDown(t *testing.T) {
	imports := projectImports(t)
	if len(imports) < 5 {
		t.Fatalf("found only %d packages from the root of the project: %v", len(imports), imports)
	}
	for pkg := range imports {
		own := layerOf(pkg)
		for _, reached := range reachable(imports, pkg) {
			if !within(reached, "") || own.folder != "" && within(reached, own.folder) {
				continue
			}
			if !slices.ContainsFunc(own.may, func(f string) bool { return within(reached, f) }) {
				t.Errorf("%s reaches %s; it may use only %q: %s", pkg, reached, own.may, own.why)
			}
		}
	}
}

func TestDependenciesStayWhereTheyAreHidden(t *testing.T) {
	for pkg, direct := range projectImports(t) {
		for _, c := range confined {
			for _, imported := range direct {
				if imported != c.dependency && !strings.HasPrefix(imported, c.dependency+"/") {
					continue
				}
				if !slices.ContainsFunc(c.folders, func(f string) bool { return within(pkg, f) }) {
					t.Errorf("%s imports %s; only %q may: %s", pkg, imported, c.folders, c.why)
				}
			}
		}
	}
}

// projectImports reads the imports of every package from its files, those for
// other systems and build tags included. Test files are left out: a test may
// bring in what its package must not know.
func projectImports(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if file != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "build") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Join("evalnas", filepath.ToSlash(filepath.Dir(file)))
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports[pkg] = append(imports[pkg], imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

// reachable lists what pkg imports, directly or through packages of the project.
func reachable(imports map[string][]string, pkg string) []string {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(from string) {
		for _, to := range imports[from] {
			if !seen[to] {
				seen[to] = true
				visit(to)
			}
		}
	}
	visit(pkg)
	var all []string
	for p := range seen {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

func layerOf(pkg string) layer {
	i := slices.IndexFunc(layers, func(l layer) bool { return within(pkg, l.folder) })
	return layers[i] // the last layer holds everything
}

// within reports whether the package is the folder's or below it; "" is the
// project's root, which holds every package.
func within(pkg, folder string) bool {
	whole := path.Join("evalnas", folder)
	return pkg == whole || strings.HasPrefix(pkg, whole+"/")
}
