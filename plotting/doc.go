// Package plotting draws the project's figures: plain data in, SVG and PNG out.
//
// One function makes one figure from validated data: SearchVersusRandom,
// Anytime, TrainingCurves, SpaceHistogram, Cell and Genotype, and of rankings by
// shared weights TauAgainstSteps, RankChange, RankingDisorder and
// WeightSharingSummary. Each returns a *Figure, or an error that says which part
// of the data cannot be drawn. Of rankings a NaN is a missing value: a gap.
//
//	fig, err := plotting.Anytime(plotting.AnytimeData{...})
//	svg, err := fig.SVG()    // for a notebook's image/svg+xml
//	png, err := fig.PNG(2)   // the fallback, two pixels a CSS pixel
//
// A figure is drawn once, on gonum/plot's vg canvas: vgimg for PNG, and a
// canvas of our own (svg.go) for SVG, which keeps text as text, names the
// groups of a figure by class so that they can be found and styled, and writes
// the same bytes for the same data. Sizes are CSS pixels, y grows downwards;
// colours, fonts and widths are in style.go. Figures stand on an opaque, near-white
// card, which also reads on a dark theme.
//
// Nothing here knows of searches or tables; a watermark, a caption or a note is
// the caller's text. Nothing reads or writes files.
package plotting
