package kernel

import (
	"fmt"
	"testing"
)

func BenchmarkStream(b *testing.B) {
	for _, c := range []int{16, 36, 64, 72, 144} {
		pixels := 1024
		images := (64 << 20) / (pixels * c * 4)
		src := make([]float32, images*pixels*c)
		for i := range src {
			src[i] = 1
		}
		dst := make([]float32, pixels*c)
		run := func(name string, f func(x []float32)) {
			b.Run(fmt.Sprintf("%s/%d", name, c), func(b *testing.B) {
				i := 0
				for b.Loop() {
					f(src[i*pixels*c:][:pixels*c])
					i = (i + 1) % images
				}
				b.ReportMetric(float64(b.N)*float64(pixels*c*4)/b.Elapsed().Seconds()/1e9, "GB/s")
			})
		}
		p := func(x []float32) Plane { return Plane{x, 32 * c, c} }
		v := View{Scale: make([]float32, c), Shift: make([]float32, c), ReLU: true}
		run("copy", func(x []float32) { copy(dst, x) })
		run("affine", func(x []float32) { AVX2.Affine(&Affine{p(dst), p(x), 32, 32, c, v}) })
		sum := make([]float32, 8*c)
		run("moments", func(x []float32) {
			AVX2.Moments(&Moments{sum[:4*c], sum[4*c:], p(x), 32, 32, c, v.Scale})
		})
		run("addscaled", func(x []float32) { AVX2.AddScaled(&AddScaled{p(x), p(dst), 32, 32, c, v, 1, false}) })
		g2 := make([]float32, pixels*c)
		d2 := make([]float32, pixels*c)
		run("normGrad", func(x []float32) {
			AVX2.NormGrad(&NormGrad{Dst: p(d2), G: p(g2), X: p(x), Rows: 32, Cols: 32, C: c, Center: v.Scale, A: v.Scale, B: v.Scale, D: v.Shift})
		})
		run("gradMoments", func(x []float32) {
			AVX2.GradMoments(&GradMoments{Sum: sum[:4*c], Dot: sum[4*c:], G: p(g2), X: p(x), Rows: 32, Cols: 32, C: c, Center: v.Scale})
		})
		run("addscaledX", func(x []float32) { AVX2.AddScaled(&AddScaled{p(d2), p(x), 32, 32, c, v, 1, false}) })
		run("affineL2", func(x []float32) { AVX2.Affine(&Affine{p(dst), p(src), 32, 32, c, v}) })
		run("momentsL2", func(x []float32) {
			AVX2.Moments(&Moments{sum[:4*c], sum[4*c:], p(src), 32, 32, c, v.Scale})
		})
	}
}
