package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"evalnas/nasapi"
	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/net"
	"evalnas/nasapi/space"
	"evalnas/nasapi/train"
)

// trainFlags are those of `evalnas train`.
type trainFlags struct {
	data       string
	epochs     int
	seed       int64
	set        []string
	showTest   bool
	paramsOnly bool
	checkpoint string
	board      string
	weights    string
	out        string
}

func newTrainCommand() *cobra.Command {
	var o trainFlags
	cmd := &cobra.Command{
		Use:   "train ARCH --data SET",
		Short: "Train an architecture from scratch, in this terminal",
		Long: `Train an architecture from scratch, in this terminal.

ARCH is the name of a built-in genotype (DARTS_V2, darts_1268, ...), the text of one
(Genotype(normal=[...], ...)), an architecture's JSON, or a file that holds one of them.
SET is the name of a data set (evalnas data list), or synthetic.

The protocol is that of the architecture's space; --epochs and --set NAME=VALUE replace
its numbers (--set channels=16 --set cells=8). With --checkpoint FILE a run that was
interrupted goes on where it stopped, with the bits of one that was not. The result is
one JSON object on standard output, or in --out FILE; progress goes to standard error.

  evalnas train DARTS_V2 --data cifar10 --epochs 50 --set channels=16 --set cells=8
  evalnas train --params-only DARTS_V2`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilTerminated(cmd.Context())
			defer stop()
			if o.paramsOnly {
				return printParams(cmd.OutOrStdout(), args[0], o)
			}
			return runTrain(ctx, cmd.OutOrStdout(), newProgressLine(cmd.ErrOrStderr()), args[0], o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.data, "data", "", "the images to train on: a name of `evalnas data list`, or synthetic")
	flags.IntVar(&o.epochs, "epochs", 0, "epochs (default: the protocol's)")
	flags.Int64Var(&o.seed, "seed", 0, "draws the weights and the batches")
	flags.StringArrayVar(&o.set, "set", nil, "another number of the protocol, NAME=VALUE; one of "+strings.Join(train.Keywords(), ", "))
	flags.BoolVar(&o.showTest, "show-test", false, "evaluate on the test images after every epoch, not only after the last")
	flags.BoolVar(&o.paramsOnly, "params-only", false, "print the number of parameters, without the auxiliary head, and nothing else")
	flags.StringVar(&o.checkpoint, "checkpoint", "", "file to keep the state in, and to go on from")
	flags.StringVar(&o.board, "tensorboard", "", "folder to write TensorBoard's event file of the curve to, after every epoch")
	flags.StringVar(&o.weights, "weights", "", "file to write the trained weights to, as safetensors with PyTorch's names")
	flags.StringVar(&o.out, "out", "", "file to write the result to")
	return cmd
}

// readArch reads an architecture from a name, a text or a file.
func readArch(text string) (space.Arch, error) {
	if content, err := os.ReadFile(text); err == nil {
		text = string(content)
	} else if !errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(text, "({\n") {
		return nil, err
	}
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") && strings.Contains(text, `"matrix"`) {
		return space.ParseArch("nasbench101", json.RawMessage(text))
	}
	if strings.ContainsAny(text, "({") {
		return space.ParseGenotype(text)
	}
	return space.NamedGenotype(text)
}

// protocol is that of the flags, for the images of a set.
func (o trainFlags) protocol(arch space.Arch, set data.Entry) (train.Config, error) {
	values := map[string]any{}
	for _, pair := range o.set {
		name, text, ok := strings.Cut(pair, "=")
		if !ok {
			return train.Config{}, fmt.Errorf("--set %s: write NAME=VALUE, such as channels=16", pair)
		}
		values[name] = flagValue(text)
	}
	if o.epochs != 0 {
		values["epochs"] = o.epochs
	}
	cfg, err := train.ProtocolFor(arch, set.Set()).Override(values)
	cfg.TestEveryEpoch, cfg.Seed = o.showTest, o.seed
	if err != nil {
		return cfg, err
	}
	return cfg, cfg.Validate()
}

// flagValue is a number, true or false where the text is one.
func flagValue(text string) any {
	if i, err := strconv.Atoi(text); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return f
	}
	if b, err := strconv.ParseBool(text); err == nil {
		return b
	}
	return text
}

func printParams(out io.Writer, text string, o trainFlags) error {
	arch, err := readArch(text)
	if err != nil {
		return err
	}
	// The number needs the shape of CIFAR's images and no images.
	entry := data.Entry{Name: "cifar10", Shape: data.Shape{TrainN: 50000, TestN: 10000, H: 32, W: 32, C: 3, Classes: 10}, Mean: make([]float64, 3), Std: []float64{1, 1, 1}}
	if o.data != "" {
		if entry, err = data.Resolve(o.data); err != nil {
			return err
		}
	}
	cfg, err := o.protocol(arch, entry)
	if err != nil {
		return err
	}
	cost, err := net.Measure(arch, cfg.Network(entry.Shape))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, cost.Params)
	return err
}

func runTrain(ctx context.Context, out io.Writer, line *progressLine, text string, o trainFlags) (err error) {
	if o.data == "" {
		return errors.New("--data is missing: name a data set, such as cifar10 (evalnas data list shows those that are there), or synthetic")
	}
	arch, err := readArch(text)
	if err != nil {
		return err
	}
	entry, err := data.Resolve(o.data)
	if err != nil {
		return err
	}
	cfg, err := o.protocol(arch, entry)
	if err != nil {
		return err
	}
	req := nasapi.TrainingRequest{Archs: []nasapi.Found{{Arch: arch}}, Data: entry.Spec(), Protocol: cfg, Seeds: []int64{o.seed}}
	cost, err := nasapi.EstimateTrainingHere(req, entry.Shape)
	if err != nil {
		return err
	}
	fmt.Fprintf(line.out, "%s on %s: %s\n", arch, entry.Name, cfg)
	fmt.Fprintf(line.out, "about %s on %d threads, %d parameters\n", cost.Each.Round(1e9), cost.Threads, cost.Params)
	job, err := nasapi.ConfigOfTraining(req, 0)
	if err != nil {
		return err
	}
	reports := &terminalReports{line: line, board: o.board, weights: o.weights, began: time.Now()}
	if o.checkpoint != "" {
		reports.files = jobs.CheckpointsAt(o.checkpoint)
	}
	result, err := nasapi.RunTraining(ctx, job, o.seed, reports)
	line.end()
	if err != nil {
		if o.checkpoint != "" && ctx.Err() != nil {
			return fmt.Errorf("%w; the same command goes on from %s", err, o.checkpoint)
		}
		return err
	}
	return writeResult(out, o.out, result)
}

func writeResult(out io.Writer, path string, result *train.Result) (err error) {
	if path != "" {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	return json.NewEncoder(out).Encode(result)
}

// terminalReports shows a training in a terminal and keeps its state in a file.
type terminalReports struct {
	line    *progressLine
	files   *jobs.Checkpoints // nil: the state is not kept
	board   string            // folder for TensorBoard; "": none
	weights string            // file for the trained network; "": none
	began   time.Time
	curve   []train.Point
}

func (t *terminalReports) Progress(done, total int, v map[string]any) {
	t.line.detail = fmt.Sprintf("epoch %v, loss %.4f, accuracy %.2f %%, %.0f images/s", v["epoch"], v["loss"], 100*v["accuracy"].(float64), v["images_per_second"])
	t.line.progress("training", int64(done), int64(total))
}

// Event says what an epoch came to.
func (t *terminalReports) Event(_ string, payload any) error {
	p, ok := payload.(*train.Point)
	if !ok {
		return nil
	}
	t.line.end()
	text := fmt.Sprintf("epoch %d: loss %.4f, accuracy %.2f %%", p.Epoch, p.Loss, 100*p.Accuracy)
	if p.ValidAccuracy != nil {
		text += fmt.Sprintf(", validation %.2f %%", 100**p.ValidAccuracy)
	}
	if p.TestAccuracy != nil {
		text += fmt.Sprintf(", test %.2f %%", 100**p.TestAccuracy)
	}
	if _, err := fmt.Fprintf(t.line.out, "%s, %.0f s\n", text, p.Seconds); err != nil || t.board == "" {
		return err
	}
	t.curve = append(t.curve, *p)
	if err := nasapi.WriteTensorBoard(t.board, t.began, t.curve); err != nil {
		fmt.Fprintln(t.line.out, "TensorBoard:", err)
	}
	return nil
}

func (t *terminalReports) Checkpoint(data []byte) error {
	if t.files == nil {
		return nil
	}
	return t.files.Save(data)
}

func (t *terminalReports) Restore() ([]byte, error) {
	if t.files == nil {
		return nil, nil
	}
	data, damaged, err := t.files.Restore()
	for _, why := range damaged {
		fmt.Fprintln(t.line.out, why)
	}
	if data != nil {
		fmt.Fprintln(t.line.out, "going on from the checkpoint")
	}
	return data, err
}

// Keep writes the trained weights.
func (t *terminalReports) Keep(n *net.Network) (err error) {
	if t.weights == "" {
		return nil
	}
	f, err := os.Create(t.weights)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return n.WriteWeights(f)
}
