package commands

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"evalnas/kernel/starlark"
)

// climbProgram is a policy as a process: it changes one choice of the best so far at a time.
const climbProgram = `import json, sys

def say(**message):
    print(json.dumps(message), flush=True)

def hear():
    return json.loads(sys.stdin.readline())

init = hear()["init"]
options, seed = init["space"]["options"], init["seed"]
names = list(options)
say(ready={"protocol": 1})
best, value = None, None
while True:
    message = hear()
    if "end" in message:
        break
    if "tell" in message:
        told = message["tell"]
        if value is None or told["value"] > value:
            best, value = told["architecture"], told["value"]
        continue
    n = message["ask"]["number"]
    if best is None:
        arch = {k: options[k][0] for k in names}
    else:
        arch = dict(best)
        k = names[(n * 7 + seed) % len(names)]
        arch[k] = options[k][(n * 5 + seed) % len(options[k])]
    say(architecture=arch)
`

// climbCell is the same in a cell.
const climbCell = `step = 7
turn = {"by": [5, step]}

def at(n, seed, m):
    return (n * turn["by"][0] + seed) % m

def climb(space, rng, ask, budget, seed=0):
    options = {"a": [0, 1, 2, 3, 4], "b": [0, 1, 2, 3, 4], "c": ["x", "y", "z"]}
    names = list(options)
    best, value = None, None
    for n in range(1, budget + 1):
        if best == None:
            values = {k: options[k][0] for k in names}
        else:
            values = dict(best.values)
            k = names[(n * step + seed) % len(names)]
            values[k] = options[k][at(n, seed, len(options[k]))]
        arch = space.architecture(values)
        got = ask(arch)
        if value == None or got > value:
            best, value = arch, got`

// climbGo is the same in Go: the values at which the incumbent changed, by evaluation.
func climbGo(seed, budget int, value func(a, b int, c string) float64) string {
	letters := []string{"x", "y", "z"}
	var best [3]int
	found, top := false, 0.0
	trace := []string{}
	for n := 1; n <= budget; n++ {
		at := best
		if found {
			k := (n*7 + seed) % 3
			at[k] = (n*5 + seed) % []int{5, 5, 3}[k]
		}
		v := value(at[0], at[1], letters[at[2]])
		if !found || v > top {
			found, top, best = true, v, at
			trace = append(trace, fmt.Sprintf("(%d, %v)", n, v))
		}
	}
	return "[" + strings.Join(trace, ", ") + "]"
}

func ownTable(t *testing.T) *notebook {
	t.Helper()
	python3(t)
	n := newNotebook(t)
	t.Setenv("EVALNAS_TABLES", t.TempDir())
	var rows strings.Builder
	rows.WriteString("a,b,c,val,test\n")
	for a := range 5 {
		for b := range 5 {
			for _, c := range []string{"x", "y", "z"} {
				fmt.Fprintf(&rows, "%d,%d,%s,%v,0.5\n", a, b, c, climbValue(a, b, c))
			}
		}
	}
	n.write("mine.csv", rows.String())
	n.run(`truth = table("mine.csv", choices=["a", "b", "c"], valid="val", test="test")
space = truth.space
valid = truth.metric("valid")`)
	return n
}

func climbValue(a, b int, c string) float64 {
	return float64(100+37*a%11+17*b%7+int(c[0]-'x')*3) / 200
}

func python3(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not at hand")
	}
}

func (n *notebook) write(name, text string) {
	n.t.Helper()
	path := filepath.Join(n.env.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// The same policy as a process, in a cell and in Go gives the same trace.
func TestOnePolicyInThreeForms(t *testing.T) {
	notShort(t)
	n := ownTable(t)
	n.write("climb.py", climbProgram)
	n.run(climbCell)
	_, out := n.run(`process = search(exec("python3 climb.py"), space, valid, seeds=[0, 1, 2], budget=40)
process`)
	if !strings.Contains(out.text(), "climb on") {
		t.Errorf("the table does not name the policy: %s", out.text())
	}
	n.run(`cells = [search(climb, space, valid, seeds=[s], budget=40, seed=s) for s in range(3)]`)
	n.run(`turn["by"][0] = 1`) // after the search was asked for
	n.run(`wait(process, cells)`)
	if got := n.value(`[process.errors] + [s.errors for s in cells]`); got != "[{}, {}, {}, {}]" {
		t.Fatal(got)
	}
	for seed := range 3 {
		want := climbGo(seed, 40, climbValue)
		if got := n.value(fmt.Sprintf(`process.traces[%d]`, seed)); got != want {
			t.Errorf("seed %d: the process gives %s, Go %s", seed, got, want)
		}
		if got := n.value(fmt.Sprintf(`cells[%d].traces[%d]`, seed, seed)); got != want {
			t.Errorf("seed %d: the cell gives %s, Go %s", seed, got, want)
		}
	}
	// Asked again, it is the same jobs; after a change of the file, others.
	if got := n.value(`search(exec("python3 climb.py"), space, valid, seeds=[0, 1, 2], budget=40) == process`); got != "True" {
		t.Error("the same search again is another one")
	}
	n.write("climb.py", climbProgram+"\n# changed")
	if got := n.value(`search(exec("python3 climb.py"), space, valid, seeds=[0], budget=40) == process`); got != "False" {
		t.Error("a search by a changed file is the same one")
	}
	_, out = n.run(`compare(process, cells[0], sample_random(space, seeds=range(3)), by=truth.metric("test"))`)
	if !strings.Contains(out.text(), "climb") {
		t.Errorf("the comparison does not name the policy: %s", out.text())
	}
	if _, out := n.run(`search(exec("python3 climb.py"), space, valid, seeds=[0], budget=4, debug=True)`); !strings.Contains(out.text(), "evaluation 4 of 4") {
		t.Errorf("debug=True says %s", out.text())
	}
}

// program is a policy of which one part is wrong.
func program(answer string) string {
	return `import json, sys
say = lambda m: print(json.dumps(m), flush=True)
space = json.loads(sys.stdin.readline())["init"]["space"]
say({"ready": {"protocol": 1}})
for line in sys.stdin:
    message = json.loads(line)
    if "end" in message:
        break
    if "ask" in message:
` + answer + "\n"
}

func TestProgramsThatSearchBadly(t *testing.T) {
	notShort(t)
	n := ownTable(t)
	for name, c := range map[string]struct{ text, want string }{
		"outside":  {program(`        say({"architecture": {"a": 9, "b": 0, "c": "x"}})`), "answered question 1 with"},
		"nothing":  {program(`        say({"architecture": 3})`), "answered question 1 with"},
		"odd":      {program(`        say({"answer": 3})`), `said {"answer": ...} where an answer, {"architecture": ...} or {"done": {}}, was expected`},
		"crashes":  {program(`        raise RuntimeError("out of luck")`), "RuntimeError: out of luck"},
		"prints":   {program(`        print("hello", flush=True)`), `no message (line 2, not a JSON object): "hello"`},
		"newer":    {`print('{"ready": {"protocol": 2}}', flush=True); input()`, "speaks version 2 of the protocol"},
		"unready":  {`print('{"hello": {}}', flush=True); input()`, `answered init with {"hello": ...}: it must say`},
		"many":     {program(`        say({"sample": {"count": 100000000}})`), "count is 100000000: give 1 to 10000"},
		"done":     {program(`        say({"done": {}})`), "ended without evaluating anything"},
		"bad_end":  {program(`        say({"architecture": {"a": 1, "b": 0, "c": "x"}})`) + "sys.exit(4)\n", "ended with exit status 4"},
		"no_such":  {"", "no such program"},
		"too_long": {program(`        say({"log": {"event": "x" * 1000, "values": {}}})`), "at most 100 letters"},
	} {
		n.write(name+".py", c.text)
		words := "python3 " + name + ".py"
		if name == "no_such" {
			words = "no-such-program-here"
		}
		n.run(fmt.Sprintf(`bad = search(exec(%q), space, valid, seeds=[1], budget=3)
wait(bad)`, words))
		if got := n.value(`str(bad.errors)`); !strings.Contains(strings.ReplaceAll(got, `\`, ""), c.want) {
			t.Errorf("%s: %s does not say %q", name, got, c.want)
		}
		if got := n.value(`bad.states[1]`); got != `"failed"` {
			t.Errorf("%s: the seed is %s", name, got)
		}
	}
	// A policy may repeat itself: each time counts.
	n.write("same.py", program(`        say({"architecture": {"a": 1, "b": 0, "c": "x"}})`))
	n.run(`same = search(exec("python3 same.py"), space, valid, seeds=[1], budget=3)
wait(same)`)
	if got := n.value(`same.errors, len(same.traces[1])`); got != "({}, 1)" {
		t.Errorf("a policy that repeats itself: %s", got)
	}
	// What it asks for is drawn from the space, and a neighbour differs in one choice.
	n.write("asks.py", program(`        say({"sample": {"count": 2}})
        first = json.loads(sys.stdin.readline())["architectures"]
        say({"neighbours": {"architecture": first["architectures"][0]}})
        near = json.loads(sys.stdin.readline())["architectures"]["architectures"]
        assert len(near) == 4 + 4 + 2, near
        assert all(sum(n[k] != first["architectures"][0][k] for k in n) == 1 for n in near), near
        say({"heartbeat": {}})
        say({"log": {"event": "step", "values": {"n": 1}}})
        say({"mutate": {"architecture": near[0]}})
        say({"architecture": json.loads(sys.stdin.readline())["architectures"]["architectures"][0]})`))
	n.run(`asks = search(exec("python3 asks.py"), space, valid, seeds=[1, 2], budget=5)
wait(asks)`)
	if got := n.value(`asks.errors, len(asks.selected)`); got != "({}, 2)" {
		t.Errorf("a policy that asks: %s", got)
	}
	for code, want := range map[string]string{
		`search(exec("python3 same.py", gpus=1), space, valid, seeds=[1], budget=3)`:                           "is for trainers",
		`search(exec("python3 same.py"), nasbench101(max_vertices=4), shared_weights(synthetic()), seeds=[1])`: "trains no shared weights",
		`search(exec("python3 same.py"), space, valid, seeds=[1], budget=3, things=[1])`:                       "such parameters are numbers",
	} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", code, err, want)
		}
	}
}

func TestPoliciesInCells(t *testing.T) {
	n := ownTable(t)
	n.run(`def mine(space, rng, ask, budget, wild=False):
    print("budget", budget)
    a = space.sample(rng)
    v = ask(a)
    while True: # beyond the budget: ask ends it
        b = space.mutate(a, rng) if not wild else rng.choice(space.neighbours(a))
        w = ask(b)
        if w >= v:
            a, v = b, w`)
	n.run(`found = search(mine, space, valid, seeds=[1, 2], budget=30, wild=True)
again = search(mine, space, valid, seeds=[1, 2], budget=30)
wait(found, again)`)
	if got := n.value(`found.errors, found.policy, len(found.selected), found == again`); got != `({}, "mine", 2, False)` {
		t.Errorf("a policy in a cell: %s", got)
	}
	if got := n.value(`found.config["own"]["cell"]["name"]`); got != `"mine"` {
		t.Errorf("the configuration has %s", got)
	}
	n.run(`def random(space, rng, ask, budget):
    for i in range(budget):
        ask(space.sample(rng))`)
	if got := n.value(`search(random, space, valid, seeds=[1], budget=3).policy`); got != `"random (own)"` {
		t.Errorf("a function named as a policy of this program is called %s", got)
	}
	n.run(`deep = {"a": [1, (2.5, "x", None)], "b": {True: range(3)}}
def endless(space, rng, ask, budget):
    while True:
        pass
def fails(space, rng, ask, budget):
    x = deep["a"][1]
    return x[1] + 1
def wrong(space, rng, ask, budget):
    ask(3)
def stops(space, rng, ask, budget):
    ask(rng.choice([space.sample(rng), space.sample(rng)]))
def leaks(space, rng, ask, budget):
    return query(space.sample(rng))
def uses(space, rng, ask, budget):
    return found
def lost(space, rng, ask, budget):
    return no_such_name
def two(space, rng):
    pass
short = lambda space, rng, ask, budget: 0`)
	first := "endless"
	if testing.Short() { // a hundred million steps take minutes under the race detector
		first = "fails"
	}
	n.run(`bad = {str(i): search(f, space, valid, seeds=[1], budget=3) for i, f in enumerate([` + first + `, fails, wrong, stops])}
wait(list(bad.values()))`)
	for i, want := range []string{map[string]string{"endless": "more than 100000000 steps", "fails": "unsupported operands"}[first], "unsupported operands: string + int", "int is not an architecture"} {
		if got := n.value(fmt.Sprintf(`str(bad["%d"].errors)`, i)); !strings.Contains(got, want) {
			t.Errorf("%d: %s does not say %q", i, got, want)
		}
	}
	if got := n.value(`bad["3"].errors, len(bad["3"].selected)`); got != "({}, 1)" {
		t.Errorf("a policy that stops early: %s", got)
	}
	for code, want := range map[string]string{
		`search(leaks, space, valid, seeds=[1], budget=3)`: "leaks uses query(...), which is not there where it will run",
		`search(uses, space, valid, seeds=[1], budget=3)`:  "uses uses found, a search, which cannot be taken along",
		`search(lost, space, valid, seeds=[1], budget=3)`:  "no_such_name",
		`search(two, space, valid, seeds=[1], budget=3)`:   "two takes 2 arguments: a policy in a cell is def two(space, rng, ask, budget)",
		`search(short, space, valid, seeds=[1], budget=3)`: "no function that a def at the top level",
	} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", code, err, want)
		}
	}
}

// A policy from files is the policy in a cell, and its files are in the job and in the manifest.
func TestPoliciesFromFiles(t *testing.T) {
	n := ownTable(t)
	n.write("steps.star", "step = 7\nturn = {\"by\": [5, step]}\ndef at(n, seed, m):\n    return (n * turn[\"by\"][0] + seed) % m\n")
	_, climb, _ := strings.Cut(climbCell, "def climb")
	text := "load(\"steps.star\", \"step\", \"at\")\n\ndef climb" + climb + "\n"
	n.write("policies.star", text)
	n.run(`load("policies.star", mine="climb")
step, turn = 3, None # not the file's
found = search(mine, space, valid, seeds=[1], budget=40, seed=1)
wait(found)`)
	want := `({}, "climb", ` + climbGo(1, 40, climbValue) + `)`
	if got := n.value(`found.errors, found.policy, found.traces[1]`); got != want {
		t.Errorf("a policy from a file: %s, want %s", got, want)
	}
	digest := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	if got := n.value(`[f["name"] for f in found.config["own"]["cell"]["files"]]`); got != `["policies.star", "steps.star"]` {
		t.Errorf("the configuration has the files %s", got)
	}
	if raw, err := os.ReadFile(filepath.Join(n.env.Dir, ".evalnas", "jobs", strings.Trim(n.value(`found.jobs[0]`), `"`), "job.json")); err != nil || !strings.Contains(string(raw), digest(text)) {
		t.Errorf("job.json has no digest %s: %s, %v", digest(text), raw, err)
	}
	changed := text + "# another comment\n"
	n.write("policies.star", changed)
	if got := n.value("load(\"policies.star\", \"climb\")\nsearch(climb, space, valid, seeds=[1], budget=40, seed=1) == found"); got != "False" {
		t.Error("the search of a changed file is the same one")
	}
	n.run(`r = report(compare(found, sample_random(space, seeds=range(3)), by=truth.metric("test")))`)
	manifest := n.value(`str(r.tables["manifest"])`)
	for _, want := range []string{"policies.star " + digest(text), "loaded file policies.star, SHA-256", digest(changed), "loaded file steps.star, SHA-256"} {
		if !strings.Contains(manifest, want) {
			t.Errorf("the manifest does not say %q: %s", want, manifest)
		}
	}
	n.write("policies.star", text)
	if got := n.value("load(\"policies.star\", \"climb\")\nsearch(climb, space, valid, seeds=[1], budget=40, seed=1) == found"); got != "True" {
		t.Error("the same file again is another search")
	}
}

// A job that waits while its policy's file goes runs what was there, also for another kernel.
func TestPoliciesFromFilesThatChange(t *testing.T) {
	t.Setenv("EVALNAS_SLOTS", "1")
	n := ownTable(t)
	n.write("climb.star", climbCell)
	n.write("bad.star", "\n\ndef bad(space, rng, ask, budget):\n    return 1 // (budget - 3)\n")
	n.run(`going = search("enas", nasbench101(), params(), seeds=[1], budget=100000)`)
	n.until(`going.states`, `{1: "running"}`)
	n.run(`load("climb.star", "climb")
load("bad.star", "bad")
def wrapped(space, rng, ask, budget): # of the cell that loads
    return bad(space, rng, ask, budget)
found = search(climb, space, valid, seeds=[2], budget=40, seed=2)
failed = search(wrapped, space, valid, seeds=[1], budget=3)
ids = [going.id, found.id, failed.id]`)
	ids := n.value(`ids`)
	n.write("climb.star", "climb = None")
	if err := os.Remove(filepath.Join(n.env.Dir, "bad.star")); err != nil {
		t.Fatal(err)
	}
	env := NewEnv(n.env.Dir) // another kernel
	defer env.Close()
	n.in = starlark.New(starlark.Options{Dir: n.env.Dir, Commands: env.Commands(), Version: "test"})
	n.run(`going, found, failed = [attach(id) for id in ` + ids + `]
cancel(going)
wait(found, failed)`)
	if got, want := n.value(`found.traces[2]`), climbGo(2, 40, climbValue); got != want {
		t.Errorf("a policy whose file has changed: %s, want %s", got, want)
	}
	if got := n.value(`str(failed.errors)`); !strings.Contains(got, "ZeroDivisionError") || !strings.Contains(got, "bad.star in bad(), line 4") {
		t.Errorf("the error of a policy from a file: %s", got)
	}
}

// The example in plain Python searches every kind of space.
func TestExampleOfAPolicy(t *testing.T) {
	if testing.Short() {
		t.Skip("a dozen searches by programs are not at hand in short tests")
	}
	n := ownTable(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "policies", "hill_climb.py"))
	if err != nil {
		t.Fatal(err)
	}
	n.write("hill_climb.py", string(text))
	n.run(`mine = exec("python3 hill_climb.py")
searches = [search(mine, space, valid, seeds=[1, 2], budget=60, patience=15)]
searches += [search(mine, s, params(), seeds=[1, 2], budget=30) for s in [nasbench101(max_vertices=5), darts_space(), nasbench201(), cell_space(nodes=2, ops=["sep_conv_3x3", "skip_connect"])]]
wait(searches)`)
	if got := n.value(`[s.errors for s in searches], [len(s.selected) for s in searches]`); got != "([{}, {}, {}, {}, {}], [2, 2, 2, 2, 2])" {
		t.Fatal(got)
	}
	// With 60 of 75 cells looked at, the best is found.
	if got := n.value(`searches[0].values[1] == max([valid(a) for a in space])`); got != "True" {
		t.Errorf("the best of 60 evaluations is %s of %s", n.value(`searches[0].values`), n.value(`max([valid(a) for a in space])`))
	}
}
