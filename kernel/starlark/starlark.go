package starlark

import (
	"path/filepath"
	"sync/atomic"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
)

// Options configures an Interpreter. The zero value is a bare language in the
// working directory.
type Options struct {
	// Dir is where load() and relative paths start; the working directory if "".
	Dir      string
	Commands []*Command
	Version  string // of the program, shown by kernel_info
	// MemoryLimit is the heap, in bytes, at which a running cell is stopped
	// with a MemoryError; half of the machine's memory if 0.
	MemoryLimit uint64
	// MaxSteps ends a cell that runs for longer, counted in the interpreter's
	// instructions; no limit if 0.
	MaxSteps uint64
}

// Interpreter runs the cells of one kernel. It is for one goroutine at a time.
type Interpreter struct {
	dir         string
	version     string
	memoryLimit uint64
	maxSteps    uint64

	env      lib.StringDict      // builtins, commands and globals, by name
	base     lib.StringDict      // env as it was before any cell
	commands map[string]*Command // documentation of every builtin in base
	modules  map[string]lib.Value

	loads   map[string]*loaded // files that load() has run, by path
	loading []*loaded          // those that are running, each loaded by the one before
	runs    int                // numbers the runs of files
	read    func(path string, asked request) (string, error)
	taken   map[string]FrozenFile // what load() has in the place of files; nil: files

	sources map[string]*source // the cells that ran, by the name that positions carry
	silent  int                // numbers silent cells

	inCommand atomic.Int32  // the commands that the cell is in, one inside the other
	left      chan struct{} // closed when interrupted work that was left has ended, or nil
}

// New makes an interpreter. Commands whose names repeat replace the builtins
// of the language.
func New(o Options) *Interpreter {
	if o.Dir == "" {
		o.Dir = "."
	}
	if dir, err := filepath.Abs(o.Dir); err == nil {
		o.Dir = dir
	}
	if o.MemoryLimit == 0 {
		o.MemoryLimit = defaultMemoryLimit()
	}
	in := &Interpreter{
		dir:         o.Dir,
		version:     o.Version,
		memoryLimit: o.MemoryLimit,
		maxSteps:    o.MaxSteps,
		env:         lib.StringDict{},
		commands:    map[string]*Command{},
		loads:       map[string]*loaded{},
		read:        readFile,
		sources:     map[string]*source{},
	}
	in.addBuiltins()
	for _, cmd := range o.Commands {
		in.commands[cmd.Name] = cmd
		in.env[cmd.Name] = in.attended(in.builtin(cmd))
	}
	in.addModules(o.Commands)
	in.base = lib.StringDict{}
	for name, v := range in.env {
		in.base[name] = v
	}
	return in
}

// Info describes the language honestly as Starlark; Pygments and CodeMirror
// know no such mode everywhere, and Python's colours it rightly.
func (in *Interpreter) Info() kernel.LanguageInfo {
	return kernel.LanguageInfo{
		Name:              "starlark",
		Version:           languageVersion,
		MIMEType:          "text/x-starlark",
		FileExtension:     ".star",
		PygmentsLexer:     "python",
		CodeMirrorMode:    "python",
		NbconvertExporter: "script",
		Banner:            "evalnas " + in.version + ": cells are Starlark (Python's syntax). help() lists the commands.",
		HelpLinks: []kernel.HelpLink{
			{Text: "Starlark language", URL: "https://github.com/google/starlark-go/blob/master/doc/spec.md"},
		},
	}
}

// languageVersion is that of the cells' language, apart from the program's:
// it changes when a cell that ran no longer does.
const languageVersion = "1.0"
