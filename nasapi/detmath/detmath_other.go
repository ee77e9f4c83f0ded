//go:build !amd64

package detmath

const hasAVX2 = false

func addTiles(c, a, b *float32, rows, terms, columns, cRow, aRow, aTerm, bTerm int) int { return 0 }

func curveVectors([]float32, bool) int { return 0 }
