package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/shared"
	"evalnas/nasapi/space"
)

// searchValue is a started search: its display is a live table.
type searchValue struct {
	immutable
	env    *Env
	search *nasapi.Search
}

var _ lib.HasAttrs = (*searchValue)(nil)

func (s *searchValue) Type() string          { return "search" }
func (s *searchValue) Hash() (uint32, error) { return hashString(s.search.ID()), nil }

// CompareSameType makes handles on one search equal.
func (s *searchValue) CompareSameType(op syntax.Token, y lib.Value, _ int) (bool, error) {
	equal := s.search.ID() == y.(*searchValue).search.ID()
	switch op {
	case syntax.EQL:
		return equal, nil
	case syntax.NEQ:
		return !equal, nil
	}
	return false, fmt.Errorf("searches have no order")
}

func (s *searchValue) String() string {
	c := s.search.Config
	text := fmt.Sprintf("search(%q, %s, %s, seeds=%s", c.Policy, s.search.Space, c.Objective, seedsText(s.search.Seeds))
	if c.Shared != nil {
		return text + ")"
	}
	if c.Budget > 0 {
		text += fmt.Sprintf(", budget=%d", c.Budget)
	}
	if c.Seconds > 0 {
		text += ", seconds=" + nasapi.SecondsText(c.Seconds)
	}
	return text + ")"
}

// budgetText is "1,000 evaluations or 5,000,000 simulated seconds".
func budgetText(budget int, seconds float64) string {
	var parts []string
	if budget > 0 {
		parts = append(parts, count(budget)+" evaluations")
	}
	if seconds > 0 {
		parts = append(parts, secondsText(seconds)+" simulated seconds")
	}
	return strings.Join(parts, " or ")
}

// secondsText is count for seconds, of which fractions are kept.
func secondsText(s float64) string {
	whole, part, _ := strings.Cut(nasapi.SecondsText(s), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return nasapi.SecondsText(s)
	}
	if part != "" {
		part = "." + part
	}
	return count(n) + part
}

// seedsText writes consecutive seeds as a range.
func seedsText(seeds []int64) string {
	for i, s := range seeds {
		if s != seeds[0]+int64(i) {
			return strings.ReplaceAll(fmt.Sprint(seeds), " ", ", ")
		}
	}
	return fmt.Sprintf("range(%d, %d)", seeds[0], seeds[0]+int64(len(seeds)))
}

// Show opens a live table in the cell.
func (s *searchValue) Show(cell *kernel.Cell) error { return s.env.live.show(s, cell) }

func (s *searchValue) handle() handle { return s.search }
func (s *searchValue) render() (*kernel.Bundle, bool, error) {
	b, final, err := searchBundle(s.search)
	if err == nil && final {
		b.Data[nasapi.SearchMIME] = nasapi.RecordOfSearch(s.search)
	}
	return b, final, err
}

var searchAttrs = attrTable[*searchValue]{
	{"selected", "list of the found architectures, one a seed, in seed order; an error while seeds are unfinished", (*searchValue).selected},
	{"partial", "list of the architectures of the seeds that have finished so far", func(s *searchValue) (lib.Value, error) {
		return newArchList(s.search.Selected(), s.search.Space), nil
	}},
	{"policy", "name of the policy", func(s *searchValue) (lib.Value, error) { return lib.String(s.search.Config.Policy), nil }},
	{"space", "the searched space", func(s *searchValue) (lib.Value, error) { return newSpaceValue(s.search.Space), nil }},
	{"seeds", "list of the seeds", func(s *searchValue) (lib.Value, error) { return toValue(s.search.Seeds) }},
	{"budget", "evaluations of the objective for each seed, None with shared weights and where seconds= alone bounds them", func(s *searchValue) (lib.Value, error) {
		if s.search.Config.Budget == 0 {
			return lib.None, nil
		}
		return lib.MakeInt(s.search.Config.Budget), nil
	}},
	{"seconds", "time on the virtual clock for each seed, None where there is no such bound", func(s *searchValue) (lib.Value, error) {
		if s.search.Config.Seconds == 0 {
			return lib.None, nil
		}
		return lib.Float(s.search.Config.Seconds), nil
	}},
	{"config", "the complete configuration as a dict, defaults filled in", func(s *searchValue) (lib.Value, error) { return toValue(s.search.Config) }},
	{"states", "dict of seed to state: pending, running, checkpointed, preempted, done, failed, cancelled or lost", (*searchValue).states},
	{"finished", "True when no seed is waiting or running", func(s *searchValue) (lib.Value, error) {
		return lib.Bool(!slices.ContainsFunc(s.statuses(), unfinished)), nil
	}},
	{"values", "dict of seed to the objective's value of the selected architecture, in seed order; an error while seeds are unfinished", (*searchValue).values},
	{"traces", "dict of seed to the list of (evaluations, value) at which the incumbent changed; an error while seeds are unfinished", (*searchValue).traces},
	{"simulated", "dict of seed to the seconds of training that its look-ups stand for, 0 where the table has no times; an error while seeds are unfinished", (*searchValue).simulated},
	{"timed_traces", "as traces, by seconds on the virtual clock: list of (seconds, value); an error while seeds are unfinished", (*searchValue).timedTraces},
	{"errors", "dict of seed to what failed, empty if nothing did", (*searchValue).errors},
	{"rankings", "what rankings(...) says of this search alone, None where no architectures of a table are ranked", func(s *searchValue) (lib.Value, error) {
		if _, listed := s.search.Space.(*space.NASBench); !listed || s.search.Config.Shared == nil || s.search.Config.Shared.Protocol.Pool == 0 {
			return lib.None, nil
		}
		return newRankings(s.env, []*nasapi.Search{s.search}, shared.FixedPool, nil)
	}},
	{"provenance", provenanceDoc, func(s *searchValue) (lib.Value, error) { return provenance(s.search.Jobs()) }},
	{"jobs", "list of the ids of its jobs, in seed order", func(s *searchValue) (lib.Value, error) {
		var ids []string
		for _, j := range s.search.Jobs() {
			ids = append(ids, j.ID)
		}
		return stringList(ids), nil
	}},
	{"id", "id of the search in its study", func(s *searchValue) (lib.Value, error) { return lib.String(s.search.ID()), nil }},
	{"study", "folder of the study that its jobs are in", func(s *searchValue) (lib.Value, error) { return lib.String(s.search.Study().Paths.Dir), nil }},
}

func (s *searchValue) Attr(name string) (lib.Value, error) { return searchAttrs.get(s, name) }
func (s *searchValue) AttrNames() []string                 { return searchAttrs.names() }
func (s *searchValue) AttrDoc(name string) string          { return searchAttrs.doc(name) }
func (s *searchValue) Doc() string {
	return s.String() + "\n\nA search: one job for each seed. It shows itself as a live table.\n\n" + searchAttrs.list()
}

func unfinished(st jobs.Status) bool { return !st.State.Final() }

// statuses are the seeds' states; a result that cannot be used is a failure.
// They can be read where no runner can be started, as in a study on a full or
// read-only disk: wait(...) says so.
func (s *searchValue) statuses() []jobs.Status {
	statuses, _ := s.search.Statuses()
	for i, r := range s.search.Runs() {
		if statuses[i].State == jobs.Done {
			statuses[i] = r.Status
		}
	}
	return statuses
}

// checkFinished refuses to answer for a search of which seeds are missing that
// may still come, and for one that has no results at all.
func (s *searchValue) checkFinished() error {
	statuses := s.statuses()
	open, missing := 0, 0
	for _, st := range statuses {
		if unfinished(st) {
			open++
		} else if st.State != jobs.Done {
			missing++
		}
	}
	if open > 0 {
		return fmt.Errorf("%d of %d seeds have not finished: wait(...) waits for them, .partial has the architectures of those that have", open, len(statuses))
	}
	if missing == len(statuses) {
		return fmt.Errorf("no seed finished: .errors says why, and the same search(...) again retries them, with fresh=True where a result is damaged")
	}
	return nil
}

func (s *searchValue) selected() (lib.Value, error) {
	if err := s.checkFinished(); err != nil {
		return nil, err
	}
	return newArchList(s.search.Selected(), s.search.Space), nil
}

func (s *searchValue) states() (lib.Value, error) {
	statuses := s.statuses()
	return s.bySeed(func(i int) (lib.Value, bool) { return lib.String(statuses[i].State), true })
}

func (s *searchValue) errors() (lib.Value, error) {
	statuses := s.statuses()
	return s.bySeed(func(i int) (lib.Value, bool) { return lib.String(statuses[i].Error), statuses[i].Error != "" })
}

func (s *searchValue) values() (lib.Value, error) {
	return s.ofResults(func(r *nasapi.SearchResult) lib.Value { return lib.Float(r.Value) })
}

func (s *searchValue) traces() (lib.Value, error) {
	return s.ofResults(func(r *nasapi.SearchResult) lib.Value {
		var points []lib.Value
		for _, p := range r.Trace {
			points = append(points, lib.Tuple{lib.MakeInt(p.Evaluations), lib.Float(p.Value)})
		}
		return lib.NewList(points)
	})
}

func (s *searchValue) simulated() (lib.Value, error) {
	return s.ofResults(func(r *nasapi.SearchResult) lib.Value { return lib.Float(r.Seconds) })
}

func (s *searchValue) timedTraces() (lib.Value, error) {
	return s.ofResults(func(r *nasapi.SearchResult) lib.Value {
		var points []lib.Value
		for _, p := range r.Trace {
			points = append(points, lib.Tuple{lib.Float(p.Seconds), lib.Float(p.Value)})
		}
		return lib.NewList(points)
	})
}

// ofResults reads something off the result of every seed that has one, once no
// seed is unfinished.
func (s *searchValue) ofResults(get func(*nasapi.SearchResult) lib.Value) (lib.Value, error) {
	if err := s.checkFinished(); err != nil {
		return nil, err
	}
	runs := s.search.Runs()
	return s.bySeed(func(i int) (lib.Value, bool) {
		if runs[i].Result == nil {
			return nil, false
		}
		return get(runs[i].Result), true
	})
}

func (s *searchValue) bySeed(get func(i int) (lib.Value, bool)) (lib.Value, error) {
	d := lib.NewDict(len(s.search.Seeds))
	for i, seed := range s.search.Seeds {
		if v, ok := get(i); ok {
			if err := d.SetKey(lib.MakeInt64(seed), v); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

func policyNames() []string {
	var out []string
	for _, p := range policy.All() {
		out = append(out, p.Name)
	}
	return out
}

func (e *Env) searchCommands() []*starlark.Command {
	return []*starlark.Command{
		{
			Name: "search",
			Params: append([]starlark.Param{
				{Name: "policy", Type: "str, program or function", Doc: "name of the policy; `policies()` lists them. Or one of your own: `exec(\"python3 mine.py\")`, or a function `mine(space, rng, ask, budget)`", Values: policyNames},
				{Name: "space", Type: "space", Doc: "where to search"},
				{Name: "objective", Type: "objective", Doc: "what guides the policy: `params()`, `flops()`, a table's metric, `shared_weights(data)` or `trained(data, trainer=...)`"},
				{Name: "seeds", KeywordOnly: true, Type: "list of int", Doc: "one independent run (and job) a seed"},
				{Name: "budget", KeywordOnly: true, Default: lib.None, Type: "int", Doc: "evaluations of the objective a seed, repeated ones counted; none with shared weights"},
				{Name: "seconds", KeywordOnly: true, Default: lib.None, Type: "number", Doc: "seconds of training a seed that its look-ups may stand for, on a table with training times; instead of budget or beside it"},
				{Name: "minimise", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "lower values of the objective are better"},
				confirmParam(),
				{Name: "debug", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "a few evaluations of the first seed in the foreground, without a job"},
				{Name: "fresh", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "run finished seeds again instead of taking their results"},
				{Name: "params", Rest: true, Doc: "parameters of the policy, such as population=50"},
			}, placeParams()...),
			Doc: searchDoc(),
			Run: e.runSearch,
		},
		{
			Name: "policies",
			Params: []starlark.Param{
				{Name: "name", Default: lib.None, Type: "str", Values: policyNames, Doc: "the policy to describe; None lists all"},
			},
			Doc: "List the search policies, or describe one: what it does step by step, and its parameters.\n\n    policies()\n    policies(\"spos\")",
			Run: runPolicies,
		},
		{
			Name: "wait",
			Params: []starlark.Param{
				{Name: "searches", Variadic: true, Type: "search or training", Doc: "searches and trainings, or lists of them"},
				{Name: "timeout", KeywordOnly: true, Default: lib.None, Type: "number", Doc: "seconds after which to stop waiting, None for no limit"},
			},
			Doc: `Wait until every job of the searches and trainings has finished, showing their tables meanwhile.

Interrupting the cell stops the waiting and never the jobs; ` + "`cancel(...)`" + ` stops those. After the
timeout it is an error, and the jobs go on.

    wait(found)`,
			Run: e.runWait,
		},
	}
}

func searchDoc() string {
	var b strings.Builder
	b.WriteString(`Search a space with a policy: one job a seed, started outside the kernel; returns at once.

The policy decides how to search, the objective guides it, and the final evaluation is another
matter: compare(..., by=...). The value of the objective is maximised unless minimise=True. The
result shows itself as a live table; ` + "`.selected`" + ` is one architecture a seed, the best that the
objective saw. The same request again finds the finished jobs; jobs outlive the kernel, and
attach(...) finds them again. What the seeds will take is measured for a moment and shown before
anything is submitted. debug=True runs the beginning of the first seed in the cell instead, with
every evaluation.

    found = search("evolution", space, params(), seeds=range(1268, 1278), budget=1000)
    found

On a table that has training times, seconds= bounds a search by a virtual clock: each look-up
moves it by the training that it saves, of that repeat and those epochs, and one that would end
after the limit is not made: the search is over. With budget= too, what is spent first ends it.
Where the metric leaves the repeat to chance, each look-up draws one, also of an architecture
that was looked up before.

    found = search("evolution", space, truth.metric("valid"), seeds=range(10), seconds=5e6)

Guided by shared_weights(...), the policy trains one set of weights for all architectures of the
space, and a search has no budget: it is as long as the epochs of its protocol.

    found = search("spos", space, shared_weights(cifar10(), preset="minutes"), seeds=range(3))

Policies:

`)
	for _, p := range policy.All() {
		fmt.Fprintf(&b, "- `%q`: %s\n", p.Name, p.Summary)
	}
	b.WriteString("\n`policies(name)` describes one, and says where it shares weights.\n")
	return b.String()
}

func (e *Env) runSearch(c *starlark.Call) (lib.Value, error) {
	req, err := searchRequest(c)
	if err != nil {
		return nil, err
	}
	if debug, err := c.Bool("debug"); err != nil || debug {
		if err != nil {
			return nil, err
		}
		return e.debugSearch(c, req)
	}
	st, err := e.study("")
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	if t, ok := c.Value("objective").(*trainedValue); ok && t.program != nil {
		req.On, err = e.placeOf(c, t.program)
	} else {
		req.On, err = e.placeArg(c)
	}
	if err != nil {
		return nil, err
	}
	if shown, err := dryRun(c, st, req.On, len(req.Seeds)); err != nil || shown {
		return lib.None, err
	}
	if err := announceSearch(c, st, req); err != nil {
		return nil, err
	}
	s, err := nasapi.StartSearch(st, req)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return &searchValue{env: e, search: s}, nil
}

func searchRequest(c *starlark.Call) (nasapi.SearchRequest, error) {
	var req nasapi.SearchRequest
	name, err := policyArg(c, &req)
	if err != nil {
		return req, err
	}
	sp, err := spaceArg(c, "space")
	if err != nil {
		return req, err
	}
	if req.Seeds, err = c.Int64s("seeds"); err != nil {
		return req, err
	}
	req.Policy, req.Space = name, sp.Spec()
	if err := guide(c, &req, sp); err != nil {
		return req, err
	}
	if req.Fresh, err = c.Bool("fresh"); err != nil {
		return req, err
	}
	if req.Params, err = policyParams(c, "params"); err != nil || req.Shared == nil {
		return req, err
	}
	return req, checkPolicyParams(c, req)
}

// policyArg reads which policy searches, and returns its name.
func policyArg(c *starlark.Call, req *nasapi.SearchRequest) (string, error) {
	switch v := c.Value("policy").(type) {
	case *programValue:
		if v.gpus > 0 {
			return "", c.Errorf("policy: gpus=%d is for trainers; a policy is asked for architectures and computes where it likes", v.gpus)
		}
		req.Own = &nasapi.OwnPolicy{Program: v.program}
		return nasapi.OwnName(v.program.Name()), nil
	case *lib.Function:
		own, err := frozenPolicy(c, v)
		if err != nil {
			return "", c.Errorf("policy: %w", err)
		}
		req.Own = own
		return nasapi.OwnName(v.Name()), nil
	}
	return c.String("policy")
}

// guide reads what guides the search, and for how long.
func guide(c *starlark.Call, req *nasapi.SearchRequest, sp space.Space) error {
	minimise, err := c.Bool("minimise")
	if err != nil {
		return err
	}
	if !c.IsNone("budget") {
		if req.Budget, err = c.Int("budget"); err != nil {
			return err
		}
	}
	if !c.IsNone("seconds") {
		if req.Seconds, err = c.Float("seconds"); err != nil {
			return err
		}
		if req.Seconds == 0 {
			return c.Errorf("seconds is 0: it is the time on the virtual clock for each seed; leave it out for a search that budget= alone bounds")
		}
	}
	if s, ok := c.Value("objective").(*sharedValue); ok {
		if req.Own != nil {
			return c.Errorf("%s is a policy of your own, which evaluates architectures and trains no shared weights: give it a table's metric, params() or flops()", req.Policy)
		}
		if _, err := policy.Lookup(req.Policy); err != nil {
			return c.Errorf("%w", err)
		}
		req.Objective, req.Shared, err = s.config(req.Policy, sp)
		if err != nil {
			return c.Errorf("%w", err)
		}
		req.Objective.Minimise = minimise
		return nil
	}
	if t, ok := c.Value("objective").(*trainedValue); ok {
		if c.IsNone("budget") {
			return named(c, "TypeError", "missing argument budget: the number of trainings for each seed, such as budget=50")
		}
		if req.Objective, req.Trained, err = t.config(sp); err != nil {
			return c.Errorf("%w", err)
		}
		req.Objective.Minimise = minimise
		return nil
	}
	obj, err := objectiveArg(c, "objective")
	if err != nil {
		return err
	}
	if c.IsNone("budget") && c.IsNone("seconds") {
		return named(c, "TypeError", "missing argument budget: the number of evaluations of %s for each seed, such as budget=1000 (or, on a table with training times, seconds=5e6)", obj)
	}
	req.Objective = obj.Minimised(minimise).Spec()
	return nil
}

// debugBudget is how many evaluations debug=True makes: two updates of ENAS.
const debugBudget = 20

// debugTrainings is how many where each trains a network.
const debugTrainings = 2

// debugSearch runs the beginning of the first seed in the cell.
func (e *Env) debugSearch(c *starlark.Call, req nasapi.SearchRequest) (lib.Value, error) {
	cfg, err := req.Complete()
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	if err := nasapi.CheckSeeds(req.Seeds); err != nil {
		return nil, c.Errorf("%w", err)
	}
	most := debugBudget
	if cfg.Shared != nil {
		return debugSharing(c, cfg, req.Seeds[0])
	}
	if cfg.Trained != nil {
		most = debugTrainings
	}
	text := fmt.Sprintf("debug: %s guided by %s, seed %d", cfg.Policy, cfg.Objective, req.Seeds[0])
	switch {
	case cfg.Budget > most:
		text += fmt.Sprintf("; REDUCED: %d of %s evaluations", most, count(cfg.Budget))
		cfg.Budget = most
	case cfg.Budget == 0:
		text += fmt.Sprintf("; REDUCED: at most %d evaluations", most)
		cfg.Budget = most
	}
	if cfg.Objective.Oracle() {
		say(c, "%s", oracleWatermark)
	}
	say(c, "%s", text)
	dir, err := os.MkdirTemp("", "evalnas-debug-")
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	defer os.RemoveAll(dir)
	told := &debugEvaluations{c, cfg.Budget, debugHome{c, e.path(e.defaultStudy()), dir}}
	result, err := nasapi.RunSearch(c.Ctx, cfg, req.Seeds[0], told)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	v, err := toValue(result)
	if err != nil {
		return nil, err
	}
	_, _, err = v.(*lib.Dict).Delete(lib.String("trace")) // every evaluation was told
	return v, err
}

// debugEvaluations writes every evaluation into the cell, and what the policy tells of
// itself.
type debugEvaluations struct {
	call   *starlark.Call
	budget int
	debugHome
}

// debugHome is where a program of one's own runs in a cell instead of a job.
type debugHome struct {
	call       *starlark.Call
	study, dir string
}

func (d debugHome) Study() string          { return d.study }
func (d debugHome) Files() (string, error) { return d.dir, nil }
func (d debugHome) Debugging() bool        { return true }
func (d debugHome) Log() io.Writer         { return cellLog{d.call} }

func (d *debugEvaluations) Evaluated(e nasapi.Evaluation) error {
	text := fmt.Sprintf("evaluation %d of %d: %s is %s", e.Number, d.budget, shortHash(e.Arch.Hash()), number(e.Value))
	if e.Improved {
		text += ", the new incumbent"
	}
	say(d.call, "%s", text)
	return nil
}

func (d *debugEvaluations) Event(kind string, payload any) error {
	values, ok := payload.(map[string]float64)
	if !ok {
		return nil
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		words = append(words, fmt.Sprintf("%s %.4g", name, values[name]))
	}
	say(d.call, "%s: %s", kind, strings.Join(words, ", "))
	return nil
}

func (*debugEvaluations) Progress(int, int, map[string]any) {}

// policyParams reads the keywords that are the policy's, or the protocol's, own.
func policyParams(c *starlark.Call, rest string) (policy.Config, error) {
	cfg := policy.Config{}
	for _, kv := range c.Rest(rest) {
		name := string(kv[0].(lib.String))
		switch v := kv[1].(type) {
		case lib.Bool:
			cfg[name] = bool(v)
		case lib.String:
			cfg[name] = string(v)
		case lib.Float:
			cfg[name] = float64(v)
		case lib.Int:
			i, ok := v.Int64()
			if !ok {
				return nil, c.Errorf("%s is %s, which does not fit in 64 bits", name, v)
			}
			cfg[name] = int(i)
		default:
			return nil, named(c, "TypeError", "%s is %s: such parameters are numbers, strings, True or False", name, v.Type())
		}
	}
	return cfg, nil
}

// policyTable is what policies() shows.
type policyTable struct{ *lib.List }

func (policyTable) Bundle() (*kernel.Bundle, error) {
	t := newTable("", column{"policy", left}, column{"what it does", left}, column{"shared weights", left}, column{"parameters", left}, column{"source", left})
	for _, p := range policy.All() {
		var params []string
		for _, q := range p.Params {
			params = append(params, fmt.Sprintf("%s=%v", q.Name, q.Default))
		}
		t.add(p.Name, p.Summary, sharingWords[p.Shares], strings.Join(params, ", "), p.Source)
	}
	t.note("policies(name) describes one policy and its parameters.")
	return t.bundle(), nil
}

// sharingWords say what a policy has to do with shared weights.
var sharingWords = map[policy.Sharing]string{policy.Never: "no", policy.May: "too", policy.Must: "only"}

// policyPage is what policies(name) shows.
type policyPage struct {
	immutable
	text string
}

func (p *policyPage) String() string        { return p.text }
func (p *policyPage) Type() string          { return "text" }
func (p *policyPage) Hash() (uint32, error) { return hashString(p.text), nil }
func (p *policyPage) Bundle() (*kernel.Bundle, error) {
	return &kernel.Bundle{Data: map[string]any{"text/plain": p.text, "text/markdown": p.text}}, nil
}

func runPolicies(c *starlark.Call) (lib.Value, error) {
	if c.IsNone("name") {
		return policyTable{stringList(policyNames())}, nil
	}
	name, err := c.String("name")
	if err != nil {
		return nil, err
	}
	p, err := policy.Lookup(name)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return &policyPage{text: describePolicy(p)}, nil
}

// describePolicy is all that is known of a policy, as Markdown.
func describePolicy(p *policy.Info) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**: %s\n\n%s\n\nSource: %s.\n", p.Name, p.Summary, p.Doc, p.Source)
	if in := shared.Spaces(p.Name); p.Shares != policy.Never {
		fmt.Fprintf(&b, "\nShares weights in %s.\n", in)
	}
	if p.Fidelities {
		b.WriteString("\nIts objective must have values after several numbers of epochs.\n")
	}
	if len(p.Params) > 0 {
		b.WriteString("\nParameters, given to search(...):\n\n")
	}
	for _, q := range p.Params {
		fmt.Fprintf(&b, "- `%s=%s`: %s%s\n", q.Name, literal(q.Default), q.Doc, allowedOf(q))
	}
	return b.String()
}

// literal writes a default as a cell would.
func literal(v any) string {
	switch v := v.(type) {
	case bool:
		return lib.Bool(v).String()
	case string:
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(v)
}

func allowedOf(q policy.Param) string {
	if len(q.Options) > 0 {
		return "; one of " + strings.Join(q.Options, ", ")
	}
	return ""
}

// worksOf flattens searches, trainings and lists of them.
func worksOf(v lib.Value) ([]work, error) {
	switch v := v.(type) {
	case work:
		return []work{v}, nil
	case *lib.List, lib.Tuple:
		var out []work
		for x := range lib.Elements(v.(lib.Iterable)) {
			more, err := worksOf(x)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
		return out, nil
	}
	return nil, starlark.Named("TypeError", fmt.Errorf("%s is not a search or a training", v.Type()))
}

func (e *Env) runWait(c *starlark.Call) (lib.Value, error) {
	works, err := worksOf(c.Value("searches"))
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	ctx := c.Ctx
	if !c.IsNone("timeout") {
		seconds, err := c.Float("timeout")
		if err != nil {
			return nil, err
		}
		if !(seconds >= 0 && seconds < 1e9) {
			return nil, c.Errorf("timeout is %v: it must be a number of seconds, 0 or more", seconds)
		}
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, time.Duration(seconds*float64(time.Second)))
		defer stop()
	}
	err = e.waitFor(ctx, c.Cell, works)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, named(c, "TimeoutError", "the jobs have not finished in time; they go on")
	}
	return lib.None, err
}

// waitFor shows the works that no cell shows yet and waits for them. Their
// displays end in the present state, whatever ends the waiting.
func (e *Env) waitFor(ctx context.Context, cell *kernel.Cell, works []work) error {
	for _, w := range works {
		if !e.live.shows(w) {
			if err := e.live.show(w, cell); err != nil {
				return err
			}
		}
	}
	var errs []error
	for _, w := range works {
		if err := w.handle().Wait(ctx); err != nil {
			errs = append(errs, err)
			break
		}
	}
	for _, w := range works {
		errs = append(errs, e.live.settle(w))
	}
	return errors.Join(errs...)
}
