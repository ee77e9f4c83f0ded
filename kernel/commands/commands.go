// Package commands holds the commands that cells call: nasbench101, search,
// sample_random, compare, query and the others, and the values that they
// return.
//
// It is the seam between the cell language (kernel/starlark) and the Go API
// (nasapi): a command reads its arguments, calls nasapi, and wraps the answer
// in a value that shows itself. One file holds one noun: spaces.go, archs.go,
// choices.go, tables.go, owntables.go, answers.go, accounts.go, searches.go, datasets.go,
// trainings.go, comparisons.go, results.go, correlations.go, reports.go, jobs.go, places.go, figures.go.
// costs.go says what work takes before it is started, steering.go cancels, holds and releases
// it; live.go keeps the tables of running searches up to date; render.go makes HTML and text.
package commands

import (
	"cmp"
	"fmt"
	"path/filepath"
	"sync"

	"evalnas/kernel/starlark"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/nearest"
)

// Env is what the commands of one kernel share.
type Env struct {
	// Dir is the notebook's folder: paths are relative to it, and the study
	// lies there unless the environment names another.
	Dir string
	// Study is the folder of the study, "" for the usual one.
	Study string

	live *liveTables

	mu      sync.Mutex
	studies map[string]*jobs.Study
}

// NewEnv makes the commands' environment. Close ends its background work.
func NewEnv(dir string) *Env {
	return &Env{Dir: cmp.Or(dir, "."), live: newLiveTables(), studies: map[string]*jobs.Study{}}
}

// Close stops the updates of live tables. Jobs go on.
func (e *Env) Close() { e.live.close() }

// Commands lists all commands, in the order in which help shows them.
func (e *Env) Commands() []*starlark.Command {
	var out []*starlark.Command
	for _, group := range [][]*starlark.Command{
		spaceCommands(), choicesCommands(), e.archCommands(), e.tableCommands(), e.ownTableCommands(), objectiveCommands(), sharingCommands(), e.searchCommands(), e.programCommands(), e.trainerCommands(), e.steeringCommands(),
		e.dataCommands(), e.trainingCommands(),
		e.jobCommands(), e.placeCommands(), e.comparisonCommands(), e.rankingCommands(), e.correlationCommands(), e.reportCommands(), figureCommands(),
	} {
		out = append(out, group...)
	}
	return out
}

// study opens a study once; dir "" is the default study of the notebook.
func (e *Env) study(dir string) (*jobs.Study, error) {
	if dir == "" {
		dir = e.defaultStudy()
	}
	dir = e.path(dir)
	e.mu.Lock()
	defer e.mu.Unlock()
	if st := e.studies[dir]; st != nil {
		return st, nil
	}
	st, err := jobs.OpenStudy(dir)
	if err != nil {
		return nil, err
	}
	e.studies[dir] = st
	return st, nil
}

// defaultStudy is the folder of the study of commands that name none.
func (e *Env) defaultStudy() string { return cmp.Or(e.Study, jobs.DefaultStudy(e.Dir)) }

// path makes a path that a cell gave absolute.
func (e *Env) path(p string) string {
	if !filepath.IsAbs(p) {
		p = filepath.Join(e.Dir, p)
	}
	if abs, err := filepath.Abs(p); err == nil {
		return abs
	}
	return p
}

// shortPath names a path relative to the notebook where it lies below it, so
// that what a notebook shows does not depend on the machine.
func (e *Env) shortPath(p string) string {
	if rel, err := filepath.Rel(e.path("."), p); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return p
}

// named is c.Errorf with a name other than ValueError.
func named(c *starlark.Call, name, format string, args ...any) error {
	return c.Errorf("%w", starlark.Named(name, fmt.Errorf(format, args...)))
}

// unknown is the error for a name that does not exist, with the nearest that
// does.
func unknown(what, given string, allowed []string) error {
	near := nearest.Name(given, allowed)
	if near != "" {
		return fmt.Errorf("unknown %s %q: did you mean %q? Allowed are %s", what, given, near, quoted(allowed))
	}
	return fmt.Errorf("unknown %s %q: allowed are %s", what, given, quoted(allowed))
}
