package table

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"evalnas/nasapi/nearest"
	"evalnas/nasapi/space"
)

// Names of the tables that are read from people's files.
const (
	OwnName         = "own"
	NASBench201Name = "nasbench201"
)

// Own is a table that was read from somebody's file: see OpenOwn and OpenNASBench201.
type Own struct {
	name   string
	label  ownLabel
	digest string
	sp     space.Finite
	*ownData
	means [][][]float64 // by metric and epochs: the mean over the repeats that there are
	least []int         // repeats that every architecture has, by epochs
	ranks *sync.Map     // Metric -> *ranking
}

// ownLabel is how a table is called. It is no part of its data: the same data may be read
// from several files.
type ownLabel struct {
	Expression string `json:"expression"` // that opens it in a cell
	Title      string `json:"title"`
}

// ownData are the values. Those of metrics and seconds are by epochs, repeat and
// architecture, NaN where an architecture has fewer repeats.
type ownData struct {
	base    space.Decided
	rows    []uint32 // of a table without all combinations, joined; else nil
	n       int
	epochs  []int // ascending; one 0 where the file does not say
	repeats int   // the most that an architecture has
	metrics []ownMetric
	seconds [][][]float64 // nil where there are none
	params  []float64     // by architecture, as the next, or nil
	flops   []float64
}

type ownMetric struct {
	name   string
	free   bool
	values [][][]float64
}

var _ Table = (*Own)(nil)

// newOwn makes a table of its data.
func newOwn(name, digest string, label ownLabel, d *ownData) (*Own, error) {
	t := &Own{name: name, digest: digest, label: label, ownData: d, ranks: new(sync.Map)}
	if d.rows == nil {
		f, ok := d.base.(space.Finite)
		if !ok {
			return nil, fmt.Errorf("%s cannot be listed", d.base)
		}
		t.sp = f
	} else {
		r, err := space.RowsOf(d.base, d.rows, digest)
		if err != nil {
			return nil, err
		}
		t.sp = r
	}
	if t.sp.Len() != d.n {
		return nil, fmt.Errorf("%d architectures in a space of %d", d.n, t.sp.Len())
	}
	for _, m := range d.metrics {
		var means [][]float64
		for _, repeats := range m.values {
			means = append(means, meanOf(repeats))
		}
		t.means = append(t.means, means)
	}
	for _, repeats := range d.metrics[0].values {
		t.least = append(t.least, leastOf(repeats))
	}
	return t, nil
}

// meanOf is the mean over the repeats, summed from the smallest so that architectures that
// are equally good tie however their repeats are ordered.
func meanOf(repeats [][]float64) []float64 {
	if len(repeats) == 1 {
		return repeats[0]
	}
	means := make([]float64, len(repeats[0]))
	var all []float64
	for i := range means {
		all = all[:0]
		for _, r := range repeats {
			if !math.IsNaN(r[i]) {
				all = append(all, r[i])
			}
		}
		slices.Sort(all)
		for _, v := range all {
			means[i] += v
		}
		means[i] /= float64(len(all))
	}
	return means
}

func leastOf(repeats [][]float64) int {
	for r, values := range repeats {
		if slices.ContainsFunc(values, math.IsNaN) {
			return r
		}
	}
	return len(repeats)
}

// Name is OwnName or NASBench201Name.
func (t *Own) Name() string { return t.name }

func (t *Own) String() string { return t.label.Expression }

// Title names the table for people.
func (t *Own) Title() string { return t.label.Title }

// Digest is the SHA-256 of the data, the same for the same data in another format.
func (t *Own) Digest() string { return t.digest }

// Space is that of all combinations, or of the rows where the table has not all.
func (t *Own) Space() space.Finite { return t.sp }

// Repeats is how often every architecture was trained, at least.
func (t *Own) Repeats() int { return slices.Min(t.least) }

// Metrics lists the columns, without those over repeats.
func (t *Own) Metrics() []Metric {
	var all []Metric
	for _, e := range t.epochs {
		for _, m := range t.metrics {
			all = append(all, Metric{Name: m.name, Epochs: e, Repeat: t.usual(), Free: m.free})
		}
	}
	return all
}

// usual is the mean, or the only repeat.
func (t *Own) usual() int {
	if t.repeats == 1 {
		return 0
	}
	return RepeatMean
}

// Find knows the metrics that the file was said to have.
func (t *Own) Find(q Query) (Metric, error) {
	i := slices.IndexFunc(t.metrics, func(m ownMetric) bool { return m.name == q.Name })
	if i < 0 {
		return Metric{}, t.unknownMetric(q.Name)
	}
	m := Metric{Name: q.Name, Epochs: q.Epochs, Repeat: t.usual(), Free: t.metrics[i].free}
	if q.Halfway {
		return m, errors.New("halfway: the table has the ends of the trainings only")
	}
	if q.Epochs == 0 {
		m.Epochs = t.epochs[len(t.epochs)-1]
	}
	f := slices.Index(t.epochs, m.Epochs)
	switch {
	case f < 0 && t.epochs[0] == 0:
		return m, fmt.Errorf("epochs is %d: the table was read without a column of epochs", m.Epochs)
	case f < 0:
		return m, fmt.Errorf("epochs is %d: the table has %s", m.Epochs, intList(t.epochs))
	case q.Repeat == nil || *q.Repeat == RepeatMean:
		return m, nil
	}
	if m.Repeat = *q.Repeat; m.Repeat != RepeatDrawn && (m.Repeat < 0 || m.Repeat >= t.least[f]) {
		return m, fmt.Errorf(`repeat is %d: every architecture has at least %d; choose 0 to %d, or "mean" for all that each has`, m.Repeat, t.least[f], t.least[f]-1)
	}
	return m, nil
}

func (t *Own) unknownMetric(name string) error {
	var names []string
	for _, m := range t.metrics {
		names = append(names, m.name)
	}
	near := nearest.Name(name, names)
	if near == "" && strings.HasPrefix(name, "val") && slices.Contains(names, Valid) {
		near = Valid
	}
	if near != "" {
		near = fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Errorf("unknown metric %q: the table has %s%s", shorten(name), strings.Join(names, ", "), near)
}

// at finds a metric's values: those of one repeat, or the mean.
func (t *Own) at(m Metric) ([]float64, error) {
	f := slices.Index(t.epochs, m.Epochs)
	i := slices.IndexFunc(t.metrics, func(o ownMetric) bool { return o.name == m.Name && o.free == m.Free })
	switch {
	case m.Repeat == RepeatDrawn:
		return nil, errors.New("a repeat that is drawn anew for each look-up has no column: draw one first")
	case f < 0 || i < 0 || m.Halfway || m.Repeat < RepeatMean || m.Repeat >= t.least[f]:
		return nil, fmt.Errorf("the table has no column %q: it has %s", m, t.metricTexts())
	case m.Repeat == RepeatMean:
		return t.means[i][f], nil
	}
	return t.metrics[i].values[f][m.Repeat], nil
}

func (t *Own) metricTexts() string {
	var texts []string
	for _, m := range t.Metrics() {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, "; ")
}

func (t *Own) row(a space.Arch) (int, error) {
	if i, ok := t.sp.Index(a); ok {
		return i, nil
	}
	return 0, fmt.Errorf("not in the table: %w", t.sp.Contains(a))
}

// Value is a value of the file, or the mean over the repeats.
func (t *Own) Value(m Metric, a space.Arch) (float64, error) {
	values, err := t.at(m)
	if err != nil {
		return 0, err
	}
	i, err := t.row(a)
	if err != nil {
		return 0, err
	}
	return values[i], nil
}

// Column lists the metric over the table's space or a part of it.
func (t *Own) Column(m Metric, s space.Space) ([]float64, error) {
	values, err := t.at(m)
	if err != nil {
		return nil, err
	}
	if s.Spec() == t.sp.Spec() {
		return slices.Clone(values), nil
	}
	part, ok := s.(space.Finite)
	if !ok || !space.Includes(t.sp, s) {
		return nil, fmt.Errorf("the table holds %s, not %s", t.sp, s)
	}
	out := make([]float64, part.Len())
	for i := range out {
		at, err := t.row(part.At(i))
		if err != nil {
			return nil, err
		}
		out[i] = values[at]
	}
	return out, nil
}

// Answer looks an architecture up. Ranks count higher values as better.
func (t *Own) Answer(m Metric, a space.Arch) (Answer, error) {
	values, err := t.at(m)
	if err != nil {
		return Answer{}, err
	}
	i, err := t.row(a)
	if err != nil {
		return Answer{}, err
	}
	made, _ := t.ranks.LoadOrStore(m, &ranking{make: sync.OnceValue(func() rankOf { return rankValues(values) })})
	answer := Answer{Hash: a.Hash(), Metric: m, Value: values[i], N: len(values), Params: a.Params()}
	if t.params != nil {
		answer.Params = int64(t.params[i])
	}
	answer.rank(made.(*ranking).make()(i))
	return answer, nil
}

// Cost is what the trainings took that give the metric's value: for a mean that is all of
// the architecture's repeats.
func (t *Own) Cost(m Metric, a space.Arch) (Cost, error) {
	if _, err := t.at(m); err != nil {
		return Cost{}, err
	}
	i, err := t.row(a)
	if err != nil {
		return Cost{}, err
	}
	f := slices.Index(t.epochs, m.Epochs)
	cost := Cost{Timed: t.seconds != nil}
	for r, values := range t.metrics[0].values[f] {
		if m.Repeat != RepeatMean && m.Repeat != r || math.IsNaN(values[i]) {
			continue
		}
		cost.Epochs += m.Epochs
		if cost.Timed {
			cost.Seconds += t.seconds[f][r][i]
		}
	}
	return cost, nil
}

// FLOPs are the multiply-adds of an architecture, 0 where they are not known.
func (t *Own) FLOPs(a space.Arch) int64 {
	if i, err := t.row(a); err == nil && t.flops != nil {
		return int64(t.flops[i])
	}
	return a.FLOPs()
}

// Summary says what the table holds, in sentences.
func (t *Own) Summary() []string {
	lines := []string{t.sizeText()}
	for i, m := range t.metrics {
		last := t.means[i][len(t.epochs)-1]
		text := fmt.Sprintf("%s: %v to %v", m.name, slices.Min(last), slices.Max(last))
		switch {
		case !m.free:
			text += ", shares in 0..1"
		case slices.Min(last) >= 0 && slices.Max(last) <= 100:
			text += ", taken as they are; if they are percent, divide them by 100 to have them treated as accuracies"
		default:
			text += ", taken as they are: no accuracies"
		}
		lines = append(lines, text)
	}
	if t.epochs[0] > 0 {
		lines = append(lines, "epochs: "+intList(t.epochs))
	}
	if t.repeats > 1 {
		lines = append(lines, t.repeatsText())
	}
	if t.seconds != nil {
		lines = append(lines, "seconds of training: known")
	}
	return lines
}

func (t *Own) sizeText() string {
	if t.rows == nil {
		return fmt.Sprintf("%d architectures: all combinations", t.n)
	}
	return fmt.Sprintf("%d architectures of %s combinations: the space is these rows, and neighbours are rows that differ in one choice", t.n, t.base.Size())
}

func (t *Own) repeatsText() string {
	least := t.Repeats()
	if least == t.repeats {
		return fmt.Sprintf("repeats: %d of each", least)
	}
	return fmt.Sprintf("repeats: %d to %d of each; a mean is over those that there are", least, t.repeats)
}

// Expression is what makes a metric of a table in a cell, as far as it is known here.
func Expression(name, digest string, m Metric) string {
	text, usual := fmt.Sprintf("table %s %.12s", shorten(name), digest), RepeatMean
	if t, err := Open(name, digest); err == nil {
		text = t.String()
		if own, ok := t.(*Own); ok {
			usual = own.usual()
		}
	}
	text += fmt.Sprintf(".metric(%q", m.Name)
	if m.Epochs > 0 {
		text += fmt.Sprintf(", epochs=%d", m.Epochs)
	}
	switch m.Repeat {
	case usual:
	case RepeatDrawn:
		text += `, repeat="drawn"`
	default:
		text += fmt.Sprintf(", repeat=%d", m.Repeat)
	}
	return text + ")"
}

// Title names a table for people.
func Title(name, digest string) string {
	t, err := Open(name, digest)
	if own, ok := t.(*Own); ok && err == nil {
		return own.Title()
	}
	return fmt.Sprintf("table %s %.12s", shorten(name), digest)
}
