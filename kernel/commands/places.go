package commands

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
	lib "go.starlark.net/starlark"

	"evalnas/kernel/starlark"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/jobs/slurm"
)

// placeValue is where jobs run, as on= takes it.
type placeValue struct {
	immutable
	unhashable
	place jobs.Place
}

func (p *placeValue) Type() string   { return "place" }
func (p *placeValue) String() string { return "slurm(" + optionsText(*p.place.Slurm) + ")" }

// optionsText are the options that were given, as keywords.
func optionsText(o slurm.Options) string {
	var words []string
	for _, w := range []struct{ name, value string }{
		{"partition", o.Partition}, {"account", o.Account}, {"qos", o.QOS}, {"time", o.Time}, {"mem", o.Memory}, {"gres", o.Gres},
	} {
		if w.value != "" {
			words = append(words, fmt.Sprintf("%s=%q", w.name, w.value))
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"cpus", o.CPUs}, {"gpus", o.GPUs}, {"parallel", o.Parallel}} {
		if n.value != 0 {
			words = append(words, fmt.Sprintf("%s=%d", n.name, n.value))
		}
	}
	for _, l := range []struct {
		name string
		all  []string
	}{{"setup", o.Setup}, {"options", o.Options}} {
		if len(l.all) > 0 {
			words = append(words, fmt.Sprintf("%s=[%s]", l.name, quoted(l.all)))
		}
	}
	return strings.Join(words, ", ")
}

// settingsFile holds what a person always asks for: beside the notebook, or in the user's
// configuration folder.
const settingsFile = "evalnas.toml"

// settings is the content of the file.
type settings struct {
	Slurm slurm.Options `toml:"slurm"`
}

// settings reads the user's file and then the notebook's over it.
func (e *Env) settings() (settings, error) {
	var s settings
	files := []string{filepath.Join(e.path("."), settingsFile)}
	if dir, err := os.UserConfigDir(); err == nil {
		files = append([]string{filepath.Join(dir, "evalnas", settingsFile)}, files...)
	}
	for _, file := range files {
		meta, err := toml.DecodeFile(file, &s)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", file, err)
		}
		if unknown := meta.Undecoded(); len(unknown) > 0 {
			return s, fmt.Errorf("%s has %s, which nothing reads: there is [slurm] with partition, account, qos, time, mem, cpus, gpus, gres, parallel, setup and options", file, unknown[0])
		}
	}
	return s, nil
}

func (e *Env) placeCommands() []*starlark.Command {
	text := func(name, doc string) starlark.Param {
		return starlark.Param{Name: name, KeywordOnly: true, Default: lib.String(""), Type: "str", Doc: doc}
	}
	number := func(name, doc string) starlark.Param {
		return starlark.Param{Name: name, KeywordOnly: true, Default: lib.MakeInt(0), Type: "int", Doc: doc}
	}
	list := func(name, doc string) starlark.Param {
		return starlark.Param{Name: name, KeywordOnly: true, Default: lib.NewList(nil), Type: "list of str", Doc: doc}
	}
	return []*starlark.Command{{
		Name: "slurm",
		Params: []starlark.Param{
			text("partition", "of the cluster; `sinfo` lists them"),
			text("time", `limit of one job: "90" minutes, "12:00:00", "1-00" a day; near it a job saves itself and goes back to the queue`),
			number("cpus", "cores of a job, 0 for one"),
			text("mem", `memory of a job, such as "8G"`),
			number("parallel", "jobs at a time, 0 for as many as SLURM lets run"),
			text("account", "that is charged"),
			text("qos", "quality of service"),
			number("gpus", "GPUs of a job"),
			text("gres", "other resources"),
			list("setup", `lines of shell before the work: ["module load go"]`),
			list("options", `further options of sbatch: ["--exclude=node07"]`),
		},
		Doc: `A SLURM cluster as the place of jobs: search(..., on=slurm(partition="cpu", time="1-00")).

All jobs of one request are one array. What is left out comes from the file evalnas.toml beside the
notebook, then from the user's configuration folder, then from SLURM's defaults:

    [slurm]
    partition = "cpu"
    account = "nas"
    setup = ["module load go"]

The study's folder and this program must be on a disk that the nodes see. dry_run=True of search
and train shows the script.`,
		Run: e.runSlurm,
	}}
}

func (e *Env) runSlurm(c *starlark.Call) (lib.Value, error) {
	set, err := e.settings()
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	o := set.Slurm
	for _, t := range []struct {
		name string
		to   *string
	}{{"partition", &o.Partition}, {"time", &o.Time}, {"mem", &o.Memory}, {"account", &o.Account}, {"qos", &o.QOS}, {"gres", &o.Gres}} {
		if !c.Given(t.name) {
			continue
		}
		if *t.to, err = c.String(t.name); err != nil {
			return nil, err
		}
	}
	for _, n := range []struct {
		name string
		to   *int
	}{{"cpus", &o.CPUs}, {"gpus", &o.GPUs}, {"parallel", &o.Parallel}} {
		if !c.Given(n.name) {
			continue
		}
		if *n.to, err = c.Int(n.name); err != nil {
			return nil, err
		}
	}
	for _, l := range []struct {
		name string
		to   *[]string
	}{{"setup", &o.Setup}, {"options", &o.Options}} {
		if !c.Given(l.name) {
			continue
		}
		if *l.to, err = c.Strings(l.name); err != nil {
			return nil, err
		}
	}
	if err := o.Check(); err != nil {
		return nil, c.Errorf("%w", err)
	}
	return &placeValue{unhashable: unhashable{"place"}, place: jobs.Place{Slurm: &o}}, nil
}

// placeParams are the parameters of what starts jobs.
func placeParams() []starlark.Param {
	return []starlark.Param{
		{Name: "on", KeywordOnly: true, Default: lib.None, Type: "place", Doc: `where the jobs run: None is this machine, slurm(partition="cpu") a cluster`},
		{Name: "dry_run", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "with on=slurm(...): show the script and submit nothing"},
	}
}

// placeArg is the place that on= asks for.
func placeArg(c *starlark.Call) (jobs.Place, error) {
	if c.IsNone("on") {
		return jobs.Place{}, nil
	}
	p, ok := c.Value("on").(*placeValue)
	if !ok {
		return jobs.Place{}, named(c, "TypeError", `on is %s: give slurm(...), or leave it out for this machine`, c.Value("on").Type())
	}
	if p.place.Slurm.GPUs > 0 {
		return jobs.Place{}, c.Errorf("gpus=%d: this engine computes on processors only, so a GPU would stand idle: leave gpus out, give cpus instead", p.place.Slurm.GPUs)
	}
	return p.place, nil
}

// dryRun shows the script of n jobs, if that was asked for.
func dryRun(c *starlark.Call, st *jobs.Study, p jobs.Place, n int) (shown bool, err error) {
	asked, err := c.Bool("dry_run")
	if err != nil || !asked {
		return false, err
	}
	if p.Slurm == nil {
		return false, c.Errorf("dry_run shows what SLURM would be given: give on=slurm(...) with it")
	}
	script, err := st.DryRun(*p.Slurm, n)
	if err != nil {
		return false, c.Errorf("%w", err)
	}
	c.Cell.Out.Stream("stdout", script)
	return true, nil
}

// whereTexts says of each job where it runs, or where it waits: nothing of those that run
// or wait on this machine.
func whereTexts(st *jobs.Study, all []*jobs.Job, statuses []jobs.Status) (texts []string, trouble string) {
	queue, trouble := st.Queue()
	here, err := os.Hostname()
	if err != nil {
		here = ""
	}
	texts = make([]string, len(all))
	for i, j := range all {
		q, queued := queue[j.ID]
		switch s := statuses[i]; {
		case s.State == jobs.Running && queued:
			texts[i] = fmt.Sprintf("%s, SLURM %s", s.Host, q.Task)
		case s.State == jobs.Pending && queued:
			texts[i] = fmt.Sprintf("SLURM %s: %s", q.Task, strings.ToLower(q.State))
			if q.Reason != "" && q.Reason != "None" {
				texts[i] += " (" + q.Reason + ")"
			}
		case (s.State == jobs.Running || s.State == jobs.Done) && s.Host != here:
			texts[i] = s.Host
		}
	}
	return texts, trouble
}
