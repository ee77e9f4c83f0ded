package space

import (
	"fmt"
	"strconv"
	"strings"
)

// genotypeLiteral parses the little of Python that genotypes are written in:
// one call with keyword arguments, lists, tuples, strings, integers, range().
type genotypeLiteral struct {
	text  string
	at    int // byte offset of the next unread character
	depth int
}

// Bounds on what is read from outside, far above any genotype.
const (
	literalMaxBytes = 1 << 16
	literalMaxDepth = 8
)

func parseGenotypeLiteral(text string, checkOp func(string) error) (*Genotype, error) {
	if len(text) > literalMaxBytes {
		return nil, fmt.Errorf("genotype: the text has %d bytes; at most %d are read", len(text), literalMaxBytes)
	}
	p := &genotypeLiteral{text: text}
	fields, err := p.call()
	if err != nil {
		return nil, fmt.Errorf("genotype: %w", err)
	}
	return genotypeFromFields(fields, checkOp)
}

type literalField struct {
	name  string
	value any // string, int or []any
}

// call reads [NAME =] Genotype(NAME=VALUE, ...) to the end of the text.
func (p *genotypeLiteral) call() ([]literalField, error) {
	name := p.name()
	if p.take("=") {
		name = p.name()
	}
	if name != "Genotype" {
		return nil, p.errorf("wanted Genotype(...) or a JSON object")
	}
	if !p.take("(") {
		return nil, p.errorf("wanted ( after Genotype")
	}
	var fields []literalField
	for !p.take(")") {
		key := p.name()
		if key == "" || !p.take("=") {
			return nil, p.errorf("wanted a keyword argument such as normal=[...]")
		}
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		fields = append(fields, literalField{key, value})
		if !p.take(",") && !p.ahead(")") {
			return nil, p.errorf("wanted , or ) after %s", key)
		}
	}
	p.space()
	if p.at < len(p.text) {
		return nil, p.errorf("unexpected text after the genotype")
	}
	return fields, nil
}

func (p *genotypeLiteral) value() (any, error) {
	p.space()
	if p.depth++; p.depth > literalMaxDepth {
		return nil, p.errorf("nested too deeply")
	}
	defer func() { p.depth-- }()
	switch {
	case p.take("["):
		return p.items("]")
	case p.take("("):
		return p.items(")")
	case p.ahead("'"), p.ahead(`"`):
		return p.str()
	case p.ahead("range"):
		return p.rangeCall()
	}
	return p.integer()
}

// items reads values up to the closing bracket; a trailing comma is allowed.
func (p *genotypeLiteral) items(closing string) ([]any, error) {
	list := []any{}
	for !p.take(closing) {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if !p.take(",") && !p.ahead(closing) {
			return nil, p.errorf("wanted , or %s", closing)
		}
	}
	return list, nil
}

// rangeCall reads range(stop), range(start, stop) or range(start, stop, step).
func (p *genotypeLiteral) rangeCall() ([]any, error) {
	p.name()
	if !p.take("(") {
		return nil, p.errorf("wanted ( after range")
	}
	args, err := p.items(")")
	if err != nil {
		return nil, err
	}
	bounds := []int{0, 0, 1}
	if len(args) < 1 || len(args) > 3 {
		return nil, p.errorf("range takes 1 to 3 integers, not %d", len(args))
	}
	for i, a := range args {
		n, ok := a.(int)
		if !ok {
			return nil, p.errorf("range takes integers")
		}
		if len(args) == 1 {
			bounds[1] = n
		} else {
			bounds[i] = n
		}
	}
	return p.rangeList(bounds[0], bounds[1], bounds[2])
}

func (p *genotypeLiteral) rangeList(start, stop, step int) ([]any, error) {
	if step < 1 {
		return nil, p.errorf("the step of range must be positive, not %d", step)
	}
	list := []any{}
	for i := start; i < stop; i += step {
		if len(list) > dartsMaxNodes+2 {
			return nil, p.errorf("range(%d, %d, %d) is longer than any cell", start, stop, step)
		}
		list = append(list, i)
	}
	return list, nil
}

func (p *genotypeLiteral) str() (string, error) {
	quote := p.text[p.at]
	end := strings.IndexByte(p.text[p.at+1:], quote)
	if end < 0 {
		return "", p.errorf("the string is not closed")
	}
	s := p.text[p.at+1 : p.at+1+end]
	if strings.ContainsAny(s, "\\\n") {
		return "", p.errorf("escapes and line breaks are not allowed in names of operations")
	}
	p.at += end + 2
	return s, nil
}

func (p *genotypeLiteral) integer() (int, error) {
	start := p.at
	if start < len(p.text) && p.text[start] == '-' {
		p.at++
	}
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	// 32 bits keep every sum of range() far from overflow.
	n, err := strconv.ParseInt(p.text[start:p.at], 10, 32)
	if err != nil {
		p.at = start
		return 0, p.errorf("wanted a list, a tuple, a string or an integer")
	}
	return int(n), nil
}

func (p *genotypeLiteral) space() {
	p.at = len(p.text) - len(strings.TrimLeft(p.text[p.at:], " \t\r\n"))
}

func (p *genotypeLiteral) ahead(s string) bool {
	p.space()
	return strings.HasPrefix(p.text[p.at:], s)
}

func (p *genotypeLiteral) take(s string) bool {
	if !p.ahead(s) {
		return false
	}
	p.at += len(s)
	return true
}

// name reads an identifier, "" if there is none.
func (p *genotypeLiteral) name() string {
	p.space()
	start := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (p.at == start || c < '0' || c > '9') {
			break
		}
		p.at++
	}
	return p.text[start:p.at]
}

func (p *genotypeLiteral) errorf(format string, args ...any) error {
	where := p.text[p.at:]
	if where == "" {
		where = "the end"
	} else {
		where = fmt.Sprintf("%.20q", where)
	}
	return fmt.Errorf("%s (character %d, at %s)", fmt.Sprintf(format, args...), p.at+1, where)
}

func genotypeFromFields(fields []literalField, checkOp func(string) error) (*Genotype, error) {
	names := make([]string, len(fields))
	values := make(map[string]any)
	for i, f := range fields {
		names[i] = f.name
		values[f.name] = f.value
	}
	if err := checkGenotypeKeys(names); err != nil {
		return nil, err
	}
	var cells [2]DARTSCell
	for i, name := range []string{"normal", "reduce"} {
		var err error
		if cells[i].Edges, err = literalToEdges(values[name]); err != nil {
			return nil, fmt.Errorf("genotype: %s: %w", name, err)
		}
		if cells[i].Concat, err = literalToInts(values[name+"_concat"]); err != nil {
			return nil, fmt.Errorf("genotype: %s_concat: %w", name, err)
		}
	}
	if given, ok := values[perNodeKey]; ok {
		n, isInt := given.(int)
		if !isInt || n < 1 {
			return nil, perNodeError(fmt.Sprint(given))
		}
		cells[0].PerNode, cells[1].PerNode = n, n
	}
	return newGenotype(cells[0], cells[1], checkOp)
}

func literalToEdges(v any) ([]DARTSEdge, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("wanted a list of pairs such as [('sep_conv_3x3', 1), ...]")
	}
	edges := make([]DARTSEdge, len(list))
	for i, item := range list {
		pair, ok := item.([]any)
		if !ok || len(pair) != 2 {
			return nil, fmt.Errorf("edge %d is not a pair such as ('sep_conv_3x3', 1)", i)
		}
		op, isOp := pair[0].(string)
		input, isInput := pair[1].(int)
		if !isOp || !isInput {
			return nil, fmt.Errorf("edge %d is not a pair of an operation and a state, such as ('sep_conv_3x3', 1)", i)
		}
		edges[i] = DARTSEdge{op, input}
	}
	return edges, nil
}

func literalToInts(v any) ([]int, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("wanted a list of states such as [2, 3, 4, 5] or range(2, 6)")
	}
	ints := make([]int, len(list))
	for i, item := range list {
		if ints[i], ok = item.(int); !ok {
			return nil, fmt.Errorf("entry %d is not an integer", i)
		}
	}
	return ints, nil
}
