package kernel

// panel is the width of the panel that output channel n begins, of N in all.
func panel(n, N int) int {
	switch left := N - n; {
	case left >= 16:
		return 16
	case left >= 8:
		return 8
	}
	return 4
}

func denseGeneric(a *Dense) {
	taps, k := len(a.Taps), a.K
	for n, w := 0, a.W; n < a.N; {
		width := panel(n, a.N)
		var sum [16]float32
		for p, out := range a.OutOff {
			row := a.Out[int(out)+n : int(out)+n+width]
			clear(sum[:])
			if a.Accumulate {
				copy(sum[:], row)
			}
			at := 0
			for _, tap := range a.Taps {
				in := a.In[int(a.InOff[p])+int(tap):]
				for _, x := range in[:k] {
					for j, y := range w[at : at+width] {
						sum[j] = FMA(x, y, sum[j])
					}
					at += width
				}
			}
			copy(row, sum[:width])
		}
		w = w[taps*k*width:]
		n += width
	}
}

func denseGradGeneric(a *DenseGrad) {
	for r := range a.Rows {
		for c := range a.Cols {
			x := a.A.Data[r*a.A.Row+c*a.A.Pix:]
			g := a.B.Data[r*a.B.Row+c*a.B.Pix:][:a.N]
			for k, x := range x[:a.K] {
				row := a.DW[k*a.LD:][:a.N]
				for n, g := range g {
					row[n] = FMA(x, g, row[n])
				}
			}
		}
	}
}
