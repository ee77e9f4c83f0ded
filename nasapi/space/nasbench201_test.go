package space

import (
	"errors"
	"strings"
	"testing"
)

// A cell, its parameters and multiply-adds on CIFAR-10 as the benchmark gives them, in
// millions. Its multiply-adds count the ten biases of the linear layer too.
func TestNB201Costs(t *testing.T) {
	for _, c := range []struct {
		text   string
		params int64
		flops  int64
	}{
		{"|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|", 129_306, 15_647_370},
		{"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 73_306, 7_783_050},
		{"|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 1_531_546, 220_119_690},
	} {
		cell, err := ParseNB201(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if cell.Params() != c.params || cell.FLOPs() != c.flops-10 {
			t.Errorf("%s: %d parameters, %d multiply-adds; want %d and %d", c.text, cell.Params(), cell.FLOPs(), c.params, c.flops-10)
		}
	}
}

// Every text is read as it was written, and says the same as the edges.
func TestNB201Texts(t *testing.T) {
	s := OpenNASBench201()
	if s.Len() != 15625 {
		t.Fatal(s.Len())
	}
	for i := range s.Len() {
		a := s.At(i).(*NB201Cell)
		b, err := ParseNB201(a.Text())
		if err != nil || *b != *a {
			t.Fatalf("%s is read as %v (%v)", a.Text(), b, err)
		}
	}
	first, last := s.At(0).String(), s.At(15624).String()
	if first != "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|" || strings.Count(last, "avg_pool_3x3") != 6 {
		t.Error(first, last)
	}
	for _, e := range s.At(15624).(*NB201Cell).Edges() {
		if e.From >= e.To || e.To > 3 {
			t.Errorf("%+v", e)
		}
	}
	if _, err := FromSpec(s.Spec()); err != nil {
		t.Error(err)
	}
	if again, err := FromText(s.String()); err != nil || again.Spec() != s.Spec() {
		t.Error(again, err)
	}
	if a, err := ParseArch("nasbench201", []byte(`"`+last+`"`)); err != nil || a.String() != last {
		t.Error(a, err)
	}
}

func TestNB201Refuses(t *testing.T) {
	good := exampleNB201
	for text, want := range map[string]string{
		"": "3", "conv": "3",
		strings.Replace(good, "skip_connect~0", "skip_conect~0", 1):  `did you mean "skip_connect"`,
		strings.Replace(good, "skip_connect~0", "skip_connect~1", 1): "must end in ~0",
		strings.Replace(good, "|avg_pool_3x3~1|", "|", 1):            "needs 2 edges",
		good + "+|none~0|":              "4 nodes",
		strings.Repeat("|none~0|", 1e5): "characters",
		strings.Trim(good, "|"):         "between bars",
	} {
		if _, err := ParseNB201(text); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 400 {
			t.Errorf("%.80q: %v; want %q", text, err, want)
		}
	}
	d, err := DARTS(4)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Contains(OpenNASBench201().At(0)); !errors.Is(err, ErrOutside) {
		t.Error(err)
	}
	if _, err := OpenNASBench201().Parse([]byte(`{"a":1}`)); err == nil {
		t.Error("an object was read")
	}
}

func FuzzParseNB201(f *testing.F) {
	f.Add(exampleNB201)
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseNB201(text); err == nil && c.Text() != strings.TrimSpace(text) {
			t.Errorf("%q is read as %q", text, c.Text())
		}
	})
}
