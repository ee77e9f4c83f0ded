package notebook

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestTextsAreComparedByTheirNumbers(t *testing.T) {
	for _, c := range []struct {
		was, is   string
		tolerance float64
		want      string // of the differences
	}{
		{"mean 0.9349 of 423,624", "mean   0.9349 of 423,624", 0, ""},
		{"mean 0.9349", "mean 0.9350", 0, "line 1, number 1 (mean): 0.9349 -> 0.9350 by +0.0001 (+0.011 %)"},
		{"mean 0.9349", "mean 0.9350", 1e-9, ""}, // the last digit is rounded
		{"mean 0.9349", "mean 0.9352", 1e-9, "line 1, number 1 (mean): 0.9349 -> 0.9352 by +0.0003 (+0.032 %)"},
		{"a 100\nb 200", "a 100\nb 201", 0.01, ""},
		{"a 1.0", "a 1", 0, ""},
		{"cell 28cfc787", "cell 28cfc788", 0, "line 1: cell 28cfc787 -> cell 28cfc788 by "},
		{"better than random", "worse than random", 0, "line 1: better than random -> worse than random by "},
		{"a\nb", "a", 0, "lines from 2 on: 2 lines -> 1 lines by "},
		{"took 3 min at 12:30:01, 1,200 a second", "took 4.5 s at 08:00, 900 a second", 0, ""},
		{"2026-11-26T05:31:20Z Wall time: 12.5 ms", "2025-01-02 Wall time: 3 µs", 0, ""},
		{"Search 2ea2de74e81d. Cost: 0.1 device-seconds", "Search 0123456789ab. Cost: 9 device-hours", 0, ""},
		{`{"seed": 1, "seconds": 0.25, "host": "a"}`, `{"seed": 1, "seconds": 3e-05, "host": "b"}`, 0, ""},
		{`{"seed": 1, "seconds": 0.25}`, `{"seed": 2, "seconds": 0.25}`, 0, "line 1, number 1 (seed): 1 -> 2 by +1 (+1e+02 %)"},
		{"spos: 10 seeds, about 3 s each, 30 s of one core in all (12,000 evaluations a second measured)\nx 1", "spos: 10 seeds done before\nx 1", 0, ""},
		{"███░░  60% of 5", "█████ 60% of 5", 0, ""},
		{"2.3 tau", "-2.3 tau", 0, "line 1, number 1: 2.3 -> -2.3 by -4.6 (-2e+02 %)"},
		{"p 1e-05", "p 2e-05", 0, "line 1, number 1 (p): 1e-05 -> 2e-05 by +1e-05 (+1e+02 %)"},
	} {
		var got []string
		for _, d := range compareTexts(c.was, c.is, c.tolerance) {
			got = append(got, fmt.Sprintf("%s: %s -> %s by %s", d.where, d.was, d.is, d.by))
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%q and %q: %s; want %s", c.was, c.is, text, c.want)
		}
	}
}

const comparisonMIME = "application/vnd.evalnas.result.v1+json"

// withData is an executed notebook with one output.
func withData(t *testing.T, mime, data string) *Notebook {
	t.Helper()
	nb := written(t, "compare()")
	o := &Output{Kind: DisplayData, Data: map[string]any{"text/plain": "the same"}, Metadata: map[string]any{}}
	if mime != "" {
		form := fmt.Sprintf(`{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x", "outputs": [{"output_type": "display_data", "data": {%q: %s}}]}]}`, mime, data)
		read, err := Parse([]byte(form))
		if err != nil {
			t.Fatal(err)
		}
		o.Data[mime] = read.Cells[0].Outputs[0].Data[mime]
	}
	nb.Cells[0].Outputs = []*Output{o}
	return nb
}

const stored = `{"schema": 1, "version": "1", "numerics": 1, "devices": ["cpu"], "groups": [
 {"name": "spos", "seeds": [{"seed": 1, "value": 0.9, "architecture": {"matrix": [[0, 1]], "ops": ["a"]}}, {"seed": 2, "value": 0.8}], "p_null": 0.5},
 {"name": "random", "seeds": [{"seed": 1, "value": 0.7}]}], "accuracy": [1, 2, 3]}`

func TestDataAreComparedByTheirNames(t *testing.T) {
	for _, c := range []struct {
		change [2]string
		want   string
	}{
		{[2]string{`"version": "1"`, `"version": "2"`}, ""},
		{[2]string{"0.8", "0.81"}, "comparison, spos, seed 2, value: 0.8 -> 0.81 by +0.01 (+1.3 %)"},
		{[2]string{`"p_null": 0.5`, `"p_null": null`}, "comparison, spos, p null: 0.5 -> nothing by "},
		{[2]string{`"ops": ["a"]`, `"ops": ["b"]`}, `comparison, spos, seed 1, architecture: {"matrix":[[0,1]],"ops":["a"]} -> {"matrix":[[0,1]],"ops":["b"]} by `},
		{[2]string{`, {"seed": 2, "value": 0.8}`, ""}, "comparison, spos, seed 2: 2 entries -> nothing by "},
		{[2]string{`"name": "random"`, `"name": "other"`}, "comparison, random: 2 entries -> nothing by ; comparison, other: nothing -> 2 entries by "},
		{[2]string{"[1, 2, 3]", "[1, 2.5, 4]"}, "comparison, accuracy: 3 numbers -> 2 of them differ by up to +1 (+33 %)"},
		{[2]string{"[1, 2, 3]", "[1, 2]"}, "comparison, accuracy: a list of 3 -> a list of 2 by "},
		{[2]string{"0.8", "0.80"}, ""},
	} {
		again := strings.Replace(stored, c.change[0], c.change[1], 1)
		if again == stored {
			t.Fatalf("%v changes nothing", c.change)
		}
		v := Verify(withData(t, comparisonMIME, stored), withData(t, comparisonMIME, again), 0.5)
		var got []string
		for _, d := range v.Differences {
			got = append(got, fmt.Sprintf("%s: %s -> %s by %s", d.What, d.Was, d.Is, d.By))
		}
		if text := strings.Join(got, "; "); text != c.want || v.Tolerance != 0 {
			t.Errorf("%v: %s (tolerance %v); want %s", c.change, text, v.Tolerance, c.want)
		}
	}
}

func TestToleranceIsForOtherDevicesAndNumerics(t *testing.T) {
	for _, c := range []struct {
		change [2]string
		basis  string
		loose  bool
	}{
		{[2]string{"", ""}, "numerics version 1 and device cpu as here", false},
		{[2]string{`["cpu"]`, `["H200"]`}, "computed on cpu, now on H200", true},
		{[2]string{`"numerics": 1`, `"numerics": 2`}, "of numerics version 1, this program computes version 2", true},
		{[2]string{`"devices": ["cpu"], `, ""}, "exactly", false},
	} {
		again := strings.Replace(strings.Replace(stored, c.change[0], c.change[1], 1), "0.8", "0.801", 1)
		v := Verify(withData(t, comparisonMIME, stored), withData(t, comparisonMIME, again), 0.01)
		if !strings.Contains(v.Basis, c.basis) || (v.Tolerance != 0) != c.loose || (len(v.Differences) == 0) != c.loose {
			t.Errorf("%v: %q, tolerance %v, %v", c.change, v.Basis, v.Tolerance, v.Differences)
		}
	}
	// What keeps no data is compared by its text; what lost them, or never had them, is said.
	if v := Verify(withData(t, "", ""), withData(t, "", ""), 0); len(v.Differences) != 0 || !strings.Contains(v.Basis, "do not say") {
		t.Errorf("%+v", v)
	}
	if v := Verify(withData(t, "", ""), withData(t, comparisonMIME, stored), 0); len(v.Differences) != 0 || len(v.Notes) != 1 {
		t.Errorf("%+v", v)
	}
	if v := Verify(withData(t, comparisonMIME, stored), withData(t, "", ""), 0); len(v.Differences) != 1 {
		t.Errorf("%+v", v)
	}
}

func TestVerifyComparesWholeCells(t *testing.T) {
	shows := func(outputs ...*Output) *Notebook {
		nb := written(t, "x")
		nb.Cells[0].Outputs = outputs
		return nb
	}
	stream := func(name, text string) *Output { return &Output{Kind: Stream, Name: name, Text: text} }
	failed := func(name string) *Output { return &Output{Kind: Error, ErrorName: name, ErrorValue: "v"} }
	for _, c := range []struct {
		was, is *Notebook
		want    int
	}{
		{shows(stream("stdout", "a"), stream("stderr", "x"), stream("stdout", " 1\n")), shows(stream("stdout", "a 1\n")), 0},
		{shows(stream("stdout", "a 1\n")), shows(stream("stdout", "a 2\n")), 1},
		{shows(failed("E")), shows(failed("E")), 0},
		{shows(failed("E")), shows(failed("F")), 1},
		{shows(failed("E")), shows(), 1},
	} {
		if v := Verify(c.was, c.is, 0); len(v.Differences) != c.want {
			raw, _ := json.Marshal(v)
			t.Errorf("%s and %s: %s", outputsText(c.was.Cells[0]), outputsText(c.is.Cells[0]), raw)
		}
	}
	if may := shows(failed("E")).FailedAt(shows()); may == nil {
		t.Error("no answer")
	}
}

func TestDiffData(t *testing.T) {
	const mime = "application/vnd.evalnas.training.v1+json"
	data := func(values ...string) *Notebook {
		nb := written(t)
		for _, v := range values {
			nb.Cells = append(nb.Cells, withData(t, mime, v).Cells...)
		}
		return nb
	}
	one, other := `{"name": "training", "runs": [{"name": "a", "valid": 0.5}]}`, `{"name": "training", "runs": [{"name": "a", "valid": 0.6}]}`
	spos := `{"name": "spos", "runs": []}`
	for _, c := range []struct {
		a, b *Notebook
		want string
		both int
	}{
		{data(one, one), data(one), "", 1},
		{data(one), data(other), "training, a, valid: 0.5 -> 0.6", 1},
		{data(one), data(one, spos), "training spos: - -> only in B", 1},
		{data(one, other), data(one), "training: only in A -> -", 1},
	} {
		differences, both := DiffData(c.a, c.b, comparisonMIME)
		var got []string
		for _, d := range differences {
			got = append(got, fmt.Sprintf("%s: %s -> %s", d.What, d.Was, d.Is))
		}
		if text := strings.Join(got, "; "); text != c.want || both != c.both {
			t.Errorf("%s (%d); want %s (%d)", text, both, c.want, c.both)
		}
	}
	if differences, both := DiffData(data(one), data(other), mime); len(differences) != 0 || both != 0 {
		t.Errorf("what is left out is compared: %v", differences)
	}
}
