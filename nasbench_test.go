package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
)

// answers runs one of the commands and decodes its lines.
func answers(tb testing.TB, run func(io.Reader, io.Writer) error, in string) []map[string]any {
	tb.Helper()
	var out bytes.Buffer
	if err := run(strings.NewReader(in), &out); err != nil {
		tb.Fatal(err)
	}
	var lines []map[string]any
	for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		var answer map[string]any
		if err := json.Unmarshal([]byte(line), &answer); err != nil {
			tb.Fatalf("%v in %q", err, line)
		}
		lines = append(lines, answer)
	}
	return lines
}

const inception = `{"matrix": [[0,1,1,1,0,1,0],[0,0,0,0,0,0,1],[0,0,0,0,0,0,1],[0,0,0,0,1,0,0],[0,0,0,0,0,0,1],[0,0,0,0,0,0,1],[0,0,0,0,0,0,0]], ` +
	`"ops": ["input","conv1x1-bn-relu","conv3x3-bn-relu","conv3x3-bn-relu","conv3x3-bn-relu","maxpool3x3","output"]}`

func TestNASBenchHashVectors(t *testing.T) {
	raw, err := os.ReadFile("nasapi/space/testdata/hash_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []map[string]any }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	var in bytes.Buffer
	for _, v := range file.Vectors {
		line, err := json.Marshal(map[string]any{"matrix": v["matrix"], "ops": v["ops"]})
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	lines := answers(t, runNASBenchHash, in.String())
	if len(lines) != len(file.Vectors) || len(lines) != 51 {
		t.Fatalf("%d answers to %d vectors", len(lines), len(file.Vectors))
	}
	for i, v := range file.Vectors {
		got := lines[i]
		if h, ok := got["hash"]; !ok || h != v["hash"] {
			t.Errorf("%s: hash %v, want %v", v["name"], h, v["hash"])
		}
		if got["valid"] != v["in_search_space"] || (got["reason"] == "") != (v["in_search_space"] == true) {
			t.Errorf("%s: valid %v because %v, want %v", v["name"], got["valid"], got["reason"], v["in_search_space"])
		}
		if v["hash"] != nil && !sameJSON(t, got["matrix"], v["pruned_matrix"]) {
			t.Errorf("%s: matrix %v, want %v", v["name"], got["matrix"], v["pruned_matrix"])
		}
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

// A bad line answers with what is wrong with it, on its own line.
func TestNASBenchBadLines(t *testing.T) {
	long := `{"matrix": [` + strings.Repeat("[0],", 1e6) + `[0]]}`
	for _, run := range []func(io.Reader, io.Writer) error{runNASBenchHash, runNASBenchQuery} {
		for _, c := range []struct{ name, line, want string }{
			{"no JSON", `{"matrix": [[`, "not a JSON object"},
			{"a list", `[1, 2]`, "not a JSON object"},
			{"a number", `7`, "not a JSON object"},
			{"nested too deeply", strings.Repeat("[", 20000), "not a JSON object"},
			{"empty object", `{}`, `no "matrix" and no "ops"`},
			{"no ops", `{"matrix": [[0,1],[0,0]]}`, `no "ops"`},
			{"null", `null`, `no "matrix"`},
			{"too long", long, "longer than"},
			{"not UTF-8", "\xff\xfe", "not a JSON object"},
			{"text in the matrix", `{"matrix": [["a"]], "ops": ["input"]}`, `found string in "matrix"`},
			{"fraction", `{"matrix": [[0,0.5],[0,0]], "ops": ["input","output"]}`, `found number 0.5 in "matrix"`},
			{"not square", `{"matrix": [[0,1],[0]], "ops": ["input","output"]}`, "not square"},
			{"lower triangle", `{"matrix": [[0,1],[1,0]], "ops": ["input","output"]}`, "upper triangular"},
			{"operation", `{"matrix": [[0,1,0],[0,0,1],[0,0,0]], "ops": ["input","conv3x3","output"]}`, "did you mean \"conv3x3-bn-relu\"?"},
			{"hash is a number", `{"hash": 5}`, `found number in "hash"`},
		} {
			lines := answers(t, run, c.line+"\n"+inception)
			if len(lines) != 2 {
				t.Fatalf("%s: %d answers to 2 lines", c.name, len(lines))
			}
			message, _ := lines[0]["error"].(string)
			if !strings.Contains(message, c.want) || len(message) > 400 {
				t.Errorf("%s: error %q, want %q in it", c.name, message, c.want)
			}
			if lines[1]["hash"] != "28cfc7874f6d200472e1a9dcd8650aa0" {
				t.Errorf("%s: the line behind it got %v", c.name, lines[1])
			}
		}
	}
}

func TestNASBenchQuery(t *testing.T) {
	in := strings.Join([]string{
		inception,
		`{"hash": "28cfc7874f6d200472e1a9dcd8650aa0"}`,
		"",
		`{"hash": "00000000000000000000000000000000"}`,
		`{"hash": "xyz"}`,
		`{"matrix": [[0,1],[0,0]], "ops": ["input","output"], "hash": "28cfc7874f6d200472e1a9dcd8650aa0"}`,
		`{"matrix": [[0,0],[0,0]], "ops": ["input","output"]}`,
		`{"matrix": [[0,1],[0,0]], "ops": ["start","output"]}`,
	}, "\n")
	lines := answers(t, runNASBenchQuery, in)
	if len(lines) != 7 {
		t.Fatalf("%d answers to 7 lines and a blank one", len(lines))
	}
	for _, a := range lines[:2] {
		if a["hash"] != "28cfc7874f6d200472e1a9dcd8650aa0" || a["valid"] != true || a["params"] != 2694282. ||
			a["epochs"] != 108. || a["repeat"] != 0. || a["test"] != lines[0]["test"] || a["rank"] != lines[0]["rank"] {
			t.Errorf("answer %v", a)
		}
		test, _ := a["test"].(float64)
		if k := test * 9984; test < .9 || k != float64(int(k)) {
			t.Errorf("test accuracy %v is no multiple of 1/9984", a["test"])
		}
	}
	if a := lines[2]; a["valid"] != false || a["reason"] == "" || a["test"] != nil {
		t.Errorf("unknown hash: %v", a)
	}
	if e, _ := lines[3]["error"].(string); !strings.Contains(e, "32 hexadecimal digits") {
		t.Errorf("malformed hash: %v", lines[3])
	}
	if e, _ := lines[4]["error"].(string); !strings.Contains(e, "leave one of them out") {
		t.Errorf("contradiction: %v", lines[4])
	}
	for _, a := range lines[5:] {
		if a["valid"] != false || a["reason"] == "" || a["test"] != nil || a["error"] != nil {
			t.Errorf("outside: %v", a)
		}
	}
}

// What hash writes, query reads.
func TestNASBenchCommandsCompose(t *testing.T) {
	var out bytes.Buffer
	if err := runNASBenchHash(strings.NewReader(inception), &out); err != nil {
		t.Fatal(err)
	}
	lines := answers(t, runNASBenchQuery, out.String())
	if lines[0]["test"] == nil {
		t.Errorf("answer %v", lines[0])
	}
}

// The answer to a line comes before the next line is read.
func TestNASBenchAnswersAtOnce(t *testing.T) {
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- runNASBenchHash(inRead, outWrite) }()
	replies := bufio.NewReader(outRead)
	for range 3 {
		// A line and the beginning of the next one.
		if _, err := io.WriteString(inWrite, inception+"\n  "); err != nil {
			t.Fatal(err)
		}
		if reply, err := replies.ReadString('\n'); err != nil || !strings.Contains(reply, "28cfc7874f6d") {
			t.Fatalf("%q, %v", reply, err)
		}
	}
	if err := inWrite.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestNASBenchCount(t *testing.T) {
	for args, want := range map[string]string{"2": "1\n", "4": "91\n", "5": "2532\n"} {
		cmd := newNASBenchCommand()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs([]string{"count", "--vertices", args})
		if err := cmd.Execute(); err != nil || out.String() != want {
			t.Errorf("count --vertices %s: %q, %v; want %q", args, out.String(), err, want)
		}
	}
	if err := runNASBenchCount(8, io.Discard); err == nil || !strings.Contains(err.Error(), "2 to 7") {
		t.Errorf("8 vertices: %v", err)
	}
}

func FuzzNASBenchLine(f *testing.F) {
	f.Add(inception)
	f.Add(`{"hash": "28cfc7874f6d200472e1a9dcd8650aa0"}`)
	f.Add(`{"matrix": [[0,1],[0,0]], "ops": ["input","output"], "hash": null}`)
	f.Add("{}\n[]\n\n\"")
	f.Fuzz(func(t *testing.T, in string) {
		want := 0
		for _, line := range strings.Split(in, "\n") {
			if strings.TrimSpace(line) != "" {
				want++
			}
		}
		for _, run := range []func(io.Reader, io.Writer) error{runNASBenchHash, runNASBenchQuery} {
			var out bytes.Buffer
			if err := run(strings.NewReader(in), &out); err != nil {
				t.Fatal(err)
			}
			got := 0
			for _, line := range bytes.Split(out.Bytes(), []byte("\n")) {
				if len(line) == 0 {
					continue
				}
				got++
				var answer map[string]any
				if err := json.Unmarshal(line, &answer); err != nil {
					t.Fatalf("%v in %q", err, line)
				}
				if answer["error"] == nil && answer["reason"] == nil {
					t.Fatalf("neither an answer nor an error: %q", line)
				}
			}
			if got != want {
				t.Fatalf("%d answers to %d lines", got, want)
			}
		}
	})
}
