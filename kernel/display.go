package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// output is a cell's Output.
type output struct {
	s          *server
	ctx        context.Context // the cell's
	parent     json.RawMessage
	ids        [][]byte // the client's, for input
	count      int
	silent     bool
	allowStdin bool

	mu      sync.Mutex
	payload []object // of the reply
}

var _ Output = (*output)(nil)

func (o *output) Stream(name, text string) {
	if o.silent || text == "" {
		return
	}
	if name != "stderr" {
		name = "stdout"
	}
	for len(text) > 0 {
		n := min(len(text), streamBytes)
		for n < len(text) && n > 0 && text[n]&0xc0 == 0x80 {
			n-- // not inside a character
		}
		if n == 0 {
			n = min(len(text), streamBytes)
		}
		o.s.iopub.put(o.ctx, &publication{msgType: "stream", parent: o.parent, stream: name, text: []byte(text[:n])})
		text = text[n:]
	}
}

func (o *output) Display(b *Bundle, id string) {
	if o.silent {
		return
	}
	if p := o.publication("display_data", b, id); p != nil {
		o.s.iopub.put(o.ctx, p)
	}
}

// UpdateDisplay may come long after the cell, so the cell's context does not
// bound it.
func (o *output) UpdateDisplay(b *Bundle, id string) {
	if o.silent {
		return
	}
	if id == "" {
		o.unencodable("update_display_data", errors.New("no display id"))
		return
	}
	if p := o.publication("update_display_data", b, id); p != nil {
		o.s.iopub.putUpdate(context.Background(), p)
	}
}

// publication encodes a bundle now: its owner may change it afterwards.
func (o *output) publication(msgType string, b *Bundle, id string) *publication {
	content := bundleContent(b)
	content["transient"] = object{}
	if id != "" {
		content["transient"] = object{"display_id": id}
	}
	body, err := encodeJSON(content)
	if err != nil {
		o.unencodable(msgType, err)
		return nil
	}
	return &publication{msgType: msgType, parent: o.parent, content: body, displayID: id}
}

func (o *output) unencodable(msgType string, err error) {
	o.s.log.Error("output not published", "type", msgType, "error", err)
	o.Stream("stderr", fmt.Sprintf("an output could not be shown (%s): %v\n", msgType, err))
}

func (o *output) result(b *Bundle) error {
	content := bundleContent(b)
	content["execution_count"] = o.count
	if err := o.s.iopub.publish(context.Background(), "execute_result", o.parent, content); err != nil {
		return &CellError{Name: "InternalError", Value: "the cell's value could not be shown: " + err.Error()}
	}
	return nil
}

func (o *output) Clear(wait bool) {
	if o.silent {
		return
	}
	if err := o.s.iopub.publish(o.ctx, "clear_output", o.parent, object{"wait": wait}); err != nil {
		o.unencodable("clear_output", err)
	}
}

func (o *output) Page(b *Bundle) {
	page := bundleContent(b)
	delete(page, "metadata")
	page["source"] = "page"
	page["start"] = 0
	if _, err := encodeJSON(page); err != nil {
		o.unencodable("page", err)
		return
	}
	o.addPayload(page)
}

func (o *output) Exit() {
	if !o.silent {
		o.addPayload(object{"source": "ask_exit", "keepkernel": false})
	}
}

func (o *output) addPayload(p object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.payload = append(o.payload, p)
}

// payloads are what the reply asks the front end to do.
func (o *output) payloads() []object {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.payload == nil {
		return []object{}
	}
	return o.payload
}

// ErrNoInput is the answer to a question where nobody can be asked.
var ErrNoInput = errors.New("input: this front end cannot ask questions (batch execution); pass the value as a parameter instead")

func (o *output) Input(ctx context.Context, prompt string, password bool) (string, error) {
	if !o.allowStdin {
		return "", ErrNoInput
	}
	return o.s.input.ask(ctx, o, prompt, password)
}
