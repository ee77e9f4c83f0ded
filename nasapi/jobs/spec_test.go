package jobs

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestIDIsOfTheMeaning(t *testing.T) {
	base := Spec{Kind: "search", Numerics: 2, Seed: 1268, Config: json.RawMessage(`{"budget":1000,"policy":{"name":"evolution","rate":0.5}}`)}
	// From sha256sum of the canonical text, written down so that no release
	// changes the ids of what was run.
	if got, want := base.ID(), "98e41dc36f5cc43a5a73"; got != want {
		t.Errorf("id %s, want %s", got, want)
	}
	for _, same := range []string{
		`{"policy":{"rate":5e-1,"name":"evolution"},"budget":1000}`,
		" {\n\"policy\" : {\"rate\":0.50,\"name\":\"evol\\u0075tion\"}, \"budget\":1e3, \"new\":null}\n",
		`{"budget":1000.0,"policy":{"name":"evolution","rate":0.5,"more":null}}`,
	} {
		s := base
		s.Config = json.RawMessage(same)
		if s.ID() != base.ID() {
			t.Errorf("%s is another job", same)
		}
	}
	schema := base
	schema.Schema = Schema
	if schema.ID() != base.ID() {
		t.Error("the schema spelled out makes another job")
	}
	seen := map[string]string{base.ID(): "base"}
	for name, change := range map[string]func(*Spec){
		"kind":     func(s *Spec) { s.Kind = "train" },
		"numerics": func(s *Spec) { s.Numerics++ },
		"seed":     func(s *Spec) { s.Seed++ },
		"config":   func(s *Spec) { s.Config = json.RawMessage(`{"budget":1001}`) },
		"empty":    func(s *Spec) { s.Config = nil },
		"big seed": func(s *Spec) { s.Seed = 1<<62 + 1 },
		"next big": func(s *Spec) { s.Seed = 1<<62 + 2 },
	} {
		s := base
		change(&s)
		if other, ok := seen[s.ID()]; ok {
			t.Errorf("%s has the id of %s", name, other)
		}
		seen[s.ID()] = name
	}
}

func TestSpecRoundTrip(t *testing.T) {
	s := Spec{Kind: "a<b>&c", Seed: -1 << 63, Numerics: 7, Config: json.RawMessage(`{"z":[1,2.5,{"y":null,"x":"é\u2028"}],"a":1e300}`)}
	text, err := s.file()
	if err != nil {
		t.Fatal(err)
	}
	back, err := decodeSpec(text, s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if back.ID() != s.ID() || back.Seed != s.Seed || back.Kind != s.Kind {
		t.Errorf("%+v became %+v", s, back)
	}
	if _, err := decodeSpec([]byte(strings.Replace(string(text), `"numerics": 7`, `"numerics": 8`, 1)), s.ID()); err == nil || !strings.Contains(err.Error(), "job.json was changed") {
		t.Errorf("a changed file: %v", err)
	}
}

func TestBadSpecs(t *testing.T) {
	for want, s := range map[string]Spec{
		"no kind":                  {},
		"not a JSON object":        {Kind: "x", Config: json.RawMessage(`[1]`)},
		"unexpected EOF":           {Kind: "x", Config: json.RawMessage(`{"a":`)},
		"text after":               {Kind: "x", Config: json.RawMessage(`{} {}`)},
		"does not fit":             {Kind: "x", Config: json.RawMessage(`{"a":1e999}`)},
		"use a newer one":          {Kind: "x", Schema: Schema + 1},
		"has schema -1: this vers": {Kind: "x", Schema: -1},
	} {
		if _, err := s.Canonical(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
		if s.ID() != "" {
			t.Errorf("%+v has an id", s)
		}
		if _, err := mustOpen(t, t.TempDir()).Submit(Batch{Specs: []Spec{s}}); err == nil {
			t.Errorf("%+v was submitted", s)
		}
	}
	st := mustOpen(t, t.TempDir())
	if _, err := st.Submit(Batch{}); err == nil || !strings.Contains(err.Error(), "nothing to submit") {
		t.Errorf("an empty batch: %v", err)
	}
	if _, err := st.Submit(Batch{Specs: countSpecs(countConfig{}, 1, 2, 1)}); err == nil || !strings.Contains(err.Error(), "jobs 0 and 2 of the batch are the same") {
		t.Errorf("the same twice: %v", err)
	}
}
