package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"evalnas/nasapi/jobs"
)

// jobRow is a job as it is listed; its JSON form is what --json prints.
type jobRow struct {
	Study     string          `json:"study"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Kind      string          `json:"kind,omitempty"`
	Seed      int64           `json:"seed"`
	State     jobs.State      `json:"state"`
	Held      bool            `json:"held"`
	Attempt   int             `json:"attempt"`
	Retries   int             `json:"retries"`
	Done      int             `json:"done"`
	Total     int             `json:"total"`
	Rate      float64         `json:"rate"`      // steps a second
	Remaining float64         `json:"remaining"` // seconds
	Spent     float64         `json:"spent"`     // seconds of a device
	Values    map[string]any  `json:"values,omitempty"`
	Started   *time.Time      `json:"started,omitempty"`
	Ended     *time.Time      `json:"ended,omitempty"`
	Where     string          `json:"where,omitempty"`
	Host      string          `json:"host,omitempty"`
	PID       int             `json:"pid,omitempty"`
	Slots     []int           `json:"slots,omitempty"`
	Task      string          `json:"task,omitempty"` // of SLURM
	Error     string          `json:"error,omitempty"`
	Config    json.RawMessage `json:"config,omitempty"`

	status jobs.Status
}

// jobList is the jobs of some studies and what hinders looking at them.
type jobList struct {
	rows    []jobRow
	studies int
	dir     string // of the first study
	trouble []string
}

// listJobs lists the jobs of studies: of each first the batches in their order, then the rest.
func listJobs(studies []*jobs.Study) (jobList, error) {
	l := jobList{studies: len(studies)}
	for i, st := range studies {
		if i == 0 {
			l.dir = st.Dir()
		}
		if err := l.add(st); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (l *jobList) add(st *jobs.Study) error {
	batches, err := st.Batches()
	if err != nil {
		return err
	}
	rest, err := st.Jobs()
	if err != nil {
		return err
	}
	var all []*jobs.Job
	var statuses []jobs.Status
	begin, listed := len(l.rows), map[string]bool{}
	add := func(j *jobs.Job, name string) {
		if !listed[j.ID] {
			listed[j.ID] = true
			s := j.Status()
			all, statuses = append(all, j), append(statuses, s)
			l.rows = append(l.rows, newJobRow(st, j, s, name))
		}
	}
	for _, b := range batches {
		for _, j := range b.Jobs() {
			add(j, b.Title)
		}
	}
	for _, j := range rest {
		add(j, j.Spec.Kind)
	}
	where, trouble := st.Where(all, statuses)
	for i, text := range where {
		l.rows[begin+i].Where = text
	}
	if trouble != "" {
		l.trouble = append(l.trouble, "SLURM cannot be asked: "+trouble)
	}
	return nil
}

func newJobRow(st *jobs.Study, j *jobs.Job, s jobs.Status, name string) jobRow {
	row := jobRow{
		Study: st.Dir(), ID: j.ID, Name: name, Kind: j.Spec.Kind, Seed: j.Spec.Seed,
		State: s.State, Held: s.Held, Attempt: s.Attempt, Retries: s.Retries, Done: s.Done, Total: s.Total,
		Rate: s.Rate, Remaining: s.Remaining.Seconds(), Spent: s.Spent.Seconds(), Values: s.Values,
		Host: s.Host, PID: s.PID, Slots: s.Slots, Task: s.Task, Error: s.Error, Config: j.Spec.Config,
		status: s,
	}
	if !s.Started.IsZero() {
		row.Started = &s.Started
	}
	if !s.Ended.IsZero() {
		row.Ended = &s.Ended
	}
	return row
}

// finished says that nothing more will come of any job.
func (l jobList) finished() bool {
	return !slices.ContainsFunc(l.rows, func(r jobRow) bool { return !r.State.Final() })
}

// text is the list as people read it, no line of the table wider than width.
func (l jobList) text(width int) string {
	return jobTable(l.rows, width, l.studies > 1) + l.tail()
}

// tail is what stands below the table.
func (l jobList) tail() string {
	text := jobErrors(l.rows)
	for _, t := range l.trouble {
		text += "\n" + t + "\n"
	}
	return text + l.summary()
}

func (l jobList) summary() string {
	if len(l.rows) == 0 {
		return fmt.Sprintf("no jobs in %s\n", l.dir)
	}
	statuses := make([]jobs.Status, len(l.rows))
	var spent time.Duration
	for i, r := range l.rows {
		statuses[i] = r.status
		spent += r.status.Spent
	}
	text := fmt.Sprintf("\n%s: %s", counted(len(l.rows), "job", "jobs"), jobs.StatesText(statuses))
	if spent > 0 {
		text += "; " + jobs.CostText(spent)
	}
	return text + "\n"
}

// window is the list for a window that is redrawn: nothing wider or higher than it.
func (l jobList) window(width, height int) string {
	tail := l.tail()
	room := max(3, height-2-strings.Count(tail, "\n")) // the head, and the line of the cursor
	shown := l
	shown.rows = inMotion(l.rows, room)
	if l.studies > 1 { // each has a line of its own
		shown.rows = inMotion(l.rows, max(3, room-studiesIn(shown.rows)))
	}
	text := jobTable(shown.rows, width, l.studies > 1)
	if hidden := len(l.rows) - len(shown.rows); hidden > 0 {
		text = strings.TrimSuffix(text, "\n") + fmt.Sprintf("\n(%s not shown)\n", counted(hidden, "job", "jobs"))
	}
	return clip(text+tail, width)
}

func studiesIn(rows []jobRow) int {
	seen := map[string]bool{}
	for _, r := range rows {
		seen[r.Study] = true
	}
	return len(seen)
}

// clip cuts lines to a width.
func clip(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(shorten(strings.TrimSuffix(line, "\n"), width) + "\n")
	}
	return b.String()
}

// inMotion picks what is worth watching when there are more jobs than rows: running ones,
// then those that wait, then those that failed. They stay in their order.
func inMotion(list []jobRow, most int) []jobRow {
	if len(list) <= most {
		return list
	}
	rank := map[jobs.State]int{jobs.Running: 0, jobs.Lost: 0, jobs.Checkpointed: 1, jobs.Preempted: 1, jobs.Pending: 2, jobs.Failed: 3, jobs.Cancelled: 4, jobs.Done: 5}
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank[list[a].State], rank[list[b].State]) })
	var picked []jobRow
	for _, i := range slices.Sorted(slices.Values(order[:most-1])) { // and a line that says that there are more
		picked = append(picked, list[i])
	}
	return picked
}

// jobColumn is a column of the table.
type jobColumn struct {
	title    string
	right    bool
	optional bool // left out where no job has an entry
	most     int  // of its width, 0 for no bound
	least    int  // that it may be cut to where the table is too wide, 0 if it may not
	text     func(jobRow) string

	cells []string
	width int
}

func jobColumns() []*jobColumn {
	return []*jobColumn{
		{title: "id", most: 8, text: func(r jobRow) string { return r.ID }},
		{title: "name", most: 24, least: 8, text: func(r jobRow) string { return r.Name }},
		{title: "seed", right: true, most: 20, least: 6, text: func(r jobRow) string { return strconv.FormatInt(r.Seed, 10) }},
		{title: "state", text: stateText},
		{title: "where", optional: true, most: 26, least: 8, text: func(r jobRow) string { return r.Where }},
		{title: "tries", right: true, optional: true, text: triesText},
		{title: "progress", text: func(r jobRow) string { return progressBar(r, 10) }},
		{title: "rate", right: true, optional: true, text: rateText},
		{title: "left", right: true, optional: true, text: leftText},
		{title: "incumbent", right: true, optional: true, most: 10, text: func(r jobRow) string { return valueText(r.Values["incumbent"]) }},
	}
}

// expendable are the columns that a table goes without, in this order, where the window is
// too narrow even for cut names.
var expendable = []string{"tries", "incumbent", "rate", "where", "progress", "left", "seed", "name"}

// jobTable draws the rows; several has it say which study they are of.
func jobTable(list []jobRow, width int, several bool) string {
	if len(list) == 0 {
		return ""
	}
	columns := fit(jobColumns(), list, width)
	var b strings.Builder
	line := func(get func(c *jobColumn) string) {
		var parts []string
		for _, c := range columns {
			text := shorten(get(c), c.width)
			pad := strings.Repeat(" ", c.width-utf8.RuneCountInString(text))
			if c.right {
				text = pad + text
			} else {
				text += pad
			}
			parts = append(parts, text)
		}
		b.WriteString(strings.TrimRight(strings.Join(parts, "  "), " ") + "\n")
	}
	line(func(c *jobColumn) string { return c.title })
	for i, r := range list {
		if several && (i == 0 || r.Study != list[i-1].Study) {
			b.WriteString(shorten(r.Study, width) + "\n")
		}
		line(func(c *jobColumn) string { return c.cells[i] })
	}
	return b.String()
}

// fit fills the columns and makes them no wider together than the window: names are cut
// first, then places; then columns are left out.
func fit(columns []*jobColumn, list []jobRow, width int) []*jobColumn {
	for _, c := range columns {
		c.width = utf8.RuneCountInString(c.title)
		for _, r := range list {
			text := c.text(r)
			c.cells = append(c.cells, text)
			c.width = max(c.width, utf8.RuneCountInString(text))
		}
		if c.most > 0 {
			c.width = min(c.width, c.most)
		}
	}
	columns = slices.DeleteFunc(columns, func(c *jobColumn) bool {
		return c.optional && !slices.ContainsFunc(c.cells, func(text string) bool { return text != "" })
	})
	excess := func() int {
		sum := 2 * (len(columns) - 1)
		for _, c := range columns {
			sum += c.width
		}
		return sum - width
	}
	for _, title := range []string{"name", "where", "seed"} {
		for _, c := range columns {
			if c.title == title {
				c.width = max(min(c.width, c.least), c.width-max(0, excess()))
			}
		}
	}
	for _, title := range expendable {
		if excess() > 0 {
			columns = slices.DeleteFunc(columns, func(c *jobColumn) bool { return c.title == title })
		}
	}
	return columns
}

func stateText(r jobRow) string {
	if r.Held {
		return string(r.State) + ", held"
	}
	return string(r.State)
}

// triesText is how often a job was begun, where that is worth saying.
func triesText(r jobRow) string {
	if n := r.status.Tries(); n > 1 || r.Retries > 0 {
		return strconv.Itoa(n)
	}
	return ""
}

// shorten cuts text to a width, with an ellipsis where it is no id.
func shorten(text string, width int) string {
	runes := []rune(text)
	switch {
	case len(runes) <= width:
		return text
	case len(text) == 20 && width == 8:
		return text[:width]
	case width < 1:
		return ""
	}
	return string(runes[:width-1]) + "…"
}

func progressBar(r jobRow, width int) string {
	if r.Total <= 0 {
		if r.State == jobs.Done {
			return strings.Repeat("█", width)
		}
		return strings.Repeat("·", width)
	}
	full := min(max(r.Done, 0), r.Total) * width / r.Total
	return strings.Repeat("█", full) + strings.Repeat("·", width-full)
}

func rateText(r jobRow) string {
	switch {
	case r.Rate <= 0 || math.IsInf(r.Rate, 0):
		return ""
	case r.Rate >= 1e5:
		return fmt.Sprintf("%.1e/s", r.Rate)
	case r.Rate >= 10:
		return fmt.Sprintf("%.0f/s", r.Rate)
	case r.Rate >= 0.1:
		return fmt.Sprintf("%.1f/s", r.Rate)
	}
	return fmt.Sprintf("%.3g/h", r.Rate*3600)
}

func leftText(r jobRow) string {
	if r.State != jobs.Running || r.Remaining <= 0 {
		return ""
	}
	d := time.Duration(r.Remaining * float64(time.Second)).Round(time.Second)
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%ds", int(d.Seconds()))
}

func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e9 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return fmt.Sprintf("%.5g", v)
	}
	return shorten(fmt.Sprint(v), 9)
}

// mostErrors bounds how many are told below the table.
const mostErrors = 5

// jobErrors says why jobs failed, were interrupted or are tried again: the first line of
// each error, and the last where there are more, which is that of a traceback.
func jobErrors(list []jobRow) string {
	var told []jobRow
	failed := 0
	for _, bad := range []bool{true, false} {
		for _, r := range list {
			if r.Error != "" && r.State != jobs.Done && bad == (r.State == jobs.Failed || r.State == jobs.Lost) {
				told = append(told, r)
			}
		}
		if bad {
			failed = len(told)
		}
	}
	if len(told) == 0 {
		return ""
	}
	var b strings.Builder
	for _, r := range told[:min(len(told), mostErrors)] {
		first, rest, more := strings.Cut(strings.TrimSpace(r.Error), "\n")
		fmt.Fprintf(&b, "\n%s %s: %s", shorten(r.ID, 8), r.State, first)
		if more {
			fmt.Fprintf(&b, "\n  … %s", strings.TrimSpace(rest[strings.LastIndex(rest, "\n")+1:]))
		}
	}
	if more := len(told) - mostErrors; more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	b.WriteString("\n")
	if failed > 0 {
		b.WriteString("`evalnas jobs logs ID` prints what a job said\n")
	}
	return b.String()
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// tableWidth is that of a table where nobody can tell how wide the window is, and no table
// is wider.
const tableWidth = 100

// watchRows is how many lines watch shows where it is not a window that it draws in.
const watchRows = 24

// screen draws over what it drew before on a terminal, and below elsewhere,
// where it leaves out what did not change.
type screen struct {
	out      io.Writer
	terminal bool
	size     func() (columns, rows int, ok bool)
	last     string
	columns  int // of the window when it last drew
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, size: func() (int, int, bool) { return 0, 0, false }}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
		s.size = func() (int, int, bool) { return windowSize(f) }
	}
	return s
}

// width is how wide a table may be.
func (s *screen) width() int {
	if columns, _, ok := s.size(); ok {
		return min(columns, tableWidth)
	}
	return tableWidth
}

// draw shows the list in the window as it is now.
func (s *screen) draw(l jobList) error {
	columns, rows, ok := s.size()
	if !ok || !s.terminal {
		return s.show(l.window(tableWidth, watchRows))
	}
	text := l.window(min(columns, tableWidth), rows)
	if s.columns != 0 && s.columns != columns && s.last != "" {
		// What was drawn was broken into lines anew: nobody knows how many there are.
		s.columns, s.last = columns, text
		_, err := io.WriteString(s.out, "\x1b[H\x1b[2J"+text)
		return err
	}
	s.columns = columns
	return s.show(text)
}

func (s *screen) show(text string) error {
	if text == s.last {
		return nil
	}
	over := ""
	if lines := strings.Count(s.last, "\n"); s.terminal && lines > 0 {
		over = fmt.Sprintf("\x1b[%dA\x1b[J", lines) // up, then clear to the end
	}
	s.last = text
	_, err := io.WriteString(s.out, over+text)
	return err
}
