package commands

import (
	"fmt"
	"slices"
	"strings"
	"time"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/space"
	"evalnas/nasapi/train"
	"evalnas/plotting"
)

// trainingValue is a started training: its display is a live table with the curves.
type trainingValue struct {
	immutable
	env      *Env
	training *nasapi.Training
}

var _ lib.HasAttrs = (*trainingValue)(nil)

func (t *trainingValue) Type() string          { return "training" }
func (t *trainingValue) Hash() (uint32, error) { return hashString(t.training.ID()), nil }
func (t *trainingValue) handle() handle        { return t.training }

// CompareSameType makes handles on one training equal.
func (t *trainingValue) CompareSameType(op syntax.Token, y lib.Value, _ int) (bool, error) {
	equal := t.training.ID() == y.(*trainingValue).training.ID()
	switch op {
	case syntax.EQL:
		return equal, nil
	case syntax.NEQ:
		return !equal, nil
	}
	return false, fmt.Errorf("trainings have no order")
}

func (t *trainingValue) String() string {
	return fmt.Sprintf("train(%d architectures, %s: %s)", len(t.training.Trained), t.training.DataText(), t.training.ProtocolText())
}

// protocolText says how the networks were trained, for what they are judged by.
func (t *trainingValue) protocolText() string {
	text := fmt.Sprintf("%s on %s", t.training.ProtocolText(), t.training.DataText())
	if t.training.Data.Synthetic != nil {
		text += " (SYNTHETIC)"
	}
	return text
}

// Show opens a live table in the cell.
func (t *trainingValue) Show(cell *kernel.Cell) error { return t.env.live.show(t, cell) }

var trainingAttrs = attrTable[*trainingValue]{
	{"results", "list of dicts, one a network: hash, policy, seed, train_seed, state, params, valid, test, seconds; what is not known is None", (*trainingValue).results},
	{"table", "results as a table that can be sorted, filtered and saved: `finals.table.sort(\"valid\")`", (*trainingValue).table},
	{"curves", "list of lists of dicts, one an epoch: epoch, rate, loss, accuracy, valid_loss, valid_accuracy", (*trainingValue).curves},
	{"finished", "True when no network is waiting or being trained", func(t *trainingValue) (lib.Value, error) {
		statuses, err := t.training.Statuses()
		return lib.Bool(!slices.ContainsFunc(statuses, unfinished)), err
	}},
	{"config", "the protocol as a dict, or the program that trains and its parameters", func(t *trainingValue) (lib.Value, error) {
		if t.training.Trainer != nil {
			return toValue(t.training.Trainer)
		}
		return toValue(t.training.Protocol)
	}},
	{"data", "name of the images", func(t *trainingValue) (lib.Value, error) { return lib.String(t.training.DataText()), nil }},
	{"errors", "list of what failed, empty if nothing did", (*trainingValue).errors},
	{"provenance", provenanceDoc, func(t *trainingValue) (lib.Value, error) { return provenance(t.training.Jobs()) }},
	{"jobs", "list of the ids of its jobs", func(t *trainingValue) (lib.Value, error) {
		var ids []string
		for _, j := range t.training.Jobs() {
			ids = append(ids, j.ID)
		}
		return stringList(ids), nil
	}},
	{"tensorboard", "tensorboard(folder): write the curves so far as TensorBoard's event files, a folder a network", (*trainingValue).tensorboard},
	{"id", "id of the training in its study", func(t *trainingValue) (lib.Value, error) { return lib.String(t.training.ID()), nil }},
	{"study", "folder of the study that its jobs are in", func(t *trainingValue) (lib.Value, error) {
		return lib.String(t.training.Study().Paths.Dir), nil
	}},
}

func (t *trainingValue) Attr(name string) (lib.Value, error) { return trainingAttrs.get(t, name) }
func (t *trainingValue) AttrNames() []string                 { return trainingAttrs.names() }
func (t *trainingValue) AttrDoc(name string) string          { return trainingAttrs.doc(name) }
func (t *trainingValue) Doc() string {
	return t.String() + "\n\nA training: one job for each architecture and seed. It shows itself as a live table.\n\n" + trainingAttrs.list()
}

func (t *trainingValue) results() (lib.Value, error) { return resultsOf(t.training.Runs()), nil }

// table is the results with what the live table says of each.
func (t *trainingValue) table() (lib.Value, error) {
	statuses, err := t.training.Statuses()
	if err != nil {
		return nil, err
	}
	runs := t.training.Runs()
	view := trainingTable(t, runs, statuses, !slices.ContainsFunc(statuses, unfinished))
	return shownList{resultsOf(runs), view, t.env}, nil
}

func resultsOf(runs []nasapi.TrainedRun) *lib.List {
	var out []lib.Value
	for _, r := range runs {
		params, valid, test, seconds := lib.Value(lib.None), lib.Value(lib.None), lib.Value(lib.None), lib.Value(lib.None)
		if r.Result != nil {
			params, seconds = lib.MakeInt64(r.Result.Params), lib.Float(r.Result.Seconds)
			valid, test = optional(r.Result.Valid), optional(r.Result.Test)
		}
		out = append(out, dict("hash", lib.String(r.Hash()), "policy", textOrNone(r.Origin.Policy), "seed", lib.MakeInt64(r.Seed),
			"train_seed", lib.MakeInt64(r.TrainSeed), "state", lib.String(r.Status.State), "params", params, "valid", valid, "test", test, "seconds", seconds))
	}
	return lib.NewList(out)
}

func (t *trainingValue) curves() (lib.Value, error) {
	var out []lib.Value
	for _, r := range t.training.Runs() {
		points := []train.Point{}
		v, err := toValue(append(points, r.Curve...))
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return lib.NewList(out), nil
}

func (t *trainingValue) tensorboard() (lib.Value, error) {
	return method("tensorboard", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		dir := ""
		if err := lib.UnpackArgs("tensorboard", args, kwargs, "folder", &dir); err != nil {
			return nil, starlark.Named("TypeError", err)
		}
		return lib.None, t.training.TensorBoard(t.env.path(dir))
	})
}

func (t *trainingValue) errors() (lib.Value, error) {
	var out []string
	for _, r := range t.training.Runs() {
		if r.Status.Error != "" {
			out = append(out, fmt.Sprintf("%s, seed %d: %s", label(r.Found), r.TrainSeed, r.Status.Error))
		}
	}
	return stringList(out), nil
}

// label names an architecture by its policy and seed, else by its own name or its hash.
func label(f nasapi.Found) string {
	if g, ok := f.Arch.(*space.Genotype); ok && f.Origin.Policy == "" && g.Name() != "" {
		return g.Name()
	}
	if f.Origin.Policy == "" {
		return shortHash(f.Hash())
	}
	return fmt.Sprintf("%s %d", f.Origin.Policy, f.Seed)
}

// render shows the training as it stands, with its data once it has ended.
func (t *trainingValue) render() (*kernel.Bundle, bool, error) {
	b, final, err := t.view()
	if err == nil && final {
		b.Data[nasapi.TrainingMIME] = nasapi.RecordOfTraining(t.training, label)
	}
	return b, final, err
}

func (t *trainingValue) view() (*kernel.Bundle, bool, error) {
	statuses, err := t.training.Statuses()
	if err != nil {
		return nil, false, err
	}
	final := !slices.ContainsFunc(statuses, unfinished)
	runs := t.training.Runs()
	view := trainingTable(t, runs, statuses, final)
	if !slices.ContainsFunc(runs, func(r nasapi.TrainedRun) bool { return slices.ContainsFunc(r.Curve, drawn) }) {
		if !final {
			view.note("The curves come here after the first epoch.")
		}
		return view.bundle(), final, nil
	}
	fig, err := trainingFigure(t, runs)
	if err != nil {
		return nil, false, err
	}
	image, err := imageOf("training curves", fig)
	if err != nil {
		return nil, false, err
	}
	view = view.shown()
	return htmlBundle(view.html()+image, view.text()+"\n"+fig.Description()), final, nil
}

func trainingTable(t *trainingValue, runs []nasapi.TrainedRun, statuses []jobs.Status, final bool) *tableView {
	title := fmt.Sprintf("training on %s, %s: %s", t.training.DataText(), t.training.ProtocolText(), jobs.StatesText(statuses))
	view := newTable(title, column{"architecture", left}, column{"seed", right}, column{"state", left}, column{"where", left}, column{"tries", right}, column{"progress", left},
		column{"epoch", right}, column{"loss", right}, column{"train %", right}, column{"valid %", right}, column{"test %", right},
		column{"rate", right}, column{"images/s", right}, column{"remaining", right}, column{"parameters", right}, column{"multiply-adds", right}, column{"seconds", right})
	view.folds = "the training's .table has them all, to sort, filter and save"
	all := t.training.Jobs()
	texts, trouble := t.training.Study().Where(all, statuses)
	tries := triesTexts(statuses)
	index := map[*jobs.Job]int{}
	for i, j := range all {
		index[j] = i
	}
	var why reasons
	for _, r := range runs {
		view.oracle = view.oracle || r.Origin.Oracle
		where, tried := "", ""
		if i, ok := index[r.Job]; ok {
			where, tried = texts[i], tries[i]
		}
		view.addCells(trainingRow(r, t.training.Epochs(), where, tried)...)
		why.below(view, fmt.Sprintf("%s, seed %d", label(r.Found), r.TrainSeed), r.Status)
	}
	if trouble != "" && !final {
		view.note("SLURM cannot be asked: %s", trouble)
	}
	view.noteCost(statuses, final)
	if final {
		view.note("Accuracies are after the last epoch. Training %s.", t.training.ID())
	}
	for _, r := range runs {
		if r.Result != nil && len(r.Result.Notes) > 0 {
			view.note("%s, seed %d: %s.", label(r.Found), r.TrainSeed, strings.Join(r.Result.Notes, "; "))
		}
	}
	if t.training.Data.Synthetic != nil {
		view.note("SYNTHETIC images: these accuracies say nothing about real ones.")
	}
	if t.training.Protocol.Batches > 0 {
		view.note("REDUCED: every epoch ended after %d batches.", t.training.Protocol.Batches)
	}
	view.dropEmptyColumns()
	return view
}

// epochText is "3 of 50", or "3" where nobody knows of how many.
func epochText(n float64, of int) string {
	if of == 0 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.0f of %d", n, of)
}

func trainingRow(r nasapi.TrainedRun, epochs int, where, tries string) []tableCell {
	st := r.Status
	share, pace, remaining := 0.0, "", ""
	if st.Total > 0 {
		share = float64(st.Done) / float64(st.Total)
	}
	texts := make(map[string]string)
	if v, ok := st.Values["epoch"].(float64); ok {
		texts["epoch"] = epochText(v, epochs)
	}
	for _, key := range []string{"loss", "rate"} {
		if v, ok := st.Values[key].(float64); ok {
			texts[key] = fmt.Sprintf("%.4f", v)
		}
	}
	for _, key := range []string{"accuracy", "valid_accuracy", "test_accuracy"} {
		if v, ok := st.Values[key].(float64); ok {
			texts[key] = fmt.Sprintf("%.2f", 100*v)
		}
	}
	params, adds, seconds := "", "", ""
	if result := r.Result; result != nil {
		share = 1
		texts["rate"] = ""
		seconds = fmt.Sprintf("%.1f", result.Seconds)
		if result.Params > 0 { // a program of one's own need not say
			params = count(result.Params)
		}
		if result.MultAdds > 0 {
			adds = count(result.MultAdds)
		}
		texts["epoch"] = epochText(float64(len(result.Curve)), epochs)
		if n := len(result.Curve); n > 0 {
			last := result.Curve[n-1]
			texts["epoch"] = epochText(float64(last.Epoch), epochs)
			if said(last, "loss") {
				texts["loss"] = fmt.Sprintf("%.4f", last.Loss)
			}
			if said(last, "train") {
				texts["accuracy"] = fmt.Sprintf("%.2f", 100*last.Accuracy)
			}
		}
		for key, v := range map[string]*float64{"valid_accuracy": result.Valid, "test_accuracy": result.Test} {
			if v != nil {
				texts[key] = fmt.Sprintf("%.2f", 100**v)
			}
		}
	}
	if st.State == jobs.Running {
		if v, ok := st.Values["images_per_second"].(float64); ok {
			pace = rateText(v)
		}
		if st.Remaining > 0 {
			remaining = durationText(st.Remaining)
		}
	}
	cells := []tableCell{{text: label(r.Found)}, {text: fmt.Sprint(r.TrainSeed)}, stateCell(st.State, st.Held), {text: where}, {text: tries}, progressCell(min(1, share))}
	for _, text := range []string{texts["epoch"], texts["loss"], texts["accuracy"], texts["valid_accuracy"], texts["test_accuracy"], texts["rate"], pace, remaining, params, adds, seconds} {
		cells = append(cells, tableCell{text: text})
	}
	return cells
}

// said tells whether a point has a metric: our engine's have all.
func said(p train.Point, name string) bool {
	_, ok := p.Metrics[name]
	return ok || p.Metrics == nil
}

// drawn tells whether a point has an accuracy to draw.
func drawn(p train.Point) bool { return p.ValidAccuracy != nil || said(p, "train") }

// trainingFigure draws the accuracy of each network on the images that were held back,
// or on those that it trains on where none were.
func trainingFigure(t *trainingValue, runs []nasapi.TrainedRun) (*plotting.Figure, error) {
	d := plotting.TrainingCurvesData{
		Scale: 100, Epochs: t.training.Epochs(), Metric: "training accuracy, %",
		Caption: fmt.Sprintf("%s: %s", t.training.DataText(), t.training.ProtocolText()),
	}
	for _, r := range runs {
		c := plotting.Curve{Name: label(r.Found), Random: r.Origin.Policy == nasapi.SampleRandomPolicy || r.Origin.Policy == "random", Running: r.Status.State == jobs.Running}
		if len(t.training.Trained) > 1 && r.TrainSeed != t.training.Trained[0].TrainSeed {
			c.Name += fmt.Sprintf(", seed %d", r.TrainSeed)
		}
		for _, p := range r.Curve {
			if !drawn(p) {
				continue
			}
			c.Epochs = append(c.Epochs, float64(p.Epoch))
			c.Values = append(c.Values, p.Accuracy)
			if p.ValidAccuracy != nil {
				d.Metric = "validation accuracy, %"
				if said(p, "train") {
					d.Metric += " (dotted: training)"
					c.Light = append(c.Light, p.Accuracy)
				}
				c.Values[len(c.Values)-1] = *p.ValidAccuracy
			}
		}
		d.Curves = append(d.Curves, c)
		if n := len(r.Curve); n > 0 && t.training.Epochs() == 0 { // a program's own affair
			d.Epochs = max(d.Epochs, r.Curve[n-1].Epoch)
		}
	}
	return plotting.TrainingCurves(d)
}

func (e *Env) trainingCommands() []*starlark.Command {
	return []*starlark.Command{{
		Name: "train",
		Params: append([]starlark.Param{
			{Name: "archs", Type: "architectures", Doc: "an architecture or a list of them, such as found.selected"},
			{Name: "data", Type: "data", Doc: "the images: `cifar10()`, `images(\"folder/\")`, `synthetic()`; for a trainer of your own also the path of a folder, or None"},
			{Name: "trainer", KeywordOnly: true, Default: lib.None, Type: "program", Doc: "a program of your own that trains, `exec(\"python3 train.py\", gpus=1)`; all other keywords are then its parameters"},
			{Name: "seeds", KeywordOnly: true, Default: lib.NewList([]lib.Value{lib.MakeInt(0)}), Type: "list of int", Doc: "of the weights and batches: every architecture is trained once under each"},
			{Name: "show_test", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "evaluate on the test images after every epoch, not only after the last"},
			confirmParam(),
			{Name: "debug", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "a few batches of the first architecture in the foreground, without a job"},
			{Name: "fresh", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "train finished ones again instead of taking their results"},
			{Name: "tensorboard", KeywordOnly: true, Default: lib.False, Type: "bool or folder", Doc: "keep TensorBoard's event files up to date while this notebook runs, in the folder tensorboard/ or the named one"},
			{Name: "protocol", Rest: true, Doc: "numbers of the protocol, such as epochs=50, batch=96, channels=16, cells=8"},
		}, placeParams()...),
		Doc: `Train networks of architectures from scratch: one job an architecture and seed; returns at once.

The protocol is that of the architecture's space, each of its numbers a keyword: for DARTS cells
600 epochs of batch 96 with 36 channels and 20 cells, cutout, auxiliary head, drop path and a
cosine; for NASBench-101 cells 108 epochs of batch 256. A tenth of the training images (for
NASBench-101 cells a fifth) is held back for validation; the test images are looked at after the
last epoch only, unless show_test=True. The expected time is shown before anything is submitted.

    found = train(genotype("DARTS_V2"), cifar10(), epochs=50, channels=16, cells=8)
    base = train(sample_random(darts_space(), seeds=range(10)), cifar10(), epochs=50, channels=16, cells=8)
    compare(train(found.selected + drawn, cifar10(), epochs=50))   # grouped by where they came from

With trainer= a program of your own trains, such as one that uses PyTorch on a GPU: it is told the
architecture, seed, data and parameters, and says epochs, checkpoints and the result;
docs/child_protocol.md specifies how, examples/pytorch_trainer/ is one.

    mine = exec("python3 train.py", gpus=1)
    finals = train(found.selected, cifar10(), trainer=mine, epochs=600)

The keywords of a protocol: ` + strings.Join(train.Keywords(), ", ") + `.`,
		Run: e.runTrain,
	}}
}

func (e *Env) runTrain(c *starlark.Call) (lib.Value, error) {
	if !c.IsNone("trainer") {
		return e.runTrainer(c)
	}
	req, entry, err := trainingRequest(c)
	if err != nil {
		return nil, err
	}
	if debug, err := c.Bool("debug"); err != nil || debug {
		if err != nil {
			return nil, err
		}
		return runDebug(c, req)
	}
	if req.On, err = e.placeArg(c); err != nil {
		return nil, err
	}
	return e.startTraining(c, req, func(st *jobs.Study) error { return announceTraining(c, st, req, entry) })
}

// startTraining submits what was asked for, once announce has said what it will take.
func (e *Env) startTraining(c *starlark.Call, req nasapi.TrainingRequest, announce func(*jobs.Study) error) (lib.Value, error) {
	board, err := boardArg(c)
	if err != nil {
		return nil, err
	}
	st, err := e.study("")
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	if shown, err := dryRun(c, st, req.On, len(req.Archs)*len(req.Seeds)); err != nil || shown {
		return lib.None, err
	}
	if err := announce(st); err != nil {
		return nil, err
	}
	t, err := nasapi.StartTraining(st, req)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	v := &trainingValue{env: e, training: t}
	if board != "" {
		if err := v.keepBoard(board, c.Cell.Out); err != nil {
			return nil, c.Errorf("%w", err)
		}
	}
	return v, nil
}

// boardFolder is where TensorBoard's files are kept if tensorboard=True.
const boardFolder = "tensorboard"

// boardArg is the folder that tensorboard= asks for, "" if none.
func boardArg(c *starlark.Call) (string, error) {
	if v, ok := c.Value("tensorboard").(lib.Bool); ok {
		if v {
			return boardFolder, nil
		}
		return "", nil
	}
	dir, err := c.String("tensorboard")
	if err != nil || dir == "" {
		return "", named(c, "TypeError", "tensorboard is %s: give True, False or the name of a folder", c.Value("tensorboard"))
	}
	return dir, nil
}

// boardPace is how often TensorBoard's files are written anew.
const boardPace = 2 * time.Second

// keepBoard writes the curves in dir now, and again until nothing more will come of them
// or the kernel ends. What fails later is told in the cell.
func (t *trainingValue) keepBoard(dir string, out kernel.Output) error {
	dir = t.env.path(dir)
	final, err := t.writeBoard(dir)
	if err != nil || final {
		return err
	}
	t.env.live.each(boardPace, func() bool {
		final, err := t.writeBoard(dir)
		if err != nil {
			out.Stream("stderr", fmt.Sprintf("TensorBoard: %v\n", err))
		}
		return !final && err == nil
	})
	return nil
}

// writeBoard says whether what it wrote was the last.
func (t *trainingValue) writeBoard(dir string) (final bool, err error) {
	statuses, err := t.training.Statuses()
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(statuses, unfinished), t.training.TensorBoard(dir)
}

// trainedArchs reads what is trained, under which seeds.
func trainedArchs(c *starlark.Call, req *nasapi.TrainingRequest) error {
	archs, err := archsOf(c.Value("archs"))
	if err != nil || len(archs) == 0 {
		return named(c, "TypeError", "archs is %s: give an architecture or a list of them, such as found.selected or genotype(\"DARTS_V2\")", c.Value("archs").Type())
	}
	for _, a := range archs {
		if a.found.Arch.Space() != archs[0].found.Arch.Space() {
			return c.Errorf("the architectures are of %s and of %s, which have different protocols: train each by itself", archs[0].found.Arch.Space(), a.found.Arch.Space())
		}
		req.Archs = append(req.Archs, a.found)
	}
	if req.Seeds, err = c.Int64s("seeds"); err != nil {
		return err
	}
	req.Fresh, err = c.Bool("fresh")
	return err
}

func trainingRequest(c *starlark.Call) (nasapi.TrainingRequest, data.Entry, error) {
	var req nasapi.TrainingRequest
	if err := trainedArchs(c, &req); err != nil {
		return req, data.Entry{}, err
	}
	entry, err := dataArg(c, "data")
	if err != nil {
		return req, entry, err
	}
	req.Data = entry.Spec()
	overrides, err := policyParams(c, "protocol")
	if err != nil {
		return req, entry, err
	}
	req.Protocol, err = train.ProtocolFor(req.Archs[0].Arch, entry.Set()).Override(overrides)
	if err != nil {
		return req, entry, c.Errorf("%w", err)
	}
	if req.Protocol.TestEveryEpoch, err = c.Bool("show_test"); err != nil {
		return req, entry, err
	}
	if err := req.Check(); err != nil {
		return req, entry, c.Errorf("%w", err)
	}
	return req, entry, nil
}

// debugBatches is how many batches of an epoch debug=True trains on.
const debugBatches = 4

// runDebug trains a few batches of the first architecture in the cell.
func runDebug(c *starlark.Call, req nasapi.TrainingRequest) (lib.Value, error) {
	req.Protocol.Epochs, req.Protocol.Batches = 1, debugBatches
	cfg, err := nasapi.ConfigOfTraining(req, 0)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	c.Cell.Out.Stream("stdout", fmt.Sprintf("debug: %s, seed %d, %s\n", label(req.Archs[0]), req.Seeds[0], req.Protocol))
	result, err := nasapi.RunTraining(c.Ctx, cfg, req.Seeds[0], &debugReports{cell: c.Cell})
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return toValue(result)
}

// debugReports writes every step into the cell.
type debugReports struct {
	cell *kernel.Cell
	told int // steps
}

func (d *debugReports) Progress(done, total int, v map[string]any) {
	if done == d.told { // the epoch's end is told too
		return
	}
	d.told = done
	d.cell.Out.Stream("stdout", fmt.Sprintf("step %d of %d: loss %.4f, accuracy %.4f, rate %.4g, %.1f images/s\n", done, total, v["loss"], v["accuracy"], v["rate"], v["images_per_second"]))
}
func (d *debugReports) Event(string, any) error  { return nil }
func (d *debugReports) Checkpoint([]byte) error  { return nil }
func (d *debugReports) Restore() ([]byte, error) { return nil, nil }
