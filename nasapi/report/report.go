// Package report turns a comparison into a report as plain data: sections, tables and cells
// that hold their numbers unrounded. Whoever shows it decides how a number is written; a
// test can compare each with one of its own.
//
//	r, err := report.Make(report.Input{Comparison: c, Rankings: ranked, Made: time.Now()})
//
// A report holds the fifteen outputs of a rigorous evaluation (Outputs), each with its
// numbers or with why they are unknown and what would give them; a manifest; the checklist
// of Lindauer and Hutter (2020), filled in as far as is known; and what to cite. One file is
// one section.
//
// A number that the data leave undefined is never NaN: its cell has a text that says why.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
)

// Schema is the version of a Report's JSON form, whose MIME type is MIME.
const (
	Schema = 1
	MIME   = "application/vnd.evalnas.report.v1+json"
)

// Input is what a report is about.
type Input struct {
	Comparison *nasapi.Comparison // required
	Rankings   []*nasapi.RankingEvaluation
	Trainings  []*nasapi.Training
	// Loaded are the SHA-256 digests of the code files that the cells have loaded, by path.
	Loaded map[string]string
	Made   time.Time
}

// Report is a report as plain data.
type Report struct {
	Schema   int       `json:"schema"`
	Title    string    `json:"title"`
	Version  string    `json:"version"`
	Numerics int       `json:"numerics"`
	Made     time.Time `json:"made"`
	// Accuracy says that values of the metric are shares of 1, to be shown in percent.
	Accuracy bool `json:"accuracy"`
	Oracle   bool `json:"oracle"`
	// Marks belong on top of the report and of each of its figures.
	Marks    []string  `json:"marks,omitempty"`
	Sections []Section `json:"sections"`
	Outputs  []Output  `json:"outputs"`
	Check    []Item    `json:"checklist"`
	Cite     []Entry   `json:"citations"`
}

// Section is a part of a report with a heading.
type Section struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Text   []string `json:"text,omitempty"` // paragraphs
	Tables []Table  `json:"tables,omitempty"`
	// Figures are the names of figures that show it.
	Figures []string `json:"figures,omitempty"`
	// Long sections are for reference: they may be folded away.
	Long bool `json:"long,omitempty"`
}

// Figures that a report may ask for.
const (
	FigureResults  = "results"  // every seed over the distribution of the space
	FigureAnytime  = "anytime"  // the incumbent as the search goes on
	FigureClock    = "clock"    // the same against simulated seconds
	FigureTau      = "tau"      // tau against steps
	FigureChange   = "change"   // ranks at each save point
	FigureDisorder = "disorder" // rank with shared weights against true rank
	FigureSummary  = "summary"  // true accuracies as bars, shared ones as a line
)

// Table is rows of cells.
type Table struct {
	ID      string   `json:"id"`
	Title   string   `json:"title,omitempty"`
	Columns []Column `json:"columns"`
	Rows    [][]Cell `json:"rows"`
	Notes   []string `json:"notes,omitempty"`
}

// Column is a title with how the cells below it stand.
type Column struct {
	Title string `json:"title"`
	Align string `json:"align"` // "left", "right", or "prose" and "wide", whose lines may be broken
}

// Cell is words, or numbers with a form.
type Cell struct {
	Text   string    `json:"text,omitempty"`
	Values []float64 `json:"values,omitempty"`
	Form   Form      `json:"form,omitempty"`
}

// Form says what numbers are.
type Form string

// Forms, with the number of values where it is not one.
const (
	Count      Form = "count"
	Name       Form = "name"       // a seed
	Value      Form = "value"      // of the metric
	Deviation  Form = "spread"     // of the metric: two, mean and standard deviation
	Range      Form = "range"      // of the metric: two, an interval
	Difference Form = "difference" // of the metric, signed: three, with its interval
	Percentile Form = "percentile"
	Points     Form = "points" // of percentiles, signed: one, or three with the interval
	Chance     Form = "chance" // a p-value
	NullChance Form = "null"   // of the exact null, which has a smallest value
	Number     Form = "number"
	Signed     Form = "signed"
	Percent    Form = "percent" // signed
	Seconds    Form = "seconds"
	Hours      Form = "hours"  // of devices
	Counts     Form = "counts" // three: least, median and greatest
	TauSpread  Form = "tau"    // two, mean and standard deviation
	TauRange   Form = "tau range"
)

func text(s string) Cell                        { return Cell{Text: s} }
func numbers(form Form, values ...float64) Cell { return Cell{Values: values, Form: form} }
func count(n int) Cell                          { return numbers(Count, float64(n)) }

// optional is a number that may be missing for a reason.
func optional(form Form, v *float64, why string) Cell {
	if v == nil {
		return text(why)
	}
	return numbers(form, *v)
}

func left(titles ...string) (out []Column)  { return aligned("left", titles) }
func right(titles ...string) (out []Column) { return aligned("right", titles) }
func prose(titles ...string) (out []Column) { return aligned("prose", titles) }
func wide(titles ...string) (out []Column)  { return aligned("wide", titles) }

// seedCell is a seed, whose digits mean nothing.
func seedCell(n int64) Cell { return numbers(Name, float64(n)) }

// grouped writes a whole number with commas.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func aligned(align string, titles []string) (out []Column) {
	for _, t := range titles {
		out = append(out, Column{t, align})
	}
	return out
}

func columns(groups ...[]Column) (out []Column) {
	for _, g := range groups {
		out = append(out, g...)
	}
	return out
}

// JSON is the machine-readable form.
func (r *Report) JSON() ([]byte, error) { return json.MarshalIndent(r, "", "  ") }

// maker is a report while it is made.
type maker struct {
	Input
	c        *nasapi.Comparison
	report   *Report
	outcomes map[string][]jobs.Outcome // by group
}

// Make writes the report of a comparison as it stands: results of jobs that were run again
// since are read anew only where they came from.
func Make(in Input) (*Report, error) {
	c := in.Comparison
	if c == nil {
		return nil, errors.New("report: there is no comparison: give the value of compare(...)")
	}
	m := &maker{Input: in, c: c, outcomes: map[string][]jobs.Outcome{}, report: &Report{
		Schema: Schema, Title: "Search against random sampling on " + c.Space, Version: nasapi.Version, Numerics: nasapi.Numerics, Made: in.Made.UTC().Truncate(time.Second),
		Accuracy: c.By.Accuracy(), Oracle: c.Oracle, Marks: marksOf(in),
	}}
	for _, g := range c.Rows {
		m.outcomes[g.Name] = c.Outcomes(g.Name)
	}
	m.outputs()
	for _, section := range []func() (Section, error){
		m.question, m.percentiles, m.values, m.baselines, m.tests, m.ranks, m.anytime, m.selection,
		m.rankings, m.trainings, m.variance, m.cost, m.conditions, m.status, m.manifest,
	} {
		s, err := section()
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		if s.ID != "" {
			m.report.Sections = append(m.report.Sections, s)
		}
	}
	m.finishOutputs()
	m.checklist()
	m.cite()
	return m.report, nil
}

func marksOf(in Input) []string {
	marks := in.Comparison.Marks()
	add := func(mark string) {
		for _, m := range marks {
			if m == mark {
				return
			}
		}
		marks = append(marks, mark)
	}
	for _, e := range in.Rankings {
		for _, p := range e.Policies {
			if p.Reduced {
				add(nasapi.ReducedMark(p.Objective))
			}
			if p.Synthetic {
				add(nasapi.SyntheticMark)
			}
		}
	}
	for _, t := range in.Trainings {
		if t.Data.Synthetic != nil {
			add(nasapi.SyntheticMark)
		}
		if t.Protocol.Batches > 0 {
			add(nasapi.ReducedMark(fmt.Sprintf("networks were trained with every epoch ended after %d batches", t.Protocol.Batches)))
		}
	}
	return marks
}
