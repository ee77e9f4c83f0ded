package policy

import "evalnas/nasapi/detmath"

// backward adds coefficient x the gradient of r.nll to grad. It walks the
// steps in reverse: at each it first takes what the later steps, the
// decisions made from its state and the users of its anchor send back, then
// passes the sum through the LSTM cell.
func (s *controllerShape) backward(w, grad *weights, r *rollout, coefficient float64) {
	h := s.hidden
	buf := make([]float64, 8*h)
	b := &backwardPass{
		controllerShape: s, rollout: r, w: w, g: grad,
		zero: buf[:h], hid: buf[h : 2*h], cell: buf[2*h : 3*h], query: buf[3*h : 4*h], gates: buf[4*h:],
		keys: make([]float64, len(r.anchors)*h), states: make([]float64, len(r.anchors)*h),
	}
	next, anchor := len(r.decisions)-1, len(r.anchors)-1
	for t := len(r.steps) - 1; t >= 0; t-- {
		if anchor >= 0 && r.anchors[anchor] == t {
			b.throughAnchor(anchor)
			anchor--
		}
		if next >= 0 && r.decisions[next].step == t {
			b.throughDecision(&r.decisions[next], coefficient)
			next--
		}
		b.throughCell(t)
	}
}

// backwardPass holds the derivatives that travel back through one rollout.
type backwardPass struct {
	*controllerShape
	*rollout
	w, g      *weights
	zero      []float64
	hid, cell []float64 // of the states after the step at hand
	query     []float64
	gates     []float64
	keys      []float64 // of each anchor's key, anchors x hidden
	states    []float64 // of each anchor's state where it was fed to the cell, anchors x hidden
}

func (b *backwardPass) rowOf(m []float64, i int) []float64 { return m[i*b.hidden : (i+1)*b.hidden] }

// throughAnchor is reached when every later use of the anchor has been.
func (b *backwardPass) throughAnchor(j int) {
	st := &b.steps[b.anchors[j]]
	detmath.AddOuter(b.rowOf(b.keys, j), st.hid, b.g.keyHid)
	detmath.AddTransposed(b.w.keyHid, b.rowOf(b.keys, j), b.hid)
	detmath.Axpy(1, b.rowOf(b.states, j), b.hid)
}

func (b *backwardPass) throughDecision(d *decision, coefficient float64) {
	limit := b.opTanh
	if d.index {
		limit = b.indexTanh
	}
	clear(b.query)
	hid := b.steps[d.step].hid
	for j, p := range d.prob {
		if j == d.chosen {
			p -= 1
		}
		slope := float64(limit*(1-float64(d.squash[j]*d.squash[j]))) / b.temperature
		logit := float64(float64(coefficient*p) * slope)
		if d.index {
			b.throughAttention(d, j, logit)
			continue
		}
		op := d.first + j
		b.g.opBias[op] += logit
		detmath.Axpy(logit, hid, b.rowOf(b.g.opHid, op))
		detmath.Axpy(logit, b.rowOf(b.w.opHid, op), b.hid)
	}
	if d.index {
		detmath.AddOuter(b.query, hid, b.g.queryHid)
		detmath.AddTransposed(b.w.queryHid, b.query, b.hid)
	}
}

// throughAttention is the part of option j of an index decision.
func (b *backwardPass) throughAttention(d *decision, j int, logit float64) {
	th, key := b.rowOf(d.hiddens, j), b.rowOf(b.keys, d.first+j)
	detmath.Axpy(logit, th, b.g.attention)
	for i, v := range th {
		sum := float64(float64(logit*b.w.attention[i]) * (1 - float64(v*v)))
		b.query[i] += sum
		key[i] += sum
	}
}

// throughCell turns the derivatives after step t into those before it.
func (b *backwardPass) throughCell(t int) {
	st := &b.steps[t]
	before, cellBefore := b.stateBefore(t, b.zero)
	in, forget, cand, out := quarters(st.gates)
	dIn, dForget, dCand, dOut := quarters(b.gates)
	for i, th := range st.tanh {
		dOut[i] = float64(b.hid[i]*th) * float64(out[i]*(1-out[i]))
		dc := b.cell[i] + float64(float64(b.hid[i]*out[i])*(1-float64(th*th)))
		dIn[i] = float64(dc*cand[i]) * float64(in[i]*(1-in[i]))
		dForget[i] = float64(dc*cellBefore[i]) * float64(forget[i]*(1-forget[i]))
		dCand[i] = float64(dc*in[i]) * (1 - float64(cand[i]*cand[i]))
		b.cell[i] = dc * forget[i]
	}
	detmath.Axpy(1, b.gates, b.g.biasInput)
	detmath.Axpy(1, b.gates, b.g.biasHid)
	detmath.AddOuter(b.gates, before, b.g.hidHid)
	clear(b.hid)
	detmath.AddTransposed(b.w.hidHid, b.gates, b.hid)
	b.throughInput(st)
}

// throughInput sends b.gates on to what the step was fed; zeros take nothing.
func (b *backwardPass) throughInput(st *lstmStep) {
	var to []float64
	switch {
	case st.row >= 0:
		to = b.rowOf(b.g.embedding, st.row)
	case st.anchor == cellInput:
		return
	default:
		to = b.rowOf(b.states, st.anchor)
	}
	detmath.AddOuter(b.gates, b.inputOf(b.rollout, b.w, st, b.zero), b.g.inputHid)
	detmath.AddTransposed(b.w.inputHid, b.gates, to)
}
