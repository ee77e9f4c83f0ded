package main

import (
	"context"
	"fmt"

	"evalnas/nasapi/space"
)

func init() {
	register(Benchmark{
		Name: "nasbench-enumerate", Unit: "s", Want: 50,
		Open: openNASBenchEnumerate,
	})
}

// The peer needs minutes for seven vertices, so both sides enumerate six, and
// the time of ours for seven is an extra field.
const peerVertices = 6

// openNASBenchEnumerate compares the enumeration of the space on one core,
// without the embedded index.
func openNASBenchEnumerate(ctx context.Context) (*Comparison, error) {
	p, err := startNASBenchPeer(ctx)
	if err != nil {
		return nil, err
	}
	unique := 0
	ours := func(vertices int) (seconds float64, err error) {
		var found space.Enumeration
		seconds, err = onOneCore(func() error {
			found, err = space.Enumerate(vertices)
			return err
		})
		unique = found.Unique
		return seconds, err
	}
	return &Comparison{
		PeerKind: p.kind,
		Close:    p.close,
		Ours:     func(context.Context, int) (float64, error) { return ours(peerVertices) },
		Peer: func(context.Context, int) (float64, error) {
			var answer struct {
				Seconds float64
				Unique  int
			}
			if err := p.ask(map[string]any{"do": "enumerate", "vertices": peerVertices}, &answer); err != nil {
				return 0, err
			}
			if unique != 0 && answer.Unique != unique {
				return 0, fmt.Errorf("ours found %d graphs, the peer %d", unique, answer.Unique)
			}
			return answer.Seconds, nil
		},
		Extra: func(context.Context) (map[string]any, error) {
			seconds, err := ours(7)
			return map[string]any{"vertices": peerVertices, "ours_7_vertices_s": round(seconds), "unique_7_vertices": unique}, err
		},
	}, nil
}
