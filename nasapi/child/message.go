package child

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Protocol is the version of what is said, which the first message of either side names.
const Protocol = 1

// maxLine is the longest message in bytes.
const maxLine = 16 << 20

// Message is one line: a JSON object with a single key, which is its name.
type Message struct {
	Name string
	Body json.RawMessage
}

// Read decodes the body. Unknown keys are left alone: a newer program may say more.
func (m Message) Read(into any) error {
	if err := json.Unmarshal(m.Body, into); err != nil {
		return fmt.Errorf("its message %q has the wrong form: %w (%s)", m.Name, err, excerpt(m.Body))
	}
	return nil
}

// ErrGarbage begins the complaint about a line that is no message.
var ErrGarbage = errors.New("wrote a line to its standard output that is no message")

// parse reads a line.
func parse(line []byte, number int) (Message, error) {
	if m, ok := parsePlain(line); ok {
		return m, nil
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	fail := func(why string) (Message, error) {
		return Message{}, fmt.Errorf("%w (line %d, %s): %s; messages are JSON objects with one key, such as {\"ready\": {\"protocol\": 1}}, and all else belongs on standard error", ErrGarbage, number, why, excerpt(line))
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fail("not a JSON object")
	}
	t, err := dec.Token()
	name, ok := t.(string)
	if err != nil || !ok {
		return fail("an object without a key")
	}
	var m Message
	m.Name = name
	if err := dec.Decode(&m.Body); err != nil {
		if bytes.Contains(line, []byte("NaN")) || bytes.Contains(line, []byte("Infinity")) {
			return fail("JSON has neither NaN nor Infinity")
		}
		return fail("damaged JSON")
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('}') {
		return fail("more than one key, or damaged JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fail("more than one object")
	}
	return m, nil
}

// parsePlain reads {"name": body} where the name is of plain letters, as it nearly always is. What
// it does not know is left to parse: this is a fifth of the time of a decoder's tokens.
func parsePlain(line []byte) (Message, bool) {
	line = bytes.TrimSpace(line)
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' {
		return Message{}, false
	}
	rest := bytes.TrimLeft(line[1:len(line)-1], " \t")
	if len(rest) == 0 || rest[0] != '"' {
		return Message{}, false
	}
	rest = rest[1:]
	end := 0
	for end < len(rest) && (rest[end] >= 'a' && rest[end] <= 'z' || rest[end] == '_') {
		end++
	}
	if end+1 >= len(rest) || rest[end] != '"' {
		return Message{}, false
	}
	body := bytes.TrimLeft(rest[end+1:], " \t")
	if len(body) == 0 || body[0] != ':' {
		return Message{}, false
	}
	// A second key would make the rest no valid value.
	body = bytes.TrimSpace(body[1:])
	if !json.Valid(body) {
		return Message{}, false
	}
	// The line's buffer is read into again.
	return Message{Name: string(rest[:end]), Body: bytes.Clone(body)}, true
}

// CheckReady says what is wrong with the answer to init.
func (m Message) CheckReady() error {
	if m.Name != "ready" {
		return fmt.Errorf("answered init with {%q: ...}: it must say {\"ready\": {\"protocol\": %d}} first", m.Name, Protocol)
	}
	var body struct{ Protocol *int }
	if err := m.Read(&body); err != nil {
		return err
	}
	if body.Protocol == nil || *body.Protocol != Protocol {
		said := "none"
		if body.Protocol != nil {
			said = fmt.Sprint(*body.Protocol)
		}
		return fmt.Errorf("speaks version %s of the protocol and this program version %d: docs/child_protocol.md has it", said, Protocol)
	}
	return nil
}

// excerpt is the beginning of a line, for complaints.
func excerpt(line []byte) string {
	const most = 120
	line = bytes.TrimSpace(line)
	if len(line) <= most {
		return fmt.Sprintf("%q", line)
	}
	return fmt.Sprintf("%q and %d bytes more", line[:most], len(line)-most)
}

// ErrLong is a line without end.
var ErrLong = fmt.Errorf("wrote a line of more than %d MiB to its standard output", maxLine>>20)

// readLine returns the next line without its end, valid until the next call.
func readLine(r *bufio.Reader, buf []byte) (line, kept []byte, err error) {
	line, err = r.ReadSlice('\n')
	if err == nil {
		return line[:len(line)-1], buf, nil
	}
	kept = buf[:0]
	for {
		kept = append(kept, line...)
		switch {
		case err == nil:
			return kept[:len(kept)-1], kept, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return kept, kept, err
		case len(kept) > maxLine:
			return nil, kept, ErrLong
		}
		line, err = r.ReadSlice('\n')
	}
}
