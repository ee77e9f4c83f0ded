package nasapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"evalnas/nasapi/data"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/space"
)

// The kill table of searches with shared weights: one is stopped, or dies with all that it
// had not saved, at drawn moments (in a step, in a policy's learning, between two ranked
// architectures, in the final evaluation), goes on from its checkpoint, and comes to the
// result of the one that nobody stopped. The kill table of the program (killtable_linux_test.go)
// kills real processes.
//
//	EVALNAS_KILL_SEED=7 go test ./nasapi -run TestSharingIsResumed
//	EVALNAS_TORTURE=1 go test ./nasapi -run TestSharingIsResumed -timeout 1h
var sharingKinds = []struct {
	name   string // of the subtest
	policy string
	params policy.Config
	space  space.Spec
	change map[string]any // of the protocol
}{
	{name: "random", policy: "random", space: four},
	{name: "spos", policy: "spos", params: policy.Config{"refresh": 1}, space: four},
	{name: "spos evolution", policy: "spos", params: policy.Config{"selection": "evolution", "population": 8, "generations": 3, "parents": 4}, space: four},
	{name: "spos fine-tuned", policy: "spos", space: four, change: map[string]any{"fine_tune": 2, "epochs": 1}},
	{name: "fairnas", policy: "fairnas", params: policy.Config{"refresh": 1}, space: four},
	{name: "fairnas as published", policy: "fairnas", params: policy.Config{"refresh": 1, "as_published": true}, space: four},
	{name: "enas", policy: "enas", params: policy.Config{"controller_steps": 2}, space: four},
	{name: "nao", policy: "nao", params: policy.Config{"pool": 12, "predictor_epochs": 2, "round_every": 1, "proposals": 3, "random": 2, "final": 6}, space: four},
	{name: "darts", policy: "darts", params: policy.Config{"samples": 20}, space: four},
	{name: "fbnet", policy: "fbnet", params: policy.Config{"samples": 20}, space: four},

	{name: "random in four nodes", policy: "random", space: fourNodes},
	{name: "spos in four nodes", policy: "spos", params: policy.Config{"refresh": 1}, space: fourNodes},
	{name: "fairnas in four nodes", policy: "fairnas", space: fourNodes},
	{name: "darts in four nodes", policy: "darts", space: fourNodes},
	{name: "fbnet in four nodes", policy: "fbnet", space: fourNodes},

	{name: "random in five nodes", policy: "random", space: fiveNodes},
	{name: "spos in five nodes", policy: "spos", space: fiveNodes},
	{name: "enas in five nodes", policy: "enas", params: policy.Config{"controller_steps": 2, "final_pool": 10}, space: fiveNodes},
	{name: "nao in five nodes", policy: "nao", params: policy.Config{"pool": 8, "predictor_epochs": 2, "round_every": 1, "proposals": 2, "random": 2, "final": 4}, space: fiveNodes},
}

var (
	four      = space.Spec{Name: "nasbench101", MaxVertices: 4}
	fourNodes = space.Spec{Name: "darts", Nodes: 4}
	fiveNodes = space.Spec{Name: "darts", Nodes: 5}
)

// tinyData are images that a step takes milliseconds on.
var tinyData = data.SyntheticSpec{TrainN: 56, TestN: 8, H: 8, W: 8}.EnsureDefaults()

// tinySharing is a whole search with shared weights in some tenths of a second.
func tinySharing(t testing.TB, policyName string, params policy.Config, in space.Spec, change map[string]any) SearchConfig {
	t.Helper()
	set, err := data.Synthetic(tinyData)
	if err != nil {
		t.Fatal(err)
	}
	sp, err := space.FromSpec(in)
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]any{
		"epochs": 2, "batch": 8, "valid_batch": 8, "channels": 4, "cells": 3, "pool": 4, "save_every": 1, "images": 32, "valid": 20, "pad": 1,
	}
	for k, v := range change {
		numbers[k] = v
	}
	protocol, err := ProtocolOfSharing(policyName, sp, set, "paper", numbers)
	if err != nil {
		t.Fatal(err)
	}
	spec := data.Spec{Name: set.Name, Synthetic: &tinyData}
	return SearchConfig{Policy: policyName, Params: params, Space: in, Objective: objective.Spec{Kind: objective.SharedWeights, Metric: objective.TrainedValid}, Shared: &SharedConfig{Data: spec, Protocol: protocol}}
}

// sharingOutcome is a result without the time it took.
func sharingOutcome(t testing.TB, r *SearchResult) string {
	t.Helper()
	c, s := *r, *r.Shared
	s.Seconds, s.Curve = 0, append(s.Curve[:0:0], s.Curve...)
	for i := range s.Curve {
		s.Curve[i].Seconds = 0
	}
	c.Shared = &s
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// deadly is who hears of a search and keeps its checkpoint. It ends the search when it has
// heard so many things.
type deadly struct {
	after int  // things heard; 0 never ends
	hard  bool // what follows is not saved, as after kill -9
	end   context.CancelFunc
	heard int
	dead  bool
	where string // it was when it died
	kept  []byte
	shown map[string]any // by the first progress
}

func (d *deadly) hear(where string) {
	if d.heard++; d.heard == d.after {
		d.where, d.dead = where, true
		d.end()
	}
}

func (d *deadly) Progress(_, _ int, values map[string]any) {
	if d.shown == nil {
		d.shown = maps.Clone(values)
	}
	d.hear(fmt.Sprint(values["doing"]))
}

func (d *deadly) Event(kind string, _ any) error { d.hear(kind); return nil }

func (d *deadly) Evaluated(Evaluation) error { d.hear("evaluation"); return nil }

func (d *deadly) Checkpoint(b []byte) error {
	if !d.dead || !d.hard {
		d.kept = append([]byte(nil), b...)
	}
	return nil
}

func (d *deadly) Restore() ([]byte, error) { return d.kept, nil }

// run is one attempt; whole says that it came to its end.
func (d *deadly) run(t testing.TB, cfg SearchConfig, after int, hard bool) (result *SearchResult, whole bool) {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	defer end()
	d.end, d.after, d.hard, d.heard, d.dead, d.where, d.shown = end, after, hard, 0, false, "", nil
	result, err := RunSearch(ctx, cfg, 7, d)
	if err != nil && !(d.dead && errors.Is(err, context.Canceled)) {
		t.Fatalf("stopped while %q: %v", d.where, err)
	}
	return result, err == nil
}

func TestSharingIsResumed(t *testing.T) {
	trials, most := 1, 2
	if os.Getenv("EVALNAS_TORTURE") != "" {
		trials, most = 60, 6
	}
	seed := rand.Uint64N(1e6)
	if text := os.Getenv("EVALNAS_KILL_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("EVALNAS_KILL_SEED=%d", seed)
	for i, kind := range sharingKinds {
		if testing.Short() && kind.space != four {
			continue // seconds each
		}
		t.Run(kind.name, func(t *testing.T) {
			draw := rand.New(rand.NewPCG(seed, uint64(i)))
			cfg := tinySharing(t, kind.policy, kind.params, kind.space, kind.change)
			t.Setenv(CheckpointVariable, "1h")
			var unbroken deadly
			whole, _ := unbroken.run(t, cfg, 0, false)
			want := sharingOutcome(t, whole)
			for range trials {
				every := []string{"0s", "1ns", "1h"}[draw.IntN(3)]
				t.Setenv(CheckpointVariable, every)
				var told []string
				d := &deadly{}
				for attempt := 0; ; attempt++ {
					after, hard := 0, draw.IntN(2) == 0
					if attempt < most {
						after = 1 + draw.IntN(unbroken.heard)
					}
					threads := runtime.GOMAXPROCS(1 + draw.IntN(2))
					got, done := d.run(t, cfg, after, hard)
					runtime.GOMAXPROCS(threads)
					told = append(told, fmt.Sprintf("%d (%s, hard %t)", after, d.where, hard))
					if !done {
						continue
					}
					if text := sharingOutcome(t, got); text != want {
						t.Fatalf("checkpoints every %s, stopped after %s: the result is\n%s\nunbroken\n%s", every, strings.Join(told, ", "), text, want)
					}
					break
				}
			}
		})
	}
}

// TestTauIsShownAgain: whoever looks at a run that was resumed sees the tau of its last
// ranking, not nothing until the next.
func TestTauIsShownAgain(t *testing.T) {
	t.Setenv(CheckpointVariable, "0s")
	cfg := tinySharing(t, "spos", nil, four, map[string]any{"epochs": 3})
	d := &deadly{}
	whole, _ := d.run(t, cfg, 0, false)
	if d.shown["tau"] != nil {
		t.Errorf("before the first ranking tau is %v", d.shown["tau"])
	}
	last := whole.Shared.Rankings[4] // of the fixed pool: each epoch ranks it and the policy's own
	truth, err := TruthOf(spaceOf(t, cfg.Space.MaxVertices), whole.Shared.Pool)
	if err != nil {
		t.Fatal(err)
	}
	d.run(t, cfg, 0, false) // from the last checkpoint, at the end
	want := tauB(last.Accuracy, truth)
	if got, ok := d.shown["tau"].(float64); !ok || math.Abs(got-want) > 1e-12 {
		t.Errorf("after a resumption tau is %v, that of the last ranking %v", d.shown["tau"], want)
	}
}
