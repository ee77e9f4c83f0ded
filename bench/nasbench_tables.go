package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
	"evalnas/nasapi/table/tabletest"
)

// The file of NASBench-101 with trainings of 108 epochs, here with made-up metrics: reading
// it, opening what was made of it, and looking cells up by their index. The peer is the
// reference's API, or nasbench_api.py's twin of it, in Python.

func init() {
	register(Benchmark{Name: "nasbench-import", Unit: "s", Want: 15, Open: openNASBenchImport})
	register(Benchmark{Name: "nasbench-open", Unit: "s", Want: 1000, Open: openNASBenchOpen})
	register(Benchmark{Name: "nasbench-index", Unit: "look-ups/s", Rate: true, Want: 50, Open: openNASBenchIndex})
}

const (
	// Limits beside the ratios.
	importMegabytes = 300
	openSeconds     = 0.02
	indexRate       = 1e6

	indexLookUps = 3_000_000
	hashLookUps  = 20_000
)

// bigFile is build/bench/nasbench_108.tfrecord, made once: 1,270,872 records, 515 MB.
func bigFile() (string, error) {
	top, err := root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(top, "build", "bench")
	path := filepath.Join(dir, "nasbench_108.tfrecord")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, ".*.tmp")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) // nothing is there after the rename
	err = errors.Join(tabletest.Write(f, tabletest.File{MaxVertices: 7, Epochs: []int{108}, Seed: 1, Single: true}), f.Close())
	if err != nil {
		return "", err
	}
	return path, os.Rename(f.Name(), path)
}

// apiLoad is what the peer says of its loading the file.
type apiLoad struct {
	Kind, How      string
	Seconds        float64
	Records, Cells int
	Right          int64
	Megabytes      float64
	byHash         float64 // look-ups a second
}

// lastLoad is shared by the benchmarks of one run: a load takes the better part of a minute.
var lastLoad *apiLoad

// loadByPeer has a fresh process load the file.
func loadByPeer(ctx context.Context, file string) (load *apiLoad, err error) {
	p, err := startPeer(ctx, "nasbench_api.py")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	load = new(apiLoad)
	if err := p.ask(map[string]any{"do": "load", "file": file}, load); err != nil {
		return nil, err
	}
	var found struct {
		Seconds float64
		N       int
	}
	if err := p.ask(map[string]any{"do": "by_hash", "n": hashLookUps}, &found); err != nil {
		return nil, err
	}
	load.byHash = float64(found.N) / found.Seconds
	lastLoad = load
	return load, nil
}

// knownLoad is the last load, or the first.
func knownLoad(ctx context.Context, file string) (*apiLoad, error) {
	if lastLoad != nil {
		return lastLoad, nil
	}
	return loadByPeer(ctx, file)
}

// importRun is what `bench import FILE STORE` prints.
type importRun struct {
	Seconds   float64
	Megabytes float64
	Records   int
	Cells     int
	Right     int64
}

// serveImport imports a file in this process, and says what that took.
func serveImport(args []string, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("bench import FILE STORE")
	}
	began := time.Now()
	t, err := table.Import(context.Background(), args[0], table.ImportOptions{Out: args[1]})
	if err != nil {
		return err
	}
	run := importRun{Seconds: time.Since(began).Seconds(), Megabytes: peakMegabytes(), Cells: t.Space().Len()}
	for _, epochs := range t.Epochs() {
		for repeat := range t.Repeats() {
			column, err := t.Column(table.Metric{Name: table.Test, Epochs: epochs, Repeat: repeat}, t.Space())
			if err != nil {
				return err
			}
			for _, v := range column {
				run.Right += int64(math.Round(v * 9984))
			}
			run.Records += len(column)
		}
	}
	return json.NewEncoder(out).Encode(run)
}

// peakMegabytes is the most memory that the process has had; 0 where the system does not say.
func peakMegabytes() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kilobytes, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				return 0
			}
			return kilobytes / 1024
		}
	}
	return 0
}

// importInto runs `bench import` in a process of its own; seconds are those of the whole
// process.
func importInto(ctx context.Context, file, store string) (run importRun, err error) {
	began := time.Now()
	text, err := self(ctx, filepath.Dir(store), "import", file, store)
	if err != nil {
		return run, err
	}
	seconds := time.Since(began).Seconds()
	err = json.Unmarshal(text, &run)
	run.Seconds = seconds
	return run, err
}

// self runs this program, with its own folder of tables.
func self(ctx context.Context, tables string, args ...string) ([]byte, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), table.FolderVariable+"="+tables)
	var bad bytes.Buffer
	cmd.Stderr = &bad
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("bench %s: %w\n%s", args[0], err, &bad)
	}
	return text, nil
}

func openNASBenchImport(context.Context) (*Comparison, error) {
	file, err := bigFile()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "evalnas-bench-")
	if err != nil {
		return nil, err
	}
	c := &Comparison{PeerKind: "twin", Close: func() error { return os.RemoveAll(dir) }}
	peak := 0.0
	var ours importRun
	c.Ours = func(ctx context.Context, i int) (seconds float64, err error) {
		ours, err = importInto(ctx, file, filepath.Join(dir, fmt.Sprintf("%d.table", i)))
		peak = max(peak, ours.Megabytes)
		return ours.Seconds, err
	}
	c.Peer = func(ctx context.Context, _ int) (float64, error) {
		load, err := loadByPeer(ctx, file)
		if err != nil {
			return 0, err
		}
		c.PeerKind = load.Kind
		return load.Seconds, nil
	}
	c.Extra = func(context.Context) (map[string]any, error) {
		if ours.Records != lastLoad.Records || ours.Cells != lastLoad.Cells || ours.Right != lastLoad.Right {
			return nil, fmt.Errorf("ours read %+v, the peer %+v", ours, *lastLoad)
		}
		if peak > importMegabytes {
			return nil, fmt.Errorf("the import had %.0f MB in memory, and %d are allowed", peak, importMegabytes)
		}
		return map[string]any{"records": ours.Records, "ours_mb": round(peak), "mb_allowed": importMegabytes, "peer_mb": round(lastLoad.Megabytes), "peer": lastLoad.How}, nil
	}
	return c, nil
}

// serveOpen opens a store and says the test accuracy of one training of one cell, and its rank.
func serveOpen(args []string, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("bench open STORE HASH")
	}
	t, err := table.OpenStore(args[0])
	if err != nil {
		return err
	}
	cell, err := t.Space().(*space.NASBench).ByHash(args[1])
	if err != nil {
		return err
	}
	first := 0
	metric, err := t.Find(table.Query{Name: table.Test, Repeat: &first})
	if err != nil {
		return err
	}
	answer, err := t.Answer(metric, cell)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(answer)
}

// inception is the cell of the data set's own notebook.
const inception = "28cfc7874f6d200472e1a9dcd8650aa0"

// storeOfBigFile imports the file once into a folder that the caller removes.
func storeOfBigFile(ctx context.Context) (file, dir, store string, err error) {
	if file, err = bigFile(); err != nil {
		return "", "", "", err
	}
	if dir, err = os.MkdirTemp("", "evalnas-bench-"); err != nil {
		return "", "", "", err
	}
	store = filepath.Join(dir, "nasbench.table")
	if _, err := importInto(ctx, file, store); err != nil {
		return "", "", "", errors.Join(err, os.RemoveAll(dir))
	}
	return file, dir, store, nil
}

// openNASBenchOpen compares the start of a process, the opening of the store and one answer
// with its rank, with the time in which the peer loads the file.
func openNASBenchOpen(ctx context.Context) (*Comparison, error) {
	file, dir, store, err := storeOfBigFile(ctx)
	if err != nil {
		return nil, err
	}
	load, err := knownLoad(ctx, file)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	best := math.Inf(1)
	return &Comparison{
		PeerKind: load.Kind,
		Ours: func(ctx context.Context, _ int) (float64, error) {
			began := time.Now()
			_, err := self(ctx, dir, "open", store, inception)
			seconds := time.Since(began).Seconds()
			best = min(best, seconds)
			return seconds, err
		},
		Peer: func(context.Context, int) (float64, error) { return load.Seconds, nil },
		Extra: func(context.Context) (map[string]any, error) {
			return map[string]any{"best_s": round(best), "within_20_ms": best <= openSeconds, "peer": load.How, "peer_loads": 1}, nil
		},
		Close: func() error { return os.RemoveAll(dir) },
	}, nil
}

// openNASBenchIndex compares look-ups of cells by their index, on one core, with the peer's
// by their hash, which is its key.
func openNASBenchIndex(ctx context.Context) (*Comparison, error) {
	file, dir, store, err := storeOfBigFile(ctx)
	if err != nil {
		return nil, err
	}
	load, err := knownLoad(ctx, file)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	t, err := table.OpenStore(store)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	metric, err := t.Find(table.Query{Name: table.Valid})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	slowest := math.Inf(1)
	s, sum := t.Space(), 0.0
	lookUps := func() error {
		for i := range indexLookUps {
			v, err := t.Value(metric, s.At(i*7919%s.Len()))
			if err != nil {
				return err
			}
			sum += v
		}
		return nil
	}
	return &Comparison{
		PeerKind: load.Kind,
		Ours: func(context.Context, int) (float64, error) {
			seconds, err := onOneCore(lookUps)
			slowest = min(slowest, indexLookUps/seconds)
			return indexLookUps / seconds, err
		},
		Peer: func(context.Context, int) (float64, error) { return load.byHash, nil },
		Extra: func(context.Context) (map[string]any, error) {
			return map[string]any{"a_million_a_second": slowest >= indexRate, "metric": metric.String(), "peer": load.How}, nil
		},
		Close: func() error { return os.RemoveAll(dir) },
	}, nil
}
