package stats

import (
	"fmt"

	"gonum.org/v1/gonum/stat/distuv"
)

// Components are the parts of a variance: between groups (the searches of a policy) and
// within them (the trainings of what one search found).
type Components struct {
	Groups int   `json:"groups"`
	Values int   `json:"values"`
	Sizes  []int `json:"sizes"` // values of each group
	// Between is the variance of the groups' true means, Within that of values about them.
	// Where the groups' means differ less than chance alone makes them, Between is 0 and
	// Truncated is true.
	Between   Number `json:"between"`
	Within    Number `json:"within"`
	Truncated bool   `json:"truncated,omitempty"`
	// Share is Between / (Between + Within), the intra-class correlation.
	Share Number `json:"share_between"`
	// F and its one-sided P test whether the groups differ at all: exact for normal errors,
	// whatever the sizes.
	F Number `json:"f"`
	P Number `json:"p"`
	// EffectiveSize is n0, the size of equal groups that would tell as much.
	EffectiveSize Number `json:"effective_size"`
	// WhyBetween and WhyWithin say what makes a part undefined.
	WhyBetween string `json:"why_between_undefined,omitempty"`
	WhyWithin  string `json:"why_within_undefined,omitempty"`
}

// VarianceComponents splits the variance of values in groups by the one-way model with
// random effects, from the mean squares: Searle, Casella and McCulloch, Variance Components
// (1992), section 3.6, which allows groups of unequal sizes. Within is undefined where no
// group has two values, Between then too and where there is one group.
func VarianceComponents(groups [][]float64) (Components, error) {
	c := Components{Groups: len(groups)}
	if len(groups) == 0 {
		return c, fmt.Errorf("variance components: %w: no groups", ErrUndefined)
	}
	for i, g := range groups {
		if err := checkFinite(fmt.Sprintf("variance components, group %d", i+1), g); err != nil {
			return c, err
		}
		c.Sizes = append(c.Sizes, len(g))
		c.Values += len(g)
	}
	between, within := sumsOfSquares(groups)
	freeBetween, freeWithin := float64(c.Groups-1), float64(c.Values-c.Groups)
	if freeWithin == 0 {
		c.WhyWithin = "undefined: no group has two values"
		c.WhyBetween = c.WhyWithin
		return c, nil
	}
	meanWithin := within / freeWithin
	c.Within = Defined(meanWithin)
	if freeBetween == 0 {
		c.WhyBetween = "undefined: one group"
		return c, nil
	}
	squares := 0.0
	for _, n := range c.Sizes {
		squares += float64(n) * float64(n)
	}
	n0 := (float64(c.Values) - squares/float64(c.Values)) / freeBetween
	c.EffectiveSize = Defined(n0)
	meanBetween := between / freeBetween
	part := (meanBetween - meanWithin) / n0
	c.Truncated = part < 0
	c.Between = Defined(max(part, 0))
	if all := c.Between.Value + meanWithin; all > 0 {
		c.Share = Defined(c.Between.Value / all)
	}
	if meanWithin > 0 {
		c.F = Defined(meanBetween / meanWithin)
		c.P = Defined(distuv.F{D1: freeBetween, D2: freeWithin}.Survival(c.F.Value))
	}
	return c, nil
}

// sumsOfSquares are those of the groups' means about that of all, and of values about their
// group's mean. Groups of one value throughout have none of the latter, rounding aside.
func sumsOfSquares(groups [][]float64) (between, within float64) {
	var all []float64
	for _, g := range groups {
		all = append(all, g...)
	}
	centre := mean(all)
	for _, g := range groups {
		m := mean(g)
		d := m - centre
		between += float64(float64(len(g)) * float64(d*d))
		for _, v := range g {
			e := v - m
			within += float64(e * e)
		}
	}
	return between, within
}
