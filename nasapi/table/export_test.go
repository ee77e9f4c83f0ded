package table

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"evalnas/nasapi/space"
	"evalnas/nasapi/table/tabletest"
)

// lines are an exported file's, as text by column.
func lines(t *testing.T, path string) (all []map[string]string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch filepath.Ext(path) {
	case ".csv":
		rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			line := map[string]string{}
			for i, name := range rows[0] {
				line[name] = row[i]
			}
			all = append(all, line)
		}
	case ".jsonl":
		for text := range bytes.Lines(data) {
			var values map[string]any
			decoder := json.NewDecoder(bytes.NewReader(text))
			decoder.UseNumber()
			if err := decoder.Decode(&values); err != nil {
				t.Fatal(err)
			}
			line := map[string]string{}
			for name, v := range values {
				line[name] = fmt.Sprint(v)
			}
			all = append(all, line)
		}
	default:
		f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range f.RowGroups() {
			rows := group.Rows()
			buffer := make([]parquet.Row, group.NumRows())
			if n, _ := rows.ReadRows(buffer); n != len(buffer) {
				t.Fatalf("%d rows of %d", n, len(buffer))
			}
			for _, row := range buffer {
				line := map[string]string{}
				for i, column := range f.Schema().Columns() {
					line[column[0]] = row[i].String()
					if row[i].Kind() == parquet.Double {
						line[column[0]] = exportText(row[i].Double())
					}
				}
				all = append(all, line)
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

func TestExport(t *testing.T) {
	tables(t)
	tab := imported(t, small)
	dir := t.TempDir()
	for _, ext := range []string{".csv", ".jsonl", ".parquet"} {
		for _, s := range []space.Finite{tab.Space(), subspace(t, 3)} {
			path := filepath.Join(dir, "out"+ext)
			if err := Export(tab, s, path); err != nil {
				t.Fatal(err)
			}
			all := lines(t, path)
			if len(all) != s.Len() {
				t.Fatalf("%s: %d lines for %d cells", ext, len(all), s.Len())
			}
			for i, line := range all {
				checkLine(t, tab, s.At(i).(*space.Cell), line)
			}
		}
	}
}

func checkLine(t *testing.T, tab *Imported, c *space.Cell, line map[string]string) {
	t.Helper()
	params, err := tab.Params(c)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := space.NASBench101(7); err != nil {
		t.Fatal(err)
	} else if row, err := n.TextRow([]byte(line["matrix"]), []byte(line["ops"])); err != nil || n.At(row).Hash() != c.Hash() {
		t.Fatalf("the cell of %v is row %d, %v", line, row, err)
	}
	if line["hash"] != c.Hash() || line["params"] != strconv.FormatInt(params, 10) || line["vertices"] != strconv.Itoa(c.Vertices()) || line["edges"] != strconv.Itoa(c.Edges()) {
		t.Fatalf("%s: %v", c, line)
	}
	n := 6
	for _, m := range tab.Metrics() {
		half := ""
		if m.Halfway {
			half = "_half"
		}
		for suffix, repeat := range map[string]int{"r0": 0, "r1": 1, "r2": 2, "mean": RepeatMean} {
			m.Repeat = repeat
			v, err := tab.Value(m, c)
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%s_%d%s_%s", m.Name, m.Epochs, half, suffix)
			if got, err := strconv.ParseFloat(line[name], 64); err != nil || got != v {
				t.Fatalf("%s of %s: %q, want %v (%v)", name, c, line[name], v, err)
			}
			n++
			if m.Name != Test || repeat == RepeatMean {
				continue
			}
			cost, err := tab.Cost(m, c)
			if err != nil {
				t.Fatal(err)
			}
			name = fmt.Sprintf("seconds_%d%s_%s", m.Epochs, half, suffix)
			if got, err := strconv.ParseFloat(line[name], 64); err != nil || got != cost.Seconds {
				t.Fatalf("%s of %s: %q, want %v (%v)", name, c, line[name], cost.Seconds, err)
			}
			n++
		}
	}
	if len(line) != n {
		t.Fatalf("%d columns, %d known", len(line), n)
	}
}

func TestExportEmbedded(t *testing.T) {
	tab := open(t)
	path := filepath.Join(t.TempDir(), "out.csv")
	if err := Export(tab, subspace(t, 4), path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(data), "hash,params,vertices,edges,matrix,ops,test_108_r0\n") || bytes.Count(data, []byte("\n")) != 92 {
		t.Errorf("%.200s", data)
	}
}

func TestExportRefuses(t *testing.T) {
	tables(t)
	tab := imported(t, tabletest.File{MaxVertices: 3, Epochs: []int{108}})
	dir := t.TempDir()
	for _, name := range []string{"out", "out.xlsx", "out.csv.gz"} {
		if err := Export(tab, tab.Space(), filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), ".parquet") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Export(tab, subspace(t, 4), filepath.Join(dir, "out.csv")); err == nil || !strings.Contains(err.Error(), "max_vertices=3") {
		t.Errorf("a larger space: %v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("%v are left, %v", files, err)
	}
}
