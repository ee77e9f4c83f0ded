package notebook

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Difference is a place in which the outputs of two runs of one notebook differ.
type Difference struct {
	Cell int    `json:"cell"` // its place among the executable cells, In [n] of a run from the top
	What string `json:"what"`
	Was  string `json:"was"`
	Is   string `json:"is"`
	By   string `json:"difference,omitempty"` // of numbers: absolute and in percent
}

// Verdict is the answer of Verify.
type Verdict struct {
	// Tolerance is what was allowed, as a share of the larger number: 0 where both
	// runs are of one class of devices and one version of numerics.
	Tolerance float64 `json:"tolerance"`
	// Basis says how numbers were compared, and why.
	Basis       string       `json:"basis"`
	Compared    int          `json:"compared"` // numbers and texts of results, and printed numbers
	Differences []Difference `json:"differences"`
	Notes       []string     `json:"notes,omitempty"`
}

// uncompared are the entries of data that tell where and when, and what names
// a run of the program; they say nothing of results.
var uncompared = map[string]bool{
	"version": true, "numerics": true, "engine": true, "devices": true, "device": true, "host": true, "id": true, "search": true,
	"error": true, "started": true, "ended": true, "seconds": true, "spent": true, "waited": true, "threads": true, "slots": true, "task": true,
}

// Verify compares the outputs of a notebook with those of another run of it.
// Results are compared by their data, all else by its text; numbers exactly
// where both were computed on one class of devices by one version of numerics,
// within the tolerance otherwise. Pictures, standard error and HTML are not
// compared: they show what the data and the text say.
func Verify(was, is *Notebook, tolerance float64) *Verdict {
	v := &Verdict{Differences: []Difference{}}
	v.decide(was.provenance(), is.provenance(), tolerance)
	old := was.Executable()
	for i, c := range is.Executable() {
		if i < len(old) {
			c := &comparison{Verdict: v, cell: i + 1, was: old[i], is: c}
			c.compare()
		}
	}
	return v
}

// decide finds the tolerance.
func (v *Verdict) decide(was, is provenance, tolerance float64) {
	differ := func(a, b []string) bool { return len(a) > 0 && len(b) > 0 && !slices.Equal(a, b) }
	list := func(names []string) string { return strings.Join(names, ", ") }
	var why []string
	if differ(was.numerics, is.numerics) {
		why = append(why, fmt.Sprintf("its results are of numerics version %s, this program computes version %s", list(was.numerics), list(is.numerics)))
	}
	if differ(was.engines, is.engines) {
		why = append(why, fmt.Sprintf("its networks are of engine version %s, this program's of %s", list(was.engines), list(is.engines)))
	}
	if differ(was.devices, is.devices) {
		why = append(why, fmt.Sprintf("it was computed on %s, now on %s", list(was.devices), list(is.devices)))
	}
	switch {
	case len(why) > 0:
		v.Tolerance = tolerance
		v.Basis = fmt.Sprintf("within %g %% of the larger number: %s", 100*tolerance, strings.Join(why, "; "))
	case len(was.numerics)+len(was.engines)+len(was.devices) == 0:
		v.Basis = "exactly: its outputs do not say by which version of numerics and on which devices they were computed"
	case len(was.devices) == 0:
		v.Basis = fmt.Sprintf("exactly: numerics version %s as here; its outputs name no device", list(was.numerics))
	default:
		v.Basis = fmt.Sprintf("exactly: numerics version %s and device %s as here", list(was.numerics), list(was.devices))
	}
}

// comparison is that of one cell.
type comparison struct {
	*Verdict
	cell    int
	was, is *Cell
}

func (c *comparison) differ(what, was, is, by string) {
	c.Differences = append(c.Differences, Difference{c.cell, what, was, is, by})
}

func (c *comparison) compare() {
	c.texts("printed", stdout(c.was), stdout(c.is))
	a, b := shown(c.was), shown(c.is)
	if len(a) != len(b) {
		c.Compared++
		c.differ("number of outputs", fmt.Sprint(len(a)), fmt.Sprint(len(b)), "")
	}
	for i := range min(len(a), len(b)) {
		c.outputs(fmt.Sprintf("output %d", i+1), a[i], b[i])
	}
}

func stdout(cell *Cell) string {
	var text strings.Builder
	for _, o := range cell.Outputs {
		if o.Kind == Stream && o.Name == "stdout" {
			text.WriteString(o.Text)
		}
	}
	return text.String()
}

// shown are the outputs but for streams.
func shown(cell *Cell) []*Output {
	return slices.DeleteFunc(slices.Clone(cell.Outputs), func(o *Output) bool { return o.Kind == Stream })
}

func (c *comparison) outputs(what string, was, is *Output) {
	if was.Kind == Error || is.Kind == Error {
		c.Compared++
		if a, b := was.outcome(), is.outcome(); a != b {
			c.differ(what, a, b, "")
		}
		return
	}
	kind, mime, a := was.data()
	other, otherMIME, b := is.data()
	switch {
	case mime != "" && mime == otherMIME:
		c.walk([]string{title(kind, a)}, a, b)
	case mime == "" && otherMIME != "":
		c.Notes = append(c.Notes, fmt.Sprintf("cell %d, %s is not compared: it is a %s, of which the notebook keeps no data (it was run by an earlier version)", c.cell, what, orElse(words[other], other)))
	case mime != otherMIME:
		c.Compared++
		c.differ(what, orElse(words[kind], kind), orElse(words[other], "no data"), "")
	default:
		c.texts(what, was.plain(), is.plain())
	}
}

// words name the kinds of data.
var words = map[string]string{"result": "comparison", "ranking": "rankings", "search": "search", "training": "training"}

// title is what data are called, with their name where they have one.
func title(kind string, data any) string {
	m, _ := data.(map[string]any)
	name, _ := m["name"].(string)
	if kind = orElse(words[kind], kind); name == "" || name == kind {
		return kind
	}
	return kind + " " + short(name)
}

// outcome is an error's name and message, or that there is none.
func (o *Output) outcome() string {
	if o.Kind != Error {
		return "no error"
	}
	return short(settled(o.ErrorName + ": " + o.ErrorValue))
}

func (c *comparison) texts(what, was, is string) {
	for _, line := range compared(was) {
		for _, t := range tokens(settled(line)) {
			if t.isNumber {
				c.Compared++
			}
		}
	}
	for _, d := range compareTexts(was, is, c.Tolerance) {
		c.differ(what+", "+d.where, d.was, d.is, d.by)
	}
}

// walk compares two values of JSON that stand in one place.
func (c *comparison) walk(path []string, was, is any) {
	switch a := was.(type) {
	case map[string]any:
		if b, ok := is.(map[string]any); ok {
			c.objects(path, a, b)
			return
		}
	case []any:
		if b, ok := is.([]any); ok {
			c.lists(path, a, b)
			return
		}
	}
	c.Compared++
	if same, by := c.same(was, is); !same {
		c.differ(strings.Join(path, ", "), leaf(was), leaf(is), by)
	}
}

// same compares two leaves; by is how far numbers are apart.
func (c *comparison) same(was, is any) (same bool, by string) {
	a, isA := asNumber(was)
	b, isB := asNumber(is)
	if !isA || !isB {
		return leaf(was) == leaf(is), ""
	}
	return a == b || math.Abs(a-b) <= c.Tolerance*math.Max(math.Abs(a), math.Abs(b)), change(a, b)
}

func asNumber(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// leaf writes a value for a table.
func leaf(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return short(v)
	case map[string]any:
		return fmt.Sprintf("%d entries", len(v))
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	}
	return short(fmt.Sprint(v))
}

func (c *comparison) objects(path []string, was, is map[string]any) {
	if was["matrix"] != nil || was["normal"] != nil { // an architecture is one thing
		c.Compared++
		if a, b := architecture(was), architecture(is); a != b {
			c.differ(strings.Join(path, ", "), short(a), short(b), "")
		}
		return
	}
	keys := slices.Sorted(maps.Keys(was))
	for k := range is {
		if _, both := was[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if !uncompared[k] {
			c.walk(append(path[:len(path):len(path)], strings.ReplaceAll(k, "_", " ")), was[k], is[k])
		}
	}
}

func architecture(v map[string]any) string {
	raw, err := json.Marshal(v) // keys in order
	if err != nil {
		return ""
	}
	return string(raw)
}

// lists compares by the elements' names where they have some, else by their places.
func (c *comparison) lists(path []string, was, is []any) {
	a, b := labels(was), labels(is)
	if a == nil || b == nil {
		c.places(path, was, is)
		return
	}
	path = path[: len(path)-1 : len(path)-1] // the elements' names say what they are
	find := func(list []string, all []any, name string) any {
		if i := slices.Index(list, name); i >= 0 {
			return all[i]
		}
		return nil
	}
	for i, name := range a {
		c.walk(append(path[:len(path):len(path)], name), was[i], find(b, is, name))
	}
	for i, name := range b {
		if !slices.Contains(a, name) {
			c.walk(append(path[:len(path):len(path)], name), nil, is[i])
		}
	}
}

// places compares element by element. Many numbers that differ are one line.
func (c *comparison) places(path []string, was, is []any) {
	where := strings.Join(path, ", ")
	if len(was) != len(is) {
		c.Compared++
		c.differ(where, leaf(was), leaf(is), "")
		return
	}
	apart, furthest, text := 0, 0.0, ""
	for i := range was {
		a, isA := asNumber(was[i])
		b, isB := asNumber(is[i])
		if !isA || !isB {
			c.walk(append(path[:len(path):len(path)], fmt.Sprint(i+1)), was[i], is[i])
			continue
		}
		c.Compared++
		if same, by := c.same(was[i], is[i]); !same {
			if apart++; apart == 1 || math.Abs(a-b) > furthest {
				furthest, text = math.Abs(a-b), by
			}
		}
	}
	if apart > 0 {
		c.differ(where, fmt.Sprintf("%d numbers", len(was)), fmt.Sprintf("%d of them differ", apart), "up to "+text)
	}
}

// labels names the elements of a list, nil where they have no names of their own.
func labels(list []any) []string {
	var out []string
	for _, v := range list {
		m, _ := v.(map[string]any)
		name := label(m)
		if name == "" || slices.Contains(out, name) {
			return nil
		}
		out = append(out, name)
	}
	return out
}

func label(m map[string]any) string {
	for _, key := range []string{"name", "policy"} {
		if s, ok := m[key].(string); ok && s != "" {
			return short(s)
		}
	}
	var parts []string
	for _, key := range []string{"seed", "train_seed", "epoch", "k"} {
		v := m[key]
		if n, ok := v.(json.Number); ok {
			parts = append(parts, strings.ReplaceAll(key, "_", " ")+" "+n.String())
		}
	}
	return strings.Join(parts, ", ")
}

// DiffData compares what the outputs of two notebooks hold for machines, but for one MIME
// type: of each kind and name the first of one with the first of the other, and so on. What
// is shown twice counts once. both is how many pairs there are.
func DiffData(a, b *Notebook, but string) (differences []Difference, both int) {
	v := &Verdict{Differences: []Difference{}}
	left, right := a.titled(but), b.titled(but)
	names := slices.Sorted(maps.Keys(left))
	for name := range right {
		if left[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		c := &comparison{Verdict: v}
		for i := range max(len(left[name]), len(right[name])) {
			switch {
			case i >= len(right[name]):
				c.differ(name, "only in A", "-", "")
			case i >= len(left[name]):
				c.differ(name, "-", "only in B", "")
			default:
				both++
				c.walk([]string{name}, left[name][i], right[name][i])
			}
		}
	}
	return v.Differences, both
}

// titled are the data of a notebook by their titles, each once.
func (nb *Notebook) titled(but string) map[string][]any {
	out := map[string][]any{}
	for _, c := range nb.Executable() {
		for _, o := range c.Outputs {
			kind, mime, v := o.data()
			if kind == "" || mime == but {
				continue
			}
			name := title(kind, v)
			if !slices.ContainsFunc(out[name], func(other any) bool { return reflect.DeepEqual(v, other) }) {
				out[name] = append(out[name], v)
			}
		}
	}
	return out
}

// FailedAt tells of the cells of a copy of the notebook which failed in it.
func (nb *Notebook) FailedAt(again *Notebook) func(*Cell) bool {
	failed := map[*Cell]bool{}
	for i, c := range nb.Cells {
		if i < len(again.Cells) {
			failed[again.Cells[i]] = slices.ContainsFunc(c.Outputs, func(o *Output) bool { return o.Kind == Error })
		}
	}
	return func(c *Cell) bool { return failed[c] }
}
