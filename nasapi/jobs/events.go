package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
)

// eventChunk is how much of events.jsonl is in memory at a time, and so the
// longest line that is understood.
const eventChunk = 4 << 20

// readEvents reads the complete lines of a log from a byte offset on and calls
// each for every one; ok is false for a line that is damaged. It returns the
// offset to go on from. A log that does not exist is empty; one that has become
// shorter than the offset is read from its start, after again is called.
func readEvents(path string, from int64, each func(e Event, ok bool), again func()) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return from, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return from, err
	}
	if from < 0 || info.Size() < from {
		again()
		from = 0
	}
	buf := make([]byte, min(eventChunk, info.Size()-from))
	for {
		n, err := f.ReadAt(buf, from)
		if err != nil && !errors.Is(err, io.EOF) {
			return from, err
		}
		used := scanEvents(buf[:n], each)
		if used == 0 && n == eventChunk {
			each(Event{}, false) // no end in sight: not one of our lines
			used = n
		}
		from += int64(used)
		if n < len(buf) || used == 0 {
			return from, nil
		}
	}
}

// scanEvents decodes the complete lines of text and returns their length.
func scanEvents(text []byte, each func(e Event, ok bool)) int {
	used := 0
	for {
		end := bytes.IndexByte(text[used:], '\n')
		if end < 0 {
			return used
		}
		line := bytes.TrimSpace(text[used : used+end])
		used += end + 1
		if len(line) == 0 {
			continue
		}
		var e Event
		ok := json.Unmarshal(line, &e) == nil && e.Kind != "" && e.Attempt >= 0
		each(e, ok)
	}
}
