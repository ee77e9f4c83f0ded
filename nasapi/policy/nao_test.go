package policy

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// The table of sizes of the reference: vocabulary n+4, 2n tokens, 12(n-1) numbers; and
// for two cells of five nodes 12, 40 in pairs, 48 a token and 96.
func TestNAOShapes(t *testing.T) {
	for n := 2; n <= 5; n++ {
		f, err := newNAOForm(nasbench(t, n+2), false)
		if err != nil {
			t.Fatal(err)
		}
		want := naoShape{vocab: n + 4, length: 2 * n, group: 1, embed: 12 * (n - 1), hidden: 12 * (n - 1), layer: 200}
		if got := *f.shape(0); got != want {
			t.Errorf("n = %d: %+v, want %+v", n, got, want)
		}
	}
	f, err := newNAOForm(naoTwoCells{pairSpace{fakeSpace{nodes: 5, ops: 5}}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *f.shape(0), (naoShape{vocab: 12, length: 40, group: 2, embed: 48, hidden: 96, layer: 200}); got != want {
		t.Errorf("two cells: %+v, want %+v", got, want)
	}
	seq := make([]int, 40)
	for i := range seq {
		seq[i] = i % 2
	}
	if got := f.tokens(seq)[:4]; !slices.Equal(got, []int{1, 8, 1, 8}) {
		t.Errorf("tokens of [0 1 0 1]: %v", got)
	}
}

// naoTwoCells is the form of the 5-node cells of DARTS: a second cell after the first.
type naoTwoCells struct{ pairSpace }

func (s naoTwoCells) Choices() []space.Choice {
	one := s.pairSpace.Choices()
	list := slices.Clone(one)
	for _, c := range one {
		c.Node += s.nodes
		list = append(list, c)
	}
	return list
}

func TestNAOTokensComeBack(t *testing.T) {
	s := nasbench(t, 7)
	f, err := newNAOForm(s, false)
	if err != nil {
		t.Fatal(err)
	}
	legal, r := f.legal(), rng.New(1, "tokens")
	for range 100 {
		seq, _, err := drawSequence(s, r)
		if err != nil {
			t.Fatal(err)
		}
		tokens := f.tokens(seq)
		for i, v := range tokens {
			if v < legal[i][0] || v >= legal[i][1] {
				t.Fatalf("%v: token %d is %d, legal are %v", seq, i, v, legal[i])
			}
		}
		if got := f.sequence(tokens); !slices.Equal(got, seq) || !slices.Equal(f.plain(got), seq) {
			t.Fatalf("%v came back as %v", seq, got)
		}
	}
}

// Seed specification, bug 3: conv3x3 -> maxpool, conv1x1 -> conv3x3, maxpool -> conv1x1 in
// every proposal, and a first operation is encoded as an index next time.
func TestNAOAsPublishedRotatesTheOperations(t *testing.T) {
	right, err := newNAOForm(nasbench(t, 7), false)
	if err != nil {
		t.Fatal(err)
	}
	published, err := newNAOForm(nasbench(t, 7), true)
	if err != nil {
		t.Fatal(err)
	}
	r := rng.New(1, "rotation")
	for range 200 {
		seq, _, err := drawSequence(nasbench(t, 7), r)
		if err != nil {
			t.Fatal(err)
		}
		tokens := right.tokens(seq)
		got := published.plain(published.sequence(tokens))
		for i, v := range seq {
			if i%2 == 1 {
				v = (v + 2) % 3
			}
			if got[i] != v {
				t.Fatalf("%v is proposed as %v", seq, got)
			}
		}
		again := published.tokens(published.sequence(tokens))
		for i, v := range seq {
			if i%2 == 1 && v == 0 && again[i] != right.indices {
				t.Fatalf("the first operation is encoded as %d, want the index token %d", again[i], right.indices)
			}
		}
	}
}

// The same in a search: the proposals of one round with the switch are those without it,
// with their operations rotated.
func TestNAOProposesRotatedOperationsAsPublished(t *testing.T) {
	propose := func(asPublished bool) [][]int {
		cfg, err := naoInfo.Complete(Config{"pool": 60, "proposals": 1000, "hidden": 12, "predictor_epochs": 10, "max_step": 6, "as_published": asPublished})
		if err != nil {
			t.Fatal(err)
		}
		p, _ := problem(nasbench(t, 7), 1, 1, params)
		r, err := newNAORun(cfg, p)
		if err != nil {
			t.Fatal(err)
		}
		l := newNAOLearner(r.shape, r.packed, nil)
		var best, out [][]int
		for _, e := range r.pool {
			best = append(best, r.form.tokens(e.seq))
		}
		if err := l.propose(context.Background(), r.form, best, 6, func(tokens []int) bool {
			out = append(out, r.form.plain(r.form.sequence(tokens)))
			return false
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	right, published := propose(false), propose(true)
	if len(right) != 6*60 || len(published) != len(right) {
		t.Fatalf("%d and %d proposals", len(right), len(published))
	}
	for i, seq := range right {
		for j, v := range seq {
			if j%2 == 1 {
				v = (v + 2) % 3
			}
			if published[i][j] != v {
				t.Fatalf("proposal %d is %v, as published %v", i, seq, published[i])
			}
		}
	}
}

func TestNAOSwapsBranches(t *testing.T) {
	f, err := newNAOForm(naoTwoCells{pairSpace{fakeSpace{nodes: 2, ops: 3}}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if f.cells() != 2 {
		t.Errorf("%d cells", f.cells())
	}
	tokens := []int{1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18}
	picks := []int{1, 0}
	got := f.swapped(tokens, func(n int) int {
		if n != 2 {
			t.Errorf("one of %d nodes", n)
		}
		k := picks[0]
		picks = picks[1:]
		return k
	})
	if want := []int{1, 2, 3, 4, 7, 8, 5, 6, 13, 14, 11, 12, 15, 16, 17, 18}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	one, err := newNAOForm(nasbench(t, 5), false)
	if err != nil {
		t.Fatal(err)
	}
	if got := one.swapped(tokens[:6], nil); !slices.Equal(got, tokens[:6]) {
		t.Errorf("nodes with one input: %v", got)
	}
}

func TestNAORelativeScores(t *testing.T) {
	if got := relative([]float64{0.3, 0.1, 0.2}); !slices.Equal(got, []float32{1, 0, 0.5}) {
		t.Error(got)
	}
	if got := relative([]float64{0.1, 0.1}); !slices.Equal(got, []float32{0.5, 0.5}) {
		t.Error(got)
	}
}

func TestNAOPairwiseAccuracy(t *testing.T) {
	if got := pairwise([]float32{3, 1, 2}, []float32{0.9, 0.5, 0.1}); math.Abs(got-2./3) > 1e-12 {
		t.Error(got)
	}
	// The value of a tie counts as not below the other: right both times here.
	if got := pairwise([]float32{1, 1}, []float32{0.5, 0.5}); got != 1 {
		t.Error(got)
	}
}

func TestNAODropout(t *testing.T) {
	masks := make([]float32, 60_000)
	dropout(masks, rng.New(1, "dropout"))
	zeros := 0
	for _, m := range masks {
		switch m {
		case 0:
			zeros++
		case float32(1) / 0.9:
		default:
			t.Fatal(m)
		}
	}
	// 6,000 expected with a standard deviation of 73.
	if zeros < 5700 || zeros > 6300 {
		t.Errorf("%d of 60,000 are silenced", zeros)
	}
}

// Trained on an easy value, the model must learn to order what it has not seen, to
// reconstruct, and to propose better sequences than it was given.
func TestNAOLearns(t *testing.T) {
	s := nasbench(t, 7)
	form, err := newNAOForm(s, false)
	if err != nil {
		t.Fatal(err)
	}
	shape := form.shape(24)
	r := rng.New(1, "learns")
	value := func(seq []int) float64 { // the number of 3x3 convolutions
		n := 0.0
		for i := 1; i < len(seq); i += 2 {
			if seq[i] == 0 {
				n++
			}
		}
		return n
	}
	var e naoExamples
	var scores []float64
	for range 300 {
		seq, _, err := drawSequence(s, r)
		if err != nil {
			t.Fatal(err)
		}
		if value(seq) > 3 { // the best are not shown
			continue
		}
		e.tokens = append(e.tokens, form.tokens(seq))
		scores = append(scores, value(seq))
	}
	e.targets = relative(scores)
	l := newNAOLearner(shape, shape.initial(r), &naoAdam{rate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 1e-4, clip: 5})
	defer l.close()
	var last map[string]float64
	training := naoTraining{epochs: 60, batch: 100, copies: 4}
	if err := l.train(context.Background(), form, training, e, r, func(v map[string]float64) { last = v }); err != nil {
		t.Fatal(err)
	}
	t.Log(last)
	if last["pairwise_accuracy"] < 0.8 || last["hamming_distance"] > 2 {
		t.Errorf("after %d epochs: %v", training.epochs, last)
	}
	best, mean, n := 0.0, 0.0, 0.0
	if err := l.propose(context.Background(), form, e.tokens[:100], 20, func(tokens []int) bool {
		v := value(form.sequence(tokens))
		best, mean, n = max(best, v), mean+v, n+1
		return false
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("best %v, mean %.2f", best, mean/n)
	if best < 5 || mean/n < 2 {
		t.Errorf("proposals have %v 3x3 convolutions at most and %.2f in the mean; shown were 3 at most", best, mean/n)
	}
}

// Rounds come after the epochs that they should, and the pool becomes what pool_update
// says; how many proposals are new is in the log.
func TestNAORounds(t *testing.T) {
	const pool, random = 40, 5
	keep := func(before, new int) int { return before + new + random }
	for _, c := range []struct {
		cfg    Config
		epochs int
		rounds []int // epochs before each
		after  func(before, new int) int
	}{
		{nil, 8, []int{2, 4, 6}, keep},
		{Config{"round_every": 3}, 6, []int{3}, keep},
		{nil, 3, []int{1, 2}, keep}, // three quarters are 2 too
		{nil, 1, nil, keep},
		{Config{"pool_update": "replace"}, 4, []int{1, 2, 3}, func(before, new int) int { return before }},
		{Config{"pool": 120, "pool_update": "discard"}, 4, []int{1, 2, 3}, func(before, new int) int { return naoBest + new + random }},
		{Config{"proposals": 0}, 4, []int{1, 2, 3}, func(before, new int) int { return before + random }},
	} {
		cfg := Config{"pool": pool, "proposals": 4, "random": random, "hidden": 12, "predictor_epochs": 20, "expand": 1}
		maps.Copy(cfg, c.cfg)
		f := &fakeWeights{epochs: c.epochs, steps: 1, batches: 4, accuracy: matches(fakeArch{0, 2, 1, 0, 0, 1, 2, 2, 0, 1})}
		r := shareSearch(t, "nao", cfg, fakeSpace{nodes: 5, ops: 3}, f)
		if r.err != nil {
			t.Fatal(r.err)
		}
		var fresh []int
		for _, e := range r.events {
			var best, n float64
			if _, err := fmt.Sscanf(e, "proposalsmap[best:%f new:%f", &best, &n); err == nil {
				fresh = append(fresh, int(n))
			}
		}
		var want []int
		size := cfg["pool"].(int)
		for epoch := 1; epoch <= c.epochs; epoch++ {
			if i := slices.Index(c.rounds, epoch); i >= 0 && i < len(fresh) {
				size = c.after(size, fresh[i])
			}
			want = append(want, size)
		}
		if len(fresh) != len(c.rounds) || !slices.Equal(f.pools, want) {
			t.Errorf("%v over %d epochs: pools %v, want %v with %v proposals", c.cfg, c.epochs, f.pools, want, fresh)
		}
		if len(r.hashes) != min(100, size) {
			t.Errorf("%v: %d architectures evaluated, want %d", c.cfg, len(r.hashes), min(100, size))
		}
	}
}

// Where a space has fewer sequences than the pool would take, it takes all.
func TestNAOInASmallSpace(t *testing.T) {
	s := nasbench(t, 4)
	f := &fakeWeights{epochs: 4, steps: 2, batches: 2, accuracy: func(a space.Arch, _ int) float64 { return float64(a.Params()) / 1e8 }}
	r := shareSearch(t, "nao", Config{"predictor_epochs": 5}, s, f)
	if r.err != nil || int64(len(r.hashes)) != s.Reachable().Int64() {
		t.Errorf("%d of %d architectures evaluated, %v", len(r.hashes), s.Reachable(), r.err)
	}
}

// Paths are drawn in proportion to the parameters of architectures.
func TestNAODrawsByParameters(t *testing.T) {
	r := &naoRun{}
	for _, a := range []fakeArch{{1}, {3}, {0}, {6}} {
		r.pool = append(r.pool, naoEntry{nil, a})
	}
	stream := rng.New(1, "draw")
	counts := map[string]float64{}
	const n = 10_000
	for range n {
		counts[r.draw(stream).arch.Hash()]++
	}
	for hash, want := range map[string]float64{"[1]": 0.1, "[3]": 0.3, "[0]": 0, "[6]": 0.6} {
		if math.Abs(counts[hash]/n-want) > 0.02 {
			t.Errorf("%s was drawn in %v of all, want %v", hash, counts[hash]/n, want)
		}
	}
}

// The form of the cells of DARTS: pairs are read together, copies are swapped.
func TestNAOWithTwoInputsANode(t *testing.T) {
	s := twoCells{pairSpace{fakeSpace{nodes: 2, ops: 3}}}
	best := fakeArch{0, 1, 1, 0, 2, 1, 0, 2, 1, 1, 0, 0, 2, 2, 1, 0}
	f := &fakeWeights{epochs: 4, steps: 2, batches: 2, accuracy: matches(best)}
	r := shareSearch(t, "nao", Config{"pool": 60, "proposals": 20, "random": 10, "predictor_epochs": 20, "expand": 3, "final": 10, "hidden": 24}, s, f)
	if r.err != nil || len(r.hashes) != 10 || len(r.events) != 6 {
		t.Errorf("%d evaluated, events %v, %v", len(r.hashes), r.events, r.err)
	}
}
