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
	whole := len(x) &^ 3
	for i := 0; i < whole; i += 4 {
		v, w := (*[4]float64)(x[i:]), (*[4]float64)(y[i:])
		w[0] += float64(alpha * v[0])
		w[1] += float64(alpha * v[1])
		w[2] += float64(alpha * v[2])
		w[3] += float64(alpha * v[3])
	}
	for i := whole; i < len(x); i++ {
		y[i] += float64(alpha * x[i])
	}
}

// MatVec sets y to m x, where m is a row-major len(y) x len(x) matrix. Each
// element is one sum, its columns added in order.
func MatVec(m, x, y []float64) {
	n := len(x)
	i := 0
	// The order within a row allows no overlap, so eight rows go side by side.
	for ; i+8 <= len(y); i += 8 {
		eightRows(m[i*n:(i+8)*n], x, (*[8]float64)(y[i:]))
	}
	for ; i < len(y); i++ {
		sum := 0.0
		for j, v := range m[i*n : (i+1)*n] {
			sum += float64(v * x[j])
		}
		y[i] = sum
	}
}

func eightRows(m, x []float64, y *[8]float64) {
	n := len(x)
	r0, r1, r2, r3 := m[:n], m[n:2*n], m[2*n:3*n], m[3*n:4*n]
	r4, r5, r6, r7 := m[4*n:5*n], m[5*n:6*n], m[6*n:7*n], m[7*n:8*n]
	var s0, s1, s2, s3, s4, s5, s6, s7 float64
	for j, v := range x {
		s0 += float64(r0[j] * v)
		s1 += float64(r1[j] * v)
		s2 += float64(r2[j] * v)
		s3 += float64(r3[j] * v)
		s4 += float64(r4[j] * v)
		s5 += float64(r5[j] * v)
		s6 += float64(r6[j] * v)
		s7 += float64(r7[j] * v)
	}
	*y = [8]float64{s0, s1, s2, s3, s4, s5, s6, s7}
}

// AddTransposed adds the transpose of m times a to y, where m is row-major
// len(a) x len(y). Each element has the bits of Axpy with the rows in order.
func AddTransposed(m, a, y []float64) {
	n := len(y)
	i := 0
	// Four rows at a time load and store y once.
	for ; i+4 <= len(a); i += 4 {
		rows := m[i*n : (i+4)*n]
		r0, r1, r2, r3 := rows[:n], rows[n:2*n], rows[2*n:3*n], rows[3*n:4*n]
		v0, v1, v2, v3 := a[i], a[i+1], a[i+2], a[i+3]
		for j, v := range y {
			v += float64(v0 * r0[j])
			v += float64(v1 * r1[j])
			v += float64(v2 * r2[j])
			y[j] = v + float64(v3*r3[j])
		}
	}
	for ; i < len(a); i++ {
		Axpy(a[i], m[i*n:(i+1)*n], y)
	}
}

// AddOuter adds the outer product of a and b to the row-major len(a) x len(b)
// matrix m.
func AddOuter(a, b, m []float64) {
	for i, v := range a {
		Axpy(v, b, m[i*len(b):(i+1)*len(b)])
	}
}
