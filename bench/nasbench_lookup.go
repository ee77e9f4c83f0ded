package main

import (
	"bufio"
	"context"
	"fmt"

	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
)

func init() {
	register(Benchmark{
		Name: "nasbench-lookup", Unit: "cells/s", Rate: true, Want: 100,
		Open: openNASBenchLookup,
	})
}

// openNASBenchLookup compares how many fresh cells a second are turned into
// their test accuracy: ours by the embedded index, the peer's by ModelSpec,
// hash and a dictionary of all 423,624 cells.
func openNASBenchLookup(ctx context.Context) (*Comparison, error) {
	whole, err := space.NASBench101(7)
	if err != nil {
		return nil, err
	}
	truth, err := table.NASBench101()
	if err != nil {
		return nil, err
	}
	metric, err := truth.Metric("test")
	if err != nil {
		return nil, err
	}
	p, err := startNASBenchPeer(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.giveTable(whole, truth, metric); err != nil {
		return nil, errorsOf(err, p.close())
	}
	in := &cellInput{whole: whole, label: "lookup"}
	lookup := func(pair int) (values []float64, seconds float64, err error) {
		cells := in.of(pair)
		values = make([]float64, len(cells))
		seconds, err = onOneCore(func() error {
			for i, c := range cells {
				cell, err := space.NewCell(c.Matrix, c.Ops)
				if err != nil {
					return err
				}
				if values[i], err = truth.Value(metric, cell); err != nil {
					return err
				}
			}
			return nil
		})
		return values, seconds, err
	}
	return &Comparison{
		PeerKind: p.kind,
		Close:    p.close,
		Ours: func(_ context.Context, pair int) (float64, error) {
			_, seconds, err := lookup(pair)
			return oursCells / seconds, err
		},
		Peer: func(_ context.Context, pair int) (float64, error) {
			if err := p.giveCells(in.of(pair)[:peerCells]); err != nil {
				return 0, err
			}
			var answer struct {
				Seconds float64
				Values  []float64
			}
			if err := p.ask(map[string]any{"do": "lookup"}, &answer); err != nil {
				return 0, err
			}
			ours, _, err := lookup(pair)
			return peerCells / answer.Seconds, errorsOf(err, same(ours, answer.Values))
		},
	}, nil
}

func (n *nasbenchPeer) giveTable(whole *space.NASBench, truth *table.Table, metric table.Metric) error {
	column, err := truth.Column(metric, whole)
	if err != nil {
		return err
	}
	return n.give("table", func(w *bufio.Writer) error {
		for i, value := range column {
			if _, err := fmt.Fprintln(w, whole.At(i).Hash(), value); err != nil {
				return err
			}
		}
		return nil
	})
}
