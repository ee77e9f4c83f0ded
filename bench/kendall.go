package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"evalnas/nasapi/objective"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/stats"
)

func init() {
	register(Benchmark{Name: "kendall", Unit: "s", Want: 1, Open: openKendall})
}

// openKendall compares Kendall's tau-b with its p, of the number of parameters and the test
// accuracy of every cell of NASBench-101: 423,624 pairs with many ties. Extra has the same of
// as many pairs without any.
func openKendall(ctx context.Context) (*Comparison, error) {
	tied, err := tablePairs()
	if err != nil {
		return nil, err
	}
	p, err := startPeer(ctx, "kendall.py")
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "evalnas-bench-")
	if err != nil {
		return nil, errorsOf(err, p.close())
	}
	k := &kendallPeer{peer: p, scratch: scratch}
	return &Comparison{
		PeerKind: "reference",
		Ours:     func(context.Context, int) (float64, error) { return k.ours(tied) },
		Peer:     func(context.Context, int) (float64, error) { return k.theirs(tied) },
		Extra: func(context.Context) (map[string]any, error) {
			pairs := distinctPairs(len(tied[0]))
			ours, err := k.ours(pairs)
			if err != nil {
				return nil, err
			}
			peer, err := k.theirs(pairs)
			return map[string]any{"pairs": len(tied[0]), "ours_without_ties_s": round(ours), "peer_without_ties_s": round(peer)}, err
		},
		Close: func() error { return errorsOf(p.close(), os.RemoveAll(scratch)) },
	}, nil
}

// columns are two of the same length.
type columns [2][]float64

func tablePairs() (columns, error) {
	whole, tab, metric, err := testTable()
	if err != nil {
		return columns{}, err
	}
	params, err := objective.OfParams().Column(whole)
	if err != nil {
		return columns{}, err
	}
	test, err := tab.Column(metric, whole)
	return columns{params, test}, err
}

// distinctPairs is somewhat correlated, as ranks by shared weights are with the truth.
func distinctPairs(n int) columns {
	s := rng.New(0, "bench", "kendall")
	c := columns{make([]float64, n), make([]float64, n)}
	for i := range n {
		c[0][i] = s.Float64()
		c[1][i] = c[0][i] + 2*s.Float64()
	}
	return c
}

// kendallPeer is SciPy, and what ours said last, which it must say too.
type kendallPeer struct {
	*peer
	scratch string
}

func (k *kendallPeer) ours(c columns) (seconds float64, err error) {
	return onOneCore(func() error {
		_, err := stats.KendallTauTest(c[0], c[1])
		return err
	})
}

func (k *kendallPeer) theirs(c columns) (float64, error) {
	path := filepath.Join(k.scratch, "pairs")
	var raw []byte
	for _, column := range c {
		for _, v := range column {
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
		}
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return 0, err
	}
	var answer struct{ Seconds, Tau, P float64 }
	if err := k.ask(map[string]any{"file": path}, &answer); err != nil {
		return 0, fmt.Errorf("%w: this peer needs SciPy, too", err)
	}
	mine, err := stats.KendallTauTest(c[0], c[1])
	if err != nil {
		return 0, err
	}
	if math.Abs(mine.Tau-answer.Tau) > 1e-12 || math.Abs(mine.TwoSided-answer.P) > 1e-12 {
		return 0, fmt.Errorf("ours is tau %v with p %v, the peer's %v with %v", mine.Tau, mine.TwoSided, answer.Tau, answer.P)
	}
	return answer.Seconds, nil
}
