package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"evalnas/nasapi/jobs"
)

// newWorkerCommand is how a runner starts a job; people do so only to look at
// one job that fails.
func newWorkerCommand(handlers map[string]jobs.Handler) *cobra.Command {
	return &cobra.Command{
		Use:    "worker JOB-FOLDER",
		Short:  "Run one job in this process",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilTerminated(cmd.Context())
			defer stop()
			return jobs.Worker{Handlers: handlers, Version: version}.Serve(ctx, args[0])
		},
	}
}

// newRunnerCommand is what a study's commands start in the background.
func newRunnerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "runner STUDY",
		Short:  "Run a study's jobs until none is left",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilTerminated(cmd.Context())
			defer stop()
			return jobs.RunStudy(ctx, args[0], jobs.RunnerOptions{})
		},
	}
}

// untilTerminated ends the context when the process is asked to end.
func untilTerminated(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx == nil {
		ctx = context.Background() // the command was not started with a context
	}
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// newJobsCommand shows and steers jobs from a terminal.
func newJobsCommand() *cobra.Command {
	o := &jobsOptions{}
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List a study's jobs, watch, cancel or retry them, read their logs",
		Long: `List the jobs of a study: where each stands, how fast it is, what it found.

The study is the folder given by --study, else $EVALNAS_STUDY, else .evalnas in
the working directory, which is where the kernel puts it for a notebook there.
Ids may be shortened to the first digits that tell them apart; an id of a batch
(a search) stands for all of its jobs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.list(cmd) },
	}
	cmd.PersistentFlags().StringVar(&o.study, "study", "", "folder of the study (default $EVALNAS_STUDY, else .evalnas)")
	cmd.Flags().BoolVar(&o.json, "json", false, "write one JSON object a line for each job")
	cmd.AddCommand(o.watchCommand(), o.cancelCommand(), o.retryCommand(), o.logsCommand())
	return cmd
}

type jobsOptions struct {
	study string
	json  bool
	lines int
	every time.Duration
	all   bool
}

func (o *jobsOptions) watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show the jobs until all have ended; Ctrl-C leaves, the jobs go on",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.watch(cmd) },
	}
	cmd.Flags().DurationVar(&o.every, "every", time.Second, "how often to look")
	return cmd
}

func (o *jobsOptions) cancelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cancel ID...",
		Short: "Keep pending jobs from starting, ask running ones to stop",
		RunE:  func(cmd *cobra.Command, ids []string) error { return o.cancel(cmd, ids) },
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "cancel every job of the study")
	return cmd
}

func (o *jobsOptions) retryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retry ID...",
		Short: "Run failed, cancelled or lost jobs again",
		RunE:  func(cmd *cobra.Command, ids []string) error { return o.retry(cmd, ids) },
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "retry every job of the study that did not succeed")
	return cmd
}

func (o *jobsOptions) logsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Print the end of what a job's workers printed",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, ids []string) error { return o.logs(cmd, ids[0]) },
	}
	cmd.Flags().IntVarP(&o.lines, "lines", "n", 100, "number of lines")
	return cmd
}

// open opens the study, but makes none: a mistyped folder should not appear.
func (o *jobsOptions) open() (*jobs.Study, error) {
	dir := o.study
	if dir == "" {
		dir = jobs.DefaultStudy("")
	}
	// Opening makes a study where there is none: a folder that is looked at by
	// mistake must stay as it is.
	if _, err := os.Stat(jobs.StudyPaths{Dir: dir}.Version()); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no study at %s: give its folder with --study, or go to the notebook's folder", dir)
	}
	return jobs.OpenStudy(dir)
}

// jobRow is a job as it is listed; its JSON form is what --json prints.
type jobRow struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Kind      string          `json:"kind,omitempty"`
	Seed      int64           `json:"seed"`
	State     jobs.State      `json:"state"`
	Attempt   int             `json:"attempt"`
	Done      int             `json:"done"`
	Total     int             `json:"total"`
	Rate      float64         `json:"rate"`      // steps a second
	Remaining float64         `json:"remaining"` // seconds
	Values    map[string]any  `json:"values,omitempty"`
	Started   *time.Time      `json:"started,omitempty"`
	Ended     *time.Time      `json:"ended,omitempty"`
	Host      string          `json:"host,omitempty"`
	PID       int             `json:"pid,omitempty"`
	Error     string          `json:"error,omitempty"`
	Config    json.RawMessage `json:"config,omitempty"`
}

// jobRows lists the study's jobs: first the batches in their order, then the rest.
func jobRows(st *jobs.Study) ([]jobRow, error) {
	batches, err := st.Batches()
	if err != nil {
		return nil, err
	}
	all, err := st.Jobs()
	if err != nil {
		return nil, err
	}
	var list []jobRow
	listed := map[string]bool{}
	add := func(j *jobs.Job, name string) {
		if !listed[j.ID] {
			listed[j.ID] = true
			list = append(list, newJobRow(j, name))
		}
	}
	for _, b := range batches {
		for _, j := range b.Jobs() {
			add(j, b.Title)
		}
	}
	for _, j := range all {
		add(j, j.Spec.Kind)
	}
	return list, nil
}

func newJobRow(j *jobs.Job, name string) jobRow {
	s := j.Status()
	row := jobRow{
		ID: j.ID, Name: name, Kind: j.Spec.Kind, Seed: j.Spec.Seed,
		State: s.State, Attempt: s.Attempt, Done: s.Done, Total: s.Total,
		Rate: s.Rate, Remaining: s.Remaining.Seconds(), Values: s.Values,
		Host: s.Host, PID: s.PID, Error: s.Error, Config: j.Spec.Config,
	}
	if !s.Started.IsZero() {
		row.Started = &s.Started
	}
	if !s.Ended.IsZero() {
		row.Ended = &s.Ended
	}
	return row
}

func (o *jobsOptions) list(cmd *cobra.Command) error {
	st, err := o.open()
	if err != nil {
		return err
	}
	if err := st.Ensure(); err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", err) // the list is worth having all the same
	}
	list, err := jobRows(st)
	if err != nil {
		return err
	}
	if o.json {
		enc := json.NewEncoder(cmd.OutOrStdout())
		for _, row := range list {
			if err := enc.Encode(row); err != nil {
				return err
			}
		}
		return nil
	}
	_, err = io.WriteString(cmd.OutOrStdout(), jobTable(list)+jobErrors(list)+jobSummary(list, st.Dir()))
	return err
}

// watchRows is how many jobs watch shows at once.
const watchRows = 20

func (o *jobsOptions) watch(cmd *cobra.Command) error {
	st, err := o.open()
	if err != nil {
		return err
	}
	ctx, stop := untilTerminated(cmd.Context())
	defer stop()
	ticker := time.NewTicker(max(o.every, 50*time.Millisecond))
	defer ticker.Stop()
	screen := newScreen(cmd.OutOrStdout())
	for {
		if err := st.Ensure(); err != nil {
			return err
		}
		list, err := jobRows(st)
		if err != nil {
			return err
		}
		if err := screen.show(jobTable(inMotion(list)) + jobErrors(list) + jobSummary(list, st.Dir())); err != nil {
			return err
		}
		if !slices.ContainsFunc(list, func(r jobRow) bool { return !r.State.Final() }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// inMotion picks what is worth watching when there are more jobs than rows:
// running ones, then pending ones, then those that ended last.
func inMotion(list []jobRow) []jobRow {
	if len(list) <= watchRows {
		return list
	}
	rank := map[jobs.State]int{jobs.Running: 0, jobs.Lost: 0, jobs.Pending: 1, jobs.Failed: 2, jobs.Cancelled: 3, jobs.Done: 4}
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b jobRow) int { return cmp.Compare(rank[a.State], rank[b.State]) })
	return sorted[:watchRows]
}

// screen draws over what it drew before on a terminal, and below elsewhere,
// where it leaves out what did not change.
type screen struct {
	out      io.Writer
	terminal bool
	last     string
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

func (s *screen) show(text string) error {
	if text == s.last {
		return nil
	}
	over := ""
	if lines := strings.Count(s.last, "\n"); s.terminal && lines > 0 {
		over = fmt.Sprintf("\x1b[%dA\x1b[J", lines) // up, then clear to the end
	}
	s.last = text
	_, err := io.WriteString(s.out, over+text)
	return err
}

// pick finds the jobs that ids of jobs and batches stand for.
func (o *jobsOptions) pick(st *jobs.Study, ids []string) ([]*jobs.Job, error) {
	if o.all {
		if len(ids) > 0 {
			return nil, errors.New("give ids or --all, not both")
		}
		return st.Jobs()
	}
	if len(ids) == 0 {
		return nil, errors.New("give the ids of jobs or batches, or --all; `evalnas jobs` lists them")
	}
	var picked []*jobs.Job
	for _, id := range ids {
		j, err := st.Job(id)
		if err == nil {
			picked = append(picked, j)
			continue
		}
		b, berr := st.Batch(id)
		if berr != nil {
			return nil, err
		}
		if b.Err != nil {
			return nil, b.Err
		}
		picked = append(picked, b.Jobs()...)
	}
	return picked, nil
}

func (o *jobsOptions) cancel(cmd *cobra.Command, ids []string) error {
	st, err := o.open()
	if err != nil {
		return err
	}
	picked, err := o.pick(st, ids)
	if err != nil {
		return err
	}
	var errs []error
	asked := 0
	for _, j := range picked {
		if j.Status().State.Final() {
			continue
		}
		asked++
		errs = append(errs, j.Cancel())
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s to stop, %d had ended already\n", counted(asked, "job was asked", "jobs were asked"), len(picked)-asked)
	return errors.Join(errs...)
}

func (o *jobsOptions) retry(cmd *cobra.Command, ids []string) error {
	st, err := o.open()
	if err != nil {
		return err
	}
	picked, err := o.pick(st, ids)
	if err != nil {
		return err
	}
	picked = slices.DeleteFunc(picked, func(j *jobs.Job) bool {
		s := j.Status().State
		return j.Err != nil && o.all || s != jobs.Failed && s != jobs.Cancelled && s != jobs.Lost
	})
	if err := st.Retry(picked...); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s again\n", counted(len(picked), "job is tried", "jobs are tried"))
	return err
}

func (o *jobsOptions) logs(cmd *cobra.Command, id string) error {
	st, err := o.open()
	if err != nil {
		return err
	}
	j, err := st.Job(id)
	if err != nil {
		return err
	}
	text := j.Log(o.lines)
	if text == "" {
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "job %s printed nothing\n", j.ID)
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// jobTable draws the rows within 80 columns.
func jobTable(list []jobRow) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	line := func(cells ...any) {
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-8s %-15s %6s  %-9s %-10s %8s %7s %9s", cells...), " ") + "\n")
	}
	line("id", "name", "seed", "state", "progress", "rate", "left", "incumbent")
	for _, r := range list {
		line(shorten(r.ID, 8), shorten(r.Name, 15), shorten(strconv.FormatInt(r.Seed, 10), 6), r.State,
			progressBar(r, 10), rateText(r), leftText(r), valueText(r.Values["incumbent"]))
	}
	return b.String()
}

// shorten cuts text to a width, with an ellipsis where it is no id.
func shorten(text string, width int) string {
	runes := []rune(text)
	switch {
	case len(runes) <= width:
		return text
	case len(text) == 20 && width == 8:
		return text[:width]
	}
	return string(runes[:width-1]) + "…"
}

func progressBar(r jobRow, width int) string {
	if r.Total <= 0 {
		if r.State == jobs.Done {
			return strings.Repeat("█", width)
		}
		return strings.Repeat("·", width)
	}
	full := min(max(r.Done, 0), r.Total) * width / r.Total
	return strings.Repeat("█", full) + strings.Repeat("·", width-full)
}

func rateText(r jobRow) string {
	switch {
	case r.Rate <= 0 || math.IsInf(r.Rate, 0):
		return ""
	case r.Rate >= 1e5:
		return fmt.Sprintf("%.1e/s", r.Rate)
	case r.Rate >= 10:
		return fmt.Sprintf("%.0f/s", r.Rate)
	case r.Rate >= 0.1:
		return fmt.Sprintf("%.1f/s", r.Rate)
	}
	return fmt.Sprintf("%.3g/h", r.Rate*3600)
}

func leftText(r jobRow) string {
	if r.State != jobs.Running || r.Remaining <= 0 {
		return ""
	}
	d := time.Duration(r.Remaining * float64(time.Second)).Round(time.Second)
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%ds", int(d.Seconds()))
}

func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e9 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return fmt.Sprintf("%.5g", v)
	}
	return shorten(fmt.Sprint(v), 9)
}

// jobErrors lists why jobs failed, the first line of each.
func jobErrors(list []jobRow) string {
	var b strings.Builder
	shown := 0
	for _, r := range list {
		if r.Error == "" || r.State != jobs.Failed && r.State != jobs.Lost {
			continue
		}
		if shown++; shown > 5 {
			continue
		}
		first, _, more := strings.Cut(r.Error, "\n")
		if more {
			first += " …"
		}
		fmt.Fprintf(&b, "\n%s %s: %s", shorten(r.ID, 8), r.State, first)
	}
	if shown > 5 {
		fmt.Fprintf(&b, "\nand %d more", shown-5)
	}
	if shown > 0 {
		b.WriteString("\n`evalnas jobs logs ID` prints what a job said\n")
	}
	return b.String()
}

func jobSummary(list []jobRow, dir string) string {
	if len(list) == 0 {
		return fmt.Sprintf("no jobs in %s\n", dir)
	}
	counts := map[jobs.State]int{}
	for _, r := range list {
		counts[r.State]++
	}
	var parts []string
	for _, s := range []jobs.State{jobs.Running, jobs.Pending, jobs.Done, jobs.Failed, jobs.Cancelled, jobs.Lost} {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	return fmt.Sprintf("\n%s: %s\n", counted(len(list), "job", "jobs"), strings.Join(parts, ", "))
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
