package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// fakeComparison gives fixed measures and records who went first.
func fakeComparison(order *[]string, ours, peer []float64) func(context.Context) (*Comparison, error) {
	side := func(name string, values []float64) func(context.Context, int) (float64, error) {
		return func(_ context.Context, i int) (float64, error) {
			*order = append(*order, name)
			return values[i], nil
		}
	}
	return func(context.Context) (*Comparison, error) {
		return &Comparison{
			PeerKind: "twin", Ours: side("ours", ours), Peer: side("peer", peer),
			Close: func() error { *order = append(*order, "closed"); return nil },
			Extra: func(context.Context) (map[string]any, error) { return map[string]any{"n": 6}, nil },
		}, nil
	}
}

func TestRunReportsTheMedianOfThePairs(t *testing.T) {
	for _, c := range []struct {
		rate  bool
		ratio float64
	}{{false, 4}, {true, .25}} {
		var order []string
		var out bytes.Buffer
		b := Benchmark{Name: "fake", Unit: "s", Rate: c.rate, Want: 2,
			Open: fakeComparison(&order, []float64{1, 2, 5}, []float64{4, 16, 5})}
		if err := run(context.Background(), b, 3, &out); err != nil {
			t.Fatal(err)
		}
		var r report
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if r.Bench != "fake" || r.Ratio != c.ratio || r.Ours != 2 || r.Peer != 5 || r.PeerKind != "twin" || r.OK != (c.ratio >= 2) || len(r.Ratios) != 3 || r.Extra["n"] != 6. {
			t.Errorf("%s", out.String())
		}
		if want := []string{"ours", "peer", "peer", "ours", "ours", "peer", "closed"}; !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
	}
}

func TestRunClosesAfterAFailure(t *testing.T) {
	closed := false
	broken := errors.New("broken pipe")
	b := Benchmark{Name: "fake", Open: func(context.Context) (*Comparison, error) {
		return &Comparison{
			Ours:  func(context.Context, int) (float64, error) { return 0, broken },
			Close: func() error { closed = true; return nil },
		}, nil
	}}
	err := run(context.Background(), b, 5, io.Discard)
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "fake, pair 1") || !closed {
		t.Errorf("%v, closed: %v", err, closed)
	}
}

func TestChoose(t *testing.T) {
	all, err := choose("")
	if err != nil || len(all) != len(registry) {
		t.Errorf("%d of %d, %v", len(all), len(registry), err)
	}
	two, err := choose("nasbench-lookup,nasbench-hash")
	if err != nil || len(two) != 2 || two[0].Name != "nasbench-lookup" {
		t.Errorf("%v, %v", two, err)
	}
	if _, err := choose("nasbench-hsah"); err == nil || !strings.Contains(err.Error(), "nasbench-hash") {
		t.Errorf("unknown name: %v", err)
	}
	if err := runAll(context.Background(), options{pairs: 0}, io.Discard); err == nil {
		t.Error("0 pairs were accepted")
	}
}

func TestRound(t *testing.T) {
	for in, want := range map[float64]float64{0: 0, 123456: 123500, 0.00123456: 0.001235, -2.71828: -2.718} {
		if got := round(in); got != want {
			t.Errorf("round(%v) = %v, want %v", in, got, want)
		}
	}
}
