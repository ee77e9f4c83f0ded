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
	whole, truth, metric, err := testTable()
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
	return perCell(p, whole, "lookup", func(c *space.Cell) (float64, error) { return truth.Value(metric, c) }), nil
}

// testTable is all cells, and the embedded table with its one metric.
func testTable() (*space.NASBench, table.Table, table.Metric, error) {
	whole, err := space.NASBench101(7)
	if err != nil {
		return nil, nil, table.Metric{}, err
	}
	truth, err := table.NASBench101()
	if err != nil {
		return nil, nil, table.Metric{}, err
	}
	metric, err := truth.Find(table.Query{Name: table.Test})
	return whole, truth, metric, err
}

func (n *nasbenchPeer) giveTable(whole *space.NASBench, truth table.Table, metric table.Metric) error {
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
