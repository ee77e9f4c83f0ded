package stats

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/rng"
)

// scipyRankings is testdata/ranking.json, SciPy 1.17.1 by testdata/ranking.py.
type scipyRankings struct {
	Pools []struct {
		Name, Method      string
		Scores, Truth     []float64
		Tau, P, Spearman  float64
		Sparse, Published float64
		RankChange        float64 `json:"rank_change"`
	}
	Theil struct {
		Steps, Taus []float64
		Slope       float64
	}
	Student struct{ DF, Quantile float64 }
}

func scipy(t *testing.T) (r scipyRankings) {
	t.Helper()
	raw, err := os.ReadFile("testdata/ranking.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Pools) < 5 {
		t.Fatalf("%d pools", len(r.Pools))
	}
	return r
}

func value(t *testing.T, n Number) float64 {
	t.Helper()
	if !n.Defined {
		t.Fatal("undefined")
	}
	return n.Value
}

func TestRankPoolAgainstSciPy(t *testing.T) {
	methods := map[string]string{"exact": "exact", "asymptotic": "normal approximation"}
	for _, p := range scipy(t).Pools {
		r, err := RankPool(p.Scores, p.Truth, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		if r.Method != methods[p.Method] || r.Pairs != len(p.Scores) || r.Why != "" {
			t.Errorf("%s: %+v, want method %s", p.Name, r.Agreement, p.Method)
		}
		near(t, p.Name+": tau", value(t, r.Tau), p.Tau, 1e-12)
		near(t, p.Name+": p", value(t, r.P)/p.P, 1, 1e-9)
		near(t, p.Name+": Spearman", value(t, r.Spearman), p.Spearman, 1e-12)
		near(t, p.Name+": sparse", value(t, r.SparseTau), p.Sparse, 1e-12)
		near(t, p.Name+": published sparse", value(t, r.SparsePublished), p.Published, 1e-12)
		near(t, p.Name+": rank change", value(t, r.RankChange), p.RankChange, 1e-12)
		// The same two numbers the other way: SciPy has no NullSD, but its normal
		// approximation is one.
		if p.Method == "asymptotic" {
			near(t, p.Name+": null", 2*normalUpper(math.Abs(p.Tau)/value(t, r.NullSD))/p.P, 1, 1e-9)
		}
	}
}

// All orders of five values, one by one: the exact p, and the deviation of tau.
func TestKendallTestByEnumeration(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5}
	var taus []float64
	permutations(slices.Clone(x), 0, func(y []float64) {
		k, err := KendallTauTest(x, y)
		if err != nil {
			t.Fatal(err)
		}
		taus = append(taus, k.Tau)
	})
	if len(taus) != 120 {
		t.Fatalf("%d orders", len(taus))
	}
	variance := 0.0
	for _, v := range taus {
		variance += v * v / 120
	}
	for _, y := range [][]float64{{1, 2, 3, 4, 5}, {2, 1, 4, 3, 5}, {5, 3, 4, 1, 2}, {3, 2, 5, 4, 1}} {
		k, err := KendallTauTest(x, y)
		if err != nil {
			t.Fatal(err)
		}
		as := 0.0
		for _, v := range taus {
			if math.Abs(v) >= math.Abs(k.Tau)-1e-12 {
				as++
			}
		}
		near(t, "exact p", k.TwoSided, as/120, 1e-12)
		near(t, "null deviation", k.NullSD, math.Sqrt(variance), 1e-12)
	}
}

func permutations(v []float64, k int, each func([]float64)) {
	if k == len(v) {
		each(v)
		return
	}
	for i := k; i < len(v); i++ {
		v[k], v[i] = v[i], v[k]
		permutations(v, k+1, each)
		v[k], v[i] = v[i], v[k]
	}
}

func TestSparseTau(t *testing.T) {
	// By hand: bins 911, 911, 912; scores order the first two wrongly, which is a tie.
	score, truth := []float64{0.3, 0.2, 0.4}, []float64{0.9111, 0.9118, 0.912}
	got, err := SparseTau(score, truth, SparseWidth)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "sparse tau", got, 2/math.Sqrt(3*2), 1e-12)
	// Published: both lists are 911, 911, 912.
	if got, err = SparseTauPublished(score, truth, SparseWidth); err != nil {
		t.Fatal(err)
	}
	near(t, "published sparse tau", got, 1, 1e-12)
	// 0.29 * 100 is 28.999999999999996: an edge that a plain floor misses.
	score, truth = []float64{1, 3, 2}, []float64{0.281, 0.29, 0.30}
	if got, err = SparseTau(score, truth, 0.01); err != nil {
		t.Fatal(err)
	}
	near(t, "sparse tau on an edge", got, 1./3, 1e-12)
	for want, err := range map[string]error{
		"width":  second(SparseTau(score, truth, 0)),
		"shares": second(SparseTau(score, []float64{1, 2, 93}, SparseWidth)),
		"equal":  second(SparseTauPublished(score, []float64{0.5, 0.5, 0.5}, SparseWidth)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %q", err, want)
		}
	}
}

func second(_ float64, err error) error { return err }

// topPool is 30 architectures of a space of 1,000 whose truth at rank k is 1 - k/1000.
func topPool(t *testing.T) (scores, truth []float64, space *Ranking) {
	t.Helper()
	all := make([]float64, 1000)
	for i := range all {
		all[i] = 1 - float64(i+1)/1000
	}
	space, err := NewRanking(all, true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		truth = append(truth, all[10*i+4]) // ranks 5, 15, ... 295
		scores = append(scores, -float64(i))
	}
	return scores, truth, space
}

func TestTopK(t *testing.T) {
	scores, truth, space := topPool(t)
	scores[29] = 1 // the worst of the pool has the best score
	r, err := RankPool(scores, truth, space, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Top) != 4 || r.Top[0].K != 3 || r.Top[3].K != 20 {
		t.Fatalf("top: %+v", r.Top)
	}
	// Ranks 295, 5 and 15 of 1,000: percentile 100 (1 - (rank-1)/1000).
	top := r.Top[0]
	near(t, "min", value(t, top.Min), 70.6, 1e-9)
	near(t, "median", value(t, top.Median), 98.6, 1e-9)
	near(t, "max", value(t, top.Max), 99.6, 1e-9)
	near(t, "best truth", value(t, top.Best), truth[0], 0)
	near(t, "regret", value(t, top.Regret), 0.004, 1e-12)
	near(t, "overlap", value(t, top.Overlap), 2./3, 1e-12)
	near(t, "chance", value(t, top.Chance), 0.1, 1e-12)
	near(t, "overlap of 20", value(t, r.Top[3].Overlap), 19./20, 1e-12)

	// All scores equal: the first of the pool are the top, and the rest says undefined.
	for i := range scores {
		scores[i] = 0.1
	}
	if r, err = RankPool(scores, truth, space, 3); err != nil {
		t.Fatal(err)
	}
	near(t, "max of ties", value(t, r.Top[0].Max), 99.6, 1e-9)
	near(t, "min of ties", value(t, r.Top[0].Min), 97.6, 1e-9)
	if r.Tau.Defined || r.Spearman.Defined || r.SparseTau.Defined || r.Distinct != 1 || !strings.Contains(r.Why, "undefined") {
		t.Errorf("equal scores: %+v", r.Agreement)
	}
	if s := r.Subsets[0]; s.Draws != 5 || s.Defined != 0 || s.Mean.Defined {
		t.Errorf("subsets of equal scores: %+v", s)
	}
}

// Of errors and perplexities the lower are better: turning the truth over must not change
// anything that does not name it.
func TestRankPoolOfErrors(t *testing.T) {
	scores, truth, space := topPool(t)
	scores[4], scores[20] = scores[20], scores[4]
	want, err := RankPool(scores, truth, space, 3)
	if err != nil {
		t.Fatal(err)
	}
	flipped := make([]float64, space.N())
	for i := range flipped {
		flipped[i] = float64(i + 1)
	}
	lower, err := NewRanking(flipped, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range truth {
		truth[i] = math.Round(1000 * (1 - truth[i]))
	}
	got, err := RankPool(scores, truth, lower, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got.Agreement != want.Agreement || !reflect.DeepEqual(got.Subsets, want.Subsets) || got.RankChange != want.RankChange {
		t.Errorf("errors give %+v, accuracies %+v", got, want)
	}
	for i, top := range got.Top {
		if top.Min != want.Top[i].Min || top.Overlap != want.Top[i].Overlap || top.Regret.Value != math.Round(1000*want.Top[i].Regret.Value) {
			t.Errorf("top: %+v, want %+v", top, want.Top[i])
		}
	}
	if got.SparseTau.Defined {
		t.Error("a sparse tau of numbers that are no accuracies")
	}
}

func TestSubsetTaus(t *testing.T) {
	s := rng.New(1, "test", "subsets")
	scores, truth := make([]float64, 60), make([]float64, 60)
	for i := range scores {
		truth[i] = s.Float64()
		scores[i] = truth[i] + s.Float64()
	}
	a, err := RankPool(scores, truth, nil, 7)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := RankPool(scores, truth, nil, 7)
	c, _ := RankPool(scores, truth, nil, 8)
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a.Subsets, c.Subsets) {
		t.Error("the subsets do not follow the seed")
	}
	for i, want := range []struct{ size, draws int }{{10, 5}, {20, 5}, {50, 5}, {100, 0}} {
		got := a.Subsets[i]
		if got.Size != want.size || got.Draws != want.draws || got.Mean.Defined != (want.draws > 0) {
			t.Errorf("subset %d: %+v", i, got)
		}
		if got.Min.Value > got.Mean.Value || got.Mean.Value > got.Max.Value {
			t.Errorf("subset %d: %+v", i, got)
		}
	}
	// A subset that is the whole pool has its tau.
	whole, err := RankPool(scores[:50], truth[:50], nil, 7)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "tau of all", whole.Subsets[2].Min.Value, whole.Tau.Value, 1e-12)
	near(t, "tau of all", whole.Subsets[2].Max.Value, whole.Tau.Value, 1e-12)
}

func TestRankPoolCountsWhatIsMissing(t *testing.T) {
	nan := math.NaN()
	r, err := RankPool([]float64{1, nan, math.Inf(-1), 2, 3}, []float64{0.1, 0.2, nan, nan, 0.3}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if r.Pool != 5 || r.NoScore != 2 || r.NoTruth != 1 || r.Pairs != 2 || r.Tau.Value != 1 {
		t.Errorf("%+v", r)
	}
	if r, err = RankPool([]float64{nan}, []float64{1}, nil, 0); err != nil || r.Tau.Defined || r.Why == "" || r.ScoreMean.Defined {
		t.Errorf("nothing left: %+v, %v", r, err)
	}
	for _, bad := range [][2][]float64{{nil, nil}, {{1}, {1, 2}}} {
		if _, err := RankPool(bad[0], bad[1], nil, 0); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

// A report comes back from JSON as it was, undefined numbers as null, and no NaN.
func TestRankingReportJSON(t *testing.T) {
	scores, truth, space := topPool(t)
	for _, n := range []int{30, 1} {
		r, err := RankPool(scores[:n], truth[:n], space, 5)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back RankingReport
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*r, back) {
			t.Errorf("%+v came back as %+v", *r, back)
		}
		want := map[bool]string{true: `"kendall_tau":1,`, false: `"kendall_tau":null,`}[n > 1]
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
	var n Number
	if err := json.Unmarshal([]byte(`"a"`), &n); err == nil {
		t.Error("a text was read as a number")
	}
	if n.String() != "undefined" || Defined(0.5).String() != "0.5" || !math.IsNaN(n.OrNaN()) || Defined(math.Inf(1)).Defined {
		t.Error("texts of numbers")
	}
}

func TestRankDisorder(t *testing.T) {
	d, err := RankDisorder([]float64{0.5, 0.7, 0.7, 0.1}, []float64{4, 3, 2, 1})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.Score, []float64{3, 1.5, 1.5, 4}) || !slices.Equal(d.Truth, []float64{1, 2, 3, 4}) {
		t.Errorf("%+v", d)
	}
	near(t, "mean", d.Mean, (2+0.5+1.5+0)/4, 1e-12)
	near(t, "max", d.Max, 2, 0)
	near(t, "chance", d.Chance, 15./12, 1e-12)
	// The mean over all orders of four.
	sum, orders := 0.0, 0.0
	permutations([]float64{1, 2, 3, 4}, 0, func(y []float64) {
		d, err := RankDisorder(y, []float64{1, 2, 3, 4})
		if err != nil {
			t.Fatal(err)
		}
		sum, orders = sum+d.Mean, orders+1
	})
	near(t, "chance by enumeration", d.Chance, sum/orders, 1e-12)
	if _, err := RankDisorder([]float64{1}, nil); err == nil {
		t.Error("lengths")
	}
	if _, err := RankDisorder([]float64{math.NaN()}, []float64{1}); err == nil {
		t.Error("NaN")
	}
}

func TestRankMovement(t *testing.T) {
	nan := math.NaN()
	c, err := RankMovement([][]float64{{0.1, 0.2, 0.3}, {0.3, 0.2, nan}, {nan, nan, 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]float64{{3, 2, 1}, {1, 2, nan}, {nan, nan, 1}}
	for k := range want {
		for i, w := range want[k] {
			if got := c.Ranks[k][i]; got != w && !(math.IsNaN(got) && math.IsNaN(w)) {
				t.Errorf("rank of %d at %d: %v, want %v", i, k, got, w)
			}
		}
	}
	if len(c.Step) != 2 || c.Step[0] != Defined(1) || c.Step[1].Defined {
		t.Errorf("changes %v", c.Step)
	}
	if _, err := RankMovement([][]float64{{1}, {1, 2}}); err == nil {
		t.Error("pools of other sizes")
	}
}
