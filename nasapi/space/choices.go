package space

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	"evalnas/nasapi/nearest"
	"evalnas/nasapi/rng"
)

const choicesName = "choices"

// maxChoices bounds the bytes of a definition that is part of a job's configuration.
const maxChoices = 1 << 17

// Pick is a choice of a space: a name and the options that there are.
type Pick struct {
	Name    string
	Options []Option
}

// ChoiceSpace is a space of independent choices: an architecture has one option of each.
// The space that Choices returns can be listed, and then is a ListedChoices, where it has
// at most MaxListed architectures.
type ChoiceSpace struct {
	flat
	picks []Pick
	spec  Spec
	at    map[string]int      // of a choice, by name
	of    []map[Option]uint32 // number of an option, by choice
	first []int               // number of a choice's first option among all
}

// ListedChoices is a ChoiceSpace that can be listed, the last choice fastest.
type ListedChoices struct {
	*ChoiceSpace
	n int
}

var (
	_ Mutator       = (*ChoiceSpace)(nil)
	_ Neighbourhood = (*ChoiceSpace)(nil)
	_ Sequences     = (*ChoiceSpace)(nil)
	_ Finite        = (*ListedChoices)(nil)
)

// Choices makes the space of all combinations of the picks' options, in their order: a
// *ListedChoices or a *ChoiceSpace.
func Choices(picks []Pick) (Space, error) {
	c := &ChoiceSpace{at: map[string]int{}}
	if len(picks) == 0 {
		return nil, errors.New(`choices: there is nothing to choose: give a name and its options, such as choices({"depth": [8, 14, 20]})`)
	}
	total := 0
	for i, p := range picks {
		if p.Name == "" {
			return nil, fmt.Errorf("choices: choice %d has no name", i+1)
		}
		if _, twice := c.at[p.Name]; twice {
			return nil, fmt.Errorf("choices: two choices are called %q", abbreviate(p.Name))
		}
		numbers, err := p.numbers()
		if err != nil {
			return nil, err
		}
		c.at[p.Name] = i
		c.of = append(c.of, numbers)
		c.sizes = append(c.sizes, len(p.Options))
		c.first = append(c.first, total)
		total += len(p.Options)
		c.picks = append(c.picks, Pick{p.Name, slices.Clone(p.Options)})
	}
	c.spec = Spec{Name: choicesName, Choices: writePicks(c.picks, ",", ":", func(o Option) string { return string(o) })}
	if n, ok := c.listed(); ok {
		return &ListedChoices{c, n}, nil
	}
	return c, nil
}

func (p Pick) numbers() (map[Option]uint32, error) {
	if len(p.Options) == 0 {
		return nil, fmt.Errorf("choices: %q has no options: it needs one at least", abbreviate(p.Name))
	}
	numbers := make(map[Option]uint32, len(p.Options))
	for i, o := range p.Options {
		if _, twice := numbers[o]; twice {
			return nil, fmt.Errorf("choices: %q has the option %s twice", abbreviate(p.Name), abbreviate(o.String()))
		}
		numbers[o] = uint32(i)
	}
	return numbers, nil
}

func writePicks(picks []Pick, comma, colon string, write func(Option) string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, p := range picks {
		if i > 0 {
			b.WriteString(comma)
		}
		b.WriteString(quoteJSON(p.Name) + colon + "[")
		for j, o := range p.Options {
			if j > 0 {
				b.WriteString(comma)
			}
			b.WriteString(write(o))
		}
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return b.String()
}

// ParsePicks reads {"depth": [8, 14], "op": ["conv", "pool"]}, in that order.
func ParsePicks(text string) ([]Pick, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	fail := func(err error) ([]Pick, error) {
		return nil, fmt.Errorf(`choices: %q is not such as {"depth": [8, 14, 20]}: %w`, abbreviate(text), err)
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fail(errors.Join(err, errors.New("it must begin with {")))
	}
	var picks []Pick
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return fail(err)
		}
		var raw []json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return fail(err)
		}
		p := Pick{Name: name.(string)} // keys are all that a JSON object allows here
		for _, r := range raw {
			o, err := ParseOption(r)
			if err != nil {
				return fail(err)
			}
			p.Options = append(p.Options, o)
		}
		picks = append(picks, p)
	}
	if _, err := dec.Token(); err != nil {
		return fail(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fail(errors.New("something follows it"))
	}
	return picks, nil
}

// CheckPortable refuses a space whose definition is too long to be written into every job.
func (c *ChoiceSpace) CheckPortable() error {
	if n := len(c.spec.Choices); n > maxChoices {
		return fmt.Errorf("choices: names and options are %d bytes of text: at most %d are allowed", n, maxChoices)
	}
	return nil
}

// choicesOfText reads what String wrote.
func choicesOfText(text string) (Space, error) {
	inner, ok := strings.CutPrefix(text, "choices(")
	inner, closed := strings.CutSuffix(inner, ")")
	if !ok || !closed {
		return nil, fmt.Errorf("%q is no space of choices", abbreviate(text))
	}
	picks, err := ParsePicks(jsonOfCell(inner))
	if err != nil {
		return nil, err
	}
	return Choices(picks)
}

// jsonOfCell turns True and False outside of quotes into true and false.
func jsonOfCell(text string) string {
	var b bytes.Buffer
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\' && i+1 < len(text):
			b.WriteByte(c)
			i++
			b.WriteByte(text[i])
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && (c == 'T' || c == 'F'):
			c += 'a' - 'A'
			b.WriteByte(c)
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// Picks are the choices with their options. They must not be changed.
func (c *ChoiceSpace) Picks() []Pick { return c.picks }

// Spec says how to build the space again.
func (c *ChoiceSpace) Spec() Spec { return c.spec }

func (c *ChoiceSpace) String() string {
	return "choices(" + writePicks(c.picks, ", ", ": ", Option.String) + ")"
}

// Size is the product of the numbers of options.
func (c *ChoiceSpace) Size() *big.Int { return c.size() }

// Measure says over what Sample is uniform.
func (c *ChoiceSpace) Measure() string {
	return fmt.Sprintf("uniform over all %s combinations: each of %d choices uniform", c.size(), len(c.picks))
}

// Sample draws each choice uniformly.
func (c *ChoiceSpace) Sample(s *rng.Stream) Arch { return c.arch(c.sample(s)) }

func (c *ChoiceSpace) arch(digits []uint32) Arch { return &ChoiceArch{space: c, digits: digits} }

// read finds the digits of an architecture, which may be of another space of choices
// whose names and options are those of this one.
func (c *ChoiceSpace) read(a Arch) ([]uint32, error) {
	other, ok := a.(*ChoiceArch)
	switch {
	case !ok:
		return nil, fmt.Errorf("%s is an architecture of the space %s, not one of %s: %w", a, a.Space(), c.short(), ErrOutside)
	case other.space == c || other.space.spec == c.spec:
		return other.digits, nil
	}
	values := map[string]Option{}
	for i, p := range other.space.picks {
		values[p.Name] = p.Options[other.digits[i]]
	}
	return c.digitsOf(values)
}

func (c *ChoiceSpace) short() string {
	if text := c.String(); len(text) <= 200 {
		return text
	}
	return fmt.Sprintf("a space of %d choices", len(c.picks))
}

// digitsOf looks values up. Errors about values that are well-formed wrap ErrOutside.
func (c *ChoiceSpace) digitsOf(values map[string]Option) ([]uint32, error) {
	digits := make([]uint32, len(c.picks))
	for i, p := range c.picks {
		o, ok := values[p.Name]
		if !ok {
			return nil, fmt.Errorf("the choice %q has no value: %w", abbreviate(p.Name), ErrOutside)
		}
		if digits[i], ok = c.of[i][o]; !ok {
			return nil, fmt.Errorf("the choice %q has no option %s: %s: %w", abbreviate(p.Name), abbreviate(o.String()), p.allowed(), ErrOutside)
		}
	}
	if len(values) > len(c.picks) {
		names := make([]string, len(c.picks))
		for i, p := range c.picks {
			names[i] = p.Name
		}
		for _, name := range sortedNames(values) {
			if _, ok := c.at[name]; !ok {
				return nil, fmt.Errorf("there is no choice %q%s: %w", abbreviate(name), hint(name, names), ErrOutside)
			}
		}
	}
	return digits, nil
}

func sortedNames(values map[string]Option) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func hint(name string, names []string) string {
	if near := nearest.Name(name, names); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return ""
}

// allowed lists some options of a choice.
func (p Pick) allowed() string {
	const shown = 8
	var texts []string
	for _, o := range p.Options[:min(shown, len(p.Options))] {
		texts = append(texts, abbreviate(o.String()))
	}
	text := "allowed are " + strings.Join(texts, ", ")
	if more := len(p.Options) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// maxArchJSON bounds the text of one architecture of choices.
const maxArchJSON = 1 << 20

// Parse reads {"depth": 8, "op": "conv"}.
func (c *ChoiceSpace) Parse(raw json.RawMessage) (Arch, error) {
	if len(raw) > maxArchJSON {
		return nil, fmt.Errorf("the architecture is a text of %d bytes; at most %d are read", len(raw), maxArchJSON)
	}
	if digits, ok := c.parsePlain(raw); ok {
		return c.arch(digits), nil
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, fmt.Errorf(`%q is not an architecture of choices, such as {"depth": 8, "op": "conv"}: %w`, abbreviate(string(raw)), err)
	}
	values := make(map[string]Option, len(given))
	for name, r := range given {
		o, err := ParseOption(r)
		if err != nil {
			return nil, fmt.Errorf("the choice %q: %w", abbreviate(name), err)
		}
		values[name] = o
	}
	digits, err := c.digitsOf(values)
	if err != nil {
		return nil, err
	}
	return c.arch(digits), nil
}

// parsePlain reads an architecture of the space in the plainest form: every name once, without
// escapes, and every value as the space writes it. Programs that are asked for architectures
// answer so tens of thousands of times a second. All else is left to Parse.
func (c *ChoiceSpace) parsePlain(raw []byte) ([]uint32, bool) {
	const blanks = " \t\n\r"
	skip := func(c byte) (ok bool) {
		raw = bytes.TrimLeft(raw, blanks)
		if ok = len(raw) > 0 && raw[0] == c; ok {
			raw = raw[1:]
		}
		return ok
	}
	digits := make([]uint32, len(c.picks))
	seen := make([]bool, len(c.picks))
	if bytes.IndexByte(raw, '\\') >= 0 || !skip('{') {
		return nil, false
	}
	for n := range c.picks {
		if n > 0 && !skip(',') || !skip('"') {
			return nil, false
		}
		end := bytes.IndexByte(raw, '"')
		if end < 0 {
			return nil, false
		}
		i, ok := c.at[string(raw[:end])]
		if raw = raw[end+1:]; !ok || seen[i] || !skip(':') {
			return nil, false
		}
		raw = bytes.TrimLeft(raw, blanks)
		if text, quoted := bytes.CutPrefix(raw, []byte{'"'}); quoted {
			if end = bytes.IndexByte(text, '"'); end >= 0 {
				end += 2 // the quotes are the option's
			}
		} else {
			end = bytes.IndexAny(raw, ",} \t\n\r")
		}
		if end < 0 {
			return nil, false
		}
		if digits[i], ok = c.of[i][Option(raw[:end])]; !ok {
			return nil, false
		}
		seen[i], raw = true, raw[end:]
	}
	return digits, skip('}') && len(bytes.TrimLeft(raw, blanks)) == 0
}

// Contains says why a is not in the space, nil if it is.
func (c *ChoiceSpace) Contains(a Arch) error {
	_, err := c.read(a)
	return err
}

// Mutate changes one choice, uniform among those with two options or more, to another of
// its options, uniform too. An architecture of another space is returned as it is.
func (c *ChoiceSpace) Mutate(a Arch, s *rng.Stream) Arch {
	digits, err := c.read(a)
	if err != nil {
		return a
	}
	return c.arch(c.mutate(digits, s))
}

// Neighbours are the architectures with one choice changed, by choice and then by option,
// both in the space's order. It is empty for an architecture of another space.
func (c *ChoiceSpace) Neighbours(a Arch) []Arch {
	digits, err := c.read(a)
	if err != nil {
		return nil
	}
	return archsOf(c.neighbours(digits), c.arch)
}

func archsOf(list [][]uint32, arch func([]uint32) Arch) []Arch {
	out := make([]Arch, len(list))
	for i, d := range list {
		out[i] = arch(d)
	}
	return out
}

// Choices are the decisions of the encoding: one for each choice, and none reads an earlier
// one.
func (c *ChoiceSpace) Choices() []Choice {
	list := make([]Choice, len(c.sizes))
	for i, n := range c.sizes {
		list[i] = Choice{Node: i, N: n, First: c.first[i]}
	}
	return list
}

// Operations names the options of all choices, one choice after the other: "depth=8".
func (c *ChoiceSpace) Operations() []string {
	var names []string
	for _, p := range c.picks {
		for _, o := range p.Options {
			names = append(names, p.Name+"="+o.Plain())
		}
	}
	return names
}

// Decode turns the numbers of the options into their architecture.
func (c *ChoiceSpace) Decode(seq []int) (Arch, error) {
	digits, err := c.fromSequence(seq)
	if err != nil {
		return nil, err
	}
	return c.arch(digits), nil
}

func (f flat) fromSequence(seq []int) ([]uint32, error) {
	if len(seq) != len(f.sizes) {
		return nil, fmt.Errorf("a sequence of this space has %d numbers, not %d", len(f.sizes), len(seq))
	}
	digits := make([]uint32, len(seq))
	for i, v := range seq {
		if v < 0 || v >= f.sizes[i] {
			return nil, fmt.Errorf("number %d of the sequence is %d: it must be 0 to %d", i, v, f.sizes[i]-1)
		}
		digits[i] = uint32(v)
	}
	return digits, nil
}

// Encode is the inverse of Decode.
func (c *ChoiceSpace) Encode(a Arch) ([]int, error) {
	digits, err := c.read(a)
	if err != nil {
		return nil, err
	}
	return toSequence(digits), nil
}

func toSequence(digits []uint32) []int {
	seq := make([]int, len(digits))
	for i, d := range digits {
		seq[i] = int(d)
	}
	return seq
}

// Reachable is Size: every architecture has a sequence.
func (c *ChoiceSpace) Reachable() *big.Int { return c.size() }

// Len is the number of architectures.
func (l *ListedChoices) Len() int { return l.n }

// At counts through the options, the last choice fastest. It panics unless 0 <= i < Len().
func (l *ListedChoices) At(i int) Arch {
	if i < 0 || i >= l.n {
		panic(fmt.Sprintf("space: architecture %d of %d", i, l.n))
	}
	return l.arch(l.digits(i))
}

// Index is the inverse of At.
func (l *ListedChoices) Index(a Arch) (i int, ok bool) {
	digits, err := l.read(a)
	if err != nil {
		return 0, false
	}
	return l.index(digits), true
}

// ChoiceArch is an architecture of a space of choices: a value for each name.
type ChoiceArch struct {
	space  *ChoiceSpace
	digits []uint32
}

var _ Arch = (*ChoiceArch)(nil)

// Hash is half of the SHA-256 of the names and values, sorted by name: 32 hexadecimal
// digits. Spaces that share names and options share hashes.
func (a *ChoiceArch) Hash() string {
	order := make([]int, len(a.digits))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return strings.Compare(a.space.picks[i].Name, a.space.picks[j].Name) })
	sum := sha256.Sum256(a.write(order))
	return hex.EncodeToString(sum[:16])
}

func (a *ChoiceArch) write(order []int) []byte {
	b := []byte{'{'}
	for n, i := range order {
		if n > 0 {
			b = append(b, ',')
		}
		p := a.space.picks[i]
		b = append(append(b, quoteJSON(p.Name)...), ':')
		b = append(b, p.Options[a.digits[i]]...)
	}
	return append(b, '}')
}

// Space is "choices".
func (a *ChoiceArch) Space() string { return choicesName }

// Params is 0: nobody knows which network the choices make.
func (a *ChoiceArch) Params() int64 { return 0 }

// FLOPs is 0, as Params is.
func (a *ChoiceArch) FLOPs() int64 { return 0 }

// Values are the names and options, in the space's order.
func (a *ChoiceArch) Values() []Value {
	out := make([]Value, len(a.digits))
	for i, p := range a.space.picks {
		out[i] = Value{p.Name, p.Options[a.digits[i]]}
	}
	return out
}

// Value is what an architecture has for a choice.
type Value struct {
	Name   string
	Option Option
}

// String is depth=8 op=conv, cut where it is long.
func (a *ChoiceArch) String() string {
	const most = 120
	var b strings.Builder
	for i, v := range a.Values() {
		if i > 0 {
			b.WriteByte(' ')
		}
		if b.Len() > most {
			fmt.Fprintf(&b, "and %d more", len(a.digits)-i)
			break
		}
		b.WriteString(v.Name + "=" + v.Option.Plain())
	}
	return b.String()
}

// MarshalJSON writes {"depth":8,"op":"conv"} in the space's order.
func (a *ChoiceArch) MarshalJSON() ([]byte, error) {
	order := make([]int, len(a.digits))
	for i := range order {
		order[i] = i
	}
	return a.write(order), nil
}
