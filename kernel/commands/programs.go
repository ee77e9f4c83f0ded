package commands

import (
	"fmt"

	lib "go.starlark.net/starlark"

	"evalnas/kernel/starlark"
	"evalnas/nasapi/child"
)

// programValue is a program of one's own, as trainer= and search(...) take it.
type programValue struct {
	immutable
	unhashable
	program *child.Program
	gpus    int // that a job of it asks for
}

func newProgram(p *child.Program, gpus int) *programValue {
	return &programValue{unhashable: unhashable{"program"}, program: p, gpus: gpus}
}

func (p *programValue) Type() string   { return "program" }
func (p *programValue) String() string { return fmt.Sprintf("exec(%q)", p.program) }

var programAttrs = attrTable[*programValue]{
	{"name", "what it is called in tables", func(p *programValue) (lib.Value, error) { return lib.String(p.program.Name()), nil }},
	{"words", "list of the words of its command", func(p *programValue) (lib.Value, error) { return toValue(p.program.Words) }},
	{"files", "dict of its files to their SHA-256, which are part of its jobs' identity", func(p *programValue) (lib.Value, error) {
		d := lib.NewDict(len(p.program.Files))
		for _, f := range p.program.Files {
			setKey(d, f.Path, lib.String(f.SHA256))
		}
		return d, nil
	}},
}

var _ lib.HasAttrs = (*programValue)(nil)

func (p *programValue) Attr(name string) (lib.Value, error) { return programAttrs.get(p, name) }
func (p *programValue) AttrNames() []string                 { return programAttrs.names() }
func (p *programValue) AttrDoc(name string) string          { return programAttrs.doc(name) }
func (p *programValue) Doc() string {
	return "A program of one's own, which speaks with its job in JSON lines.\n\n" + programAttrs.list()
}

func (e *Env) programCommands() []*starlark.Command {
	return []*starlark.Command{{
		Name: "exec",
		Params: []starlark.Param{
			{Name: "command", Type: "str or list of str", Doc: "the program and its arguments: one text, split at blanks, or a list of words. No shell is asked"},
			{Name: "files", KeywordOnly: true, Default: lib.None, Type: "list of str", Doc: "further files that it is made of, such as modules; those among the words are known"},
			{Name: "silence", KeywordOnly: true, Default: lib.None, Type: "number", Doc: "seconds for which it may say nothing while something is expected of it, 600 if not given; then it is ended"},
			{Name: "gpus", KeywordOnly: true, Default: lib.MakeInt(0), Type: "int", Doc: "GPUs that each of its jobs is given"},
		},
		Doc: `A program of one's own, in any language: a trainer for train(...) and trained(...), or a policy
for search(...).

It is started in the notebook's folder, one process a job, and speaks with its job by JSON lines over
standard input and output: docs/child_protocol.md specifies them in a page. Standard error is its log.
Its files are part of the jobs' identity by their digests: a changed file is another job, and
the same one finds finished jobs again. Whatever it starts ends with its job.

    mine = exec("python3 mine.py", files=["model.py"])
    found = search(mine, space, truth.metric("valid"), seeds=range(10), budget=150)`,
		Run: e.runExec,
	}}
}

func (e *Env) runExec(c *starlark.Call) (lib.Value, error) {
	var words []string
	var err error
	if line, ok := lib.AsString(c.Value("command")); ok {
		words, err = child.Words(line)
	} else if words, err = stringsOf(c.Value("command"), "words"); err != nil {
		return nil, named(c, "TypeError", "command is a %s: give a text, such as \"python3 mine.py\", or a list of words", c.Value("command").Type())
	}
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	var files []string
	if !c.IsNone("files") {
		if files, err = stringsOf(c.Value("files"), "paths"); err != nil {
			return nil, named(c, "TypeError", "files is a %s: give a list of paths, such as [\"model.py\"]", c.Value("files").Type())
		}
	}
	p, err := child.New(e.path(e.defaultStudy()), e.path("."), words, files)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	if !c.IsNone("silence") {
		if p.Silence, err = c.Float("silence"); err != nil {
			return nil, err
		}
		if p.Silence == 0 {
			return nil, c.Errorf("silence is 0 seconds, in which no program can answer: give 1 to %d", child.MaxSilence)
		}
	}
	if err := p.Check(); err != nil {
		return nil, c.Errorf("%w", err)
	}
	gpus, err := c.Int("gpus")
	if err != nil {
		return nil, err
	}
	if gpus < 0 {
		return nil, c.Errorf("gpus is %d: give 1 or more, or leave it out", gpus)
	}
	return newProgram(p, gpus), nil
}
