package starlark

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kinds of token.
type kind uint8

const (
	kindNone kind = iota // no token
	kindName
	kindNumber
	kindString
	kindOp
	kindNewline // the end of a logical line
	kindMagic   // a line that starts with % or !, or the word %time alone
	kindBad     // a letter that no token starts with
	kindGone    // taken out by an earlier pass
)

// A token of Python or Starlark text. The scanner never fails: what it cannot
// read it hands on, so that Tab and error hints work on half-written cells.
type token struct {
	kind       kind
	start, end int // byte offsets
	depth      int // of brackets around it; a bracket counts as outside itself
	text       string
	closed     bool // a string that has its closing quote
	first      bool // starts a statement
}

// is tells whether the token is a name or operator with this text.
func (t token) is(text string) bool {
	return t.text == text && (t.kind == kindName || t.kind == kindOp)
}

func (t token) in(texts ...string) bool {
	for _, text := range texts {
		if t.is(text) {
			return true
		}
	}
	return false
}

// word tells whether the token is an identifier and not a keyword.
func (t token) word() bool { return t.kind == kindName && !keywords[t.text] }

// keywords are Python's and Starlark's; match and case are names to both.
var keywords = set(`and as assert async await break class continue def del elif else except
	finally for from global if import in is lambda load nonlocal not or pass raise return try
	while with yield`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// operators, longest first.
var operators = []string{
	"**=", "//=", ">>=", "<<=", "...", ":=", "->", "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "<>",
	"+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=", "&&", "||",
}

// A lexer walks over a text.
type lexer struct {
	text  string
	at    int
	depth int
	fresh bool // the next token starts a statement
	lines bool // whole lines, where magics may be
	out   []token
}

// tokenize splits text, from offset start to end, into tokens.
func tokenize(text string, start, end int) []token {
	lx := &lexer{text: text[:end], at: start, fresh: true, lines: start == 0 && end == len(text)}
	for lx.at < len(lx.text) {
		lx.next()
	}
	return lx.out
}

func (lx *lexer) rest() string { return lx.text[lx.at:] }

func (lx *lexer) emit(k kind, n int) {
	t := token{kind: k, start: lx.at, end: lx.at + n, depth: lx.depth, text: lx.text[lx.at : lx.at+n], first: lx.fresh, closed: true}
	if k == kindNewline {
		t.first = false
	}
	lx.fresh = k == kindNewline || k == kindOp && t.text == ";"
	lx.at += n
	lx.out = append(lx.out, t)
}

func (lx *lexer) next() {
	s := lx.rest()
	c, size := utf8.DecodeRuneInString(s)
	switch {
	case c == '\n':
		lx.newline()
	case c == '\\' && (strings.HasPrefix(s, "\\\n") || strings.HasPrefix(s, "\\\r\n")):
		lx.at += strings.IndexByte(s, '\n') + 1
	case lx.lines && lx.fresh && lx.depth == 0 && strings.ContainsRune("%!?", c):
		lx.magic(s)
	case c == '#':
		n := strings.IndexByte(s, '\n')
		if n < 0 {
			n = len(s)
		}
		lx.at += n
	case unicode.IsSpace(c):
		lx.at += size
	case stringStart(s) >= 0:
		lx.str()
	case c == '_' || unicode.IsLetter(c):
		lx.emit(kindName, span(s, isWordRune))
	case isDigit(c) || c == '.' && len(s) > 1 && isDigit(rune(s[1])):
		lx.emit(kindNumber, numberLen(s))
	default:
		lx.op(s, c, size)
	}
}

// magic takes in the line. What %time measures is code.
func (lx *lexer) magic(s string) {
	line, _, _ := strings.Cut(s, "\n")
	if word := "%time"; strings.HasPrefix(line+" ", word+" ") || strings.HasPrefix(line, word+"\t") {
		lx.emit(kindMagic, len(word))
		lx.fresh = true
		return
	}
	lx.emit(kindMagic, len(line))
}

func (lx *lexer) newline() {
	if lx.depth == 0 && len(lx.out) > 0 && lx.out[len(lx.out)-1].kind != kindNewline {
		lx.emit(kindNewline, 1)
		return
	}
	lx.at++
}

func (lx *lexer) op(s string, c rune, size int) {
	for _, op := range operators {
		if strings.HasPrefix(s, op) {
			lx.emit(kindOp, len(op))
			return
		}
	}
	switch {
	case strings.ContainsRune("([{", c):
		lx.emit(kindOp, size)
		lx.depth++
	case strings.ContainsRune(")]}", c):
		lx.depth = max(0, lx.depth-1)
		lx.emit(kindOp, size)
	case strings.ContainsRune("+-*/%<>=.,:;|&^~@!", c):
		lx.emit(kindOp, size)
	default:
		lx.emit(kindBad, size)
	}
}

func (lx *lexer) str() {
	s := lx.rest()
	n, closed := stringLen(s)
	lx.emit(kindString, n)
	lx.out[len(lx.out)-1].closed = closed
}

func isDigit(c rune) bool    { return '0' <= c && c <= '9' }
func isWordRune(c rune) bool { return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) }

func span(s string, f func(rune) bool) int {
	for i, c := range s {
		if !f(c) {
			return i
		}
	}
	return len(s)
}

// numberLen takes in underscores, which Python allows, and letters, for the
// parser to refuse.
func numberLen(s string) int {
	i := 0
	hex := len(s) > 1 && s[0] == '0' && strings.ContainsRune("xXbBoO", rune(s[1]))
	for i < len(s) {
		c := s[i]
		sign := (c == '+' || c == '-') && i > 0 && (s[i-1] == 'e' || s[i-1] == 'E') && !hex
		if !sign && c != '.' && c != '_' && !isWordRune(rune(c)) {
			break
		}
		i++
	}
	return i
}

// stringStart is the length of a string's prefix, -1 where none starts.
func stringStart(s string) int {
	n := 0
	for n < len(s) && n < 2 && strings.ContainsRune("rRbBuUfF", rune(s[n])) {
		n++
	}
	if n < len(s) && (s[n] == '"' || s[n] == '\'') {
		return n
	}
	return -1
}

// A quoting is how a string literal is written.
type quoting struct {
	prefix int // length of the letters before the quote
	quote  string
	raw    bool
	format bool
	bytes  bool
}

func quotingOf(s string) quoting {
	n := stringStart(s)
	q := quoting{prefix: n, quote: s[n : n+1]}
	if strings.HasPrefix(s[n:], strings.Repeat(q.quote, 3)) {
		q.quote = strings.Repeat(q.quote, 3)
	}
	letters := strings.ToLower(s[:n])
	q.raw = strings.Contains(letters, "r")
	q.format = strings.Contains(letters, "f")
	q.bytes = strings.Contains(letters, "b")
	return q
}

// stringLen is the length of the literal at the start of s. One that is not
// closed ends with its line, a triple-quoted one with the text.
func stringLen(s string) (n int, closed bool) {
	return stringLenDepth(s, 0)
}

func stringLenDepth(s string, nested int) (n int, closed bool) {
	q := quotingOf(s)
	i := q.prefix + len(q.quote)
	for i < len(s) {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i += 2
		case strings.HasPrefix(s[i:], q.quote):
			return i + len(q.quote), true
		case s[i] == '\n' && len(q.quote) == 1:
			return i, false
		case q.format && strings.HasPrefix(s[i:], "{{"):
			i += 2
		case q.format && s[i] == '{' && nested < maxFormatNesting:
			n, ok := replacementLen(s[i:], q, nested+1)
			switch {
			case ok:
				i += n
			case nested > 0:
				return i, false // gives up as a whole: trying on takes exponential time
			default:
				q.format = false // as if it were text: the f-string's own parser says what is wrong
			}
		default:
			i++
		}
	}
	return len(s), false
}

// maxFormatNesting bounds f-strings inside f-strings, maxField the length of
// an expression in one.
const (
	maxFormatNesting = 8
	maxField         = 4096
)

// replacementLen is the length of the {…} at the start of s, inside a literal
// with quoting q. As since Python 3.12, quotes inside may be the literal's own.
func replacementLen(s string, q quoting, nested int) (n int, ok bool) {
	depth, i := 0, 0
	spec := false
	for i < len(s) && i < maxField {
		c := s[i]
		switch {
		case c == '\n' && len(q.quote) == 1:
			return 0, false
		case spec && depth == 1 && strings.HasPrefix(s[i:], q.quote):
			return 0, false
		case spec && depth == 1 && c != '{' && c != '}':
			// the text of a specification
		case stringStart(s[i:]) >= 0 && (i == 0 || !isWordRune(rune(s[i-1]))):
			// A quote that ends the literal leaves no room for the closing brace.
			n, closed := stringLenDepth(s[i:], nested)
			if !closed {
				return 0, false
			}
			i += n
			continue
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
			if depth == 0 {
				return i + 1, c == '}'
			}
		case c == ':' && depth == 1:
			spec = true
		}
		i++
	}
	return 0, false
}
