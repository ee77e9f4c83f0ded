package commands

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	ipynb "evalnas/kernel/notebook"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/objective"
)

// resultsValue is a set of groups read from a file.
type resultsValue struct {
	immutable
	unhashable
	path   string
	groups []nasapi.Group
	stored *nasapi.StoredComparison // of a notebook, else nil
	cell   int                      // of it
}

func (r *resultsValue) String() string {
	if r.stored != nil {
		return fmt.Sprintf("results(%q, cell=%d)", r.path, r.cell)
	}
	return fmt.Sprintf("results(%q)", r.path)
}

func (r *resultsValue) Type() string { return "results" }

func (r *resultsValue) Bundle() (*kernel.Bundle, error) {
	t := newTable(r.String(), column{"policy", left}, column{"runs", right}, column{"guided by", prose}, column{"verdict there", prose})
	for i, g := range r.groups {
		guided, verdict, name := "", "", g.Name
		if r.stored != nil {
			guided, verdict = guidedText(nasapi.GroupRow{Guide: g.Guide(), Budget: g.Budget, Kind: g.Kind}), r.stored.Groups[i].Verdict
		}
		if g.Oracle {
			name += oracleTag
		}
		t.add(name, fmt.Sprint(len(g.Runs)), guided, verdict)
		if g.Reduced != "" {
			t.note("%s: %s", g.Name, g.Reduced)
		}
	}
	if r.stored != nil {
		t.oracle = r.stored.Oracle
		t.note("Judged there in %s by %s. Numerics version %d; this program has %d.", r.stored.Space, r.stored.Metric, r.stored.Numerics, nasapi.Numerics)
	}
	t.dropEmptyColumns("guided by", "verdict there")
	return t.bundle(), nil
}

func (e *Env) resultsCommand() *starlark.Command {
	return &starlark.Command{
		Name: "results",
		Params: []starlark.Param{
			{Name: "path", Type: "str", Doc: "an executed notebook (.ipynb), or a CSV file"},
			{Name: "cell", KeywordOnly: true, Default: lib.None, Type: "int", Doc: "of a notebook with several comparisons the number of the cell, as in `In [12]`"},
		},
		Doc: `Read runs that were made elsewhere, to compare them with those made here.

Of an executed notebook it takes what compare(...) kept there: every group with its seeds and
architectures, budget, oracle and REDUCED marks, space and metric. Architectures are looked up
again and values must agree; nothing is run. Where both have a group of one name, the notebook's
is called "spos (other.ipynb)". compare(results("a.ipynb"), results("b.ipynb")) judges as they did.

A CSV file has a header and a line for each policy and seed, with the columns policy, seed, and
one of architecture (JSON with matrix and ops), hash (NASBench-101) and value (in the metric's
unit: a fraction for an accuracy). Columns space, objective, budget, oracle and measure ("unique"
makes the group random draws) say more. What result.save("x.csv") wrote is read again.

    compare(found, results("other.ipynb"), by=truth.metric("test"))
    compare(found, results("mine.csv"), by=truth.metric("test"))`,
		Run: e.runResults,
	}
}

func (e *Env) runResults(c *starlark.Call) (lib.Value, error) {
	path, err := c.String("path")
	if err != nil {
		return nil, err
	}
	r := &resultsValue{unhashable: unhashable{"results"}, path: path}
	ofNotebook := strings.EqualFold(filepath.Ext(path), ".ipynb")
	switch {
	case ofNotebook:
		want := 0
		if !c.IsNone("cell") {
			if want, err = c.Int("cell"); err != nil {
				return nil, err
			}
		}
		if r.stored, r.cell, err = readComparison(e.path(path), want); err == nil {
			r.groups = r.stored.ForCompare(path)
		}
	case !c.IsNone("cell"):
		return nil, c.Errorf("cell is for notebooks (.ipynb); %s is read as a CSV file", path)
	default:
		r.groups, err = nasapi.ReadResults(e.path(path))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, starlark.Named("FileNotFoundError", err)
	case err != nil:
		return nil, starlark.Named("ValueError", err)
	}
	return r, nil
}

// readComparison reads a comparison of an executed notebook: that of a cell, or the only one
// if cell is 0. One that is shown twice is one.
func readComparison(path string, cell int) (*nasapi.StoredComparison, int, error) {
	nb, err := ipynb.Read(path)
	if err != nil {
		return nil, 0, fmt.Errorf("results: %w", err)
	}
	all, err := nb.Data(nasapi.ComparisonMIME)
	if err != nil {
		return nil, 0, fmt.Errorf("results: %s: %w", path, err)
	}
	var found []ipynb.Data
	for _, d := range all {
		if (cell == 0 || d.Cell == cell) && !holds(found, d) {
			found = append(found, d)
		}
	}
	if len(found) == 1 {
		stored, err := nasapi.ReadComparison(found[0].JSON)
		if err != nil {
			return nil, 0, fmt.Errorf("results: %s, cell %d: %w", path, found[0].Cell, err)
		}
		return stored, found[0].Cell, nil
	}
	switch {
	case len(all) == 0 && !nb.HasOutputs():
		return nil, 0, fmt.Errorf("results: %s has no outputs: it was not executed, or they were cleared; run it (evalnas notebook run)", path)
	case len(all) == 0:
		return nil, 0, fmt.Errorf("results: %s has no result of compare(...) among its outputs", path)
	case len(found) == 0:
		return nil, 0, fmt.Errorf("results: cell %d of %s shows no comparison: those are%s", cell, path, listed(all))
	case cell == 0:
		return nil, 0, fmt.Errorf("results: %s has several comparisons; say which, such as cell=%d:%s", path, found[len(found)-1].Cell, listed(found))
	}
	return nil, 0, fmt.Errorf("results: cell %d of %s shows %d comparisons: put them into cells of their own:%s", cell, path, len(found), listed(found))
}

func holds(list []ipynb.Data, d ipynb.Data) bool {
	for _, other := range list {
		if bytes.Equal(other.JSON, d.JSON) {
			return true
		}
	}
	return false
}

// listed says what the comparisons are, on one line as an error is.
func listed(all []ipynb.Data) string {
	var b strings.Builder
	for i, d := range all {
		if i > 0 {
			b.WriteString(";")
		}
		fmt.Fprintf(&b, " cell %d has ", d.Cell)
		c, err := nasapi.ReadComparison(d.JSON)
		if err != nil {
			fmt.Fprintf(&b, "%v", err)
			continue
		}
		var names []string
		for _, g := range c.Groups {
			names = append(names, g.Name)
		}
		fmt.Fprintf(&b, "%s, by %s", strings.Join(names, ", "), c.Metric)
		if c.Oracle {
			b.WriteString(oracleTag)
		}
	}
	return b.String()
}

// judgeOfNotebooks is the final evaluation that the notebooks among the arguments share.
func judgeOfNotebooks(c *starlark.Call, args lib.Tuple) (*objective.Objective, error) {
	var by *objective.Spec
	for _, v := range args {
		r, ok := v.(*resultsValue)
		if !ok || r.stored == nil {
			continue
		}
		if by != nil && *by != r.stored.By {
			return nil, c.Errorf("by is missing: the notebooks judged by %s and by %s", by.Describe(), r.stored.Metric)
		}
		by = &r.stored.By
	}
	if by == nil {
		return nil, c.Errorf("by is missing")
	}
	if by.Kind == objective.Trained {
		return objective.OfTrained(by.Metric, by.Protocol)
	}
	o, err := objective.New(*by)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return o, nil
}
