package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/host"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/jobs/slurm/slurmtest"
)

func TestSearchOnSlurm(t *testing.T) {
	slurmtest.Setup(t)
	const found = `search("evolution", nasbench101(), params(), seeds=range(4), budget=60`
	local := newNotebook(t)
	local.run(`found = ` + found + `)`)
	local.run(`wait(found)`)
	want := local.value(`[a.hash for a in found.selected]`)

	n := newNotebook(t)
	n.run(`found = ` + found + `, on=slurm(parallel=2, cpus=1))`)
	n.run(`wait(found)`)
	if got := n.value(`[a.hash for a in found.selected]`); got != want {
		t.Errorf("SLURM found %s, this machine %s", got, want)
	}
	// A training goes the same way, and the same search here finds what SLURM did.
	n.run(`again = ` + found + `)`)
	if got := n.value(`again == found and again.finished`); got != "True" {
		t.Error("the search is another one on this machine")
	}
	n.run(`trained = train(genotype("DARTS_V2"), synthetic(train=128, test=64), on=slurm(), ` + small + `)`)
	n.run(`wait(trained)`)
	if got := n.value(`[r["state"] for r in trained.results]`); got != `["done"]` {
		t.Errorf("the training is %s: %s", got, n.value(`trained.errors`))
	}
}

func TestTableSaysWhatASeedWaitsFor(t *testing.T) {
	slurmtest.Setup(t)
	n := newNotebook(t)
	n.run(`held = search("random", nasbench101(), params(), seeds=range(2), budget=5, on=slurm(options=["--hold"]))`)
	held, err := n.env.attachBatch(n.lastBatch())
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		table, final, err := held.render()
		if err != nil || final {
			t.Fatal(final, err)
		}
		text := table.Data["text/plain"].(string)
		if strings.Contains(text, "where") && strings.Contains(text, ": JobHeldUser") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the table does not say what the seeds wait for:\n%s", text)
		}
		time.Sleep(50 * time.Millisecond)
	}
	n.run(`cancel(held)`)
	n.run(`wait(held)`)
}

func TestSlurmShowsItsScript(t *testing.T) {
	n := newNotebook(t)
	const toml = "[slurm]\npartition = \"cpu\"\nsetup = [\"module load go\"]\naccount = \"nas\"\n"
	if err := os.WriteFile(filepath.Join(n.env.Dir, "evalnas.toml"), []byte(toml), 0o644); err != nil {
		t.Fatal(err)
	}
	_, out := n.run(`search("random", nasbench101(), params(), seeds=range(10), budget=5, dry_run=True,
    on=slurm(account="other", time="1-00", mem="8G", parallel=3, options=["--exclude=node07"]))`)
	text := out.stream.String()
	for _, want := range []string{
		"#!/bin/bash\n", "--partition=cpu\n", "--account=other\n", "--time=1-00\n", "--mem=8G\n", "--array=0-9%3\n", "#SBATCH --exclude=node07\n",
		"module load go\n", "--signal=B:USR1@120\n", "exec ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the script does not have %q:\n%s", want, text)
		}
	}
	if got := n.value(`len(attach())`); got != "0" {
		t.Errorf("a dry run submitted %s", got)
	}
	if got := n.value(`slurm(time="90")`); got != `slurm(partition="cpu", account="nas", time="90", setup=["module load go"])` {
		t.Errorf("the place is %s", got)
	}
}

// TestMoreOfThisMachine: a job of two cores has two slots, without any option where the
// settings say so.
func TestMoreOfThisMachine(t *testing.T) {
	if len(host.Cores()) < 2 {
		t.Skip("two cores are not at hand")
	}
	n := newNotebook(t)
	slots := func(code string) []int {
		t.Helper()
		n.run("found = " + code + "\nwait(found)")
		j := n.lastBatch().Jobs()[0]
		if s := j.Status(); s.State != jobs.Done {
			t.Fatalf("%s: %+v", code, s)
		}
		return j.Status().Slots
	}
	if got := slots(`search("random", nasbench101(4), params(), seeds=[1], budget=5, on=local(cores=2, mem="1G", priority=3))`); len(got) != 2 {
		t.Errorf("two cores are slots %v", got)
	}
	if got := slots(`search("random", nasbench101(4), params(), seeds=[2], budget=5)`); len(got) != 1 {
		t.Errorf("a job has slots %v", got)
	}
	const toml = "[local]\ncores = 2\npriority = 1\n"
	if err := os.WriteFile(filepath.Join(n.env.Dir, "evalnas.toml"), []byte(toml), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := slots(`search("random", nasbench101(4), params(), seeds=[3], budget=5)`); len(got) != 2 {
		t.Errorf("with settings a job has slots %v", got)
	}
	for code, want := range map[string]string{
		`local()`:                    "local(cores=2, priority=1)",
		`local(cores=1, mem="512M")`: `local(cores=1, mem="512M", priority=1)`,
	} {
		if got := n.value(code); got != want {
			t.Errorf("%s is %s, want %s", code, got, want)
		}
	}
}

func TestBadPlaces(t *testing.T) {
	n := newNotebook(t)
	for code, want := range map[string]string{
		`slurm(time="tomorrow")`:         `time is "tomorrow"`,
		`slurm(mem="much")`:              `mem is "much"`,
		`slurm(partition="a b")`:         `partition is "a b"`,
		`slurm(parallel=-1)`:             "parallel is -1",
		`slurm(options=["--array=1-3"])`: "which the script sets itself",
		`slurm(options=["exclude"])`:     "give options of sbatch",
		`slurm(setup=["a\nb"])`:          "line break",
		`slurm(gpus=1, gres="gpu:1")`:    "gpus or gres",
		`local(cores=-1)`:                "cores is -1",
		`local(cores=100000)`:            "cores=100000: this machine has",
		`local(mem="much")`:              `mem is "much"`,
		`local(mem="900000G")`:           `mem="900000G": this machine has`,
		`local(gpus=1)`:                  "a GPU would stand idle: leave gpus out",
		`local(partition="cpu")`:         "partition",
		`search("random", nasbench101(), params(), seeds=[1], budget=5, dry_run=True, on=local())`: "give on=slurm(...)",
		`search("random", nasbench101(), params(), seeds=[1], budget=5, on="slurm")`:               "on is string",
		`search("random", nasbench101(), params(), seeds=[1], budget=5, dry_run=True)`:             "give on=slurm(...)",
		`search("random", nasbench101(), params(), seeds=[1], budget=5, on=slurm(gpus=1))`:         "a GPU would stand idle",
		`train(genotype("DARTS_V2"), synthetic(train=64, test=32), on=3, ` + small + `)`:           "on is int",
		`train(genotype("DARTS_V2"), synthetic(train=64, test=32), dry_run=True, ` + small + `)`:   "give on=slurm(...)",
		`train(genotype("DARTS_V2"), synthetic(train=64, test=32), tensorboard=[], ` + small + `)`: "tensorboard is []",
	} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", code, err, want)
		}
	}
	for text, want := range map[string]string{
		"[slurm]\npartitions = \"x\"\n": "slurm.partitions, which nothing reads",
		"[slurm\n":                      "evalnas.toml",
		"[slurm]\ntime = \"soon\"\n":    `time is "soon"`,
		"[local]\ncpus = 2\n":           "local.cpus, which nothing reads: there is [local] with cores, mem and priority, and [slurm] with partition,",
	} {
		if err := os.WriteFile(filepath.Join(n.env.Dir, "evalnas.toml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := n.try(`slurm()`); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
