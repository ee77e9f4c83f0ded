package table

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"evalnas/nasapi/space"
)

// What was read of a file is kept in the folder of tables, so that jobs, which know a table
// by its digest, find it: DIGEST.own is
//
//	ownMagic, the label in JSON on a line, the header in JSON on a line, the numbers
//
// and the digest is that of the header and the numbers. KEY.pointer holds the digest that
// reading a file gave; its key is that of the file's content and of how it was read.
const (
	ownMagic   = "evalnas own table 1\n"
	ownSuffix  = ".own"
	ownPointer = ".pointer"
)

type ownHeader struct {
	Name    string         `json:"name"`
	Base    space.Spec     `json:"base"`
	Picks   int            `json:"picks,omitempty"` // numbers of a row, where the table has not all
	Archs   int            `json:"archs"`
	Epochs  []int          `json:"epochs"`
	Repeats int            `json:"repeats"`
	Metrics []ownMetricKey `json:"metrics"`
	Seconds bool           `json:"seconds,omitempty"`
	Params  bool           `json:"params,omitempty"`
	FLOPs   bool           `json:"flops,omitempty"`
}

type ownMetricKey struct {
	Name string `json:"name"`
	Free bool   `json:"free,omitempty"`
}

func (d *ownData) header(name string) ownHeader {
	h := ownHeader{
		Name: name, Base: d.base.Spec(), Archs: d.n, Epochs: d.epochs, Repeats: d.repeats,
		Seconds: d.seconds != nil, Params: d.params != nil, FLOPs: d.flops != nil,
	}
	if d.rows != nil {
		h.Picks = len(d.base.Sizes())
	}
	for _, m := range d.metrics {
		h.Metrics = append(h.Metrics, ownMetricKey{m.name, m.free})
	}
	return h
}

// check refuses headers that build does not make.
func (h ownHeader) check() error {
	switch {
	case h.Archs < 1, h.Repeats < 1, h.Repeats > maxRepeats, len(h.Epochs) < 1, len(h.Metrics) < 1, h.Picks < 0:
		return errors.New("its header says nothing")
	case !slices.IsSorted(h.Epochs):
		return errors.New("its epochs are not sorted")
	}
	return nil
}

// base is the space of all combinations, whose definition may be longer than that of a
// space that jobs are told of.
func (h ownHeader) base() (space.Space, error) {
	if h.Name != OwnName {
		return space.FromSpec(h.Base)
	}
	picks, err := space.ParsePicks(h.Base.Choices)
	if err != nil {
		return nil, err
	}
	return space.Choices(picks)
}

// columns are the columns of numbers, in the order of the file.
func (d *ownData) columns() []*[]float64 {
	var all []*[]float64
	add := func(values [][][]float64) {
		for f := range values {
			for r := range values[f] {
				all = append(all, &values[f][r])
			}
		}
	}
	for _, m := range d.metrics {
		add(m.values)
	}
	add(d.seconds)
	for _, c := range []*[]float64{&d.params, &d.flops} {
		if *c != nil {
			all = append(all, c)
		}
	}
	return all
}

// write writes what the digest is of.
func (d *ownData) write(out io.Writer, name string) error {
	head, err := json.Marshal(d.header(name))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(out, 1<<20)
	if _, err := w.Write(append(head, '\n')); err != nil {
		return err
	}
	var word [8]byte
	for _, v := range d.rows {
		binary.LittleEndian.PutUint32(word[:4], v)
		if _, err := w.Write(word[:4]); err != nil {
			return err
		}
	}
	for _, c := range d.columns() {
		for _, v := range *c {
			binary.LittleEndian.PutUint64(word[:], math.Float64bits(v))
			if _, err := w.Write(word[:]); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

// readOwn reads what write wrote.
func readOwn(content []byte) (string, *ownData, error) {
	head, body, found := bytes.Cut(content, []byte{'\n'})
	if !found {
		return "", nil, errors.New("it has no header")
	}
	var h ownHeader
	if err := json.Unmarshal(head, &h); err != nil {
		return "", nil, err
	}
	if err := h.check(); err != nil {
		return "", nil, err
	}
	base, err := h.base()
	if err != nil {
		return "", nil, err
	}
	decided, ok := base.(space.Decided)
	if !ok || h.Picks != 0 && h.Picks != len(decided.Sizes()) {
		return "", nil, fmt.Errorf("its rows are not of %s", base)
	}
	d := &ownData{base: decided, n: h.Archs, epochs: h.Epochs, repeats: h.Repeats}
	if want := d.allocate(h, len(body)); want != len(body) {
		return "", nil, fmt.Errorf("it has %d bytes of numbers, not %d", len(body), want)
	}
	for i := range d.rows {
		d.rows[i] = binary.LittleEndian.Uint32(body[4*i:])
	}
	body = body[4*len(d.rows):]
	for _, c := range d.columns() {
		for i := range *c {
			(*c)[i] = math.Float64frombits(binary.LittleEndian.Uint64(body[8*i:]))
		}
		body = body[8*len(*c):]
	}
	return h.Name, d, nil
}

// allocate makes room for what a header says, unless that needs more bytes than there are,
// and returns how many it needs.
func (d *ownData) allocate(h ownHeader, limit int) (size int) {
	columns := len(h.Metrics) * len(h.Epochs) * h.Repeats
	for _, more := range []struct {
		there bool
		n     int
	}{{h.Seconds, len(h.Epochs) * h.Repeats}, {h.Params, 1}, {h.FLOPs, 1}} {
		if more.there {
			columns += more.n
		}
	}
	if h.Archs > limit || columns > limit {
		return -1
	}
	if size = h.Archs * (4*h.Picks + 8*columns); size > limit {
		return size
	}
	made := func() [][][]float64 {
		all := make([][][]float64, len(h.Epochs))
		for f := range all {
			all[f] = make([][]float64, h.Repeats)
			for r := range all[f] {
				all[f][r] = make([]float64, h.Archs)
			}
		}
		return all
	}
	if h.Picks > 0 {
		d.rows = make([]uint32, h.Archs*h.Picks)
	}
	for _, m := range h.Metrics {
		d.metrics = append(d.metrics, ownMetric{name: m.Name, free: m.Free, values: made()})
	}
	if h.Seconds {
		d.seconds = made()
	}
	if h.Params {
		d.params = make([]float64, h.Archs)
	}
	if h.FLOPs {
		d.flops = make([]float64, h.Archs)
	}
	return size
}

// keep writes the data into the folder of tables, unless they are there, and returns their
// digest.
func (d *ownData) keep(dir, name string, label ownLabel) (string, error) {
	sum := sha256.New()
	if err := d.write(sum, name); err != nil {
		return "", err
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	path := filepath.Join(dir, digest+ownSuffix)
	if _, err := os.Stat(path); err == nil {
		return digest, nil
	}
	title, err := json.Marshal(label)
	if err != nil {
		return "", err
	}
	return digest, writeOwnFile(path, func(out io.Writer) error {
		if _, err := io.WriteString(out, ownMagic+string(title)+"\n"); err != nil {
			return err
		}
		return d.write(out, name)
	})
}

// writeOwnFile makes a file that is there as a whole or not at all.
func writeOwnFile(path string, write func(io.Writer) error) error {
	fail := func(err error) error {
		return fmt.Errorf("keeping a table in %s: %w; %s names another folder", filepath.Dir(path), err, FolderVariable)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fail(err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-*.tmp")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name())
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return fail(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fail(err)
	}
	return nil
}

// ownOpened are the tables of this process, by digest.
var ownOpened sync.Map

// openOwn opens a table that is kept.
func openOwn(name, digest string) (Table, error) {
	t, err := openKept(digest)
	if err != nil {
		return nil, err
	}
	if t.name != name {
		return nil, fmt.Errorf("the table %s is called %s, not %s", shorten(digest), t.name, name)
	}
	return t, nil
}

func openKept(digest string) (*Own, error) {
	if raw, err := hex.DecodeString(digest); err != nil || len(raw) != sha256.Size {
		return nil, fmt.Errorf("%q is not the digest of a table: it has 64 hexadecimal digits", shorten(digest))
	}
	if t, ok := ownOpened.Load(digest); ok {
		return t.(*Own), nil
	}
	folder, err := OpenFolder()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder.Dir, digest+ownSuffix)
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the table with the digest %s... is not in %s: open its file again in a cell, with table(...) or nasbench201_table(...)", digest[:shortDigest], folder.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("opening a table: %w", err)
	}
	t, err := readKept(digest, content)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; delete it and open the table's file again", path, err)
	}
	return rememberOwn(t), nil
}

// rememberOwn returns the first of the tables with one digest: others may have taken the work
// up at the same time.
func rememberOwn(t *Own) *Own {
	first, _ := ownOpened.LoadOrStore(t.digest, t)
	return first.(*Own)
}

func readKept(digest string, content []byte) (*Own, error) {
	rest, ok := bytes.CutPrefix(content, []byte(ownMagic))
	title, body, found := bytes.Cut(rest, []byte{'\n'})
	if !ok || !found {
		return nil, errors.New("it is no table of this version of the program")
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("its SHA-256 is %x", sum)
	}
	var label ownLabel
	if err := json.Unmarshal(title, &label); err != nil {
		return nil, err
	}
	name, d, err := readOwn(body)
	if err != nil {
		return nil, err
	}
	return newOwn(name, digest, label, d)
}

// openRows finds the rows of a kept table by the first 12 digits of its digest or by all.
func openRows(digest string) (space.Space, error) {
	if len(digest) == shortDigest {
		whole, err := wholeDigest(digest)
		if err != nil {
			return nil, err
		}
		digest = whole
	}
	t, err := openKept(digest)
	if err != nil {
		return nil, err
	}
	return t.sp, nil
}

func wholeDigest(start string) (string, error) {
	folder, err := OpenFolder()
	if err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(folder.Dir, start+"*"+ownSuffix))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d tables in %s have a digest that begins with %s: open the table's file again in a cell, with table(...)", len(found), folder.Dir, start)
	}
	return strings.TrimSuffix(filepath.Base(found[0]), ownSuffix), nil
}

func init() { space.RegisterRows(openRows) }
