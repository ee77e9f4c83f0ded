package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"evalnas/nasapi/report"
)

// reported runs a comparison of four seeds and reports it.
func reported(t *testing.T, n *notebook) string {
	t.Helper()
	n.run(`space = nasbench101()
truth = nasbench101_table()
by = truth.metric("test")
drawn = sample_random(space, seeds=range(1268, 1272))
found = search("enas", space, params(), seeds=range(1268, 1272), budget=60)
plain = search("random", space, params(), seeds=range(1268, 1272), budget=60)
oracle = search("evolution", space, by, seeds=range(1268, 1272), budget=60)
wait(found, plain, oracle)
result = compare(found, plain, oracle, drawn, by=by)
r = report(result)`)
	if dir := os.Getenv("EVALNAS_KEEP_REPORT"); dir != "" { // to look at it
		n.run(fmt.Sprintf("r.save(%q)\nr.save(%q)", filepath.Join(dir, "report.html"), filepath.Join(dir, "report.md")))
	}
	b, _ := n.run("r")
	for _, mime := range []string{"text/html", "text/markdown", "text/plain", report.MIME} {
		if b.Data[mime] == nil {
			t.Fatalf("the report is not shown as %s", mime)
		}
	}
	return b.Data["text/html"].(string)
}

var tags = regexp.MustCompile(`<[^>]*>`)

func TestReportIsFilled(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	markup := reported(t, n)
	for _, want := range []string{"ORACLE", "Percentiles in the space", "p (exact)", "Cliff&#39;s delta", "device-hours", "Manifest", "Checklist", "@inproceedings{yu2020evaluating", "ying2019nasbench101", "@misc{evalnas", "data:image/svg+xml"} {
		if !strings.Contains(markup, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(tags.ReplaceAllString(markup, ""), "NaN") {
		t.Error("the page has a NaN")
	}
	// Effect size before p.
	if strings.Index(markup, "Cliff&#39;s delta") > strings.Index(markup, "Mann-Whitney U") {
		t.Error("p comes before the effect size")
	}
	raw := n.value("[(o['number'], o['state']) for o in r.outputs]")
	for i, want := range []string{"filled", "in part", "filled", "filled", "filled", "unknown", "in part", "in part", "in part", "filled", "filled", "filled", "filled", "filled", "in part"} {
		if entry := fmt.Sprintf(`(%d, "%s")`, i+1, want); !strings.Contains(raw, entry) {
			t.Errorf("output %d is not %s: %s", i+1, want, raw)
		}
	}
	if got := n.value("[o['number'] for o in r.outputs if o['state'] != 'filled' and not o.get('why')]"); got != "[]" {
		t.Errorf("outputs %s are not there and do not say why", got)
	}
	if got := n.value("len(r.checklist)"); got != "16" {
		t.Errorf("%s entries of the checklist", got)
	}
	if got := n.value("[c['question'] for c in r.checklist if c['answer'] == 'unknown' and 'fill in by hand' not in c['evidence']]"); got != "[]" {
		t.Errorf("unknown without a place to fill in: %s", got)
	}
	if got := n.value(`[row["share of the space, %"] < 1 for row in r.tables["reach"].filter(group="enas")]`); got != "[True]" {
		t.Errorf("ENAS reaches %s", got)
	}
	n.run("help(r)\nhelp(report)")
}

func TestReportIsSaved(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	reported(t, n)
	n.run(`r.save("full report.md")
r.save("report.html")
r.save("report.json")
r.save("report.bib")`)
	read := func(name string) string {
		raw, err := os.ReadFile(filepath.Join(n.env.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	md := read("full report.md")
	for _, m := range regexp.MustCompile(`!\[[^\]]*\]\(([^)]*)\)`).FindAllStringSubmatch(md, -1) {
		if svg := read(strings.ReplaceAll(m[1], "%20", " ")); !strings.Contains(svg, "<svg") || !strings.Contains(svg, "ORACLE") {
			t.Errorf("%s is no marked figure", m[1])
		}
	}
	if !strings.HasPrefix(md, "# Search against random sampling") || !strings.Contains(md, "> **ORACLE") || !strings.Contains(md, "_results.svg") || !strings.Contains(md, "```bibtex") {
		t.Errorf("Markdown: %.400s", md)
	}
	if page := read("report.html"); !strings.HasPrefix(page, "<!doctype html>") || !strings.Contains(page, `<meta charset="utf-8">`) {
		t.Errorf("page: %.200s", page)
	}
	var back report.Report
	if err := json.Unmarshal([]byte(read("report.json")), &back); err != nil || back.Schema != report.Schema || len(back.Sections) < 12 {
		t.Errorf("JSON: %v", err)
	}
	if bib := read("report.bib"); strings.Count(bib, "\n@") != 4 {
		t.Errorf("BibTeX: %s", bib)
	}
	if _, _, err := n.try(`r.save("report.pdf")`); err == nil || !strings.Contains(err.Error(), ".html, .md, .json and .bib") {
		t.Errorf("an ending that is not known: %v", err)
	}
}

func TestReportOfUnequalSearchesIsMarked(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	n.run(`space = nasbench101(max_vertices=5)
by = nasbench101_table().metric("test")
a = search("random", space, params(), seeds=[1, 2], budget=5)
b = search("evolution", space, params(), seeds=[1, 2, 3], budget=9)
wait(a, b)`)
	if _, _, err := n.try("compare(a, b, by=by)"); err == nil || !strings.Contains(err.Error(), "unequal=True") {
		t.Errorf("two budgets: %v", err)
	}
	n.run(`result = compare(a, b, by=by, unequal=True)
r = report(result)
result.save("c.csv")
result.save("c.md")
result.save("c.svg")
result.save("c.json")
result.seeds.save("s.csv")
result.seeds.save("s.tex")
result.table.save("t.md")
result.table.save("t.jsonl")
r.save("r.md")
r.save("r.json")
r.tables["baselines"].save("b.tex")`)
	for _, name := range []string{"c.csv", "c.md", "c.svg", "c.json", "s.csv", "s.tex", "t.md", "t.jsonl", "r.md", "r.json", "b.tex", "r_results.svg"} {
		raw, err := os.ReadFile(filepath.Join(n.env.Dir, name))
		if err != nil || !strings.Contains(string(raw), "UNEQUAL BUDGETS") {
			t.Errorf("%s is not marked (%v)", name, err)
		}
	}
	for expr, want := range map[string]string{
		"r.marks[0].startswith('UNEQUAL BUDGETS')":                             "True",
		"[c['answer'] for c in r.checklist if 'confounding' in c['question']]": `["no"]`,
		"[(row['group'], row['n']) for row in r.tables['values']]":             `[("random", 2), ("evolution", 3)]`,
		"[row['draws'] for row in r.tables['baselines']]":                      "[2, 3]",
		"len(result.seeds.filter(group='random'))":                             "2",
	} {
		if got := n.value(expr); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
	// Beside draws a single budget is never refused.
	n.run("compare(a, sample_random(space, seeds=range(7)), by=by)")
}

// One seed, all results equal, nothing finished, results without architectures.
func TestReportsOfLittle(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(n.env.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.run(`space = nasbench101(max_vertices=4)
by = nasbench101_table().metric("test")`)
	cell := n.value("space.sample(3).hash")
	hash := strings.Trim(cell, `"'`)
	write("one.csv", "policy,seed,hash,space\nmine,1,"+hash+",nasbench101(max_vertices=4)\n")
	write("equal.csv", fmt.Sprintf("policy,seed,hash,space\nmine,1,%[1]s,nasbench101(max_vertices=4)\nmine,2,%[1]s,nasbench101(max_vertices=4)\nmine,3,%[1]s,nasbench101(max_vertices=4)\n", hash))
	write("failed.csv", "policy,seed,state,hash\nmine,1,failed,\nmine,2,pending,\n")
	for name, want := range map[string]string{
		"one.csv":    "undefined: it needs two runs",
		"equal.csv":  "",
		"failed.csv": "unknown: no run has a result",
	} {
		n.run(fmt.Sprintf("r = report(compare(results(%q), by=by))", name))
		b, _ := n.run("r")
		for mime, data := range b.Data {
			if said := tags.ReplaceAllString(fmt.Sprint(data), ""); mime != report.MIME && strings.Contains(said, "NaN") {
				t.Errorf("%s as %s has a NaN", name, mime)
			}
		}
		if text := b.Data["text/plain"].(string); !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", name, want, text)
		}
	}
	// All of both sides equal: Welch and permutation say so.
	write("draws.csv", strings.ReplaceAll(fmt.Sprintf("policy,seed,hash,space,measure\nmine,1,%[1]s,S,\nmine,2,%[1]s,S,\nuniform,1,%[1]s,S,unique\nuniform,2,%[1]s,S,unique\n", hash), ",S,", ",nasbench101(max_vertices=4),"))
	if got := n.value(`[[row["Welch t"], row["permutation p"], row["Cliff's delta"]] for row in report(compare(results("draws.csv"), by=by)).tables["tests"]]`); strings.Join(strings.Fields(got), " ") != `[["undefined: no variation in either sample", "undefined: all values equal", 0.0]]` {
		t.Errorf("equal samples: %s", got)
	}
	for code, want := range map[string]string{
		"report(1)": "give the value of compare(...)",
		"report(compare(results('one.csv'), by=by), 2)": "rankings(...) and train(...)",
		"compare(by=by)":     "nothing to compare",
		"compare([], by=by)": "the list is empty",
	} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", code, err, want)
		}
	}
}

// Shared weights, rankings and trainings: what a table alone leaves unknown.
func TestReportOfTrainings(t *testing.T) {
	if testing.Short() {
		t.Skip("a dozen small networks are not at hand in short tests")
	}
	n := newNotebook(t)
	n.run(`space = nasbench101(max_vertices=4)
spos = search("spos", space, shared_weights(` + tiny + `), seeds=[1, 2])
wait(spos)
finals = train(spos.selected + sample_random(space, seeds=[1, 2]), synthetic(train=128, test=64), seeds=[1, 2], ` + small + `)
wait(finals)
r = report(compare(finals, by="valid"), rankings(spos), finals)`)
	if dir := os.Getenv("EVALNAS_KEEP_REPORT"); dir != "" {
		n.run(fmt.Sprintf("r.save(%q)", filepath.Join(dir, "trained.html")))
	}
	b, _ := n.run("r")
	if markup := b.Data["text/html"].(string); !strings.Contains(markup, "SYNTHETIC images") || strings.Count(markup, "data:image/svg+xml") < 4 {
		t.Error("the marks or the figures of rankings are missing")
	}
	got := n.value("[(o['number'], o['state']) for o in r.outputs]")
	for _, want := range []string{`(6, "in part")`, `(9, "filled")`, `(10, "in part")`, `(15, "filled")`} {
		if !strings.Contains(got, want) {
			t.Errorf("not %s: %s", want, got)
		}
	}
	for expr, want := range map[string]string{
		`[(row["group"], row["searches"], row["trainings"]) for row in r.tables["variance"]]`: `[("spos", 2, 4), ("sample_random", 2, 4)]`,
		`len(r.tables["training_1"])`:                                                             "8",
		`len(r.tables["save_points_1"])`:                                                          "4",
		`[row["policy"] for row in r.tables["tau_1"]]`:                                            `["spos", "number of parameters", "FLOPs"]`,
		`len(finals.table.filter(policy="spos").sort("test"))`:                                    "4",
		`finals.table.sort("valid")[0]["valid"] == min([row["valid"] for row in finals.results])`: "True",
	} {
		if got := n.value(expr); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
	// The variance components, by their definition.
	components := n.value(`
def mean(v): return sum(v) / len(v)
cells = {}
for row in finals.results:
    if row["policy"] == "spos":
        cells.setdefault(row["seed"], []).append(row["valid"])
groups = cells.values()
within = sum([sum([(v - mean(g)) * (v - mean(g)) for v in g]) for g in groups]) / 2
between = 2 * sum([(mean(g) - mean(groups[0] + groups[1])) * (mean(g) - mean(groups[0] + groups[1])) for g in groups])
row = r.tables["variance"][0]
near = lambda a, b: abs(a - b) < 1e-9
near(row["sd over trainings"] * row["sd over trainings"], within) and near(row["sd over searches"] * row["sd over searches"], max(0, (between - within) / 2))`)
	if components != "True" {
		t.Errorf("components %s: %s", components, n.value(`r.tables["variance"].csv()`))
	}
}
