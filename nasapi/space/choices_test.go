package space

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/rng"
)

func choices(t testing.TB, text string) Space {
	t.Helper()
	picks, err := ParsePicks(text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Choices(picks)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const someChoices = `{"depth":[8,14,20],"op":["conv","max \"pool\""],"flag":[true,false],"rate":[0.025,1e-9],"only":[1]}`

// flatSpaces are spaces of independent decisions that can be listed.
func flatSpaces(t testing.TB) map[string]Finite {
	return map[string]Finite{"choices": choices(t, someChoices).(Finite), "nasbench201": OpenNASBench201()}
}

func TestChoicesAreAllCombinations(t *testing.T) {
	s := choices(t, someChoices).(Finite)
	if s.Len() != 3*2*2*2 || s.Size().Cmp(big.NewInt(24)) != 0 {
		t.Fatalf("%d architectures", s.Len())
	}
	if got := s.String(); got != `choices({"depth": [8, 14, 20], "op": ["conv", "max \"pool\""], "flag": [True, False], "rate": [0.025, 1e-09], "only": [1]})` {
		t.Error(got)
	}
	for i, want := range map[int]string{
		0:  `{"depth":8,"op":"conv","flag":true,"rate":0.025,"only":1}`,
		1:  `{"depth":8,"op":"conv","flag":true,"rate":1e-09,"only":1}`,
		23: `{"depth":20,"op":"max \"pool\"","flag":false,"rate":1e-09,"only":1}`,
	} {
		if got, err := s.At(i).MarshalJSON(); err != nil || string(got) != want {
			t.Errorf("%d: %s, not %s (%v)", i, got, want, err)
		}
	}
	if got := s.At(3).String(); got != "depth=8 op=conv flag=False rate=1e-09 only=1" {
		t.Error(got)
	}
	again, err := FromSpec(s.Spec())
	if err != nil || again.Spec() != s.Spec() {
		t.Errorf("%v %v", again, err)
	}
	if again, err = FromText(s.String()); err != nil || again.Spec() != s.Spec() {
		t.Errorf("%v %v", again, err)
	}
	if a := s.At(0); a.Params() != 0 || a.FLOPs() != 0 || Counted(s) {
		t.Error("an unknown network has parameters")
	}
}

// At, Index, JSON, sequences and hashes of every architecture.
func TestFlatRoundTrips(t *testing.T) {
	for name, s := range flatSpaces(t) {
		hashes := map[string]bool{}
		sequences := s.(Sequences)
		for i := range s.Len() {
			a := s.At(i)
			if j, ok := s.Index(a); !ok || j != i {
				t.Fatalf("%s: %d is found at %d", name, i, j)
			}
			raw, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			b, err := s.Parse(raw)
			if err != nil || b.Hash() != a.Hash() {
				t.Fatalf("%s: %s is read as %v (%v)", name, raw, b, err)
			}
			seq, err := sequences.Encode(a)
			if err != nil {
				t.Fatal(err)
			}
			if c, err := sequences.Decode(seq); err != nil || c.Hash() != a.Hash() {
				t.Fatalf("%s: %v decodes to %v (%v)", name, seq, c, err)
			}
			hashes[a.Hash()] = true
		}
		if len(hashes) != s.Len() || sequences.Reachable().Cmp(s.Size()) != 0 {
			t.Errorf("%s: %d hashes of %d architectures", name, len(hashes), s.Len())
		}
		operations := sequences.Operations()
		for _, c := range sequences.Choices() {
			if c.First+c.N > len(operations) {
				t.Errorf("%s: %+v, with %d operations", name, c, len(operations))
			}
		}
	}
}

// Neighbours differ in one decision, are symmetric and as many as there are other options.
func TestFlatNeighbours(t *testing.T) {
	for name, s := range flatSpaces(t) {
		other, sequences := 0, s.(Sequences)
		for _, c := range sequences.Choices() {
			other += c.N - 1
		}
		near := make([]map[int]bool, s.Len())
		for i := range near {
			near[i] = map[int]bool{}
			for _, n := range s.(Neighbourhood).Neighbours(s.At(i)) {
				j, ok := s.Index(n)
				if !ok {
					t.Fatalf("%s: %s is outside", name, n)
				}
				near[i][j] = true
			}
			if len(near[i]) != other || near[i][i] {
				t.Fatalf("%s, %d: %d distinct neighbours, want %d", name, i, len(near[i]), other)
			}
		}
		for i := range near {
			for j := range near[i] {
				if !near[j][i] {
					t.Fatalf("%s: %d is a neighbour of %d and not the other way round", name, j, i)
				}
			}
		}
		// A mutation is a neighbour, and each is reached.
		stream, seen := rng.New(5, name), map[string]bool{}
		for range 100 * other {
			m := s.(Mutator).Mutate(s.At(7), stream)
			if j, _ := s.Index(m); !near[7][j] {
				t.Fatalf("%s: %s mutates to %s", name, s.At(7), m)
			}
			seen[m.Hash()] = true
		}
		if len(seen) != other {
			t.Errorf("%s: %d of %d neighbours are reached by mutation", name, len(seen), other)
		}
	}
}

// Samples are uniform: the chi-square statistic of 200 draws a cell is within five standard
// deviations of its mean, n - 1.
func TestFlatSamplesAreUniform(t *testing.T) {
	s := choices(t, someChoices).(Finite)
	counts := make([]int, s.Len())
	stream := rng.New(11, "uniform")
	for range 200 * s.Len() {
		i, ok := s.Index(s.Sample(stream))
		if !ok {
			t.Fatal("a sample is outside")
		}
		counts[i]++
	}
	chi := 0.0
	for _, c := range counts {
		chi += float64((c-200)*(c-200)) / 200
	}
	if mean := float64(s.Len() - 1); chi > mean+5*9.6 || chi < mean-5*6 { // sqrt(2*23) is 6.8
		t.Errorf("chi-square is %.1f, its mean %v", chi, mean)
	}
}

// The same choices in another order, or fewer of them, are the same architectures.
func TestChoicesAcrossSpaces(t *testing.T) {
	a := choices(t, `{"x":[1,2],"y":["p","q"]}`).(Finite)
	b := choices(t, `{"y":["q"],"x":[2,3]}`).(Finite)
	one, err := b.Parse([]byte(`{"x": 2, "y": "q"}`))
	if err != nil {
		t.Fatal(err)
	}
	i, ok := a.Index(one)
	if !ok || a.At(i).Hash() != one.Hash() {
		t.Errorf("%v is found at %d, %v", one, i, ok)
	}
	three, err := b.Parse([]byte(`{"x": 3, "y": "q"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Contains(three); !errors.Is(err, ErrOutside) {
		t.Error(err)
	}
	if err := a.Contains(OpenNASBench201().At(0)); !errors.Is(err, ErrOutside) {
		t.Error(err)
	}
	if got := a.(Mutator).Mutate(three, rng.New(1, "")); got != three {
		t.Error("an architecture from outside was changed")
	}
}

func TestLargeChoices(t *testing.T) {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, `%sc%d":[0,1,2,3,4]`, []string{`{"`, `,"`}[min(i, 1)], i)
	}
	s := choices(t, b.String()+"}")
	if _, finite := s.(Finite); finite {
		t.Error("5^40 architectures can be listed")
	}
	want := new(big.Int).Exp(big.NewInt(5), big.NewInt(40), nil)
	if s.Size().Cmp(want) != 0 {
		t.Errorf("%s, not %s", s.Size(), want)
	}
	a := s.Sample(rng.New(1, "large"))
	if s.Contains(a) != nil || len(s.(Neighbourhood).Neighbours(a)) != 160 || len(a.String()) > 200 {
		t.Errorf("%s", a)
	}
}

func TestChoicesRefuse(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                       "nothing to choose",
		`{"a":[]}`:                 "no options",
		`{"a":[1,1.0]}`:            "option 1 twice",
		`{"a":[1],"a":[2]}`:        `two choices are called "a"`,
		`{"":[1]}`:                 "no name",
		`{"a":[null]}`:             "a number, a text, true or false",
		`{"a":[[1]]}`:              "a number, a text, true or false",
		`{"a":[1e999]}`:            "finite",
		`{"a":3}`:                  "is not such as",
		`[1]`:                      "must begin with {",
		`{"a":[1]} {"b":[2]}`:      "something follows",
		`{"a":[1]`:                 "is not such as",
		`{"a":["` + "\xff" + `"]}`: "",
	} {
		picks, err := ParsePicks(text)
		if err == nil {
			_, err = Choices(picks)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
	s := choices(t, `{"depth":[8,14],"op":["conv","pool"]}`)
	for text, want := range map[string]string{
		`{"depth":8}`:                         `"op" has no value`,
		`{"depth":9,"op":"conv"}`:             "allowed are 8, 14",
		`{"depth":8,"op":"conv","dpeth":9}`:   `did you mean "depth"?`,
		`{"depth":"8","op":"conv"}`:           `no option "8"`,
		`{"depth":{},"op":"conv"}`:            "a number",
		`[]`:                                  "not an architecture",
		`{"depth":8,"op":"conv","zzzzzzz":9}`: `no choice "zzzzzzz"`,
	} {
		if _, err := s.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
	if _, err := FromSpec(Spec{Name: "choices", Choices: strings.Repeat(" ", 1e6)}); err == nil {
		t.Error("a definition of a megabyte was taken")
	}
}

func TestOptions(t *testing.T) {
	for text, want := range map[string]Option{
		"8": "8", "8.0": "8", "+8": "8", "8e0": "8", "-0.0": "0", "0.10": "0.1", "1e-5": "1e-05", "007": "7",
		"123456789012345678901234567890": "123456789012345678901234567890", "1e300": "1e+300",
	} {
		if o, err := NumberOption(text); err != nil || o != want {
			t.Errorf("%s: %s, not %s (%v)", text, o, want, err)
		}
	}
	for _, text := range []string{"", "nan", "inf", "0x10", "1_000", "eight", "--1", "+", "1e999"} {
		if o, err := NumberOption(text); err == nil {
			t.Errorf("%q is the number %s", text, o)
		}
	}
	list := []Option{`"b"`, `"a"`, "10", "9", "-1.5", "true", "false", "123456789012345678901", "123456789012345678900"}
	slices.SortFunc(list, Option.Compare)
	want := []Option{"false", "true", "-1.5", "9", "10", "123456789012345678900", "123456789012345678901", `"a"`, `"b"`}
	if !slices.Equal(list, want) {
		t.Error(list)
	}
}

func FuzzParsePicks(f *testing.F) {
	f.Add(someChoices)
	f.Fuzz(func(t *testing.T, text string) {
		picks, err := ParsePicks(text)
		if err != nil {
			return
		}
		s, err := Choices(picks)
		if err != nil {
			return
		}
		again, err := FromText(s.String())
		if err != nil || again.Spec() != s.Spec() {
			t.Errorf("%s is read as %v (%v)", s, again, err)
		}
	})
}

// A text that JSON leaves as it is gives the option that reading and writing it gives.
func TestPlainOptions(t *testing.T) {
	for _, text := range []string{"", "conv3x3", "a b", "~ !", `a"b`, `a\b`, "<b>", "é", "\x7f", "a\nb", "\u2028"} {
		var long bytes.Buffer
		enc := json.NewEncoder(&long)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(text); err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSuffix(long.String(), "\n")
		if got := quoteJSON(text); got != want {
			t.Errorf("%q is quoted as %s, want %s", text, got, want)
		}
		raw, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseOption(raw); err != nil || string(got) != want {
			t.Errorf("%s is read as %s, %v; want %s", raw, got, err, want)
		}
	}
	for _, raw := range []string{`"`, `"a`, `"a"b"`, `"\q"`} {
		if got, err := ParseOption([]byte(raw)); err == nil {
			t.Errorf("%s is read as %s", raw, got)
		}
	}
}

// TestPlainArchitectures holds the quick way of reading against the general one.
func TestPlainArchitectures(t *testing.T) {
	c := choices(t, `{"a":[1,2.5,"x"],"b\\\\":[true,"é"],"b\\":["1","2"]}`).(*ListedChoices).ChoiceSpace
	for raw, plain := range map[string]bool{
		`{"a":1,"b\\\\":true,"b\\":"1"}`: false,
		`{"a":1}`:                        false,
		`{"a":1,"a":2}`:                  false,
	} {
		if _, ok := c.parsePlain([]byte(raw)); ok != plain {
			t.Errorf("%s was read plainly: %v", raw, ok)
		}
	}
	c = choices(t, `{"a":[1,2.5,"x"],"b":[true,"é",""]}`).(*ListedChoices).ChoiceSpace
	for raw, plain := range map[string]bool{
		`{"a":1,"b":true}`: true, `{"b":"é","a":2.5}`: true, " { \"a\" : \"x\" ,\n\"b\" : \"\" } ": true,
		`{"a":1.0,"b":true}`: false, `{"a":1,"b":true,"c":1}`: false, `{"a":1,"b":true}}`: false, `{"a":1,"b":tru}`: false,
		`{"a":1,"a":1}`: false, `{"a":1,"b":"e"`: false, `{"a":1 1,"b":true}`: false, `{"a":"x,"b":true}`: false, `{"a":,"b":true}`: false,
		`{"a":1,"b":"}`: false, `[]`: false, ``: false, `{"a"`: false, `{"a":`: false, `{"\u0061":1,"b":true}`: false,
	} {
		digits, ok := c.parsePlain([]byte(raw))
		if ok != plain {
			t.Errorf("%q was read plainly: %v", raw, ok)
		}
		if ok {
			var given map[string]json.RawMessage
			if err := json.Unmarshal([]byte(raw), &given); err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
			for i, p := range c.picks {
				if o, err := ParseOption(given[p.Name]); err != nil || o != p.Options[digits[i]] {
					t.Errorf("%q: %s is %v, not %v (%v)", raw, p.Name, p.Options[digits[i]], o, err)
				}
			}
		}
	}
}
