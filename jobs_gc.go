package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"evalnas/nasapi/jobs"
)

// gcOptions are what `evalnas jobs gc` is asked to remove.
type gcOptions struct {
	*jobsOptions
	asked map[jobs.GarbageKind]*bool
	older days
	yes   bool
	json  bool
}

// garbageWords are what each kind is called, and the flag that asks for it.
var garbageWords = map[jobs.GarbageKind]struct{ name, flag, usage string }{
	jobs.Leftovers:      {"leftovers of what died", "", ""},
	jobs.OldCheckpoints: {"checkpoints of finished jobs", "checkpoints", "remove checkpoints of jobs that have their result"},
	jobs.CancelledJobs:  {"cancelled jobs", "cancelled", "remove cancelled jobs, with the checkpoints that they could go on from"},
	jobs.FailedJobs:     {"failed jobs", "failed", "remove failed jobs, with their logs and checkpoints"},
	jobs.ClosedArrays:   {"ended arrays of SLURM", "arrays", "remove the scripts of ended SLURM arrays and what their tasks printed"},
	jobs.DoneJobs:       {"finished jobs", "done", "remove finished jobs, with their results"},
}

func (o *jobsOptions) gcCommand() *cobra.Command {
	gc := &gcOptions{jobsOptions: o, asked: map[jobs.GarbageKind]*bool{}}
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Show what could be removed from the study, and remove it with --yes",
		Long: `Show what could be removed from the study and how much that would free. With --yes
leftovers are removed, files that a process which died was writing and the like;
of what ended only that which the options ask for. Jobs that run or wait are never
touched. A batch goes with the last of its jobs.`,
		Example: `  evalnas jobs gc                              # shows, removes nothing
  evalnas jobs gc --checkpoints --yes
  evalnas jobs gc --failed --done --older 30d  # what this would remove`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return gc.run(cmd) },
	}
	for _, kind := range jobs.GarbageKinds() {
		if w := garbageWords[kind]; w.flag != "" {
			gc.asked[kind] = cmd.Flags().Bool(w.flag, false, w.usage)
		}
	}
	cmd.Flags().Var(&gc.older, "older", "of these only what ended so long ago: 30d, 12h")
	cmd.Flags().BoolVar(&gc.yes, "yes", false, "remove it")
	cmd.Flags().BoolVar(&gc.json, "json", false, "write one JSON object a line for each thing that could be removed")
	return cmd
}

// days is a duration that may be given in days.
type days time.Duration

func (d *days) Type() string { return "age" }
func (d *days) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *days) Set(text string) error {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(number, 64)
		if err == nil && n >= 0 && n < 1e5 {
			*d = days(n * float64(24*time.Hour))
			return nil
		}
	}
	all, err := time.ParseDuration(text)
	if err != nil || all < 0 {
		return fmt.Errorf("give a number with d, h or m, such as 30d")
	}
	*d = days(all)
	return nil
}

func (gc *gcOptions) run(cmd *cobra.Command) error {
	st, err := gc.open()
	if err != nil {
		return err
	}
	found, lookErr := st.Garbage() // what could be listed is shown all the same
	var kinds []jobs.GarbageKind
	for kind, asked := range gc.asked {
		if *asked {
			kinds = append(kinds, kind)
		}
	}
	chosen := jobs.Choose(found, kinds, time.Duration(gc.older))
	out := cmd.OutOrStdout()
	switch {
	case gc.json:
		if err := writeGarbage(out, found, chosen); err != nil {
			return err
		}
	case !gc.yes:
		text := gc.table(found, chosen) + gc.list(st, chosen)
		if _, err := io.WriteString(out, text+gc.advice(found, chosen)); err != nil {
			return err
		}
	}
	if !gc.yes {
		return firstErrors(lookErr)
	}
	removed, err := st.Sweep(chosen)
	if !gc.json {
		fmt.Fprintf(out, "removed %s%s\n", removedText(removed), keptText(chosen, removed))
	}
	if err == nil {
		err = lookErr
	}
	return firstErrors(err)
}

// removedText is "2 failed jobs, 1 leftovers of what died; 3 MiB freed".
func removedText(removed []jobs.Garbage) string {
	var parts []string
	for _, kind := range jobs.GarbageKinds() {
		if n := len(ofKind(removed, kind)); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, garbageWords[kind].name))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ") + "; " + jobs.SizeText(size(removed)) + " freed"
}

// keptText says how many jobs were passed over, as somebody asked for them meanwhile.
func keptText(chosen, removed []jobs.Garbage) string {
	gone := map[string]bool{}
	for _, g := range removed {
		gone[g.Path] = true
	}
	kept := 0
	for _, g := range chosen {
		if !gone[g.Path] {
			kept++
		}
	}
	if kept == 0 {
		return ""
	}
	return fmt.Sprintf("; %d kept, as they are in use again or cannot be removed", kept)
}

func size(all []jobs.Garbage) (bytes int64) {
	for _, g := range all {
		bytes += g.Bytes
	}
	return bytes
}

// table counts each kind, and says what asks for it.
func (gc *gcOptions) table(found, chosen []jobs.Garbage) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "count\tsize\t  what")
	for _, kind := range jobs.GarbageKinds() {
		of := ofKind(found, kind)
		if len(of) == 0 {
			continue
		}
		words := garbageWords[kind]
		mine := ofKind(chosen, kind)
		what := words.name
		switch {
		case words.flag != "" && !*gc.asked[kind]:
			what += " (--" + words.flag + ")"
		case len(mine) < len(of):
			what += fmt.Sprintf(", %d of them to be removed", len(mine))
		default:
			what += ", to be removed"
		}
		fmt.Fprintf(w, "%d\t%s\t  %s\n", len(of), jobs.SizeText(size(of)), what)
	}
	w.Flush() // into a Builder, which takes all
	if len(found) == 0 {
		return ""
	}
	return b.String()
}

func ofKind(all []jobs.Garbage, kind jobs.GarbageKind) []jobs.Garbage {
	return slices.DeleteFunc(slices.Clone(all), func(g jobs.Garbage) bool { return g.Kind != kind })
}

// mostListed bounds the jobs that are listed by name.
const mostListed = 20

// list names the jobs whose folders would go.
func (gc *gcOptions) list(st *jobs.Study, chosen []jobs.Garbage) string {
	names := map[string]string{}
	if batches, err := st.Batches(); err == nil { // else they go by their kinds
		for _, b := range batches {
			for _, j := range b.Jobs() {
				names[j.ID] = b.Title
			}
		}
	}
	var b strings.Builder
	n := 0
	for _, g := range chosen {
		if g.Job == nil || g.Path != g.Job.Paths.Dir {
			continue
		}
		if n++; n > mostListed {
			continue
		}
		name := names[g.Job.ID]
		if name == "" {
			name = g.Job.Spec.Kind
		}
		fmt.Fprintf(&b, "\n%s  %-9s  %s, seed %d, %s", shorten(g.Job.ID, 8), g.Kind, shorten(name, 40), g.Job.Spec.Seed, jobs.SizeText(g.Bytes))
		if !g.Since.IsZero() {
			b.WriteString(", ended " + g.Since.Local().Format("2006-01-02 15:04"))
		}
	}
	if n > mostListed {
		fmt.Fprintf(&b, "\nand %d more", n-mostListed)
	}
	if n > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

func (gc *gcOptions) advice(found, chosen []jobs.Garbage) string {
	switch {
	case len(found) == 0:
		return "nothing can be removed: no job has ended, and nothing is left of what died\n"
	case len(chosen) == 0 && gc.older > 0:
		return "\nnothing that is asked for ended so long ago\n"
	case len(chosen) == 0:
		return "\nnothing is asked for; the options in brackets ask for it\n"
	}
	return fmt.Sprintf("\nwould free %s; --yes removes it\n", jobs.SizeText(size(chosen)))
}

// writeGarbage is the list for programs.
func writeGarbage(out io.Writer, found, chosen []jobs.Garbage) error {
	picked := map[string]bool{}
	for _, g := range chosen {
		picked[g.Path] = true
	}
	enc := json.NewEncoder(out)
	for _, g := range found {
		row := struct {
			Kind  jobs.GarbageKind `json:"kind"`
			Path  string           `json:"path"`
			Bytes int64            `json:"bytes"`
			Job   string           `json:"job,omitempty"`
			Since time.Time        `json:"since,omitzero"`
			Asked bool             `json:"asked"`
		}{Kind: g.Kind, Path: g.Path, Bytes: g.Bytes, Since: g.Since, Asked: picked[g.Path]}
		if g.Job != nil {
			row.Job = g.Job.ID
		}
		if err := enc.Encode(row); err != nil {
			return err
		}
	}
	return nil
}

// firstErrors keeps a study that cannot be written to from filling the screen.
func firstErrors(err error) error {
	const most = 5
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) <= most {
		return err
	}
	return fmt.Errorf("%s\nand %d more", strings.Join(lines[:most], "\n"), len(lines)-most)
}
