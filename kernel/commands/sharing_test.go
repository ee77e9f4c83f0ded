package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/host"
	"evalnas/nasapi/shared"
)

// tiny is a protocol of shared weights that takes a second.
const tiny = `synthetic(train=160, test=32), epochs=2, batch=32, valid_batch=32, channels=8, cells=3, images=96, valid=64, pool=6, save_every=1`

// least is the same for cells of DARTS, which take ten times as long.
const least = `synthetic(train=96, test=32), epochs=1, batch=32, valid_batch=32, channels=4, cells=3, images=64, valid=32, pool=4, save_every=1`

// Every policy trains its supernet in every space that it has one in.
func TestSearchesWithSharedWeights(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	n.run(`space = nasbench101(max_vertices=4)`)
	n.run(`truth = nasbench101_table()`)
	n.run(`w = shared_weights(` + tiny + `)`)
	_, out := n.run(`spos = search("spos", space, w, seeds=[1, 2])
spos`)
	for _, want := range []string{"2 seeds", "2 epochs of batch 32, 8 channels", "SYNTHETIC"} {
		if !strings.Contains(out.text(), want) {
			t.Errorf("the estimate does not say %q: %s", want, out.text())
		}
	}
	n.run(`others = [search("fairnas", space, w, seeds=[1]), search("random", space, w, seeds=[1])]`)
	if !testing.Short() { // the race detector need not see all of them
		n.run(`others += [search("darts", space, w, seeds=[1]), search("fbnet", space, w, seeds=[1]),
    search("enas", space, w, seeds=[1], controller_steps=2), search("nao", space, w, seeds=[1], pool=20, predictor_epochs=3)]`)
		n.run(`wait(spos, others)`) // a cell has a minute
		n.run(`least = shared_weights(` + least + `)`)
		n.run(`cells = darts_space()`)
		n.run(`others += [search(p, cells, least, seeds=[1]) for p in ["darts", "spos", "fbnet", "fairnas", "random"]]`)
		n.run(`wait(others)`)
		n.run(`five = darts_space(nodes=5)`)
		n.run(`others += [search("enas", five, least, seeds=[1], controller_steps=2), search("nao", five, least, seeds=[1], pool=20, predictor_epochs=3), search("random", five, least, seeds=[1]), search("spos", five, least, seeds=[1])]`)
	}
	n.run(`wait(spos, others)`)
	if got := n.value(`[[s.policy, str(s.space), s.errors] for s in [spos] + others if s.errors]`); got != "[]" {
		t.Fatal(got)
	}
	if got := n.value(`len(spos.selected), [s.policy for s in others if len(s.selected) != 1]`); got != "(2, [])" {
		t.Errorf("selected %s", got)
	}
	if got := n.value(`spos.config["shared"]["protocol"]["rate"]`); got != "0.025" {
		t.Errorf("the configuration has the rate %s", got)
	}
	if got := n.value(`query(spos.selected[0]).test > 0`); got != "True" {
		t.Errorf("query gives %s", got)
	}
	_, out = n.run(`ranked = rankings(spos, others[0], others[1])
ranked`)
	for _, want := range []string{"spos", "fairnas", "number of parameters", "trivial baseline", "NASBench-101 test accuracy, 108 epochs, first repeat", "Noise ceiling"} {
		if !strings.Contains(out.text(), want) {
			t.Errorf("the rankings do not say %q: %s", want, out.text())
		}
	}
	if got := n.value(`len(ranked.tau["spos"]), len(ranked.table), ranked.pool`); got != `(2, 4, "fixed")` {
		t.Errorf("the rankings have %s", got)
	}
	n.run(`ranked.rank_change("spos", 1)`)
	_, out = n.run(`rankings(spos, pool="own")`)
	if text := out.text(); !strings.Contains(text, "each policy's own pool") || !strings.Contains(text, "trivial baseline, fixed pool") {
		t.Errorf("the rankings of own pools do not say what they are of: %s", text)
	}
	for code, want := range map[string]string{
		`rankings(spos, pool="fine_tuned")`: "fine_tune=20",
		`ranked.rank_change("spos", 4)`:     "range(1, 3)",
	} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", code, err, want)
		}
	}
	if got := n.value(`spos.budget == None`); got != "True" {
		t.Errorf("the budget is %s", got)
	}
	n.run(`ranked.save("ranked.csv")`)
	raw, err := os.ReadFile(filepath.Join(n.env.Dir, "ranked.csv"))
	if err != nil || strings.Count(string(raw), "\n") != 1+(2+1+1)*2*6 {
		t.Errorf("the file has %d lines: %v", strings.Count(string(raw), "\n"), err)
	}
	n.run(`drawn = sample_random(space, seeds=[1, 2])`)
	_, out = n.run(`compare(spos, others[0], others[1], drawn, by=truth.metric("test"))`)
	if text := out.text(); !strings.Contains(text, "shared weights") || !strings.Contains(text, "SYNTHETIC") {
		t.Errorf("the comparison does not say what guided: %s", text)
	}
	v, err := n.env.attachBatch(n.lastBatch())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.render(); err != nil {
		t.Fatal(err)
	}
}

// What is known before a search: the protocol, the policies' pages, the values' help.
func TestSharedWeightsExplainThemselves(t *testing.T) {
	n := newNotebook(t)
	n.run(`w = shared_weights(` + tiny + `)`)
	if got := n.value(`[w.protocol(p, darts_space(nodes=5))["decay"] for p in ["enas", "nao"]]`); got != "[0.0001, 0.0003]" {
		t.Errorf("the protocols have the decays %s", got)
	}
	if got := n.value(`w.protocol("spos", nasbench101(max_vertices=4))["epochs"], w.preset`); got != `(2, "paper")` {
		t.Errorf("the protocol has %s", got)
	}
	n.run(`help(w)`)
	if got := n.value(`"Parameters" in str(policies("spos")) and "refresh=20" in str(policies("spos")) and "darts_space(nodes=4)" in str(policies("fairnas"))`); got != "True" {
		t.Errorf("a policy's page: %s", n.value(`str(policies("spos"))`))
	}
	for _, name := range policyNames() {
		n.run(`policies("` + name + `")`)
	}
	if got := n.value(`str(shared_weights(synthetic(), preset="hour", epochs=3))`); got != `"shared_weights(synthetic(), epochs=3, preset=\"hour\")"` {
		t.Errorf("it is written %s", got)
	}
	var all []string
	for _, d := range protocolDocs {
		all = append(all, strings.Split(d.names, ", ")...)
	}
	if slices.Sort(all); !slices.Equal(all, shared.Keywords()) {
		t.Errorf("help names the keywords %v, there are %v", all, shared.Keywords())
	}
}

func TestSharedWeightsInTheForeground(t *testing.T) {
	n := newNotebook(t)
	_, out := n.run(`search("spos", nasbench101(max_vertices=4), shared_weights(` + tiny + `), seeds=[1], debug=True)`)
	if text := out.text(); !strings.Contains(text, "REDUCED") || !strings.Contains(text, "step 2") {
		t.Errorf("debug shows %s", text)
	}
}

func TestSharedWeightsThatCannotBe(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	n.run(`s = nasbench101(max_vertices=4)`)
	n.run(`w = shared_weights(` + tiny + `)`)
	for code, want := range map[string]string{
		`search("evolution", s, w, seeds=[1])`:                                                    "evolution",
		`search("spos", s, params(), seeds=[1], budget=10)`:                                       "shared_weights",
		`search("spos", s, w, seeds=[1], budget=10)`:                                              "leave it out",
		`search("nao", darts_space(), w, seeds=[1])`:                                              "darts_space(nodes=5)",
		`search("darts", darts_space(nodes=5), w, seeds=[1])`:                                     "darts_space(nodes=4)",
		`search("spos", nasbench101(max_vertices=3), w, seeds=[1])`:                               "max_vertices=4",
		`search("evolution", s, params(), seeds=[1])`:                                             "missing argument budget",
		`shared_weights(synthetic(), preset="week")`:                                              `"minutes"`,
		`shared_weights(synthetic(), epocs=3)`:                                                    `did you mean "epochs"`,
		`search("spos", s, shared_weights(synthetic(), epochs=0), seeds=[1])`:                     "epochs is 0",
		`search("spos", s, shared_weights(synthetic(train=100), valid=90, images=50), seeds=[1])`: "not in its 100",
		`search("spos", s, shared_weights(synthetic(train=100), batch=4000), seeds=[1])`:          "larger than",
		`search("spos", s, shared_weights(synthetic(), channels=1), seeds=[1])`:                   "channels",
		`rankings(search("random", s, params(), seeds=[1], budget=2))`:                            "shared_weights",
		`search("spos", s, w, seeds=[1], epochs=3)`:                                               "shared_weights(..., epochs=...)",
		`search("spos", s, w, seeds=[1], preset="hour")`:                                          "shared_weights(..., preset=...)",
		`shared_weights(synthetic(), subspace="linear")`:                                          "give it to search",
		`search("spos", s, shared_weights(synthetic(), epochs="many"), seeds=[1])`:                "epochs is many: give a whole number",
		`search("spos", s, shared_weights(synthetic(), as_published=3), seeds=[1])`:               "as_published is 3: give True or False",
		`w.protocol("nao", darts_space())`:                                                        "darts_space(nodes=5)",
		`policies("spoos")`:                                                                       `did you mean "spos"`,
		`search("spos", s, shared_weights(synthetic(), channels=100000), seeds=[1])`:              "give 2 to 4096",
		`search("spos", s, shared_weights(synthetic(train=100), images=200), seeds=[1])`:          "not in its 100",
		`search("spos", s, shared_weights(synthetic(), valid_batch=4000), seeds=[1])`:             "give valid_batch=512 or less",
		`search("spos", s, shared_weights(synthetic(), rate=float("nan")), seeds=[1])`:            "rate is NaN; give a finite number",
		`search("spos", s, shared_weights(synthetic(), rate=1000), seeds=[1])`:                    "above 0 to 100",
		`search("spos", s, shared_weights(synthetic(), pool=1), seeds=[1])`:                       "at least 2 architectures",
		`search("spos", s, shared_weights(synthetic(), pool=2.5), seeds=[1])`:                     "give a whole number",
		`search("enas", darts_space(), w, seeds=[1])`:                                             "darts, fairnas, fbnet, random, spos do",
		`search("fairnas", darts_space(), w, seeds=[1], as_published=True)`:                       "as_published",
		`query(genotype("DARTS_V2"))`:                                                             "is an architecture of the space darts, not of nasbench101",
		`train(sample_random(s, seeds=[1]), w, seeds=[1])`:                                        "give images, such as cifar10()",
		`rankings(3)`: "int is not a search",
		`rankings(search("spos", darts_space(), w, seeds=[1]))`: "no table says",
		`search("spos", s, w, seeds=[1], minimise=True)`:        "maximised",
	} {
		_, _, err := n.try(code)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", code, err, want)
		}
	}
}

// Rankings are held against a table with repeats, whose noise ceiling is worked out again here.
func TestRankingsAgainstAnImportedTable(t *testing.T) {
	notShort(t)
	n := tableNotebook(t)
	n.run(`spos = search("spos", space, shared_weights(` + tiny + `), seeds=[1])
wait(spos)`)
	_, out := n.run(`by = truth.metric("test", repeat=0)
ranked = rankings(spos, truth=by)
ranked`)
	for _, want := range []string{"the truth, test accuracy, 108 epochs, first repeat", "Noise ceiling: tau "} {
		if !strings.Contains(strings.ReplaceAll(out.text(), "NASBench-101 ", ""), want) {
			t.Errorf("the rankings do not say %q: %s", want, out.text())
		}
	}
	n.run(`def tau(x, y):
    sign = lambda d: 1 if d > 0 else (-1 if d < 0 else 0)
    pairs = [(sign(x[i] - x[j]), sign(y[i] - y[j])) for i in range(len(x)) for j in range(i)]
    both, only_x, only_y = sum([a * b for a, b in pairs]), sum([a * a for a, _ in pairs]), sum([b * b for _, b in pairs])
    return both / (only_x * only_y) ** 0.5`)
	n.run(`ranked.save("ranked.json")`)
	raw, err := os.ReadFile(filepath.Join(n.env.Dir, "ranked.json"))
	if err != nil {
		t.Fatal(err)
	}
	var written struct {
		Hashes     []string  `json:"hashes"`
		TrueValues []float64 `json:"true_values"`
	}
	if err := json.Unmarshal(raw, &written); err != nil {
		t.Fatal(err)
	}
	if len(written.Hashes) != 6 {
		t.Fatalf("the pool has %d architectures, want 6", len(written.Hashes))
	}
	n.run(`pool = ["` + strings.Join(written.Hashes, `", "`) + `"]`)
	n.run(`of = [[truth.query(h, repeat=k).test for h in pool] for k in range(3)]`)
	if got := n.value(`abs(ranked.noise_ceiling - (tau(of[0], of[1]) + tau(of[0], of[2]) + tau(of[1], of[2])) / 3) < 1e-12`); got != "True" {
		t.Errorf("the noise ceiling is not the mean tau between repeats: %s", n.value(`ranked.noise_ceiling`))
	}
	for i, v := range written.TrueValues {
		if got := n.value(fmt.Sprintf(`of[0][%d] == %v`, i, v)); got != "True" {
			t.Errorf("the true value of %s is %v, the table's another", written.Hashes[i], v)
		}
	}
	if got := n.value(`rankings(spos).noise_ceiling == None`); got != "True" {
		t.Error("the table inside has a noise ceiling, but one repeat")
	}
	for code, want := range map[string]string{
		`rankings(spos, truth=params())`:                             "give a metric of a table of NASBench-101",
		`rankings(spos, truth=3)`:                                    "truth is a int",
		`rankings(spos, truth=truth.metric("test", repeat="drawn"))`: "so that every look finds the same",
	} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", code, err, want)
		}
	}
}

// TestSupernetsThatDoNotFit are refused before anything is submitted or measured.
func TestSupernetsThatDoNotFit(t *testing.T) {
	if _, known := host.Memory(); !known {
		t.Skip("this system does not tell how much memory it has")
	}
	n := newNotebook(t)
	for code, want := range map[string]string{
		`search("spos", nasbench101(), shared_weights(synthetic(), channels=4096), seeds=[1])`:                        "of memory",
		`search("spos", nasbench101(), shared_weights(synthetic(), channels=4096), seeds=[1], debug=True)`:            "this kernel may have",
		`search("darts", nasbench101(), shared_weights(synthetic(train=4000), batch=1500, channels=4096), seeds=[1])`: "lower channels=4096 or batch=1500",
	} {
		began := time.Now()
		_, _, err := n.try(code)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "needs at least") {
			t.Errorf("%s: %v does not say %q", code, err, want)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s took %v", code, took)
		}
	}
	if got := n.value(`len(attach())`); got != "0" {
		t.Errorf("%s were submitted", got)
	}
}
