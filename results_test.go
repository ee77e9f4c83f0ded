package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evalnas/nasapi/jobs"
)

// tableLines runs results and returns its lines by table.
func tableLines(t *testing.T, path string) map[string][]map[string]any {
	t.Helper()
	var out bytes.Buffer
	if err := runResults(path, &out); err != nil {
		t.Fatal(err)
	}
	lines := map[string][]map[string]any{}
	for n, text := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("line %d: %v: %s", n+1, err, text)
		}
		table := line["table"].(string)
		if (table == sourceTable) != (n == 0) {
			t.Errorf("line %d is of the table %s", n+1, table)
		}
		lines[table] = append(lines[table], line)
	}
	return lines
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A study of jobs that nothing here can run: each has its line, and what is wrong a line.
func TestResultsOfAStudyLeaveNothingOut(t *testing.T) {
	dir := t.TempDir()
	if _, err := jobs.OpenStudy(dir); err != nil {
		t.Fatal(err)
	}
	put := func(s jobs.Spec, files map[string]string) string {
		text, err := s.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(dir, "jobs", s.ID())
		writeFile(t, filepath.Join(folder, "job.json"), string(text))
		for name, text := range files {
			writeFile(t, filepath.Join(folder, name), text)
		}
		return s.ID()
	}
	waits := put(jobs.Spec{Kind: "search", Numerics: 1, Seed: 1, Config: json.RawMessage(`{"policy": "random", "space": {"name": "nasbench101", "max_vertices": 4}, "objective": {"kind": "params"}, "budget": 5}`)}, nil)
	failed := put(jobs.Spec{Kind: "search", Numerics: 1, Seed: 2, Config: json.RawMessage(`{"policy": "random", "space": {"name": "nowhere"}, "objective": {"kind": "params"}}`)}, map[string]string{
		"events.jsonl": `{"t":"2026-01-01T00:00:00Z","attempt":1,"event":"start","data":{"host":"a","pid":1}}` + "\n" +
			`{"t":"2026-01-01T00:00:01Z","attempt":1,"event":"failed","data":{"error":"no such space"}}` + "\n" + "torn\n"})
	other := put(jobs.Spec{Kind: "juggle", Numerics: 1, Seed: 3}, nil)
	damaged := strings.Repeat("0", 20)
	writeFile(t, filepath.Join(dir, "jobs", damaged, "job.json"), "{")

	lines := tableLines(t, dir)
	states := map[string]string{}
	for _, l := range lines[resultsTable] {
		states[l["job"].(string)] = fmt.Sprint(l["state"], " ", l["seed"], " ", l["error"])
	}
	for id, want := range map[string]string{waits: "pending 1 <nil>", failed: "failed 2 no such space", other: "pending 3 <nil>"} {
		if states[id] != want {
			t.Errorf("job %s: %q, want %q", id, states[id], want)
		}
	}
	if got := states[damaged]; !strings.HasPrefix(got, "failed <nil> job.json is damaged") {
		t.Errorf("the damaged job: %q", got)
	}
	if len(lines[eventsTable]) != 2 {
		t.Errorf("events: %v", lines[eventsTable])
	}
	var said []string
	for _, l := range lines[problemsTable] {
		said = append(said, fmt.Sprint(l["where"], ": ", l["problem"]))
	}
	text := strings.Join(said, "\n")
	for _, want := range []string{damaged + ": job.json is damaged", failed + ": 1 damaged lines", `nowhere`, `jobs of kind "juggle" are not known`} {
		if !strings.Contains(text, want) {
			t.Errorf("no problem says %q:\n%s", want, text)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 { // study.json, jobs, batches
		t.Errorf("looking left %v in the study, %v", entries, err)
	}
}

func TestResultsOfANotebook(t *testing.T) {
	dir := t.TempDir()
	output := func(mime, data string) string {
		return `{"output_type": "display_data", "metadata": {}, "data": {"` + mime + `": ` + data + `}}`
	}
	search := output("application/vnd.evalnas.search.v1+json", `{"schema": 1, "version": "1", "numerics": 1, "name": "random", "runs": [{"seed": 4, "state": "failed", "error": "out of memory"}, {"seed": 5, "state": "done", "value": 2}]}`)
	outputs := []string{
		search, search, // shown twice
		output("application/vnd.evalnas.search.v1+json", `{"schema": 9, "version": "7"}`),
		output("application/vnd.evalnas.training.v1+json", `[]`),
		output("application/vnd.evalnas.ranking.v1+json", `{"schema": "evalnas.ranking.v3", "version": "7"}`),
		output("application/vnd.evalnas.juggling.v1+json", `{}`),
		output("application/vnd.evalnas.result.v1+json", `{"schema": 1}`),
	}
	path := filepath.Join(dir, "x.ipynb")
	writeFile(t, path, `{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"id": "a", "cell_type": "code", "execution_count": 3, "metadata": {}, "source": "1", "outputs": [`+strings.Join(outputs, ",")+`]}]}`)
	lines := tableLines(t, path)
	var rows []string
	for _, l := range lines[resultsTable] {
		rows = append(rows, fmt.Sprint(l["source"], l["cell"], l["seed"], l["state"], l["error"], l["value"]))
	}
	if got, want := strings.Join(rows, "; "), "search3 4failedout of memory<nil>; search3 5done<nil>2"; strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("rows %s, want %s", got, want)
	}
	var said []string
	for _, l := range lines[problemsTable] {
		said = append(said, fmt.Sprint(l["problem"]))
	}
	text := strings.Join(said, "\n")
	for _, want := range []string{`schema 9, this program reads 1: use a program of their version "7"`, "data are damaged", `schema "evalnas.ranking.v3"`, "juggling.v1+json is not known", "the result has no groups"} {
		if !strings.Contains(text, want) {
			t.Errorf("no problem says %q:\n%s", want, text)
		}
	}
	if len(said) != 5 {
		t.Errorf("%d problems: %s", len(said), text)
	}
}

func TestResultsNamesWhatIsNoSource(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "x.txt"), "x")
	writeFile(t, filepath.Join(dir, "with", ".evalnas", "study.json"), `{"schema":1}`)
	writeFile(t, filepath.Join(dir, "empty.ipynb"), `{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}`)
	for path, want := range map[string]string{
		"nowhere": "there is no", "x.txt": "neither a folder nor a notebook", ".": "is no study", "with": filepath.Join("with", ".evalnas") + " is: give that", "empty.ipynb": "has no outputs",
	} {
		var out bytes.Buffer
		if err := runResults(filepath.Join(dir, path), &out); err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%s: %v and %q, want %q", path, err, out.String(), want)
		}
	}
}
