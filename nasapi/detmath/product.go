package detmath

import "fmt"

// Real is a type of number that matrix products know.
type Real interface{ float32 | float64 }

// Matrix is a row-major matrix: element (i, j) is Data[i*Stride+j].
type Matrix[T Real] struct {
	Rows, Cols, Stride int
	Data               []T
}

// Dense is a matrix whose rows follow each other without a gap.
func Dense[T Real](rows, cols int, data []T) Matrix[T] {
	return Matrix[T]{rows, cols, cols, data[:rows*cols]}
}

// AddProduct adds a b to c. Each element is one sum that begins with what c holds and
// goes through the columns of a in order, each product rounded: float32 with vectors has
// the bits of plain Go. Shapes that do not fit panic.
func AddProduct[T Real](c, a, b Matrix[T]) {
	if a.Cols != b.Rows {
		panic(fmt.Sprintf("detmath: product of %dx%d and %dx%d", a.Rows, a.Cols, b.Rows, b.Cols))
	}
	addProduct(c, a.Data, b, a.Rows, a.Cols, a.Stride, 1, a.last())
}

// AddTransposedProduct adds the transpose of a times b to c, as AddProduct does.
func AddTransposedProduct[T Real](c, a, b Matrix[T]) {
	if a.Rows != b.Rows {
		panic(fmt.Sprintf("detmath: product of %dx%d transposed and %dx%d", a.Rows, a.Cols, b.Rows, b.Cols))
	}
	addProduct(c, a.Data, b, a.Cols, a.Rows, 1, a.Stride, a.last())
}

// last is one more than the place of the last element, 0 of an empty matrix.
func (m *Matrix[T]) last() int {
	if m.Rows == 0 || m.Cols == 0 {
		return 0
	}
	return (m.Rows-1)*m.Stride + m.Cols
}

// addProduct takes a as rows x terms numbers at strides aRow and aTerm.
func addProduct[T Real](c Matrix[T], a []T, b Matrix[T], rows, terms, aRow, aTerm, aLast int) {
	if c.Rows != rows || c.Cols != b.Cols {
		panic(fmt.Sprintf("detmath: a product of %dx%d added to %dx%d", rows, b.Cols, c.Rows, c.Cols))
	}
	// The tiles write without bounds: all are checked here.
	a, cs, bs := a[:aLast], c.Data[:c.last()], b.Data[:b.last()]
	if len(cs) == 0 || terms == 0 {
		return
	}
	from := 0
	if c32, ok := any(cs).([]float32); ok && hasAVX2 {
		a32, b32 := any(a).([]float32), any(bs).([]float32)
		from = addTiles(&c32[0], &a32[0], &b32[0], rows, terms, c.Cols, c.Stride, aRow, aTerm, b.Stride)
	}
	if from < c.Cols {
		addPlain(cs, a, bs, rows, terms, from, c.Cols, c.Stride, aRow, aTerm, b.Stride)
	}
}

// addPlain does the columns from one on.
func addPlain[T Real](c, a, b []T, rows, terms, from, to, cRow, aRow, aTerm, bTerm int) {
	for i := range rows {
		y := c[i*cRow+from : i*cRow+to]
		for k := range terms {
			x := a[i*aRow+k*aTerm]
			for j, v := range b[k*bTerm+from : k*bTerm+to] {
				y[j] += T(x * v)
			}
		}
	}
}

// Transpose sets t to the transpose of m; both are dense and t has m's size.
func Transpose[T Real](t []T, m Matrix[T]) {
	for i := range m.Rows {
		for j, v := range m.Data[i*m.Stride : i*m.Stride+m.Cols] {
			t[j*m.Rows+i] = v
		}
	}
}
