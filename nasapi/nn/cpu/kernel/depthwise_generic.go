package kernel

func depthwiseGeneric(a *Depthwise) {
	for r := range a.Rows {
		for col := range a.Cols {
			out := a.Out.Data[r*a.Out.Row+col*a.Out.Pix:][:a.C]
			in := r*a.In.Row + col*a.In.Pix
			if !a.Accumulate {
				clear(out)
			}
			for t, tap := range a.Taps {
				x, w := a.In.Data[in+int(tap):][:a.C], a.W[t*a.C:][:a.C]
				for c := range out {
					out[c] = FMA(x[c], w[c], out[c])
				}
			}
		}
	}
}

func depthwiseGradGeneric(a *DepthwiseGrad) {
	for r := range a.Rows {
		for col := range a.Cols {
			g := a.G.Data[r*a.G.Row+col*a.G.Pix:][:a.C]
			in := r*a.In.Row + col*a.In.Pix
			for t, tap := range a.Taps {
				x, dw := a.In.Data[in+int(tap):][:a.C], a.DW[t*a.C:][:a.C]
				for c := range g {
					dw[c] = FMA(x[c], g[c], dw[c])
				}
			}
		}
	}
}

func maxPoolGeneric(a *MaxPool) {
	for r := range a.Rows {
		for col := range a.Cols {
			out := a.Out.Data[r*a.Out.Row+col*a.Out.Pix:][:a.C]
			in := r*a.In.Row + col*a.In.Pix
			for t, tap := range a.Taps {
				x := a.In.Data[in+int(tap):][:a.C]
				for c, v := range x {
					if t == 0 || !(out[c] > v) {
						out[c] = v
					}
				}
			}
		}
	}
}

func maxPoolGradGeneric(a *MaxPoolGrad) {
	for r := range a.Rows {
		for col := range a.Cols {
			out := a.Out.Data[r*a.Out.Row+col*a.Out.Pix:][:a.C]
			g := a.G.Data[r*a.G.Row+col*a.G.Pix:][:a.C]
			in, din := r*a.In.Row+col*a.In.Pix, r*a.DIn.Row+col*a.DIn.Pix
			for c := range out {
				left := g[c]
				for _, tap := range a.Taps {
					share := float32(0)
					if a.In.Data[in+int(tap)+c] == out[c] {
						share, left = left, 0
					}
					a.DIn.Data[din+int(tap)+c] += share
				}
			}
		}
	}
}
