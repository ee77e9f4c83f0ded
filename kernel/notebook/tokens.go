package notebook

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// TextRule says what of a text is not compared.
const TextRule = `times of day and dates, durations (a number before ns, us, ms, s, min, h, days, seconds,
minutes, hours or device-seconds and so on), rates (a number before /s, "a second" or "per second"), ids of
jobs and searches (12 or 20 hexadecimal digits), the values of "seconds", "spent", "waited",
"started", "ended", "host", "id" and "version" in a printed dict, bars of progress, blanks, and
lines that say what seeds or networks will take, or that they were done before`

// varying is TextRule, what matches is as good as anything else that matches.
var varying = []*regexp.Regexp{
	regexp.MustCompile(`["'](?:seconds|spent|waited|started|ended|host|id|version)["']: *(?:"[^"]*"|'[^']*'|[-+0-9.e]+|None)`),
	regexp.MustCompile(`\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b`),
	regexp.MustCompile(`\b\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\b`),
	regexp.MustCompile(`(?:< *)?\b\d[\d,]*(?:\.\d+)?(?:[a-zA-Z]+ |[ /]?)(?:[a-zA-Z]+ )?(?:/s|a second|per second)\b`),
	regexp.MustCompile(`(?:< *|about )?\b\d[\d,]*(?:\.\d+)? ?(?:ns|us|µs|ms|s|sec|seconds?|min|minutes?|h|hours?|days?|device-(?:seconds?|minutes?|hours?|days?))\b`),
	regexp.MustCompile(`\b(?:[0-9a-f]{12}|[0-9a-f]{20})\b`),
	regexp.MustCompile(`[█░]+`),
}

// expectation matches the lines about what work will take (kernel/commands/costs.go): there
// are none where it is done already.
var expectation = regexp.MustCompile(`(?m)^.*(?:\b\d[\d,]* (?:seeds?|networks)\b.* in all|\b(?:evaluations|images) a second measured|: \d[\d,]* seeds? done before$).*\n?`)

// settled is the text with what varies written as a mark.
func settled(line string) string {
	for _, r := range varying {
		line = r.ReplaceAllString(line, "…")
	}
	return line
}

// number is a number with thin groups and an exponent where it has them.
var number = regexp.MustCompile(`^[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?`)

// token is a number, a word or a sign.
type token struct {
	text     string
	isNumber bool
	value    float64
	decimals int // of a number
}

// tokens splits a line. Digits that stand in a word, such as those of a hash, belong to it.
func tokens(line string) []token {
	var out []token
	for line != "" {
		r, size := utf8.DecodeRuneInString(line)
		if unicode.IsSpace(r) {
			line = line[size:]
			continue
		}
		t := nextToken(line)
		out = append(out, t)
		line = line[len(t.text):]
	}
	return out
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

func nextToken(line string) token {
	if text := number.FindString(line); text != "" {
		next, _ := utf8.DecodeRuneInString(line[len(text):])
		value, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
		if err == nil && (len(text) == len(line) || !isWord(next)) {
			return token{text: text, isNumber: true, value: value, decimals: decimals(text)}
		}
	}
	end := strings.IndexFunc(line, func(r rune) bool { return !isWord(r) })
	switch {
	case end < 0:
		return token{text: line}
	case end > 0:
		return token{text: line[:end]}
	}
	_, size := utf8.DecodeRuneInString(line)
	return token{text: line[:size]}
}

// decimals is the place of a number's last digit behind the point; 1.2e-3 has 4.
func decimals(text string) int {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	_, fraction, _ := strings.Cut(mantissa, ".")
	shift, err := strconv.Atoi(exponent)
	if err != nil {
		shift = 0
	}
	return len(fraction) - shift
}

// near says whether two numbers agree. Without a tolerance they are equal; with one,
// printed numbers may differ by a unit of the last digit, too, by rounding.
func (t token) near(u token, tolerance float64) bool {
	if t.value == u.value {
		return true
	}
	if tolerance == 0 {
		return false
	}
	unit := math.Pow(10, -float64(min(t.decimals, u.decimals)))
	return math.Abs(t.value-u.value) <= tolerance*math.Max(math.Abs(t.value), math.Abs(u.value))+1.0001*unit
}

// textDifference is a place where two texts differ.
type textDifference struct{ where, was, is, by string }

// compareTexts compares line by line, numbers as numbers.
func compareTexts(was, is string, tolerance float64) []textDifference {
	a, b := compared(was), compared(is)
	var out []textDifference
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) {
			return append(out, textDifference{where: fmt.Sprintf("lines from %d on", i+1), was: fmt.Sprintf("%d lines", len(a)), is: fmt.Sprintf("%d lines", len(b))})
		}
		out = append(out, compareLines(i+1, a[i], b[i], tolerance)...)
	}
	return out
}

// compared are the lines of a text that are compared.
func compared(text string) []string {
	return strings.Split(strings.TrimSpace(expectation.ReplaceAllString(text, "")), "\n")
}

func compareLines(line int, was, is string, tolerance float64) []textDifference {
	a, b := tokens(settled(was)), tokens(settled(is))
	if len(a) != len(b) {
		return []textDifference{{where: fmt.Sprintf("line %d", line), was: short(was), is: short(is)}}
	}
	var out []textDifference
	for i := range a {
		switch {
		case a[i].isNumber && b[i].isNumber:
			if !a[i].near(b[i], tolerance) {
				out = append(out, textDifference{fmt.Sprintf("line %d, %s", line, before(a, i)), a[i].text, b[i].text, change(a[i].value, b[i].value)})
			}
		case a[i].text != b[i].text:
			return []textDifference{{where: fmt.Sprintf("line %d", line), was: short(was), is: short(is)}}
		}
	}
	return out
}

// before names a number of a line by the word in front of it, else by its place.
func before(line []token, at int) string {
	nth := 1
	for i := range at {
		if line[i].isNumber {
			nth++
		}
	}
	for i := at - 1; i >= 0 && !line[i].isNumber; i-- {
		if r, _ := utf8.DecodeRuneInString(line[i].text); unicode.IsLetter(r) {
			return fmt.Sprintf("number %d (%s)", nth, line[i].text)
		}
	}
	return fmt.Sprintf("number %d", nth)
}

// short cuts a text for a table.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= 48 {
		return s
	}
	return string([]rune(s)[:47]) + "…"
}

// change says how far a number has moved.
func change(was, is float64) string {
	text := fmt.Sprintf("%+.3g", is-was)
	if was != 0 {
		text += fmt.Sprintf(" (%+.2g %%)", 100*(is-was)/math.Abs(was))
	}
	return text
}
