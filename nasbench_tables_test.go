package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/table"
	"evalnas/nasapi/table/tabletest"
)

// tableFile writes a data set's file and sets an empty folder of tables up.
func tableFile(tb testing.TB, file tabletest.File) string {
	tb.Helper()
	tb.Setenv(table.FolderVariable, filepath.Join(tb.TempDir(), "tables"))
	path := filepath.Join(tb.TempDir(), "nasbench.tfrecord")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := errors.Join(tabletest.Write(f, file), f.Close()); err != nil {
		tb.Fatal(err)
	}
	return path
}

// nasbench runs evalnas nasbench.
func nasbench(tb testing.TB, in string, args ...string) (string, error) {
	tb.Helper()
	cmd := newNASBenchCommand()
	var out bytes.Buffer
	cmd.SetIn(strings.NewReader(in))
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(tb.Context())
	return out.String(), err
}

var smallFile = tabletest.File{MaxVertices: 4, Epochs: []int{36, 108}, Seed: 1}

func TestNASBenchImport(t *testing.T) {
	path := tableFile(t, smallFile)
	text, err := nasbench(t, "", "import", path, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var r tableReport
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Cells != 91 || r.Space != "nasbench101(max_vertices=4)" || len(r.Epochs) != 2 || len(r.Digest) != 64 {
		t.Fatalf("%s: %v", text, err)
	}
	store := filepath.Join(t.TempDir(), "small.table")
	if text, err := nasbench(t, "", "import", path, "-o", store); err != nil || !strings.Contains(text, r.Digest) || !strings.Contains(text, store) {
		t.Errorf("%s, %v", text, err)
	}
	for _, file := range []string{store, r.Path} {
		if text, err := nasbench(t, "", "verify", file); err != nil || !strings.Contains(text, r.Digest) {
			t.Errorf("%s, %v", text, err)
		}
	}
	data, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	data[100] ^= 1
	if err := os.WriteFile(store, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := nasbench(t, "", "verify", store); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%v", err)
	}
	for _, args := range [][]string{{"import"}, {"import", "none"}, {"import", path, "-o", path}, {"import", path, "-o", filepath.Join(t.TempDir(), "no", "x.table")}, {"verify", path}} {
		if _, err := nasbench(t, "", args...); err == nil {
			t.Errorf("%v was done", args)
		}
	}
}

func TestNASBenchQueryOfTables(t *testing.T) {
	path := tableFile(t, smallFile)
	const chain = `{"matrix": [[0,1,0],[0,0,1],[0,0,0]], "ops": ["input","conv3x3-bn-relu","output"]}`
	ask := func(args ...string) map[string]any {
		t.Helper()
		in := chain + "\n" + inception + "\n{\n"
		text, err := nasbench(t, in, append([]string{"query", "--table", path}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		var lines []map[string]any
		for line := range strings.Lines(text) {
			var answer map[string]any
			if err := json.Unmarshal([]byte(line), &answer); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, answer)
		}
		if len(lines) != 3 || lines[1]["valid"] != false || lines[1]["test"] != nil || lines[2]["error"] == nil {
			t.Fatalf("%v", lines)
		}
		return lines[0]
	}
	mean, first, half := ask(), ask("--repeat", "0", "--epochs", "36"), ask("--repeat", "0", "--epochs", "36", "--halfway")
	if mean["repeat"] != "mean" || mean["epochs"] != 108. || mean["valid"] != true || first["repeat"] != 0. || first["epochs"] != 36. || half["halfway"] != true {
		t.Errorf("%v, %v, %v", mean, first, half)
	}
	if 2*half["seconds"].(float64) != first["seconds"].(float64) || first["test"] == mean["test"] || first["valid_accuracy"] == first["test"] {
		t.Errorf("%v, %v, %v", mean, first, half)
	}
	for _, key := range []string{"rank", "ties", "percentile", "valid_rank", "valid_ties", "valid_percentile", "train_accuracy", "params"} {
		if mean[key] == nil {
			t.Errorf("no %s in %v", key, mean)
		}
	}
	// A hash without its cell, and the same seed.
	text, err := nasbench(t, fmt.Sprintf(`{"hash": %q}`, mean["hash"]), "query", "--table", path, "--repeat", "drawn", "--seed", "5")
	again, err2 := nasbench(t, fmt.Sprintf(`{"hash": %q}`, mean["hash"]), "query", "--table", path, "--repeat", "drawn", "--seed", "5")
	if err != nil || err2 != nil || text != again || !strings.Contains(text, `"repeat":`) {
		t.Errorf("%s, %s, %v, %v", text, again, err, err2)
	}
	for _, args := range [][]string{{"--epochs", "50"}, {"--repeat", "average"}, {"--repeat", "3"}} {
		if _, err := nasbench(t, chain, append([]string{"query", "--table", path}, args...)...); err == nil {
			t.Errorf("%v was answered", args)
		}
	}
	if _, err := nasbench(t, chain, "query", "--halfway"); err == nil || !strings.Contains(err.Error(), "end of the training only") {
		t.Errorf("the embedded table, halfway: %v", err)
	}
}

func TestNASBenchExport(t *testing.T) {
	path := tableFile(t, smallFile)
	dir := t.TempDir()
	for args, want := range map[string]int{"--table " + path + " a.csv": 92, "--table " + path + " --max-vertices 3 b.csv": 8, "--max-vertices 4 c.csv": 92} {
		words := strings.Fields(args)
		out := filepath.Join(dir, words[len(words)-1])
		if _, err := nasbench(t, "", append(append([]string{"export"}, words[:len(words)-1]...), out)...); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(out)
		if got := bytes.Count(data, []byte("\n")); err != nil || got != want {
			t.Errorf("%s: %d lines, want %d (%v)", args, got, want, err)
		}
	}
}

// An import that is killed at any moment leaves nothing that opens half.
func TestNASBenchImportKilled(t *testing.T) {
	path := tableFile(t, tabletest.File{MaxVertices: 5, Epochs: []int{4, 108}, Seed: 2})
	folder := os.Getenv(table.FolderVariable)
	importUntil := func(after time.Duration) (whole bool) {
		cmd := exec.Command(os.Args[0], "nasbench", "import", path)
		cmd.Env = append(os.Environ(), programVariable+"=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
		defer timer.Stop()
		return cmd.Wait() == nil
	}
	began := time.Now()
	if !importUntil(time.Minute) {
		t.Fatal("an import that nobody killed failed")
	}
	took := time.Since(began)
	const kills = 12
	for i := range kills {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		whole := importUntil(took * time.Duration(i+1) / kills)
		stores, err := filepath.Glob(filepath.Join(folder, "*.table"))
		if err != nil {
			t.Fatal(err)
		}
		if len(stores) > 1 || whole && len(stores) == 0 {
			t.Fatalf("killed after %d/%d: %v", i+1, kills, stores)
		}
		for _, store := range stores {
			tab, err := table.OpenStore(store)
			if err == nil {
				err = tab.Verify()
			}
			if err != nil {
				t.Errorf("killed after %d/%d of %v: %v", i+1, kills, took, err)
			}
		}
	}
	if !importUntil(time.Minute) {
		t.Error("what was left kept the next import from its work")
	}
}
