package plotting

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

func splitWords(s string) []string { return strings.Fields(s) }

// count writes a whole number with thousands separated: 423,624.
func count(n int) string {
	s := strconv.Itoa(n)
	digits := strings.TrimPrefix(s, "-")
	var b strings.Builder
	b.WriteString(s[:len(s)-len(digits)])
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// plural writes "1 run" and "10 runs".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// fixed writes v with so many decimals, and a large one with separators.
func fixed(v float64, decimals int) string {
	if a := math.Abs(v); a >= 1e15 || (a > 0 && a < 1e-6) {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-")
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if n, err := strconv.Atoi(whole); err == nil && len(whole) > 4 && n != 0 {
		whole = count(n)
	}
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// decimalsFor is how many decimals tell values apart that differ by step.
func decimalsFor(step float64) int {
	if !(step > 0) || math.IsInf(step, 0) {
		return 2
	}
	d := 0
	for d < 12 && math.Abs(step*math.Pow10(d)-math.Round(step*math.Pow10(d))) > 1e-6*step*math.Pow10(d) {
		d++
	}
	return d
}

// share writes a part of a whole as counts and a percentage.
func share(part, whole int, nouns string) string {
	return fmt.Sprintf("%s of %s %s (%.2g %%)", count(part), count(whole), nouns, 100*float64(part)/float64(whole))
}
