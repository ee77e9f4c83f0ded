package starlark

import (
	"os"
	"sort"
	"strings"
	"unicode/utf8"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
)

var _ kernel.Language = (*Interpreter)(nil)

// A cursor is a place in a cell with the tokens around it.
type cursor struct {
	in     *Interpreter
	code   string
	at     int
	toks   []token // up to the cursor
	end    int     // index of the token under the cursor, len(toks) if none
	prefix string  // of the word under the cursor
}

// newCursor puts a cursor that is out of range, or inside a letter, on the
// nearest place before.
func (in *Interpreter) newCursor(code string, at int) *cursor {
	at = max(0, min(at, len(code)))
	for at > 0 && at < len(code) && !utf8.RuneStart(code[at]) {
		at--
	}
	c := &cursor{in: in, code: code, at: at, toks: tokenize(code[:at], 0, at)}
	c.end = len(c.toks)
	if n := len(c.toks); n > 0 && c.toks[n-1].kind == kindName && c.toks[n-1].end == at {
		c.end, c.prefix = n-1, c.toks[n-1].text
	}
	return c
}

// last is the token before the word under the cursor.
func (c *cursor) last() token {
	if c.end == 0 {
		return token{}
	}
	return c.toks[c.end-1]
}

// Complete offers what fits at the cursor: attributes after a dot, modules
// after import, keywords and values inside calls, keys and files inside
// quotes, else names.
func (in *Interpreter) Complete(code string, at int) (found kernel.Completion) {
	// Attributes are the program's code, and run here too.
	defer func() {
		if recover() != nil {
			found = kernel.Completion{Start: at, End: at}
		}
	}()
	if in.busy() {
		return kernel.Completion{Start: at, End: at}
	}
	return in.complete(code, at)
}

func (in *Interpreter) complete(code string, at int) kernel.Completion {
	c := in.newCursor(code, at)
	start := c.at - len(c.prefix)
	none := kernel.Completion{Start: c.at, End: c.at}
	if n := len(c.toks); n > 0 && c.toks[n-1].kind == kindString && !c.toks[n-1].closed {
		return c.completeString(c.toks[n-1])
	}
	if c.comment() {
		return none
	}
	if n := len(c.toks); n > 0 && c.toks[n-1].kind == kindMagic {
		return c.completeMagic(c.toks[n-1])
	}
	var matches []kernel.Match
	switch {
	case c.last().is(".") && c.importing() == "":
		matches = c.attributes()
	case c.importing() != "":
		matches = c.imports()
	case c.last().is("def"), c.last().kind == kindNumber && c.last().end == c.at:
		return none
	default:
		matches = append(c.keywords(), c.names()...)
	}
	return kernel.Completion{Start: start, End: c.at, Matches: filterPrefix(matches, c.prefix)}
}

// comment tells whether the cursor is in one.
func (c *cursor) comment() bool {
	from := 0
	if n := len(c.toks); n > 0 {
		from = c.toks[n-1].end
	}
	gap := c.code[from:c.at]
	return strings.Contains(gap[strings.LastIndexByte(gap, '\n')+1:], "#")
}

// filterPrefix keeps what starts with prefix; where nothing does, upper and
// lower case are the same. Names that start with _ are shown when asked for.
func filterPrefix(matches []kernel.Match, prefix string) []kernel.Match {
	keep := func(has func(text string) bool) []kernel.Match {
		var out []kernel.Match
		seen := map[string]bool{}
		for _, m := range matches {
			if !has(m.Text) || seen[m.Text] || strings.HasPrefix(m.Text, "_") && !strings.HasPrefix(prefix, "_") {
				continue
			}
			seen[m.Text] = true
			out = append(out, m)
		}
		return out
	}
	if out := keep(func(s string) bool { return strings.HasPrefix(s, prefix) }); out != nil {
		return out
	}
	lower := strings.ToLower(prefix)
	return keep(func(s string) bool { return strings.HasPrefix(strings.ToLower(s), lower) })
}

func (c *cursor) completeMagic(t token) kernel.Completion {
	if strings.ContainsAny(t.text, " !?") {
		return kernel.Completion{Start: c.at, End: c.at}
	}
	matches := []kernel.Match{{Text: "%%time", Type: "magic"}, {Text: "%time", Type: "magic"}}
	for _, name := range sortedKeys(magics) {
		matches = append(matches, kernel.Match{Text: "%" + name, Type: "magic"})
	}
	return kernel.Completion{Start: t.start, End: c.at, Matches: filterPrefix(matches, t.text)}
}

// match describes a value under a name.
func (in *Interpreter) match(name string, v lib.Value) kernel.Match {
	m := kernel.Match{Text: name, Type: "instance"}
	switch v := v.(type) {
	case *lib.Function:
		m.Type, m.Signature = "function", functionSignature(v)
	case *lib.Builtin:
		m.Type = "function"
		if cmd := in.commandOf(v); cmd != nil {
			m.Signature = cmd.signature()
		}
	case nil:
	default:
		if v.Type() == "module" {
			m.Type = "module"
		}
	}
	return m
}

// names are those of the cells first, then of the cell being written, of the
// builtins, and the keywords.
func (c *cursor) names() []kernel.Match {
	in := c.in
	var out []kernel.Match
	for _, name := range in.names() {
		if v := in.env[name]; in.base[name] != v {
			out = append(out, in.match(name, v))
		}
	}
	for _, name := range boundNames(tokenize(c.code, 0, len(c.code)), c.at) {
		out = append(out, kernel.Match{Text: name, Type: "instance"})
	}
	for _, name := range in.names() {
		if v := in.env[name]; in.base[name] == v && !strings.HasPrefix(name, hiddenMark) {
			out = append(out, in.match(name, v))
		}
	}
	for _, word := range strings.Fields("and break continue def elif else for from if import in lambda load not or pass return while assert") {
		out = append(out, kernel.Match{Text: word, Type: "keyword"})
	}
	return out
}

// boundNames are the names that a text binds, but for the word at the cursor.
func boundNames(toks []token, at int) []string {
	found := map[string]bool{}
	for i, t := range toks {
		if !t.word() || t.end == at {
			continue
		}
		next, before := token{}, token{}
		if i+1 < len(toks) {
			next = toks[i+1]
		}
		if i > 0 {
			before = toks[i-1]
		}
		if before.in("def", "for", "lambda", "as") || next.is("=") && t.depth == 0 || parameter(toks, i) {
			found[t.text] = true
		}
	}
	return sortedKeys(found)
}

// maxLook is how many tokens back the head of a def or comprehension may start.
const maxLook = 200

// parameter tells whether a name stands in the head of a def or between for
// and in.
func parameter(toks []token, i int) bool {
	if i == 0 || !toks[i-1].in("(", ",", "*", "**") {
		return false
	}
	depth := toks[i].depth
	for j := i - 1; j >= max(0, i-maxLook); j-- {
		t := toks[j]
		if t.depth == depth && t.is("for") {
			return true
		}
		if t.depth == depth && (t.is("in") || t.kind == kindNewline) {
			return false
		}
		if t.depth < depth {
			return t.is("(") && j > 1 && toks[j-2].is("def")
		}
	}
	return false
}

// chain is the value of the names and dots that end with token i, the text of
// the chain, and the value before its last dot.
func (c *cursor) chain(i int) (v, owner lib.Value, path string) {
	if i < 0 {
		return nil, nil, ""
	}
	if t := c.toks[i]; t.kind == kindString && t.closed {
		return lib.String(""), nil, "str"
	}
	start := i
	for start >= 2 && c.toks[start].kind == kindName && c.toks[start-1].is(".") && c.toks[start-2].kind == kindName {
		start -= 2
	}
	if c.toks[start].kind != kindName || start > 0 && c.toks[start-1].is(".") {
		return nil, nil, ""
	}
	v = c.in.env[c.toks[start].text]
	path = c.toks[start].text
	for j := start + 2; j <= i && v != nil; j += 2 {
		owner = v
		next, err := attr(v, c.toks[j].text)
		if err != nil {
			return nil, nil, ""
		}
		v = next
		path += "." + c.toks[j].text
	}
	return v, owner, path
}

func (c *cursor) attributes() []kernel.Match {
	v, _, _ := c.chain(c.end - 2)
	h, ok := v.(lib.HasAttrs)
	if !ok {
		return nil
	}
	var out []kernel.Match
	names := append([]string(nil), h.AttrNames()...)
	sort.Strings(names)
	for _, name := range names {
		a, err := h.Attr(name)
		if err != nil {
			a = nil // an attribute that fails is still one
		}
		m := c.in.match(name, a)
		if m.Type == "instance" {
			m.Type = "property"
		}
		out = append(out, m)
	}
	return out
}

// importing is the first word of an import statement that the cursor is in.
func (c *cursor) importing() string {
	for i := c.end - 1; i >= 0; i-- {
		t := c.toks[i]
		if t.kind == kindNewline || t.is(";") {
			return ""
		}
		if t.first {
			if t.in("import", "from") {
				return t.text
			}
			return ""
		}
	}
	return ""
}

func (c *cursor) imports() []kernel.Match {
	first := c.end - 1
	for first > 0 && !c.toks[first].first {
		first--
	}
	var out []kernel.Match
	for i := first + 1; i < c.end; i++ {
		if c.toks[first].is("from") && c.toks[i].is("import") {
			m, ok := c.in.modules[c.toks[first+1].text].(lib.HasAttrs)
			if !ok {
				return nil
			}
			for _, name := range m.AttrNames() {
				out = append(out, kernel.Match{Text: name, Type: "property"})
			}
			return out
		}
	}
	if c.toks[first].is("from") && c.end == first+2 {
		return []kernel.Match{{Text: "import", Type: "keyword"}}
	}
	for _, name := range sortedKeys(c.in.modules) {
		out = append(out, kernel.Match{Text: name, Type: "module"})
	}
	return out
}

// A callSite is the call whose parentheses the cursor is in.
type callSite struct {
	v, owner lib.Value
	path     string
	index    int             // of the positional argument under the cursor
	keyword  string          // of the argument under the cursor, "" for a positional one
	given    map[string]bool // keywords that are there already
}

// call finds the innermost call around token i, through the brackets of lists
// that are its arguments.
func (c *cursor) call(i int) *callSite {
	site := &callSite{given: map[string]bool{}}
	depth := 0
	for j := i - 1; j >= 0; j-- {
		t := c.toks[j]
		switch {
		case t.in(")", "]", "}"):
			depth++
		case depth > 0:
			if t.in("(", "[", "{") {
				depth--
			}
		case t.is("(") && j > 0 && operand(c.toks[j-1]):
			if j > 1 && c.toks[j-2].is("def") {
				return nil
			}
			site.v, site.owner, site.path = c.chain(j - 1)
			return site
		case t.is("["), t.is("("):
			if j == 0 || operand(c.toks[j-1]) {
				return nil // an index
			}
			site.index, site.keyword = 0, ""
		case t.is("{"):
			return nil
		case t.is(","):
			site.index++
		case t.is("=") && j > 0 && c.toks[j-1].kind == kindName:
			site.given[c.toks[j-1].text] = true
			if site.index == 0 && site.keyword == "" {
				site.keyword = c.toks[j-1].text
			}
		case t.kind == kindNewline:
			return nil
		}
	}
	return nil
}

// keywords are the parameters of the call around the cursor that are not
// given yet, and the values of one that takes names.
func (c *cursor) keywords() []kernel.Match {
	if !c.last().in("(", ",") {
		return nil
	}
	site := c.call(c.end)
	if site == nil || site.v == nil {
		return nil
	}
	var out []kernel.Match
	for i, name := range c.in.keywordsOf(site.v) {
		if !site.given[name] && i >= site.positional(c) {
			out = append(out, kernel.Match{Text: name + "=", Type: "param"})
		}
	}
	return out
}

// positional is how many leading parameters are taken by position.
func (s *callSite) positional(c *cursor) int {
	n := s.index - len(s.given)
	if cmd := c.in.commandIn(s.v); cmd != nil {
		for i, p := range cmd.Params {
			if p.Variadic {
				return min(max(n, 0), i)
			}
		}
	}
	return max(n, 0)
}

func (in *Interpreter) commandIn(v lib.Value) *Command {
	if b, ok := v.(*lib.Builtin); ok {
		return in.commandOf(b)
	}
	return nil
}

func (in *Interpreter) keywordsOf(v lib.Value) []string {
	if cmd := in.commandIn(v); cmd != nil {
		return cmd.keywords()
	}
	f, ok := v.(*lib.Function)
	if !ok {
		return nil
	}
	n := f.NumParams()
	if f.HasVarargs() {
		n--
	}
	if f.HasKwargs() {
		n--
	}
	var out []string
	for i := range n {
		name, _ := f.Param(i)
		out = append(out, name)
	}
	return out
}

// completeString completes inside quotes.
func (c *cursor) completeString(t token) kernel.Completion {
	q := quotingOf(t.text)
	start := t.start + q.prefix + len(q.quote)
	content := c.code[start:c.at]
	if q.format {
		if i := openBrace(content); i >= 0 {
			inner := c.in.complete(content[i+1:], len(content)-i-1)
			inner.Start += start + i + 1
			inner.End += start + i + 1
			return inner
		}
	}
	i := len(c.toks) - 1
	var matches []kernel.Match
	switch p, site := c.stringParam(i); {
	case i > 1 && c.toks[i-1].is("[") && operand(c.toks[i-2]):
		matches = c.keys(i - 2)
	case i > 1 && c.toks[i-1].is("(") && c.toks[i-2].is("load"):
		return c.files(start, content, []string{".star"})
	case p != nil && p.Values != nil:
		for _, v := range p.Values() {
			matches = append(matches, kernel.Match{Text: v, Type: "value"})
		}
	case p != nil && strings.Contains(p.Type, "path"):
		return c.files(start, content, nil)
	case site != nil && len(content) > 0 && strings.ContainsAny(content, "/."):
		return c.files(start, content, nil)
	}
	return kernel.Completion{Start: start, End: c.at, Matches: filterPrefix(matches, content)}
}

// openBrace is the place of a brace in an f-string that is not closed.
func openBrace(s string) int {
	open := -1
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "{{") && open < 0:
			i++
		case s[i] == '{' && open < 0:
			open = i
		case s[i] == '}':
			open = -1
		}
	}
	return open
}

// stringParam is the parameter that the string at token i is for.
func (c *cursor) stringParam(i int) (*Param, *callSite) {
	site := c.call(i)
	if site == nil || site.v == nil {
		return nil, site
	}
	cmd := c.in.commandIn(site.v)
	if cmd == nil {
		return nil, site
	}
	if site.keyword != "" {
		return cmd.param(site.keyword), site
	}
	n := 0
	for k := range cmd.Params {
		p := &cmd.Params[k]
		switch {
		case p.Variadic:
			return p, site
		case p.KeywordOnly, p.Rest:
			continue
		}
		if n == site.index {
			return p, site
		}
		n++
	}
	return nil, site
}

// keys are the string keys of the mapping that ends at token i.
func (c *cursor) keys(i int) []kernel.Match {
	v, _, _ := c.chain(i)
	m, ok := v.(lib.IterableMapping)
	if !ok {
		return nil
	}
	var out []kernel.Match
	for _, item := range m.Items() {
		if s, ok := lib.AsString(item[0]); ok && !strings.ContainsAny(s, "\"'\\\n") {
			out = append(out, kernel.Match{Text: s, Type: "property"})
		}
	}
	return out
}

// files completes a file name; only folders and names with one of the
// extensions, all if there are none.
func (c *cursor) files(start int, content string, extensions []string) kernel.Completion {
	folder, base := "", content
	if i := strings.LastIndexByte(content, '/'); i >= 0 {
		folder, base = content[:i+1], content[i+1:]
	}
	dir := within(c.in.dir, folder)
	out := kernel.Completion{Start: start, End: c.at}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return out // no such folder: nothing to offer
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || strings.HasPrefix(name, ".") && base == "" {
			continue
		}
		switch {
		case e.IsDir():
			name += "/"
		case len(extensions) > 0 && !hasSuffix(name, extensions):
			continue
		}
		out.Matches = append(out.Matches, kernel.Match{Text: folder + name, Type: "path"})
	}
	return out
}

func hasSuffix(name string, extensions []string) bool {
	for _, ext := range extensions {
		if strings.HasSuffix(name, ext) {
			return true
		}
	}
	return false
}
