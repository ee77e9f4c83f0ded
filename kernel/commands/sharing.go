package commands

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/data"
	"evalnas/nasapi/host"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/shared"
	"evalnas/nasapi/space"
)

// sharedValue is the objective shared_weights(...): its protocol is not complete until
// the policy and the space are known.
type sharedValue struct {
	immutable
	entry   data.Entry
	preset  string
	numbers policy.Config
}

func (s *sharedValue) String() string {
	parts := []string{s.entry.Name + "()"}
	for _, name := range slices.Sorted(maps.Keys(s.numbers)) {
		parts = append(parts, fmt.Sprintf("%s=%v", name, s.numbers[name]))
	}
	if s.preset != shared.PaperPreset {
		parts = append(parts, fmt.Sprintf("preset=%q", s.preset))
	}
	return "shared_weights(" + strings.Join(parts, ", ") + ")"
}
func (s *sharedValue) Type() string          { return "objective" }
func (s *sharedValue) Hash() (uint32, error) { return hashString(s.String()), nil }
func (s *sharedValue) Doc() string {
	return s.String() + ": accuracy on validation images with weights that all architectures of the space share, which the policy trains."
}

// config is the objective for a policy in a space.
func (s *sharedValue) config(policyName string, sp space.Space) (objective.Spec, *nasapi.SharedConfig, error) {
	protocol, err := nasapi.ProtocolOfSharing(policyName, sp, s.entry.Set(), s.preset, s.numbers)
	return objective.Spec{Kind: objective.SharedWeights, Metric: objective.TrainedValid}, &nasapi.SharedConfig{Data: s.entry.Spec(), Protocol: protocol}, err
}

func presetNames() []string { return shared.Presets() }

func sharingCommands() []*starlark.Command {
	return []*starlark.Command{{
		Name: "shared_weights",
		Params: []starlark.Param{
			{Name: "data", Type: "data", Doc: "the images: `cifar10()`, `images(\"folder/\")`, `synthetic()`"},
			{Name: "preset", KeywordOnly: true, Default: lib.String(shared.PaperPreset), Type: "str", Values: presetNames, Doc: "how much smaller than published: \"paper\" is not, \"day\", \"hour\" and \"minutes\" name about what a seed takes on one core"},
			{Name: "protocol", Rest: true, Doc: "numbers of the protocol, such as epochs=200, batch=256, channels=128"},
		},
		Doc: `Weights that all architectures of the space share, as an objective: the policy trains them.

Each seed trains one supernet, by the published protocol of its policy in its space: which images,
how many epochs, which rates; found.config shows all of it, and each number is a keyword. The policy
learns from, and chooses by, validation images that are neither augmented nor trained on; test images
are never looked at. While it trains, a fixed pool of architectures and the policy's own are ranked,
and on NASBench-101 the ranking is held against what training alone gives.

A preset makes the protocol smaller; whatever was made with one says so.

    found = search("spos", nasbench101(max_vertices=4), shared_weights(cifar10(), preset="minutes"), seeds=range(3))
    found.rankings

The keywords of a protocol: ` + strings.Join(shared.Keywords(), ", ") + `.`,
		Run: func(c *starlark.Call) (lib.Value, error) {
			v := &sharedValue{}
			var err error
			if v.entry, err = dataArg(c, "data"); err != nil {
				return nil, err
			}
			if v.preset, err = c.String("preset"); err != nil {
				return nil, err
			}
			if !slices.Contains(shared.Presets(), v.preset) {
				return nil, c.Errorf("%w", unknown("preset", v.preset, shared.Presets()))
			}
			if v.numbers, err = policyParams(c, "protocol"); err != nil {
				return nil, err
			}
			known := shared.Keywords()
			for _, name := range slices.Sorted(maps.Keys(v.numbers)) {
				if !slices.Contains(known, name) {
					return nil, c.Errorf("%w", unknown("number of a protocol", name, known))
				}
			}
			return v, nil
		},
	}}
}

// sharingColumns are what a table of shared weights has between progress and pace.
var sharingColumns = []column{{"epoch", right}, {"loss", right}, {"train %", right}, {"tau", right}, {"doing", left}}

// sharingCells are the entries of progress and sharingColumns.
func sharingCells(s *nasapi.Search, st jobs.Status) []tableCell {
	share, epochs := 0.0, s.Config.Shared.Protocol.Epochs
	if st.Total > 0 {
		share = float64(st.Done) / float64(st.Total)
	}
	if st.State == jobs.Done {
		share = 1
	}
	cells := []tableCell{progressCell(min(1, share))}
	texts := make([]string, len(sharingColumns))
	for i, entry := range []struct{ key, format string }{{"epoch", "%.0f of %d"}, {"loss", "%.3f"}, {"accuracy", "%.1f"}, {"tau", "%+.2f"}} {
		v, ok := st.Values[entry.key].(float64)
		switch {
		case !ok:
		case entry.key == "epoch":
			texts[i] = fmt.Sprintf(entry.format, v, epochs)
		case entry.key == "accuracy":
			texts[i] = fmt.Sprintf(entry.format, 100*v)
		default:
			texts[i] = fmt.Sprintf(entry.format, v)
		}
	}
	if doing, ok := st.Values["doing"].(string); ok && st.State == jobs.Running {
		texts[4] = doing
	}
	for _, text := range texts {
		cells = append(cells, tableCell{text: text})
	}
	return cells
}

// sharingBundle adds to a table what shared weights need said.
func sharingBundle(s *nasapi.Search, t *tableView, final bool) (*kernel.Bundle, bool, error) {
	p := s.Config.Shared.Protocol
	t.note("Loss and training accuracy are means over the epoch and the paths that it trained. Tau: Kendall's tau-b between accuracy with shared weights and NASBench-101's test accuracy (108 epochs, first repeat) on a fixed pool.")
	if p.Reduced() {
		t.note("REDUCED: preset %q, not the published protocol.", p.Preset)
	}
	if s.Config.Shared.Data.Synthetic != nil {
		t.note("SYNTHETIC images: these accuracies say nothing about real ones.")
	}
	fig, err := liveRankings(s)
	if err != nil || fig == nil {
		return t.bundle(), final, err
	}
	svg, err := fig.SVG()
	if err != nil {
		return nil, false, err
	}
	markup := fmt.Sprintf(`%s<img alt="tau against steps" style="max-width:100%%" src="data:image/svg+xml;base64,%s">`, t.html(), base64.StdEncoding.EncodeToString(svg))
	return htmlBundle(markup, t.text()+"\n"+fig.Description()), final, nil
}

// debugSharing trains a few batches of one seed's supernet in the cell, and ranks a few
// architectures.
func debugSharing(c *starlark.Call, cfg nasapi.SearchConfig, seed int64) (lib.Value, error) {
	p := &cfg.Shared.Protocol
	p.Epochs, p.Pool, p.RankImages, p.FineTune = 1, min(p.Pool, debugBatches), 0, 0
	shape, err := nasapi.ShapeOf(cfg.Shared.Data)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	train, valid, err := p.Split.Counts(shape.TrainN)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	p.Split.Share, p.Split.TrainN, p.Split.ValidN = 0, min(train, debugBatches*p.Batch), min(valid, 2*p.ValidBatch)
	if free, known := host.FreeMemory(); known {
		if err := cfg.FitsMemory(shape, free, "this kernel"); err != nil {
			return nil, c.Errorf("%w", err)
		}
	}
	say(c, "debug: %s with shared weights, seed %d; REDUCED: %d batches, %d validation images", cfg.Policy, seed, p.Split.TrainN/p.Batch, p.Split.ValidN)
	result, err := nasapi.RunSearch(c.Ctx, cfg, seed, &debugSteps{call: c})
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return toValue(map[string]any{"selected": result.Selected, "hash": result.Hash, "value": result.Value, "evaluations": result.Evaluations})
}

// debugSteps writes every step of the weights, and what the policy tells, into the cell.
type debugSteps struct {
	call *starlark.Call
	told int
}

func (d *debugSteps) Progress(done, total int, v map[string]any) {
	if done == d.told { // what follows the steps is told in events
		return
	}
	d.told = done
	say(d.call, "step %d of %d: loss %.4f, accuracy %.4f, rate %.4g, %.1f images/s", done, total, v["loss"], v["accuracy"], v["rate"], v["images_per_second"])
}

func (d *debugSteps) Event(kind string, payload any) error {
	if ranked, ok := payload.(nasapi.RankedPool); ok {
		say(d.call, "ranked %d architectures of the %s pool", len(ranked.Accuracy), ranked.Pool)
		return nil
	}
	return (&debugEvaluations{call: d.call}).Event(kind, payload)
}
