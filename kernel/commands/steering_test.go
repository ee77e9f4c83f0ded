package commands

import (
	"strings"
	"testing"
	"time"
)

// until polls an expression until its text is as wanted.
func (n *notebook) until(expr, want string) {
	n.t.Helper()
	got := ""
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = n.value(expr); got == want {
			return
		}
	}
	n.t.Fatalf("%s stays %s, want %s", expr, got, want)
}

func TestHoldAndRelease(t *testing.T) {
	t.Setenv("EVALNAS_SLOTS", "1")
	n := newNotebook(t)
	n.run(`going = search("enas", nasbench101(), params(), seeds=[1], budget=100000)`)
	n.until(`going.states`, `{1: "running"}`)
	// One of these may be with its worker, which waits for the slot: hold keeps that, too.
	n.run(`found = search("random", nasbench101(4), params(), seeds=range(3), budget=5)`)
	_, out := n.run(`hold(found, [going])`)
	if text := out.text(); text != "3 held; 1 run already or have ended\n" {
		t.Errorf("hold says %q", text)
	}
	last, err := n.env.attachBatch(n.lastBatch())
	if err != nil {
		t.Fatal(err)
	}
	view, _, err := last.render()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 pending (held)", "pending, held"} {
		if text := view.Data["text/plain"].(string); !strings.Contains(text, want) {
			t.Errorf("the table does not say %q:\n%s", want, text)
		}
	}
	n.run(`cancel(going.jobs[0][:10])` + "\n" + `wait(going)`)
	_, out = n.run(`release(found.jobs[0])`)
	if text := out.text(); text != "1 released\n" {
		t.Errorf("release says %q", text)
	}
	n.until(`sorted(found.states.values())`, `["done", "pending", "pending"]`)
	n.run(`release(found.id)` + "\n" + `wait(found)`)
	if got := n.value(`len(found.selected)`); got != "3" {
		t.Errorf("%s are done after the release", got)
	}
	for code, want := range map[string]string{`hold("zzz")`: `no job "zzz"`, `release(3)`: "int is not a search", `hold([found, None])`: "NoneType is not a search"} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", code, err, want)
		}
	}
}
