package policy

import "evalnas/nasapi/detmath"

// naoRowGrads is the gradient that some rows give, and what travels back through them.
// What the LSTMs were fed is summed by token (tables); finish takes it to embeddings and
// weights once for all rows.
type naoRowGrads[T detmath.Real] struct {
	packed                       []T
	w                            *naoWeights[T] // packed, cut
	encoderTables, decoderTables []T

	outputs, mean        []T // of the fields of that name in naoRows
	states               []T // of the decoder's states, length x rows x hidden
	logits, joined       []T
	mix, query           []T
	prob                 []T // length x padded, of one row
	gates                []T // steps x rows x 4 hidden of the LSTM at hand
	hid, cell            []T // of the state at hand, rows x hidden
	layers               [naoLayers][]T
	value, encoderStates []T
}

func newNAORowGrads[T detmath.Real](s *naoShape, rows int) *naoRowGrads[T] {
	per := rows * s.hidden
	g := &naoRowGrads[T]{
		packed:        make([]T, s.size()),
		encoderTables: make([]T, s.group*s.vocab*4*s.hidden), decoderTables: make([]T, s.vocab*4*s.hidden),
		outputs: make([]T, s.steps()*per), mean: make([]T, per), states: make([]T, s.length*per),
		logits: make([]T, s.length*rows*s.vocab), joined: make([]T, s.length*per),
		mix: make([]T, s.length*per), query: make([]T, s.length*per), prob: make([]T, s.length*s.padded()),
		gates: make([]T, s.length*4*per), hid: make([]T, per), cell: make([]T, per),
		value: make([]T, rows), encoderStates: make([]T, s.steps()*per),
	}
	g.w = cutNAO(s, g.packed)
	for i := range g.layers {
		g.layers[i] = make([]T, rows*s.layer)
	}
	return g
}

// The loss of a batch is valueShare times the mean squared error of the predictions plus
// tokenShare times the mean negative log probability of the tokens.
const (
	naoValueShare = 0.8
	naoTokenShare = 0.2
)

// loss is these rows' part of the loss of a batch of so many. It needs predict and
// reconstruct.
func (f *naoRows[T]) loss(targets []T, batch int) float64 {
	square, nll := 0.0, 0.0
	for r, y := range targets {
		d := float64(f.value[r]) - float64(y)
		square += float64(d * d)
		for t := range f.length {
			nll -= float64(f.logProb[(t*f.rows+r)*f.vocab+f.tokens[r*f.length+t]])
		}
	}
	return float64(naoValueShare*square)/float64(batch) + float64(naoTokenShare*nll)/float64(batch*f.length)
}

// backward sets grads to the gradient of loss times out.
func (f *naoRows[T]) backward(targets []T, batch int, out T) {
	g := f.grads
	for _, x := range [][]T{g.packed, g.encoderTables, g.decoderTables, g.outputs, g.mean} {
		clear(x)
	}
	f.throughTokens(out * T(naoTokenShare/float64(batch*f.length)))
	for r, y := range targets {
		v := f.value[r]
		g.value[r] = T(T(out*T(2*naoValueShare/float64(batch)))*(v-y)) * T(v*(1-v))
	}
	f.throughPredictor()
	f.throughMean()
	f.throughOutputs()
	f.throughLSTM(f.encoder, &f.prepared.encoder, &g.w.encoder, g.encoderStates, nil)
	for t := range f.steps() {
		for k := range f.group {
			f.addFed(g.encoderTables, k, t, func(r int) int { return f.tokens[r*f.length+t*f.group+k] })
		}
	}
}

// addFed sums the gates' derivatives of step t by what was fed.
func (f *naoRows[T]) addFed(tables []T, group, t int, token func(r int) int) {
	n := 4 * f.hidden
	for r := range f.rows {
		to := tables[(group*f.vocab+token(r))*n:][:n]
		for i, v := range f.grads.gates[(t*f.rows+r)*n:][:n] {
			to[i] += v
		}
	}
}

// throughTokens is the decoder's way back; share is the weight of a token.
func (f *naoRows[T]) throughTokens(share T) {
	g, n := f.grads, f.length*f.rows
	for i, lp := range f.logProb {
		g.logits[i] = share * T(detmath.Exp(float64(lp)))
	}
	for t := range f.length {
		for r := range f.rows {
			g.logits[(t*f.rows+r)*f.vocab+f.tokens[r*f.length+t]] -= share
		}
	}
	f.throughLinear(g.joined, g.logits, f.joined, &f.prepared.out, &g.w.out, n, true)
	for i, v := range f.joined {
		g.joined[i] *= 1 - T(v*v)
	}
	f.throughLinear(g.mix, g.joined, f.mix, &f.prepared.mixOut, &g.w.mixOut, n, true)
	f.throughLinear(g.states, g.joined, f.decoder.hid, &f.prepared.stateOut, &g.w.stateOut, n, true)
	clear(g.query)
	for r := range f.rows {
		f.throughAttention(r)
	}
	f.throughLinear(g.states, g.query, f.decoder.hid, &f.prepared.attention, &g.w.attention, n, false)
	f.throughLSTM(f.decoder, &f.prepared.decoder, &g.w.decoder, g.states, f.mean)
	for t := range f.length {
		f.addFed(g.decoderTables, 0, t, func(r int) int {
			if t == 0 {
				return naoStart
			}
			return f.tokens[r*f.length+t-1]
		})
	}
	for i, v := range g.hid {
		g.mean[i] += v + g.cell[i]
	}
}

// throughLinear takes dy, the derivatives of what came out of a layer, to its weights and
// to dx, the derivatives of its input x, which are set or, unless set, added to.
func (f *naoRows[T]) throughLinear(dx, dy, x []T, l, grad *naoLinear[T], rows int, set bool) {
	d := detmath.Dense(rows, l.outputs, dy)
	detmath.AddTransposedProduct(grad.matrix(), detmath.Dense(rows, l.inputs, x), d)
	if grad.bias != nil {
		for r := range rows {
			for i, v := range dy[r*l.outputs : (r+1)*l.outputs] {
				grad.bias[i] += v
			}
		}
	}
	if set {
		clear(dx[:rows*l.inputs])
	}
	detmath.AddProduct(detmath.Dense(rows, l.inputs, dx), d, f.prepared.back[l])
}

// throughAttention adds to the derivatives of a row's queries and outputs.
func (f *naoRows[T]) throughAttention(r int) {
	g, steps, pad := f.grads, f.steps(), f.padded()
	f.turn(r)
	mix := f.ofRow(g.mix, r, 0, f.length)
	clear(g.prob)
	d := detmath.Dense(f.length, pad, g.prob)
	detmath.AddProduct(d, mix, detmath.Dense(f.hidden, pad, f.turned))
	prob := detmath.Matrix[T]{Rows: f.length, Cols: steps, Stride: pad, Data: f.prob[r*f.length*pad:]}
	for i := range f.length {
		p, dp := prob.Data[i*pad:][:steps], d.Data[i*pad:][:steps]
		mean := dot(p, dp)
		for j, v := range p {
			dp[j] = T(v * (dp[j] - mean))
		}
	}
	d.Cols = steps
	outputs := f.ofRow(g.outputs, r, 0, steps)
	detmath.AddProduct(f.ofRow(g.query, r, 0, f.length), d, f.ofRow(f.outputs, r, 0, steps))
	detmath.AddTransposedProduct(outputs, d, f.ofRow(f.query, r, 0, f.length))
	detmath.AddTransposedProduct(outputs, prob, mix)
}

// throughPredictor takes value to the embedding.
func (f *naoRows[T]) throughPredictor() {
	g := f.grads
	dy := g.value
	for i := naoLayers; i >= 0; i-- {
		x, dx := f.mean, g.mean
		if i > 0 {
			x, dx = f.layers[i-1], g.layers[i-1]
		}
		f.throughLinear(dx, dy, x, &f.prepared.predictor[i], &g.w.predictor[i], f.rows, i > 0)
		if i > 0 {
			f.throughLayer(dx, x, i-1)
		}
		dy = dx
	}
}

// throughLayer is the way back through the mask and the curve of a hidden layer: what is
// above zero after both was above zero between them.
func (f *naoRows[T]) throughLayer(d, y []T, layer int) {
	for r := range f.rows {
		for j, v := range y[r*f.layer : (r+1)*f.layer] {
			switch {
			case v <= 0:
				d[r*f.layer+j] = 0
			case f.masks != nil:
				d[r*f.layer+j] *= f.masks[r*f.maskSize()+layer*f.layer+j]
			}
		}
	}
}

// throughMean takes the embedding to the outputs.
func (f *naoRows[T]) throughMean() {
	g := f.grads
	throughNorm(g.mean, g.mean, f.mean, f.meanNorm, f.hidden)
	for t := range f.steps() {
		to := f.encoder.at(g.outputs, t, f.hidden)
		for i, v := range g.mean {
			to[i] += v / T(f.steps())
		}
	}
}

// throughOutputs takes the outputs to the encoder's states.
func (f *naoRows[T]) throughOutputs() {
	throughNorm(f.grads.encoderStates, f.grads.outputs, f.outputs, f.norms, f.hidden)
}

// throughNorm takes dy, the derivatives of rows of length 1, to those before normalise.
func throughNorm[T detmath.Real](dx, dy, y, norms []T, width int) {
	for r, n := range norms {
		from, to := r*width, (r+1)*width
		along := dot(dy[from:to], y[from:to])
		for i := from; i < to; i++ {
			dx[i] = (dy[i] - T(along*y[i])) / n
		}
	}
}

// throughLSTM takes the derivatives of all states to the gates and the weights; hid and
// cell are then those of the start. start is the state and cell that it began with, nil
// for zeros.
func (f *naoRows[T]) throughLSTM(n *naoStates[T], l, grad *naoLSTM[T], states, start []T) {
	g, h := f.grads, f.hidden
	steps := len(n.hid) / (f.rows * h)
	clear(g.hid)
	clear(g.cell)
	for t := steps - 1; t >= 0; t-- {
		for i, v := range n.at(states, t, h) {
			g.hid[i] += v
		}
		before := start
		if t > 0 {
			before = n.at(n.cell, t-1, h)
		}
		f.throughCell(n, t, before)
		clear(g.hid)
		detmath.AddProduct(detmath.Dense(f.rows, h, g.hid), detmath.Dense(f.rows, 4*h, n.at(g.gates, t, 4*h)), f.prepared.back[&l.hid])
	}
	if start != nil {
		detmath.AddTransposedProduct(grad.hid.matrix(), detmath.Dense(f.rows, h, start), detmath.Dense(f.rows, 4*h, g.gates))
	}
	later := (steps - 1) * f.rows
	detmath.AddTransposedProduct(grad.hid.matrix(), detmath.Dense(later, h, n.hid), detmath.Dense(later, 4*h, g.gates[f.rows*4*h:]))
}

// throughCell turns hid and cell, derivatives after step t, into those of its gates, and
// cell into that of the cell before.
func (f *naoRows[T]) throughCell(n *naoStates[T], t int, before []T) {
	g, h := f.grads, f.hidden
	gates, tanh, d := n.at(n.gates, t, 4*h), n.at(n.tanh, t, h), n.at(g.gates, t, 4*h)
	for r := range f.rows {
		in, forget, cand, out := quartersOf(gates[r*4*h : (r+1)*4*h])
		dIn, dForget, dCand, dOut := quartersOf(d[r*4*h : (r+1)*4*h])
		th, hid, cell := tanh[r*h:(r+1)*h], g.hid[r*h:(r+1)*h], g.cell[r*h:(r+1)*h]
		for i, x := range th {
			dOut[i] = T(hid[i]*x) * T(out[i]*(1-out[i]))
			dc := cell[i] + T(T(hid[i]*out[i])*(1-T(x*x)))
			dIn[i] = T(dc*cand[i]) * T(in[i]*(1-in[i]))
			dCand[i] = T(dc*in[i]) * (1 - T(cand[i]*cand[i]))
			dForget[i] = dc // times the cell before, below
			cell[i] = dc * forget[i]
		}
		for i, v := range dForget {
			if before == nil {
				dForget[i] = 0
				continue
			}
			dForget[i] = T(v*before[r*h+i]) * T(forget[i]*(1-forget[i]))
		}
	}
}

func quartersOf[T detmath.Real](g []T) (a, b, c, d []T) {
	h := len(g) / 4
	return g[:h], g[h : 2*h], g[2*h : 3*h], g[3*h:]
}

// finish takes the tables' gradient to embeddings, weights and biases of an LSTM.
func (l *naoLSTM[T]) finish(s *naoShape, grad *naoLSTM[T], tables []T, embed, group int) {
	one := s.vocab * 4 * s.hidden
	turned := make([]T, embed*4*s.hidden)
	embedding := detmath.Dense(s.vocab, embed, l.embedding)
	for g := range group {
		d := detmath.Dense(s.vocab, 4*s.hidden, tables[g*one:])
		from, to := g*embed*4*s.hidden, (g+1)*embed*4*s.hidden
		part := detmath.Dense(embed, 4*s.hidden, l.in.w[from:to])
		detmath.AddTransposedProduct(detmath.Dense(embed, 4*s.hidden, grad.in.w[from:to]), embedding, d)
		detmath.Transpose(turned, part)
		detmath.AddProduct(detmath.Dense(s.vocab, embed, grad.embedding), d, detmath.Dense(4*s.hidden, embed, turned))
	}
	for v := range s.vocab {
		for i, x := range tables[v*4*s.hidden : (v+1)*4*s.hidden] {
			grad.biasInput[i] += x
			grad.biasHid[i] += x
		}
	}
}
