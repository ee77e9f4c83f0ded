package starlark

import (
	"fmt"
	"strings"
	"unicode/utf8"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
)

// A docPage is what help and Shift-Tab show of one thing.
type docPage struct {
	title string // a signature, or a name with its type
	kind  string // function, module, instance
	value string // the text of a value that is not a function
	doc   string // Markdown; the first line is the summary
	where string // of a function that a cell defined
	cmd   *Command
}

// page documents what an expression of names and dots stands for.
func (in *Interpreter) page(path string, v lib.Value, owner lib.Value) *docPage {
	last := path[strings.LastIndexByte(path, '.')+1:]
	switch v := v.(type) {
	case *lib.Function:
		return in.functionPage(path, v)
	case *lib.Builtin:
		if cmd := in.commandOf(v); cmd != nil {
			return &docPage{title: path + cmd.signature(), kind: "function", doc: cmd.Doc, cmd: cmd}
		}
		return &docPage{title: path + "(...)", kind: "method", doc: in.attrDoc(path, last, owner)}
	}
	p := &docPage{title: path + ": " + pythonType(v), kind: "instance", value: abbreviate(pretty(v), 2000)}
	p.doc = in.attrDoc(path, last, owner)
	if d, ok := v.(Documented); ok && p.doc == "" {
		p.doc = d.Doc()
	}
	return p
}

// commandOf finds the command behind a builtin, whatever name holds it.
func (in *Interpreter) commandOf(b *lib.Builtin) *Command {
	if b.Receiver() == nil && in.base[b.Name()] == lib.Value(b) {
		return in.commands[b.Name()]
	}
	return nil
}

func (in *Interpreter) attrDoc(path, name string, owner lib.Value) string {
	if d, ok := owner.(Documented); ok {
		return d.AttrDoc(name)
	}
	if owner != nil {
		if doc := methodDocs[owner.Type()+"."+name]; doc != "" {
			return doc
		}
	}
	return moduleDocs[path]
}

func (in *Interpreter) functionPage(path string, f *lib.Function) *docPage {
	p := &docPage{title: path + functionSignature(f), kind: "function", doc: dedent(f.Doc())}
	if src := in.sources[f.Position().Filename()]; src != nil {
		p.where = fmt.Sprintf("%s, line %d", src.shown(), f.Position().Line)
	}
	return p
}

func functionSignature(f *lib.Function) string {
	var parts []string
	n := f.NumParams()
	var args, kwargs string
	if f.HasKwargs() {
		n--
		name, _ := f.Param(n)
		kwargs = "**" + name
	}
	if f.HasVarargs() {
		n--
		name, _ := f.Param(n)
		args = "*" + name
	}
	firstKeywordOnly := n - f.NumKwonlyParams()
	for i := range n {
		if i == firstKeywordOnly && args == "" {
			parts = append(parts, "*")
		} else if i == firstKeywordOnly {
			parts, args = append(parts, args), ""
		}
		name, _ := f.Param(i)
		if d := f.ParamDefault(i); d != nil {
			name += "=" + abbreviate(repr(d), 40)
		}
		parts = append(parts, name)
	}
	for _, s := range []string{args, kwargs} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// dedent takes the common indentation off a docstring's lines.
func dedent(doc string) string {
	lines := strings.Split(strings.TrimSpace(doc), "\n")
	margin := -1
	for _, l := range lines[1:] {
		if t := strings.TrimLeft(l, " \t"); t != "" && (margin < 0 || len(l)-len(t) < margin) {
			margin = len(l) - len(t)
		}
	}
	for i, l := range lines {
		if i > 0 && margin > 0 {
			l = l[min(margin, len(l)):]
		}
		lines[i] = strings.TrimRight(l, " \t")
	}
	return strings.Join(lines, "\n")
}

// A style is how a page is written: for a terminal, or in Markdown.
type style struct{ markdown bool }

func (s style) code(text string) string {
	if s.markdown {
		return "`" + text + "`"
	}
	return text
}

func (s style) block(text, language string) string {
	if s.markdown {
		return "```" + language + "\n" + text + "\n```\n"
	}
	return text + "\n"
}

// prose takes the code marks out of a terminal's text.
func (s style) prose(text string) string {
	if s.markdown {
		return text
	}
	return strings.ReplaceAll(text, "`", "")
}

// bundle is the page; detail 0 leaves out all but the summary.
func (p *docPage) bundle(detail int) *kernel.Bundle {
	return &kernel.Bundle{Data: map[string]any{
		"text/plain":    p.text(style{}, detail),
		"text/markdown": p.text(style{markdown: true}, detail),
	}}
}

func (p *docPage) text(s style, detail int) string {
	var b strings.Builder
	b.WriteString(s.block(p.title, "python"))
	doc := strings.TrimSpace(p.doc)
	if detail == 0 {
		doc, _, _ = strings.Cut(doc, "\n")
	}
	if doc != "" {
		fmt.Fprintf(&b, "\n%s\n", s.prose(doc))
	}
	if p.value != "" {
		fmt.Fprintf(&b, "\n%s", s.block(p.value, ""))
	}
	if p.cmd != nil {
		b.WriteString(paramList(p.cmd, s, detail))
	}
	if p.where != "" && detail > 0 {
		fmt.Fprintf(&b, "\nDefined in %s.\n", p.where)
	}
	return b.String()
}

func paramList(cmd *Command, s style, detail int) string {
	var b strings.Builder
	for _, p := range cmd.Params {
		if p.Doc == "" && p.Type == "" {
			continue
		}
		fmt.Fprintf(&b, "\n- %s", s.code(p.label()))
		if p.Type != "" {
			fmt.Fprintf(&b, " (%s)", p.Type)
		}
		if p.Doc != "" {
			fmt.Fprintf(&b, ": %s", s.prose(p.Doc))
		}
		if p.Values != nil && detail > 0 {
			b.WriteString("; one of " + quoted(p.Values(), s))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return b.String() + "\n"
}

func (p *Param) label() string {
	switch {
	case p.Variadic:
		return "*" + p.Name
	case p.Rest:
		return "**" + p.Name
	case p.Default != nil:
		return p.Name + "=" + repr(p.Default)
	}
	return p.Name
}

func quoted(values []string, s style) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = s.code(fmt.Sprintf("%q", v))
	}
	return strings.Join(out, ", ")
}

func runHelp(c *Call) (lib.Value, error) {
	v := c.Value("subject")
	if !c.Given("subject") {
		text := c.in.overview()
		c.Cell.Out.Page(&kernel.Bundle{Data: map[string]any{"text/plain": style{}.prose(text), "text/markdown": text}})
		return lib.None, nil
	}
	c.Cell.Out.Page(c.in.page(c.in.nameOf(v), v, nil).bundle(1))
	return lib.None, nil
}

// nameOf is what to call a value in its documentation.
func (in *Interpreter) nameOf(v lib.Value) string {
	switch v := v.(type) {
	case lib.Callable:
		return v.Name()
	case lib.String:
		return "str"
	}
	for _, name := range in.userNames() {
		if same(in.env[name], v) {
			return name
		}
	}
	return "value"
}

// same compares by identity where the type allows it.
func same(a, b lib.Value) bool {
	if _, ok := a.(lib.Tuple); ok {
		return false
	}
	switch a.(type) {
	case *lib.List, *lib.Dict, *lib.Set:
		return a == b
	}
	return false
}

// overview lists every command with its summary.
func (in *Interpreter) overview() string {
	var own, language []string
	isOwn := map[string]bool{}
	for _, name := range in.modules["evalnas"].(lib.HasAttrs).AttrNames() {
		isOwn[name] = true
	}
	for _, name := range sortedKeys(in.commands) {
		cmd := in.commands[name]
		summary, _, _ := strings.Cut(cmd.Doc, "\n")
		line := fmt.Sprintf("- `%s`: %s", cmd.Signature(), summary)
		if isOwn[name] {
			own = append(own, line)
		} else {
			language = append(language, line)
		}
	}
	var b strings.Builder
	if len(own) > 0 {
		fmt.Fprintf(&b, "### Commands\n\n%s\n\n", strings.Join(own, "\n"))
	}
	fmt.Fprintf(&b, "### Of the language\n\n%s\n\n", strings.Join(language, "\n"))
	b.WriteString("Modules: `math`, `json`. `help(name)` or Shift-Tab shows more; `%lsmagic` lists the magics.\n")
	return b.String()
}

// Inspect documents the name at the cursor or, where that means nothing, the
// function whose parentheses the cursor is in.
func (in *Interpreter) Inspect(code string, at, detail int) (found *kernel.Bundle) {
	// Attributes are the program's code, and run here too.
	defer func() {
		if recover() != nil {
			found = nil
		}
	}()
	if in.busy() {
		return nil
	}
	return in.inspect(code, at, detail)
}

func (in *Interpreter) inspect(code string, at, detail int) *kernel.Bundle {
	// The whole word counts, not what is before the cursor.
	for at = max(at, 0); at < len(code); {
		r, n := utf8.DecodeRuneInString(code[at:])
		if !isWordRune(r) {
			break
		}
		at += n
	}
	c := in.newCursor(code, at)
	if c.comment() {
		return nil
	}
	i := len(c.toks) - 1
	if c.end < len(c.toks) || i >= 0 && c.toks[i].is("(") && c.toks[i].end == c.at {
		if c.end == len(c.toks) {
			i-- // right after the opening parenthesis: the name before it
		}
		if v, owner, path := c.chain(i); v != nil {
			return in.page(path, v, owner).bundle(detail)
		}
	}
	site := c.call(len(c.toks))
	if site == nil || site.v == nil {
		return nil
	}
	return in.page(site.path, site.v, site.owner).bundle(detail)
}
