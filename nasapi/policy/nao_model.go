package policy

import (
	"math"

	"evalnas/nasapi/detmath"
	"evalnas/nasapi/rng"
)

// naoShape says how NAO's model is built (Luo et al., section 3; sizes of Yu et al.): an
// encoder, an LSTM over the tokens of a sequence whose outputs are brought to length 1;
// a predictor of the accuracy from the mean of these outputs, brought to length 1 too;
// and a decoder, an LSTM that begins with this mean and looks back at the outputs.
type naoShape struct {
	vocab  int // tokens, 0 begins a sequence for the decoder
	length int // tokens of a sequence
	group  int // tokens that one step of the encoder reads side by side
	embed  int // of a token in the encoder
	hidden int // of both LSTMs
	layer  int // of each of the predictor's layers
}

func (s *naoShape) steps() int { return s.length / s.group } // of the encoder

// naoLayers is the number of the predictor's hidden layers.
const naoLayers = 3

// maskSize is the number of the predictor's units that dropout may silence.
func (s *naoShape) maskSize() int { return naoLayers * s.layer }

// naoLinear are a linear layer's weights: inputs x outputs, the transpose of PyTorch's,
// so that a row of outputs is a vector of the matrix product.
type naoLinear[T detmath.Real] struct {
	inputs, outputs int
	w, bias         []T // bias nil: none
}

func (l *naoLinear[T]) matrix() detmath.Matrix[T] { return detmath.Dense(l.inputs, l.outputs, l.w) }

// naoLSTM are the weights of an LSTM that reads tokens: gates in the order input, forget,
// cell, output.
type naoLSTM[T detmath.Real] struct {
	embedding          []T // vocab x embed
	in, hid            naoLinear[T]
	biasInput, biasHid []T // PyTorch's cell has two, and Adam moves each
}

// naoWeights is a packed vector cut into its parts, or a gradient cut the same way.
type naoWeights[T detmath.Real] struct {
	encoder   naoLSTM[T]
	predictor [naoLayers + 1]naoLinear[T]
	decoder   naoLSTM[T]
	attention naoLinear[T] // of the decoder's state, for the product with the outputs
	mixOut    naoLinear[T] // of what attention mixed; its sum with
	stateOut  naoLinear[T] // that of the state is PyTorch's layer of both side by side
	out       naoLinear[T]
	size      int
}

// cutNAO divides packed, which may be nil to learn only the size.
func cutNAO[T detmath.Real](s *naoShape, packed []T) *naoWeights[T] {
	w := new(naoWeights[T])
	take := func(n int) []T {
		from := w.size
		if w.size += n; packed == nil {
			return nil
		}
		return packed[from:w.size:w.size]
	}
	linear := func(in, out int, bias bool) naoLinear[T] {
		l := naoLinear[T]{inputs: in, outputs: out, w: take(in * out)}
		if bias {
			l.bias = take(out)
		}
		return l
	}
	h := s.hidden
	lstm := func(embed, group int) naoLSTM[T] {
		return naoLSTM[T]{
			embedding: take(s.vocab * embed), in: linear(group*embed, 4*h, false), hid: linear(h, 4*h, false),
			biasInput: take(4 * h), biasHid: take(4 * h),
		}
	}
	w.encoder = lstm(s.embed, s.group)
	in := h
	for i := range naoLayers {
		w.predictor[i] = linear(in, s.layer, true)
		in = s.layer
	}
	w.predictor[naoLayers] = linear(in, 1, true)
	w.decoder = lstm(h, 1)
	w.attention, w.mixOut, w.stateOut = linear(h, h, false), linear(h, h, false), linear(h, h, false)
	w.out = linear(h, s.vocab, true)
	return w
}

func (s *naoShape) size() int { return cutNAO[float32](s, nil).size }

// initial draws PyTorch's first weights: embeddings normal, LSTMs uniform in
// +-1/sqrt(hidden), linear layers in +-1/sqrt(inputs).
func (s *naoShape) initial(r *rng.Stream) []float32 {
	packed := make([]float32, s.size())
	w := cutNAO(s, packed)
	uniform := func(inputs int, lists ...[]float32) {
		bound := 1 / math.Sqrt(float64(inputs))
		for _, x := range lists {
			for i := range x {
				x[i] = float32(float64((float64(2*r.Float64()) - 1) * bound))
			}
		}
	}
	for _, l := range []*naoLSTM[float32]{&w.encoder, &w.decoder} {
		for i := range l.embedding {
			l.embedding[i] = float32(normal(r))
		}
		uniform(s.hidden, l.in.w, l.hid.w, l.biasInput, l.biasHid)
	}
	for i := range w.predictor {
		uniform(w.predictor[i].inputs, w.predictor[i].w, w.predictor[i].bias)
	}
	uniform(s.hidden, w.attention.w)
	uniform(2*s.hidden, w.mixOut.w, w.stateOut.w)
	uniform(s.hidden, w.out.w, w.out.bias)
	return packed
}

// normal draws from the normal distribution, by Marsaglia's polar method.
func normal(r *rng.Stream) float64 {
	for {
		x, y := float64(2*r.Float64())-1, float64(2*r.Float64())-1
		if q := float64(x*x) + float64(y*y); q > 0 && q < 1 {
			return x * math.Sqrt(float64(-2*detmath.Log(q))/q)
		}
	}
}

// naoPrepared is what all rows of a batch share: weights, what tokens feed to the LSTMs'
// gates, and transposes for the way back.
type naoPrepared[T detmath.Real] struct {
	*naoWeights[T]
	encoderTables, decoderTables []T // group x vocab x 4 hidden, 1 x vocab x 4 hidden
	back                         map[*naoLinear[T]]detmath.Matrix[T]
}

func prepareNAO[T detmath.Real](s *naoShape, w *naoWeights[T], into *naoPrepared[T]) {
	into.naoWeights = w
	into.encoderTables = w.encoder.tables(s, s.embed, s.group, into.encoderTables)
	into.decoderTables = w.decoder.tables(s, s.hidden, 1, into.decoderTables)
}

// transpose readies the way back.
func (p *naoPrepared[T]) transpose() {
	if p.back == nil {
		p.back = map[*naoLinear[T]]detmath.Matrix[T]{}
	}
	layers := []*naoLinear[T]{&p.encoder.hid, &p.decoder.hid, &p.attention, &p.mixOut, &p.stateOut, &p.out}
	for i := range p.predictor {
		layers = append(layers, &p.predictor[i])
	}
	for _, l := range layers {
		m, known := p.back[l]
		if !known {
			m = detmath.Dense(l.outputs, l.inputs, make([]T, len(l.w)))
			p.back[l] = m
		}
		detmath.Transpose(m.Data, l.matrix())
	}
}

// tables are the products of all tokens' embeddings with the weights of the gates, by
// place in the group; the first has the biases.
func (l *naoLSTM[T]) tables(s *naoShape, embed, group int, t []T) []T {
	one := s.vocab * 4 * s.hidden
	if t == nil {
		t = make([]T, group*one)
	}
	clear(t)
	for v := range s.vocab {
		row := t[v*4*s.hidden : (v+1)*4*s.hidden]
		for i := range row {
			row[i] = l.biasInput[i] + l.biasHid[i]
		}
	}
	for g := range group {
		part := l.in.w[g*embed*4*s.hidden : (g+1)*embed*4*s.hidden]
		detmath.AddProduct(detmath.Dense(s.vocab, 4*s.hidden, t[g*one:]),
			detmath.Dense(s.vocab, embed, l.embedding), detmath.Dense(embed, 4*s.hidden, part))
	}
	return t
}

// naoStates is a run of an LSTM: for each step and row the gates after their curves, the
// cell, its tanh and the state.
type naoStates[T detmath.Real] struct {
	rows, hidden           int
	gates, cell, tanh, hid []T
}

func newNAOStates[T detmath.Real](steps, rows, hidden int) *naoStates[T] {
	n := steps * rows * hidden
	return &naoStates[T]{rows, hidden, make([]T, 4*n), make([]T, n), make([]T, n), make([]T, n)}
}

// at cuts a step out of numbers of width a row.
func (n *naoStates[T]) at(x []T, step, width int) []T {
	return x[step*n.rows*width : (step+1)*n.rows*width]
}

// step runs the cell; its gates hold what the tokens feed. before are the state and cell
// that it starts from, nil for zeros.
func (n *naoStates[T]) step(t int, w *naoLSTM[T], hidBefore, cellBefore []T) {
	h := n.hidden
	gates, cell, tanh, hid := n.at(n.gates, t, 4*h), n.at(n.cell, t, h), n.at(n.tanh, t, h), n.at(n.hid, t, h)
	if hidBefore != nil {
		detmath.AddProduct(detmath.Dense(n.rows, 4*h, gates), detmath.Dense(n.rows, h, hidBefore), w.hid.matrix())
	}
	for r := range n.rows {
		g := gates[r*4*h : (r+1)*4*h]
		detmath.Sigmoids(g[:2*h])
		detmath.Tanhs(g[2*h : 3*h])
		detmath.Sigmoids(g[3*h:])
		in, forget, cand := g[:h], g[h:2*h], g[2*h:3*h]
		c := cell[r*h : (r+1)*h]
		for i := range c {
			c[i] = T(in[i] * cand[i])
		}
		if cellBefore != nil {
			for i, v := range cellBefore[r*h : (r+1)*h] {
				c[i] = T(forget[i]*v) + c[i]
			}
		}
	}
	copy(tanh, cell)
	detmath.Tanhs(tanh)
	for r := range n.rows {
		out := gates[r*4*h+3*h : (r+1)*4*h]
		th, to := tanh[r*h:(r+1)*h], hid[r*h:(r+1)*h]
		for i, v := range out {
			to[i] = v * th[i]
		}
	}
}

// naoRows is the forward and backward pass of some rows of a batch, in memory of its own.
// Numbers lie by step, then by row; those of attention by row.
type naoRows[T detmath.Real] struct {
	*naoShape
	prepared *naoPrepared[T]
	rows     int
	tokens   []int // rows x length
	encoder  *naoStates[T]
	norms    []T // steps x rows: of the encoder's states
	outputs  []T // steps x rows x hidden: states of length 1
	meanNorm []T // rows
	mean     []T // rows x hidden: the architectures' embedding, of length 1
	layers   [naoLayers][]T
	masks    []T // rows x maskSize, nil outside training
	value    []T // rows: the prediction
	decoder  *naoStates[T]
	query    []T // length x rows x hidden
	turned   []T // hidden x padded: a row's outputs, transposed
	prob     []T // rows x length x padded: attention
	mix      []T // length x rows x hidden
	joined   []T // length x rows x hidden: tanh of the layer over mix and state
	logProb  []T // length x rows x vocab
	fed      []int
	grads    *naoRowGrads[T]
}

// padded is the number of the encoder's steps, rounded up to whole vectors.
func (s *naoShape) padded() int { return (s.steps() + 7) &^ 7 }

func newNAORows[T detmath.Real](s *naoShape, p *naoPrepared[T], rows int) *naoRows[T] {
	h, per := s.hidden, rows*s.hidden
	f := &naoRows[T]{
		naoShape: s, prepared: p, rows: rows, tokens: make([]int, rows*s.length),
		encoder: newNAOStates[T](s.steps(), rows, h), decoder: newNAOStates[T](s.length, rows, h),
		norms: make([]T, s.steps()*rows), outputs: make([]T, s.steps()*per),
		meanNorm: make([]T, rows), mean: make([]T, per), value: make([]T, rows),
		query: make([]T, s.length*per), turned: make([]T, h*s.padded()), prob: make([]T, rows*s.length*s.padded()),
		mix: make([]T, s.length*per), joined: make([]T, s.length*per), logProb: make([]T, s.length*rows*s.vocab),
		fed: make([]int, rows),
	}
	for i := range f.layers {
		f.layers[i] = make([]T, rows*s.layer)
	}
	return f
}

// encode runs the encoder over the tokens.
func (f *naoRows[T]) encode() {
	w := &f.prepared.encoder
	var hid, cell []T
	for t := range f.steps() {
		gates := f.encoder.at(f.encoder.gates, t, 4*f.hidden)
		clear(gates)
		for g := range f.group {
			for r := range f.rows {
				f.addToken(gates, r, f.prepared.encoderTables, g, f.tokens[r*f.length+t*f.group+g])
			}
		}
		f.encoder.step(t, w, hid, cell)
		hid, cell = f.encoder.at(f.encoder.hid, t, f.hidden), f.encoder.at(f.encoder.cell, t, f.hidden)
	}
	copy(f.outputs, f.encoder.hid)
	normalise(f.outputs, f.norms, f.hidden)
	f.average()
}

// addToken adds what a token feeds to the gates of a row.
func (f *naoRows[T]) addToken(gates []T, r int, tables []T, group, token int) {
	n := 4 * f.hidden
	from := tables[(group*f.vocab+token)*n:][:n]
	for i, v := range gates[r*n : (r+1)*n] {
		gates[r*n+i] = v + from[i]
	}
}

// average makes the embedding from the outputs.
func (f *naoRows[T]) average() {
	clear(f.mean)
	for t := range f.steps() {
		for i, v := range f.encoder.at(f.outputs, t, f.hidden) {
			f.mean[i] += v
		}
	}
	for i := range f.mean {
		f.mean[i] /= T(f.steps())
	}
	normalise(f.mean, f.meanNorm, f.hidden)
}

// leastNorm is what a shorter length counts as, so that nothing is divided by 0.
const leastNorm = 1e-12

// normalise brings each row of width numbers to length 1 and keeps the lengths.
func normalise[T detmath.Real](x, norms []T, width int) {
	for r := range norms {
		row := x[r*width : (r+1)*width]
		n := max(T(math.Sqrt(float64(dot(row, row)))), leastNorm)
		norms[r] = n
		for i := range row {
			row[i] /= n
		}
	}
}

// dot has four partial sums, as detmath.Dot.
func dot[T detmath.Real](a, b []T) T {
	b = b[:len(a)]
	var s0, s1, s2, s3 T
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += T(a[i] * b[i])
		s1 += T(a[i+1] * b[i+1])
		s2 += T(a[i+2] * b[i+2])
		s3 += T(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += T(a[i] * b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// predict works out value from the embedding.
func (f *naoRows[T]) predict() {
	x, width := f.mean, f.hidden
	for i := range f.layers {
		l, y := &f.prepared.predictor[i], f.layers[i]
		f.linear(y, x, l, f.rows)
		for j, v := range y {
			y[j] = max(v, 0)
		}
		if f.masks != nil {
			for r := range f.rows {
				for j, m := range f.masks[r*f.maskSize()+i*f.layer:][:f.layer] {
					y[r*f.layer+j] *= m
				}
			}
		}
		x, width = y, f.layer
	}
	l := &f.prepared.predictor[naoLayers]
	for r := range f.rows {
		f.value[r] = dot(x[r*width:(r+1)*width], l.w) + l.bias[0]
	}
	detmath.Sigmoids(f.value)
}

// linear sets y to x through a layer.
func (f *naoRows[T]) linear(y, x []T, l *naoLinear[T], rows int) {
	clear(y[:rows*l.outputs])
	if l.bias != nil {
		for r := range rows {
			copy(y[r*l.outputs:], l.bias)
		}
	}
	addLinear(y, x, l, rows)
}

// addLinear adds x through a layer, but for its bias, to y.
func addLinear[T detmath.Real](y, x []T, l *naoLinear[T], rows int) {
	detmath.AddProduct(detmath.Dense(rows, l.outputs, y), detmath.Dense(rows, l.inputs, x), l.matrix())
}

// feed runs the decoder's cell in step t on the tokens of fed.
func (f *naoRows[T]) feed(t int) {
	gates := f.decoder.at(f.decoder.gates, t, 4*f.hidden)
	clear(gates)
	for r, token := range f.fed {
		f.addToken(gates, r, f.prepared.decoderTables, 0, token)
	}
	hid, cell := f.mean, f.mean
	if t > 0 {
		hid, cell = f.decoder.at(f.decoder.hid, t-1, f.hidden), f.decoder.at(f.decoder.cell, t-1, f.hidden)
	}
	f.decoder.step(t, &f.prepared.decoder, hid, cell)
}

// reconstruct runs the decoder over the sequence itself (teacher forcing) and works out
// logProb.
func (f *naoRows[T]) reconstruct() {
	for t := range f.length {
		for r := range f.fed {
			f.fed[r] = naoStart
			if t > 0 {
				f.fed[r] = f.tokens[r*f.length+t-1]
			}
		}
		f.feed(t)
	}
	f.attend(0, f.length)
}

// naoStart is the token that the decoder begins with.
const naoStart = 0

// attend goes from the decoder's states of steps from..to-1 to the tokens' probabilities.
func (f *naoRows[T]) attend(from, to int) {
	per, n := f.rows*f.hidden, (to-from)*f.rows
	states := f.decoder.hid[from*per : to*per]
	f.linear(f.query[from*per:to*per], states, &f.prepared.attention, n)
	clear(f.mix[from*per : to*per])
	for r := range f.rows {
		f.attendRow(r, from, to)
	}
	joined, logits := f.joined[from*per:to*per], f.logProb[from*f.rows*f.vocab:to*f.rows*f.vocab]
	f.linear(joined, f.mix[from*per:to*per], &f.prepared.mixOut, n)
	addLinear(joined, states, &f.prepared.stateOut, n)
	detmath.Tanhs(joined)
	f.linear(logits, joined, &f.prepared.out, n)
	for i := range n {
		logSoftmax(logits[i*f.vocab : (i+1)*f.vocab])
	}
}

// attendRow mixes a row's outputs for the steps from..to-1.
func (f *naoRows[T]) attendRow(r, from, to int) {
	steps, pad := f.steps(), f.padded()
	f.turn(r)
	prob := detmath.Dense(to-from, pad, f.prob[(r*f.length+from)*pad:])
	clear(prob.Data)
	detmath.AddProduct(prob, f.ofRow(f.query, r, from, to), detmath.Dense(f.hidden, pad, f.turned))
	for i := range prob.Rows {
		row := prob.Data[i*pad : (i+1)*pad]
		softmax(row[:steps])
		clear(row[steps:])
	}
	prob.Cols = steps
	detmath.AddProduct(f.ofRow(f.mix, r, from, to), prob, f.ofRow(f.outputs, r, 0, steps))
}

// ofRow are the vectors of a row, one a step.
func (f *naoRows[T]) ofRow(x []T, r, from, to int) detmath.Matrix[T] {
	return detmath.Matrix[T]{Rows: to - from, Cols: f.hidden, Stride: f.rows * f.hidden, Data: x[(from*f.rows+r)*f.hidden:]}
}

// turn transposes a row's outputs, zeros after the last.
func (f *naoRows[T]) turn(r int) {
	pad := f.padded()
	for t := range f.steps() {
		for i, v := range f.outputs[(t*f.rows+r)*f.hidden:][:f.hidden] {
			f.turned[i*pad+t] = v
		}
	}
}

// Few numbers go through these two, so they are worked out in double precision.

func softmax[T detmath.Real](x []T) {
	top := x[0]
	for _, v := range x[1:] {
		top = max(top, v)
	}
	sum := 0.0
	for i, v := range x {
		e := detmath.Exp(float64(v) - float64(top))
		x[i] = T(e)
		sum += e
	}
	for i, v := range x {
		x[i] = T(float64(v) / sum)
	}
}

func logSoftmax[T detmath.Real](x []T) {
	top := x[0]
	for _, v := range x[1:] {
		top = max(top, v)
	}
	sum := 0.0
	for _, v := range x {
		sum += detmath.Exp(float64(v) - float64(top))
	}
	norm := float64(top) + detmath.Log(sum)
	for i, v := range x {
		x[i] = T(float64(v) - norm)
	}
}
