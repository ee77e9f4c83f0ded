package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"evalnas/kernel/notebook"
	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
)

// resultsSchema is the version of the lines that results prints. It is raised when a
// field changes its meaning; new fields and tables do not raise it.
const resultsSchema = 1

// The tables that the lines belong to.
const (
	sourceTable   = "source"   // the first line: what was read
	resultsTable  = "results"  // a job, or a seed of a group in a notebook
	tracesTable   = "traces"   // an incumbent of a search
	eventsTable   = "events"   // what happened to a job
	rankingsTable = "rankings" // one ranking by shared weights
	problemsTable = "problems" // what could not be read
)

func newResultsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "results STUDY|X.ipynb",
		Short: "Print the results of a study or an executed notebook as JSON lines",
		Long: `Print what a study's jobs, or the outputs of an executed notebook, hold, for programs: one JSON
object a line, whose "table" says what it is.

  source     the first line: what was read, and the "schema" of the lines
  results    a job of the study with its state, architecture and values; of a notebook
             each seed of each group of compare(...), each run of a search or training
  traces     the incumbents of a search's job, in their order
  events     what happened to a job, as its events.jsonl has it
  rankings   one ranking of a pool by shared weights, held against training alone
  problems   what is there and could not be read, and why

Nothing is started, changed or left out: a job that failed has a line with its error. In Python
evalnas.load("STUDY") makes data frames of the lines. What fits no other purpose is better asked
of "evalnas jobs --json" and of "evalnas notebook diff --json".

Exit status: 0, also with problems; 1 if there is no study or notebook, or a newer one.`,
		Example: `  evalnas results .evalnas
  evalnas results search_versus_random.ipynb | jq -c 'select(.table == "results")'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runResults(args[0], cmd.OutOrStdout()) },
	}
}

// sourceLine is the first line.
type sourceLine struct {
	Table    string `json:"table"`
	Schema   int    `json:"schema"`
	Version  string `json:"version"` // of this program
	Kind     string `json:"kind"`    // "study" or "notebook"
	Path     string `json:"path"`
	Numerics int    `json:"numerics"` // of this program
}

// resultLine is a line of results: the fields that a source does not have are left out.
type resultLine struct {
	Table string `json:"table"`
	From  string `json:"source"` // "study", "comparison", "search" or "training"
	Cell  int    `json:"cell,omitempty"`
	Job   string `json:"job,omitempty"`

	Group     string          `json:"group"`
	Kind      string          `json:"kind,omitempty"` // of a job or of a group
	Policy    string          `json:"policy,omitempty"`
	Space     string          `json:"space,omitempty"`
	Objective string          `json:"objective,omitempty"`
	Budget    int             `json:"budget,omitempty"`
	Seconds   float64         `json:"budget_seconds,omitempty"`
	Data      string          `json:"data,omitempty"`
	By        string          `json:"by,omitempty"` // what value is, where it was looked up
	Oracle    *bool           `json:"oracle,omitempty"`
	Reduced   string          `json:"reduced,omitempty"`
	Config    json.RawMessage `json:"config,omitempty"`

	Seed      *int64          `json:"seed"`
	FoundSeed *int64          `json:"found_seed,omitempty"` // of the search that found what was trained
	State     jobs.State      `json:"state"`
	Held      *bool           `json:"held,omitempty"`
	Attempt   int             `json:"attempt,omitempty"`
	Error     string          `json:"error,omitempty"`
	Hash      string          `json:"hash,omitempty"`
	Arch      json.RawMessage `json:"architecture,omitempty"`

	Value       *float64 `json:"value,omitempty"`
	Evaluations int      `json:"evaluations,omitempty"`
	Simulated   float64  `json:"simulated,omitempty"` // seconds on the virtual clock
	Valid       *float64 `json:"valid,omitempty"`
	Test        *float64 `json:"test,omitempty"`
	Rank        int      `json:"rank,omitempty"`
	Ties        int      `json:"ties,omitempty"`
	Percentile  *float64 `json:"percentile,omitempty"`
	Params      int64    `json:"params,omitempty"`
	FLOPs       int64    `json:"flops,omitempty"`

	Numerics int        `json:"numerics,omitempty"`
	Version  string     `json:"version,omitempty"` // of the program that computed it
	Host     string     `json:"host,omitempty"`
	Device   string     `json:"device,omitempty"`
	Started  *time.Time `json:"started,omitempty"`
	Ended    *time.Time `json:"ended,omitempty"`
	Spent    *float64   `json:"spent,omitempty"` // seconds of a device
}

// rankingLine is a line of rankings.
type rankingLine struct {
	Table  string     `json:"table"`
	Cell   int        `json:"cell,omitempty"`
	Search string     `json:"search"` // id of the batch
	Policy string     `json:"policy"`
	Space  string     `json:"space"`
	Pool   string     `json:"pool"`
	Truth  string     `json:"truth"`
	Seed   int64      `json:"seed"`
	State  jobs.State `json:"state"`
	Error  string     `json:"error,omitempty"`
	// The rest is missing where a seed has not ranked yet.
	Epoch         *int     `json:"epoch,omitempty"`
	Steps         *int     `json:"steps,omitempty"`
	Images        *int     `json:"images,omitempty"`
	Architectures *int     `json:"architectures,omitempty"`
	Tau           *float64 `json:"tau,omitempty"`
	P             *float64 `json:"p,omitempty"`
	Spearman      *float64 `json:"spearman,omitempty"`
	SparseTau     *float64 `json:"sparse_tau,omitempty"`
	Top5          *float64 `json:"top5_percentile,omitempty"`
	Best          *float64 `json:"best_shared_accuracy,omitempty"`
}

type problemLine struct {
	Table   string `json:"table"`
	Where   string `json:"where"`
	Problem string `json:"problem"`
}

// resultPrinter writes the lines. Its methods keep the first error of writing.
type resultPrinter struct {
	enc *json.Encoder
	err error
}

func (p *resultPrinter) line(v any) {
	if p.err == nil {
		p.err = p.enc.Encode(v)
	}
}

func (p *resultPrinter) problem(where string, err error) {
	p.line(problemLine{problemsTable, where, err.Error()})
}

func runResults(path string, stdout io.Writer) error {
	kind, err := resultsKind(path)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(stdout)
	p := &resultPrinter{enc: json.NewEncoder(buffered)}
	p.enc.SetEscapeHTML(false)
	source := sourceLine{sourceTable, resultsSchema, version, kind, path, nasapi.Numerics}
	if kind == "notebook" {
		err = p.notebook(source)
	} else {
		err = p.study(source)
	}
	return errors.Join(err, p.err, buffered.Flush())
}

func resultsKind(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("results: there is no %s: give the folder of a study (.evalnas beside the notebook), or an executed notebook", path)
	case err != nil:
		return "", fmt.Errorf("results: %w", err)
	case !info.IsDir() && !strings.EqualFold(filepath.Ext(path), ".ipynb"):
		return "", fmt.Errorf("results: %s is neither a folder nor a notebook (.ipynb)", path)
	case !info.IsDir():
		return "notebook", nil
	case !jobs.IsStudy(path) && jobs.IsStudy(filepath.Join(path, ".evalnas")):
		return "", fmt.Errorf("results: %s is no study, but %s is: give that", path, filepath.Join(path, ".evalnas"))
	case !jobs.IsStudy(path):
		return "", fmt.Errorf("results: %s is no study: it has no study.json; the study of a notebook is .evalnas beside it, or what $EVALNAS_STUDY named", path)
	}
	return "study", nil
}

// notebook prints what the outputs hold; what is shown twice is printed once.
func (p *resultPrinter) notebook(source sourceLine) error {
	nb, err := notebook.Read(source.Path)
	if err != nil {
		return err
	}
	all, err := nb.Data("")
	if err != nil {
		return fmt.Errorf("%s: %w", source.Path, err)
	}
	switch {
	case len(all) == 0 && !nb.HasOutputs():
		return fmt.Errorf("%s has no outputs: it was not executed, or they were cleared; run it (evalnas notebook run)", source.Path)
	case len(all) == 0:
		return fmt.Errorf("%s has no results among its outputs: neither of compare(...) nor of searches, trainings or rankings", source.Path)
	}
	p.line(source)
	seen := map[string]bool{}
	for _, d := range all {
		if key := d.MIME + string(d.JSON); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		if err := p.data(d); err != nil {
			p.problem(fmt.Sprintf("cell %d", d.Cell), err)
		}
	}
	return nil
}

// data prints one output's data, or nothing and an error.
func (p *resultPrinter) data(d notebook.Data) error {
	switch d.MIME {
	case nasapi.ComparisonMIME:
		return p.comparison(d)
	case nasapi.SearchMIME, nasapi.TrainingMIME:
		return p.record(d)
	case nasapi.RankingMIME:
		var e nasapi.RankingEvaluation
		if err := json.Unmarshal(d.JSON, &e); err != nil {
			return fmt.Errorf("the rankings are damaged: %w", err)
		}
		if e.Schema != nasapi.RankingSchema {
			return fmt.Errorf("the rankings are of schema %q, this program reads %q: use a program of their version %q", e.Schema, nasapi.RankingSchema, e.Version)
		}
		p.rankings(d.Cell, &e)
		return nil
	}
	return fmt.Errorf("%s is not known to this version of evalnas: use a newer one", d.MIME)
}

// comparisonForm is what is printed of a comparison beyond nasapi.StoredComparison.
type comparisonForm struct {
	Groups []struct {
		nasapi.GroupRow
		Seeds []struct {
			nasapi.SeedRow
			Arch json.RawMessage `json:"architecture"`
		} `json:"seeds"`
	} `json:"groups"`
}

func (p *resultPrinter) comparison(d notebook.Data) error {
	stored, err := nasapi.ReadComparison(d.JSON) // checks every architecture
	if err != nil {
		return err
	}
	var form comparisonForm
	if err := json.Unmarshal(d.JSON, &form); err != nil {
		return fmt.Errorf("the result is damaged: %w", err)
	}
	for _, g := range form.Groups {
		in := stored.Space
		if g.Space != "" {
			in = g.Space
		}
		for _, s := range g.Seeds {
			p.line(resultLine{
				Table: resultsTable, From: "comparison", Cell: d.Cell,
				Group: g.Name, Kind: string(g.Kind), Policy: g.Policy, Space: in, Objective: g.Objective, Budget: g.Budget, Seconds: g.Seconds,
				By: stored.Metric, Oracle: &g.Oracle, Reduced: g.Reduced,
				Seed: s.Seed, State: s.State, Error: s.Error, Hash: s.Hash, Arch: given(s.Arch), Value: s.Value,
				Rank: s.Rank, Ties: s.Ties, Percentile: s.Percentile, Params: s.Params, FLOPs: s.FLOPs,
				Numerics: stored.Numerics, Version: stored.Version,
			})
		}
	}
	return nil
}

// given leaves out a null.
func given(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

func (p *resultPrinter) record(d notebook.Data) error {
	var form struct {
		nasapi.Record
		Runs []struct {
			nasapi.RecordRun
			Arch json.RawMessage `json:"architecture"`
		} `json:"runs"`
	}
	if err := json.Unmarshal(d.JSON, &form); err != nil {
		return fmt.Errorf("the data are damaged: %w", err)
	}
	if form.Schema != nasapi.RecordSchema {
		return fmt.Errorf("the data are of schema %d, this program reads %d: use a program of their version %q", form.Schema, nasapi.RecordSchema, form.Version)
	}
	from, policy, numerics := "search", form.Name, form.Numerics
	if d.MIME == nasapi.TrainingMIME {
		from, policy, numerics = "training", "", form.Engine
	}
	for _, r := range form.Runs {
		p.line(resultLine{
			Table: resultsTable, From: from, Cell: d.Cell,
			Group: form.Name, Kind: from, Policy: policy, Space: form.Space, Objective: form.Guide, Budget: form.Budget,
			Data: form.Data, Oracle: &form.Oracle, Reduced: form.Reduced,
			Seed: &r.Seed, State: r.State, Error: r.Error, Hash: r.Hash, Arch: given(r.Arch),
			Value: r.Value, Evaluations: r.Evaluations, Valid: r.Valid, Test: r.Test,
			Numerics: numerics, Version: form.Version, Device: strings.Join(form.Devices, ", "),
		})
	}
	return nil
}

// rankings prints one line for each ranking, and one for a seed without any.
func (p *resultPrinter) rankings(cell int, e *nasapi.RankingEvaluation) {
	for _, policy := range e.Policies {
		for _, s := range policy.Seeds {
			line := rankingLine{
				Table: rankingsTable, Cell: cell, Search: policy.Search, Policy: policy.Policy, Space: e.Space, Pool: e.Pool, Truth: e.Truth,
				Seed: s.Seed, State: s.State, Error: s.Error,
			}
			if len(s.Points) == 0 {
				p.line(line)
			}
			for _, at := range s.Points {
				line.Epoch, line.Steps, line.Images = &at.Epoch, &at.Steps, &at.Images
				if r := at.Report; r != nil {
					line.Architectures = &r.Pool
					line.Tau, line.P, line.Spearman, line.SparseTau = r.Tau.Pointer(), r.P.Pointer(), r.Spearman.Pointer(), r.SparseTau.Pointer()
					line.Top5, line.Best = r.TopOf(5).Median.Pointer(), r.ScoreBest.Pointer()
				}
				p.line(line)
			}
		}
	}
}
