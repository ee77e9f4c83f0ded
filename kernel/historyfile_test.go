package kernel

import (
	"reflect"
	"testing"
)

// FuzzHistoryFile has any text read without harm, and what is sound in it kept when it is
// written anew.
func FuzzHistoryFile(f *testing.F) {
	f.Add([]byte(`{"session":3,"started":"2026-01-02T03:04:05.000000Z"}` + "\n" + `{"session":3,"line":1,"input":"6 * 7"}` + "\n"))
	f.Add([]byte(`{"session":2147483648}` + "\n" + `{"session":1,"line":9,"input":"\ud800 \u0000"}` + "\r\n" + `{"session":4,"li`))
	f.Add([]byte("{\"session\":1,\"line\":1,\"input\":\"\xff\"}\n[]\nnull\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := parseHistory(text)
		if c.last < 0 || c.last > historySessions {
			t.Errorf("the last session is %d", c.last)
		}
		again := parseHistory(c.shortened())
		for _, e := range c.entries {
			c.last = max(c.last, e.session)
		}
		if !reflect.DeepEqual(again.entries, c.entries) || again.last != c.last {
			t.Errorf("%d cells to session %d are written anew as %d to session %d", len(c.entries), c.last, len(again.entries), again.last)
		}
		if again.damaged > 0 && c.last > 0 {
			t.Errorf("%d lines are damaged in what was written", again.damaged)
		}
	})
}
