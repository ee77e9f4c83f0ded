package jobs

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var allStates = States()

// documented reads the table of moves from the package's documentation.
func documented(t *testing.T) []move {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var table []move
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 5 && f[2] == "->" && f[1] != "(new)" {
			table = append(table, move{State(f[1]), State(f[3]), f[4]})
		}
	}
	return table
}

func TestMovesAreThoseDocumented(t *testing.T) {
	if table := documented(t); !slices.Equal(table, moves) {
		t.Errorf("doc.go says\n%v\nthe code has\n%v", table, moves)
	}
}

// TestEveryMove tries each event in each state, on a history and back from its
// lines.
func TestEveryMove(t *testing.T) {
	for _, from := range allStates {
		for event, to := range targets {
			want := slices.Contains(moves, move{from, to, event})
			h := history{state: from, attempt: 3}
			e, err := h.nextEvent(event, reasonData{Error: "why"})
			if (err == nil) != want {
				t.Errorf("%s in %s: %v, want allowed %v", event, from, err, want)
			}
			if err != nil {
				continue
			}
			h.apply(e)
			if h.state != to {
				t.Errorf("%s in %s leads to %s, want %s", event, from, h.state, to)
			}
		}
	}
}

func TestFinalStatesNeedSomebody(t *testing.T) {
	for _, s := range allStates {
		for _, m := range moves {
			if m.From == s && s.Final() && m.Event != evQueued {
				t.Errorf("%s is final, but %s moves it", s, m.Event)
			}
		}
	}
}

func TestAttempts(t *testing.T) {
	h := newHistory()
	for i, step := range []struct {
		event   string
		attempt int
		crashes int
	}{
		{evStart, 1, 0}, {evCrashed, 1, 0}, {evRetry, 2, 1}, {evStart, 2, 1}, {evPreempted, 3, 1},
		{evStart, 3, 1}, {evFailed, 3, 1}, {evQueued, 4, 0}, {evStart, 4, 0}, {evDone, 4, 0}, {evQueued, 5, 0},
		{evCancelled, 5, 0}, {evQueued, 6, 0}, {evFailed, 6, 0},
	} {
		e, err := h.nextEvent(step.event, nil)
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		h.apply(e)
		if h.attempt != step.attempt || h.crashes != step.crashes {
			t.Errorf("step %d, %s: attempt %d with %d crashes, want %d with %d", i, step.event, h.attempt, h.crashes, step.attempt, step.crashes)
		}
	}
}

func TestOlderAttemptsDoNotCount(t *testing.T) {
	h := newHistory()
	lines := `{"t":"2026-01-02T03:04:05Z","attempt":1,"event":"start","data":{"host":"a","pid":1}}
{"t":"2026-01-02T03:04:06Z","attempt":1,"event":"progress","data":{"done":5,"total":9,"values":{"incumbent":1}}}
{"t":"2026-01-02T03:04:07Z","attempt":2,"event":"retry","data":{"error":"died"}}
{"t":"2026-01-02T03:04:08Z","attempt":1,"event":"done"}
{"t":"2026-01-02T03:04:05Z","attempt":2,"event":"start","data":{"host":"b","pid":2}}
`
	scanEvents([]byte(lines), func(e Event, ok bool) {
		if !ok {
			t.Error("damaged")
		}
		h.apply(e)
	})
	if h.state != Running || h.attempt != 2 || h.progress.Done != 0 || h.start.Host != "b" || h.reason.Error != "" {
		t.Errorf("%+v", h)
	}
}

// TestClockJump has a clock that goes back a day: figures come from the
// worker's monotonic clock.
func TestClockJump(t *testing.T) {
	h := newHistory()
	base := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for i, kind := range []string{evStart, evProgress, evProgress} {
		data, err := json.Marshal(progressData{Done: i * 10, Total: 40, Rate: 5, Remaining: 4})
		if err != nil {
			t.Fatal(err)
		}
		h.apply(Event{Time: base.Add(-time.Duration(i) * 24 * time.Hour), Attempt: 1, Kind: kind, Data: data})
	}
	if h.state != Running || h.progress.Done != 20 || h.progress.Rate != 5 || h.progress.Remaining != 4 {
		t.Errorf("%+v", h)
	}
}

// TestLostTimeCostsNothing: a job that was found lost a day later did not run for a day.
func TestLostTimeCostsNothing(t *testing.T) {
	base := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for _, kind := range []string{evRetry, evQueued, evStart} {
		h := newHistory()
		h.apply(Event{Time: base, Attempt: 1, Kind: evStart})
		h.apply(Event{Time: base.Add(time.Minute), Attempt: 1, Kind: evProgress})
		h.apply(Event{Time: base.Add(24 * time.Hour), Attempt: 2, Kind: kind})
		if h.cost() != 60 {
			t.Errorf("%s: it cost %g s, want the 60 in which it showed itself", kind, h.cost())
		}
	}
}

func TestMeter(t *testing.T) {
	var m meter
	for i := range 1000 { // 10 a second, then from 50 s on 40 a second
		at := time.Duration(i) * 100 * time.Millisecond
		done := i
		if i > 500 {
			done = 500 + 4*(i-500)
		}
		got := m.add(at, done)
		switch {
		case i == 0 && got != 0:
			t.Errorf("a rate of %g from one report", got)
		case i > 0 && i <= 500 && (got < 9.99 || got > 10.01), i > 700 && (got < 39.9 || got > 40.1):
			t.Errorf("report %d: %g steps a second", i, got)
		}
	}
	if len(m.samples) > 100 {
		t.Errorf("%d samples are kept", len(m.samples))
	}
}

// TestWhatIsFoundLostCostsNothingMore: nobody knows when its worker died.
func TestWhatIsFoundLostCostsNothingMore(t *testing.T) {
	for _, event := range []string{evFailed, evCancelled, evRetry, evQueued} {
		_, all, err := submitted(t, osDisk{}, t.TempDir(), countSpecs(countConfig{Steps: 1}, 1))
		if err != nil {
			t.Fatal(err)
		}
		j := all[0]
		start, err := newEvent(1, evStart, startData{Host: hostname(), PID: 1})
		if err != nil {
			t.Fatal(err)
		}
		start.Time = start.Time.Add(-48 * time.Hour)
		text, err := json.Marshal(start)
		if err != nil {
			t.Fatal(err)
		}
		if err := appendLines(osDisk{}, j.Paths.Events(), text); err != nil {
			t.Fatal(err)
		}
		if s := j.Status(); s.State != Lost {
			t.Fatalf("%+v", s)
		}
		if err := j.record(event, nil); err != nil {
			t.Fatal(err)
		}
		if s := j.Status(); s.State == Lost || s.Spent > time.Minute {
			t.Errorf("%s: %s has cost %v", event, s.State, s.Spent)
		}
	}
}
