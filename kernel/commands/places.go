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

func newPlace(p jobs.Place) *placeValue {
	return &placeValue{unhashable: unhashable{"place"}, place: p}
}

func (p *placeValue) Type() string { return "place" }
func (p *placeValue) String() string {
	if p.place.Slurm != nil {
		return "slurm(" + keywordsText(slurmKeywords(p.place.Slurm)) + ")"
	}
	return "local(" + keywordsText(localKeywords(&p.place.Local)) + ")"
}

// keyword is an option of a place: its name in a cell and where its value is kept, a
// *string, *int or *[]string.
type keyword struct {
	name string
	to   any
}

func slurmKeywords(o *slurm.Options) []keyword {
	return []keyword{
		{"partition", &o.Partition}, {"account", &o.Account}, {"qos", &o.QOS}, {"time", &o.Time}, {"mem", &o.Memory}, {"gres", &o.Gres},
		{"cpus", &o.CPUs}, {"gpus", &o.GPUs}, {"parallel", &o.Parallel}, {"setup", &o.Setup}, {"options", &o.Options},
	}
}

func localKeywords(l *jobs.Local) []keyword {
	return []keyword{{"cores", &l.Cores}, {"mem", &l.Memory}, {"priority", &l.Priority}}
}

// keywordsText are the options that were given.
func keywordsText(all []keyword) string {
	var words []string
	for _, k := range all {
		switch v := k.to.(type) {
		case *string:
			if *v != "" {
				words = append(words, fmt.Sprintf("%s=%q", k.name, *v))
			}
		case *int:
			if *v != 0 {
				words = append(words, fmt.Sprintf("%s=%d", k.name, *v))
			}
		case *[]string:
			if len(*v) > 0 {
				words = append(words, fmt.Sprintf("%s=[%s]", k.name, quoted(*v)))
			}
		}
	}
	return strings.Join(words, ", ")
}

// readKeywords takes the options that a call gives; the others stay as they are.
func readKeywords(c *starlark.Call, all []keyword) (err error) {
	for _, k := range all {
		if !c.Given(k.name) {
			continue
		}
		switch to := k.to.(type) {
		case *string:
			*to, err = c.String(k.name)
		case *int:
			*to, err = c.Int(k.name)
		case *[]string:
			*to, err = c.Strings(k.name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settingsFile holds what a person always asks for: beside the notebook, or in the user's
// configuration folder.
const settingsFile = "evalnas.toml"

// settings is the content of the file.
type settings struct {
	Local jobs.Local    `toml:"local"`
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
			return s, fmt.Errorf("%s has %s, which nothing reads: there is [local] with %s, and [slurm] with %s", file, unknown[0], keywordNames(localKeywords(&s.Local)), keywordNames(slurmKeywords(&s.Slurm)))
		}
	}
	return s, nil
}

// keywordNames are "a, b and c".
func keywordNames(all []keyword) string {
	var names []string
	for _, k := range all {
		names = append(names, k.name)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
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
		Name: "local",
		Params: []starlark.Param{
			number("cores", "cores of a job, 0 for one slot of this machine"),
			text("mem", `memory that a job may take, such as "8G"; "" for the share of its slots`),
			number("priority", "higher ones start first among the jobs that wait in the study"),
			number("gpus", "GPUs of a job: only trainers of your own can use them, and ask for them by exec(..., gpus=1)"),
		},
		Doc: `This machine as the place of jobs: search(..., on=local(cores=2, mem="8G")).

The machine is cut into slots, as many as it has cores (or $EVALNAS_SLOTS), each with its share of
cores and memory; all notebooks of a user share them. A job takes whole slots: as many as its cores
and its memory need, one by default. It is bound to their cores, computes on as many threads, and is
kept below its memory: a job that takes more fails and says so. No result depends on any of this.
Without on= jobs run as local() has them. What is left out comes from the file evalnas.toml beside
the notebook, then from the user's configuration folder:

    [local]
    cores = 2
    mem = "8G"`,
		Run: e.runLocal,
	}, {
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

func (e *Env) runLocal(c *starlark.Call) (lib.Value, error) {
	set, err := e.settings()
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	gpus, err := c.Int("gpus")
	if err != nil {
		return nil, err
	}
	if err := refuseGPUs(c, gpus); err != nil {
		return nil, err
	}
	l := set.Local
	if err := readKeywords(c, localKeywords(&l)); err != nil {
		return nil, err
	}
	if err := l.Check(); err != nil {
		return nil, c.Errorf("%w", err)
	}
	return newPlace(jobs.Place{Local: l}), nil
}

func (e *Env) runSlurm(c *starlark.Call) (lib.Value, error) {
	set, err := e.settings()
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	o := set.Slurm
	if err := readKeywords(c, slurmKeywords(&o)); err != nil {
		return nil, err
	}
	if err := o.Check(); err != nil {
		return nil, c.Errorf("%w", err)
	}
	return newPlace(jobs.Place{Slurm: &o}), nil
}

// placeParams are the parameters of what starts jobs.
func placeParams() []starlark.Param {
	return []starlark.Param{
		{Name: "on", KeywordOnly: true, Default: lib.None, Type: "place", Doc: `where the jobs run: None is this machine, local(cores=2) more of it for each, slurm(partition="cpu") a cluster`},
		{Name: "dry_run", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "with on=slurm(...): show the script and submit nothing"},
	}
}

// placeArg is the place that on= asks for, or that of local(), for work without GPUs.
func (e *Env) placeArg(c *starlark.Call) (jobs.Place, error) {
	p, err := e.anyPlace(c)
	if err == nil && p.Slurm != nil {
		err = refuseGPUs(c, p.Slurm.GPUs)
	}
	return p, err
}

// placeOf is placeArg for a program of one's own, with the GPUs that it asks for.
func (e *Env) placeOf(c *starlark.Call, program *programValue) (jobs.Place, error) {
	p, err := e.anyPlace(c)
	if err != nil || program.gpus == 0 {
		return p, err
	}
	if p.Slurm == nil {
		p.Local.GPUs = program.gpus
	} else if p.Slurm.GPUs == 0 && p.Slurm.Gres == "" {
		options := *p.Slurm
		options.GPUs = program.gpus
		p.Slurm = &options
	}
	if err := p.Check(); err != nil {
		return p, c.Errorf("%w", err)
	}
	return p, nil
}

func (e *Env) anyPlace(c *starlark.Call) (jobs.Place, error) {
	if c.IsNone("on") {
		set, err := e.settings()
		if err == nil {
			err = set.Local.Check()
		}
		if err != nil {
			return jobs.Place{}, c.Errorf("%w", err)
		}
		return jobs.Place{Local: set.Local}, nil
	}
	p, ok := c.Value("on").(*placeValue)
	if !ok {
		return jobs.Place{}, named(c, "TypeError", `on is %s: give slurm(...) or local(...), or leave it out for this machine`, c.Value("on").Type())
	}
	return p.place, nil
}

func refuseGPUs(c *starlark.Call, gpus int) error {
	if gpus == 0 {
		return nil
	}
	return c.Errorf("gpus=%d: %w", gpus, jobs.ErrNoUseForGPUs)
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
