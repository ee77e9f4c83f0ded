package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
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
		Short: "List a study's jobs, watch, hold, cancel or retry them, read their logs, tidy up",
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
	cmd.Flags().BoolVar(&o.studies, "all", false, "list the jobs of all studies that you have submitted to")
	cmd.AddCommand(o.watchCommand(), o.cancelCommand(), o.holdCommand(), o.releaseCommand(), o.retryCommand(), o.logsCommand(), o.gcCommand())
	return cmd
}

type jobsOptions struct {
	study   string
	studies bool // all that are known
	json    bool
	lines   int
	every   time.Duration
	all     bool // jobs of the study
}

func (o *jobsOptions) watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show the jobs until all have ended; Ctrl-C leaves, the jobs go on",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.watch(cmd) },
	}
	cmd.Flags().DurationVar(&o.every, "every", time.Second, "how often to look")
	cmd.Flags().BoolVar(&o.studies, "all", false, "watch the jobs of all studies that you have submitted to")
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

func (o *jobsOptions) holdCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold ID...",
		Short: "Keep jobs that wait from being started until they are released",
		RunE:  func(cmd *cobra.Command, ids []string) error { return o.hold(cmd, ids) },
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "hold every job of the study that waits")
	return cmd
}

func (o *jobsOptions) releaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "release ID...",
		Short: "Have jobs started again that are held",
		RunE:  func(cmd *cobra.Command, ids []string) error { return o.release(cmd, ids) },
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "release every job of the study that is held")
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
	// A folder that is looked at by mistake must stay as it is.
	if !jobs.IsStudy(dir) {
		return nil, fmt.Errorf("no study at %s: give its folder with --study, or go to the notebook's folder", dir)
	}
	return jobs.OpenStudy(dir)
}

// openAll opens the study, or all that the user has submitted to with --all.
func (o *jobsOptions) openAll(cmd *cobra.Command) ([]*jobs.Study, error) {
	if !o.studies {
		st, err := o.open()
		return []*jobs.Study{st}, err
	}
	if o.study != "" {
		return nil, errors.New("give --study or --all, not both")
	}
	dirs, err := jobs.Studies()
	if err != nil {
		return nil, err
	}
	here, err := filepath.Abs(jobs.DefaultStudy(""))
	if err == nil && jobs.IsStudy(here) && !slices.Contains(dirs, here) {
		dirs = append(dirs, here)
	}
	var all []*jobs.Study
	for _, dir := range dirs {
		st, err := jobs.OpenStudy(dir)
		if err != nil { // it must not hide the others
			fmt.Fprintln(cmd.ErrOrStderr(), "warning:", err)
			continue
		}
		all = append(all, st)
	}
	if len(all) == 0 {
		return nil, errors.New("no study is known: those are that jobs were submitted to; --study names the folder of another")
	}
	return all, nil
}

func (o *jobsOptions) list(cmd *cobra.Command) error {
	studies, err := o.openAll(cmd)
	if err != nil {
		return err
	}
	for _, st := range studies {
		if err := st.Ensure(); err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "warning:", err) // the list is worth having all the same
		}
	}
	list, err := listJobs(studies)
	if err != nil {
		return err
	}
	if o.json {
		enc := json.NewEncoder(cmd.OutOrStdout())
		for _, row := range list.rows {
			if err := enc.Encode(row); err != nil {
				return err
			}
		}
		return nil
	}
	_, err = io.WriteString(cmd.OutOrStdout(), list.text(newScreen(cmd.OutOrStdout()).width()))
	return err
}

func (o *jobsOptions) watch(cmd *cobra.Command) error {
	studies, err := o.openAll(cmd)
	if err != nil {
		return err
	}
	ctx, stop := untilTerminated(cmd.Context())
	defer stop()
	ticker := time.NewTicker(max(o.every, 50*time.Millisecond))
	defer ticker.Stop()
	screen := newScreen(cmd.OutOrStdout())
	for {
		list, err := o.look(studies)
		if err != nil {
			return err
		}
		if err := screen.draw(list); err != nil {
			return err
		}
		if list.finished() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look lists the jobs and sees to it that those go on that are to run. Of several studies
// one that cannot go on does not keep the others from being watched.
func (o *jobsOptions) look(studies []*jobs.Study) (jobList, error) {
	var trouble []string
	for _, st := range studies {
		if err := st.Ensure(); err != nil {
			if len(studies) == 1 {
				return jobList{}, err
			}
			trouble = append(trouble, err.Error())
		}
	}
	list, err := listJobs(studies)
	list.trouble = append(list.trouble, trouble...)
	return list, err
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
		found, err := st.Find(id)
		if err != nil {
			return nil, err
		}
		picked = append(picked, found...)
	}
	return picked, nil
}

// openAndPick opens the study and finds the jobs.
func (o *jobsOptions) openAndPick(ids []string) (*jobs.Study, []*jobs.Job, error) {
	st, err := o.open()
	if err != nil {
		return nil, nil, err
	}
	picked, err := o.pick(st, ids)
	return st, picked, err
}

func (o *jobsOptions) hold(cmd *cobra.Command, ids []string) error {
	st, picked, err := o.openAndPick(ids)
	if err != nil {
		return err
	}
	err = st.Hold(picked...)
	held := jobs.CountHeld(picked)
	fmt.Fprintf(cmd.OutOrStdout(), "%s, %d run or have ended\n", counted(held, "job is held", "jobs are held"), len(picked)-held)
	return err
}

func (o *jobsOptions) release(cmd *cobra.Command, ids []string) error {
	st, picked, err := o.openAndPick(ids)
	if err != nil {
		return err
	}
	held := jobs.CountHeld(picked)
	err = st.Release(picked...)
	fmt.Fprintf(cmd.OutOrStdout(), "%s, %d were not held\n", counted(held, "job is released", "jobs are released"), len(picked)-held)
	return err
}

func (o *jobsOptions) cancel(cmd *cobra.Command, ids []string) error {
	_, picked, err := o.openAndPick(ids)
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
	st, picked, err := o.openAndPick(ids)
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
