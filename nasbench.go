package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
)

// maxCellLine bounds one line of input: a cell needs a few hundred bytes, and
// a line without an end must not fill the memory.
const maxCellLine = 1 << 17

func newNASBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nasbench",
		Short: "Hash, look up and count cells of NASBench-101, import and export its tables",
		Long: `Hash, look up and count cells of NASBench-101, import and export its tables.

hash and query read one JSON object a line and write one a line, in order. A
line that is no JSON object, or too long, answers with {"error": ..., "line":
N}; the others go on, and the exit status is 0. Blank lines are skipped.`,
	}
	cmd.AddCommand(newNASBenchHashCommand(), newNASBenchQueryCommand(), newNASBenchCountCommand(),
		newNASBenchImportCommand(), newNASBenchExportCommand(), newNASBenchVerifyCommand())
	return cmd
}

func newNASBenchHashCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hash",
		Short: "Prune and hash cells: JSON lines in, JSON lines out",
		Long: `Prune and hash cells: JSON lines in, JSON lines out.

In:  {"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}
Out: {"hash": "043721b9...", "valid": true, "reason": "", "params": ...,
      "matrix": ..., "ops": ...}

"valid" says whether the cell is in the search space and "reason" why not;
"matrix" and "ops" are the pruned cell. "hash" is null for what is no cell at
all. A cell that breaks a rule of construction (not square, not upper
triangular, unknown operation) has the reason in "error" too.`,
		Example: `  echo '{"matrix": [[0,1],[0,0]], "ops": ["input","output"]}' | evalnas nasbench hash`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runNASBenchHash(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

func newNASBenchQueryCommand() *cobra.Command {
	var o queryOptions
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Look cells up in a table: JSON lines in, JSON lines out",
		Long: `Look cells up in a table: JSON lines in, JSON lines out.

In:  a line as for hash, or {"hash": "28cfc787..."}
Out: what hash writes, and for a cell of the space
     {"test": 0.9211..., "rank": ..., "ties": ..., "percentile": ...,
      "epochs": 108, "repeat": 0}

"test" is the accuracy on CIFAR-10's test set, a multiple of 1/9984; "rank" is
1 + the number of cells that are strictly better among all 423,624. By hash
alone the matrix and the parameters are those of the first-enumerated matrix.

With --table, which takes what nasbench101_table(...) takes in a cell, the answer
has "valid_accuracy", "valid_rank", "valid_ties", "valid_percentile",
"train_accuracy" and "seconds" of training too, and "params" are the table's.
--epochs, --repeat and --halfway choose the training; "repeat" is "mean" where the
values are means of all.`,
		Example: `  echo '{"hash": "28cfc7874f6d200472e1a9dcd8650aa0"}' | evalnas nasbench query
  evalnas nasbench query --table nasbench_full.tfrecord --epochs 36 --repeat mean <cells.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.table == "" && !o.ofTraining(cmd) {
				return runNASBenchQuery(cmd.InOrStdin(), cmd.OutOrStdout())
			}
			return runTableQuery(cmd, o)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func newNASBenchCountCommand() *cobra.Command {
	vertices := 7
	cmd := &cobra.Command{
		Use:   "count",
		Short: "Enumerate the space afresh and print the number of unique graphs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runNASBenchCount(vertices, cmd.OutOrStdout())
		},
	}
	cmd.Flags().IntVar(&vertices, "vertices", vertices, "count graphs with at most this many vertices, 2 to 7")
	return cmd
}

func runNASBenchCount(vertices int, out io.Writer) error {
	found, err := space.Enumerate(vertices)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, found.Unique)
	return err
}

// cellReport is a line of output. Ranks and what goes with them are only in
// the answers of query.
type cellReport struct {
	Hash   *string  `json:"hash"`
	Valid  bool     `json:"valid"`
	Reason string   `json:"reason"`
	Params int64    `json:"params,omitempty"`
	Matrix [][]int  `json:"matrix,omitempty"`
	Ops    []string `json:"ops,omitempty"`
	*cellRanks
	Error string `json:"error,omitempty"`
}

type cellRanks struct {
	Test       float64 `json:"test"`
	Rank       int     `json:"rank"`
	Ties       int     `json:"ties"`
	Percentile float64 `json:"percentile"`
	Epochs     int     `json:"epochs"`
	Repeat     int     `json:"repeat"`
}

// lineError is the answer to a line that cannot be read.
type lineError struct {
	Error string `json:"error"`
	Line  int    `json:"line"`
}

func runNASBenchHash(in io.Reader, out io.Writer) error {
	whole, err := space.NASBench101(7)
	if err != nil {
		return err
	}
	return eachLine(in, out, func(line []byte) (any, error) {
		var given cellLine
		if err := given.read(line); err != nil {
			return nil, err
		}
		_, report := given.describe(whole)
		return report, nil
	})
}

func runNASBenchQuery(in io.Reader, out io.Writer) error {
	whole, err := space.NASBench101(7)
	if err != nil {
		return err
	}
	truth, err := table.NASBench101()
	if err != nil {
		return err
	}
	return eachLine(in, out, func(line []byte) (any, error) {
		var given cellLine
		if err := given.read(line); err != nil {
			return nil, err
		}
		return given.query(whole, truth)
	})
}

// cellLine is a line of input, read only as far as its JSON goes.
type cellLine struct {
	Hash   *string         `json:"hash"`
	Matrix json.RawMessage `json:"matrix"`
	Ops    json.RawMessage `json:"ops"`

	text []byte
}

func (l *cellLine) read(text []byte) error {
	l.text = text
	if err := json.Unmarshal(text, l); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field == "hash" {
			return fmt.Errorf(`found %s in "hash": it is a text of 32 hexadecimal digits`, wrong.Value)
		}
		return fmt.Errorf("the line is not a JSON object: %w", err)
	}
	return nil
}

// hasCell says whether the line gives a matrix or operations.
func (l *cellLine) hasCell() bool { return l.Matrix != nil || l.Ops != nil }

// describe answers for the cell of a line. The cell is nil where it breaks a
// rule of construction or nothing is left of it.
func (l *cellLine) describe(whole *space.NASBench) (*space.Cell, cellReport) {
	c, err := space.ParseCell(l.text)
	switch {
	case errors.Is(err, space.ErrNotConnected):
		return nil, cellReport{Reason: err.Error()}
	case err != nil:
		return nil, cellReport{Reason: err.Error(), Error: err.Error()}
	}
	return c, describeCell(c, whole)
}

func describeCell(c *space.Cell, whole *space.NASBench) cellReport {
	hash := c.Hash()
	report := cellReport{Hash: &hash, Valid: true, Params: c.Params(), Matrix: c.Matrix(), Ops: c.Ops()}
	if err := whole.Contains(c); err != nil {
		report.Valid, report.Reason = false, err.Error()
	}
	return report
}

// find is the cell of a line in a space, and what describes it.
func (l *cellLine) find(s *space.NASBench) (*space.Cell, cellReport, error) {
	if !l.hasCell() && l.Hash != nil {
		c, err := s.ByHash(*l.Hash)
		if errors.Is(err, space.ErrOutside) {
			return nil, cellReport{Hash: l.Hash, Reason: err.Error()}, nil
		}
		if err != nil {
			return nil, cellReport{}, err
		}
		return c, describeCell(c, s), nil
	}
	c, report := l.describe(s)
	if report.Valid && l.Hash != nil && *l.Hash != c.Hash() {
		return nil, report, fmt.Errorf("the hash of the line is %.40q, that of its cell %s: leave one of them out", *l.Hash, c.Hash())
	}
	return c, report, nil
}

func (l *cellLine) query(whole *space.NASBench, truth table.Table) (any, error) {
	c, report, err := l.find(whole)
	if err != nil {
		return nil, err
	}
	if !report.Valid {
		return report, nil
	}
	return answerCell(c, report, truth)
}

// answerCell adds what the table says of a cell of the space.
func answerCell(c *space.Cell, report cellReport, truth table.Table) (any, error) {
	metric, err := truth.Find(table.Query{Name: table.Test})
	if err != nil {
		return nil, err
	}
	a, err := truth.Answer(metric, c)
	if err != nil {
		return nil, err
	}
	report.cellRanks = &cellRanks{
		Test: a.Value, Rank: a.Rank, Ties: a.Ties, Percentile: a.Percentile, Epochs: metric.Epochs, Repeat: metric.Repeat,
	}
	return report, nil
}

// eachLine writes the answer to every line of in, at once: a program at the
// other end may wait for it before it writes the next line. An error of
// answer is that line's answer; an error of eachLine is one of reading or
// writing.
func eachLine(in io.Reader, out io.Writer, answer func(line []byte) (any, error)) error {
	r := bufio.NewReaderSize(in, maxCellLine)
	for number := 1; ; number++ {
		line, err := r.ReadSlice('\n')
		var reply any
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			err = skipLine(r)
			reply = lineError{fmt.Sprintf("the line is longer than %d bytes", maxCellLine), number}
		case len(bytes.TrimSpace(line)) > 0:
			var bad error
			if reply, bad = answer(bytes.TrimSpace(line)); bad != nil {
				reply = lineError{bad.Error(), number}
			}
		}
		if reply != nil {
			if err := writeLine(out, reply); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading line %d: %w", number, err)
		}
	}
}

// skipLine reads up to the end of the line.
func skipLine(r *bufio.Reader) error {
	for {
		if _, err := r.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func writeLine(out io.Writer, reply any) error {
	line, err := json.Marshal(reply)
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return err
}
