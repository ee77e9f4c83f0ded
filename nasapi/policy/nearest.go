package policy

import (
	"fmt"
	"strings"
)

// didYouMean returns ` (did you mean "x"?)` for the allowed name that is
// nearest to what was given, or nothing where none is near.
func didYouMean(given string, allowed []string) string {
	best, bestDistance := "", len(given)/2+1
	for _, name := range allowed {
		if d := editDistance(strings.ToLower(given), name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance is the Levenshtein distance in bytes, one row at a time.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
