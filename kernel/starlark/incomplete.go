package starlark

import (
	"strings"

	"evalnas/kernel"
)

// IsComplete tells a console whether Enter runs the code or starts a new line.
// A block goes on until a blank line.
func (in *Interpreter) IsComplete(code string) kernel.Completeness {
	src := newSource("", code)
	toks := tokenize(src.code, 0, len(src.code))
	incomplete := func(indent string) kernel.Completeness {
		return kernel.Completeness{Status: "incomplete", Indent: indent}
	}
	last := lastLine(src.code)
	switch open, ok := brackets(toks); {
	case !ok:
		return kernel.Completeness{Status: "invalid"}
	case openString(toks):
		return incomplete("")
	case open > 0:
		return incomplete(indentOf(last) + "    ")
	case strings.HasSuffix(last, "\\"):
		return incomplete(indentOf(last))
	case opensBlock(toks):
		return in.openBlock(code, indentOf(last)+"    ")
	}
	src.code += "\n" // so that `1 +` is wrong, and not merely short
	if _, err := src.parse(); err != nil {
		if strings.Contains(err.Error(), "got end of file") {
			return incomplete(indentOf(last))
		}
		return kernel.Completeness{Status: "invalid"}
	}
	if indent := indentOf(last); strings.TrimSpace(last) != "" && inBlock(toks, last) {
		return incomplete(afterLine(toks, indent))
	}
	return kernel.Completeness{Status: "complete"}
}

// openBlock answers for code that ends in the colon of a block: it may go on
// unless it is wrong already, whatever follows.
func (in *Interpreter) openBlock(code, indent string) kernel.Completeness {
	src := newSource("", strings.TrimRight(code, " \t\n")+"\n"+indent+"pass\n")
	if _, err := src.parse(); err != nil {
		return kernel.Completeness{Status: "invalid"}
	}
	return kernel.Completeness{Status: "incomplete", Indent: indent}
}

// lastLine is the last line; the line break at the end of one does not begin
// another.
func lastLine(code string) string {
	code = strings.TrimSuffix(code, "\n")
	return code[strings.LastIndexByte(code, '\n')+1:]
}

func indentOf(line string) string {
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// brackets counts what is open; ok is false where one closes that was not, or
// not so.
func brackets(toks []token) (open int, ok bool) {
	var stack []string
	partner := map[string]string{")": "(", "]": "[", "}": "{"}
	for _, t := range toks {
		switch {
		case t.in("(", "[", "{"):
			stack = append(stack, t.text)
		case t.in(")", "]", "}"):
			if len(stack) == 0 || stack[len(stack)-1] != partner[t.text] {
				return 0, false
			}
			stack = stack[:len(stack)-1]
		}
	}
	return len(stack), true
}

// openString tells whether the text ends inside triple quotes.
func openString(toks []token) bool {
	if len(toks) == 0 {
		return false
	}
	t := toks[len(toks)-1]
	return t.kind == kindString && !t.closed && len(quotingOf(t.text).quote) == 3
}

// opensBlock tells whether the last line ends in the colon of a block.
func opensBlock(toks []token) bool {
	n := len(toks)
	for n > 0 && toks[n-1].kind == kindNewline {
		n--
	}
	if n == 0 || !toks[n-1].is(":") || toks[n-1].depth > 0 {
		return false
	}
	for n--; n >= 0 && !toks[n].first; n-- {
	}
	return n >= 0 && toks[n].in("def", "if", "elif", "else", "for", "while")
}

// inBlock tells whether the last line belongs to a block that may go on: it is
// indented, or it is a whole block on one line.
func inBlock(toks []token, last string) bool {
	if indentOf(last) != "" {
		return true
	}
	n := len(toks)
	for n > 0 && toks[n-1].kind == kindNewline {
		n--
	}
	for n--; n > 0 && !(toks[n].first && toks[n-1].kind == kindNewline); n-- {
	}
	return n >= 0 && toks[n].in("def", "if", "elif", "else", "for", "while")
}

// afterLine is the indentation after a line: one step less where the block has
// ended.
func afterLine(toks []token, indent string) string {
	for i := len(toks) - 1; i >= 0; i-- {
		if toks[i].first {
			if toks[i].in("return", "pass", "break", "continue") && len(indent) >= 4 {
				return indent[:len(indent)-4]
			}
			break
		}
	}
	return indent
}
