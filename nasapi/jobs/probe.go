package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"evalnas/nasapi/jobs/slurm"
)

// A task that ends with neither a line of output nor a job that has begun has as a rule run on
// a node that does not see the study's folder, so it could not even say so. A probe is sent
// after it: a job that needs nothing but a shell and tells by its exit code what its node sees.
type probe struct {
	array *array
	node  string // that the task ran on, "" if that is not known
	id    string // of its task in SLURM, "" before sbatch was called
	until time.Time
	over  bool
	// verdict is what is wrong, in a sentence; "" if all is well, or nobody knows.
	verdict string
}

// probePatience is how long a probe may wait in SLURM's queue before the jobs are treated as
// if there was none.
const probePatience = 10 * time.Minute

// The exit codes of a probe.
const (
	seesNoStudy   = "91"
	mayNotWrite   = "92"
	seesNoProgram = "93"
	mayNotExecute = "94"
)

// unseen says whether a task may have ended for what its node does not see.
func (t *task) unseen(how slurm.Task) bool {
	if t.begun() || !t.job.Status().State.Waiting() {
		return false
	}
	switch how.State {
	case "FAILED", "COMPLETED", "":
	default:
		return false
	}
	_, err := os.Stat(t.array.output(t.index))
	code, _, _ := strings.Cut(how.Exit, ":")
	return errors.Is(err, fs.ErrNotExist) || code == "126" || code == "127" // bash could not run the program
}

// probed returns the probe of a task's array, which is sent by and by if there was none.
func (a *arrays) probed(t *task, how slurm.Task) *probe {
	r := t.array
	if r.probe == nil {
		r.probe = &probe{array: r, node: cmp.Or(how.Node, t.last.Node), until: time.Now().Add(probePatience)}
		a.probes = append(a.probes, r.probe)
	}
	return r.probe
}

// probeDecides says whether a probe has decided what becomes of an ended task's job, or has yet to.
func (a *arrays) probeDecides(t *task, how slurm.Task) bool {
	p := a.probed(t, how)
	if p.over && p.verdict == "" {
		return false
	}
	if p.over {
		a.condemn(t)
		a.drop(t)
	}
	return true
}

// toSend is the first probe that SLURM does not have, nil if there is none.
func (a *arrays) toSend() *probe {
	for _, p := range a.probes {
		if p.id == "" {
			return p
		}
	}
	return nil
}

// send submits a probe.
func (a *arrays) send(ctx context.Context, p *probe) {
	file := filepath.Join(p.array.dir, "probe.sh")
	text := p.script(a.runner.study.Paths, a.exe)
	a.do(ctx, func(ctx context.Context) func() {
		err := writeAtomic(a.runner.study.disk, file, []byte(text), false)
		id := ""
		if err == nil {
			id, err = a.client.Submit(ctx, file)
		}
		return func() {
			if err != nil {
				a.runner.logf("array %s left no output, and what its node sees cannot be found out: %v", p.array.Name, err)
				a.answered(p, "")
				return
			}
			p.id, a.next = id+"_0", time.Now()
		}
	})
}

// script asks for the same nodes as the array did, and for nothing that it might wait for.
func (p *probe) script(st StudyPaths, exe string) string {
	array := p.array.Options
	o := slurm.Options{Partition: array.Partition, Account: array.Account, QOS: array.QOS, Time: "5", Options: slices.Clone(array.Options)}
	if p.node != "" {
		o.Options = append(o.Options, "--nodelist="+p.node)
	}
	written, program := slurm.Quote(filepath.Join(p.array.dir, "seen")), slurm.Quote(exe)
	return slurm.Script(o, slurm.Array{
		Name: p.array.Name + "-probe", Tasks: 1, Dir: "/", Output: "/dev/null",
		Lines: []string{
			"[ -r " + slurm.Quote(p.array.tasks()) + " ] && [ -d " + slurm.Quote(st.Jobs()) + " ] || exit " + seesNoStudy,
			"(: >" + written + ") && rm -f " + written + " || exit " + mayNotWrite,
			"[ -e " + program + " ] || exit " + seesNoProgram,
			"[ -f " + program + " ] && [ -x " + program + " ] || exit " + mayNotExecute,
		},
	})
}

// answer asks what has become of a probe; over says that no more is to be learned.
func (p *probe) answer(ctx context.Context, client slurm.Client, known map[string]slurm.Task) (code string, over bool, err error) {
	now, ok := known[p.id]
	if ok && now.Alive() {
		if time.Now().Before(p.until) {
			return "", false, nil
		}
		return "", true, client.Cancel(ctx, p.id)
	}
	how, _, err := client.Ended(ctx, p.id)
	code, _, _ = strings.Cut(how.Exit, ":")
	return code, err == nil, err
}

// answers asks about all probes and returns what to do then.
func (a *arrays) answers(ctx context.Context, probes []*probe, known map[string]slurm.Task) (func(), error) {
	codes := map[*probe]string{}
	for _, p := range probes {
		code, over, err := p.answer(ctx, a.client, known)
		if err != nil {
			return nil, err
		}
		if over {
			codes[p] = code
		}
	}
	return func() {
		for p, code := range codes {
			a.answered(p, code)
		}
	}, nil
}

// answered takes in what a probe said. If its node lacks something, the array's jobs that have
// not been given a node fail now, and poll takes their tasks out of SLURM's queue.
func (a *arrays) answered(p *probe, code string) {
	p.over, p.verdict = true, p.says(code, a.runner.study.Paths.Dir, a.exe)
	a.probes = slices.DeleteFunc(a.probes, func(other *probe) bool { return other == p })
	if p.verdict == "" {
		return
	}
	a.runner.logf("array %s: %s", p.array.Name, p.verdict)
	for _, t := range a.live {
		if t.array == p.array && t.last.State != "RUNNING" && !t.begun() {
			a.condemn(t)
		}
	}
}

// condemn fails a job for what its array's probe has found.
func (a *arrays) condemn(t *task) {
	if s := t.job.Status(); s.State.Waiting() {
		a.runner.move(t.job, s.State, evFailed, reasonData{Config: true, Error: t.array.probe.verdict})
	}
}

// says is what the exit code of a probe means.
func (p *probe) says(code, study, exe string) string {
	node := "a node of SLURM"
	if p.node != "" {
		node = "the node " + p.node
	}
	const elsewhere = "set EVALNAS_STUDY to a folder on a disk that the nodes share, then run the same again"
	switch code {
	case seesNoStudy:
		return fmt.Sprintf("%s does not see the folder of the study, %s: %s", node, study, elsewhere)
	case mayNotWrite:
		return fmt.Sprintf("%s sees the folder of the study, %s, but may not write to it: change that, or %s", node, study, elsewhere)
	case seesNoProgram:
		return fmt.Sprintf("%s does not see the program %s: install it there, or on a disk that the nodes share, then run the same again", node, exe)
	case mayNotExecute:
		return fmt.Sprintf("%s sees the program %s but may not execute it: change that, then run the same again", node, exe)
	}
	return ""
}
