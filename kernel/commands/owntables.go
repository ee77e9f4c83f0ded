package commands

import (
	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi/table"
)

// ownTable shows what was read of a file and is the table in the cell.
func (e *Env) ownTable(c *starlark.Call, t *table.Own, err error) (lib.Value, error) {
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return e.newTableValue(t), nil
}

// Bundle shows what a table holds.
func (t *tableValue) Bundle() (*kernel.Bundle, error) {
	own, ok := t.table.(*table.Own)
	if !ok {
		return kernel.TextBundle(t.String()), nil
	}
	view := newTable(own.Title(), column{"what was read", prose})
	for _, line := range own.Summary() {
		view.add(line)
	}
	return view.bundle(), nil
}

// columnParam is a keyword that names a column of the file.
func columnParam(name, doc string) starlark.Param {
	return starlark.Param{Name: name, KeywordOnly: true, Default: lib.None, Type: "str", Doc: doc}
}

func (e *Env) ownTableCommands() []*starlark.Command {
	return []*starlark.Command{
		{
			Name: "table",
			Params: []starlark.Param{
				{Name: "path", Type: "str", Doc: "a file in CSV, JSON lines (one object a line) or Parquet"},
				{Name: "choices", KeywordOnly: true, Type: "list of str", Doc: "the columns that make an architecture"},
				columnParam("valid", "column of the validation metric, which may guide searches; the higher the better"),
				columnParam("test", "column of the test metric, which judges them"),
				columnParam("train", "column of the training metric"),
				columnParam("seconds", "column of the seconds of the training that gave the row"),
				columnParam("epochs", "column of the epochs of that training: every architecture needs the same ones"),
				columnParam("repeat", "column that tells repeats of a training apart, such as its seed"),
				columnParam("params", "column of the trainable parameters"),
				columnParam("flops", "column of the multiply-adds"),
			},
			Doc: `Open your own results as a table: its choice columns are the space, and every policy runs on it.

A row is one training. The space is all combinations of the options that the choice columns have,
or, where not all are there, the rows: then neighbours are rows that differ in one choice. Metrics
whose values all lie in 0..1 are accuracies; others are taken as they are. The file is read once,
and jobs find what was read by its digest. Missing values and the same architecture twice, without
a column that tells the repeats apart, are refused.

    own = table("mine.parquet", choices=["depth", "width", "op"], valid="val", test="test", seconds="t")
    found = search("evolution", own.space, own.metric("valid"), seeds=range(10), budget=200)
    compare(found, sample_random(own.space, seeds=range(10)), by=own.metric("test"))`,
			Run: e.runTable,
		},
		{
			Name: "nasbench201_table",
			Params: []starlark.Param{
				{Name: "path", Type: "str", Doc: "an export in CSV, JSON lines or Parquet, with columns arch, dataset, epochs, seed, train, valid, test, seconds"},
				{Name: "dataset", Default: lib.None, Type: "str", Doc: "which of the file's data sets; may be left out where it has one", Values: table.NASBench201Datasets},
				{Name: "partial", Default: lib.False, KeywordOnly: true, Type: "bool", Doc: "take a file in which cells are missing; the space is then those that are there"},
			},
			Doc: `Open statistics of NAS-Bench-201 or NATS-Bench (topology) that you exported from its own files.

docs/tables.md has a few lines of Python that write the file. Accuracies are percent, as the
benchmark gives them, and fractions in 0..1 here. cifar10 is trained on all training images and
has no validation accuracy: search on cifar10-valid.

    truth = nasbench201_table("nb201.csv", dataset="cifar10-valid")
    found = search("evolution", nasbench201(), truth.metric("valid"), seeds=range(10), budget=500)`,
			Run: e.runNASBench201Table,
		},
	}
}

func (e *Env) runTable(c *starlark.Call) (lib.Value, error) {
	path, err := c.String("path")
	if err != nil {
		return nil, err
	}
	var columns table.OwnColumns
	if columns.Choices, err = c.Strings("choices"); err != nil {
		return nil, err
	}
	for _, k := range []struct {
		name string
		to   *string
	}{
		{"valid", &columns.Valid}, {"test", &columns.Test}, {"train", &columns.Train}, {"seconds", &columns.Seconds},
		{"epochs", &columns.Epochs}, {"repeat", &columns.Repeat}, {"params", &columns.Params}, {"flops", &columns.FLOPs},
	} {
		if c.IsNone(k.name) {
			continue
		}
		if *k.to, err = c.String(k.name); err != nil {
			return nil, err
		}
	}
	t, err := table.OpenOwn(e.path(path), path, columns)
	return e.ownTable(c, t, err)
}

func (e *Env) runNASBench201Table(c *starlark.Call) (lib.Value, error) {
	path, err := c.String("path")
	if err != nil {
		return nil, err
	}
	dataset := ""
	if !c.IsNone("dataset") {
		if dataset, err = c.String("dataset"); err != nil {
			return nil, err
		}
	}
	partial, err := c.Bool("partial")
	if err != nil {
		return nil, err
	}
	t, err := table.OpenNASBench201(e.path(path), path, dataset, partial)
	return e.ownTable(c, t, err)
}
