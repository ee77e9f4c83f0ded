// Package nearest finds the name that somebody meant: every error about an
// unknown name uses it, so that all of them agree on what is near.
package nearest

import (
	"slices"
	"strings"
)

// longest is the longest name that is looked at; what is longer is no slip of
// the fingers, and the distance costs the product of the lengths.
const longest = 64

// Name returns the allowed name that is nearest to a given one, "" where none
// is near enough to be a slip. Letter case, underscores, hyphens and blanks do
// not count, so that NAS_Bench-101 is nasbench101. Of equally near names it
// takes the longest, since letters are left out more often than made up, and
// of those the first in alphabetical order.
func Name(given string, allowed []string) string {
	if len(given) > longest {
		return ""
	}
	folded := fold(given)
	best, least := "", len([]rune(given))/3+2
	for _, name := range slices.Sorted(slices.Values(allowed)) {
		if name == given {
			continue
		}
		// A name of which every letter would have to change is not near.
		d := distance(folded, fold(name))
		if d < len([]rune(given)) && (d < least || d == least && best != "" && len(name) > len(best)) {
			best, least = name, d
		}
	}
	return best
}

func fold(s string) []rune {
	return []rune(strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s)))
}

// distance counts insertions, deletions, changes and swaps of neighbours
// (optimal string alignment).
func distance(a, b []rune) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
