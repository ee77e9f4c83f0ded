package notebook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxFile bounds a notebook file: a search's figures take a few megabytes.
	maxFile = 512 << 20
	// maxSource bounds the code of one cell.
	maxSource = 4 << 20
)

// Kinds of cells.
const (
	Code     = "code"
	Markdown = "markdown"
	Raw      = "raw"
)

// Kinds of outputs.
const (
	Stream        = "stream"
	DisplayData   = "display_data"
	ExecuteResult = "execute_result"
	Error         = "error"
)

// Notebook is a notebook of nbformat 4.
type Notebook struct {
	Metadata map[string]any // numbers are json.Number
	Cells    []*Cell
}

// Cell is one cell.
type Cell struct {
	Kind        string // Code, Markdown or Raw
	ID          string
	Source      string
	Metadata    map[string]any
	Attachments map[string]any // nil if there are none
	Outputs     []*Output      // of a code cell
	Count       *int           // the execution count, nil if it was not executed
}

// Output is one output of a code cell.
type Output struct {
	Kind string // Stream, DisplayData, ExecuteResult or Error

	Name, Text string // of a stream: stdout or stderr

	Data, Metadata map[string]any // of a display or result, by MIME type
	Count          *int           // of a result

	ErrorName, ErrorValue string
	Traceback             []string
}

// plain is the text/plain of a display or result, the text of a stream.
func (o *Output) plain() string {
	if o.Kind == Stream {
		return o.Text
	}
	text, _ := o.Data["text/plain"].(string)
	return text
}

// Tagged says whether a cell has a tag.
func (c *Cell) Tagged(tag string) bool {
	tags, _ := c.Metadata["tags"].([]any)
	return slices.Contains(tags, any(tag))
}

// executable says that there is something to execute, as Jupyter's clients see it.
func (c *Cell) executable() bool {
	return c.Kind == Code && strings.TrimSpace(c.Source) != "" && !c.Tagged("skip-execution")
}

// Executable lists the cells that Execute runs, in order.
func (nb *Notebook) Executable() []*Cell {
	var out []*Cell
	for _, c := range nb.Cells {
		if c.executable() {
			out = append(out, c)
		}
	}
	return out
}

// HasOutputs says whether any cell has an output.
func (nb *Notebook) HasOutputs() bool {
	return slices.ContainsFunc(nb.Cells, func(c *Cell) bool { return len(c.Outputs) > 0 })
}

// text finds a text in nested metadata, "" where there is none.
func (nb *Notebook) text(outer, inner string) string {
	m, _ := nb.Metadata[outer].(map[string]any)
	s, _ := m[inner].(string)
	return s
}

// Kernel is the name of the notebook's kernel, "" if it names none.
func (nb *Notebook) Kernel() string { return nb.text("kernelspec", "name") }

// CheckKernel refuses the notebook of another kernel. A kernel that was installed
// under another name is known by its language.
func (nb *Notebook) CheckKernel(name, language string) error {
	own, spoken := nb.Kernel(), nb.text("kernelspec", "language")
	if spoken == "" {
		spoken = nb.text("language_info", "name")
	}
	switch {
	case own == name || spoken == language || own == "" && spoken == "":
		return nil
	case own == "":
		return fmt.Errorf("the notebook is in the language %.40q and this program runs %s: choose the kernel %q in Jupyter and save it", spoken, language, name)
	}
	return fmt.Errorf("the notebook's kernel is %.40q (%s) and this program runs %q: choose that in Jupyter and save it, or run the notebook with jupyter nbconvert --execute",
		own, orElse(nb.text("kernelspec", "display_name"), "no display name"), name)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Read reads a notebook file.
func Read(path string) (*Notebook, error) {
	data, err := load(path)
	if err != nil {
		return nil, err
	}
	nb, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return nb, nil
}

func load(path string) ([]byte, error) {
	if folder := filepath.Dir(path); filepath.Base(folder) == ".ipynb_checkpoints" {
		own := strings.Replace(filepath.Base(path), "-checkpoint.ipynb", ".ipynb", 1)
		return nil, fmt.Errorf("%s is a copy that Jupyter keeps for itself: give the notebook, %s", path, filepath.Join(filepath.Dir(folder), own))
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder: give a notebook%s", path, inFolder(path))
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s has %d MB: a notebook of up to %d MB is read", path, info.Size()>>20, maxFile>>20)
	}
	return os.ReadFile(path)
}

// inFolder names a notebook of a folder, for an error.
func inFolder(path string) string {
	found, err := filepath.Glob(filepath.Join(path, "*.ipynb"))
	if err != nil || len(found) == 0 {
		return ""
	}
	return ", such as " + found[0]
}

// file is the form of a notebook in JSON.
type file struct {
	Format     json.Number     `json:"nbformat"`
	Metadata   map[string]any  `json:"metadata"`
	Cells      *[]fileCell     `json:"cells"`
	Worksheets json.RawMessage `json:"worksheets"`
}

type fileCell struct {
	Kind        string         `json:"cell_type"`
	ID          string         `json:"id"`
	Source      multiline      `json:"source"`
	Metadata    map[string]any `json:"metadata"`
	Attachments map[string]any `json:"attachments"`
	Outputs     []fileOutput   `json:"outputs"`
	Count       any            `json:"execution_count"`
}

type fileOutput struct {
	Kind      string         `json:"output_type"`
	Name      string         `json:"name"`
	Text      multiline      `json:"text"`
	Data      map[string]any `json:"data"`
	Metadata  map[string]any `json:"metadata"`
	Count     any            `json:"execution_count"`
	ErrName   string         `json:"ename"`
	ErrValue  string         `json:"evalue"`
	Traceback []string       `json:"traceback"`
}

// multiline is a text that may be written as a list of its lines.
type multiline string

func (m *multiline) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '[' {
		var lines []string
		if err := json.Unmarshal(raw, &lines); err != nil {
			return err
		}
		*m = multiline(strings.Join(lines, ""))
		return nil
	}
	return json.Unmarshal(raw, (*string)(m))
}

// Parse reads a notebook. Its errors go on from the name of the file.
func Parse(data []byte) (*Notebook, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var f file
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&f); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("is no notebook: it is not JSON but %s", resembles(data, err))
		}
		return nil, fmt.Errorf("is no notebook of Jupyter's: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("is no notebook: something follows its end")
	}
	switch format := f.Format.String(); {
	case f.Worksheets != nil || format == "1" || format == "2" || format == "3":
		return nil, fmt.Errorf("is of nbformat %s, which Jupyter left in 2015: open and save it there, or convert it with jupyter nbconvert --to notebook", orElse(format, "3"))
	case f.Cells == nil:
		return nil, errors.New("is JSON but no notebook: it has no cells")
	case format != "4":
		return nil, fmt.Errorf("is of nbformat %q: 4 is read", format)
	}
	return f.notebook()
}

// resembles says what a file that is not JSON looks like.
func resembles(data []byte, err error) string {
	start := strings.ToLower(strings.TrimSpace(string(data[:min(len(data), 200)])))
	switch {
	case start == "":
		return "empty"
	case strings.HasPrefix(start, "<"):
		return "a page of HTML or XML: download the notebook itself"
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		return "compressed: gunzip it first"
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return "a zip archive: unpack it first"
	case bytes.IndexByte(data[:min(len(data), 4096)], 0) >= 0:
		return "binary"
	case !strings.HasPrefix(start, "{"):
		return "some other text"
	}
	return fmt.Sprintf("damaged or cut off: %v", err)
}

func (f *file) notebook() (*Notebook, error) {
	nb := &Notebook{Metadata: f.Metadata}
	if nb.Metadata == nil {
		nb.Metadata = map[string]any{}
	}
	for _, transient := range []string{"orig_nbformat", "orig_nbformat_minor", "signature"} {
		delete(nb.Metadata, transient)
	}
	ids := map[string]bool{}
	for i, given := range *f.Cells {
		c, err := given.cell()
		if err != nil {
			return nil, fmt.Errorf("is no notebook that can be read: cell %d of %d %w", i+1, len(*f.Cells), err)
		}
		if !cellID.MatchString(c.ID) || ids[c.ID] {
			c.ID = freshID(fmt.Sprintf("cell-%d", i+1), ids)
		}
		ids[c.ID] = true
		nb.Cells = append(nb.Cells, c)
	}
	return nb, nil
}

// cellID is what nbformat 4.5 allows.
var cellID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// freshID is the name, or with a number behind it where that is taken.
func freshID(name string, taken map[string]bool) string {
	id := name
	for n := 2; taken[id]; n++ {
		id = fmt.Sprintf("%s-%d", name, n)
	}
	return id
}

func (f *fileCell) cell() (*Cell, error) {
	c := &Cell{Kind: f.Kind, ID: f.ID, Source: string(f.Source), Metadata: f.Metadata, Attachments: f.Attachments, Count: counted(f.Count)}
	if c.Metadata == nil {
		c.Metadata = map[string]any{}
	}
	delete(c.Metadata, "trusted")
	switch {
	case !slices.Contains([]string{Code, Markdown, Raw}, c.Kind):
		return nil, fmt.Errorf("is of the unknown kind %.40q: allowed are %s, %s and %s", c.Kind, Code, Markdown, Raw)
	case c.Kind == Code && len(c.Source) > maxSource:
		return nil, fmt.Errorf("has %d MB of code: up to %d MB are read; load data from a file instead", len(c.Source)>>20, maxSource>>20)
	case c.Kind != Code:
		return c, nil
	}
	c.Attachments = nil
	for i, given := range f.Outputs {
		o, err := given.output()
		if err != nil {
			return nil, fmt.Errorf("has an output (%d of %d) %w", i+1, len(f.Outputs), err)
		}
		c.Outputs = append(c.Outputs, o)
	}
	return c, nil
}

// counted is an execution count; what is none counts as not executed.
func counted(v any) *int {
	if n, ok := v.(json.Number); ok {
		if i, err := n.Int64(); err == nil && i >= 0 && i < 1<<31 {
			return new(int(i))
		}
	}
	return nil
}

func (f *fileOutput) output() (*Output, error) {
	o := &Output{Kind: f.Kind}
	switch f.Kind {
	case Stream:
		o.Name, o.Text = f.Name, string(f.Text)
	case DisplayData, ExecuteResult:
		o.Data, o.Metadata = joined(f.Data), orEmpty(f.Metadata)
		if f.Kind == ExecuteResult {
			o.Count = counted(f.Count)
		}
	case Error:
		o.ErrorName, o.ErrorValue, o.Traceback = f.ErrName, f.ErrValue, f.Traceback
	default:
		return nil, fmt.Errorf("of the unknown kind %.40q", f.Kind)
	}
	return o, nil
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// joined makes one text of the lines of each MIME type that is text.
func joined(data map[string]any) map[string]any {
	out := make(map[string]any, len(data))
	for mime, v := range data {
		out[mime] = v
		lines, ok := v.([]any)
		if !ok || isJSON(mime) {
			continue
		}
		var text strings.Builder
		for _, line := range lines {
			s, ok := line.(string)
			if !ok {
				text.Reset()
				break
			}
			text.WriteString(s)
		}
		out[mime] = text.String()
	}
	return out
}

// isJSON says whether the data of a MIME type may be any JSON.
func isJSON(mime string) bool {
	return mime == "application/json" || strings.HasPrefix(mime, "application/") && strings.HasSuffix(mime, "+json")
}
