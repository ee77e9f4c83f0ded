package notebook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"evalnas/kernel"
)

// collector keeps what cells publish, as a front end does: text of one stream is
// joined while nothing else comes between, and an update changes every output that
// was shown under its display id, of whatever cell.
type collector struct {
	mu      sync.Mutex
	current *Cell
	waiting bool // clear_output waits for the next output
	byID    map[string][]*Output
	closed  bool
}

func newCollector() *collector { return &collector{byID: map[string][]*Output{}} }

// begin makes the cell the running one.
func (c *collector) begin(cell *Cell) *cellOutput {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.waiting = cell, false
	return &cellOutput{c, cell}
}

// end forgets the cell: what comes later than its end belongs to none.
func (c *collector) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = nil
}

// close makes the outputs final.
func (c *collector) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.current = true, nil
}

// add appends an output to the cell if it is the running one.
func (c *collector) add(cell *Cell, o *Output) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != cell {
		return
	}
	if c.waiting {
		cell.Outputs, c.waiting = nil, false
	}
	if n := len(cell.Outputs); n > 0 && o.Kind == Stream && cell.Outputs[n-1].Kind == Stream && cell.Outputs[n-1].Name == o.Name {
		cell.Outputs[n-1].Text += o.Text
		return
	}
	cell.Outputs = append(cell.Outputs, o)
}

// update changes all outputs of a display.
func (c *collector) update(id string, data, metadata map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	for _, o := range c.byID[id] {
		o.Data, o.Metadata = data, metadata
	}
}

func (c *collector) remember(id string, o *Output) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID[id] = append(c.byID[id], o)
}

// cellOutput is the kernel.Output of one cell.
type cellOutput struct {
	c    *collector
	cell *Cell
}

var _ kernel.Output = (*cellOutput)(nil)

func (o *cellOutput) Stream(name, text string) {
	if text == "" {
		return
	}
	if name != "stderr" {
		name = "stdout"
	}
	o.c.add(o.cell, &Output{Kind: Stream, Name: name, Text: text})
}

func (o *cellOutput) Display(b *kernel.Bundle, id string) {
	data, metadata, err := detach(b)
	if err != nil {
		o.unencodable(DisplayData, err)
		return
	}
	if id != "" {
		o.c.update(id, data, metadata) // the same display, shown twice
	}
	shown := &Output{Kind: DisplayData, Data: data, Metadata: metadata}
	o.c.add(o.cell, shown)
	if id != "" {
		o.c.remember(id, shown)
	}
}

func (o *cellOutput) UpdateDisplay(b *kernel.Bundle, id string) {
	data, metadata, err := detach(b)
	if err != nil {
		o.unencodable("update_display_data", err)
		return
	}
	o.c.update(id, data, metadata)
}

// result is the cell's value.
func (o *cellOutput) result(b *kernel.Bundle, count int) error {
	data, metadata, err := detach(b)
	if err != nil {
		return &kernel.CellError{Name: "InternalError", Value: "the cell's value could not be shown: " + err.Error()}
	}
	o.c.add(o.cell, &Output{Kind: ExecuteResult, Data: data, Metadata: metadata, Count: &count})
	return nil
}

func (o *cellOutput) failed(e *kernel.CellError) {
	traceback := e.Traceback
	if traceback == nil {
		traceback = []string{e.Error()}
	}
	o.c.add(o.cell, &Output{Kind: Error, ErrorName: e.Name, ErrorValue: e.Value, Traceback: traceback})
}

func (o *cellOutput) unencodable(what string, err error) {
	o.Stream("stderr", fmt.Sprintf("an output could not be shown (%s): %v\n", what, err))
}

func (o *cellOutput) Clear(wait bool) {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	if o.c.current != o.cell {
		return
	}
	if o.c.waiting = wait; !wait {
		o.cell.Outputs = nil
	}
}

// Page is for a person in front of a pager: a file has none.
func (o *cellOutput) Page(*kernel.Bundle) {}

// Exit does not end a notebook: in Jupyter the cells below it run too.
func (o *cellOutput) Exit() {}

func (o *cellOutput) Input(context.Context, string, bool) (string, error) {
	return "", kernel.ErrNoInput
}

// detach is the JSON of a bundle, read again: its owner may change it later, and a
// file has what JSON keeps.
func detach(b *kernel.Bundle) (data, metadata map[string]any, err error) {
	if b == nil {
		return map[string]any{}, map[string]any{}, nil
	}
	if data, err = copied(b.Data); err != nil {
		return nil, nil, err
	}
	for mime, v := range data {
		if _, text := v.(string); !text && !isJSON(mime) {
			return nil, nil, fmt.Errorf("%s is no text", mime)
		}
	}
	metadata, err = copied(b.Metadata)
	return data, metadata, err
}

func copied(m map[string]any) (map[string]any, error) {
	out := map[string]any{}
	if m == nil {
		return out, nil
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&out)
	return out, err
}
