// Package objective holds what guides a search: the feedback that a policy
// gets for an architecture. It is kept apart from the policy (how to search)
// and from the final evaluation (how the found architecture is judged).
//
// An objective is described by a Spec, which is part of a job's configuration,
// and made by New. Values are maximised unless the Spec says minimise; Score
// has the sign turned so that higher is always better.
package objective

import (
	"fmt"
	"slices"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
)

// Kinds of objectives.
const (
	Table  = "table"  // a column of a tabular benchmark
	Params = "params" // the number of trainable parameters
	FLOPs  = "flops"  // multiply-adds of one forward pass

	// SharedWeights is the validation accuracy with weights that all architectures of the
	// space share, which the policy trains.
	SharedWeights = "shared_weights"

	// Trained is the accuracy of networks that were trained here: it judges what was
	// trained, and can guide no search.
	Trained = "trained"

	// Trainer is a metric of a training of each architecture that is evaluated, by a program
	// of one's own or by the engine of this one.
	Trainer = "trainer"
)

// The metrics of Trained.
const (
	TrainedValid = "valid"
	TrainedTest  = "test"
)

// Spec is the serialised form of an objective.
type Spec struct {
	Kind     string `json:"kind"`
	Table    string `json:"table,omitempty"`  // "nasbench101", "nasbench201" or "own"
	Digest   string `json:"digest,omitempty"` // SHA-256 of the table's data
	Metric   string `json:"metric,omitempty"` // "test"
	Epochs   int    `json:"epochs,omitempty"`
	Repeat   int    `json:"repeat,omitempty"` // 0 is the first repeat; see table.Metric
	Halfway  bool   `json:"halfway,omitempty"`
	Free     bool   `json:"free,omitempty"` // values of the table are not shares in 0..1
	Minimise bool   `json:"minimise,omitempty"`
	// Protocol says in words how Trained networks, or SharedWeights, were trained.
	Protocol string `json:"protocol,omitempty"`
}

// Accuracy says that values are shares of images, in 0..1.
func (s Spec) Accuracy() bool {
	return s.Kind == Table && !s.Free || s.Kind == Trained || s.Kind == SharedWeights || s.Kind == Trainer && s.share()
}

// share says that the metric of a training is a share of images, by its name.
func (s Spec) share() bool {
	return s.Metric == TrainedValid || s.Metric == TrainedTest || s.Metric == "train"
}

// Objective evaluates architectures.
type Objective struct {
	spec   Spec
	eval   func(space.Arch) (float64, error)
	table  table.Table // nil unless the values are those of a table
	metric table.Metric
}

// OfTable returns the objective of one metric of a table.
func OfTable(t table.Table, m table.Metric) *Objective {
	return &Objective{
		spec: Spec{
			Kind: Table, Table: t.Name(), Digest: t.Digest(), Metric: m.Name, Epochs: m.Epochs, Repeat: m.Repeat,
			Halfway: m.Halfway, Free: m.Free,
		},
		eval:  func(a space.Arch) (float64, error) { return t.Value(m, a) },
		table: t, metric: m,
	}
}

// Measurement is an evaluation and what it stands for.
type Measurement struct {
	Value float64
	Cost  table.Cost // of the training that a table's value comes from; else zero
}

// Fidelities are the epochs of training that a search may ask for instead of the
// objective's own, ascending, which are the last; nil where there is no choice.
func (o *Objective) Fidelities() []int {
	if o.table == nil {
		return nil
	}
	var epochs []int
	for _, m := range o.table.Metrics() {
		if m.Name == o.metric.Name && m.Epochs > 0 && m.Epochs <= o.metric.Epochs && !slices.Contains(epochs, m.Epochs) {
			epochs = append(epochs, m.Epochs)
		}
	}
	slices.Sort(epochs)
	if len(epochs) < 2 {
		return nil
	}
	return epochs
}

// Measure evaluates an architecture after some epochs of training, one of Fidelities or 0
// for the objective's own. draws gives the repeat where the metric leaves it to chance.
func (o *Objective) Measure(a space.Arch, epochs int, draws *rng.Stream) (Measurement, error) {
	if o.table == nil {
		v, err := o.eval(a)
		return Measurement{Value: v}, err
	}
	m := o.metric
	if epochs != 0 {
		m.Epochs = epochs
	}
	m = m.Resolve(o.table.Repeats(), draws)
	v, err := o.table.Value(m, a)
	if err != nil {
		return Measurement{}, err
	}
	cost, err := o.table.Cost(m, a)
	return Measurement{Value: v, Cost: cost}, err
}

// Repeats are the values of architectures in each repeat of the training behind the metric of
// a table: Repeats(archs)[k][i] is of archs[i] in repeat k. Other objectives have no repeats.
func (o *Objective) Repeats(archs []space.Arch) ([][]float64, error) {
	if o.table == nil {
		return nil, nil
	}
	out := make([][]float64, o.table.Repeats())
	for k := range out {
		m := o.metric
		m.Repeat = k
		for _, a := range archs {
			v, err := o.table.Value(m, a)
			if err != nil {
				return nil, err
			}
			out[k] = append(out[k], v)
		}
	}
	return out, nil
}

// Timed says that every value is that of a training whose seconds are known.
func (o *Objective) Timed() bool {
	if o.table == nil || o.table.Space().Len() == 0 {
		return false
	}
	first := o.metric.Resolve(o.table.Repeats(), rng.New(0, "timed"))
	cost, err := o.table.Cost(first, o.table.Space().At(0))
	return err == nil && cost.Timed
}

// OfParams returns the number of trainable parameters as an objective.
func OfParams() *Objective {
	return &Objective{
		spec: Spec{Kind: Params},
		eval: func(a space.Arch) (float64, error) { return counted(a, "params()", a.Params()) },
	}
}

// OfFLOPs returns the multiply-adds of one forward pass as an objective.
func OfFLOPs() *Objective {
	return &Objective{
		spec: Spec{Kind: FLOPs},
		eval: func(a space.Arch) (float64, error) { return counted(a, "flops()", a.FLOPs()) },
	}
}

// counted refuses architectures of which nobody knows the network.
func counted(a space.Arch, name string, n int64) (float64, error) {
	if g, ok := a.(*space.Genotype); ok && n == 0 {
		return 0, fmt.Errorf("%s: %w", name, g.CheckNetwork())
	}
	if n == 0 {
		return 0, fmt.Errorf("%s: the network of %s is not known here, so nothing of it can be counted", name, a)
	}
	return float64(n), nil
}

// Fits says that an objective has a value for every architecture of a space: nil, or an
// error that says what it has values for.
func (o *Objective) Fits(sp space.Space) error {
	switch {
	case o.table != nil && !space.Includes(o.table.Space(), sp):
		return fmt.Errorf("objective %s has no values for %s: it can guide a search of %s", o, sp, o.table.Space())
	case (o.spec.Kind == Params || o.spec.Kind == FLOPs) && !space.Counted(sp):
		if cells, ok := space.CellsOf(sp); ok {
			return fmt.Errorf("%s(): %w", o.spec.Kind, cells.CheckNetwork())
		}
		return fmt.Errorf("%s(): the networks of %s are not known here, so nothing of them can be counted: a table can guide a search of it", o.spec.Kind, sp)
	}
	return nil
}

// OfTrained returns the accuracy of trained networks, of TrainedValid or TrainedTest
// images, as what judges them. Values come with what is judged; it has none itself.
func OfTrained(metric, protocol string) (*Objective, error) {
	if metric != TrainedValid && metric != TrainedTest {
		return nil, fmt.Errorf("trained networks are not judged by %.40q: allowed are %q and %q", metric, TrainedTest, TrainedValid)
	}
	return &Objective{
		spec: Spec{Kind: Trained, Metric: metric, Protocol: protocol},
		eval: func(a space.Arch) (float64, error) {
			return 0, fmt.Errorf("%v was not trained, and a comparison by the accuracy of trained networks has only those: train random ones along as the baseline, train(archs + sample_random(space, seeds=range(10)), ...)", a)
		},
	}, nil
}

// OfSharedWeights returns the objective whose values a supernet gives, as eval asks it.
func OfSharedWeights(s Spec, eval func(space.Arch) (float64, error)) *Objective {
	return &Objective{spec: s, eval: eval}
}

// OfTrainer returns the objective whose values trainings give, as eval has them done.
func OfTrainer(s Spec, eval func(space.Arch) (float64, error)) *Objective {
	return &Objective{spec: s, eval: eval}
}

// New makes the objective of a Spec. A table whose data are not those that the
// Spec names is refused.
func New(s Spec) (*Objective, error) {
	var o *Objective
	switch s.Kind {
	case Params:
		o = OfParams()
	case FLOPs:
		o = OfFLOPs()
	case Table:
		t, err := table.Open(s.Table, s.Digest)
		if err != nil {
			return nil, err
		}
		m, err := t.Find(table.Query{Name: s.Metric, Epochs: s.Epochs, Repeat: &s.Repeat, Halfway: s.Halfway})
		if err != nil {
			return nil, err
		}
		o = OfTable(t, m)
	case SharedWeights:
		return nil, fmt.Errorf("objective: the values of shared weights are those of a policy that trains them")
	case Trainer:
		return nil, fmt.Errorf("objective: the values of trainings are those of a search that does them")
	default:
		return nil, fmt.Errorf("objective: unknown kind %q: known are %s, %s, %s", s.Kind, Table, Params, FLOPs)
	}
	o.spec.Minimise = s.Minimise
	if o.spec != s {
		return nil, fmt.Errorf("objective: this build has %+v, the configuration asks for %+v", o.spec, s)
	}
	return o, nil
}

// Minimised returns the same objective with the direction set.
func (o *Objective) Minimised(minimise bool) *Objective {
	c := *o
	c.spec.Minimise = minimise
	return &c
}

// Spec returns the serialised form.
func (o *Objective) Spec() Spec { return o.spec }

// Value returns the raw value of an architecture: an accuracy in 0..1, a
// number of parameters, a number of multiply-adds.
func (o *Objective) Value(a space.Arch) (float64, error) { return o.eval(a) }

// Score gives a value the sign that makes higher better.
func (o *Objective) Score(value float64) float64 {
	if o.spec.Minimise {
		return -value
	}
	return value
}

// Unit says that scores lie in 0..1.
func (o *Objective) Unit() bool {
	return (o.spec.Kind == Table && !o.spec.Free || o.spec.Kind == SharedWeights || o.spec.Kind == Trainer && o.spec.share()) && !o.spec.Minimise
}

// Oracle says that the objective reads a test column: a search that is guided
// by it is a benchmark of optimisers, and no accuracy may be claimed from it.
func (o *Objective) Oracle() bool { return o.spec.Oracle() }

// Oracle says that the objective reads a test column, or test images.
func (s Spec) Oracle() bool { return (s.Kind == Table || s.Kind == Trainer) && s.Metric == "test" }

// String is the expression that makes the objective in a cell.
func (o *Objective) String() string { return o.spec.String() }

// String is the expression that makes the objective in a cell.
func (s Spec) String() string {
	if s.Kind == Table {
		return s.tableText()
	}
	switch s.Kind {
	case Trained:
		return fmt.Sprintf("%q of train(...)", s.Metric)
	case SharedWeights:
		return fmt.Sprintf("shared_weights(%s)", s.Protocol)
	case Trainer:
		return fmt.Sprintf("trained(%s, metric=%q)", s.Protocol, s.Metric)
	}
	return s.Kind + "()"
}

// tableText is the metric of a table: of the one inside the program, or of one that its
// digest names.
func (s Spec) tableText() string {
	if s.Table != table.NASBench101Name {
		return table.Expression(s.Table, s.Digest, s.metric())
	}
	if s.Digest == "" || s.Digest == table.EmbeddedDigest {
		return fmt.Sprintf("nasbench101_table().metric(%q)", s.Metric)
	}
	return fmt.Sprintf("nasbench101_table(%q).metric(%q%s)", s.Digest[:min(len(s.Digest), 12)], s.Metric, s.trainingText())
}

// trainingText are the arguments that name a training.
func (s Spec) trainingText() string {
	text := fmt.Sprintf(", epochs=%d", s.Epochs)
	switch s.Repeat {
	case table.RepeatMean:
	case table.RepeatDrawn:
		text += `, repeat="drawn"`
	default:
		text += fmt.Sprintf(", repeat=%d", s.Repeat)
	}
	if s.Halfway {
		text += ", halfway=True"
	}
	return text
}

// Label is a short form for tables.
func (s Spec) Label() string {
	if s.Kind == SharedWeights {
		return "shared weights: " + s.Protocol
	}
	if s.Accuracy() {
		return s.Metric + " accuracy"
	}
	if s.Kind == Table || s.Kind == Trainer {
		return s.Metric + " value"
	}
	return s.Kind + "()"
}

// Describe says in words what the values are.
func (s Spec) Describe() string {
	switch s.Kind {
	case Params:
		return "number of trainable parameters"
	case FLOPs:
		return "multiply-adds of one forward pass"
	case SharedWeights:
		return fmt.Sprintf("accuracy with shared weights on all validation images: %s", s.Protocol)
	case Trained:
		return fmt.Sprintf("%s accuracy after training from scratch: %s", s.Metric, s.Protocol)
	case Trainer:
		return fmt.Sprintf("%s of a training of each architecture: %s", s.Metric, s.Protocol)
	}
	if s.Table == table.NASBench101Name {
		return "NASBench-101 " + s.metric().String()
	}
	return table.Title(s.Table, s.Digest) + " " + s.metric().String()
}

// metric is the column of a table that the objective is.
func (s Spec) metric() table.Metric {
	return table.Metric{Name: s.Metric, Epochs: s.Epochs, Repeat: s.Repeat, Halfway: s.Halfway, Free: s.Free}
}

// Column returns the raw values of all architectures of a finite space, in its
// order.
func (o *Objective) Column(s space.Finite) ([]float64, error) {
	if o.table != nil {
		return o.table.Column(o.metric, s)
	}
	out := make([]float64, s.Len())
	for i := range out {
		v, err := o.eval(s.At(i))
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}
