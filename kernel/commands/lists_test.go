package commands

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tabled is a notebook with a table of every seed of an oracle search and of draws.
func tabled(t *testing.T) *notebook {
	t.Helper()
	n := newNotebook(t)
	n.run(`space = nasbench101(max_vertices=5)
by = nasbench101_table().metric("test")
found = search("random", space, by, seeds=[1, 2, 3], budget=4)
wait(found)
result = compare(found, sample_random(space, seeds=[1, 2, 3]), by=by)
seeds = result.seeds`)
	return n
}

func TestTablesAreSortedAndFiltered(t *testing.T) {
	notShort(t)
	n := tabled(t)
	for expr, want := range map[string]string{
		"len(seeds)":                      "6",
		"[s['seed'] for s in seeds[1:3]]": "[2, 3]",
		"seeds[0]['group']":               `"random"`,
		"[s['rank'] for s in seeds.sort('rank')] == sorted([s['rank'] for s in seeds])":                                                         "True",
		"[s['rank'] for s in seeds.sort('rank', reverse=True)] == sorted([s['rank'] for s in seeds], reverse=True)":                             "True",
		"[s['seed'] for s in seeds.sort('seed')]":                                                                                               "[1, 1, 2, 2, 3, 3]",
		"[s['group'] for s in seeds.sort('seed')][:2]":                                                                                          `["random", "sample_random"]`, // equal rows keep their order
		"[s['seed'] for s in seeds.filter(group='sample_random')]":                                                                              "[1, 2, 3]",
		"[s['seed'] for s in seeds.filter(lambda s: s['seed'] > 2)]":                                                                            "[3, 3]",
		"len(seeds.filter(lambda s: s['seed'] > 2, group='random'))":                                                                            "1",
		"len(seeds.filter(state='failed'))":                                                                                                     "0",
		"[g['name'] for g in result.table.sort('values.mean')] == [g['name'] for g in sorted(result.table, key=lambda g: g['values']['mean'])]": "True",
		"len(result.table.sort('best rank'))":                                                                                                   "2", // a title of what is shown
		"[s for s in seeds.sort('rank')] == [s for s in seeds]":                                                                                 n.value("[s['rank'] for s in seeds] == sorted([s['rank'] for s in seeds])"),
		"type(seeds.sort('rank')) == type(seeds)":                                                                                               "True",
		"len(seeds.sort('rank').filter(group='random')[:2])":                                                                                    "2",
	} {
		if got := n.value(expr); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
	// What is shown is in the same order, under the watermark and with the notes.
	b, _ := n.run("seeds.sort('rank').filter(group='sample_random')")
	text := b.Data["text/plain"].(string)
	if !strings.HasPrefix(text, oracleWatermark) || !strings.Contains(text, "3 of 6 rows") || strings.Count(text, "sample_random") != 3 {
		t.Errorf("shown:\n%s", text)
	}
	for code, want := range map[string]string{
		"seeds.sort('rnk')":                        `did you mean "rank"`,
		"seeds.sort('architecture')":               "have no order",
		"seeds.filter()":                           "give a function of a row",
		"seeds.filter(stat='done')":                `did you mean "state"`,
		"seeds.filter(lambda s: s['nothing'] > 1)": "nothing",
		"seeds.save('x.xlsx')":                     ".csv, .jsonl, .md and .tex",
		"seeds.append({})\nseeds.sort('rank')":     "was changed",
	} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", code, err, want)
		}
		n.run("seeds = result.seeds")
	}
	n.run("help(seeds)")
}

func TestTablesAreSaved(t *testing.T) {
	notShort(t)
	n := tabled(t)
	n.run(`seeds.save("s.csv")
seeds.save("s.jsonl")
seeds.save("s.md")
seeds.save("s.tex")`)
	read := func(name string) string {
		raw, err := os.ReadFile(filepath.Join(n.env.Dir, name))
		if err != nil || !strings.Contains(string(raw), "ORACLE: guided by the test column") {
			t.Fatalf("%s: %v\n%.300s", name, err, raw)
		}
		return string(raw)
	}
	lines, err := csv.NewReader(strings.NewReader(read("s.csv"))).ReadAll()
	if err != nil || len(lines) != 7 || strings.Join(lines[0][:3], " ") != "group seed state" {
		t.Fatalf("CSV: %v, %v", lines, err)
	}
	at := map[string]int{}
	for i, title := range lines[0] {
		at[title] = i
	}
	if got := lines[1][at["value"]]; got != n.value("seeds[0]['value']") { // unrounded
		t.Errorf("value %s", got)
	}
	for _, line := range strings.Split(strings.TrimSpace(read("s.jsonl")), "\n") {
		var row struct {
			Group string
			Value float64
			Marks []string
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.Value == 0 || len(row.Marks) != 1 {
			t.Errorf("%s: %v", line, err)
		}
	}
	tex := read("s.tex")
	for _, want := range []string{`\toprule`, `\midrule`, `\bottomrule`, `value \% & rank`, `sample\_random & 1 & done &`, `random {[}oracle{]}`} {
		if !strings.Contains(tex, want) {
			t.Errorf("LaTeX has no %s:\n%s", want, tex)
		}
	}
	if md := read("s.md"); !strings.Contains(md, "| group | seed |") {
		t.Errorf("Markdown: %s", md)
	}
	if got := n.value("seeds.csv() == seeds.filter(lambda s: True).csv()"); got != "True" {
		t.Error("a filter that keeps all changes the file")
	}
}

func TestLaTeXIsEscaped(t *testing.T) {
	for in, want := range map[string]string{
		`50 % of a_b & {c} $1 #2 ~ ^ \`: `50 \% of a\_b \& \{c\} \$1 \#2 \textasciitilde{} \textasciicircum{} \textbackslash{}`,
		"93.1 ± 0.2, p < 0.05":          `93.1 $\pm$ 0.2, p $<$ 0.05`,
		"[1, 2]":                        `{[}1, 2{]}`,
		"Zürich\nzwei":                  "Zürich zwei",
	} {
		if got := texText(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
