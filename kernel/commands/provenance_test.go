package commands

import "testing"

func TestProvenance(t *testing.T) {
	n := newNotebook(t)
	n.run(`
truth = nasbench101_table().metric("test")
found = search("random", nasbench101(), truth, seeds=[9007199254740993, 5], budget=20)
wait(found)
p = found.provenance`)
	for expression, want := range map[string]string{
		"len(p)":                                     "2",
		"p[0][\"seed\"]":                             "9007199254740993",
		"p[0][\"kind\"]":                             `"search"`,
		"p[0][\"config\"][\"budget\"]":               "20",
		"len(p[1][\"data\"][\"nasbench101\"])":       "64",
		"sorted(p[0].keys()) == sorted(p[1].keys())": "True",
		"[k for k in (\"id\", \"version\", \"numerics\", \"host\", \"device\", \"threads\", \"started\", \"ended\", \"seconds\", \"spent\", \"waited\") if k not in p[0]]": "[]",
		"\"result\" in p[0]": "False",
	} {
		if got := n.value(expression); got != want {
			t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
}
