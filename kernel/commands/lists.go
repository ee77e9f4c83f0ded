package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	starlarkjson "go.starlark.net/lib/json"
	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
)

// shownList is a list of dicts, one a row, that shows itself as a table. Row i of the table
// is that of entry i.
type shownList struct {
	*lib.List
	view *tableView
	env  *Env // whose folder paths are relative to
}

func (l shownList) Bundle() (*kernel.Bundle, error) { return l.view.bundle(), nil }
func (l shownList) Type() string                    { return "list of rows" }

func (l shownList) CompareSameType(op syntax.Token, y lib.Value, depth int) (bool, error) {
	return l.List.CompareSameType(op, y.(shownList).List, depth)
}

// Slice is a table of some of the rows.
func (l shownList) Slice(start, end, step int) lib.Value {
	if l.inStep() != nil {
		return l.List.Slice(start, end, step)
	}
	var places []int
	for i := start; step > 0 && i < end || step < 0 && i > end; i += step {
		places = append(places, i)
	}
	return l.pick(places)
}

var shownAttrs = attrTable[shownList]{
	{"sort", "`.sort(column, reverse=False)`: a new list in the order of a column, equal rows in their order and rows without a value last; a column is a key of the rows (`\"value\"`, `\"values.mean\"`) or a title of the table", shownList.sortMethod},
	{"filter", "`.filter(lambda row: row[\"rank\"] < 100)` or `.filter(group=\"enas\", state=\"done\")`: a new list of the rows for which it holds", shownList.filterMethod},
	{"csv", "`.csv()`: every number of the rows, unrounded, as CSV", textMethod("csv", shownList.csv)},
	{"markdown", "`.markdown()`: the table as it is shown, in Markdown", textMethod("markdown", func(l shownList) (string, error) { return l.view.markdown(), nil })},
	{"latex", "`.latex()`: the table as it is shown, for LaTeX with the package booktabs", textMethod("latex", func(l shownList) (string, error) { return l.view.latex(), nil })},
	{"save", "`.save(path)` writes .csv, .jsonl (a row a line), .md or .tex", shownList.saveMethod},
}

func (l shownList) Attr(name string) (lib.Value, error) {
	if v, err := shownAttrs.get(l, name); v != nil || err != nil {
		return v, err
	}
	return l.List.Attr(name)
}

func (l shownList) AttrNames() []string {
	names := append(shownAttrs.names(), l.List.AttrNames()...)
	slices.Sort(names)
	return names
}

func (l shownList) AttrDoc(name string) string { return shownAttrs.doc(name) }
func (l shownList) Doc() string {
	return "A list of dicts, one a row, that shows itself as a table.\n\n" + shownAttrs.list()
}

// inStep refuses a list that was changed since it was made.
func (l shownList) inStep() error {
	if l.Len() != len(l.view.rows) {
		return fmt.Errorf("this list was changed and is no table any more: ask for the table anew, and change a copy, list(table)")
	}
	return nil
}

// pick makes a table of some rows, in the order given.
func (l shownList) pick(places []int) shownList {
	view := *l.view
	view.rows, view.beneath, view.notes = nil, nil, slices.Clone(l.view.notes)
	var rows []lib.Value
	for _, i := range places {
		rows = append(rows, l.Index(i))
		view.rows = append(view.rows, l.view.rows[i])
		if r, ok := l.view.beneath[i]; ok {
			view.below(r.text, r.bad)
		}
	}
	return shownList{lib.NewList(rows), &view, l.env}
}

// entry is the value that a row has at a key or, in dicts of dicts, a path of keys.
func entry(row lib.Value, path string) (lib.Value, bool) {
	d, ok := row.(*lib.Dict)
	if !ok {
		return nil, false
	}
	if v, found, _ := d.Get(lib.String(path)); found {
		return v, true
	}
	first, rest, nested := strings.Cut(path, ".")
	if !nested {
		return nil, false
	}
	v, found, _ := d.Get(lib.String(first))
	if !found {
		return nil, false
	}
	return entry(v, rest)
}

// column is what the rows have at a key, None where one has nothing, or in the column of the
// table that has this title.
func (l shownList) column(name string) ([]lib.Value, error) {
	out, known := make([]lib.Value, l.Len()), false
	for i := range out {
		v, ok := entry(l.Index(i), name)
		if out[i] = v; !ok {
			out[i] = lib.None
		}
		known = known || ok
	}
	if known || l.Len() == 0 {
		return out, nil
	}
	at := slices.IndexFunc(l.view.columns, func(c column) bool { return strings.EqualFold(c.title, name) })
	if at < 0 {
		return nil, unknown("column", name, l.columnNames())
	}
	return shownValues(l.view.rows, at), nil
}

// shownValues are the entries of a column: numbers where all that are there begin with one.
func shownValues(rows [][]tableCell, at int) []lib.Value {
	out := make([]lib.Value, len(rows))
	words := make([]lib.Value, len(rows))
	numeric := true
	for i, row := range rows {
		text := row[at].text
		out[i], words[i] = lib.None, lib.None
		if text == "" {
			continue
		}
		words[i] = lib.String(text)
		number, _, _ := strings.Cut(strings.ReplaceAll(text, ",", ""), " ")
		v, err := strconv.ParseFloat(number, 64)
		if numeric = numeric && err == nil; numeric {
			out[i] = lib.Float(v)
		}
	}
	if !numeric {
		return words
	}
	return out
}

// columnNames are the keys of the rows and the titles that are no key.
func (l shownList) columnNames() []string {
	var names []string
	for i := range l.Len() {
		for _, k := range keysOf(l.Index(i), "") {
			if !slices.Contains(names, k) {
				names = append(names, k)
			}
		}
	}
	for _, c := range l.view.columns {
		if !slices.Contains(names, c.title) {
			names = append(names, c.title)
		}
	}
	return names
}

// firstKeys stand before all others in files.
var firstKeys = []string{"name", "group", "policy", "seed", "train_seed", "state"}

// keysOf are the paths to the values of a row that a column can hold: those of dicts within
// are joined by dots, lists of dicts left out.
func keysOf(row lib.Value, before string) []string {
	d, ok := row.(*lib.Dict)
	if !ok {
		return nil
	}
	var first, rest []string
	for _, item := range d.Items() {
		key, ok := lib.AsString(item[0])
		if !ok {
			key = item[0].String()
		}
		switch v := item[1].(type) {
		case *lib.Dict:
			if v.Len() > 0 {
				rest = append(rest, keysOf(v, before+key+".")...)
				continue
			}
		case *lib.List:
			if v.Len() > 0 {
				if _, rows := v.Index(0).(*lib.Dict); rows {
					continue
				}
			}
		}
		if before == "" && slices.Contains(firstKeys, key) {
			first = append(first, key)
		} else {
			rest = append(rest, before+key)
		}
	}
	slices.SortFunc(first, func(a, b string) int { return slices.Index(firstKeys, a) - slices.Index(firstKeys, b) })
	return append(first, rest...)
}

func (l shownList) sortMethod() (lib.Value, error) {
	return method("sort", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var name string
		reverse := false
		if err := lib.UnpackArgs("sort", args, kwargs, "column", &name, "reverse?", &reverse); err != nil {
			return nil, starlark.Named("TypeError", err)
		}
		return l.sorted(name, reverse)
	})
}

func (l shownList) sorted(name string, reverse bool) (lib.Value, error) {
	if err := l.inStep(); err != nil {
		return nil, err
	}
	keys, err := l.column(name)
	if err != nil {
		return nil, err
	}
	places := make([]int, len(keys))
	for i := range places {
		places[i] = i
	}
	var failed error
	slices.SortStableFunc(places, func(i, j int) int {
		a, b := keys[i], keys[j]
		if a == lib.None || b == lib.None {
			return boolOrder(a == lib.None, b == lib.None)
		}
		less, err := lib.Compare(syntax.LT, a, b)
		if err == nil && less {
			return map[bool]int{false: -1, true: 1}[reverse]
		}
		more, err2 := lib.Compare(syntax.GT, a, b)
		if err = errors.Join(err, err2); err != nil {
			failed = starlark.Named("TypeError", fmt.Errorf("column %q has values that have no order: %s and %s", name, a.Type(), b.Type()))
			return 0
		}
		if more {
			return map[bool]int{false: 1, true: -1}[reverse]
		}
		return 0
	})
	if failed != nil {
		return nil, failed
	}
	return l.pick(places), nil
}

// boolOrder puts false first.
func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (l shownList) filterMethod() (lib.Value, error) {
	return lib.NewBuiltin("filter", func(thread *lib.Thread, _ *lib.Builtin, args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		if len(args) > 1 || len(args)+len(kwargs) == 0 {
			return nil, starlark.Named("TypeError", errors.New(`filter: give a function of a row, or values of columns, such as state="done"`))
		}
		v, err := l.filtered(thread, args, kwargs)
		return v, starlark.Named("ValueError", err)
	}), nil
}

func (l shownList) filtered(thread *lib.Thread, args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
	if err := l.inStep(); err != nil {
		return nil, err
	}
	wanted := map[string][]lib.Value{}
	for _, kv := range kwargs {
		name := string(kv[0].(lib.String))
		values, err := l.column(name)
		if err != nil {
			return nil, err
		}
		wanted[name] = values
	}
	var places []int
	for i := range l.Len() {
		keep := true
		for _, kv := range kwargs {
			equal, err := lib.Equal(wanted[string(kv[0].(lib.String))][i], kv[1])
			if err != nil {
				return nil, err
			}
			keep = keep && equal
		}
		if keep && len(args) == 1 {
			v, err := lib.Call(thread, args[0], lib.Tuple{l.Index(i)}, nil)
			if err != nil {
				return nil, err
			}
			keep = bool(v.Truth())
		}
		if keep {
			places = append(places, i)
		}
	}
	out := l.pick(places)
	if len(places) < l.Len() {
		out.view.note("%d of %d rows: the others are filtered out.", len(places), l.Len())
	}
	return out, nil
}

// textMethod is a method without arguments that returns text.
func textMethod(name string, make func(shownList) (string, error)) func(shownList) (lib.Value, error) {
	return func(l shownList) (lib.Value, error) {
		return method(name, func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
			if err := lib.UnpackArgs(name, args, kwargs); err != nil {
				return nil, starlark.Named("TypeError", err)
			}
			text, err := make(l)
			return lib.String(text), err
		})
	}
}

// csv is every row with its numbers unrounded.
func (l shownList) csv() (string, error) {
	var names []string
	for i := range l.Len() {
		for _, k := range keysOf(l.Index(i), "") {
			if !slices.Contains(names, k) {
				names = append(names, k)
			}
		}
	}
	marks := strings.Join(l.view.allMarks(), " ")
	header := slices.Clone(names)
	if marks != "" {
		header = append(header, "marks")
	}
	lines := [][]string{header}
	for i := range l.Len() {
		line := make([]string, len(names))
		for k, name := range names {
			v, ok := entry(l.Index(i), name)
			if !ok {
				continue
			}
			text, err := plainText(v)
			if err != nil {
				return "", err
			}
			line[k] = text
		}
		if marks != "" {
			line = append(line, marks)
		}
		lines = append(lines, line)
	}
	text, err := csvOf(lines)
	return string(text), err
}

// plainText is a value as files have it.
func plainText(v lib.Value) (string, error) {
	switch v := v.(type) {
	case lib.NoneType:
		return "", nil
	case lib.String:
		return string(v), nil
	case lib.Bool:
		return strconv.FormatBool(bool(v)), nil
	case lib.Float:
		return strconv.FormatFloat(float64(v), 'g', -1, 64), nil
	case lib.Int:
		return v.String(), nil
	}
	raw, err := encodeJSON(v)
	return string(raw), err
}

// encodeJSON writes a value of the language as JSON.
func encodeJSON(v lib.Value) ([]byte, error) {
	text, err := lib.Call(&lib.Thread{Name: "json"}, starlarkjson.Module.Members["encode"], lib.Tuple{v}, nil)
	if err != nil {
		return nil, err
	}
	return []byte(text.(lib.String)), nil
}

// lines are the rows as JSON, with the marks of the table in each.
func (l shownList) lines() ([]byte, error) {
	var out []byte
	for i := range l.Len() {
		raw, err := encodeJSON(l.Index(i))
		if err != nil {
			return nil, err
		}
		if marks := l.view.allMarks(); len(marks) > 0 {
			row := map[string]json.RawMessage{}
			if err := json.Unmarshal(raw, &row); err != nil {
				return nil, err
			}
			if row["marks"], err = json.Marshal(marks); err != nil {
				return nil, err
			}
			if raw, err = json.Marshal(row); err != nil {
				return nil, err
			}
		}
		out = append(append(out, raw...), '\n')
	}
	return out, nil
}

func (l shownList) saveMethod() (lib.Value, error) {
	return method("save", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var path string
		if err := lib.UnpackArgs("save", args, kwargs, "path", &path); err != nil {
			return nil, starlark.Named("TypeError", err)
		}
		data, err := l.encode(filepath.Ext(path))
		if err != nil {
			return nil, fmt.Errorf("save %s: %w", path, err)
		}
		return lib.None, writeFile(l.env.path(path), data)
	})
}

func (l shownList) encode(ext string) ([]byte, error) {
	switch strings.ToLower(ext) {
	case ".csv":
		text, err := l.csv()
		return []byte(text), err
	case ".jsonl":
		return l.lines()
	case ".md":
		return []byte(l.view.markdown()), nil
	case ".tex":
		return []byte(l.view.latex()), nil
	}
	return nil, fmt.Errorf("unknown ending %q: allowed are .csv, .jsonl, .md and .tex", ext)
}

// latex is the table for LaTeX with booktabs.
func (t *tableView) latex() string {
	var b strings.Builder
	b.WriteString("% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n")
	if t.title != "" {
		fmt.Fprintf(&b, "\\caption{%s}\n", texText(t.title))
	}
	for _, m := range t.allMarks() {
		fmt.Fprintf(&b, "\\textbf{%s}\\par\\smallskip\n", texText(m))
	}
	aligns, titles := "", make([]string, len(t.columns))
	for i, c := range t.columns {
		aligns += map[alignment]string{left: "l", right: "r", prose: "p{8em}", wide: "p{16em}"}[c.align]
		titles[i] = texText(c.title)
	}
	fmt.Fprintf(&b, "\\begin{tabular}{%s}\n\\toprule\n%s \\\\\n\\midrule\n", aligns, strings.Join(titles, " & "))
	for n, row := range t.rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = texText(c.text)
		}
		fmt.Fprintf(&b, "%s \\\\\n", strings.Join(cells, " & "))
		if r, ok := t.beneath[n]; ok {
			fmt.Fprintf(&b, "\\multicolumn{%d}{l}{\\footnotesize %s} \\\\\n", len(t.columns), texText(lastLine(r.text)))
		}
	}
	b.WriteString("\\bottomrule\n\\end{tabular}\n")
	for _, n := range t.notes {
		fmt.Fprintf(&b, "\\par\\smallskip{\\footnotesize %s}\n", texText(n))
	}
	b.WriteString("\\end{table}\n")
	return b.String()
}

// texEscapes are the characters that LaTeX takes for its own, and those that it needs no
// package for under another name. A bracket at the beginning of a row would be an argument.
var texEscapes = map[rune]string{
	'\\': `\textbackslash{}`, '{': `\{`, '}': `\}`, '%': `\%`, '$': `\$`, '&': `\&`, '#': `\#`, '_': `\_`,
	'~': `\textasciitilde{}`, '^': `\textasciicircum{}`, '<': `$<$`, '>': `$>$`, '|': `$|$`, '[': `{[}`, ']': `{]}`, '*': `{*}`, '"': `''`,
	'±': `$\pm$`, '×': `$\times$`, '−': `$-$`, '≤': `$\le$`, '≥': `$\ge$`, '–': `--`, '—': `---`, '…': `\ldots{}`,
	'’': `'`, '‘': "`", '“': "``", '”': `''`, ' ': ` `, '·': `$\cdot$`,
}

// texText escapes a text for LaTeX.
func texText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch escaped, special := texEscapes[r]; {
		case special:
			b.WriteString(escaped)
		case r == '\n':
			b.WriteByte(' ')
		case r > unicode.MaxASCII && !unicode.IsLetter(r):
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
