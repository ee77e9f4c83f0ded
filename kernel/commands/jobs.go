package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

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

// Type is another than that of a plain list, which Starlark would compare it with as if it were one.
func (t jobTable) Type() string { return "list of jobs" }

func (t jobTable) CompareSameType(op syntax.Token, y lib.Value, depth int) (bool, error) {
	return t.List.CompareSameType(op, y.(jobTable).List, depth)
}

func (e *Env) jobCommands() []*starlark.Command {
	return []*starlark.Command{
		{
			Name: "jobs",
			Params: []starlark.Param{
				{Name: "study", Default: lib.None, Type: "str", Doc: "folder of a study, None for this notebook's"},
				{Name: "all", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "the jobs of all studies that you have submitted to, on this machine or on one with the same home"},
			},
			Doc: `List the jobs of the study: one a seed, with state, place, progress, incumbent and cost.

Returns a list of dicts (id, study, search, policy, seed, state, held, where, done, total, tries,
retries, device_hours, error).

    jobs()
    jobs(all=True)
    [j["id"] for j in jobs() if j["state"] == "failed"]`,
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
	all, err := c.Bool("all")
	if err != nil {
		return nil, err
	}
	if all {
		if !c.IsNone("study") {
			return nil, c.Errorf("give a study or all=True, not both")
		}
		return e.jobsOfAll()
	}
	dir := ""
	if !c.IsNone("study") {
		if dir, err = c.String("study"); err != nil {
			return nil, err
		}
	}
	st, batches, err := e.openBatches(dir)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	l := newJobList("Study " + e.shortPath(st.Paths.Dir))
	if err := l.add(st, e.shortPath(st.Paths.Dir), batches); err != nil {
		return nil, err
	}
	return l.table(false), nil
}

// jobsOfAll lists this notebook's study and all that the user has submitted to. One that
// cannot be read does not hide the others.
func (e *Env) jobsOfAll() (lib.Value, error) {
	dirs, err := jobs.Studies()
	if err != nil {
		return nil, err
	}
	if own := e.path(e.defaultStudy()); !slices.Contains(dirs, own) && jobs.IsStudy(own) {
		dirs = append(dirs, own)
	}
	title := "1 study"
	if len(dirs) != 1 {
		title = fmt.Sprintf("%d studies", len(dirs))
	}
	l := newJobList(title)
	for _, dir := range dirs {
		st, batches, err := e.openBatches(dir)
		if err != nil {
			l.view.note("Study %s: %v", e.shortPath(dir), err)
			continue
		}
		if err := l.add(st, e.shortPath(dir), batches); err != nil {
			return nil, err
		}
	}
	return l.table(len(dirs) > 1), nil
}

// jobList gathers the rows of jobs().
type jobList struct {
	list     *lib.List
	view     *tableView
	rows     []jobEntry
	statuses []jobs.Status
}

// jobEntry is a job that is listed, with what its batch knows of it.
type jobEntry struct {
	study string
	batch *jobs.BatchHandle
	job   *jobs.Job
	seed  int64
	where string
}

func newJobList(title string) *jobList {
	return &jobList{list: lib.NewList(nil), view: newTable(title,
		column{"study", left}, column{"search", left}, column{"policy", left}, column{"job", left}, column{"seed", right}, column{"state", left}, column{"where", left},
		column{"progress", left}, column{"incumbent", right}, column{"tries", right}, column{"device-hours", right})}
}

// add lists the jobs of a study; name is what it is called in the table.
func (l *jobList) add(st *jobs.Study, name string, batches []*jobs.BatchHandle) error {
	begin := len(l.rows)
	var all []*jobs.Job
	for _, b := range batches {
		if b.Err != nil {
			l.view.note("Search %s cannot be read: %v", b.ID, b.Err)
			continue
		}
		seeds, err := b.Seeds()
		if err != nil {
			l.view.note("Search %s: %v", b.ID, err)
			continue
		}
		for i, j := range b.Jobs() {
			all = append(all, j)
			l.rows = append(l.rows, jobEntry{study: name, batch: b, job: j, seed: seeds[i]})
			l.statuses = append(l.statuses, j.Status())
		}
	}
	where, trouble := st.Where(all, l.statuses[begin:])
	if trouble != "" {
		l.view.note("SLURM cannot be asked: %s", trouble)
	}
	for i, text := range where {
		e := &l.rows[begin+i]
		e.where = text
		if err := l.list.Append(e.dict(st.Paths.Dir, l.statuses[begin+i])); err != nil {
			return err
		}
	}
	return nil
}

func (e jobEntry) dict(study string, st jobs.Status) lib.Value {
	return dict(
		"id", lib.String(e.job.ID), "study", lib.String(study), "search", lib.String(e.batch.ID), "policy", lib.String(e.batch.Title), "seed", lib.MakeInt64(e.seed),
		"state", lib.String(st.State), "held", lib.Bool(st.Held), "where", lib.String(e.where), "done", lib.MakeInt(st.Done), "total", lib.MakeInt(st.Total),
		"tries", lib.MakeInt(st.Tries()), "retries", lib.MakeInt(st.Retries), "device_hours", lib.Float(st.Spent.Hours()), "error", lib.String(st.Error))
}

// table is the list as it is shown; several has it say which study each job is of.
func (l *jobList) table(several bool) jobTable {
	tries := triesTexts(l.statuses)
	var why reasons
	for i, e := range l.rows {
		study := ""
		if several {
			study = e.study
		}
		l.addRow(e, study, tries[i], l.statuses[i])
		why.below(l.view, "job "+shortHash(e.job.ID), l.statuses[i])
	}
	l.view.dropEmptyColumns("study", "where", "incumbent", "tries", "device-hours")
	once := l.once()
	if len(once) > 0 {
		l.view.title += ": " + jobs.StatesText(once)
	}
	l.view.noteCost(once, !slices.ContainsFunc(once, unfinished))
	return jobTable{l.list, l.view}
}

// once has the status of each job a single time: several searches may have asked for it.
func (l *jobList) once() []jobs.Status {
	seen := map[string]bool{}
	var all []jobs.Status
	for i, e := range l.rows {
		if dir := e.job.Paths.Dir; !seen[dir] {
			seen[dir] = true
			all = append(all, l.statuses[i])
		}
	}
	return all
}

func (l *jobList) addRow(e jobEntry, study, tries string, st jobs.Status) {
	incumbent, hours := "", ""
	if v, ok := st.Values["incumbent"].(float64); ok {
		incumbent = number(v)
	}
	if st.Spent > 0 {
		hours = hoursText(st.Spent)
	}
	share := 0.0
	if st.Total > 0 {
		share = float64(st.Done) / float64(st.Total)
	}
	title := e.batch.Title
	if guidedByTest(e.batch) {
		title += oracleTag
		l.view.oracle = true
	}
	l.view.addCells(tableCell{text: study}, tableCell{text: shortHash(e.batch.ID)}, tableCell{text: title}, tableCell{text: shortHash(e.job.ID)}, tableCell{text: fmt.Sprint(e.seed)},
		stateCell(st.State, st.Held), tableCell{text: e.where}, progressCell(share), tableCell{text: incumbent}, tableCell{text: tries}, tableCell{text: hours})
}

// hoursText is the number of device-hours in a column of them.
func hoursText(d time.Duration) string {
	switch h := d.Hours(); {
	case h >= 10:
		return fmt.Sprintf("%.0f", h)
	case h >= 0.001:
		return fmt.Sprintf("%.3f", h)
	}
	return "< 0.001"
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
	if !jobs.IsStudy(path) {
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
