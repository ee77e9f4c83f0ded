package table

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"evalnas/nasapi/space"
	"evalnas/nasapi/table/frame"
)

// OwnColumns says what the columns of somebody's file are. Choices and at least one metric
// must be given; other columns are not looked at.
type OwnColumns struct {
	Choices []string `json:"choices"`           // make the space: see space.Choices
	Valid   string   `json:"valid,omitempty"`   // metrics: the higher the better
	Test    string   `json:"test,omitempty"`    //
	Train   string   `json:"train,omitempty"`   //
	Seconds string   `json:"seconds,omitempty"` // that the training took which gave the row
	Epochs  string   `json:"epochs,omitempty"`  // of that training; all architectures have the same ones
	Repeat  string   `json:"repeat,omitempty"`  // tells the repeats of a training apart, such as its seed
	Params  string   `json:"params,omitempty"`  // trainable parameters
	FLOPs   string   `json:"flops,omitempty"`   // multiply-adds
}

// metricColumns are the metrics with the columns that hold them.
func (c OwnColumns) metricColumns() []measuredColumn {
	var all []measuredColumn
	for _, m := range []measuredColumn{{name: Test, column: c.Test}, {name: Valid, column: c.Valid}, {name: Train, column: c.Train}} {
		if m.column != "" {
			all = append(all, m)
		}
	}
	return all
}

func (c OwnColumns) check() error {
	if len(c.Choices) == 0 {
		return errors.New(`choices is empty: name the columns that make an architecture, such as choices=["depth", "width"]`)
	}
	if len(c.metricColumns()) == 0 {
		return errors.New(`no metric is given: name the column of at least one, such as test="test_accuracy" or valid="val"`)
	}
	used := map[string]string{}
	for _, u := range c.uses() {
		if before := used[u.column]; before != "" {
			return fmt.Errorf("the column %q is both %s and %s", shorten(u.column), before, u.what)
		}
		used[u.column] = u.what
	}
	return nil
}

// ownUse is what a column is for.
type ownUse struct {
	what, column string
	number       bool
}

func (c OwnColumns) uses() []ownUse {
	var all []ownUse
	for _, name := range c.Choices {
		all = append(all, ownUse{"a choice", name, false})
	}
	for _, u := range []ownUse{
		{"the test metric", c.Test, true}, {"the valid metric", c.Valid, true}, {"the train metric", c.Train, true},
		{"the seconds", c.Seconds, true}, {"the epochs", c.Epochs, true}, {"the repeat", c.Repeat, false},
		{"the params", c.Params, true}, {"the flops", c.FLOPs, true},
	} {
		if u.column != "" {
			all = append(all, u)
		}
	}
	return all
}

// expression is what opens the table in a cell.
func (c OwnColumns) expression(path string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "table(%q, choices=[", path)
	for i, name := range c.Choices {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", name)
	}
	b.WriteByte(']')
	for _, k := range []struct{ key, column string }{
		{"valid", c.Valid}, {"test", c.Test}, {"train", c.Train}, {"seconds", c.Seconds}, {"epochs", c.Epochs},
		{"repeat", c.Repeat}, {"params", c.Params}, {"flops", c.FLOPs},
	} {
		if k.column != "" {
			fmt.Fprintf(&b, ", %s=%q", k.key, k.column)
		}
	}
	b.WriteByte(')')
	return b.String()
}

// OpenOwn opens somebody's file as a table: CSV, JSON lines or Parquet. shown is the path
// as the user wrote it. What was read is kept, so that a job, or the next call, need not
// read the file again.
func OpenOwn(path, shown string, c OwnColumns) (*Own, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	label := ownLabel{Expression: c.expression(shown), Title: filepath.Base(shown)}
	return openFile(path, ownReading{name: OwnName, how: c, label: label, read: c.read})
}

// ownReading is a way to read a file.
type ownReading struct {
	name  string
	how   any // all that the result depends on besides the file
	label ownLabel
	read  func(content []byte) (*ownData, error)
}

func openFile(path string, r ownReading) (*Own, error) {
	content, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	key, err := r.key(content)
	if err != nil {
		return nil, err
	}
	folder, err := OpenFolder()
	if err != nil {
		return nil, err
	}
	pointer := filepath.Join(folder.Dir, key+ownPointer)
	if digest, err := os.ReadFile(pointer); err == nil {
		if t, err := openKept(strings.TrimSpace(string(digest))); err == nil {
			return t.called(r.label), nil
		}
	}
	d, err := r.read(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	digest, err := d.keep(folder.Dir, r.name, r.label)
	if err != nil {
		return nil, err
	}
	t, err := newOwn(r.name, digest, r.label, d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	err = writeOwnFile(pointer, func(out io.Writer) error {
		_, err := io.WriteString(out, digest+"\n")
		return err
	})
	return rememberOwn(t).called(r.label), err
}

// called is the table under the name of the file that it was opened from last.
func (t *Own) called(label ownLabel) *Own {
	c := *t
	c.label = label
	ownOpened.Store(c.digest, &c)
	return &c
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("opening a table: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("opening a table: %s is a folder: name a file in CSV, JSON lines or Parquet", path)
	case info.Size() > frame.MaxBytes:
		return nil, fmt.Errorf("opening a table: %s has %d bytes: at most %d are read", path, info.Size(), int64(frame.MaxBytes))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening a table: %w", err)
	}
	return content, nil
}

// key is the digest of a file and of how it is read.
func (r ownReading) key(content []byte) (string, error) {
	how, err := json.Marshal(r.how)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s%s %d\n%s\n", ownMagic, r.name, len(content), how)
	sum.Write(content)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// read makes the table's data of a file.
func (c OwnColumns) read(content []byte) (*ownData, error) {
	f, err := frame.Read(content, func([]string) ([]frame.Column, error) {
		var columns []frame.Column
		for _, u := range c.uses() {
			columns = append(columns, frame.Column{Name: u.column, Number: u.number})
		}
		return columns, nil
	})
	if err != nil {
		return nil, err
	}
	if f.Rows() == 0 {
		return nil, errors.New("the file has a header and no rows")
	}
	m := &measured{file: f, metrics: c.metricColumns()}
	if err := m.readChoices(c.Choices); err != nil {
		return nil, err
	}
	for i := range m.metrics {
		m.metrics[i].values = f.Numbers(m.metrics[i].column)
	}
	m.seconds, m.params, m.flops = numberColumn(f, c.Seconds), numberColumn(f, c.Params), numberColumn(f, c.FLOPs)
	if c.Epochs != "" {
		m.epochs = f.Numbers(c.Epochs)
	}
	if c.Repeat != "" {
		if m.repeats, err = m.labels(c.Repeat); err != nil {
			return nil, err
		}
	}
	return m.build()
}

func numberColumn(f *frame.Frame, name string) *measuredColumn {
	if name == "" {
		return nil
	}
	return &measuredColumn{column: name, values: f.Numbers(name)}
}

// labels are the numbers of a column's values in their order; each row must have one.
func (m *measured) labels(name string) ([]int32, error) {
	of := m.file.Options(name).Of
	if i := slices.Index(of, frame.Missing); i >= 0 {
		return nil, fmt.Errorf("%s: %q has no value: every row needs one", m.file.Where(i), shorten(name))
	}
	return of, nil
}

// readChoices makes a space of the options that the columns have.
func (m *measured) readChoices(names []string) error {
	var picks []space.Pick
	m.digits = make([]uint32, m.file.Rows()*len(names))
	for at, name := range names {
		of, err := m.labels(name)
		if err != nil {
			return err
		}
		for i, n := range of {
			m.digits[i*len(names)+at] = uint32(n)
		}
		picks = append(picks, space.Pick{Name: name, Options: m.file.Options(name).Values})
	}
	base, err := space.Choices(picks)
	if err != nil {
		return err
	}
	m.base = base.(space.Decided)
	return nil
}
