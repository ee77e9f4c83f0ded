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
	return perCell(p, whole, "hash", func(c *space.Cell) (string, error) { return c.Hash(), nil }), nil
}
