package main

import (
	"context"

	"evalnas/nasapi/space"
)

func init() {
	register(Benchmark{
		Name: "nasbench-hash", Unit: "cells/s", Rate: true, Want: 15,
		Open: openNASBenchHash,
	})
}

// openNASBenchHash compares how many fresh cells a second are checked, pruned
// and hashed.
func openNASBenchHash(ctx context.Context) (*Comparison, error) {
	whole, err := space.NASBench101(7)
	if err != nil {
		return nil, err
	}
	p, err := startNASBenchPeer(ctx)
	if err != nil {
		return nil, err
	}
	in := &cellInput{whole: whole, label: "hash"}
	hash := func(pair int) (hashes []string, seconds float64, err error) {
		cells := in.of(pair)
		hashes = make([]string, len(cells))
		seconds, err = onOneCore(func() error {
			for i, c := range cells {
				cell, err := space.NewCell(c.Matrix, c.Ops)
				if err != nil {
					return err
				}
				hashes[i] = cell.Hash()
			}
			return nil
		})
		return hashes, seconds, err
	}
	return &Comparison{
		PeerKind: p.kind,
		Close:    p.close,
		Ours: func(_ context.Context, pair int) (float64, error) {
			_, seconds, err := hash(pair)
			return oursCells / seconds, err
		},
		Peer: func(_ context.Context, pair int) (float64, error) {
			if err := p.giveCells(in.of(pair)[:peerCells]); err != nil {
				return 0, err
			}
			var answer struct {
				Seconds float64
				Hashes  []string
			}
			if err := p.ask(map[string]any{"do": "hash"}, &answer); err != nil {
				return 0, err
			}
			ours, _, err := hash(pair)
			return peerCells / answer.Seconds, errorsOf(err, same(ours, answer.Hashes))
		},
	}, nil
}
