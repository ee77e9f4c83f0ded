package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
)

func newNASBenchImportCommand() *cobra.Command {
	var o table.ImportOptions
	asJSON := false
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Read the data set's own file once, into a store that opens at once",
		Long: `Read the data set's own file once, into a store that opens at once.

FILE is nasbench_only108.tfrecord, nasbench_full.tfrecord, or a file of their form
that holds three records of every cell of NASBench-101, or of its sub-space of
cells with fewer vertices. Every record is checked: both checksums, its JSON, its
metrics, its hash. The store keeps every value to the bit; it appears whole or
not at all, in the folder of tables ($EVALNAS_TABLES, else evalnas/tables in the
user's cache folder), or where -o says. Cells open it with
nasbench101_table("FILE"), and jobs find it by its digest.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilTerminated(cmd.Context())
			defer stop()
			line := newProgressLine(cmd.ErrOrStderr())
			o.Progress = func(done, total int64) { line.progress("importing", done, total) }
			t, err := table.Import(ctx, args[0], o)
			line.end()
			if err != nil {
				return err
			}
			return describeTable(cmd.OutOrStdout(), t, asJSON)
		},
	}
	cmd.Flags().StringVarP(&o.Out, "output", "o", "", "the file of the store (default: one in the folder of tables)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "describe the table in a JSON object")
	return cmd
}

// tableReport describes an imported table.
type tableReport struct {
	Table   string `json:"table"`
	Space   string `json:"space"`
	Cells   int    `json:"cells"`
	Epochs  []int  `json:"epochs"`
	Repeats int    `json:"repeats"`
	Digest  string `json:"digest"`
	Path    string `json:"path"`
}

func describeTable(out io.Writer, t *table.Imported, asJSON bool) error {
	r := tableReport{t.Name(), t.Space().String(), t.Space().Len(), t.Epochs(), t.Repeats(), t.Digest(), t.Path()}
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprintf(out, "%s: %d cells of %s, epochs %v, %d trainings each\ndigest  %s\nfile    %s\nopen    %s\n",
		r.Table, r.Cells, r.Space, r.Epochs, r.Repeats, r.Digest, r.Path, t)
	return err
}

func newNASBenchVerifyCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "verify STORE",
		Short: "Hold every column of an imported table to its checksum",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := table.OpenStore(args[0])
			if err != nil {
				return err
			}
			if err := t.Verify(); err != nil {
				return err
			}
			return describeTable(cmd.OutOrStdout(), t, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "describe the table in a JSON object")
	return cmd
}

func newNASBenchExportCommand() *cobra.Command {
	name, vertices := "", 0
	cmd := &cobra.Command{
		Use:   "export OUT",
		Short: "Write a table for other programs, as .csv, .jsonl or .parquet",
		Long: `Write a table for other programs, as .csv, .jsonl or .parquet.

A line for each cell in ascending order of hash: hash, params, vertices, edges,
matrix (0s and 1s, row by row), ops (joined by commas), then every metric of every
training and its mean over the repeats, and the seconds of training: test_108_r0,
test_108_mean, valid_36_half_r2, seconds_108_r0 and so on. Numbers are written so
that they come back to the bit; pandas reads each of the three.`,
		Example: `  evalnas nasbench export --table nasbench_only108.tfrecord nasbench.parquet
  evalnas nasbench export --max-vertices 5 small.csv     # of the table inside the program`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilTerminated(cmd.Context())
			defer stop()
			t, err := openTable(ctx, name, newProgressLine(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			s := t.Space()
			if cmd.Flags().Changed("max-vertices") {
				if s, err = space.NASBench101(vertices); err != nil {
					return err
				}
			}
			return table.Export(t, s, args[0])
		},
	}
	cmd.Flags().StringVar(&name, "table", "", tableFlag)
	cmd.Flags().IntVar(&vertices, "max-vertices", 0, "cells with at most this many vertices (default: all)")
	return cmd
}

const tableFlag = "the data set's file, a store of it, or the first 12 digits of its digest (default: the table inside the program)"

// openTable opens the table of a flag, and imports it where that must be.
func openTable(ctx context.Context, name string, line *progressLine) (table.Table, error) {
	if name == "" {
		return table.NASBench101()
	}
	defer line.end()
	t, err := table.OpenFile(ctx, name, table.ImportOptions{Progress: func(done, total int64) { line.progress("importing", done, total) }})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// queryOptions choose a table and a training.
type queryOptions struct {
	table, repeat string
	epochs        int
	halfway       bool
	seed          int64
}

func (o *queryOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.table, "table", "", tableFlag)
	flags.IntVar(&o.epochs, "epochs", 0, "of the training (default: the most that the table has)")
	flags.StringVar(&o.repeat, "repeat", "", `of the training: 0 is the first; "mean" of all; "drawn": one that --seed draws for each line (default: mean, or the only one)`)
	flags.BoolVar(&o.halfway, "halfway", false, "the values in the middle of the training")
	flags.Int64Var(&o.seed, "seed", 0, "draws the repeats")
}

// ofTraining says whether a flag chooses the training.
func (o *queryOptions) ofTraining(cmd *cobra.Command) bool {
	for _, name := range []string{"epochs", "repeat", "halfway", "seed"} {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	return false
}

func (o *queryOptions) query() (q table.Query, err error) {
	q = table.Query{Epochs: o.epochs, Halfway: o.halfway}
	repeat := 0
	switch o.repeat {
	case "":
		return q, nil
	case "mean":
		repeat = table.RepeatMean
	case "drawn":
		repeat = table.RepeatDrawn
	default:
		if repeat, err = strconv.Atoi(o.repeat); err != nil || repeat < 0 {
			return q, fmt.Errorf(`--repeat %q: give 0 for the first, "mean" for the mean of all, or "drawn" for one that chance draws`, o.repeat)
		}
	}
	q.Repeat = &repeat
	return q, nil
}

// lookReport is the answer of a table to a line: what describes the cell, and its values
// under each metric, in the table's terms.
type lookReport struct {
	cellReport
	Test            *float64 `json:"test,omitempty"`
	Rank            int      `json:"rank,omitempty"`
	Ties            int      `json:"ties,omitempty"`
	Percentile      *float64 `json:"percentile,omitempty"`
	Valid           *float64 `json:"valid_accuracy,omitempty"`
	ValidRank       int      `json:"valid_rank,omitempty"`
	ValidTies       int      `json:"valid_ties,omitempty"`
	ValidPercentile *float64 `json:"valid_percentile,omitempty"`
	Train           *float64 `json:"train_accuracy,omitempty"`
	Seconds         *float64 `json:"seconds,omitempty"`
	Epochs          int      `json:"epochs,omitempty"`
	Halfway         bool     `json:"halfway,omitempty"`
	Repeat          any      `json:"repeat,omitempty"`
}

func runTableQuery(cmd *cobra.Command, o queryOptions) error {
	ctx, stop := untilTerminated(cmd.Context())
	defer stop()
	t, err := openTable(ctx, o.table, newProgressLine(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	q, err := o.query()
	if err != nil {
		return err
	}
	probe := q
	probe.Name = table.Test
	if _, err := t.Find(probe); err != nil { // once, not for every line
		return err
	}
	s, ok := t.Space().(*space.NASBench)
	if !ok {
		return fmt.Errorf("the table holds %s, not cells of NASBench-101", t.Space())
	}
	draws := table.Draws(o.seed)
	return eachLine(cmd.InOrStdin(), cmd.OutOrStdout(), func(line []byte) (any, error) {
		var given cellLine
		if err := given.read(line); err != nil {
			return nil, err
		}
		c, report, err := given.find(s)
		if err != nil || !report.Valid {
			return report, err
		}
		look, err := table.LookUp(t, c, q, draws)
		if err != nil {
			return nil, err
		}
		return reportLook(report, look), nil
	})
}

func reportLook(report cellReport, look table.Look) lookReport {
	first := look.Answers[0]
	r := lookReport{cellReport: report, Epochs: first.Metric.Epochs, Halfway: first.Metric.Halfway, Repeat: first.Metric.Repeat}
	r.Params = first.Params
	if first.Metric.Repeat == table.RepeatMean {
		r.Repeat = "mean"
	}
	if look.Cost.Timed {
		r.Seconds = &look.Cost.Seconds
	}
	if a, ok := look.Of(table.Test); ok {
		r.Test, r.Rank, r.Ties, r.Percentile = &a.Value, a.Rank, a.Ties, &a.Percentile
	}
	if a, ok := look.Of(table.Valid); ok {
		r.Valid, r.ValidRank, r.ValidTies, r.ValidPercentile = &a.Value, a.Rank, a.Ties, &a.Percentile
	}
	if a, ok := look.Of(table.Train); ok {
		r.Train = &a.Value
	}
	return r
}
