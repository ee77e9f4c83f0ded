package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// nasbenchPeer is the Python process of all NASBench-101 benchmarks.
type nasbenchPeer struct {
	*peer
	kind    string
	scratch string
}

func startNASBenchPeer(ctx context.Context) (*nasbenchPeer, error) {
	p, err := startPeer(ctx, "nasbench_twin.py")
	if err != nil {
		return nil, err
	}
	n := &nasbenchPeer{peer: p}
	if err := n.hello(); err != nil {
		return nil, errorsOf(err, n.close())
	}
	return n, nil
}

func (n *nasbenchPeer) hello() error {
	top, err := root()
	if err != nil {
		return err
	}
	if n.scratch, err = os.MkdirTemp("", "evalnas-bench-"); err != nil {
		return err
	}
	var answer struct{ Kind string }
	vectors := filepath.Join(top, "nasapi", "space", "testdata", "hash_vectors.json")
	if err := n.ask(map[string]any{"do": "hello", "vectors": vectors}, &answer); err != nil {
		return err
	}
	n.kind = answer.Kind
	return nil
}

func (n *nasbenchPeer) close() error {
	err := n.peer.close()
	if n.scratch == "" {
		return err
	}
	return errorsOf(err, os.RemoveAll(n.scratch))
}

// errorsOf is the first error.
func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// give writes lines to a file and has the peer load it.
func (n *nasbenchPeer) give(do string, write func(w *bufio.Writer) error) error {
	path := filepath.Join(n.scratch, do)
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	if err := errorsOf(write(w), w.Flush(), f.Close()); err != nil {
		return err
	}
	var answer struct{ N int }
	return n.ask(map[string]any{"do": do, "file": path}, &answer)
}

// giveCells has the peer load cells to hash or look up.
func (n *nasbenchPeer) giveCells(cells []rawCell) error {
	return n.give("cells", func(w *bufio.Writer) error {
		encoder := json.NewEncoder(w)
		for _, c := range cells {
			if err := encoder.Encode(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// rawCell is a specification as a user would write it.
type rawCell struct {
	Matrix [][]int  `json:"matrix"`
	Ops    []string `json:"ops"`
}

// randomCells draws cells of the space by rejection, as the reference's
// notebooks do: seven vertices, each edge with probability 1/2, each operation
// with 1/3, until the cell is valid. Matrices come unpruned.
func randomCells(s *rng.Stream, whole *space.NASBench, n int) []rawCell {
	names := whole.Operations()
	cells := make([]rawCell, 0, n)
	for len(cells) < n {
		matrix, ops := make([][]int, 7), []string{"input"}
		for x := range matrix {
			matrix[x] = make([]int, 7)
			for y := x + 1; y < 7; y++ {
				matrix[x][y] = s.IntN(2)
			}
		}
		for range 5 {
			ops = append(ops, names[s.IntN(len(names))])
		}
		ops = append(ops, "output")
		if c, err := space.NewCell(matrix, ops); err == nil && whole.Contains(c) == nil {
			cells = append(cells, rawCell{matrix, ops})
		}
	}
	return cells
}

// onOneCore times f with one core for everything, the garbage collector too.
func onOneCore(f func() error) (seconds float64, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.GC()
	start := time.Now()
	err = f()
	return time.Since(start).Seconds(), err
}

// Of one pair the peer gets the first cells only: it needs a quarter of a
// millisecond for each.
const (
	oursCells = 40000
	peerCells = 2000
)

// cellInput is the same fresh input for both sides of a pair.
type cellInput struct {
	whole *space.NASBench
	label string
	pair  int
	cells []rawCell
}

func (in *cellInput) of(pair int) []rawCell {
	if in.cells == nil || in.pair != pair {
		in.pair = pair
		in.cells = randomCells(rng.New(int64(pair), "bench", in.label), in.whole, oursCells)
	}
	return in.cells
}

// same compares what both sides found for the peer's cells.
func same[T comparable](ours, peer []T) error {
	for i := range peer {
		if i < len(ours) && ours[i] != peer[i] {
			return fmt.Errorf("cell %d: ours found %v, the peer %v", i, ours[i], peer[i])
		}
	}
	return nil
}

// perCell compares how many fresh cells a second ours and the peer's command
// turn into answers, and holds the answers against each other.
func perCell[T comparable](p *nasbenchPeer, whole *space.NASBench, do string, ours func(*space.Cell) (T, error)) *Comparison {
	in := &cellInput{whole: whole, label: do}
	run := func(pair int) (answers []T, seconds float64, err error) {
		cells := in.of(pair)
		answers = make([]T, len(cells))
		seconds, err = onOneCore(func() error {
			for i, c := range cells {
				cell, err := space.NewCell(c.Matrix, c.Ops)
				if err != nil {
					return err
				}
				if answers[i], err = ours(cell); err != nil {
					return err
				}
			}
			return nil
		})
		return answers, seconds, err
	}
	return &Comparison{
		PeerKind: p.kind,
		Close:    p.close,
		Ours: func(_ context.Context, pair int) (float64, error) {
			_, seconds, err := run(pair)
			return oursCells / seconds, err
		},
		Peer: func(_ context.Context, pair int) (float64, error) {
			if err := p.giveCells(in.of(pair)[:peerCells]); err != nil {
				return 0, err
			}
			var answer struct {
				Seconds float64
				Answers []T
			}
			if err := p.ask(map[string]any{"do": do}, &answer); err != nil {
				return 0, err
			}
			mine, _, err := run(pair)
			return peerCells / answer.Seconds, errorsOf(err, same(mine, answer.Answers))
		},
	}
}
