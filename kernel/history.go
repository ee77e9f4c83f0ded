package kernel

import (
	"slices"
	"sync"
)

// historySession is the number that this session has in history replies.
const historySession = 1

// historyLimit is how many cells are kept.
const historyLimit = 10000

// history is what was run in this session.
type history struct {
	mu      sync.Mutex
	entries []historyEntry // by line
}

type historyEntry struct {
	line   int
	input  string
	output *string // the text of the cell's value, nil if it had none
}

func (h *history) add(line int, input string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entries = append(h.entries, historyEntry{line: line, input: input})
	if len(h.entries) > historyLimit {
		h.entries = slices.Delete(h.entries, 0, len(h.entries)-historyLimit)
	}
}

// setOutput notes the value of the newest cell.
func (h *history) setOutput(line int, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.entries); n > 0 && h.entries[n-1].line == line {
		h.entries[n-1].output = &text
	}
}

// historyRequest is the content of a history_request.
type historyRequest struct {
	Output  bool   `json:"output"`
	Access  string `json:"hist_access_type"` // tail, range or search
	Session int    `json:"session"`          // 0 is this one, negative ones count back
	Start   int    `json:"start"`
	Stop    *int   `json:"stop"` // exclusive
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
		lines[i] = []any{historySession, e.line, e.input}
		if req.Output {
			lines[i][2] = []any{e.input, e.output}
		}
	}
	return object{"history": lines}, nil
}

// find answers a request, the oldest entry first.
func (h *history) find(req historyRequest) []historyEntry {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch req.Access {
	case "tail":
		return lastEntries(slices.Clone(h.entries), req.N)
	case "search":
		return lastEntries(h.search(req.Pattern, req.Unique), req.N)
	case "range":
		return h.interval(req)
	}
	return nil
}

func (h *history) search(pattern string, unique bool) []historyEntry {
	if pattern == "" {
		pattern = "*"
	}
	var found []historyEntry
	seen := make(map[string]bool)
	for _, e := range slices.Backward(h.entries) {
		if !matchGlob(pattern, e.input) || unique && seen[e.input] {
			continue
		}
		seen[e.input] = true
		found = append(found, e)
	}
	slices.Reverse(found)
	return found
}

func (h *history) interval(req historyRequest) []historyEntry {
	if req.Session != 0 && req.Session != historySession {
		return nil
	}
	var found []historyEntry
	for _, e := range h.entries {
		if e.line >= req.Start && (req.Stop == nil || e.line < *req.Stop) {
			found = append(found, e)
		}
	}
	return found
}

func lastEntries(entries []historyEntry, n *int) []historyEntry {
	if n == nil || *n < 0 || *n >= len(entries) {
		return entries
	}
	return entries[len(entries)-*n:]
}
