package data

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"strings"
)

// sumsFiles trace what was altered in a public set to its images without a
// digest for each of 60,000: the images are thought of as laid out in rows of
// sumsWidth, and there is a digest for each row and for each column. One altered
// image changes one of both, and their crossing names it.
//
//go:embed sums
var sumsFiles embed.FS

const sumsWidth = 250

// gridSums are the digests of the rows and then of the columns, the first 8
// bytes of a SHA-256 over the images' digests, in hex.
func gridSums(images []digest) (rows, columns []string) {
	sum := func(from, to, step int) string {
		h := sha256.New()
		for i := from; i < to; i += step {
			h.Write(images[i][:])
		}
		return hex.EncodeToString(h.Sum(nil)[:8])
	}
	for from := 0; from < len(images); from += sumsWidth {
		rows = append(rows, sum(from, min(from+sumsWidth, len(images)), 1))
	}
	for c := range min(sumsWidth, len(images)) {
		columns = append(columns, sum(c, len(images), sumsWidth))
	}
	return rows, columns
}

// altered says which images of a set of k's shape are not k's, "" where that
// cannot be told.
func (k *Known) altered(set *Set) string {
	text, err := sumsFiles.ReadFile("sums/" + k.Name)
	if err != nil {
		return "" // there are none for this set
	}
	want := strings.Fields(string(text))
	rows, columns := gridSums(set.images)
	if len(want) != len(rows)+len(columns) {
		return ""
	}
	badRows, badColumns := unequal(rows, want[:len(rows)]), unequal(columns, want[len(rows):])
	switch {
	case len(badRows) == 0 || len(badColumns) == 0 || len(badRows) > len(rows)/2:
		return "" // it is another set, or another order
	case len(badRows) == 1 && len(badColumns) == 1:
		return set.Part(badRows[0]*sumsWidth + badColumns[0])
	case len(badRows) == 1 || len(badColumns) == 1:
		return fmt.Sprintf("%d images, the first of them %s,", max(len(badRows), len(badColumns)), set.Part(badRows[0]*sumsWidth+badColumns[0]))
	}
	return fmt.Sprintf("at least %d images, the first of them between %s and %s,", max(len(badRows), len(badColumns)),
		set.Part(badRows[0]*sumsWidth+badColumns[0]), set.Part(badRows[0]*sumsWidth+badColumns[len(badColumns)-1]))
}

func unequal(got, want []string) []int {
	var at []int
	for i := range got {
		if got[i] != want[i] {
			at = append(at, i)
		}
	}
	return at
}
