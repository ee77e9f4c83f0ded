package kernel

import "slices"

// at is what the view makes of value x of channel c.
func (v *View) at(x float32, c int) float32 {
	if v.Scale != nil {
		x = FMA(x, v.Scale[c], v.Shift[c])
	}
	if v.ReLU && !(x > 0) {
		return 0
	}
	return x
}

// passes says whether a gradient passes the view's ReLU at x.
func (v *View) passes(x float32, c int) bool {
	if !v.ReLU {
		return true
	}
	if v.Scale != nil {
		x = FMA(x, v.Scale[c], v.Shift[c])
	}
	return x > 0
}

// pixel is the C channels of a plane's pixel.
func (p *Plane) pixel(row, col, c int) []float32 {
	return p.Data[row*p.Row+col*p.Pix:][:c]
}

func affineGeneric(a *Affine) {
	for r := range a.Rows {
		for col := range a.Cols {
			dst, x := a.Dst.pixel(r, col, a.C), a.X.pixel(r, col, a.C)
			for c := range dst {
				dst[c] = a.View.at(x[c], c)
			}
		}
	}
}

func addScaledGeneric(a *AddScaled) {
	for r := range a.Rows {
		for col := range a.Cols {
			dst, x := a.Dst.pixel(r, col, a.C), a.X.pixel(r, col, a.C)
			for c := range dst {
				if v := a.View.at(x[c], c); a.Store {
					dst[c] = v * a.Weight
				} else {
					dst[c] = FMA(v, a.Weight, dst[c])
				}
			}
		}
	}
}

func momentsGeneric(a *Moments) {
	for r := range a.Rows {
		for col := range a.Cols {
			lane := col % Lanes * a.C
			sum, square := a.Sum[lane:lane+a.C], a.Square[lane:lane+a.C]
			for c, x := range a.X.pixel(r, col, a.C) {
				d := x - a.Center[c]
				sum[c] += d
				square[c] = FMA(d, d, square[c])
			}
		}
	}
}

func gradMomentsGeneric(a *GradMoments) {
	for r := range a.Rows {
		for col := range a.Cols {
			lane := col % Lanes * a.C
			sum, dot := a.Sum[lane:lane+a.C], a.Dot[lane:lane+a.C]
			g := a.G.pixel(r, col, a.C)
			for c, x := range a.X.pixel(r, col, a.C) {
				m := float32(0)
				if a.View.passes(x, c) {
					m = g[c]
				}
				sum[c] += m
				dot[c] = FMA(m, x-a.Center[c], dot[c])
			}
		}
	}
}

func normGradGeneric(a *NormGrad) {
	for r := range a.Rows {
		for col := range a.Cols {
			dst, g, x := a.Dst.pixel(r, col, a.C), a.G.pixel(r, col, a.C), a.X.pixel(r, col, a.C)
			for c := range dst {
				m := float32(0)
				if a.View.passes(x[c], c) {
					m = g[c]
				}
				dst[c] = FMA(m, a.A[c], FMA(x[c]-a.Center[c], a.B[c], a.D[c]))
			}
		}
	}
}

func addMaskedGeneric(a *AddMasked) {
	for r := range a.Rows {
		for col := range a.Cols {
			dst, g, x := a.Dst.pixel(r, col, a.C), a.G.pixel(r, col, a.C), a.X.pixel(r, col, a.C)
			for c := range dst {
				m := float32(0)
				if a.View.passes(x[c], c) {
					m = g[c]
				}
				if a.Store {
					dst[c] = m
				} else {
					dst[c] += m
				}
			}
		}
	}
}

func scalePixelsGeneric(a *ScalePixels) {
	for r := range a.Rows {
		for col := range a.Cols {
			w := a.Weight[r*a.Cols+col]
			dst, x := a.Dst.pixel(r, col, a.C), a.X.pixel(r, col, a.C)
			for c := range dst {
				if a.Add {
					dst[c] = FMA(x[c], w, dst[c])
				} else {
					dst[c] = x[c] * w
				}
			}
		}
	}
}

func sgdGeneric(a *SGD) {
	for i, w := range a.W {
		d := FMA(a.Decay, w, float32(a.G[i]*a.Clip))
		a.V[i] = FMA(a.Momentum, a.V[i], d)
		a.W[i] = FMA(-a.Rate, a.V[i], w)
	}
}

// sumSquaresGeneric adds to the partial sums. The square of a float32 is exact in
// float64.
func sumSquaresGeneric(sums *[8]float64, x []float32) {
	for block := range slices.Chunk(x, 8) {
		for i, v := range block {
			sums[i] += float64(float64(v) * float64(v))
		}
	}
}

func addGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] += v
	}
}
