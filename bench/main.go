// Command bench measures this project side by side with what researchers use
// today and prints one JSON line for each benchmark:
//
//	go run ./bench                        # all of them
//	go run ./bench -name nasbench-hash    # one
//	go run ./bench -list
//	go run ./bench roofline               # the engine's inner loops beside the machine
//
// A ratio above 1 means that ours is the better. Every ratio is the median
// over alternating pairs of runs on the same machine. Peers are Python
// scripts beside this file; they run with $EVALNAS_PEER_PYTHON, else
// .venv/bin/python, else python3. To add a benchmark write one file with an
// init function that calls register.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"evalnas/nasapi/child"
)

func main() {
	child.Supervise()
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		if err := runOther(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.name, "name", "", "run this benchmark only (several: comma-separated)")
	flag.IntVar(&o.pairs, "pairs", 5, "pairs of runs a benchmark")
	flag.BoolVar(&o.list, "list", false, "list the benchmarks and the ratios they want")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := runAll(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// runOther runs what is no comparison.
func runOther(name string, args []string) error {
	switch name {
	case "step":
		return serveSteps(args, os.Stdin, os.Stdout)
	case "roofline":
		return roofline(os.Stdout)
	case "import":
		return serveImport(args, os.Stdout)
	case "open":
		return serveOpen(args, os.Stdout)
	case "policy":
		return servePolicy(os.Stdin, os.Stdout)
	case "trainer":
		return serveTrainer(args, os.Stdin, os.Stdout)
	case "runner", "worker":
		return serveJobs(name, args)
	}
	return fmt.Errorf("there are step and roofline; a benchmark is named by -name")
}

type options struct {
	name  string
	pairs int
	list  bool
}

// runAll goes on after a benchmark that cannot run and reports it at the end.
func runAll(ctx context.Context, o options, out io.Writer) error {
	if o.pairs < 1 {
		return fmt.Errorf("-pairs %d: at least 1", o.pairs)
	}
	chosen, err := choose(o.name)
	if err != nil {
		return err
	}
	var failed []error
	for _, b := range chosen {
		if o.list {
			fmt.Fprintf(out, "%s (%s, %gx)\n", b.Name, b.Unit, b.Want)
			continue
		}
		if err := run(ctx, b, o.pairs, out); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func choose(names string) ([]Benchmark, error) {
	sorted := slices.SortedFunc(slices.Values(registry), func(a, b Benchmark) int { return strings.Compare(a.Name, b.Name) })
	if names == "" {
		return sorted, nil
	}
	var chosen []Benchmark
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(sorted, func(b Benchmark) bool { return b.Name == name })
		if i < 0 {
			var known []string
			for _, b := range sorted {
				known = append(known, b.Name)
			}
			return nil, fmt.Errorf("no benchmark %q; there are %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, sorted[i])
	}
	return chosen, nil
}
