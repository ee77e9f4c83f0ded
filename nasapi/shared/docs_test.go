package shared

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/data"
	"evalnas/nasapi/space"
)

// manual is what users read of protocols and presets.
const manual = "../../docs/shared_weights.md"

// manualTable is the table of the manual that follows a mark: its heads and its rows.
func manualTable(t *testing.T, mark string) (heads []string, rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- "+mark+" -->\n")
	if !found {
		t.Fatalf("%s has no table %q", manual, mark)
	}
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("the table %q of %s has no rows", mark, manual)
	}
	return rows[0], rows[2:]
}

// The tables of protocols in the manual are those of Default.
func TestManualHasTheProtocols(t *testing.T) {
	for _, c := range []struct {
		mark  string
		spec  space.Spec
		table map[string]numbers
	}{
		{"protocols: nasbench", space.Spec{Name: "nasbench101", MaxVertices: 7}, nasbenchNumbers},
		{"protocols: darts", space.Spec{Name: "darts", Nodes: 4}, dartsNumbers},
		{"protocols: child", space.Spec{Name: "darts", Nodes: 5}, childNumbers},
	} {
		heads, rows := manualTable(t, c.mark)
		var names []string
		for _, row := range rows {
			names = append(names, row[0])
			cfg, err := Default(row[0], spaceOf(t, c.spec), &data.Set{})
			if err != nil {
				t.Errorf("%s: %v", c.mark, err)
				continue
			}
			is := map[string]any{
				"epochs": cfg.Epochs, "batch": cfg.Batch, "valid_batch": cfg.ValidBatch, "channels": cfg.Channels, "cells": cfg.Cells,
				"rate": cfg.Rate, "rate_min": cfg.RateMin, "restarts": cfg.Restarts, "decay": cfg.Decay, "clip": cfg.Clip,
				"dropout": cfg.Dropout, "drop_path": cfg.DropPath, "validated on": cfg.Split.Share,
			}
			for i, head := range heads[1:] {
				if got := fmt.Sprint(is[head]); row[i+1] != got {
					t.Errorf("%s of %s in %s is %s, the manual says %q", head, row[0], c.mark, got, row[i+1])
				}
			}
			if cfg.Momentum != 0.9 || cfg.SaveEvery != 20 || cfg.Pool != 200 || cfg.RankImages != 0 || cfg.Augment.Cutout != 0 {
				t.Errorf("%s in %s has not what the manual says of all: %+v", row[0], c.mark, cfg)
			}
			if shuffled := row[0] == "nao" && c.spec.Nodes == 5; cfg.Split.Shuffled != shuffled {
				t.Errorf("%s in %s: shuffled %v", row[0], c.mark, cfg.Split.Shuffled)
			}
			if c.spec.Nodes != 5 {
				want := [2]int{128, 9}
				if c.spec.Nodes == 4 {
					want = [2]int{16, 8}
				}
				if got := [2]int{cfg.Channels, cfg.Cells}; got != want {
					t.Errorf("%s in %s has %d channels and %d cells, the manual says %v", row[0], c.mark, cfg.Channels, cfg.Cells, want)
				}
			}
		}
		if slices.Sort(names); !slices.Equal(names, sortedNames(c.table)) {
			t.Errorf("the manual's %s are of %v, there are %v", c.mark, names, sortedNames(c.table))
		}
	}
}

// The table of presets is what With makes of CIFAR-10 and a protocol that is larger.
func TestManualHasThePresets(t *testing.T) {
	cifar := data.Shape{H: 32, W: 32, C: 3, Classes: 10, TrainN: 50_000}
	cells, darts := spaceOf(t, space.Spec{Name: "nasbench101", MaxVertices: 4}), spaceOf(t, space.Spec{Name: "darts", Nodes: 4})
	_, rows := manualTable(t, "presets")
	var names []string
	for _, row := range rows {
		names = append(names, row[0])
		c, err := Default("spos", cells, &data.Set{})
		if err != nil {
			t.Fatal(err)
		}
		whole := c.Split
		if c, err = c.With(row[0], cells, cifar); err != nil {
			t.Error(err)
			continue
		}
		d, err := Default("spos", darts, &data.Set{})
		if err != nil {
			t.Fatal(err)
		}
		d.Batch = c.Batch
		if d, err = d.With(row[0], darts, cifar); err != nil {
			t.Error(err)
			continue
		}
		train, valid := "all", "all"
		if c.Split != whole {
			train, valid = fmt.Sprint(c.Split.TrainN), fmt.Sprint(c.Split.ValidN)
		}
		rankings := 0
		for epoch := range c.Epochs {
			if c.savePoint(epoch) {
				rankings++
			}
		}
		want := []string{row[0], fmt.Sprint(c.Epochs), fmt.Sprint(c.Channels), fmt.Sprint(d.Channels), fmt.Sprint(c.Batch), train, valid, fmt.Sprint(c.RankImages), fmt.Sprint(rankings)}
		if !slices.Equal(row, want) {
			t.Errorf("the manual has the preset %v, it is %v", row, want)
		}
		if !c.Reduced() || !strings.Contains(c.String(), "REDUCED") {
			t.Errorf("%s does not say REDUCED", c)
		}
	}
	slices.Reverse(names)
	if names = append([]string{PaperPreset}, names...); !slices.Equal(names, Presets()) {
		t.Errorf("the manual's presets are %v, there are %v", names, Presets())
	}
}

// Departures name what differs from the published protocol, and nothing else.
func TestDepartures(t *testing.T) {
	sp := spaceOf(t, space.Spec{Name: "nasbench101", MaxVertices: 4})
	c, err := Default("spos", sp, &data.Set{})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Departures("spos", sp); got != nil {
		t.Errorf("the published protocol differs from itself in %v", got)
	}
	c.Epochs, c.Rate, c.Split = 3, 0.1, data.Split{TrainN: 100, ValidN: 50}
	want := []string{"epochs 200 (here 3)", "rate 0.025 (here 0.1)", "split with 50 % to validate on (here of 100 and 50 images)"}
	if got := c.Departures("spos", sp); !slices.Equal(got, want) {
		t.Errorf("departures are %q, want %q", got, want)
	}
}

// The tests that the manual names exist.
func TestManualNamesTests(t *testing.T) {
	var sources strings.Builder
	for _, pattern := range []string{"../policy", "../net", ".", "../../kernel/commands"} {
		files, err := filepath.Glob(filepath.Join(pattern, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(text)
		}
	}
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
	if len(names) < 15 {
		t.Fatalf("the manual names %d tests", len(names))
	}
	for _, name := range names {
		if !strings.Contains(sources.String(), "func "+name[1]+"(") {
			t.Errorf("the manual names %s, which is no test", name[1])
		}
	}
}
