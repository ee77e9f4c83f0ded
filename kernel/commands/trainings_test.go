package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/jobs"
)

// small is a protocol that trains a network in a second.
const small = `epochs=2, batch=32, channels=4, cells=3, auxiliary=False`

func TestTrainingsAreComparedByWhereTheirArchitecturesCameFrom(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	n.run(`space = darts_space()`)
	n.run(`found = search("random", space, params(), seeds=[1, 2], budget=3)`)
	n.run(`wait(found)`)
	_, out := n.run(`trained = train(found.selected + sample_random(space, seeds=[1, 2]), synthetic(train=128, test=64), ` + small + `)
trained`)
	if text := out.text(); !strings.Contains(text, "4 networks") || !strings.Contains(text, "images a second measured") {
		t.Errorf("the expected time is not shown: %s", text)
	}
	n.run(`wait(trained)`)
	if got := n.value(`[r["state"] for r in trained.results]`); got != `["done", "done", "done", "done"]` {
		t.Fatalf("%s: %s", got, n.value(`trained.errors`))
	}
	if got := n.value(`[len(c) for c in trained.curves]`); got != "[2, 2, 2, 2]" {
		t.Errorf("curves of %s epochs", got)
	}
	_, out = n.run(`compare(trained)`)
	text := out.text()
	for _, want := range []string{"random", "sample_random", "test accuracy after training from scratch", "2 epochs", "SYNTHETIC", "no ranks"} {
		if !strings.Contains(text, want) {
			t.Errorf("the comparison does not say %q:\n%s", want, text)
		}
	}
	n.run(`compare(trained, by="valid")`)
	v, err := n.env.attachBatch(n.lastBatch())
	if err != nil {
		t.Fatal(err)
	}
	table, _, err := v.render()
	if err != nil {
		t.Fatal(err)
	}
	html := table.Data["text/html"].(string)
	for _, want := range []string{"SYNTHETIC images", "data:image/svg+xml", "2 of 2", "parameters"} {
		if !strings.Contains(html, want) {
			t.Errorf("the table does not have %q: %s", want, html[:min(len(html), 2000)])
		}
	}
	// The same request finds the finished jobs; attach finds them again.
	n.run(`again = train(found.selected + sample_random(space, seeds=[1, 2]), synthetic(train=128, test=64), ` + small + `)`)
	if got := n.value(`again == trained and again.finished`); got != "True" {
		t.Error("the same training is another one")
	}
	if got := n.value(`[a.id for a in attach()] == [found.id, trained.id]`); got != "True" {
		t.Errorf("attach finds %s", n.value(`[a.id for a in attach()]`))
	}
	n.run(`jobs()`)
	n.run(`kept = train(found.selected + sample_random(space, seeds=[1, 2]), synthetic(train=128, test=64), tensorboard=True, ` + small + `)`)
	if got := n.value(`kept == trained`); got != "True" {
		t.Error("event files make another training of it")
	}
	if files, err := filepath.Glob(filepath.Join(n.env.Dir, "tensorboard", "*", "*tfevents*")); err != nil || len(files) != 4 {
		t.Errorf("tensorboard=True left %v: %v", files, err)
	}
	n.run(`trained.tensorboard("runs")`)
	if files, err := filepath.Glob(filepath.Join(n.env.Dir, "runs", "*", "*tfevents*")); err != nil || len(files) != 4 {
		t.Errorf("TensorBoard has %v: %v", files, err)
	}
}

func TestNetworksForPyTorch(t *testing.T) {
	n := newNotebook(t)
	if got := n.value(`"class Network" in genotype("DARTS_V2").to_pytorch(channels=4, cells=3)`); got != "True" {
		t.Errorf("the module is %s", n.value(`genotype("DARTS_V2").to_pytorch(channels=4, cells=3)[:300]`))
	}
}

func TestTrainingInTheForeground(t *testing.T) {
	n := newNotebook(t)
	_, out := n.run(`train(genotype("DARTS_V2"), synthetic(train=128, test=32), debug=True, ` + small + `)`)
	if text := out.text(); strings.Count(text, "step ") != 4 || !strings.Contains(text, "REDUCED") {
		t.Errorf("debug shows %s", text)
	}
	n.run(`train(nasbench101()[100], synthetic(train=128, test=32), debug=True, channels=8, cells=3, batch=16)`)
}

func TestTrainingsThatCannotBe(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	n.run(`g = genotype("DARTS_V2")`)
	for code, want := range map[string]string{
		`train(g, cifar(), epochs=1)`:                         "cifar10",
		`train(g, "no such set")`:                             "no such set",
		`train(5, synthetic())`:                               "archs is int",
		`train([], synthetic())`:                              "give an architecture",
		`train(g, synthetic(), epocs=3)`:                      `did you mean "epochs"`,
		`train(g, synthetic(), epochs=0)`:                     "epochs is 0",
		`train(g, synthetic(), epochs="three")`:               "epochs is three",
		`train(g, synthetic(), batch=5000)`:                   "5000",
		`train(g, synthetic(), rate=-1.0)`:                    "rate is -1",
		`train(g, synthetic(), split="half")`:                 "split is half",
		`train(g, synthetic(side=32), epochs=100000)`:         "confirm=True",
		`train([g, nasbench101()[0]], synthetic(), epochs=1)`: "different protocols",
		`train(g, synthetic(), seeds=[1, 1], epochs=1)`:       "repeats 1",
		`images("no/such/folder")`:                            "no/such/folder",
		`synthetic(classes=0)`:                                "classes is 0",
		`compare(sample_random(darts_space(), seeds=[1]))`:    "by is missing",
	} {
		_, _, err := n.try(code)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", code, err, want)
		}
	}
}

// lastBatch is what was submitted last.
func (n *notebook) lastBatch() *jobs.BatchHandle {
	n.t.Helper()
	_, batches, err := n.env.openBatches("")
	if err != nil || len(batches) == 0 {
		n.t.Fatalf("%d batches: %v", len(batches), err)
	}
	return batches[len(batches)-1]
}

// TestEventFilesWhileTraining begins with a training that has not finished.
func TestEventFilesWhileTraining(t *testing.T) {
	n := newNotebook(t)
	n.run(`going = train(genotype("DARTS_V2"), synthetic(train=128, test=64), tensorboard="live", ` + small + `)`)
	n.run(`wait(going)`)
	deadline := time.Now().Add(20 * time.Second)
	for {
		files, err := filepath.Glob(filepath.Join(n.env.Dir, "live", "*", "*tfevents*"))
		if err != nil || len(files) > 1 {
			t.Fatal(files, err)
		}
		if len(files) == 1 {
			if data, err := os.ReadFile(files[0]); err != nil || strings.Count(string(data), "train/loss") == 2 {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the curve of two epochs did not come: %v", files)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
