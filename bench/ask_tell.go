package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"evalnas/nasapi"
	"evalnas/nasapi/child"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/table"
)

func init() {
	register(Benchmark{Name: "ask-tell", Unit: "evaluations/s", Rate: true, Want: 10, Open: openAskTell})
}

// The table of the benchmark: made-up values of every combination of six decisions.
const (
	askDecisions = 6
	askOptions   = "abcde"
)

// Evaluations of a run. Ours is to make 20,000 a second; the peer makes some hundreds.
const (
	oursAsked = 40_000
	peerAsked = 400
)

// openAskTell compares how many architectures a second a policy in a process of its own is
// asked for and told of: ours a compiled program that answers at once, by the protocol of
// docs/child_protocol.md; the peer syne-tune's simulator with random search, in its own process,
// on the same table. Extra has our own search in one process without a program.
func openAskTell(ctx context.Context) (*Comparison, error) {
	dir, err := os.MkdirTemp("", "evalnas-bench-")
	if err != nil {
		return nil, err
	}
	remove := func() error { return os.RemoveAll(dir) }
	o, err := newAsked(dir)
	if err != nil {
		return nil, errorsOf(err, remove())
	}
	p, err := startPeer(ctx, "ask_tell.py")
	if err != nil {
		return nil, errorsOf(err, remove())
	}
	search := func(ctx context.Context, cfg nasapi.SearchConfig, seed int) (float64, error) {
		began := time.Now()
		r, err := nasapi.RunSearch(ctx, cfg, int64(seed), o)
		if err != nil {
			return 0, err
		}
		if r.Evaluations != oursAsked {
			return 0, fmt.Errorf("%d evaluations were made, not %d", r.Evaluations, oursAsked)
		}
		return oursAsked / time.Since(began).Seconds(), nil
	}
	return &Comparison{
		PeerKind: "reference", Close: func() error { return errorsOf(p.close(), remove()) },
		Ours: func(ctx context.Context, i int) (float64, error) { return search(ctx, o.cfg, i) },
		Peer: func(_ context.Context, i int) (float64, error) {
			var answer struct {
				Seconds float64
				Trials  int
			}
			if err := p.ask(map[string]any{"table": o.csv, "trials": peerAsked, "seed": i, "folder": dir}, &answer); err != nil {
				return 0, err
			}
			if answer.Trials < peerAsked {
				return 0, fmt.Errorf("the peer made %d evaluations, not %d", answer.Trials, peerAsked)
			}
			return float64(answer.Trials) / answer.Seconds, nil
		},
		Extra: func(ctx context.Context) (map[string]any, error) {
			cfg := o.cfg
			cfg.Policy, cfg.Own = "random", nil
			rate, err := search(ctx, cfg, 0)
			return map[string]any{"ours_without_a_process": round(rate)}, err
		},
	}, nil
}

// asked is the search of ours: a nasapi.Reporter that knows where programs are.
type asked struct {
	dir, csv string
	cfg      nasapi.SearchConfig
}

func (a *asked) Study() string                      { return a.dir }
func (*asked) Progress(int, int, map[string]any)    {}
func (*asked) Event(kind string, payload any) error { return nil }

func newAsked(dir string) (*asked, error) {
	a := &asked{dir: dir, csv: filepath.Join(dir, "made_up.csv")}
	if err := os.Setenv(table.FolderVariable, dir); err != nil {
		return nil, err
	}
	var names []string
	for i := range askDecisions {
		names = append(names, fmt.Sprintf("op%d", i))
	}
	rows := []string{strings.Join(names, ",") + ",valid"}
	values := rng.New(0, "bench", "ask-tell")
	var add func(string, int)
	add = func(row string, left int) {
		if left == 0 {
			rows = append(rows, fmt.Sprintf("%s%.4f", row, values.Float64()))
			return
		}
		for _, option := range askOptions {
			add(row+string(option)+",", left-1)
		}
	}
	add("", askDecisions)
	if err := os.WriteFile(a.csv, []byte(strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	t, err := table.OpenOwn(a.csv, "made_up.csv", table.OwnColumns{Choices: names, Valid: "valid"})
	if err != nil {
		return nil, err
	}
	m, err := t.Find(table.Query{Name: table.Valid})
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := child.New(dir, dir, []string{self, "policy"}, nil)
	if err != nil {
		return nil, err
	}
	a.cfg = nasapi.SearchConfig{
		Policy: nasapi.OwnName("trivial"), Own: &nasapi.OwnPolicy{Program: program},
		Space: t.Space().Spec(), Objective: objective.OfTable(t, m).Spec(), Budget: oursAsked,
	}
	return a, nil
}

// servePolicy is the trivial policy: whatever it is asked for, it answers the next combination,
// and it does not look at what it is told.
func servePolicy(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	w := bufio.NewWriter(out)
	digits := make([]int, askDecisions)
	for first := true; ; {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return w.Flush()
		case err != nil:
			return err
		case first:
			first = false
			fmt.Fprintf(w, "{\"ready\":{\"protocol\":%d}}\n", child.Protocol)
		case bytes.HasPrefix(line, []byte(`{"ask"`)):
			w.WriteString(`{"architecture":{`)
			for i, d := range digits {
				if i > 0 {
					w.WriteByte(',')
				}
				fmt.Fprintf(w, `"op%d":"%c"`, i, askOptions[d])
			}
			w.WriteString("}}\n")
			for i := range digits {
				if digits[i] = (digits[i] + 1) % len(askOptions); digits[i] > 0 {
					break
				}
			}
		default:
			continue
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
}
