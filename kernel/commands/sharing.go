package commands

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
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
	parts := []string{s.images()}
	for _, name := range slices.Sorted(maps.Keys(s.numbers)) {
		parts = append(parts, fmt.Sprintf("%s=%v", name, s.numbers[name]))
	}
	if s.preset != shared.PaperPreset {
		parts = append(parts, fmt.Sprintf("preset=%q", s.preset))
	}
	return "shared_weights(" + strings.Join(parts, ", ") + ")"
}

// images is what the set is called in a cell: its command, or its name, which is taken
// in its place.
func (s *sharedValue) images() string {
	name := strings.ReplaceAll(s.entry.Name, "-", "_")
	public := slices.ContainsFunc(data.KnownSets(), func(k data.Known) bool { return k.Name == s.entry.Name })
	if public || s.entry.Synthetic {
		return name + "()"
	}
	return strconv.Quote(s.entry.Name)
}

func (s *sharedValue) Type() string          { return "objective" }
func (s *sharedValue) Hash() (uint32, error) { return hashString(s.String()), nil }

var sharedAttrs = attrTable[*sharedValue]{
	{"preset", "name of the preset that makes the protocol smaller, \"paper\" for the published one", func(s *sharedValue) (lib.Value, error) { return lib.String(s.preset), nil }},
	{"protocol", "`.protocol(policy, space)` is the protocol that a policy would have in a space, as a dict", (*sharedValue).protocol},
}

func (s *sharedValue) Attr(name string) (lib.Value, error) { return sharedAttrs.get(s, name) }
func (s *sharedValue) AttrNames() []string                 { return sharedAttrs.names() }
func (s *sharedValue) AttrDoc(name string) string          { return sharedAttrs.doc(name) }
func (s *sharedValue) Doc() string {
	return "Accuracy on validation images with weights that all architectures of the space share, which the policy trains.\n\n" + sharedAttrs.list()
}

func (s *sharedValue) protocol() (lib.Value, error) {
	return method("protocol", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var name string
		var where lib.Value
		if err := lib.UnpackArgs("protocol", args, kwargs, "policy", &name, "space", &where); err != nil {
			return nil, starlark.Named("TypeError", err)
		}
		sp, ok := asSpace(where)
		if !ok {
			return nil, starlark.Named("TypeError", fmt.Errorf("protocol: space is %s: give a space, such as nasbench101(max_vertices=4)", where.Type()))
		}
		if _, err := policy.Lookup(name); err != nil {
			return nil, fmt.Errorf("protocol: %w", err)
		}
		_, cfg, err := s.config(name, sp)
		if err != nil {
			return nil, fmt.Errorf("protocol: %w", err)
		}
		return toValue(cfg.Protocol)
	})
}

// config is the objective for a policy in a space.
func (s *sharedValue) config(policyName string, sp space.Space) (objective.Spec, *nasapi.SharedConfig, error) {
	protocol, err := nasapi.ProtocolOfSharing(policyName, sp, s.entry.Set(), s.preset, s.numbers)
	return objective.Spec{Kind: objective.SharedWeights, Metric: objective.TrainedValid}, &nasapi.SharedConfig{Data: s.entry.Spec(), Protocol: protocol}, err
}

func presetNames() []string { return shared.Presets() }

// protocolDocs says what the keywords of a protocol mean, by what they are about.
var protocolDocs = []struct{ names, about string }{
	{"epochs, batch, images, valid, split", "how long, images a step, images to train on, images to validate on, or a split by name"},
	{"valid_batch", "validation images at a time; accuracies depend on it, since norms take these images' statistics"},
	{"channels, cells, as_published", "size of the supernet; NASBench-101 with twice the widths, as the published code has it"},
	{"rate, rate_min, restarts, momentum, decay, clip, skip_untouched", "the optimiser; epochs of the first cosine where it restarts; leave weights alone that a step does not use"},
	{"drop_path, dropout, pad, flip, cutout", "regularisation and augmentation while training"},
	{"save_every, pool, rank_images, fine_tune", "epochs between rankings; size of the fixed pool; validation images that rank it, 0 for all; batches that each architecture is trained on by itself before one more ranking"},
}

func protocolDoc() string {
	var b strings.Builder
	for _, d := range protocolDocs {
		fmt.Fprintf(&b, "- `%s`: %s\n", strings.ReplaceAll(d.names, ", ", "`, `"), d.about)
	}
	return b.String()
}

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
how many epochs, which rates. Each number is a keyword of shared_weights, parameters of the policy
are keywords of search, and ` + "`.protocol(policy, space)`" + ` shows what comes of it. The policy learns from,
and chooses by, validation images that are neither augmented nor trained on; test images are never
looked at. While it trains, a fixed pool of architectures and the policy's own are ranked, and on
NASBench-101 rankings(...) holds them against what training alone gives.

A preset makes the protocol smaller; whatever was made with one says so.

    w = shared_weights(cifar10(), preset="minutes")
    found = search("spos", nasbench101(max_vertices=4), w, seeds=range(1268, 1273))
    wait(found)
    rankings(found)

The keywords of a protocol:

` + protocolDoc(),
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
				if slices.Contains(known, name) {
					continue
				}
				if of := policiesWith(name); of != "" {
					return nil, c.Errorf("%s is a parameter of %s and not of the protocol: give it to search(...)", name, of)
				}
				return nil, c.Errorf("%w", unknown("number of a protocol", name, known))
			}
			return v, nil
		},
	}}
}

// policiesWith names the policies that share weights and have a parameter, "" for none.
func policiesWith(name string) string {
	var of []string
	for _, p := range policy.All() {
		if p.Shares != policy.Never && slices.ContainsFunc(p.Params, func(q policy.Param) bool { return q.Name == name }) {
			of = append(of, p.Name)
		}
	}
	return strings.Join(of, ", ")
}

// checkPolicyParams refuses a number of the protocol among the keywords of search.
func checkPolicyParams(c *starlark.Call, req nasapi.SearchRequest) error {
	info, err := policy.Lookup(req.Policy)
	if err != nil {
		return c.Errorf("%w", err)
	}
	protocol := append(shared.Keywords(), "preset")
	for _, name := range slices.Sorted(maps.Keys(req.Params)) {
		own := slices.ContainsFunc(info.Params, func(q policy.Param) bool { return q.Name == name })
		if !own && slices.Contains(protocol, name) {
			return c.Errorf("%s belongs to the protocol of the weights: shared_weights(..., %s=...)", name, name)
		}
	}
	return nil
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
	t.note("Loss and training accuracy are means over the epoch and the paths that it trained.")
	if _, cells := s.Space.(*space.NASBench); cells && p.Pool > 0 {
		t.note("Tau: Kendall's tau-b, on a fixed pool, between accuracy with shared weights and NASBench-101's test accuracy (108 epochs, first repeat).")
	}
	if p.Reduced() {
		t.note("REDUCED by %s: not the published protocol.", p.ReducedBy())
	}
	if text := strings.Join(p.Departures(s.Config.Policy, s.Space), ", "); text != "" {
		t.note("Published are %s.", text)
	}
	if s.Config.Shared.Data.Synthetic != nil {
		t.note("SYNTHETIC images: these accuracies say nothing about real ones.")
	}
	figures, words, err := liveRankings(s)
	if err != nil {
		return nil, false, err
	}
	t = t.shown()
	return htmlBundle(t.html()+figures, t.text()+words), final, nil
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
