package policy

import (
	"evalnas/nasapi/detmath"
	"evalnas/nasapi/rng"
)

// controllerShape says how ENAS's controller is built: an LSTM cell that is
// run once for each cell input, decision and node, attention over the states
// of the inputs and nodes of a cell for its index decisions, and a linear layer
// for the operation decisions. A second cell goes on from the LSTM state that
// the first one left, with inputs and nodes of its own.
type controllerShape struct {
	*layout
	hidden      int
	temperature float64
	indexTanh   float64 // index logits lie in +-indexTanh
	opTanh      float64 // operation logits too, before opBias
	opBias      float64 // of the first cell: + for the first two operations, - for the others; not learned
}

// weights is a packed parameter vector cut into its parts, or a gradient cut
// the same way. Matrices are row-major. All parts share the packed memory.
type weights struct {
	embedding  []float64 // (ops+1) x hidden; row 0 is the start token, row op+1 an operation
	inputHid   []float64 // 4 hidden x hidden, gates in the order input, forget, cell, output
	hidHid     []float64 // 4 hidden x hidden
	biasInput  []float64 // 4 hidden
	biasHid    []float64 // 4 hidden: PyTorch's cell has two biases, and Adam moves each
	opHid      []float64 // ops x hidden
	opBias     []float64 // ops
	keyHid     []float64 // hidden x hidden
	queryHid   []float64 // hidden x hidden
	attention  []float64 // hidden
	packedSize int
}

// cut divides packed, which may be nil to learn only the size.
func (s *controllerShape) cut(packed []float64) *weights {
	w := new(weights)
	take := func(n int) []float64 {
		from := w.packedSize
		if w.packedSize += n; packed == nil {
			return nil
		}
		return packed[from:w.packedSize:w.packedSize]
	}
	h := s.hidden
	w.embedding = take((s.ops + 1) * h)
	w.inputHid, w.hidHid = take(4*h*h), take(4*h*h)
	w.biasInput, w.biasHid = take(4*h), take(4*h)
	w.opHid, w.opBias = take(s.ops*h), take(s.ops)
	w.keyHid, w.queryHid, w.attention = take(h*h), take(h*h), take(h)
	return w
}

func (s *controllerShape) size() int { return s.cut(nil).packedSize }

// initial draws the reference's initial weights: uniform in +-0.1, but 10 for
// the learned bias of the first two operations and 0 for that of the others. In a
// space without indices the operations are of many kinds, and none is preferred.
func (s *controllerShape) initial(r *rng.Stream) []float64 {
	packed := make([]float64, s.size())
	for i := range packed {
		packed[i] = float64(0.2*r.Float64()) - 0.1
	}
	for op, w := 0, s.cut(packed); op < s.ops; op++ {
		w.opBias[op] = 0
		if op < 2 && s.inputs > 0 {
			w.opBias[op] = 10
		}
	}
	return packed
}

// lstmStep is one run of the cell with what its backward pass needs.
type lstmStep struct {
	// input of the cell: an embedding row, or where row < 0 the state of an
	// anchor, or where that is cellInput zeros.
	row, anchor int
	gates       []float64 // 4 hidden, after sigmoid and tanh
	cell, tanh  []float64 // new cell state and its tanh
	hid         []float64 // new hidden state
	// key is the attention key of the anchor that this step makes, else nil.
	key []float64
}

// cellInput stands for any input of a cell where a step is fed an anchor.
const cellInput = -1

// decision is one choice, made from the hidden state of a step.
type decision struct {
	step    int
	index   bool
	first   int // the anchor, or operation, that is option 0
	chosen  int
	prob    []float64 // of each option
	squash  []float64 // tanh of logit / temperature, before the constant and bias
	hiddens []float64 // index: tanh(key_j + query) for each option j, options x hidden
}

// rollout is one sequence that was run through the controller.
type rollout struct {
	seq       []int
	nll       float64 // negative log probability of seq
	entropy   float64 // sum of the entropies of its decisions
	steps     []lstmStep
	decisions []decision
	anchors   []int // step that made anchor j
}

// chooser picks the option of the decision at a position of the sequence.
type chooser func(at int, prob []float64) int

// sampling draws an option with its probability.
func sampling(r *rng.Stream) chooser {
	return func(_ int, prob []float64) int {
		u := r.Float64()
		for i, p := range prob {
			if u -= p; u < 0 {
				return i
			}
		}
		return len(prob) - 1 // rounding may leave the sum a little below 1
	}
}

// following repeats a given sequence.
func following(seq []int) chooser {
	return func(at int, _ []float64) int { return seq[at] }
}

// run is the forward pass, for sampling and for the loss alike.
func (s *controllerShape) run(w *weights, choose chooser) *rollout {
	f := &forward{
		controllerShape: s, w: w, choose: choose,
		rollout: &rollout{seq: make([]int, s.length)},
		zero:    make([]float64, s.hidden), query: make([]float64, s.hidden), recurrent: make([]float64, 4*s.hidden),
	}
	f.row = startToken
	for i, n := range s.nodes {
		if n.place == 0 {
			f.beginCell(i == 0)
		}
		for _, at := range n.indices {
			f.step()
			f.row, f.anchor = -1, f.decideIndex(at)
		}
		for _, at := range n.ops {
			f.step()
			f.row = 1 + f.choices[at].First + f.decideOp(at)
		}
		f.step()
		f.makeAnchor()
		f.row = startToken
	}
	return f.rollout
}

const startToken = 0 // its row of the embedding

// beginCell makes the anchors of a cell's inputs.
func (f *forward) beginCell(biased bool) {
	f.biased, f.first = biased && f.inputs > 0, len(f.anchors)
	for range f.inputs {
		f.step()
		f.makeAnchor()
	}
}

// forward is the state of one forward pass.
type forward struct {
	*controllerShape
	*rollout
	w           *weights
	choose      chooser
	row, anchor int // input of the next step
	first       int // anchor of the cell at hand
	biased      bool
	zero, query []float64
	recurrent   []float64 // the hidden state's part of the gates
}

func (f *forward) makeAnchor() {
	last := len(f.steps) - 1
	st := &f.steps[last]
	st.key = make([]float64, f.hidden)
	detmath.MatVec(f.w.keyHid, st.hid, st.key)
	f.anchors = append(f.anchors, last)
}

// step runs the LSTM cell on the next input.
func (f *forward) step() {
	h := f.hidden
	buf := make([]float64, 7*h)
	st := lstmStep{row: f.row, anchor: f.anchor, gates: buf[:4*h], cell: buf[4*h : 5*h], tanh: buf[5*h : 6*h], hid: buf[6*h:]}
	before, cellBefore := f.stateBefore(len(f.steps), f.zero)
	detmath.MatVec(f.w.inputHid, f.inputOf(f.rollout, f.w, &st, f.zero), st.gates)
	detmath.MatVec(f.w.hidHid, before, f.recurrent)
	for i := range st.gates {
		sum := (st.gates[i] + f.recurrent[i]) + (f.w.biasInput[i] + f.w.biasHid[i])
		if i/h == 2 {
			st.gates[i] = detmath.Tanh(sum)
		} else {
			st.gates[i] = detmath.Sigmoid(sum)
		}
	}
	in, forget, cand, out := quarters(st.gates)
	for i := range h {
		st.cell[i] = float64(forget[i]*cellBefore[i]) + float64(in[i]*cand[i])
		st.tanh[i] = detmath.Tanh(st.cell[i])
		st.hid[i] = out[i] * st.tanh[i]
	}
	f.steps = append(f.steps, st)
}

func quarters(g []float64) (a, b, c, d []float64) {
	h := len(g) / 4
	return g[:h], g[h : 2*h], g[2*h : 3*h], g[3*h:]
}

// stateBefore returns the hidden and cell state that step t started from.
func (r *rollout) stateBefore(t int, zero []float64) (hid, cell []float64) {
	if t == 0 {
		return zero, zero
	}
	return r.steps[t-1].hid, r.steps[t-1].cell
}

// inputOf returns the vector that a step of r was fed.
func (s *controllerShape) inputOf(r *rollout, w *weights, st *lstmStep, zero []float64) []float64 {
	switch {
	case st.row >= 0:
		return w.embedding[st.row*s.hidden : (st.row+1)*s.hidden]
	case st.anchor == cellInput:
		return zero
	}
	return r.steps[r.anchors[st.anchor]].hid
}

// decideIndex chooses among all anchors of the cell so far: logit j is
// attention . tanh(key_j + query). It returns the anchor to feed.
func (f *forward) decideIndex(at int) int {
	anchors, h := f.anchors[f.first:], f.hidden
	n := len(anchors)
	d := decision{index: true, first: f.first, hiddens: make([]float64, n*h), squash: make([]float64, n)}
	detmath.MatVec(f.w.queryHid, f.steps[len(f.steps)-1].hid, f.query)
	for j, a := range anchors {
		th := d.hiddens[j*h : (j+1)*h]
		for i, k := range f.steps[a].key {
			th[i] = detmath.Tanh(k + f.query[i])
		}
		d.squash[j] = detmath.Tanh(detmath.Dot(f.w.attention, th) / f.temperature)
	}
	logits := make([]float64, n)
	for j, v := range d.squash {
		logits[j] = f.indexTanh * v
	}
	chosen := f.decide(at, &d, logits)
	if chosen < f.inputs {
		return cellInput
	}
	return f.first + chosen
}

func (f *forward) decideOp(at int) int {
	first, n := f.choices[at].First, f.choices[at].N
	d := decision{first: first, squash: make([]float64, n)}
	logits := make([]float64, n)
	detmath.MatVec(f.w.opHid[first*f.hidden:(first+n)*f.hidden], f.steps[len(f.steps)-1].hid, logits)
	for i, b := range f.w.opBias[first : first+n] {
		d.squash[i] = detmath.Tanh((logits[i] + b) / f.temperature)
		logits[i] = float64(f.opTanh * d.squash[i])
		switch {
		case !f.biased:
		case i < 2:
			logits[i] += f.opBias
		default:
			logits[i] -= f.opBias
		}
	}
	return f.decide(at, &d, logits)
}

// decide turns logits into probabilities, chooses and books the decision.
func (f *forward) decide(at int, d *decision, logits []float64) int {
	norm := detmath.LogSumExp(logits)
	d.step, d.prob = len(f.steps)-1, make([]float64, len(logits))
	for i, z := range logits {
		d.prob[i] = detmath.Exp(z - norm)
		f.entropy += float64(d.prob[i] * (norm - z))
	}
	d.chosen = f.choose(at, d.prob)
	f.seq[at] = d.chosen
	f.nll += norm - logits[d.chosen]
	f.decisions = append(f.decisions, *d)
	return d.chosen
}
