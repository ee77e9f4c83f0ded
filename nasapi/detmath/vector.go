package detmath

// Dot returns the inner product of a and b, which have one length. Four partial
// sums, element i in sum i mod 4, are added as (0+1)+(2+3): a fixed order that
// a processor can still overlap.
func Dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i] * b[i])
		s1 += float64(a[i+1] * b[i+1])
		s2 += float64(a[i+2] * b[i+2])
		s3 += float64(a[i+3] * b[i+3])
	}
	switch len(a) - i {
	case 3:
		s2 += float64(a[i+2] * b[i+2])
		fallthrough
	case 2:
		s1 += float64(a[i+1] * b[i+1])
		fallthrough
	case 1:
		s0 += float64(a[i] * b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// Axpy adds alpha*x to y, element by element; x and y have one length.
func Axpy(alpha float64, x, y []float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += float64(alpha * v)
	}
}
