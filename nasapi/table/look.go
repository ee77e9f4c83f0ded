package table

import (
	"slices"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Look is what a table says of one training of an architecture, or of the mean of all.
type Look struct {
	Answers []Answer // one for each metric, in the table's order
	Cost    Cost
}

// Of is the answer under the metric of a name.
func (l Look) Of(name string) (Answer, bool) {
	i := slices.IndexFunc(l.Answers, func(a Answer) bool { return a.Metric.Name == name })
	if i < 0 {
		return Answer{}, false
	}
	return l.Answers[i], true
}

// LookUp asks a table for every metric of one training; the query's Name is not looked at.
// A repeat that is drawn is one for all metrics. What the table does not have is refused
// before anything is drawn.
func LookUp(t Table, a space.Arch, q Query, draws *rng.Stream) (Look, error) {
	if err := t.Space().Contains(a); err != nil {
		return Look{}, err
	}
	var metrics []Metric
	for _, m := range t.Metrics() {
		if slices.ContainsFunc(metrics, func(have Metric) bool { return have.Name == m.Name }) {
			continue
		}
		q.Name = m.Name
		found, err := t.Find(q)
		if err != nil {
			return Look{}, err
		}
		metrics = append(metrics, found)
	}
	repeat := metrics[0].Resolve(t.Repeats(), draws).Repeat
	var look Look
	for _, m := range metrics {
		if m.Repeat == RepeatDrawn {
			m.Repeat = repeat
		}
		answer, err := t.Answer(m, a)
		if err != nil {
			return Look{}, err
		}
		look.Answers = append(look.Answers, answer)
	}
	first := look.Answers[0].Metric
	var err error
	look.Cost, err = t.Cost(first, a)
	return look, err
}
