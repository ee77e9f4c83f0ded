package frame

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// all asks for every column as options, or as numbers.
func all(number bool) func([]string) ([]Column, error) {
	return func(names []string) ([]Column, error) {
		var columns []Column
		for _, n := range names {
			columns = append(columns, Column{Name: n, Number: number})
		}
		return columns, nil
	}
}

func one(name string, number bool) func([]string) ([]Column, error) {
	return func([]string) ([]Column, error) { return []Column{{Name: name, Number: number}}, nil }
}

// values are the options of the rows, and what has none.
func values(o *Options) string {
	var texts []string
	for _, n := range o.Of {
		if n == Missing {
			texts = append(texts, "-")
		} else {
			texts = append(texts, string(o.Values[n]))
		}
	}
	return strings.Join(texts, " ")
}

func kinds(t testing.TB) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "kinds.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// testdata/kinds.py wrote the file: row groups, compressions and types of pyarrow.
func TestParquetTypes(t *testing.T) {
	content := kinds(t)
	for _, c := range []struct{ name, options, numbers, problem string }{
		{name: "float", options: "0 0.1 0.2 0.3 0.4 0.5 0.6", numbers: "[0 0.1 0.2 0.3 0.4 0.5 0.6]"},
		{name: "double", options: "0 0.3333333333333333 - 1 1.3333333333333333 1.6666666666666667 2", numbers: "[0 0.3333333333333333 NaN 1 1.3333333333333333 1.6666666666666667 2]"},
		{name: "nan", options: "0 1 2 3 - 5 6", numbers: "[0 1 2 3 NaN 5 6]"},
		{name: "infinite", problem: "row 5"},
		{name: "byte", options: "250 251 252 250 251 252 250", numbers: "[250 251 252 250 251 252 250]"},
		{name: "unsigned", options: "18446744073709551615 18446744073709551614 18446744073709551613 18446744073709551612 18446744073709551611 18446744073709551610 18446744073709551609"},
		{name: "long", options: "-1152921504606846976 -1152921504606846975 -1152921504606846974 -1152921504606846973 -1152921504606846972 -1152921504606846971 -1152921504606846970"},
		{name: "truth", options: "true false true - true false true"},
		{name: "text", options: `"t0" "t1" "t0" "t1" "t0" - "t0"`},
		{name: "category", options: `"b" "a" "b" "a" "c" "a" "b"`},
		{name: "binary", problem: "UTF-8"},
		{name: "null", options: "- - - - - - -", numbers: "[NaN NaN NaN NaN NaN NaN NaN]"},
		{name: "time", problem: "TIMESTAMP"}, {name: "date", problem: "DATE"}, {name: "decimal", problem: "DECIMAL"},
		{name: "list", problem: "lists or records"}, {name: "record", problem: "lists or records"},
	} {
		f, err := Read(content, one(c.name, false))
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: %v; want %q", c.name, err, c.problem)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := values(f.Options(c.name)); got != c.options || f.Rows() != 7 || f.Where(6) != "row 7" {
			t.Errorf("%s: %s, not %s; %d rows", c.name, got, c.options, f.Rows())
		}
		f, err = Read(content, one(c.name, true))
		switch {
		case c.numbers != "":
			if err != nil || fmt.Sprint(f.Numbers(c.name)) != c.numbers {
				t.Errorf("%s: not %s (%v)", c.name, c.numbers, err)
			}
		case c.name == "unsigned" || c.name == "long":
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		case err == nil || !strings.Contains(err.Error(), "not a finite number"):
			t.Errorf("%s was read as numbers: %v", c.name, err)
		}
	}
}

// A Parquet file that is cut or changed anywhere gives an error or another table, never a
// panic.
func TestDamagedParquet(t *testing.T) {
	content := kinds(t)
	wanted := func([]string) ([]Column, error) {
		return []Column{{Name: "double", Number: true}, {Name: "text"}, {Name: "truth"}, {Name: "category"}}, nil
	}
	if _, err := Read(content, wanted); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(content); at += 131 {
		if f, err := Read(content[:at], wanted); err == nil {
			t.Errorf("the first %d bytes were read as %d rows", at, f.Rows())
		}
		flipped := bytes.Clone(content)
		flipped[at] ^= 0x20
		_, _ = Read(flipped, wanted)
	}
}

func TestCSVTypes(t *testing.T) {
	for _, c := range []struct{ content, want string }{
		{"a\n1\n2.0\n1e0\n", "1 2 1"},
		{"a\nTrue\nfalse\nTRUE\n", "true false true"},
		{"a\n1\ntrue\n", `"1" "true"`},
		{"a\n1\nx\n", `"1" "x"`},
		{"\ufeffa\r\nnone\r\nskip\r\n", `"none" "skip"`},
		{"a,b\n1,\n,2\n", "1 -"},
		{"a;b\n1;2\n", "1"},
		{"b\ta\n1\t\" 2\t\"\n", "2"},
		{"\"a\"\n\"x\"\"y\"\n\"p\nq\"\nz\n", `"x\"y" "p\nq" "z"`},
		{"a\n0.1\n1_0\n", `"0.1" "1_0"`},
	} {
		f, err := Read([]byte(c.content), one("a", false))
		if err != nil {
			t.Errorf("%q: %v", c.content, err)
			continue
		}
		if got := values(f.Options("a")); got != c.want {
			t.Errorf("%q: %s, not %s", c.content, got, c.want)
		}
	}
	f, err := Read([]byte("a\n\"p\nq\"\nz\n"), one("a", false))
	if err != nil || f.Where(1) != "line 4" {
		t.Errorf("the second row is at %s, not line 4 (%v)", f.Where(1), err)
	}
	s := f.Select([]int{1})
	if s.Rows() != 1 || s.Where(0) != "line 4" || values(s.Options("a")) != `"z"` {
		t.Errorf("selected: %d rows, %s", s.Rows(), values(s.Options("a")))
	}
}

func TestLines(t *testing.T) {
	content := `{"a": 1, "b": "x", "c": true}

{"b": null, "a": 2.50, "c": false, "d": 1}
{"a": 1e0}
`
	f, err := Read([]byte(content), all(false))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "1 2.5 1", "b": `"x" - -`, "c": "true false -"} {
		if got := values(f.Options(name)); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
	if f.Where(1) != "line 3" {
		t.Error(f.Where(1))
	}
	if f, err = Read([]byte(content), one("a", true)); err != nil || !slices.Equal(f.Numbers("a"), []float64{1, 2.5, 1}) {
		t.Errorf("%v", err)
	}
}

// Whatever the bytes are, reading ends with an error or with as many values as rows.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"a,b\n1,x\n2,y\n", "a;b\n\"1\n\";2\n", `{"a":1,"b":"x"}` + "\n" + `{"a":null}`, "\ufeffa\tb\n", "PAR1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, number := range []bool{false, true} {
			var names []string
			read, err := Read(content, func(n []string) ([]Column, error) {
				names = n
				return all(number)(n)
			})
			if err != nil {
				if len(err.Error()) > 4000 {
					t.Errorf("an error of %d characters", len(err.Error()))
				}
				continue
			}
			for _, name := range names {
				if number {
					checkNumbers(t, read, name)
				} else {
					checkOptions(t, read, name)
				}
			}
		}
	})
}

func checkNumbers(t *testing.T, f *Frame, name string) {
	t.Helper()
	n := f.Numbers(name)
	if len(n) != f.Rows() || slices.ContainsFunc(n, func(v float64) bool { return math.IsInf(v, 0) }) {
		t.Errorf("%q: %d numbers in %d rows", name, len(n), f.Rows())
	}
}

func checkOptions(t *testing.T, f *Frame, name string) {
	t.Helper()
	o := f.Options(name)
	if len(o.Of) != f.Rows() {
		t.Errorf("%q: %d options in %d rows", name, len(o.Of), f.Rows())
	}
	for i, n := range o.Of {
		if n < Missing || int(n) >= len(o.Values) {
			t.Errorf("%q: row %d has option %d of %d", name, i, n, len(o.Values))
		}
	}
}
