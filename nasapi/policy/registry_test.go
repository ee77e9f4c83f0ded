package policy

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	for _, info := range All() {
		got, err := Lookup(info.Name)
		if err != nil || got != info {
			t.Errorf("Lookup(%q) = %v, %v", info.Name, got, err)
		}
		if info.Summary == "" || info.Doc == "" || info.Source == "" {
			t.Errorf("%s: summary, doc and source must be there for help", info.Name)
		}
		for _, p := range info.Params {
			if p.Doc == "" {
				t.Errorf("%s: keyword %s has no doc", info.Name, p.Name)
			}
		}
		if _, err := info.New(nil); err != nil {
			t.Errorf("%s with defaults: %v", info.Name, err)
		}
	}
	_, err := Lookup("evolutoin")
	if err == nil || !strings.Contains(err.Error(), `did you mean "evolution"?`) {
		t.Errorf("Lookup of a misspelt name: %v", err)
	}
	for _, info := range All() {
		if !strings.Contains(err.Error(), info.Name) {
			t.Errorf("error does not list %s: %v", info.Name, err)
		}
	}
	if _, err = Lookup("zzzzzzzzzz"); err == nil || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("a name near nothing must not be corrected: %v", err)
	}
}

func TestCompleteRefuses(t *testing.T) {
	for _, c := range []struct {
		policy string
		cfg    Config
		want   string
	}{
		{"evolution", Config{"populaton": 5}, `unknown keyword "populaton" (did you mean "population"?); allowed: population, tournament`},
		{"random", Config{"k": 5}, `unknown keyword "k"; allowed: subspace, subspace_size`},
		{"evolution", Config{"population": 0}, "population must be an integer from 1 to 1000000, not 0"},
		{"evolution", Config{"population": 2.5}, "population must be an integer from 1 to 1000000, not 2.5"},
		{"evolution", Config{"population": "many"}, `not "many"`},
		{"evolution", Config{"population": true}, "not true"},
		{"evolution", Config{"population": nil}, "not None"},
		{"evolution", Config{"population": []int{1}}, "not a value of type []int"},
		{"evolution", Config{"population": math.NaN()}, "not NaN"},
		{"evolution", Config{"population": math.Inf(1)}, "not +Inf"},
		{"evolution", Config{"population": int64(1) << 60}, "must be an integer from 1 to 1000000"},
		{"evolution", Config{"population": 5}, "tournament=10 is larger than population=5"},
		{"local_search", Config{"move": "bset"}, `move must be one of best, first, not "bset" (did you mean "best"?)`},
		{"local_search", Config{"move": 3}, "not 3"},
		{"enas", Config{"hiden": 3}, `did you mean "hidden"?`},
		{"enas", Config{"hidden": 0}, "hidden must be an integer from 1 to 1024, not 0"},
		{"enas", Config{"learning_rate": -1}, "learning_rate must be a number from 0 to 10, not -1"},
		{"enas", Config{"temperature": 0}, "temperature must be a number from 0.001 to 1000000, not 0"},
	} {
		info, err := Lookup(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		_, err = info.Complete(c.cfg)
		if err == nil || !strings.HasPrefix(err.Error(), c.policy+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: error %v, want %q", c.policy, c.cfg, err, c.want)
		}
		if _, err := info.New(c.cfg); err == nil {
			t.Errorf("%s %v: New accepts what Complete refuses", c.policy, c.cfg)
		}
	}
}

func TestCompleteWithoutKeywords(t *testing.T) {
	_, err := (&Info{Name: "plain"}).Complete(Config{"k": 5})
	if want := `plain: unknown keyword "k"; plain takes no keywords`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// A configuration that went through JSON completes to the same bytes: the job
// id hashes them.
func TestCompleteIsCanonical(t *testing.T) {
	for _, info := range All() {
		full, err := info.Complete(nil)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(full)
		if err != nil {
			t.Fatal(err)
		}
		var back Config
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		again, err := info.Complete(back)
		if err != nil {
			t.Fatalf("%s: %v", info.Name, err)
		}
		if raw2, _ := json.Marshal(again); string(raw2) != string(raw) {
			t.Errorf("%s: %s became %s", info.Name, raw, raw2)
		}
	}
	info, _ := Lookup("evolution")
	for _, v := range []any{20, int64(20), 20.0, json.Number("20")} {
		full, err := info.Complete(Config{"population": v})
		if err != nil {
			t.Fatalf("population of type %T: %v", v, err)
		}
		if raw, _ := json.Marshal(full); string(raw) != `{"population":20,"tournament":10}` {
			t.Errorf("population of type %T: %s", v, raw)
		}
	}
}

// Whatever a person or a file gives as keywords, Complete answers with an error
// or with a configuration that it accepts unchanged.
func FuzzComplete(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"population": 20, "tournament": 3}`, `{"population": 1e300}`, `{"move": "first"}`,
		`{"hidden": 1.5}`, `{"learning_rate": -0.0}`, `{"batch": [1]}`, `{"": {}}`, `{"entropy_weight": 1e-320}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var cfg Config
		if json.Unmarshal([]byte(text), &cfg) != nil {
			return
		}
		for _, info := range All() {
			full, err := info.Complete(cfg)
			if err != nil {
				continue
			}
			again, err := info.Complete(full)
			if err != nil || !reflect.DeepEqual(again, full) || len(full) != len(info.Params) {
				t.Errorf("%s: %s completes to %v, that to %v, %v", info.Name, text, full, again, err)
			}
		}
	})
}

// TestRoundIsTheBatchOfWhatLearns: what an estimate is timed over.
func TestRoundIsTheBatchOfWhatLearns(t *testing.T) {
	for _, info := range All() {
		c := Config{}
		want := 1
		switch info.Name {
		case "enas", "bananas":
			c["batch"], want = 7, 7
		case "nao":
			c["pool"], want = 7, 7
		}
		c, err := info.Complete(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Round(c); got != want {
			t.Errorf("%s: a round of %d evaluations, want %d", info.Name, got, want)
		}
	}
}
