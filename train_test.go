package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evalnas/nasapi/train"
)

func TestTrainInTheTerminal(t *testing.T) {
	dir := t.TempDir()
	result := filepath.Join(dir, "result.json")
	args := []string{"train", "DARTS_V2", "--data", "synthetic", "--epochs", "2", "--set", "channels=4", "--set", "cells=3", "--set", "auxiliary=false"}
	_, errs, err := runCommand(t, newTrainCommand(), append(args[1:], "--out", result, "--checkpoint", filepath.Join(dir, "state"), "--tensorboard", filepath.Join(dir, "board"), "--weights", filepath.Join(dir, "w.safetensors"))...)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 epochs", "parameters", "epoch 1: loss", "epoch 2: loss", "validation"} {
		if !strings.Contains(errs, want) {
			t.Errorf("it does not say %q:\n%s", want, errs)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "board", "*tfevents*")); err != nil || len(files) != 1 {
		t.Errorf("TensorBoard has %v: %v", files, err)
	}
	if content, err := os.ReadFile(filepath.Join(dir, "w.safetensors")); err != nil || !bytes.Contains(content, []byte("classifier.weight")) {
		t.Errorf("the weights are %d bytes: %v", len(content), err)
	}
	text, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	var r train.Result
	if err := json.Unmarshal(text, &r); err != nil || len(r.Curve) != 2 || r.Test == nil || r.Params == 0 || !r.Synthetic {
		t.Errorf("the result is %s: %v", text, err)
	}
}

func TestParamsOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cell.json")
	cell := `{"matrix": [[0,1,0],[0,0,1],[0,0,0]], "ops": ["input","conv3x3-bn-relu","output"]}`
	if err := os.WriteFile(file, []byte(cell), 0o600); err != nil {
		t.Fatal(err)
	}
	for arch, want := range map[string]string{"DARTS_V2": "3349342\n", "darts_1268": "", file: "", cell: ""} {
		out, _, err := runCommand(t, newTrainCommand(), "--params-only", arch)
		if err != nil || want != "" && out != want || len(out) < 6 {
			t.Errorf("%s has %q parameters: %v", arch, out, err)
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"--data is missing":          {"train", "DARTS_V2"},
		"no such":                    {"train", "no such genotype", "--data", "synthetic"},
		`did you mean "DARTS_V1"`:    {"train", "DARTS_V9", "--data", "synthetic"},
		"write NAME=VALUE":           {"train", "DARTS_V2", "--data", "synthetic", "--set", "channels"},
		"channels is wide":           {"train", "DARTS_V2", "--data", "synthetic", "--set", "channels=wide"},
		"no data set":                {"train", "DARTS_V2", "--data", "no-such-set"},
		"a batch of 96000 images is": {"train", "DARTS_V2", "--data", "synthetic", "--set", "batch=96000"},
	} {
		_, _, err := runCommand(t, newTrainCommand(), args[1:]...)
		if want == "no data set" {
			want = "no-such-set"
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v does not say %q", args, err, want)
		}
	}
}
