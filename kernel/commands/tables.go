package commands

import (
	"fmt"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
)

// tableValue is a tabular benchmark in a cell.
type tableValue struct {
	immutable
	unhashable
	table table.Table
}

var _ lib.HasAttrs = (*tableValue)(nil)

func (t *tableValue) String() string { return t.table.String() }
func (t *tableValue) Type() string   { return "table" }
func (t *tableValue) Len() int       { return t.table.Space().Len() }

var tableAttrs = attrTable[*tableValue]{
	{"metric", "`.metric(\"test\")` is one column, as an objective of a search or the final evaluation of a comparison", (*tableValue).metricMethod},
	{"space", "the space of its architectures", func(t *tableValue) (lib.Value, error) { return newSpaceValue(t.table.Space()), nil }},
	{"digest", "SHA-256 of the data", func(t *tableValue) (lib.Value, error) { return lib.String(t.table.Digest()), nil }},
}

func (t *tableValue) Attr(name string) (lib.Value, error) { return tableAttrs.get(t, name) }
func (t *tableValue) AttrNames() []string                 { return tableAttrs.names() }
func (t *tableValue) AttrDoc(name string) string          { return tableAttrs.doc(name) }
func (t *tableValue) Doc() string {
	return "NASBench-101: test accuracy of 423,624 cells, 108 epochs, first of three repeats.\n\n" + tableAttrs.list()
}

func (t *tableValue) metricMethod() (lib.Value, error) {
	return method("metric", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var name string
		epochs := 0
		if err := lib.UnpackArgs("metric", args, kwargs, "name", &name, "epochs?", &epochs); err != nil {
			return nil, err
		}
		m, err := t.table.Find(table.Query{Name: name, Epochs: epochs})
		if err != nil {
			return nil, fmt.Errorf("metric: %w", err)
		}
		return &objectiveValue{obj: objective.OfTable(t.table, m)}, nil
	})
}

// answerValue is what the table says of one architecture.
type answerValue struct {
	immutable
	unhashable
	arch *archValue
	ans  table.Answer
}

var _ lib.HasAttrs = (*answerValue)(nil)

var answerAttrs = attrTable[*answerValue]{
	{"test", "test accuracy, a fraction in 0..1, 108 epochs, first repeat", func(a *answerValue) (lib.Value, error) { return lib.Float(a.ans.Value), nil }},
	{"rank", "1 + the number of cells that are strictly better, among all 423,624 of the 7-vertex space", func(a *answerValue) (lib.Value, error) { return lib.MakeInt(a.ans.Rank), nil }},
	{"ties", "how many cells have exactly this accuracy, itself counted", func(a *answerValue) (lib.Value, error) { return lib.MakeInt(a.ans.Ties), nil }},
	{"percentile", "100 (1 - (mid-rank - 1) / N): 100 is the best cell, 50 the middle", func(a *answerValue) (lib.Value, error) { return lib.Float(a.ans.Percentile), nil }},
	{"params", "number of trainable parameters", func(a *answerValue) (lib.Value, error) { return lib.MakeInt64(a.ans.Params), nil }},
	{"flops", "multiply-adds of one forward pass", func(a *answerValue) (lib.Value, error) { return lib.MakeInt64(a.arch.found.FLOPs()), nil }},
	{"epochs", "epochs of training", func(a *answerValue) (lib.Value, error) { return lib.MakeInt(a.ans.Metric.Epochs), nil }},
	{"repeat", "which repeat of the training, 0 is the first", func(a *answerValue) (lib.Value, error) { return lib.MakeInt(a.ans.Metric.Repeat), nil }},
	{"architecture", "the architecture that was asked for", func(a *answerValue) (lib.Value, error) { return a.arch, nil }},
}

func (a *answerValue) String() string {
	s := fmt.Sprintf("test accuracy %.4f (108 epochs, first repeat), rank %s of %s in the 7-vertex space (%s), percentile %s, %s parameters",
		a.ans.Value, count(a.ans.Rank), count(a.ans.N), tiesText(a.ans.Ties), percentileText(a.ans.Percentile, 2), count(a.ans.Params))
	if a.arch.found.Origin.Oracle {
		s += oracleTag
	}
	return s
}

func tiesText(n int) string {
	if n == 1 {
		return "no tie"
	}
	return fmt.Sprintf("%s cells tie", count(n))
}

func (a *answerValue) Type() string                        { return "answer" }
func (a *answerValue) Attr(name string) (lib.Value, error) { return answerAttrs.get(a, name) }
func (a *answerValue) AttrNames() []string                 { return answerAttrs.names() }
func (a *answerValue) AttrDoc(name string) string          { return answerAttrs.doc(name) }
func (a *answerValue) Doc() string {
	return "What NASBench-101 says of one cell.\n\n" + answerAttrs.list()
}

func (a *answerValue) Bundle() (*kernel.Bundle, error) {
	return answersTable([]*answerValue{a}).bundle(), nil
}

func answersTable(answers []*answerValue) *tableView {
	t := newTable("", column{"policy", left}, column{"seed", right}, column{"hash", left}, column{"test accuracy", right},
		column{"rank", right}, column{"ties", right}, column{"percentile", right}, column{"parameters", right})
	for _, a := range answers {
		seed := ""
		if a.arch.found.Origin.Policy != "" {
			seed = fmt.Sprint(a.arch.found.Seed)
		}
		t.oracle = t.oracle || a.arch.found.Origin.Oracle
		t.add(a.arch.policyText(), seed, shortHash(a.arch.found.Hash()), fmt.Sprintf("%.4f", a.ans.Value),
			count(a.ans.Rank), count(a.ans.Ties), percentileText(a.ans.Percentile, 2), count(a.ans.Params))
	}
	if len(answers) > 0 {
		t.note("NASBench-101 test accuracy after 108 epochs, first repeat; rank (1 + number strictly better) and percentile among the %s cells of the 7-vertex space.", count(answers[0].ans.N))
	}
	return t
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

func tableCommands() []*starlark.Command {
	return []*starlark.Command{
		{
			Name: "nasbench101_table",
			Doc: `The NASBench-101 table inside the program: the ground truth of its 423,624 cells.

It holds the test accuracy (a fraction in 0..1) after 108 epochs of the first of three training
repeats. A search that it guides is an *oracle* search: it shows how good an optimiser is, and
nothing about accuracy, and it is watermarked everywhere.

    truth = nasbench101_table()
    truth.metric("test")`,
			Run: func(c *starlark.Call) (lib.Value, error) {
				t, err := table.NASBench101()
				if err != nil {
					return nil, c.Errorf("%w", err)
				}
				return &tableValue{unhashable: unhashable{"table"}, table: t}, nil
			},
		},
		{
			Name:   "query",
			Params: []starlark.Param{{Name: "architecture", Type: "architecture, list of them, or str", Doc: "a cell, a list of cells, or a module hash of 32 hex digits"}},
			Doc: `Ask NASBench-101 for the truth about a cell: accuracy, rank, ties, percentile, parameters.

The answer names its metric: test accuracy, 108 epochs, first repeat. The rank is 1 + the number
of cells strictly better in the 7-vertex space. A list gives a list of answers.

    query(space.sample(1268)).test
    query(found.selected)`,
			Run: runQuery,
		},
	}
}

func runQuery(c *starlark.Call) (lib.Value, error) {
	t, err := table.NASBench101()
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	if s, ok := lib.AsString(c.Value("architecture")); ok {
		sp, err := space.NASBench101(7)
		if err != nil {
			return nil, err
		}
		a, err := sp.ByHash(s)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return answerOf(c, t, newArchValue(nasapi.Found{Arch: a}, sp))
	}
	archs, err := archsOf(c.Value("architecture"))
	if err != nil {
		return nil, named(c, "TypeError", "%w", err)
	}
	if one, ok := c.Value("architecture").(*archValue); ok {
		return answerOf(c, t, one)
	}
	out := &answerList{List: lib.NewList(nil)}
	for _, a := range archs {
		ans, err := answerOf(c, t, a)
		if err != nil {
			return nil, err
		}
		out.answers = append(out.answers, ans)
		if err := out.Append(ans); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func answerOf(c *starlark.Call, t table.Table, a *archValue) (*answerValue, error) {
	m, err := t.Find(table.Query{Name: table.Test})
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	ans, err := t.Answer(m, a.found.Arch)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return &answerValue{unhashable: unhashable{"answer"}, arch: a, ans: ans}, nil
}
