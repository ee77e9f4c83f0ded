package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// Benchmark is one comparison with a peer. Each lives in a file of its own
// that registers it in an init function.
type Benchmark struct {
	Name string
	Unit string // of what a pair measures, such as "s" or "cells/s"
	// Rate says that more is better; else the measure is a time or a size.
	Rate bool
	// Want is the ratio to reach.
	Want float64
	// Open prepares the comparison: starts the peer, makes the input.
	Open func(ctx context.Context) (*Comparison, error)
}

// Comparison measures pairs of runs.
type Comparison struct {
	// PeerKind is "reference" for the peer itself, "twin" for our own
	// rewriting of it.
	PeerKind string
	// Ours and Peer measure one run each of pair i; the two do the same work.
	Ours, Peer func(ctx context.Context, i int) (float64, error)
	// Extra, if not nil, adds fields to the report once all pairs are done.
	Extra func(ctx context.Context) (map[string]any, error)
	// Close, if not nil, ends the peer.
	Close func() error
}

var registry []Benchmark

func register(b Benchmark) { registry = append(registry, b) }

// report is a line of output. Ours and Peer are medians, Ratio is the median
// of the pairs' ratios: above 1, ours is the better.
type report struct {
	Bench    string         `json:"bench"`
	Ours     float64        `json:"ours"`
	Peer     float64        `json:"peer"`
	Unit     string         `json:"unit"`
	Ratio    float64        `json:"ratio"`
	Want     float64        `json:"want"`
	OK       bool           `json:"ok"`
	PeerKind string         `json:"peer_kind"`
	Ratios   []float64      `json:"ratios"`
	Extra    map[string]any `json:"extra,omitempty"`
}

// run measures the pairs of one benchmark, the two sides in turn first, and
// writes its report.
func run(ctx context.Context, b Benchmark, pairs int, out io.Writer) (err error) {
	c, err := b.Open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name, err)
	}
	if c.Close != nil {
		defer func() {
			if closing := c.Close(); err == nil && closing != nil {
				err = fmt.Errorf("%s: %w", b.Name, closing)
			}
		}()
	}
	var ours, peer, ratios []float64
	for i := range pairs {
		o, p, err := c.pair(ctx, i)
		if err != nil {
			return fmt.Errorf("%s, pair %d: %w", b.Name, i+1, err)
		}
		ours, peer = append(ours, o), append(peer, p)
		if b.Rate {
			ratios = append(ratios, o/p)
		} else {
			ratios = append(ratios, p/o)
		}
	}
	r := report{
		Bench: b.Name, Unit: b.Unit, Want: b.Want, PeerKind: c.PeerKind,
		Ours: round(median(ours)), Peer: round(median(peer)), Ratio: round(median(ratios)),
	}
	r.OK = r.Ratio >= b.Want
	for _, ratio := range ratios {
		r.Ratios = append(r.Ratios, round(ratio))
	}
	if c.Extra != nil {
		if r.Extra, err = c.Extra(ctx); err != nil {
			return fmt.Errorf("%s: %w", b.Name, err)
		}
	}
	return json.NewEncoder(out).Encode(r)
}

// pair runs both sides; which one goes first alternates, so that a drift of
// the machine does not favour one.
func (c *Comparison) pair(ctx context.Context, i int) (ours, peer float64, err error) {
	if i%2 == 1 {
		if peer, err = c.Peer(ctx, i); err != nil {
			return 0, 0, err
		}
	}
	if ours, err = c.Ours(ctx, i); err != nil {
		return 0, 0, err
	}
	if i%2 == 0 {
		if peer, err = c.Peer(ctx, i); err != nil {
			return 0, 0, err
		}
	}
	return ours, peer, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// round keeps four significant digits.
func round(x float64) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return x
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}
