package kernel

import "sync"

// heardMost is how many signatures are remembered: as Jupyter's own session does, so that what
// was overheard on the network cannot be said again.
const heardMost = 1 << 16

// replays knows the signatures of the last messages on all sockets. The zero value has heard
// nothing.
type replays struct {
	mu    sync.Mutex
	known map[string]struct{}
	order []string // a ring
	next  int
}

// again remembers a signature and says whether it was known. Messages that are not signed are
// not told apart.
func (r *replays) again(signature []byte) bool {
	if len(signature) == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.known[string(signature)]; ok {
		return true
	}
	if r.known == nil {
		r.known = map[string]struct{}{}
	}
	s := string(signature)
	r.known[s] = struct{}{}
	if len(r.order) < heardMost {
		r.order = append(r.order, s)
		return false
	}
	delete(r.known, r.order[r.next])
	r.order[r.next] = s
	r.next = (r.next + 1) % heardMost
	return false
}
