package commands

import (
	"fmt"
	"slices"
	"strings"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel"
	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
)

// answerValue is what a table says of one training of one architecture: a value under each
// of its metrics, each named.
type answerValue struct {
	immutable
	unhashable
	arch  *archValue
	look  table.Look
	table table.Table
}

var _ lib.HasAttrs = (*answerValue)(nil)

// under is an attribute of the answer under one metric; the error says what the table has.
func under(name string, get func(table.Answer) lib.Value) func(*answerValue) (lib.Value, error) {
	return func(a *answerValue) (lib.Value, error) {
		if answer, ok := a.look.Of(name); ok {
			return get(answer), nil
		}
		_, err := a.table.Find(table.Query{Name: name})
		return nil, err
	}
}

func answered(a table.Answer) lib.Value   { return lib.Float(a.Value) }
func ranked(a table.Answer) lib.Value     { return lib.MakeInt(a.Rank) }
func tied(a table.Answer) lib.Value       { return lib.MakeInt(a.Ties) }
func percentile(a table.Answer) lib.Value { return lib.Float(a.Percentile) }

var answerAttrs = attrTable[*answerValue]{
	{"test", "test accuracy, a fraction in 0..1", under(table.Test, answered)},
	{"valid", "validation accuracy, where the table has it", under(table.Valid, answered)},
	{"train", "training accuracy, where the table has it", under(table.Train, answered)},
	{"seconds", "seconds of training, None where the table has no times; for the mean of the repeats those of all", func(a *answerValue) (lib.Value, error) {
		if !a.look.Cost.Timed {
			return lib.None, nil
		}
		return lib.Float(a.look.Cost.Seconds), nil
	}},
	{"rank", "1 + the number of architectures with a strictly better test accuracy, among all of the table", under(table.Test, ranked)},
	{"ties", "how many architectures have exactly this test accuracy, itself counted", under(table.Test, tied)},
	{"percentile", "100 (1 - (mid-rank - 1) / N) under the test accuracy: 100 is the best, 50 the middle", under(table.Test, percentile)},
	{"valid_rank", "the rank under the validation accuracy", under(table.Valid, ranked)},
	{"valid_ties", "how many architectures have exactly this validation accuracy", under(table.Valid, tied)},
	{"valid_percentile", "the percentile under the validation accuracy", under(table.Valid, percentile)},
	{"params", "number of trainable parameters", func(a *answerValue) (lib.Value, error) { return lib.MakeInt64(a.first().Params), nil }},
	{"flops", "multiply-adds of one forward pass", func(a *answerValue) (lib.Value, error) { return lib.MakeInt64(a.arch.found.FLOPs()), nil }},
	{"epochs", "epochs of training", func(a *answerValue) (lib.Value, error) { return lib.MakeInt(a.first().Metric.Epochs), nil }},
	{"repeat", "which repeat of the training, 0 is the first; \"mean\" of all", func(a *answerValue) (lib.Value, error) {
		if repeat := a.first().Metric.Repeat; repeat != table.RepeatMean {
			return lib.MakeInt(repeat), nil
		}
		return lib.String("mean"), nil
	}},
	{"halfway", "True for the values in the middle of the training", func(a *answerValue) (lib.Value, error) { return lib.Bool(a.first().Metric.Halfway), nil }},
	{"architecture", "the architecture that was asked for", func(a *answerValue) (lib.Value, error) { return a.arch, nil }},
}

// first is the answer under the table's first metric; what does not depend on the metric is
// in every one.
func (a *answerValue) first() table.Answer { return a.look.Answers[0] }

func (a *answerValue) String() string {
	var parts []string
	for _, answer := range a.look.Answers {
		m := answer.Metric
		parts = append(parts, fmt.Sprintf("%s %s (%s), rank %s of %s in %s (%s), percentile %s", metricName(m), valueText(answer), trainingText(m),
			count(answer.Rank), count(answer.N), spaceText(a.table.Space()), tiesText(answer.Ties), percentileText(answer.Percentile, 2)))
	}
	s := fmt.Sprintf("%s, %s parameters", strings.Join(parts, "; "), count(a.first().Params))
	if a.arch.found.Origin.Oracle {
		s += oracleTag
	}
	return s
}

// metricName is "test accuracy", or the name alone of a column that has none.
func metricName(m table.Metric) string {
	if m.Free {
		return m.Name
	}
	return m.Name + " accuracy"
}

func valueText(a table.Answer) string {
	if a.Metric.Free {
		return fmt.Sprintf("%.6g", a.Value)
	}
	return fmt.Sprintf("%.4f", a.Value)
}

// trainingText is "108 epochs, halfway, first repeat".
func trainingText(m table.Metric) string {
	text := strings.TrimPrefix(m.String(), m.Name+" ")
	_, text, _ = strings.Cut(text, ", ") // "accuracy, " or "value, "
	return text
}

// spaceText names the space of a table's ranks.
func spaceText(s space.Space) string {
	if n, ok := s.(*space.NASBench); ok {
		return fmt.Sprintf("the %d-vertex space", n.MaxVertices())
	}
	return s.String()
}

func tiesText(n int) string {
	if n == 1 {
		return "no tie"
	}
	return fmt.Sprintf("%s cells tie", count(n))
}

func (a *answerValue) Type() string                        { return "answer" }
func (a *answerValue) Attr(name string) (lib.Value, error) { return answerAttrs.get(a, name) }
func (a *answerValue) AttrNames() []string {
	return slices.DeleteFunc(answerAttrs.names(), func(name string) bool {
		_, err := a.Attr(name)
		return err != nil
	})
}
func (a *answerValue) AttrDoc(name string) string { return answerAttrs.doc(name) }
func (a *answerValue) Doc() string {
	return "What a table says of one architecture.\n\n" + answerAttrs.list()
}

func (a *answerValue) Bundle() (*kernel.Bundle, error) {
	return answersTable([]*answerValue{a}).bundle(), nil
}

// answersTable shows answers of one table: accuracy, rank, ties and percentile under each
// metric but the training accuracy.
func answersTable(answers []*answerValue) *tableView {
	var shown []table.Answer // of the first
	if len(answers) > 0 {
		shown = slices.DeleteFunc(slices.Clone(answers[0].look.Answers), func(a table.Answer) bool { return a.Metric.Name == table.Train })
	}
	columns := []column{{"policy", left}, {"seed", right}, {"hash", left}}
	for _, a := range shown {
		prefix := ""
		if len(shown) > 1 {
			prefix = a.Metric.Name + " "
		}
		columns = append(columns, column{metricName(a.Metric), right}, column{prefix + "rank", right}, column{prefix + "ties", right}, column{prefix + "percentile", right})
	}
	t := newTable("", append(columns, column{"repeat", right}, column{"training s", right}, column{"parameters", right})...)
	drawn := slices.ContainsFunc(answers, func(a *answerValue) bool { return a.first().Metric.Repeat != shown[0].Metric.Repeat })
	for _, a := range answers {
		t.oracle = t.oracle || a.arch.found.Origin.Oracle
		t.add(a.row(shown, drawn)...)
	}
	t.dropEmptyColumns("repeat", "training s")
	if len(answers) > 0 {
		t.note("%s; rank (1 + number strictly better) and percentile among the %s %s.", answersNote(answers[0], shown, drawn), count(shown[0].N), cellsOf(answers[0].table.Space()))
	}
	return t
}

// row is an answer's line.
func (a *answerValue) row(shown []table.Answer, drawn bool) []string {
	seed := ""
	if a.arch.found.Origin.Policy != "" {
		seed = fmt.Sprint(a.arch.found.Seed)
	}
	texts := []string{a.arch.policyText(), seed, shortHash(a.arch.found.Hash())}
	for _, s := range shown {
		answer, _ := a.look.Of(s.Metric.Name)
		texts = append(texts, valueText(answer), count(answer.Rank), count(answer.Ties), percentileText(answer.Percentile, 2))
	}
	repeat, seconds := "", ""
	if drawn {
		repeat = fmt.Sprint(a.first().Metric.Repeat)
	}
	if a.look.Cost.Timed {
		seconds = fmt.Sprintf("%.0f", a.look.Cost.Seconds)
	}
	return append(texts, repeat, seconds, count(a.first().Params))
}

// answersNote says what the accuracies are.
func answersNote(a *answerValue, shown []table.Answer, drawn bool) string {
	var names []string
	for _, s := range shown {
		names = append(names, metricName(s.Metric))
	}
	name := a.table.Name()
	if name == table.NASBench101Name {
		name = "NASBench-101"
	}
	m := shown[0].Metric
	text := name + " " + strings.Join(names, " and ")
	if m.Epochs > 0 {
		text += fmt.Sprintf(" after %d epochs", m.Epochs)
	}
	if m.Halfway {
		text += ", halfway"
	}
	if drawn {
		return text + ", of one repeat drawn for each"
	}
	return text + ", " + table.RepeatText(m.Repeat)
}

// cellsOf names the architectures that ranks are among.
func cellsOf(s space.Space) string {
	if _, ok := s.(*space.NASBench); ok {
		return "cells of " + spaceText(s)
	}
	return "architectures of " + s.String()
}

// answerList shows several answers as one table.
type answerList struct {
	*lib.List
	answers []*answerValue
}

func (l *answerList) Bundle() (*kernel.Bundle, error) { return answersTable(l.answers).bundle(), nil }
func (l *answerList) Type() string                    { return "list of answers" }

func (l *answerList) CompareSameType(op syntax.Token, y lib.Value, depth int) (bool, error) {
	return l.List.CompareSameType(op, y.(*answerList).List, depth)
}
