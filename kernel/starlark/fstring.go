package starlark

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/syntax"
)

// stringRun treats a string and, when it is the first of several side by side,
// joins them: "a" "b" is "a" + "b".
func (p *preparer) stringRun(i int) {
	t := p.toks[i]
	before := i > 0 && p.toks[i-1].kind == kindString
	after := i+1 < len(p.toks) && p.toks[i+1].kind == kindString
	if !before && after {
		p.insert(rankRun, t.start, "(")
	}
	p.str(t)
	switch {
	case after:
		p.insert(rankCopy, t.end, "+")
	case before:
		p.insert(rankEndRun, t.end, ")")
	}
}

func (p *preparer) str(t token) {
	if !t.closed {
		return // the parser says so
	}
	q := quotingOf(t.text)
	letters := strings.ToLower(t.text[:q.prefix])
	switch {
	case q.format && q.bytes:
		p.fail(t, "an f-string cannot be bytes")
	case q.format:
		f := &fieldWriter{p: p, at: t.start, end: t.end - len(q.quote), q: q}
		f.write(t)
	case letters == "br":
		p.replace(t.start, t.start+2, "rb")
	case strings.Contains(letters, "u"):
		if letters != "u" {
			p.fail(t, "the prefix %s is not known: r, b, f and u are", t.text[:q.prefix])
			return
		}
		p.replace(t.start, t.start+1, "")
	case letters != t.text[:q.prefix]:
		p.replace(t.start, t.start+q.prefix, letters)
	}
	if !q.format && !q.raw && !q.bytes {
		p.escapes(t.start+q.prefix+len(q.quote), t.end-len(q.quote))
	}
}

// escapes puts \xe9 and \351, which Starlark keeps for bytes, into the form
// \u00e9 (papermill writes Latin-1 letters so), and keeps the backslash of
// escapes that Python does not know either.
func (p *preparer) escapes(start, end int) {
	for i := start; i < end; i++ {
		if p.code[i] != '\\' || i+1 >= end {
			continue
		}
		r, n, known := unescape(p.code[i:end])
		switch {
		case !known:
			p.replace(i, i+1, `\\`)
		case r >= 0x80 && (p.code[i+1] == 'x' || p.code[i+1] < '8'):
			p.replace(i, i+n, fmt.Sprintf(`\u%04x`, r))
		}
		i += n - 1
	}
}

// unescape reads an escape sequence. r is -1 for an escaped line break, which
// stands for nothing. An unknown escape is only its backslash.
func unescape(s string) (r rune, n int, known bool) {
	if i := strings.IndexByte(`abfnrtv\'"`, s[1]); i >= 0 {
		return rune("\a\b\f\n\r\t\v\\'\""[i]), 2, true
	}
	size := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
	switch {
	case s[1] == '\n':
		return -1, 2, true
	case s[1] >= '0' && s[1] <= '7':
		for n = 2; n < 4 && n < len(s) && s[n] >= '0' && s[n] <= '7'; n++ {
		}
		v, err := strconv.ParseUint(s[1:n], 8, 32)
		return rune(v), n, err == nil
	case size > 0 && len(s) >= 2+size:
		v, err := strconv.ParseUint(s[2:2+size], 16, 32)
		if err != nil || v > utf8.MaxRune || !utf8.ValidRune(rune(v)) {
			return 0, 1, size != 2 && err == nil // surrogates: the parser has a message
		}
		return rune(v), 2 + size, true
	}
	return 0, 1, false
}

// A fieldWriter turns an f-string into a call whose expressions stay in their
// place: f"a {x:.3f}" becomes ƒstr(["a ",((x),"",".3f"),]). Line breaks
// between the expressions are kept, so that lines keep their numbers.
type fieldWriter struct {
	p    *preparer
	q    quoting
	at   int // up to where the text has been replaced
	end  int // of the literal, before its closing quote
	text strings.Builder
	lit  strings.Builder
	head bool // the call has been opened
}

func (f *fieldWriter) write(t token) {
	if f.p.depth++; f.p.depth > maxFormatNesting {
		f.p.fail(t, "f-strings are nested more than %d deep", maxFormatNesting)
		return
	}
	defer func() { f.p.depth-- }()
	f.open()
	f.parts(t.start+f.q.prefix+len(f.q.quote), false)
	f.text.WriteString("])")
	f.flush(t.end)
}

func (f *fieldWriter) open() { f.text.WriteString(fstringName + "([") }

// flush replaces what lies between the last expression and to.
func (f *fieldWriter) flush(to int) {
	text := f.text.String()
	if lines := strings.Count(f.p.code[f.at:to], "\n"); lines > 0 {
		// After the opening bracket, so that the line breaks are inside it.
		skip := 0
		if !f.head {
			skip = len(fstringName + "([")
		}
		text = text[:skip] + strings.Repeat("\n", lines) + text[skip:]
	}
	f.p.replace(f.at, to, text)
	f.text.Reset()
	f.at, f.head = to, true
}

func (f *fieldWriter) literal() {
	if f.lit.Len() > 0 {
		f.text.WriteString(syntax.Quote(f.lit.String(), false) + ",")
		f.lit.Reset()
	}
}

// parts reads text and fields from i on. In a specification it ends at the
// closing brace, whose offset it returns.
func (f *fieldWriter) parts(i int, inSpec bool) int {
	code := f.p.code[:f.end]
	for i < f.end && f.p.src.err == nil {
		rest := code[i:]
		switch {
		case !inSpec && (strings.HasPrefix(rest, "{{") || strings.HasPrefix(rest, "}}")):
			f.lit.WriteByte(rest[0])
			i += 2
		case rest[0] == '{':
			i = f.field(i, inSpec)
		case rest[0] == '}' && inSpec:
			f.literal()
			return i
		case rest[0] == '}':
			f.p.src.fail(i, "f-string: a single '}'; write }} for the letter")
		case rest[0] == '\\' && !f.q.raw && len(rest) > 1:
			r, n, known := unescape(rest)
			if !known || n == 1 {
				f.lit.WriteByte('\\')
			} else if r >= 0 {
				f.lit.WriteRune(r)
			}
			i += n
		default:
			f.lit.WriteByte(rest[0])
			i++
		}
	}
	f.literal()
	return i
}

// field writes the {…} at i and returns the offset after it.
func (f *fieldWriter) field(i int, inSpec bool) int {
	start := i + 1
	x := f.scan(start)
	if f.p.src.err != nil {
		return f.end
	}
	expr := f.p.code[start:x.end]
	if strings.TrimSpace(expr) == "" {
		f.p.src.fail(i, "f-string: there is no expression between the braces; write {{ for the letter")
		return f.end
	}
	if x.debug > 0 {
		f.lit.WriteString(f.p.code[start:x.debug])
	}
	f.literal()
	f.text.WriteString("((")
	f.flush(start)
	f.p.tokens(tokenizeExpr(f.p.code, start, x.end), false)
	f.at = x.end
	conv := x.conv
	if x.debug > 0 && conv == "" && x.spec < 0 {
		conv = "r"
	}
	f.text.WriteString("),\"" + conv + "\",")
	after := x.after
	if x.spec < 0 {
		f.text.WriteString("\"\"),")
		return after
	}
	if inSpec {
		f.p.src.fail(x.spec, "f-string: a specification inside a specification")
		return f.end
	}
	f.open()
	after = f.parts(x.spec, true)
	f.text.WriteString("])),")
	if after >= f.end {
		f.p.src.fail(i, "f-string: a '{' without its '}'")
		return f.end
	}
	return after + 1
}

// tokenizeExpr is tokenize for an expression in braces, where line breaks
// mean nothing.
func tokenizeExpr(code string, start, end int) []token {
	lx := &lexer{text: code[:end], at: start, depth: 1}
	for lx.at < len(lx.text) {
		lx.next()
	}
	return lx.out
}

// A field is what scan found: offsets of the parts of {expr=!conv:spec}.
type field struct {
	end   int // of the expression
	debug int // after the = sign and its spaces, 0 without one
	conv  string
	spec  int // start of the specification, -1 without one
	after int // after the closing brace, where there is no specification
}

func (f *fieldWriter) scan(i int) field {
	code, depth, start := f.p.code, 0, i
	for i < f.end {
		c := code[i]
		if stringStart(code[i:f.end]) >= 0 && (i == start || !isWordRune(rune(code[i-1]))) {
			n, _ := stringLen(code[i:f.end])
			i += n
			continue
		}
		switch {
		case c == '#':
			f.p.src.fail(i, "f-string: a comment cannot stand in the braces")
			return field{}
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case depth > 0 && strings.IndexByte(")]}", c) >= 0:
			depth--
		case depth > 0:
		case c == '=' && f.debugAt(i):
			return f.tail(field{end: i, debug: f.skipSpace(i + 1), spec: -1}, f.skipSpace(i+1))
		case c == '!' && !strings.HasPrefix(code[i:f.end], "!="), c == ':', c == '}':
			return f.tail(field{end: i, spec: -1}, i)
		}
		i++
	}
	f.p.src.fail(start-1, "f-string: a '{' without its '}'; write {{ for the letter")
	return field{}
}

// debugAt tells whether the = at i is that of {x=}.
func (f *fieldWriter) debugAt(i int) bool {
	code := f.p.code[:f.end]
	if i > 0 && strings.IndexByte("=!<>", code[i-1]) >= 0 {
		return false
	}
	j := f.skipSpace(i + 1)
	return j < len(code) && (code[j] == '}' || code[j] == ':' || code[j] == '!' && !strings.HasPrefix(code[j:], "!="))
}

func (f *fieldWriter) skipSpace(i int) int {
	for i < f.end && (f.p.code[i] == ' ' || f.p.code[i] == '\t') {
		i++
	}
	return i
}

// tail reads conversion and specification from i on.
func (f *fieldWriter) tail(x field, i int) field {
	code := f.p.code[:f.end]
	if code[i] == '!' {
		n := span(code[i+1:], isWordRune)
		x.conv = code[i+1 : i+1+n]
		if x.conv != "r" && x.conv != "s" && x.conv != "a" {
			f.p.src.fail(i, "f-string: the conversion !%s is not one of !r, !s, !a", x.conv)
			return x
		}
		i = f.skipSpace(i + 1 + n)
	}
	switch {
	case i < f.end && code[i] == ':':
		x.spec = i + 1
	case i < f.end && code[i] == '}':
		x.after = i + 1
	default:
		f.p.src.fail(x.end, "f-string: '}' is missing")
	}
	return x
}
