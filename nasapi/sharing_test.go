package nasapi

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/shared"
	"evalnas/nasapi/space"
)

// started is a search that was submitted.
func started(t *testing.T, st *jobs.Study, cfg SearchConfig, seeds ...int64) *Search {
	t.Helper()
	s, err := StartSearch(st, SearchRequest{SearchConfig: cfg, Seeds: seeds})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ended waits for all seeds.
func ended(t *testing.T, s *Search) []Run {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	if err := s.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return s.Runs()
}

func TestSharingRunsAsJobsAndGivesTheSameBits(t *testing.T) {
	st := testStudy(t)
	var all []*Search
	for _, kind := range sharingKinds {
		switch kind.name {
		case "spos", "enas", "darts", "darts in four nodes":
			all = append(all, started(t, st, tinySharing(t, kind.policy, kind.params, kind.space, kind.change), 1268, 1269))
		}
	}
	for _, s := range all {
		runs := ended(t, s)
		for i, r := range runs {
			if r.Status.State != jobs.Done {
				t.Fatalf("%s, seed %d is %s: %s\n%s", s.Config.Policy, r.Seed, r.Status.State, r.Status.Error, s.Jobs()[i].Log(20))
			}
			here, err := RunSearch(t.Context(), s.Config, r.Seed, nil)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := sharingOutcome(t, here), sharingOutcome(t, r.Result); a != b {
				t.Errorf("%s, seed %d: the job's result differs from the one in this process:\n%s\n%s", s.Config.Policy, r.Seed, b, a)
			}
			report, err := s.SharedReport(r, s.Jobs()[i])
			if err != nil || report != r.Result.Shared || len(report.Rankings) == 0 || len(report.Curve) != 2 || report.Params == 0 || !report.Made {
				t.Errorf("%s, seed %d: the report is %+v, %v", s.Config.Policy, r.Seed, report, err)
			}
		}
		if sharingOutcome(t, runs[0].Result) == sharingOutcome(t, runs[1].Result) {
			t.Errorf("%s: two seeds have one result", s.Config.Policy)
		}
		again := started(t, st, s.Config, 1268, 1269)
		if again.ID() != s.ID() || again.Runs()[0].Status.Attempt != 1 {
			t.Errorf("%s: the same request is search %s and then %s, in attempt %d", s.Config.Policy, s.ID(), again.ID(), again.Runs()[0].Status.Attempt)
		}
	}
	batches, err := st.Batches()
	if err != nil || len(batches) != len(all) {
		t.Fatalf("%d batches, %v", len(batches), err)
	}
	known := map[string]string{}
	for _, s := range all {
		known[s.ID()] = mustJSON(t, s.Config)
	}
	for _, b := range batches {
		s, err := AttachSearch(b)
		if err != nil {
			t.Fatal(err)
		}
		if got := mustJSON(t, s.Config); got != known[b.ID] {
			t.Errorf("the attached configuration is %s, it was %s", got, known[b.ID])
		}
	}
}

// idOf is the name of a search's job under seed 1268.
func idOf(t *testing.T, cfg SearchConfig) string {
	t.Helper()
	_, _, specs, err := SearchRequest{SearchConfig: cfg, Seeds: []int64{1268}}.specs()
	if err != nil {
		t.Fatal(err)
	}
	return specs[0].ID()
}

// TestSharingIdentity: a study finds its jobs again as long as this id stays; who must change
// it raises EngineNumerics.
func TestSharingIdentity(t *testing.T) {
	base := tinySharing(t, "spos", nil, four, nil)
	const golden = "527f098f4981b53de4a3"
	if got := idOf(t, base); got != golden {
		t.Errorf("the job is %s, and was %s before", got, golden)
	}
	same := map[string]SearchConfig{
		"a parameter at its default": tinySharing(t, "spos", policy.Config{"refresh": 20}, four, nil),
		"a number at its default":    tinySharing(t, "spos", nil, four, map[string]any{"momentum": 0.9, "skip_untouched": false, "fine_tune": 0, "flip": true}),
	}
	for what, cfg := range same {
		if got := idOf(t, cfg); got != golden {
			t.Errorf("%s makes another job, %s", what, got)
		}
	}
	other := map[string]SearchConfig{
		"policy":    tinySharing(t, "fairnas", nil, four, nil),
		"space":     tinySharing(t, "spos", nil, space.Spec{Name: "nasbench101", MaxVertices: 5}, nil),
		"parameter": tinySharing(t, "spos", policy.Config{"refresh": 1}, four, nil),
		"pool":      tinySharing(t, "spos", nil, four, map[string]any{"pool": 5}),
		"rate":      tinySharing(t, "spos", nil, four, map[string]any{"rate": 0.024}),
		"skipping":  tinySharing(t, "spos", nil, four, map[string]any{"skip_untouched": true}),
		"flips":     tinySharing(t, "spos", nil, four, map[string]any{"flip": false}),
	}
	preset := tinySharing(t, "spos", nil, four, nil)
	reduced := *preset.Shared
	reduced.Protocol.Preset = "minutes"
	preset.Shared = &reduced
	other["preset"] = preset
	images := tinySharing(t, "spos", nil, four, nil)
	another := *images.Shared
	another.Data.Synthetic = &data.SyntheticSpec{Seed: 1, TrainN: tinyData.TrainN, TestN: tinyData.TestN, H: 8, W: 8, C: 3, Classes: 4}
	images.Shared = &another
	other["data"] = images
	seen := map[string]string{golden: "the first"}
	for what, cfg := range other {
		id := idOf(t, cfg)
		if before := seen[id]; before != "" {
			t.Errorf("another %s makes the same job as %s, %s", what, before, id)
		}
		seen[id] = what
	}
}

func TestSharingOfAnotherNumericsIsRefused(t *testing.T) {
	_, raw, specs, err := SearchRequest{SearchConfig: tinySharing(t, "spos", nil, four, nil), Seeds: []int64{1}}.specs()
	if err != nil {
		t.Fatal(err)
	}
	if want := 1000*EngineNumerics + Numerics; specs[0].Numerics != want {
		t.Errorf("the job is of numerics %d, want %d", specs[0].Numerics, want)
	}
	for _, n := range []int{Numerics, EngineNumerics, 1000*EngineNumerics + Numerics + 1} {
		_, err := SearchHandler(t.Context(), &jobs.Task{Spec: jobs.Spec{Kind: SearchKind, Numerics: n, Seed: 1, Config: raw}})
		if err == nil || !strings.Contains(err.Error(), "submit the search again") {
			t.Errorf("numerics %d: %v", n, err)
		}
	}
}

// TestDivergedSharingFailsOnce: it would diverge again, so it is not tried again.
func TestDivergedSharingFailsOnce(t *testing.T) {
	st := testStudy(t)
	s := started(t, st, tinySharing(t, "spos", nil, four, diverging), 1)
	r := ended(t, s)[0]
	if r.Status.State != jobs.Failed || r.Status.Attempt != 1 || !strings.Contains(r.Status.Error, "a lower rate") {
		t.Errorf("a rate of 100 ended as %s in attempt %d: %s", r.Status.State, r.Status.Attempt, r.Status.Error)
	}
}

var diverging = map[string]any{"rate": 100.0, "clip": 0.0, "epochs": 200, "momentum": 1.0, "decay": 1.0}

// TestRankingsOfAResumedRunAreNotDoubled: an attempt that makes a ranking again takes the
// place of the first, and what is read twice is read once.
func TestRankingsOfAResumedRunAreNotDoubled(t *testing.T) {
	st := testStudy(t)
	s := started(t, st, tinySharing(t, "spos", nil, four, map[string]any{"epochs": 100_000, "save_every": 100_000}), 1)
	if err := s.Cancel(); err != nil {
		t.Fatal(err)
	}
	ended(t, s)
	job := s.Jobs()[0]
	write := func(attempt int, rankings ...shared.Ranking) {
		t.Helper()
		f, err := os.OpenFile(job.Paths.Events(), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, r := range rankings {
			line := mustJSON(t, map[string]any{"t": time.Now(), "attempt": attempt, "event": RankingEvent, "data": RankedPool{Ranking: r}})
			if _, err := f.WriteString(line + "\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	of := func(epoch int, pool string, accuracy ...float64) shared.Ranking {
		return shared.Ranking{Epoch: epoch, Steps: 4 * epoch, Pool: pool, Accuracy: accuracy, Loss: accuracy, Images: 20}
	}
	read := func() []shared.Ranking {
		t.Helper()
		report, err := s.SharedReport(s.Runs()[0], job)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Pool) != 4 {
			t.Errorf("the pool is %v", report.Pool)
		}
		return report.Rankings
	}
	if got := read(); len(got) != 0 {
		t.Errorf("rankings before the first: %+v", got)
	}
	write(1, of(1, shared.FixedPool, .1, .2, .3, .4), of(1, shared.OwnPool, .5, .6), of(2, shared.FixedPool, .2, .2, .3, .4))
	if got := read(); len(got) != 3 {
		t.Errorf("%d rankings, want 3", len(got))
	}
	write(2, of(2, shared.FixedPool, .2, .2, .3, .4), of(2, shared.OwnPool, .5, .7), of(3, shared.FixedPool, .4, .3, .2, .1))
	for range 2 {
		got := read()
		var moments []string
		for _, r := range got {
			moments = append(moments, mustJSON(t, []any{r.Epoch, r.Pool}))
		}
		if text := strings.Join(moments, " "); text != `[1,"fixed"] [1,"own"] [2,"fixed"] [2,"own"] [3,"fixed"]` {
			t.Errorf("the rankings are of %s", text)
		}
	}
	// Begun anew, with a shorter log.
	if err := os.Truncate(job.Paths.Events(), 0); err != nil {
		t.Fatal(err)
	}
	write(1, of(7, shared.FixedPool, .1, .2, .3, .4))
	if got := read(); len(got) != 1 || got[0].Epoch != 7 {
		t.Errorf("after a new beginning there are %+v", got)
	}
}

// tauB is Kendall's tau-b by its definition.
func tauB(x, y []float64) float64 {
	sign := func(a, b float64) float64 {
		switch {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	}
	sum, nx, ny := 0.0, 0.0, 0.0
	for i := range x {
		for j := range i {
			a, b := sign(x[i], x[j]), sign(y[i], y[j])
			sum, nx, ny = sum+a*b, nx+a*a, ny+b*b
		}
	}
	return sum / math.Sqrt(nx*ny)
}

func TestEvaluateRankings(t *testing.T) {
	st := testStudy(t)
	ranked := map[string]any{"pool": 12}
	with := func(more map[string]any) map[string]any {
		for k, v := range ranked {
			more[k] = v
		}
		return more
	}
	two := started(t, st, tinySharing(t, "spos", nil, four, ranked), 1, 2)
	damaged := started(t, st, tinySharing(t, "random", nil, four, ranked), 1, 2)
	failed := started(t, st, tinySharing(t, "fairnas", nil, four, with(diverging)), 1)
	for _, s := range []*Search{two, damaged, failed} {
		ended(t, s)
	}
	going := started(t, st, tinySharing(t, "spos", nil, four, with(map[string]any{"epochs": 100_000})), 3)
	defer func() {
		if err := going.Cancel(); err != nil {
			t.Error(err)
		}
		ended(t, going)
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		report, err := going.SharedReport(going.Runs()[0], going.Jobs()[0])
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Rankings) > 4 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no rankings come")
		}
	}
	damage(t, damaged.Jobs()[0].Paths.Result(), func(text string) string {
		return strings.ReplaceAll(text, `"evaluations":`, `"evaluations":"many","more":`)
	})
	damage(t, damaged.Jobs()[1].Paths.Result(), func(text string) string {
		return strings.ReplaceAll(text, `"accuracy":[`, `"accuracy":[0.5,`)
	})

	ev, err := EvaluateRankings([]*Search{two, damaged, failed, going}, shared.FixedPool, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ev.PoolSize != 12 || len(ev.Hashes) != 12 || len(ev.TrueValues) != 12 {
		t.Fatalf("a pool of %d, %d hashes", ev.PoolSize, len(ev.Hashes))
	}
	p := ev.Policies[0]
	sum := 0.0
	for i, run := range two.Runs() {
		report := run.Result.Shared
		at := p.Seeds[i].Last()
		if len(p.Seeds[i].Points) != 2 || at.Epoch != 2 {
			t.Fatalf("seed %d has %d rankings, the last of epoch %d", run.Seed, len(p.Seeds[i].Points), at.Epoch)
		}
		last := report.Rankings[len(report.Rankings)-2] // the policy's own pool is ranked after the fixed one
		want := tauB(last.Accuracy, ev.TrueValues)
		if last.Pool != shared.FixedPool || math.Abs(at.Report.Tau.Value-want) > 1e-12 {
			t.Errorf("seed %d: tau is %v, by its definition %v", run.Seed, at.Report.Tau, want)
		}
		sum += want
	}
	if p.Tau == nil || math.Abs(p.Tau.Mean-sum/2) > 1e-12 || p.TauRange == nil {
		t.Errorf("the mean of the taus is %+v, want %v", p.Tau, sum/2)
	}
	broken := ev.Policies[1]
	if n := len(broken.Seeds[0].Points); n != 2 {
		t.Errorf("%d rankings of the seed whose result cannot be read; its events have 2", n)
	}
	for _, seed := range broken.Seeds {
		if seed.State != jobs.Failed || seed.Error == "" {
			t.Errorf("damaged: %+v", seed)
		}
	}
	if broken.Tau != nil {
		t.Errorf("damaged results have the tau %+v", broken.Tau)
	}
	if seed := ev.Policies[2].Seeds[0]; seed.State != jobs.Failed || !strings.Contains(seed.Error, "lower rate") {
		t.Errorf("failed: %+v", seed)
	}
	if seed := ev.Policies[3].Seeds[0]; seed.State != jobs.Running || len(seed.Points) == 0 || ev.Policies[3].Tau != nil {
		t.Errorf("running: %s, %d points, %+v", seed.State, len(seed.Points), ev.Policies[3].Tau)
	}
	raw, err := ev.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var written struct {
		Policies []struct {
			Policy string
			Seeds  []struct {
				Seed   int64
				Points []any
			}
		}
	}
	if err := json.Unmarshal(raw, &written); err != nil {
		t.Fatal(err)
	}
	if got := mustJSON(t, written); !strings.Contains(got, `"spos"`) || len(written.Policies) != 4 || len(written.Policies[0].Seeds) != 2 || len(written.Policies[1].Seeds) != 2 ||
		len(written.Policies[2].Seeds) != 1 || len(written.Policies[3].Seeds) != 1 {
		t.Errorf("the JSON has %s", got)
	}

	own, err := EvaluateRankings([]*Search{two}, shared.OwnPool, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := own.Policies[0].Seeds[0].Last()
	truth, err := TruthOf(two.Space, at.Hashes)
	if err != nil {
		t.Fatal(err)
	}
	if want := tauB(at.Accuracy, truth); len(at.Hashes) != 40 || math.Abs(at.Report.Tau.Value-want) > 1e-12 {
		t.Errorf("the own pool of %d has the tau %v, by its definition %v", len(at.Hashes), at.Report.Tau, want)
	}
	began := time.Now()
	const looks = 5
	for range looks {
		if _, err := EvaluateRankings([]*Search{two}, shared.FixedPool, nil); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("a look at 2 seeds of 2 rankings takes %v", time.Since(began)/looks)
}

func damage(t *testing.T, file string, how func(string) string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := how(string(text))
	if changed == string(text) {
		t.Fatalf("%s is as it was", filepath.Base(file))
	}
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRankingsThatCannotBeHeldTogether(t *testing.T) {
	of := func(policyName string, spec space.Spec, change map[string]any) *Search {
		cfg, err := tinySharing(t, policyName, nil, spec, change).Complete()
		if err != nil {
			t.Fatal(err)
		}
		s, err := openSearch(cfg, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := of("spos", four, nil)
	plain := &Search{Config: SearchConfig{Policy: "random", Objective: objective.OfParams().Spec()}, Space: a.Space}
	for want, searches := range map[string][]*Search{
		"there is no search": nil,
		"one of 6":           {a, of("fairnas", four, map[string]any{"pool": 6})},
		"in one space":       {a, of("spos", space.Spec{Name: "nasbench101", MaxVertices: 5}, nil)},
		"no table says":      {of("spos", fourNodes, nil)},
		"was guided by":      {a, plain},
		`rankings of "best"`: {a},
	} {
		pool := shared.FixedPool
		if strings.HasPrefix(want, "rankings") {
			pool = "best"
		}
		if _, err := EvaluateRankings(searches, pool, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
