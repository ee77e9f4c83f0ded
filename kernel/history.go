package kernel

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

const (
	// historyLimit is how many cells are kept, in memory and in the file.
	historyLimit = 10000
	// historyMemory bounds the bytes of those in memory, their outputs included.
	historyMemory = 16 << 20
	// tailDefault is how many entries a tail without n has, as in IPython.
	tailDefault = 10
)

// history is what was run in this session, and with a file in those before it.
type history struct {
	file *historyFile // nil: nothing is kept

	mu      sync.Mutex
	entries []historyEntry // of this session, by line; their session is not set
	bytes   int            // of all of them
}

type historyEntry struct {
	session, line int
	input         string
	output        *string // the text of the cell's value, nil if it had none or it is not known
}

func (e historyEntry) size() int {
	if e.output == nil {
		return len(e.input)
	}
	return len(e.input) + len(*e.output)
}

// add notes a cell. As in IPython the newlines at its end are left out, and so are
// cells that ask to leave: nobody wants them back.
func (h *history) add(line int, input string) {
	input = strings.TrimRight(input, "\n")
	if strings.TrimSpace(input) == "" || ExitName(input) != "" {
		return
	}
	e := historyEntry{line: line, input: input}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entries = append(h.entries, e)
	h.bytes += e.size()
	h.trim()
	if h.file != nil {
		h.file.add(e)
	}
}

// hurry has all written soon, so that close need not wait for long.
func (h *history) hurry() {
	if h.file != nil {
		h.file.hurry()
	}
}

// close has all written. The session ends.
func (h *history) close() {
	if h.file != nil {
		h.file.close()
	}
}

// setOutput notes the value of the newest cell.
func (h *history) setOutput(line int, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.entries); n > 0 && h.entries[n-1].line == line {
		h.entries[n-1].output = &text
		h.bytes += len(text)
		h.trim()
	}
}

func (h *history) trim() {
	for len(h.entries) > historyLimit || h.bytes > historyMemory && len(h.entries) > 1 {
		h.bytes -= h.entries[0].size()
		h.entries[0] = historyEntry{} // its texts go before the array does
		h.entries = h.entries[1:]
	}
}

// all is everything that is known, by session and line, and this session's number.
// Of other sessions there are the inputs alone.
func (h *history) all() (entries []historyEntry, current int) {
	current = 1
	if h.file != nil {
		entries, current = h.file.read()
	}
	// What this session has in the file it has in memory too, with the outputs.
	entries = slices.DeleteFunc(entries, func(e historyEntry) bool { return e.session == current })
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.entries {
		e.session = current
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b historyEntry) int {
		return cmp.Or(cmp.Compare(a.session, b.session), cmp.Compare(a.line, b.line))
	})
	return entries, current
}

// historyRequest is the content of a history_request. Its raw has no meaning
// here: an input is kept as it was typed.
type historyRequest struct {
	Output  bool   `json:"output"`
	Access  string `json:"hist_access_type"` // tail, range or search
	Session int    `json:"session"`          // 0 is this one, negative ones count back from it
	Start   int    `json:"start"`            // negative in this session: from its end
	Stop    *int   `json:"stop"`             // exclusive; 0 is the end, negative as in start
	N       *int   `json:"n"`
	Pattern string `json:"pattern"` // a glob: * ? [a-z]
	Unique  bool   `json:"unique"`
}

func (s *server) historyReply(m *message) (object, error) {
	var req historyRequest
	if err := decode(m, &req); err != nil {
		return nil, err
	}
	found := s.history.find(req)
	lines := make([][]any, len(found))
	for i, e := range found {
		lines[i] = []any{e.session, e.line, e.input}
		if req.Output {
			lines[i][2] = []any{e.input, e.output}
		}
	}
	return object{"history": lines}, nil
}

// find answers a request, the oldest entry first. It follows IPython's
// HistoryManager, except that a range of this session has its number, not 0.
func (h *history) find(req historyRequest) []historyEntry {
	switch req.Access {
	case "tail":
		if req.N == nil {
			n := tailDefault
			req.N = &n
		}
		return lastEntries(ownLast(h.all()), req.N)
	case "search":
		entries, _ := h.all()
		return lastEntries(matching(entries, req.Pattern, req.Unique), req.N)
	case "range":
		entries, current := h.all()
		return req.interval(entries, current)
	}
	return nil
}

// ownLast moves the entries of this session behind those of others that
// started after it: what was typed here is what Up shows first.
func ownLast(entries []historyEntry, current int) []historyEntry {
	slices.SortStableFunc(entries, func(a, b historyEntry) int {
		switch {
		case a.session == b.session || a.session != current && b.session != current:
			return 0
		case a.session == current:
			return 1
		}
		return -1
	})
	return entries
}

func matching(entries []historyEntry, pattern string, unique bool) []historyEntry {
	if pattern == "" {
		pattern = "*"
	}
	var found []historyEntry
	seen := make(map[string]bool)
	for _, e := range slices.Backward(entries) {
		if unique && seen[e.input] || !matchGlob(pattern, e.input) {
			continue
		}
		seen[e.input] = true
		found = append(found, e)
	}
	slices.Reverse(found)
	return found
}

// interval are the lines of one session from start to before stop.
func (req historyRequest) interval(entries []historyEntry, current int) []historyEntry {
	session, start, stop := req.Session, req.Start, 0
	if req.Stop != nil {
		stop = *req.Stop
	}
	if session <= 0 {
		session += current
	}
	entries = slices.DeleteFunc(entries, func(e historyEntry) bool { return e.session != session })
	if n := len(entries); n > 0 && session == current {
		end := entries[n-1].line + 1
		start, stop = fromEnd(start, end), fromEnd(stop, end)
	}
	return slices.DeleteFunc(entries, func(e historyEntry) bool {
		return e.line < start || stop != 0 && e.line >= stop
	})
}

// fromEnd lets a negative line count back from the end.
func fromEnd(line, end int) int {
	if line < 0 {
		return line + end
	}
	return line
}

func lastEntries(entries []historyEntry, n *int) []historyEntry {
	if n == nil || *n < 0 || *n >= len(entries) {
		return entries
	}
	return entries[len(entries)-*n:]
}
