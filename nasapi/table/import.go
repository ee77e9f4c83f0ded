package table

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"evalnas/nasapi/space"
)

// ImportOptions says where an imported table goes.
type ImportOptions struct {
	// Out is the file of the store; "" is one in the folder of tables, named by its digest.
	Out string
	// Progress, if not nil, is told how much of the file has been read, in bytes.
	Progress func(done, total int64)
}

// Import reads a file of NASBench-101, nasbench_only108.tfrecord, nasbench_full.tfrecord or
// one of the same form, into a store. The store appears whole or not at all. Every record is
// checked: errors of records are of the type *RecordError and the first of the file's.
//
// The file must hold three records of every cell of NASBench-101, or of one of its
// sub-spaces, for each of its budgets of epochs.
func Import(ctx context.Context, path string, o ImportOptions) (*Imported, error) {
	f, info, err := openRecords(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := checkTarget(o.Out, info); err != nil {
		return nil, err
	}
	g, err := gather(ctx, f, info.Size(), o.Progress)
	if err != nil {
		if bad := (*RecordError)(nil); errors.As(err, &bad) {
			bad.Path = path
			return nil, bad
		}
		return nil, fmt.Errorf("importing %s: %w", path, err)
	}
	t, err := g.store(o.Out)
	if err != nil {
		return nil, err
	}
	return t, remember(path, info, t)
}

// openRecords opens a file that may hold records.
func openRecords(path string) (*os.File, os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("importing a table: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		err = recognise(f, info)
	}
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("importing %s: %w", path, err)
	}
	return f, info, nil
}

// checkTarget refuses to write over anything but a store.
func checkTarget(out string, input os.FileInfo) error {
	if out == "" {
		return nil
	}
	info, err := os.Stat(out)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	switch {
	case err != nil:
		return fmt.Errorf("importing into %s: %w", out, err)
	case os.SameFile(info, input):
		return fmt.Errorf("importing into %s: it is the file that is imported; name another for the store", out)
	case !info.Mode().IsRegular():
		return fmt.Errorf("importing into %s: it is no file; name one for the store", out)
	}
	f, err := os.Open(out)
	if err != nil {
		return fmt.Errorf("importing into %s: %w", out, err)
	}
	defer f.Close()
	if err := checkMagic(f, info.Size()); errors.Is(err, errNoStore) && info.Size() > 0 {
		return fmt.Errorf("importing into %s: a file is there, and it is no store of evalnas; remove it or name another", out)
	}
	return nil
}

// Values are kept in blocks of rows, so that a file of a small sub-space takes little.
const (
	blockRows = 1 << 12
	rowValues = fileRepeats * points * pointValues
)

// gathered is what the records of a file say, by row of the 7-vertex space.
type gathered struct {
	space  *space.NASBench // of 7 vertices
	hashes [][16]byte
	first  []firstRecord
	params []int32
	// For each budget: how many records a row has, and their values.
	counts [len(budgets)][]uint8
	values [len(budgets)][][]float64

	records int64
	used    [len(budgets)]bool
}

// firstRecord is where the first record of a row stands; number is 0 where there is none.
type firstRecord struct {
	offset int64
	number int64
}

func newGathered() (*gathered, error) {
	s, err := space.NASBench101(wholeVertices)
	if err != nil {
		return nil, err
	}
	n := s.Len()
	g := &gathered{space: s, hashes: make([][16]byte, n), first: make([]firstRecord, n), params: make([]int32, n)}
	for b := range g.counts {
		g.counts[b] = make([]uint8, n)
		g.values[b] = make([][]float64, (n+blockRows-1)/blockRows)
	}
	return g, nil
}

// gather reads and checks all records.
func gather(ctx context.Context, in io.Reader, size int64, progress func(done, total int64)) (*gathered, error) {
	g, err := newGathered()
	if err != nil {
		return nil, err
	}
	err = eachChunk(ctx, in, func(c *chunk) error {
		for i := range c.records {
			if err := g.add(&c.records[i]); err != nil {
				return err
			}
		}
		if progress != nil {
			progress(c.offset+int64(len(c.data)), size)
		}
		switch {
		case c.bad != nil:
			return c.bad
		case c.tail != nil:
			return c.tail
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return g, g.complete(size)
}

// slots are the values of a row's records.
func (g *gathered) slots(budget, row int) []float64 {
	blocks := g.values[budget]
	if blocks[row/blockRows] == nil {
		blocks[row/blockRows] = make([]float64, blockRows*rowValues)
	}
	at := row % blockRows * rowValues
	return blocks[row/blockRows][at : at+rowValues]
}

// add takes the next record of the file.
func (g *gathered) add(r *record) error {
	g.records++
	first := &g.first[r.row]
	if first.number == 0 {
		*first = firstRecord{r.offset, g.records}
		g.hashes[r.row], g.params[r.row] = r.hash, r.params
	}
	if g.hashes[r.row] != r.hash && g.space.HashOfRow(int(r.row)) != g.hashes[r.row] {
		return g.wrongFirst(int(r.row))
	}
	if err := g.keep(r); err != nil {
		return &RecordError{Number: g.records, Offset: r.offset, Err: err}
	}
	return nil
}

// keep takes a record's values, unless they cannot stand beside those that are there.
func (g *gathered) keep(r *record) error {
	row, budget, first := int(r.row), int(r.budget), g.first[r.row]
	if g.hashes[row] != r.hash {
		return hashMismatch(g.space, r.hash, row)
	}
	if g.params[row] != r.params {
		return fmt.Errorf("its cell %x has %d parameters, and in record %d it has %d", r.hash, r.params, first.number, g.params[row])
	}
	n := int(g.counts[budget][row])
	slots := g.slots(budget, row)
	const width = points * pointValues
	for repeat := range n {
		if [width]float64(slots[repeat*width:]) == r.flat() {
			return fmt.Errorf("it repeats an earlier record: the %s of cell %x after %d epochs, number for number", RepeatText(repeat), r.hash, budgets[budget])
		}
	}
	if n == fileRepeats {
		return fmt.Errorf("it is one too many: cell %x has three records of %d epochs already", r.hash, budgets[budget])
	}
	flat := r.flat()
	copy(slots[n*width:], flat[:])
	g.counts[budget][row]++
	g.used[budget] = true
	return nil
}

// flat are the values in the order in which they are kept.
func (r *record) flat() (flat [points * pointValues]float64) {
	copy(flat[:], r.values[halfway][:])
	copy(flat[pointValues:], r.values[atEnd][:])
	return flat
}

// wrongFirst is the error of the first record of a row, whose hash is not its cell's.
func (g *gathered) wrongFirst(row int) error {
	return &RecordError{Number: g.first[row].number, Offset: g.first[row].offset, Err: hashMismatch(g.space, g.hashes[row], row)}
}

// maxVertices is the number of vertices of the largest cell, 0 where there is none.
func (g *gathered) maxVertices() int {
	most := 0
	for row, first := range g.first {
		if first.number > 0 {
			most = max(most, g.space.VerticesOfRow(row))
		}
	}
	return most
}

// complete checks what only the whole file can show.
func (g *gathered) complete(size int64) error {
	if g.records == 0 {
		return errors.New("it has no records")
	}
	s, err := space.NASBench101(g.maxVertices())
	if err != nil {
		return err
	}
	if err := g.checkHashes(s); err != nil {
		return err
	}
	var epochs []int
	missing, example := 0, ""
	for b, used := range g.used {
		if !used {
			continue
		}
		epochs = append(epochs, budgets[b])
		for i := range s.Len() {
			if n := g.counts[b][s.Row(i)]; n != fileRepeats {
				if missing++; missing == 1 {
					example = fmt.Sprintf("cell %s has %d of %d epochs", s.At(i).Hash(), n, budgets[b])
				}
			}
		}
	}
	if missing > 0 {
		return fmt.Errorf("the file ends at byte %d after %d records, and some are missing: every cell of %s needs three of %s, and %d times there are fewer; %s", size, g.records, s, numbers(epochs), missing, example)
	}
	return nil
}

// checkHashes holds the hashes of the file to those of the space. The records' own check
// was of some bytes only.
func (g *gathered) checkHashes(s *space.NASBench) error {
	if s.MaxVertices() == wholeVertices {
		sum := sha256.New()
		for i := range g.hashes {
			sum.Write(g.hashes[i][:])
		}
		if hex.EncodeToString(sum.Sum(nil)) == space.HashesSum {
			return nil
		}
	}
	wrong := -1
	for i := range s.Len() {
		row := s.Row(i)
		at := g.first[row]
		if at.number == 0 || wrong >= 0 && g.first[wrong].number < at.number || g.space.HashOfRow(row) == g.hashes[row] {
			continue
		}
		wrong = row
	}
	if wrong >= 0 {
		return g.wrongFirst(wrong)
	}
	return nil
}

// store writes what was gathered and opens it.
func (g *gathered) store(out string) (*Imported, error) {
	folder, err := OpenFolder()
	if err != nil && out == "" {
		return nil, err
	}
	dir := folder.Dir
	if out == "" {
		err = makeFolder(dir)
	} else {
		out, err = filepath.Abs(out)
		dir = filepath.Dir(out)
	}
	if err != nil {
		return nil, fmt.Errorf("importing a table: %w", err)
	}
	var digest string
	path, err := writeWhole(dir, func(f *os.File) (name string, err error) {
		if digest, err = g.write(f); err != nil {
			return "", err
		}
		if out == "" {
			return filepath.Base(folder.store(digest)), nil
		}
		return filepath.Base(out), nil
	}, func(temp string) error {
		t, err := OpenStore(temp)
		if err != nil {
			return err
		}
		return t.Verify()
	})
	if err != nil {
		return nil, err
	}
	return OpenStore(path)
}

func (g *gathered) write(out io.Writer) (digest string, err error) {
	s, err := space.NASBench101(g.maxVertices())
	if err != nil {
		return "", err
	}
	h := storeHeader{Table: NASBench101Name, MaxVertices: s.MaxVertices(), Cells: s.Len(), Repeats: fileRepeats}
	var used []int // the budgets by their index
	for b := range budgets {
		if g.used[b] {
			h.Epochs = append(h.Epochs, budgets[b])
			used = append(used, b)
		}
	}
	values := make([]float64, s.Len())
	return writeStore(out, h, func(i int) []float64 {
		if i == len(used)*rowValues {
			for at := range values {
				values[at] = float64(g.params[s.Row(at)])
			}
			return values
		}
		for at := range values {
			values[at] = g.slots(used[i/rowValues], s.Row(at))[i%rowValues]
		}
		return values
	})
}
