package policy

import (
	"fmt"

	"evalnas/nasapi/nearest"
)

// didYouMean returns ` (did you mean "x"?)` for the allowed name that is
// nearest to what was given, or nothing where none is near.
func didYouMean(given string, allowed []string) string {
	if near := nearest.Name(given, allowed); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}
