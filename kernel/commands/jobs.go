package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
)

// jobTable is what jobs() returns: a list of dicts that shows itself as a
// table.
type jobTable struct {
	*lib.List
	view *tableView
}

func (t jobTable) Bundle() (*kernel.Bundle, error) { return t.view.bundle(), nil }

func (e *Env) jobCommands() []*starlark.Command {
	return []*starlark.Command{
		{
			Name:   "jobs",
			Params: []starlark.Param{{Name: "study", Default: lib.None, Type: "str", Doc: "folder of a study, None for this notebook's"}},
			Doc: `List the jobs of the study: one a seed, with state, progress and incumbent.

Returns a list of dicts (id, search, policy, seed, state, done, total, error).

    jobs()`,
			Run: e.runJobs,
		},
		{
			Name: "logs",
			Params: []starlark.Param{
				{Name: "job", Type: "str, search or training", Doc: "id of a job (its beginning is enough), or a search or training for all of its jobs"},
				{Name: "lines", Default: lib.MakeInt(20), Type: "int", Doc: "how many of the last lines"},
			},
			Doc: "Print the last lines that jobs wrote to their standard error.\n\n    logs(found)\n    logs(found.jobs[0], lines=100)",
			Run: e.runLogs,
		},
		{
			Name:   "attach",
			Params: []starlark.Param{{Name: "target", Default: lib.None, Type: "str", Doc: "folder of a study, or the id of a search or job in this notebook's; None for this notebook's study"}},
			Doc: `Find searches again: after the kernel was restarted, the page reloaded, or from another notebook.

A folder gives the list of its searches, the id of a search or job gives that search. Jobs whose
worker died are started again.

    attach()            # all searches of this notebook's study
    attach("9f86d081")  # one of them`,
			Run: e.runAttach,
		},
	}
}

func (e *Env) runJobs(c *starlark.Call) (lib.Value, error) {
	dir := ""
	if !c.IsNone("study") {
		var err error
		if dir, err = c.String("study"); err != nil {
			return nil, err
		}
	}
	st, batches, err := e.openBatches(dir)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	out := jobTable{lib.NewList(nil), newTable("Study "+e.shortPath(st.Paths.Dir),
		column{"search", left}, column{"policy", left}, column{"job", left}, column{"seed", right}, column{"state", left},
		column{"progress", left}, column{"incumbent", right}, column{"error", left})}
	for _, b := range batches {
		if b.Err != nil {
			out.view.note("Search %s cannot be read: %v", b.ID, b.Err)
			continue
		}
		seeds, err := b.Seeds()
		if err != nil {
			out.view.note("Search %s: %v", b.ID, err)
			continue
		}
		for i, j := range b.Jobs() {
			if err := out.add(b, j, seeds[i]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (t jobTable) add(b *jobs.BatchHandle, j *jobs.Job, seed int64) error {
	st := j.Status()
	incumbent := ""
	if v, ok := st.Values["incumbent"].(float64); ok {
		incumbent = number(v)
	}
	share := 0.0
	if st.Total > 0 {
		share = float64(st.Done) / float64(st.Total)
	}
	title := b.Title
	if guidedByTest(b) {
		title += oracleTag
		t.view.oracle = true
	}
	t.view.addCells(tableCell{text: shortHash(b.ID)}, tableCell{text: title}, tableCell{text: shortHash(j.ID)}, tableCell{text: fmt.Sprint(seed)},
		stateCell(st.State), progressCell(share), tableCell{text: incumbent}, tableCell{text: lastLine(st.Error)})
	return t.Append(dict(
		"id", lib.String(j.ID), "search", lib.String(b.ID), "policy", lib.String(b.Title), "seed", lib.MakeInt64(seed),
		"state", lib.String(st.State), "done", lib.MakeInt(st.Done), "total", lib.MakeInt(st.Total), "error", lib.String(st.Error)))
}

// guidedByTest tells whether a batch of jobs is an oracle search. One that
// cannot be read is said so elsewhere.
func guidedByTest(b *jobs.BatchHandle) bool {
	var cfg nasapi.SearchConfig
	return json.Unmarshal(b.Config, &cfg) == nil && cfg.Objective.Oracle()
}

// openStudy opens the default study or an existing folder; a folder that is
// no study is refused instead of being made one.
func (e *Env) openStudy(dir string) (*jobs.Study, error) {
	if dir == "" {
		return e.study("")
	}
	path := e.path(dir)
	if _, err := os.Stat(jobs.StudyPaths{Dir: path}.Version()); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a study: a study is a folder that search(...) made, as a rule .evalnas beside the notebook", path)
	}
	return e.study(dir)
}

// openBatches opens a study as openStudy does and lists what was submitted to
// it.
func (e *Env) openBatches(dir string) (*jobs.Study, []*jobs.BatchHandle, error) {
	st, err := e.openStudy(dir)
	if err != nil {
		return nil, nil, err
	}
	batches, err := st.Batches()
	return st, batches, err
}

func (e *Env) findJob(id string) (*jobs.Job, error) {
	st, err := e.study("")
	if err != nil {
		return nil, err
	}
	return st.Job(id)
}

func (e *Env) runLogs(c *starlark.Call) (lib.Value, error) {
	lines, err := c.Int("lines")
	if err != nil {
		return nil, err
	}
	if lines < 1 {
		return nil, c.Errorf("lines is %d: it must be 1 or more", lines)
	}
	var found []*jobs.Job
	if w, ok := c.Value("job").(work); ok {
		found = w.handle().Jobs()
	} else {
		id, err := c.String("job")
		if err != nil {
			return nil, err
		}
		j, err := e.findJob(id)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		found = []*jobs.Job{j}
	}
	for _, j := range found {
		text := strings.TrimRight(j.Log(lines), "\n")
		if text == "" {
			text = "(wrote nothing)"
		}
		c.Cell.Out.Stream("stdout", fmt.Sprintf("job %s, seed %d:\n%s\n", j.ID, j.Spec.Seed, text))
	}
	return lib.None, nil
}

func (e *Env) runAttach(c *starlark.Call) (lib.Value, error) {
	if c.IsNone("target") {
		return e.attachStudy(c, "")
	}
	target, err := c.String("target")
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(e.path(target)); err == nil && info.IsDir() {
		return e.attachStudy(c, target)
	}
	return e.attachOne(c, target)
}

func (e *Env) attachStudy(c *starlark.Call, dir string) (lib.Value, error) {
	_, batches, err := e.openBatches(dir)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	out := lib.NewList(nil)
	for _, b := range batches {
		w, err := e.attachBatch(b)
		if err != nil {
			// One damaged search must not hide the others.
			c.Cell.Out.Stream("stderr", fmt.Sprintf("attach: %v\n", err))
			continue
		}
		if err := out.Append(w); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (e *Env) attachBatch(b *jobs.BatchHandle) (work, error) {
	if b.Err != nil {
		return nil, fmt.Errorf("search %s: %w", b.ID, b.Err)
	}
	if nasapi.IsTraining(b) {
		t, err := nasapi.AttachTraining(b)
		return &trainingValue{env: e, training: t}, err
	}
	s, err := nasapi.AttachSearch(b)
	return &searchValue{env: e, search: s}, err
}

// attachOne finds a search by the beginning of its id or of one of its jobs'.
func (e *Env) attachOne(c *starlark.Call, id string) (lib.Value, error) {
	_, batches, err := e.openBatches("")
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	var ids []string
	var found []*jobs.BatchHandle
	for _, b := range batches {
		ids = append(ids, b.ID)
		if id != "" && (strings.HasPrefix(b.ID, id) || hasJob(b, id)) {
			found = append(found, b)
		}
	}
	switch len(found) {
	case 0:
		return nil, c.Errorf("%w; a folder of a study can be given too", unknown("search or job", id, ids))
	case 1:
		w, err := e.attachBatch(found[0])
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return w, nil
	}
	return nil, c.Errorf("%q fits %d searches: give more of the id", id, len(found))
}

func hasJob(b *jobs.BatchHandle, id string) bool {
	for _, j := range b.Jobs() {
		if strings.HasPrefix(j.ID, id) {
			return true
		}
	}
	return false
}
