// Package plotting draws the project's figures: plain data in, SVG and PNG out.
//
// One function makes one figure from validated data: SearchVersusRandom,
// Anytime (values or regret, against evaluations or seconds), TrainingCurves,
// SpaceHistogram, CorrelationAgainstEpochs, Cell and Genotype, and of rankings by
// shared weights TauAgainstSteps, RankChange, RankingDisorder and
// WeightSharingSummary. Each returns a *Figure, or an error that says which part
// of the data cannot be drawn. Of rankings a NaN is a missing value: a gap.
//
//	fig, err := plotting.Anytime(plotting.AnytimeData{...})
//	svg, err := fig.SVG()                      // a file, for paper
//	svg, err = fig.In(plotting.Adaptive).SVG() // for a page of either theme
//	png, err := fig.PNG(2)                     // the fallback, two pixels a CSS pixel
//
// A figure is drawn once, on gonum/plot's vg canvas: vgimg for PNG, and a
// canvas of our own (svg.go) for SVG, which keeps text as text, names the
// groups of a figure by class so that they can be found and styled, and writes
// the same bytes for the same data. Sizes are CSS pixels, y grows downwards;
// colours, fonts and widths are in style.go. Figures stand on an opaque card.
//
// Drawing names the colours of the light theme; themes.go has the dark
// counterpart of each, and a colour without one fails TestCounterparts. Series
// differ by colour, which dichromats tell apart, and by shapes and dashes for
// prints in grey.
//
// Every document stays under 200 kB, whatever the number of points: what is too
// much to be drawn one by one is binned (densities, squares, bars of several),
// banded (quartiles instead of lines) or thinned, and the caption says so.
//
// Nothing here knows of searches or tables; a watermark, a caption or a note is
// the caller's text. Nothing reads or writes files.
package plotting
