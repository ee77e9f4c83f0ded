package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"evalnas/install"
	"evalnas/kernel/commands"
	"evalnas/kernel/notebook"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
)

// Exit statuses of the notebook commands.
const (
	statusDiffers     = 1 // or a cell failed
	statusTrouble     = 2 // the question could not be answered
	statusInterrupted = 130
)

// trouble is an error that keeps a notebook command from its answer.
func trouble(err error) error {
	if err == nil {
		return nil
	}
	return &statusError{statusTrouble, err}
}

func newNotebookCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notebook",
		Short: "Run, verify and compare notebooks without Python",
		Long: `Run, verify and compare notebooks without Python.

  run      execute a notebook and write it with its outputs
  verify   run it again and say which numbers differ from those in its outputs
  diff     compare the results of two executed notebooks

A cell reads another notebook's results with results("other.ipynb").`,
	}
	cmd.AddCommand(newNotebookRunCommand(), newNotebookVerifyCommand(), newNotebookDiffCommand())
	return cmd
}

// executeOptions are the flags that run and verify share.
type executeOptions struct {
	study   string
	timeout string
}

func (o *executeOptions) AddFlags(f *pflag.FlagSet, study string) {
	f.StringVar(&o.study, "study", "", study)
	f.StringVar(&o.timeout, "timeout", "0", "interrupt a cell that runs for longer: seconds, or a `time` such as 90s or 2h; 0 is never")
}

// limit is the time that a cell may take.
func (o *executeOptions) limit() (time.Duration, error) {
	d, err := time.ParseDuration(o.timeout)
	if seconds, plain := strconv.ParseFloat(o.timeout, 64); plain == nil && seconds < 1e9 {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--timeout %s is no time: allowed are seconds and such as 90s, 10m and 2h", o.timeout)
	}
	return d, nil
}

type notebookRunOptions struct {
	executeOptions
	output      string
	parameters  []string
	allowErrors bool
}

func newNotebookRunCommand() *cobra.Command {
	var o notebookRunOptions
	cmd := &cobra.Command{
		Use:   "run X.ipynb",
		Short: "Execute a notebook and write it with its outputs",
		Long: `Execute a notebook and write it with its outputs, as nbformat 4.5.

The cells run in this process with what the kernel has, from the first to the last, in the
notebook's folder and with its study, as in Jupyter. Text of one stream is joined while no
other output comes between; updates of displays change the earlier outputs, as JupyterLab
does. Which cell runs is said on standard error. The file is replaced at once, at the end.

Execution stops at the first error, which is written like all outputs; the cells behind it
have none. --allow-errors goes on, and a cell with the tag raises-exception may fail. Cells
with the tag skip-execution are left as they are. Ctrl-C interrupts the running cell and
writes what there is; jobs go on, as they do when a cell is interrupted in Jupyter.

Parameters are papermill's: a cell tagged injected-parameters is put behind the cell tagged
parameters, at the top where there is none, and in the place of one that is there already.
They differ from papermill's -p in this:
  - name=value is one word (papermill: -p name value)
  - lists, tuples, dicts, texts in quotes and range(...) are taken as such; papermill
    takes all but numbers, True, False and None as text (its -y reads lists)
  - so "3" in quotes is a text, and -r is not needed
  - any other text stands for itself: -p policy=spos; nan, inf, 007 and 1_000, which
    papermill takes as numbers, are texts
  - cells run in the notebook's folder (papermill: where it was started)

Exit status: 0 all cells ran; 1 a cell failed; 2 nothing was run; 130 interrupted.`,
		Example: `  evalnas notebook run search_versus_random.ipynb
  evalnas notebook run x.ipynb -o out/x.ipynb -p budget=100 -p 'seeds=range(3)'
  evalnas notebook run x.ipynb -o x.ipynb --timeout 2h`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilTerminated(cmd.Context())
			defer stop()
			return runNotebook(ctx, args[0], &o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "the `file` to write, X.executed.ipynb if not given; the notebook itself is allowed, and - is standard output")
	f.StringArrayVarP(&o.parameters, "parameter", "p", nil, "set a parameter, `name=value`; may be repeated")
	f.BoolVar(&o.allowErrors, "allow-errors", false, "go on behind cells that fail")
	o.AddFlags(f, "the `folder` of the study of commands that name none ($EVALNAS_STUDY, else .evalnas/ beside the notebook)")
	return cmd
}

// openNotebook reads a notebook that this program can run.
func openNotebook(path string) (*notebook.Notebook, error) {
	nb, err := notebook.Read(path)
	if err != nil {
		return nil, err
	}
	if err := nb.CheckKernel(install.DefaultName, new(starlark.Interpreter).Info().Name); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return nb, nil
}

func runNotebook(ctx context.Context, path string, o *notebookRunOptions, stdout, stderr io.Writer) error {
	nb, err := openNotebook(path)
	if err != nil {
		return trouble(err)
	}
	params, err := readParameters(o.parameters)
	if err != nil {
		return trouble(err)
	}
	for _, name := range nb.UnknownParameters(params) {
		fmt.Fprintf(stderr, "warning: the cell tagged parameters does not set %s\n", name)
	}
	nb.Inject(params)
	out := cmp.Or(o.output, strings.TrimSuffix(path, filepath.Ext(path))+".executed.ipynb")
	if err := checkOutput(out); err != nil {
		return trouble(err)
	}
	began := time.Now()
	report, err := execute(ctx, nb, path, &o.executeOptions, notebook.Options{AllowErrors: o.allowErrors}, stderr)
	if report.Ran == 0 && err != nil {
		return trouble(err)
	}
	if writeErr := writeNotebook(nb, out, stdout); writeErr != nil {
		return trouble(errors.Join(err, writeErr))
	}
	fmt.Fprintf(stderr, "%d of %d cells ran in %s: %s\n", report.Ran, report.Cells, time.Since(began).Round(time.Millisecond), out)
	switch {
	case err != nil:
		return err
	case report.Interrupted:
		return &statusError{statusInterrupted, fmt.Errorf("interrupted in cell %d of %d", report.Ran, report.Cells)}
	case report.Failed != nil:
		return fmt.Errorf("cell %d of %d failed: %w", report.At, report.Cells, report.Failed)
	}
	return nil
}

func writeNotebook(nb *notebook.Notebook, path string, stdout io.Writer) error {
	if path != "-" {
		return nb.Write(path)
	}
	data, err := nb.Encode()
	if err != nil {
		return err
	}
	_, err = stdout.Write(data)
	return err
}

// checkOutput finds out before hours of work that the file cannot be written after them.
func checkOutput(path string) error {
	if path == "-" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("-o %s is a folder: give a file, such as %s", path, filepath.Join(path, "out.ipynb"))
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".*.ipynb")
	if err != nil {
		return fmt.Errorf("-o %s cannot be written: %w", path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func readParameters(given []string) ([]notebook.Parameter, error) {
	var out []notebook.Parameter
	at := map[string]int{}
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("-p %s has no value: give name=value, such as -p budget=100", text)
		}
		if !starlark.IsName(name) {
			return nil, fmt.Errorf("-p %s: %q is no name that a cell can set", text, name)
		}
		source, err := starlark.ParameterSource(value)
		if err != nil {
			return nil, fmt.Errorf("-p %s: %w", name, err)
		}
		p := notebook.Parameter{Name: name, Source: source}
		if i, again := at[name]; again { // the last one counts
			out[i] = p
			continue
		}
		at[name] = len(out)
		out = append(out, p)
	}
	return out, nil
}

// execute runs the cells of the notebook at path in its folder.
func execute(ctx context.Context, nb *notebook.Notebook, path string, e *executeOptions, o notebook.Options, stderr io.Writer) (notebook.Report, error) {
	limit, err := e.limit()
	if err != nil {
		return notebook.Report{}, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return notebook.Report{}, err
	}
	env := commands.NewEnv(dir)
	defer env.Close()
	if e.study != "" {
		if env.Study, err = filepath.Abs(e.study); err != nil {
			return notebook.Report{}, err
		}
	}
	o.Language, o.Timeout = newLanguage(env), limit
	o.Kernelspec, o.DisplayName = install.DefaultName, install.DefaultDisplayName
	o.Started = func(n, m int, c *notebook.Cell) {
		first, _, more := strings.Cut(strings.TrimSpace(c.Source), "\n")
		if more {
			first += " …"
		}
		fmt.Fprintf(stderr, "cell %d of %d: %.100s\n", n, m, first)
	}
	return nb.Execute(ctx, o)
}

type notebookVerifyOptions struct {
	executeOptions
	tolerance float64
	all, json bool
}

// mostDifferences are shown unless all are asked for.
const mostDifferences = 40

func newNotebookVerifyCommand() *cobra.Command {
	o := notebookVerifyOptions{tolerance: 0.01}
	cmd := &cobra.Command{
		Use:   "verify X.ipynb",
		Short: "Run a notebook again and say which numbers differ from its outputs",
		Long: `Run an executed notebook again, as it stands, and say which numbers differ from those in its
outputs. The notebook is not changed. Its jobs run in a new study beside it that is removed
afterwards, so everything is computed anew; --study names one whose results are taken.

Numbers are compared exactly where the outputs say that they are of this version of numerics
and of the same devices, or do not say; else within --tolerance, which the report states.

Comparisons, rankings, searches and trainings are compared by the data that they keep in the
notebook, all other outputs and what was printed by their text, line by line, numbers as
numbers. Of texts are left out: ` + strings.ReplaceAll(notebook.TextRule, "\n", " ") + `. Of data
are left out program version, host, times and error messages. Pictures, HTML and standard
error are not compared.

Cells are numbered as in a run from the top. A cell that failed in the notebook may fail again.

Exit status: 0 nothing differs; 1 something does; 2 the notebook could not be run, or has no
outputs; 130 interrupted.`,
		Example: `  evalnas notebook verify colleague.ipynb
  evalnas notebook verify mine.ipynb --study .evalnas --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilTerminated(cmd.Context())
			defer stop()
			return runNotebookVerify(ctx, args[0], &o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	o.AddFlags(f, "take the results that are in the study in this `folder`, and run there what is missing")
	f.Float64Var(&o.tolerance, "tolerance", o.tolerance, "between devices or versions of numerics, numbers may differ by this `share` of the larger")
	f.BoolVar(&o.all, "all", false, fmt.Sprintf("print all differences, not the first %d", mostDifferences))
	f.BoolVar(&o.json, "json", false, "write the outcome as JSON")
	return cmd
}

func runNotebookVerify(ctx context.Context, path string, o *notebookVerifyOptions, stdout, stderr io.Writer) (err error) {
	if !(o.tolerance >= 0 && o.tolerance < 1) {
		return trouble(fmt.Errorf("--tolerance %v is no share: allowed are 0 to 1, such as 0.01", o.tolerance))
	}
	was, err := openNotebook(path)
	if err != nil {
		return trouble(err)
	}
	if !was.HasOutputs() {
		return trouble(fmt.Errorf("%s has no outputs: there is nothing to verify; it was not executed, or they were cleared", path))
	}
	again, err := notebook.Read(path)
	if err != nil {
		return trouble(err)
	}
	if o.study == "" {
		dir, err := verifyStudy(path)
		if err != nil {
			return trouble(err)
		}
		defer removeStudy(dir, stderr)
		o.study = dir
	}
	report, err := execute(ctx, again, path, &o.executeOptions, notebook.Options{MayFail: was.FailedAt(again)}, stderr)
	switch {
	case err != nil:
		return trouble(err)
	case report.Interrupted:
		return &statusError{statusInterrupted, fmt.Errorf("interrupted in cell %d of %d", report.Ran, report.Cells)}
	case report.Failed != nil:
		return trouble(fmt.Errorf("cell %d of %d failed, which it did not in the notebook: %w", report.At, report.Cells, report.Failed))
	}
	return o.show(notebook.Verify(was, again, o.tolerance), path, stdout)
}

func (o *notebookVerifyOptions) show(v *notebook.Verdict, path string, stdout io.Writer) error {
	if o.json {
		if err := writeIndented(stdout, v); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(stdout, "%s: %d numbers and texts compared %s\n", path, v.Compared, v.Basis)
		rows := make([][]string, len(v.Differences))
		for i, d := range v.Differences {
			rows[i] = []string{strconv.Itoa(d.Cell), d.What, d.Was, d.Is, d.By}
		}
		printRows(stdout, []string{"cell", "what", "was", "is", "difference"}, rows, o.all)
		for _, n := range v.Notes {
			fmt.Fprintln(stdout, n)
		}
		if len(rows) == 0 {
			fmt.Fprintln(stdout, "nothing differs")
		}
	}
	if n := len(v.Differences); n > 0 {
		return &statusError{statusDiffers, fmt.Errorf("%s: %d of %d differ", path, n, v.Compared)}
	}
	return nil
}

// printRows writes a table, the first mostDifferences rows unless all are wanted; none
// where there is no row.
func printRows(out io.Writer, head []string, rows [][]string, all bool) {
	if len(rows) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for i, row := range rows {
		if i == mostDifferences && !all {
			break
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
	if left := len(rows) - mostDifferences; left > 0 && !all {
		fmt.Fprintf(out, "... and %d more (--all)\n", left)
	}
}

// verifyStudy makes the folder of a study beside the notebook, as its own is: the way from there
// to the notebook's folder is part of jobs that start programs, which are the same jobs then.
// Where nothing can be written it is a temporary folder.
func verifyStudy(path string) (string, error) {
	const name = ".evalnas-verify-"
	if dir, err := os.MkdirTemp(filepath.Dir(path), name); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", name)
}

// removeStudy ends the jobs of a study and removes it.
func removeStudy(dir string, stderr io.Writer) {
	// The context of the command may have ended, and this must be done all the same.
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	if jobs.IsStudy(dir) {
		st, err := jobs.OpenStudy(dir)
		if err == nil {
			err = st.WindDown(ctx)
		}
		if err != nil {
			fmt.Fprintln(stderr, "warning: the study of this run stays:", err)
			return
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(stderr, "warning: the study of this run stays:", err)
	}
}

func newNotebookDiffCommand() *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "diff A.ipynb B.ipynb",
		Short: "Compare the results of two executed notebooks, not their text",
		Long: `Compare the results of two executed notebooks: of every comparison each group and seed, which
architectures and values differ, what only one of them has, and which verdicts changed. The
comparisons are paired in the order in which the notebooks show them; what is shown twice counts
once. Of searches, trainings and rankings, paired by name and order, every number is compared.
Nothing is run.

Exit status: 0 the results are the same; 1 they differ; 2 there is nothing to compare.`,
		Example: `  evalnas notebook diff mine.ipynb colleague.ipynb`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runNotebookDiff(args[0], args[1], all, asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, fmt.Sprintf("print all differences, not the first %d", mostDifferences))
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the outcome as JSON")
	return cmd
}

// notebookDiff is the outcome of notebook diff.
type notebookDiff struct {
	*nasapi.ResultDiff
	// Data are the differences of searches, trainings and rankings, of which both have
	// BothData.
	Data     []notebook.Difference `json:"data"`
	BothData int                   `json:"both_data"`
}

func runNotebookDiff(a, b string, all, asJSON bool, stdout io.Writer) error {
	left, leftNotebook, err := storedComparisons(a)
	if err != nil {
		return trouble(err)
	}
	right, rightNotebook, err := storedComparisons(b)
	if err != nil {
		return trouble(err)
	}
	diff := notebookDiff{ResultDiff: nasapi.DiffResults(left, right)}
	diff.Data, diff.BothData = notebook.DiffData(leftNotebook, rightNotebook, nasapi.ComparisonMIME)
	if asJSON {
		if err := writeIndented(stdout, diff); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(stdout, "A: %s, comparisons: %d\nB: %s, comparisons: %d\n", a, len(left), b, len(right))
		var rows [][]string
		for _, d := range diff.Differences {
			rows = append(rows, []string{strconv.Itoa(d.Comparison), d.Group, d.Seed, d.What, d.A, d.B})
		}
		for _, d := range diff.Data {
			rows = append(rows, []string{"", "", "", d.What, d.Was, d.Is})
		}
		printRows(stdout, []string{"comparison", "group", "seed", "what", "A", "B"}, rows, all)
		fmt.Fprintf(stdout, "of comparisons %d runs are in both, %d of them the same; %d searches, trainings and rankings are in both\n", diff.Both, diff.Same, diff.BothData)
	}
	if n := len(diff.Differences) + len(diff.Data); n > 0 {
		return &statusError{statusDiffers, fmt.Errorf("%s and %s differ in %d places", a, b, n)}
	}
	return nil
}

// storedComparisons reads the comparisons of a notebook, each once. There may be none
// where it has other data.
func storedComparisons(path string) ([]*nasapi.StoredComparison, *notebook.Notebook, error) {
	nb, err := notebook.Read(path)
	if err != nil {
		return nil, nil, err
	}
	data, err := nb.Data("")
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	var out []*nasapi.StoredComparison
	seen := map[string]bool{}
	for _, d := range data {
		if d.MIME != nasapi.ComparisonMIME || seen[string(d.JSON)] {
			continue
		}
		seen[string(d.JSON)] = true
		c, err := nasapi.ReadComparison(d.JSON)
		if err != nil {
			return nil, nil, fmt.Errorf("%s, cell %d: %w", path, d.Cell, err)
		}
		out = append(out, c)
	}
	switch {
	case len(data) == 0 && !nb.HasOutputs():
		return nil, nil, fmt.Errorf("%s has no outputs: it was not executed, or they were cleared", path)
	case len(data) == 0:
		return nil, nil, fmt.Errorf("%s has no results among its outputs: neither of compare(...) nor of searches, trainings or rankings", path)
	}
	return out, nb, nil
}
