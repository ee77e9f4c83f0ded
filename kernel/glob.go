package kernel

import "slices"

// matchGlob reports whether all of text matches pattern: * any characters, ?
// one, [abc] [a-z] [!abc] one of (or not of) a set. Unlike path.Match it knows
// no separators and no errors: a bracket that is not closed is itself.
func matchGlob(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	pi, ti := 0, 0
	star, mark := -1, 0 // the last *, and where its text was assumed to end
	for ti < len(t) {
		if pi < len(p) && p[pi] == '*' {
			star, mark = pi, ti
			pi++
			continue
		}
		if size, ok := matchOne(p[pi:], t[ti]); ok {
			pi += size
			ti++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		pi, ti = star+1, mark
	}
	for pi < len(p) && p[pi] == '*' {
		pi++
	}
	return pi == len(p)
}

// matchOne matches r against the first element of p and returns its size.
func matchOne(p []rune, r rune) (size int, ok bool) {
	switch {
	case len(p) == 0:
		return 0, false
	case p[0] == '?':
		return 1, true
	case p[0] == '[':
		if set, size := globSet(p); size > 0 {
			return size, inSet(set, r)
		}
	}
	return 1, p[0] == r
}

// globSet returns what stands between the brackets at p's start, and the size
// with them; 0 if they are not closed. A ] that comes first is in the set.
func globSet(p []rune) (set []rune, size int) {
	first := 1
	if len(p) > 1 && p[1] == '!' {
		first = 2
	}
	if len(p) <= first+1 {
		return nil, 0
	}
	end := slices.Index(p[first+1:], ']')
	if end < 0 {
		return nil, 0
	}
	end += first + 1
	return p[1:end], end + 1
}

func inSet(set []rune, r rune) bool {
	negated := set[0] == '!'
	if negated {
		set = set[1:]
	}
	found := false
	for i := 0; i < len(set); i++ {
		if i+2 < len(set) && set[i+1] == '-' {
			found = found || set[i] <= r && r <= set[i+2]
			i += 2
			continue
		}
		found = found || set[i] == r
	}
	return found != negated
}
