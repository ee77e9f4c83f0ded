package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/jobs/jobtest"
)

func TestMain(m *testing.M) {
	jobtest.Main(m, map[string]jobs.Handler{nasapi.SearchKind: nasapi.SearchHandler, nasapi.TrainKind: nasapi.TrainHandler})
}

// notebook runs cells as a kernel would and keeps what they show.
type notebook struct {
	t   *testing.T
	env *Env
	in  *starlark.Interpreter
	n   int
}

func newNotebook(t *testing.T) *notebook {
	t.Helper()
	jobtest.Setup(t)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir()) // settings of the person who runs the tests
	dir := jobtest.Dir(t)
	env := NewEnv(dir)
	t.Cleanup(env.Close)
	return &notebook{t: t, env: env, in: starlark.New(starlark.Options{Dir: dir, Commands: env.Commands(), Version: "test"})}
}

// fakeOutput keeps a cell's outputs; displays are kept by id, updated in place.
type fakeOutput struct {
	mu       sync.Mutex
	stream   strings.Builder
	displays []*kernel.Bundle
	byID     map[string]*kernel.Bundle
	updates  int
	paged    []*kernel.Bundle
}

func (o *fakeOutput) Stream(_, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stream.WriteString(text)
}

func (o *fakeOutput) Display(b *kernel.Bundle, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	shown := *b
	o.displays = append(o.displays, &shown)
	if o.byID == nil {
		o.byID = map[string]*kernel.Bundle{}
	}
	if id != "" {
		o.byID[id] = &shown
	}
}

func (o *fakeOutput) UpdateDisplay(b *kernel.Bundle, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.updates++
	if shown := o.byID[id]; shown != nil {
		*shown = *b
	}
}

func (o *fakeOutput) Clear(bool)            {}
func (o *fakeOutput) Page(b *kernel.Bundle) { o.paged = append(o.paged, b) }
func (o *fakeOutput) Exit()                 {}
func (o *fakeOutput) Input(context.Context, string, bool) (string, error) {
	return "", errors.New("nobody is there")
}

func (o *fakeOutput) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.stream.String()
	for _, b := range o.displays {
		out += "\n" + fmt.Sprint(b.Data["text/plain"])
	}
	return out
}

func (n *notebook) try(code string) (*kernel.Bundle, *fakeOutput, error) {
	n.t.Helper()
	n.n++
	out := &fakeOutput{}
	ctx, stop := context.WithTimeout(n.t.Context(), time.Minute)
	defer stop()
	b, err := n.in.Execute(ctx, &kernel.Cell{Count: n.n, Out: out}, code)
	return b, out, err
}

func (n *notebook) run(code string) (*kernel.Bundle, *fakeOutput) {
	n.t.Helper()
	b, out, err := n.try(code)
	if err != nil {
		n.t.Fatalf("%s\n%v", code, err)
	}
	return b, out
}

// value runs an expression and returns its text.
func (n *notebook) value(expr string) string {
	n.t.Helper()
	b, _ := n.run(expr)
	if b == nil {
		return ""
	}
	return fmt.Sprint(b.Data["text/plain"])
}

func TestTheQuestion(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	n.run(`space = nasbench101()
truth = nasbench101_table()
drawn = sample_random(space, seeds=range(1268, 1272))
found = search("evolution", space, params(), seeds=range(1268, 1272), budget=200)`)
	_, out := n.run("wait(found)")
	if len(out.displays) != 1 {
		t.Fatalf("wait shows %d displays", len(out.displays))
	}
	if got := out.text(); strings.Count(got, "done") < 4 || !strings.Contains(got, "4 done") {
		t.Errorf("the table does not end with four done seeds:\n%s", got)
	}
	for expr, want := range map[string]string{
		"len(found.selected)":                                     "4",
		"len(found.selected + drawn)":                             "8",
		"found.selected[0].seed":                                  "1268",
		"found.selected[0].policy":                                "'evolution'",
		"found.selected[1].search == found.id":                    "True",
		"drawn[0].policy":                                         "'sample_random'",
		"drawn[0].search":                                         "None",
		"found.finished":                                          "True",
		"found.config['params']['population']":                    "50",
		"query(drawn[0]).epochs":                                  "108",
		"query(drawn[0].hash) == None":                            "False",
		"query(drawn[0]).test == truth.metric('test')(drawn[0])":  "True",
		"attach(found.id) == found":                               "True",
		"drawn[0] in space":                                       "True",
		"drawn[0] == space.sample(1268)":                          "True",
		"len(space)":                                              "423624",
		"space == nasbench101(max_vertices=7)":                    "True",
		"space == nasbench101(max_vertices=6)":                    "False",
		"len(drawn[1:3])":                                         "2",
		"found.selected[0].params == params()(found.selected[0])": "True",
	} {
		if got := strings.ReplaceAll(n.value(expr), `"`, `'`); got != want && !(want == "None" && got == "") {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}

	_, out = n.run(`result = compare(found, drawn, by=truth.metric("test"))`)
	if len(out.displays) != 3 {
		t.Fatalf("compare shows %d displays, want a table and two figures", len(out.displays))
	}
	raw, err := json.Marshal(out.displays[0].Data[nasapi.ComparisonMIME])
	if err != nil {
		t.Fatal(err)
	}
	var form struct {
		Groups []struct {
			Name  string
			Seeds []struct {
				Seed  int64
				Value float64
			}
		}
	}
	if err := json.Unmarshal(raw, &form); err != nil || len(form.Groups) != 2 || len(form.Groups[0].Seeds) != 4 || form.Groups[0].Seeds[3].Seed != 1271 {
		t.Errorf("the machine-readable form is %s (%v)", raw, err)
	}
	for _, b := range out.displays[1:] {
		if svg, ok := b.Data["image/svg+xml"].(string); !ok || !strings.Contains(svg, "<svg") || b.Data["image/png"] == nil {
			t.Errorf("a figure lacks SVG or PNG")
		}
	}
	if strings.Contains(out.text(), "ORACLE") {
		t.Error("a comparison without an oracle is watermarked")
	}
	if b, again := n.run("result"); b != nil || len(again.displays) != 3 {
		t.Errorf("result shows %d displays", len(again.displays))
	}
	if _, once := n.run(`compare(found, drawn, by=truth.metric("test"))`); len(once.displays) != 3 {
		t.Errorf("compare(...) as the last line shows %d displays, want 3", len(once.displays))
	}
	for _, ending := range []string{"csv", "json", "md", "svg", "png"} {
		n.run(fmt.Sprintf("result.save('out.%s')", ending))
		if info, err := os.Stat(filepath.Join(n.env.Dir, "out."+ending)); err != nil || info.Size() < 500 {
			t.Errorf("out.%s: %v", ending, err)
		}
	}
	n.run(`again = compare(results("out.csv"), by=truth.metric("test"))`)
	if got, want := n.value("again.values['evolution'] == result.values['evolution']"), "True"; got != want {
		t.Errorf("values read again are equal: %s", got)
	}
	if got := n.value("len(attach())"); got != "1" {
		t.Errorf("attach() finds %s searches", got)
	}
	if got := n.value("attach(found.jobs[2][:10]) == None"); got != "False" {
		t.Errorf("attach by the beginning of a job's id: %s", got)
	}
	if got := n.value("len([j for j in jobs() if j['state'] == 'done'])"); got != "4" {
		t.Errorf("jobs() has %s done", got)
	}
	if _, out := n.run("logs(found)"); strings.Count(out.text(), "seed") != 4 {
		t.Errorf("logs: %s", out.text())
	}
}

func TestOracleIsWatermarkedEverywhere(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	n.run(`space = nasbench101(max_vertices=5)
metric = nasbench101_table().metric("test")
found = search("random", space, metric, seeds=range(3), budget=20)`)
	_, waited := n.run("wait(found)")
	_, compared := n.run("r = compare(found, by=metric)\nr.save('o.md')\nr.save('o.svg')")
	md, err := os.ReadFile(filepath.Join(n.env.Dir, "o.md"))
	if err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(n.env.Dir, "o.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"live table":        waited.text(),
		"live table, HTML":  fmt.Sprint(waited.displays[0].Data["text/html"]),
		"comparison":        compared.text(),
		"comparison, HTML":  fmt.Sprint(compared.displays[0].Data["text/html"]),
		"figure over space": fmt.Sprint(compared.displays[1].Data["image/svg+xml"]),
		"anytime figure":    fmt.Sprint(compared.displays[2].Data["image/svg+xml"]),
		"saved Markdown":    string(md),
		"saved figure":      string(svg),
		"machine-readable":  fmt.Sprint(compared.displays[0].Data[nasapi.ComparisonMIME]),
	} {
		if !strings.Contains(strings.ToUpper(text), "ORACLE") {
			t.Errorf("%s has no watermark", what)
		}
	}
	for _, expr := range []string{"found", "found.selected", "query(found.selected)", "query(found.selected[0])", "r.table", "r.seeds", "r", "jobs()", `histogram(metric, space, mark=found.selected)`} {
		b, out := n.run(expr)
		if b == nil && len(out.displays) > 0 {
			b = out.displays[0]
		}
		for _, mime := range []string{"text/html", "image/svg+xml"} {
			if markup, ok := b.Data[mime].(string); ok && strings.Count(markup, oracleWatermark) == 0 {
				t.Errorf("%s has no watermark as %s", expr, mime)
			}
		}
		if text := b.Data["text/plain"].(string); !strings.Contains(text, oracleWatermark) {
			t.Errorf("%s has no watermark as text: %s", expr, text)
		}
	}
	b, _ := n.run("query(sample_random(space, seeds=range(2)))")
	if strings.Contains(b.Data["text/plain"].(string), "ORACLE") {
		t.Error("draws are watermarked")
	}
}

// TestMinimiseTurnsTheComparison: the same architectures, judged both ways.
func TestMinimiseTurnsTheComparison(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	n.run(`found = search("random", nasbench101(max_vertices=4), params(), seeds=range(10), budget=10, minimise=True)
up   = compare(found, by=params())
down = compare(found, by=params(), minimise=True)`)
	for expr, want := range map[string]string{
		`up.verdicts["random"]`:         "worse than random sampling",
		`down.verdicts["random"]`:       "better than random sampling",
		`up.p_equal_budget["random"]`:   "",
		`down.table[0]["best_rank"]`:    "1",
		`down.cliffs_delta["random"]<0`: "True",
	} {
		if got := strings.Trim(n.value(expr), `"`); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
}

func TestSpacesThatCannotBeListedHaveNoNull(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	_, out := n.run(`space = darts_space(nodes=4)
r = compare(search("random", space, params(), seeds=range(3), budget=4), sample_random(space, seeds=range(3)), by=params())
r.save("d.csv")
again = compare(results("d.csv"), by=params())`)
	if text := out.text(); strings.Contains(text, "null band") || !strings.Contains(text, "cannot be listed") {
		t.Errorf("a comparison without ranks speaks of their null:\n%s", text)
	}
	if got := n.value(`again.values == r.values and again.cliffs_delta == r.cliffs_delta`); got != "True" {
		t.Errorf("genotypes read again are the same: %s", got)
	}
}

func TestGenotypesByNameAndByText(t *testing.T) {
	n := newNotebook(t)
	n.run(`g = genotype("darts_1268")`)
	for expr, want := range map[string]string{
		`g.params`:                                            "1370134",
		`genotype(g.genotype) == g`:                           "True",
		`genotype("nao_1276") == genotype("NAO")`:             "True",
		`genotype("enas_1268").space == darts_space(nodes=5)`: "True",
	} {
		if got := n.value(expr); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
}

func TestNumbersDoNotRoundIntoAnotherMeaning(t *testing.T) {
	for got, want := range map[string]string{
		percentileText(99.98, 1):       "99.98",
		percentileText(99.9998, 2):     "99.9998",
		percentileText(99.91, 1):       "99.9",
		percentileText(100, 1):         "100.0",
		percentileText(99.99999999, 1): "100.000000",
		probability(0.0003):            "3e-04",
		probability(0.0012):            "0.001",
		probability(0.06):              "0.060",
		number(-5115960.6):             "-5,115,961",
		number(0.94661):                "0.9466",
		nullProbability(1e-12):         "< 1e-12",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestLiveTableMoves: the display of a running search changes under its own
// id until it shows the final state.
func TestLiveTableMoves(t *testing.T) {
	n := newNotebook(t)
	budget := 3000
	if testing.Short() { // as under the race detector, where it is slow enough
		budget = 300
	}
	_, shown := n.run(fmt.Sprintf(`found = search("enas", nasbench101(), params(), seeds=range(2), budget=%d)
found`, budget))
	if len(shown.displays) != 1 || len(shown.byID) != 1 {
		t.Fatalf("the search shows %d displays, %d with an id", len(shown.displays), len(shown.byID))
	}
	deadline := time.Now().Add(50 * time.Second)
	for !strings.Contains(shown.text(), "2 done") {
		if time.Now().After(deadline) {
			t.Fatalf("the table never showed the end:\n%s", shown.text())
		}
		time.Sleep(20 * time.Millisecond)
	}
	shown.mu.Lock()
	defer shown.mu.Unlock()
	if shown.updates < 2 {
		t.Errorf("%d updates", shown.updates)
	}
}

// A kernel that shows finished searches for days keeps few of their displays, the newest.
func TestOldFinalTablesAreForgotten(t *testing.T) {
	n := newNotebook(t)
	n.run(`found = search("random", nasbench101(max_vertices=4), params(), seeds=[1], budget=5)
wait(found)`)
	_, shown := n.run(fmt.Sprintf(`for i in range(%d): display(found)`, finalTables+5))
	if len(shown.displays) != finalTables+5 {
		t.Fatalf("%d displays, want %d", len(shown.displays), finalTables+5)
	}
	n.env.live.mu.Lock()
	kept := len(n.env.live.shown)
	oldest := n.env.live.next
	for _, table := range n.env.live.shown {
		oldest = min(oldest, table.n)
	}
	newest := n.env.live.next
	n.env.live.mu.Unlock()
	if kept != finalTables || oldest != newest-finalTables+1 {
		t.Errorf("%d are kept, the oldest is %d of %d; want the last %d", kept, oldest, newest, finalTables)
	}
	n.run(`wait(found)`)
}

func TestInterruptEndsTheWaitingNotTheJobs(t *testing.T) {
	n := newNotebook(t)
	n.run(`budget = 600
found = search("enas", nasbench101(), params(), seeds=range(2), budget=budget)`)
	ctx, interrupt := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer interrupt()
	start := time.Now()
	if _, err := n.in.Execute(ctx, &kernel.Cell{Out: &fakeOutput{}}, "wait(found)"); err == nil {
		t.Error("the interrupted wait is no error")
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("the wait ended %v after it began", d)
	}
	if _, _, err := n.try("wait(found, timeout=0.05)"); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("timeout: %v", err)
	}
	if _, _, err := n.try("found.selected"); err == nil || !strings.Contains(err.Error(), "have not finished") {
		t.Errorf("selected of an unfinished search: %v", err)
	}
	n.run("cancel(found)\nwait(found)")
	if got := n.value("sorted(set(found.states.values()))"); strings.Contains(got, "running") || strings.Contains(got, "pending") {
		t.Errorf("states after cancel are %s", got)
	}
	n.run(`again = search("enas", nasbench101(), params(), seeds=range(2), budget=budget)
wait(again)`)
	if got := n.value("len(again.selected)"); got != "2" {
		t.Errorf("the cancelled search, asked for again, has %s results", got)
	}
}

func TestBadInputIsNamed(t *testing.T) {
	n := newNotebook(t)
	n.run(`space = nasbench101(max_vertices=4)
truth = nasbench101_table()
drawn = sample_random(space, seeds=[1])
s = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
ops = ["input", "conv3x3-bn-relu", "output"]`)
	for code, want := range map[string]string{
		`search("evolutoin", space, params(), seeds=[1], budget=5)`:                "evolution",
		`search("evolution", space, params(), seeds=[1], budget=5, populaton=3)`:   "population",
		`search("evolution", space, params(), seeds=[1], budget=5, population=-3)`: "population",
		`search("random", space, truth, seeds=[1], budget=5)`:                      `metric("test")`,
		`search("random", "nasbench101", params(), seeds=[1], budget=5)`:           "give a space",
		`search("random", space, params(), seeds=[1, 1], budget=5)`:                "repeats 1",
		`search("random", space, params(), seeds=[1.5], budget=5)`:                 "seeds[0]",
		`search("random", space, params(), seeds=["a"], budget=5)`:                 "seeds[0]",
		`search("random", space, params(), seeds=[], budget=5)`:                    "empty",
		`search("random", space, params(), seeds=3, budget=5)`:                     "list of integers",
		`search("random", space, params(), seeds=[1], budget=0)`:                   "budget is 0",
		`search("random", space, params(), seeds=[1])`:                             "budget",
		`search("random", space, params(), seeds=[1], budgt=5)`:                    "budget",
		`nasbench101(max_vertices=12)`:                                             "7",
		`nasbench101(8.5)`:                                                         "integer",
		`darts_space(nodes=9)`:                                                     "4",
		`genotype("darts_1298")`:                                                   `did you mean "darts_1268"?`,
		`genotype("Genotype(normal=[('sep_conv_9x9', 0)])")`:                       "normal_concat is missing",
		`truth.metric("valid")`:                                                    "test",
		`truth.metric("test", epochs=36)`:                                          "108",
		`space.architecture([[0, 1], [1, 0]], ["input", "output"])`:                "triang",
		`space.architecture([[0, 1, 0], [0, 0]], ops)`:                             "square",
		`space.architecture([[0] * 40 for i in range(40)], ["input"] * 40)`:        "",
		`space.architecture(s, ["input", "conv5x5", "output"])`:                    "conv",
		`space.architecture([[0, 0], [0, 0]], ["input", "output"])`:                "connect",
		`space.architecture(s, ops[:2])`:                                           "2",
		`space.sample("x")`:                                                        "seed",
		`sample_random(space, seeds=[1], measure="sequances")`:                     "sequence",
		`sample_random(drawn, seeds=[1])`:                                          "space",
		`query(42)`:                                                                "architecture",
		`query("28cfc")`:                                                           "",
		`query(darts_space().sample(1))`:                                           "nasbench101",
		`compare(by=truth.metric("test"))`:                                         "nothing to compare",
		`compare(drawn, by=truth)`:                                                 `metric("test")`,
		`compare(42, by=truth.metric("test"))`:                                     "neither a search",
		`compare(drawn)`:                                                           "by",
		`results("nowhere.csv")`:                                                   "nowhere.csv",
		`drawn < drawn`:                                                            "order",
		`attach("zzzz")`:                                                           "zzzz",
		`attach(".")`:                                                              "not a study",
		`jobs("nowhere")`:                                                          "not a study",
		`wait(drawn)`:                                                              "not a search",
		`cancel("abc")`:                                                            "abc",
		`logs("abc")`:                                                              "abc",
		`histogram(params(), darts_space())`:                                       "cannot be listed",
		`compare(drawn, by=truth.metric("test")).save("x.doc")`:                    ".csv",
		`compare(drawn, by=truth.metric("test")).save("no/such/x.csv")`:            "no/such",
		`drawn[0].hsh`:                                                             "hash",
		`drawn + 3`:                                                                "",
	} {
		_, _, err := n.try(code)
		var cell *kernel.CellError
		if !errors.As(err, &cell) {
			t.Errorf("%s: %v is not an error of a cell", code, err)
			continue
		}
		if !strings.Contains(cell.Value, want) {
			t.Errorf("%s: %q does not say %q", code, cell.Value, want)
		}
		if strings.Contains(cell.Name, "Internal") || strings.Contains(strings.ToLower(cell.Value), "panic") {
			t.Errorf("%s: %v", code, cell)
		}
	}
	if got := n.value("1 + 1"); got != "2" {
		t.Errorf("the kernel is of no use after errors: 1 + 1 is %s", got)
	}
}

// TestErrorsAreCalledAsInPython: an argument of the wrong kind is a TypeError,
// whatever command it is given to.
func TestErrorsAreCalledAsInPython(t *testing.T) {
	n := newNotebook(t)
	n.run("space = nasbench101(4)\ndrawn = sample_random(space, seeds=[1])")
	for code, want := range map[string]string{
		`sample_random(None, seeds=[1])`:                                             "TypeError",
		`search("random", space, params, seeds=[1], budget=5)`:                       "TypeError",
		`search("evolution", space, params(), seeds=[1], budget=5, population=None)`: "TypeError",
		`compare(5, by=params())`:                                                    "TypeError",
		`query(5)`:                                                                   "TypeError",
		`histogram(params(), space, mark=5)`:                                         "TypeError",
		`drawn[0] < drawn[0]`:                                                        "TypeError",
		`5 in space`:                                                                 "TypeError",
		`results("nowhere.csv")`:                                                     "FileNotFoundError",
		`results(".")`:                                                               "ValueError",
		`search("random", space, params(), seeds=[1], budget=0)`:                     "ValueError",
		`wait(search("enas", space, params(), seeds=[1], budget=200000), timeout=0)`: "TimeoutError",
	} {
		_, _, err := n.try(code)
		var cell *kernel.CellError
		if !errors.As(err, &cell) || cell.Name != want {
			t.Errorf("%s: %v, want a %s", code, err, want)
		}
	}
	n.run("cancel(attach())")
}

func TestListsOfArchitecturesCompare(t *testing.T) {
	n := newNotebook(t)
	n.run("space = nasbench101(4)\nd = sample_random(space, seeds=range(3))")
	for expr, want := range map[string]string{
		`d == sample_random(space, seeds=range(3))`: "True",
		`d == d[1:]`:                   "False",
		`d != d[1:]`:                   "True",
		`d[1] in d`:                    "True",
		`darts_space().sample(1) in d`: "False",
		`5 in d`:                       "False",
	} {
		if got := n.value(expr); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
}

// TestDamagedResultsAreTold: a result that cannot be used must not vanish from
// a list of which everything is said to be done.
func TestDamagedResultsAreTold(t *testing.T) {
	n := newNotebook(t)
	n.run("f = search(\"random\", nasbench101(4), params(), seeds=[7, 8], budget=5)\nwait(f)")
	st, err := n.env.study("")
	if err != nil {
		t.Fatal(err)
	}
	all, err := st.Jobs()
	if err != nil || len(all) != 2 {
		t.Fatalf("%d jobs, %v", len(all), err)
	}
	var damaged map[string]any
	text, err := os.ReadFile(all[0].Paths.Result())
	if err == nil {
		err = json.Unmarshal(text, &damaged)
	}
	if err != nil {
		t.Fatal(err)
	}
	damaged["result"] = map[string]any{"x": 1}
	if text, err = json.Marshal(damaged); err == nil {
		err = writeFile(all[0].Paths.Result(), text) // at once: whoever looks meanwhile must not see half of it
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := n.value(`sorted(f.states.values())`); !strings.Contains(got, "failed") {
		t.Errorf("states are %s", got)
	}
	if got := n.value(`f.errors`); !strings.Contains(got, all[0].ID) {
		t.Errorf("errors are %s, they do not name job %s", got, all[0].ID)
	}
	n.run("f = search(\"random\", nasbench101(4), params(), seeds=[7, 8], budget=5, fresh=True)\nwait(f)")
	if got := n.value(`len(f.selected)`); got != "2" {
		t.Errorf("after fresh=True %s seeds are done", got)
	}
}

func untilRunnerHasLeft(t *testing.T, st *jobs.Study) {
	t.Helper()
	lock := flock.New(st.Paths.Lock())
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		free, err := lock.TryLock()
		if err != nil {
			t.Fatal(err)
		}
		if free {
			if err := lock.Unlock(); err != nil {
				t.Fatal(err)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the runner does not end")
		}
	}
}

// TestStatesAreReadableWhereNothingCanRun: a study whose jobs cannot be started
// still says where they stand.
func TestStatesAreReadableWhereNothingCanRun(t *testing.T) {
	n := newNotebook(t)
	n.run("f = search(\"random\", nasbench101(4), params(), seeds=[7, 8], budget=5)\nwait(f)")
	st, err := n.env.study("")
	if err != nil {
		t.Fatal(err)
	}
	all, err := st.Jobs()
	if err != nil || len(all) != 2 {
		t.Fatalf("%d jobs, %v", len(all), err)
	}
	untilRunnerHasLeft(t, st) // else it would mend what is broken next
	if err := os.Remove(all[0].Paths.Result()); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EVALNAS_EXE", filepath.Join(t.TempDir(), "evalnas"))
	fresh := NewEnv(n.env.Dir) // a kernel that has started no runner yet
	defer fresh.Close()
	n.in = starlark.New(starlark.Options{Dir: n.env.Dir, Commands: fresh.Commands(), Version: "test"})
	n.run("f = attach()[0]")
	if got := n.value("sorted(f.states.values())"); got != `["done", "lost"]` {
		t.Errorf("states are %s", got)
	}
	if got := n.value("f.finished"); got != "False" {
		t.Errorf("finished is %s", got)
	}
	if _, _, err := n.try("wait(f)"); err == nil || !strings.Contains(err.Error(), "cannot start the runner") {
		t.Errorf("wait: %v", err)
	}
}

func TestComparisonOfNothingFinished(t *testing.T) {
	n := newNotebook(t)
	n.run("space = nasbench101(4)\nf = search(\"enas\", space, params(), seeds=[1], budget=200000)\ncancel(f)\nwait(f)")
	if got := n.value("f.states"); got != `{1: "cancelled"}` {
		t.Fatalf("states are %s", got)
	}
	n.run("r = compare(f, by=params())")
	for _, figure := range []string{"versus", "anytime"} {
		_, _, err := n.try(fmt.Sprintf("r.save(\"x.svg\", figure=%q)", figure))
		if err == nil || !strings.Contains(err.Error(), "nothing to draw") {
			t.Errorf("saving the figure %s: %v", figure, err)
		}
	}
	n.run("r.save(\"x.csv\")\nr.save(\"x.md\")\nr.save(\"x.json\")")
}

// TestEverythingIsDocumented: each command has a summary and an example, each
// parameter a line; each attribute of each value has a line and can be read.
func TestEverythingIsDocumented(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	for _, c := range n.env.Commands() {
		first, rest, _ := strings.Cut(c.Doc, "\n")
		if len(first) < 20 || !strings.Contains(rest, "    ") {
			t.Errorf("%s: no summary or no example: %q", c.Name, c.Doc)
		}
		for _, p := range c.Params {
			if p.Doc == "" {
				t.Errorf("%s: parameter %s is not documented", c.Name, p.Name)
			}
		}
	}
	n.run(`space = nasbench101(max_vertices=4)
truth = nasbench101_table()
drawn = sample_random(space, seeds=[1, 2])
dart = darts_space().sample(1)
found = search("random", space, params(), seeds=[1, 2], budget=5)
wait(found)
result = compare(found, drawn, by=truth.metric("test"))`)
	for _, expr := range []string{"space", "darts_space()", "drawn", "drawn[0]", "dart", "truth", "params()", "truth.metric('test')", "found", "result", "query(drawn[0])"} {
		n.run("v = " + expr)
		names := n.value("dir(v)")
		if names == "[]" {
			t.Errorf("%s has no attributes", expr)
		}
		if got := n.value("[a for a in dir(v) if getattr(v, a) == 'x']"); got != "[]" {
			t.Errorf("%s: %s", expr, got)
		}
		n.run("help(v)")
		n.run("v")
	}
}

func TestValuesOfTheLanguage(t *testing.T) {
	for in, want := range map[string]string{
		`{"b": [1, 2.5, null, true, "x"], "a": 12345678901234567890}`: `{"a": 12345678901234567890, "b": [1, 2.5, None, True, "x"]}`,
	} {
		v, err := toValue(json.RawMessage(in))
		if err != nil || v.String() != want {
			t.Errorf("%s is %v, want %s (%v)", in, v, want, err)
		}
	}
	if lib.Len(shownList{List: lib.NewList(nil)}) != 0 {
		t.Error("a shown list has no length")
	}
}

// notShort skips a test that takes long under the race detector, which sees nothing in it
// that others do not show.
func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("searches by the dozen are not at hand in short tests")
	}
}
