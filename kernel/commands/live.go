package commands

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
)

// refresh is how often live tables look for news: at most four times a second.
const refresh = 250 * time.Millisecond

// displayRate is how many bytes a second one display sends at most: front ends draw each
// state anew.
const displayRate = 100 << 10

// work is what a cell starts and what goes on outside the kernel: a search or a
// training.
type work interface {
	lib.Value
	handle() handle
	// render shows it as it stands; final says that nothing will change any more.
	render() (b *kernel.Bundle, final bool, err error)
}

// handle is the jobs of a work.
type handle interface {
	ID() string
	Study() *jobs.Study
	Jobs() []*jobs.Job
	Statuses() ([]jobs.Status, error)
	Wait(ctx context.Context) error
}

// finalTables is how many displays of finished works can be sent again by a wait: a kernel
// that searches for days must not keep them all.
const finalTables = 100

// liveTables keeps the displays of searches and trainings up to date until their last
// job has finished. One goroutine works while something is live; close ends it.
type liveTables struct {
	mu      sync.Mutex
	shown   map[string]*liveTable // by display id
	next    int
	running bool
	closed  bool
	done    sync.WaitGroup
	quit    chan struct{}
}

// liveTable is one display of one work.
type liveTable struct {
	id    string
	n     int // its place in the order of showing
	work  work
	out   kernel.Output
	last  string    // what was sent, while it is not final
	final bool      // the last state was sent while it was final
	due   time.Time // of the next look: the longer one takes, the later
}

// of says whether the table shows the work, or another handle on the same jobs.
func (t *liveTable) of(w work) bool { return t.work.handle().ID() == w.handle().ID() }

func newLiveTables() *liveTables {
	return &liveTables{shown: map[string]*liveTable{}, quit: make(chan struct{})}
}

// show opens a display of the work in a cell and keeps it up to date.
func (l *liveTables) show(w work, cell *kernel.Cell) error {
	b, final, err := w.render()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	t := &liveTable{id: fmt.Sprintf("evalnas-%s-%s-%d", w.Type(), w.handle().ID(), l.next), n: l.next, work: w, out: cell.Out}
	t.sent(b, final)
	cell.Out.Display(b, t.id)
	l.shown[t.id] = t
	l.forget()
	if !final {
		l.start()
	}
	return nil
}

// forget drops the oldest of the final tables that are too many; l.mu is held.
func (l *liveTables) forget() {
	var final []*liveTable
	for _, t := range l.shown {
		if t.final {
			final = append(final, t)
		}
	}
	slices.SortFunc(final, func(a, b *liveTable) int { return a.n - b.n })
	for _, t := range final[:max(0, len(final)-finalTables)] {
		delete(l.shown, t.id)
	}
}

// sent notes what the front end has now.
func (t *liveTable) sent(b *kernel.Bundle, final bool) {
	t.last, t.final = b.Data["text/html"].(string), final
	if final {
		t.last = "" // nothing is compared with it any more
	}
}

// shows says whether some display of the work exists.
func (l *liveTables) shows(w work) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.shown {
		if t.of(w) {
			return true
		}
	}
	return false
}

// settle sends the present state of a work's displays again. A cell that
// waited calls it, so that the state reaches front ends which only take what
// belongs to the running cell. However often it is called, the kernel sends
// few of them, and the last before the cell's end.
func (l *liveTables) settle(w work) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(l.shown)) {
		if t := l.shown[id]; t.of(w) {
			if err := t.send(true); err != nil {
				return err
			}
		}
	}
	return nil
}

// send updates the display if there is news, or always if asked.
func (t *liveTable) send(always bool) error {
	began := time.Now()
	b, final, err := t.work.render()
	t.due = began.Add(jobs.LookAgain(time.Since(began)))
	if err != nil {
		return err
	}
	text := b.Data["text/html"].(string)
	if due := began.Add(time.Duration(len(text)) * time.Second / displayRate); due.After(t.due) {
		t.due = due
	}
	if always || text != t.last {
		t.out.UpdateDisplay(b, t.id)
	}
	t.sent(b, final)
	return nil
}

// start runs the goroutine if it does not; l.mu is held.
func (l *liveTables) start() {
	if l.running || l.closed {
		return
	}
	l.running = true
	l.repeat(refresh, l.step)
}

// repeat calls f at a pace until it answers false or the tables are closed; l.mu is held.
func (l *liveTables) repeat(pace time.Duration, f func() bool) {
	l.done.Go(func() {
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for {
			select {
			case <-l.quit:
				return
			case <-tick.C:
			}
			if !f() {
				return
			}
		}
	})
}

// step updates what is not final and says whether there is more to do.
func (l *liveTables) step() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = false
	for _, id := range slices.Sorted(maps.Keys(l.shown)) {
		t := l.shown[id]
		if t.final {
			continue
		}
		if time.Now().Before(t.due) {
			l.running = true
			continue
		}
		// A state that cannot be read now is read at the next step; wait and
		// the next command report it.
		if err := t.send(false); err != nil || !t.final {
			l.running = true
		}
	}
	return l.running
}

// each is repeat for what is no table.
func (l *liveTables) each(pace time.Duration, f func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.repeat(pace, f)
	}
}

func (l *liveTables) close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	close(l.quit)
	l.mu.Unlock()
	l.done.Wait()
}

// searchBundle renders a search as it stands.
func searchBundle(s *nasapi.Search) (b *kernel.Bundle, final bool, err error) {
	statuses, err := s.Statuses()
	if err != nil {
		return nil, false, err
	}
	final = !slices.ContainsFunc(statuses, unfinished)
	where, trouble := s.Study().Where(s.Jobs(), statuses)
	tries := triesTexts(statuses)
	columns := []column{{"seed", right}, {"state", left}, {"where", left}, {"tries", right}, {"progress", left}}
	progress := progressCells
	if s.Config.Shared != nil {
		columns, progress = append(columns, sharingColumns...), sharingCells
	} else {
		columns = append(columns, column{"evaluations", right}, column{"simulated", right})
	}
	if !final {
		columns = append(columns, column{"per second", right}, column{"remaining", right})
	}
	t := newTable(searchTitle(s, statuses), append(columns, column{"incumbent", right}, column{"cell", left})...)
	t.folds = "the search's own values have them all, such as .values, .states and .selected"
	var why reasons
	for i, st := range statuses {
		row := append([]tableCell{{text: fmt.Sprint(s.Seeds[i])}, stateCell(st.State, st.Held), {text: where[i]}, {text: tries[i]}}, progress(s, st)...)
		if !final {
			row = append(row, paceCells(s, st)...)
		}
		t.addCells(append(row, incumbentCells(st)...)...)
		why.below(t, fmt.Sprintf("seed %d", s.Seeds[i]), st)
	}
	t.dropEmptyColumns("where", "tries", "simulated", "epoch", "loss", "train %", "tau", "doing", "per second", "remaining", "incumbent", "cell")
	t.note("Incumbent: %s. Search %s.", s.Config.Objective.Describe(), s.ID())
	t.noteCost(statuses, final)
	if trouble != "" && !final {
		t.note("SLURM cannot be asked: %s", trouble)
	}
	t.oracle = s.Config.Objective.Oracle()
	if s.Config.Shared != nil {
		return sharingBundle(s, t, final)
	}
	return t.bundle(), final, nil
}

func searchTitle(s *nasapi.Search, statuses []jobs.Status) string {
	guided := s.Config.Objective.Label()
	if s.Config.Objective.Minimise {
		guided += ", minimised"
	}
	if s.Config.Shared != nil {
		return fmt.Sprintf("%s on %s, %s: %s", s.Config.Policy, s.Space, guided, jobs.StatesText(statuses))
	}
	budget := count(s.Config.Budget)
	if s.Config.Seconds > 0 {
		budget = budgetText(s.Config.Budget, s.Config.Seconds)
	}
	return fmt.Sprintf("%s on %s, guided by %s, budget %s a seed: %s", s.Config.Policy, s.Space, guided, budget, jobs.StatesText(statuses))
}

// progressCells are the share of the budget, the evaluations and the simulated time. Of a
// search with two bounds that is the larger share, and one that is done has spent it.
func progressCells(s *nasapi.Search, st jobs.Status) []tableCell {
	done, total := st.Done, s.Config.Budget
	simulated, _ := st.Values["simulated"].(float64)
	if total == 0 {
		looked, _ := st.Values["evaluations"].(float64)
		done = int(looked)
	} else if st.State == jobs.Done && done == 0 {
		done = total
	}
	share := 0.0
	if total > 0 {
		share = float64(done) / float64(total)
	}
	if s.Config.Seconds > 0 {
		if share = max(share, simulated/s.Config.Seconds); st.State == jobs.Done {
			share = 1
		}
	}
	cells := []tableCell{progressCell(min(1, share)), {text: count(done)}, {}}
	if simulated > 0 {
		cells[2].text = durationText(time.Duration(min(simulated, maxShownSeconds) * float64(time.Second)))
	}
	return cells
}

// maxShownSeconds are as many as a duration holds.
const maxShownSeconds = 9e9

func paceCells(s *nasapi.Search, st jobs.Status) []tableCell {
	cells := make([]tableCell, 2)
	if st.State != jobs.Running {
		return cells
	}
	// Where a virtual clock alone bounds a search, the rate is of its seconds.
	if onClock := s.Config.Seconds > 0 && s.Config.Budget == 0; st.Rate > 0 && !onClock {
		cells[0].text = rateText(st.Rate)
	}
	if st.Remaining > 0 {
		cells[1].text = durationText(st.Remaining)
	}
	return cells
}

func incumbentCells(st jobs.Status) []tableCell {
	cells := make([]tableCell, 2)
	if v, ok := st.Values["incumbent"].(float64); ok {
		cells[0].text = number(v)
	}
	if h, ok := st.Values["hash"].(string); ok {
		cells[1].text = shortHash(h)
	}
	return cells
}

func progressCell(share float64) tableCell {
	percent := int(share * 100)
	const width = 10
	full := int(share * width)
	return tableCell{
		text:   fmt.Sprintf("%s%s %3d%%", strings.Repeat("█", full), strings.Repeat("░", width-full), percent),
		markup: fmt.Sprintf(`<progress value="%d" max="100" style="width:8em"></progress> %d%%`, percent, percent),
	}
}

func rateText(r float64) string {
	if r >= 100 {
		return count(int64(r))
	}
	return fmt.Sprintf("%.1f", r)
}

func durationText(d time.Duration) string {
	switch {
	case d < time.Second:
		return "< 1 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
