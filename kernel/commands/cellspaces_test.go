package commands

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evalnas/nasapi"
)

func TestCellSpaces(t *testing.T) {
	n := newNotebook(t)
	n.run(`space = cell_space(nodes=3, ops=["sep_conv_3x3", "max_pool_3x3", "skip_connect"], edges_per_node=3)`)
	n.run(`small = cell_space(nodes=1, ops=["sep_conv_3x3", "skip_connect"], share=True)`)
	n.run(`mine = cell_space(3, ["attention", "skip_connect"], 2)`)
	n.run(`seven = ["max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]`)
	for expr, want := range map[string]string{
		"space": `cell_space(nodes=3, ops=["sep_conv_3x3", "max_pool_3x3", "skip_connect"], edges_per_node=3)`,
		// (4 sets * 3^8)^2: nodes have 2, 3 and 3 edges
		"space.size":      "688747536",
		"space.name":      `"cells"`,
		"space.reachable": "688747536",
		"space.sample(1268) == space.sample(1268)":                        "True",
		"space.sample(1268) in space":                                     "True",
		"space.sample(1268) in darts_space()":                             "False",
		"space.sample(1268).params > 0":                                   "True",
		"params()(space.sample(1268)) == space.sample(1268).params":       "True",
		"space.architecture(space.sample(3).genotype) == space.sample(3)": "True",
		"'edges_per_node=3' in space.sample(3).genotype":                  "True",
		"genotype(space.sample(3).genotype) == space.sample(3)":           "True",
		"len(small)":            "4",
		"small":                 `cell_space(nodes=1, ops=["sep_conv_3x3", "skip_connect"], edges_per_node=2, share=True)`,
		"small[0] == small[1]":  "False",
		"mine.sample(1).params": "",
		"mine == cell_space(nodes=3, ops=['attention', 'skip_connect'], edges_per_node=2)":       "True",
		"cell_space(4, seven).size == darts_space(4).size":                                       "True",
		"cell_space(4, seven).sample(7).hash == darts_space(4).sample(7).hash":                   "True",
		"cell_space(4, seven).sample(7) in darts_space(4)":                                       "True",
		"sample_random(mine, seeds=[1, 2]).hashes == [mine.sample(1).hash, mine.sample(2).hash]": "True",
		"'EDGES_PER_NODE = 3' in space.sample(1).to_pytorch()":                                   "True",
	} {
		if got := n.value(expr); got != want {
			t.Errorf("%s = %s, want %s", expr, got, want)
		}
	}
	for code, want := range map[string]string{
		`cell_space(nodes=9, ops=["a"])`:                                                 "cell_space: nodes=9: a cell has 1 to 8",
		`cell_space(nodes=2, ops=["a"], edges_per_node=4)`:                               "edges_per_node=4: with nodes=2 it is 1 to 3",
		`cell_space(nodes=2, ops=["a"], edges_per_node=0)`:                               "1 to 3",
		`cell_space(nodes=2, ops=[])`:                                                    "ops is empty",
		`cell_space(nodes=2, ops=["a", "a"])`:                                            `ops has "a" twice`,
		`cell_space(nodes=2, ops="sep_conv_3x3")`:                                        "a list of operation names",
		`cell_space(nodes=2, ops=["a", 3])`:                                              "it must be a string",
		`mine.architecture("Genotype(normal=[('atention', 0)])")`:                        "missing",
		`params()(mine.sample(1))`:                                                       `"attention"`,
		`search("random", mine, flops(), seeds=[1], budget=5)`:                           `flops(): no network with the operation "attention" is built here`,
		`train(mine.sample(1), synthetic(train=64, test=32), epochs=1, batch=32)`:        "known are max_pool_3x3",
		`mine.sample(1).to_pytorch()`:                                                    `"attention"`,
		`cell_space(1, ["sep_conv_3x4"]).sample(1).to_pytorch()`:                         "did you mean sep_conv_3x3?",
		`search("spos", space, shared_weights(synthetic(train=64, test=32)), seeds=[1])`: "has no supernet",
	} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, want %q", code, err, want)
		}
	}
	for _, expr := range []string{"space.sample(5)", "small[0]", "mine.sample(5)"} {
		v, _ := n.run(expr)
		if html, _ := v.Data["text/html"].(string); strings.Count(html, "<img") != 2 {
			t.Errorf("%s is not drawn as two cells", expr)
		} else if dir := os.Getenv("EVALNAS_LOOK"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, strings.NewReplacer("(", "", ")", "", "[", "", "]", "").Replace(expr)+".html"), []byte(html), 0o644); err != nil {
				t.Error(err)
			}
		}
	}
}

// Searches and trainings are jobs that build the space again from its specification.
func TestSearchesOfCellSpaces(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	n.run(`space = cell_space(nodes=2, ops=["sep_conv_3x3", "max_pool_3x3", "skip_connect"], edges_per_node=3)`)
	for _, policy := range []string{"random", "evolution", "local_search", "reinforce", "bananas", "enas", "nao"} {
		n.run(`found = search("` + policy + `", space, params(), seeds=[1268], budget=20)
wait(found)`)
		if got := n.value("found.selected[0] in space"); got != "True" {
			t.Errorf("%s found nothing of the space", policy)
		}
	}
	n.run(`found = search("evolution", space, params(), seeds=[1, 2], budget=30)`)
	n.run(`result = compare(found, sample_random(space, seeds=[1, 2]), by=params())
result.save("cells.csv")`)
	_, out := n.run("result")
	stored := 0
	for _, b := range out.displays {
		kept, ok := b.Data[nasapi.ComparisonMIME]
		if !ok {
			continue
		}
		stored++
		raw, err := json.Marshal(kept)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := nasapi.ReadComparison(raw); err != nil || len(again.Groups) != 2 {
			t.Errorf("%s is not read again: %v", raw, err)
		}
	}
	if stored == 0 {
		t.Error("the comparison is not kept in the notebook")
	}
	n.run(`again = compare(results("cells.csv"), by=params())`)
	n.run(`t = train(found.selected[0], synthetic(train=64, test=32), epochs=1, batch=32, channels=4, cells=3)
wait(t)`)
	if got := n.value("t.finished"); got != "True" {
		t.Error("it is not trained")
	}
}
