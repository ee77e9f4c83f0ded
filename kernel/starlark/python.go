package starlark

import (
	"fmt"
	"strings"

	starjson "go.starlark.net/lib/json"
	starmath "go.starlark.net/lib/math"
	"go.starlark.net/syntax"
)

// prepare puts what Starlark's parser cannot read into a form that it can, or
// fails with what to write instead.
func (src *source) prepare() {
	if len(src.code) > maxCode {
		src.fail(0, "the cell has %d bytes, more than %d: read data from files", len(src.code), maxCode)
		return
	}
	p := &preparer{src: src, code: src.code}
	p.tokens(tokenize(src.code, 0, len(src.code)), true)
	if src.err == nil {
		src.apply(src.code, p.edits)
	}
}

// A preparer collects edits over one text. Its passes look at tokens only:
// what they do not understand they leave for the parser to refuse.
type preparer struct {
	src   *source
	code  string
	edits []edit
	toks  []token
	match []int // for a bracket, the index of its partner, -1 without one
	outer []int // the index of the bracket around a token, -1 without one
	depth int   // of f-strings inside each other
}

func (p *preparer) replace(start, end int, text string) {
	p.edits = append(p.edits, edit{start: start, end: end, text: text})
}

// Ranks of what is put in at one place: first what ends something, from the
// inside out, then what starts something, from the outside in.
const (
	rankCopy = iota - 10
	rankEndRun
	rankEndPower
	rankEndChain
	rankEndGenerator
	rankEndAssert
	rankEndTime
	rankGenerator
	rankChain
	rankPower
	rankRun
)

func (p *preparer) insert(rank, at int, text string) {
	p.edits = append(p.edits, edit{start: at, end: at, text: text, rank: rank})
}

func (p *preparer) fail(t token, format string, args ...any) {
	p.src.fail(t.start, format, args...)
}

// tokens runs the passes over the tokens of a text, or of an f-string's
// expression.
func (p *preparer) tokens(toks []token, whole bool) {
	before := *p
	defer func() { p.toks, p.match, p.outer = before.toks, before.match, before.outer }()
	p.toks = toks
	p.pair()
	if p.src.err != nil || !p.bounded() {
		return
	}
	if whole {
		p.statements()
	}
	for i := range p.toks {
		if p.src.err != nil {
			return
		}
		p.token(i)
	}
	p.comparisons()
}

// pair finds the partners of brackets, and what is inside which.
func (p *preparer) pair() {
	p.match, p.outer = make([]int, len(p.toks)), make([]int, len(p.toks))
	var open []int
	for i, t := range p.toks {
		p.match[i], p.outer[i] = -1, -1
		if len(open) > 0 {
			p.outer[i] = open[len(open)-1]
		}
		switch {
		case t.in("(", "[", "{"):
			open = append(open, i)
		case t.in(")", "]", "}") && len(open) > 0:
			j := open[len(open)-1]
			open = open[:len(open)-1]
			if !strings.Contains("() [] {}", p.toks[j].text+t.text) {
				p.fail(t, "%s cannot close the %s of line %d", t.text, p.toks[j].text, p.src.place(p.toks[j].start).line)
				return
			}
			p.match[i], p.match[j] = j, i
		}
	}
}

// maxChain bounds the operators of one expression: the compiler's recursion
// follows them, and Go's stack is not without end.
const maxChain = 10_000

func (p *preparer) bounded() bool {
	chain := []int{0}
	total := 0
	for _, t := range p.toks {
		last := len(chain) - 1
		switch {
		case t.in(")", "]", "}") && last > 0:
			total -= chain[last]
			chain = chain[:last]
		case t.in("(", "[", "{"):
			chain[last]++
			total++
			chain = append(chain, 0)
		case t.kind == kindNewline || t.in(",", ":", ";", "="):
			total -= chain[last]
			chain[last] = 0
		case t.kind != kindName || keywords[t.text]:
			chain[last]++
			total++
		}
		if total > maxChain {
			p.fail(t, "the expression has more than %d operators: split it", maxChain)
			return false
		}
	}
	return true
}

// statements treats what is special at the start of a statement.
func (p *preparer) statements() {
	block := false // the statement has a block after its colon
	lambdas := 0
	for i := 0; i < len(p.toks) && p.src.err == nil; i++ {
		t := &p.toks[i]
		if i > 0 && block && p.toks[i-1].is(":") && p.toks[i-1].depth == 0 && t.kind != kindNewline {
			if lambdas > 0 {
				lambdas--
			} else {
				t.first, block = true, false
			}
		}
		if t.is("lambda") && t.depth == 0 {
			lambdas++
		}
		if t.first {
			block = t.in("def", "if", "elif", "else", "for", "while")
			lambdas = 0
			p.statement(i, p.end(i))
		}
	}
	for i := len(p.toks) - 1; i >= 0; i-- {
		if p.toks[i].kind != kindNewline {
			p.src.quiet = p.toks[i].is(";")
			break
		}
	}
}

// end is the index after the last token of the statement that starts at i.
func (p *preparer) end(i int) int {
	for j := i; j < len(p.toks); j++ {
		if t := p.toks[j]; t.kind == kindNewline || t.is(";") && t.depth == 0 {
			return j
		}
	}
	return len(p.toks)
}

func (p *preparer) statement(i, end int) {
	if i == end {
		return // a stray semicolon
	}
	t := p.toks[i]
	stmt := p.toks[i:end]
	switch {
	case t.kind == kindMagic:
		p.magic(i, end)
	case t.is("import"):
		p.importStatement(stmt)
	case t.is("from"):
		p.fromStatement(stmt)
	case t.is("assert"):
		p.replace(t.start, t.end, assertName+"(")
		p.insert(rankEndAssert, stmt[len(stmt)-1].end, ")")
	case t.is("def"):
		p.annotations(i)
	case t.word() && len(stmt) > 2 && stmt[1].is(":") && stmt[1].depth == 0:
		p.variableAnnotation(i, end)
	case len(stmt) > 1 && stmt[len(stmt)-1].text == "?":
		p.question(stmt)
	default:
		p.forbiddenStatement(i, stmt)
	}
	p.assignments(stmt)
}

// magic replaces a line that starts with %, ! or ?.
func (p *preparer) magic(i, end int) {
	t := p.toks[i]
	name, args, _ := strings.Cut(strings.TrimLeft(t.text, "%?! "), " ")
	switch {
	case strings.HasPrefix(t.text, "!"):
		p.fail(t, "cells run no shell commands; use a terminal (in JupyterLab: File > New > Terminal)")
	case strings.HasPrefix(t.text, "?"):
		p.replace(t.start, t.end, "help("+strings.TrimRight(name, "?")+")")
	case strings.HasPrefix(t.text, "%%"):
		if strings.TrimSpace(p.code[:t.start]) != "" {
			p.usage(t, "%%"+name+" goes on the first line of a cell")
		} else if name != "time" {
			p.usage(t, magicError(name).Error())
		}
		p.src.timed = true
		p.replace(t.start, t.end, args)
	case t.text == "%time":
		p.timeStatement(i, p.end(i))
	case magics[name].run == nil:
		p.usage(t, magicError(name).Error())
	default:
		p.replace(t.start, t.end, fmt.Sprintf("%s(%s, %s)", magicName, syntax.Quote(name, false), syntax.Quote(args, false)))
	}
}

// usage is an error of a magic, which has no place in a syntax.
func (p *preparer) usage(t token, msg string) {
	if p.src.err == nil {
		p.src.err = &placedError{src: p.src, pos: p.src.place(t.start), name: "UsageError", msg: msg}
	}
}

func (p *preparer) timeStatement(i, end int) {
	t := p.toks[i]
	if end == i+1 {
		p.usage(t, "%time measures the statement on its line; write %%time as the first line to measure a cell")
		return
	}
	if p.toks[i+1].in("def", "if", "for", "while") {
		p.usage(t, "%time measures a statement on one line; write %%time as the cell's first line to measure a loop")
		return
	}
	p.replace(t.start, t.end, ticName+"();")
	p.insert(rankEndTime, p.toks[end-1].end, "; "+tocName+"()")
}

// question is name? or name??, IPython's way to ask for help.
func (p *preparer) question(stmt []token) {
	n := len(stmt)
	for n > 0 && stmt[n-1].text == "?" {
		n--
	}
	if n == 0 {
		return
	}
	p.insert(rankRun, stmt[0].start, "help(")
	p.replace(stmt[n-1].end, stmt[len(stmt)-1].end, ")")
}

// An imported name is what is asked for and what it is called.
type imported struct{ name, as string }

// importList reads a, b.c as d from tokens. It answers false where there is
// something else.
func importList(toks []token) (out []imported, ok bool) {
	for i := 0; i < len(toks); {
		if toks[i].kind != kindName {
			return nil, false
		}
		x := imported{name: toks[i].text, as: toks[i].text}
		i++
		for i+1 < len(toks) && toks[i].is(".") && toks[i+1].kind == kindName {
			x.name += "." + toks[i+1].text
			i += 2
		}
		if i+1 < len(toks) && toks[i].is("as") && toks[i+1].kind == kindName {
			x.as = toks[i+1].text
			i += 2
		}
		out = append(out, x)
		if i < len(toks) {
			if !toks[i].is(",") {
				return nil, false
			}
			i++
		}
	}
	return out, len(out) > 0
}

func (p *preparer) importStatement(stmt []token) {
	names, ok := importList(stmt[1:])
	if !ok {
		p.fail(stmt[0], "import is followed by names: import math, json")
		return
	}
	p.importCall(stmt, importName, nil, names)
}

func (p *preparer) fromStatement(stmt []token) {
	at := 1
	for at < len(stmt) && !stmt[at].is("import") {
		at++
	}
	module, ok := importList(stmt[1:at])
	if !ok || len(module) != 1 || at+1 >= len(stmt) {
		p.fail(stmt[0], "from is followed by a module and names: from math import sqrt, pi; code of one's own is read by load(\"file.star\", \"name\")")
		return
	}
	names := stmt[at+1:]
	if names[0].is("(") && names[len(names)-1].is(")") {
		names = names[1 : len(names)-1]
	}
	from := module[0].name
	switch {
	case from == "__future__", from == "evalnas" && len(names) == 1 && names[0].is("*"):
		p.swap(stmt, "pass")
	case len(names) == 1 && names[0].is("*"):
		p.importCall(stmt, fromName, []string{from}, allOf(from))
	default:
		list, ok := importList(names)
		if !ok {
			p.fail(stmt[at], "import is followed by names: from %s import a, b as c", from) // names may be ()
			return
		}
		p.importCall(stmt, fromName, []string{from}, list)
	}
}

// allOf lists what import * brings. The names of an unknown module do not
// matter: the call fails.
func allOf(module string) []imported {
	members := starmath.Module.Members
	if module == "json" {
		members = starjson.Module.Members
	}
	var out []imported
	for _, name := range members.Keys() {
		if name == "round" {
			continue // Python's math has none, and the builtin does more
		}
		out = append(out, imported{name, name})
	}
	return out
}

// importCall writes (a, b) = f("a", "b").
func (p *preparer) importCall(stmt []token, f string, args []string, names []imported) {
	var targets strings.Builder
	for _, n := range names {
		targets.WriteString(n.as + ",")
		args = append(args, n.name)
	}
	for i, a := range args {
		args[i] = syntax.Quote(a, false)
	}
	p.swap(stmt, fmt.Sprintf("(%s) = %s(%s)", targets.String(), f, strings.Join(args, ",")))
}

// swap replaces a whole statement; line breaks in it are kept.
func (p *preparer) swap(stmt []token, text string) {
	start, end := stmt[0].start, stmt[len(stmt)-1].end
	p.replace(start, end, text+strings.Repeat("\\\n", strings.Count(p.code[start:end], "\n")))
	gone(stmt)
}

// gone hides tokens from the later passes.
func gone(toks []token) {
	for i := range toks {
		toks[i].kind, toks[i].text = kindGone, ""
	}
}

// annotations takes the types out of a def's head.
func (p *preparer) annotations(i int) {
	open := i + 2
	if open >= len(p.toks) || !p.toks[open].is("(") || p.match[open] < 0 {
		return
	}
	end := p.match[open]
	inner := p.toks[open].depth + 1
	for j := open + 1; j < end; j++ {
		t := p.toks[j]
		if t.depth != inner || !t.is(":") || p.toks[j-1].is("lambda") {
			if t.is("/") && t.depth == inner && p.toks[j-1].in(",", "(") {
				p.fail(t, "parameters cannot be made positional-only: leave out the /")
			}
			continue
		}
		if p.lambdaBefore(j, open) {
			continue
		}
		k := j
		for k < end && !(p.toks[k].depth == inner && p.toks[k].in(",", "=")) {
			k++
		}
		p.drop(j, k)
		j = k
	}
	if end+1 < len(p.toks) && p.toks[end+1].is("->") {
		k := end + 1
		for k < len(p.toks) && !(p.toks[k].is(":") && p.toks[k].depth == p.toks[i].depth) && p.toks[k].kind != kindNewline {
			k++
		}
		p.drop(end+1, k)
	}
}

// drop takes out the tokens from i to before k, but for their line breaks.
func (p *preparer) drop(i, k int) {
	start, end := p.toks[i].start, p.toks[k-1].end
	p.replace(start, end, strings.Repeat("\\\n", strings.Count(p.code[start:end], "\n")))
	gone(p.toks[i:k])
}

// lambdaBefore tells whether the colon at j belongs to a lambda in the same
// parameter.
func (p *preparer) lambdaBefore(j, open int) bool {
	for k := j - 1; k > open; k-- {
		if p.toks[k].depth == p.toks[j].depth {
			if p.toks[k].is("lambda") {
				return true
			}
			if p.toks[k].is(",") {
				return false
			}
		}
	}
	return false
}

// variableAnnotation is x: int = 3, or x: int alone.
func (p *preparer) variableAnnotation(i, end int) {
	for k := i + 2; k < end; k++ {
		if p.toks[k].is("=") && p.toks[k].depth == 0 {
			p.drop(i+1, k)
			return
		}
	}
	p.swap(p.toks[i:end], "pass")
}

// assignments refuses a = b = c and its like.
func (p *preparer) assignments(stmt []token) {
	seen := false
	for i, t := range stmt {
		switch {
		case t.depth != stmt[0].depth:
		case t.is("lambda"), t.in(":") && !seen && i > 1 && !stmt[0].in("if", "for", "while", "else", "elif", "def"):
			return
		case t.is("=") && seen:
			p.fail(t, "an assignment has one target: write b = value, then a = b, on two lines")
			return
		case t.is("="):
			seen = true
		case t.in("**=", "@="):
			p.fail(t, "there is no %s: write x = x ** y", t.text)
			return
		}
	}
}

// token treats what may stand anywhere in an expression.
func (p *preparer) token(i int) {
	t := p.toks[i]
	switch t.kind {
	case kindString:
		p.stringRun(i)
	case kindNumber:
		p.number(t)
	case kindBad:
		p.bad(i)
	case kindName, kindOp:
		switch t.text {
		case "is":
			p.identity(i)
		case "{":
			p.braces(i)
		case "(":
			p.generator(i)
		case "**":
			p.powerOperator(i)
		case "*":
			p.star(i)
		default:
			p.forbiddenToken(i)
		}
	}
}

func (p *preparer) number(t token) {
	if strings.Contains(t.text, "_") {
		p.replace(t.start, t.end, strings.ReplaceAll(t.text, "_", ""))
	}
	if n := t.text[len(t.text)-1]; (n == 'j' || n == 'J') && isDigit(rune(t.text[0])) {
		p.fail(t, "there are no complex numbers")
	}
}

// identity makes x is None a comparison. Between other values identity and
// equality differ, and there is no identity here.
func (p *preparer) identity(i int) {
	t := p.toks[i]
	op, right := "==", i+1
	if right < len(p.toks) && p.toks[right].is("not") {
		op, right = "!=", i+2
	}
	constant := func(j int) bool {
		return j >= 0 && j < len(p.toks) && p.toks[j].in("None", "True", "False")
	}
	if !constant(right) && !constant(i-1) {
		p.fail(t, "there is no `is`: write == for equal values, != instead of `is not`")
		return
	}
	p.replace(t.start, t.end, op)
	if op == "!=" {
		p.replace(p.toks[i+1].start, p.toks[i+1].end, "")
	}
}

// braces turns {a, b} and {x for x in xs} into sets; {k: v} is left alone.
func (p *preparer) braces(i int) {
	end := p.match[i]
	if end < 0 || end == i+1 {
		return
	}
	lambdas := 0
	for j := i + 1; j < end; j++ {
		t := p.toks[j]
		switch {
		case p.match[j] > j:
			j = p.match[j]
		case t.is("**") && p.toks[j-1].in("{", ","):
			p.fail(t, "dicts cannot be unpacked inside braces: write a | b")
			return
		case t.is("lambda"):
			lambdas++
		case t.is(":") && lambdas > 0:
			lambdas--
		case t.is(":"):
			return
		}
	}
	p.replace(p.toks[i].start, p.toks[i].end, setName+"([")
	p.replace(p.toks[end].start, p.toks[end].end, "])")
}

// generator turns (x for x in xs), also as a call's argument, into a list.
func (p *preparer) generator(i int) {
	end := p.match[i]
	if end < 0 {
		return
	}
	for j := i + 1; j < end; j++ {
		switch t := p.toks[j]; {
		case p.match[j] > j:
			j = p.match[j]
		case t.is(","):
			return
		case t.is("for"):
			p.insert(rankGenerator, p.toks[i].end, "[")
			p.insert(rankEndGenerator, p.toks[end].start, "]")
			return
		}
	}
}

// powerOperator turns a ** b into a call around both operands.
func (p *preparer) powerOperator(i int) {
	t := p.toks[i]
	if i == 0 || p.toks[i-1].in("(", ",", "{", "lambda", ":", "[") {
		return // **kwargs
	}
	left, ok1 := p.primaryBefore(i - 1)
	right, ok2 := p.powerOperand(i + 1)
	if !ok1 || !ok2 {
		p.fail(t, "a ** b needs an operand on both sides; pow(a, b) is the same")
		return
	}
	p.insert(rankPower, p.toks[left].start, powerName+"(")
	p.replace(t.start, t.end, ",")
	p.insert(rankEndPower, p.toks[right].end, ")")
}

// operand tells whether a token can end an operand.
func operand(t token) bool {
	return t.kind == kindName && (!keywords[t.text]) || t.kind == kindNumber || t.kind == kindString || t.in(")", "]", "}")
}

// primaryBefore is the index where the primary expression that ends at i
// starts: a name, literal or bracket with everything that hangs on it.
func (p *preparer) primaryBefore(i int) (int, bool) {
	for i >= 0 && operand(p.toks[i]) {
		t := p.toks[i]
		switch {
		case t.in(")", "]", "}"):
			if i = p.match[i]; i < 0 {
				return 0, false
			}
			if i > 0 && operand(p.toks[i-1]) && !p.toks[i].is("{") {
				i-- // what is called or indexed
				continue
			}
		case t.kind == kindName && i > 1 && p.toks[i-1].is("."):
			i -= 2
			continue
		case t.kind == kindString && i > 0 && p.toks[i-1].kind == kindString:
			i--
			continue
		}
		return i, true
	}
	return 0, false
}

// powerOperand is the index where the right operand that starts at i ends:
// signs, a primary, and further powers, which bind to the right.
func (p *preparer) powerOperand(i int) (int, bool) {
	for i < len(p.toks) && p.toks[i].in("-", "+", "~") {
		i++
	}
	if i >= len(p.toks) || !operand(p.toks[i]) && !p.toks[i].in("(", "[", "{") {
		return 0, false
	}
	if p.toks[i].in("(", "[", "{") {
		if i = p.match[i]; i < 0 {
			return 0, false
		}
	}
	for i+1 < len(p.toks) {
		next := p.toks[i+1]
		switch {
		case next.in("(", "["):
			if p.match[i+1] < 0 {
				return 0, false
			}
			i = p.match[i+1]
		case next.is(".") && i+2 < len(p.toks):
			i += 2
		case next.kind == kindString && p.toks[i].kind == kindString:
			i++
		case next.is("**"):
			return p.powerOperand(i + 2)
		default:
			return i, true
		}
	}
	return i, true
}

// A chain is a run of operands between operators that bind less than
// comparisons do.
type chain struct {
	start    int
	compares []int
	loop     bool // after a for, whose `in` compares nothing
}

// comparisons turns a < x < b into (a < x and x < b) where x is a name, number
// or attribute, which can be written twice.
func (p *preparer) comparisons() {
	stack := []chain{{}}
	for i, t := range p.toks {
		c := &stack[len(stack)-1]
		switch {
		case t.in("(", "[", "{"):
			stack = append(stack, chain{start: i + 1})
		case t.in(")", "]", "}"):
			p.chained(*c, i)
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
		case t.in("<", ">", "<=", ">=", "==", "!="), t.in("in", "is") && !c.loop:
			c.compares = append(c.compares, i)
		case t.is("in"):
			*c = chain{start: i + 1}
		case endsChain(t):
			p.chained(*c, i)
			*c = chain{start: i + 1, loop: t.is("for")}
		}
		if p.src.err != nil {
			return
		}
	}
	for _, c := range stack {
		p.chained(c, len(p.toks))
	}
}

func endsChain(t token) bool {
	return t.kind == kindNewline || t.kind == kindGone || t.in("and", "or", "not", "if", "elif", "else", "while", "return", "for", "lambda", "assert",
		",", ":", ";", "=", "+=", "-=", "*=", "/=", "//=", "%=", "|=", "&=", "^=", "<<=", ">>=")
}

func (p *preparer) chained(c chain, end int) {
	if len(c.compares) < 2 || c.start >= c.compares[0] || c.compares[len(c.compares)-1]+1 >= end {
		return
	}
	for i, at := range c.compares[:len(c.compares)-1] {
		middle := p.toks[at+1 : c.compares[i+1]]
		if len(middle) == 0 {
			return
		}
		for _, t := range middle {
			if !(t.word() || t.kind == kindNumber || t.in(".", "-")) {
				p.fail(p.toks[c.compares[i+1]], "only names and numbers can stand between two comparisons: write a < x and x < b")
				return
			}
		}
		start, stop := middle[0].start, middle[len(middle)-1].end
		p.insert(rankCopy, stop, " and "+strings.ReplaceAll(p.code[start:stop], "\n", " "))
	}
	p.insert(rankChain, p.toks[c.start].start, "(")
	p.insert(rankEndChain, p.toks[end-1].end, ")")
}
