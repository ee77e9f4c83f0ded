package commands

import (
	"fmt"
	"html"
	"regexp"
	"strconv"
	"strings"
	"time"

	"evalnas/nasapi/jobs"
)

// What the tables of searches, of trainings and of jobs() say alike of a job's status.

// The colours have the same contrast, above 4 to 1, on white and on the black of dark themes.
const (
	green  = "#1f8a3a"
	blue   = "#2f7de0"
	red    = "#e0383f"
	yellow = "#9a7400"
)

var stateColours = map[jobs.State]string{
	jobs.Done: green, jobs.Running: blue, jobs.Failed: red, jobs.Lost: red,
	jobs.Cancelled: yellow, jobs.Checkpointed: yellow, jobs.Preempted: yellow,
}

func stateCell(s jobs.State, held bool) tableCell {
	c := tableCell{text: string(s)}
	if held {
		c.text += ", held"
	}
	if colour := stateColours[s]; colour != "" {
		c.markup = fmt.Sprintf(`<span style="color:%s">%s</span>`, colour, html.EscapeString(c.text))
	}
	return c
}

// triesTexts are the entries of the column "tries", all empty where every job was begun
// once at most.
func triesTexts(statuses []jobs.Status) []string {
	texts := make([]string, len(statuses))
	again := false
	for i, st := range statuses {
		again = again || st.Retries > 0 || st.Attempt > 1
		if n := st.Tries(); n > 0 {
			texts[i] = strconv.Itoa(n)
		}
	}
	if !again {
		clear(texts)
	}
	return texts
}

// noteCost adds what jobs have taken, if they have taken anything.
func (t *tableView) noteCost(statuses []jobs.Status, final bool) {
	var spent time.Duration
	for _, st := range statuses {
		spent += st.Spent
	}
	what := "Cost so far"
	if final {
		what = "Cost"
	}
	if spent > 0 {
		t.note("%s: %s (a device: one slot of this machine, or what SLURM gives a task).", what, jobs.CostText(spent))
	}
}

// reasons puts beneath the rows of a table why jobs failed, were interrupted or are tried
// again. Rows in turn share what is the same, what is long is told once, and a table of a thousand
// failed jobs stays readable.
type reasons struct {
	told map[string]string // who had it first, by the text

	last  string // what was told last, in full
	row   int    // beneath which it stands
	alike int    // how many rows in turn it is of
}

const (
	reasonLines = 8   // of one reason
	fullReasons = 8   // that are told in full, of later ones the first line and the last
	reasonWidth = 300 // of a line
)

// below says it beneath the last row of the table, which belongs to who.
func (r *reasons) below(t *tableView, who string, st jobs.Status) {
	if st.Error == "" || st.State == jobs.Done {
		return
	}
	bad := st.State == jobs.Failed || st.State == jobs.Lost
	lines := reasonLines
	if len(r.told) >= fullReasons {
		lines = 2
	}
	text := excerpt(reasonText(st), lines)
	row := len(t.rows) - 1
	if r.alike > 0 && r.row == row-1 && r.last == text {
		shared := t.beneath[r.row]
		delete(t.beneath, r.row)
		r.row, r.alike = row, r.alike+1
		t.below(fmt.Sprintf("%d alike: %s", r.alike, strings.TrimPrefix(shared.text, fmt.Sprintf("%d alike: ", r.alike-1))), bad)
		return
	}
	r.last, r.row, r.alike = text, row, 1
	first := r.told[text]
	switch {
	case !strings.Contains(text, "\n"): // short enough to say again
	case first != "":
		text = "as " + first
	default:
		if r.told == nil {
			r.told = map[string]string{}
		}
		r.told[text] = who
	}
	t.below(text, bad)
}

// reasonText is what happened to the last attempt, and what follows from it.
func reasonText(st jobs.Status) string {
	switch st.State {
	case jobs.Checkpointed:
		return st.Error + "; it goes on from its saved state"
	case jobs.Preempted:
		return st.Error + "; it begins anew"
	case jobs.Pending:
		return "to be tried again: " + st.Error
	}
	return st.Error
}

var ansiEscape = regexp.MustCompile(`\x1b\[[0-9;?]*[ -/]*[@-~]`)

// excerpt is the first line of a text, which says what happened, and its last ones, where a
// traceback says why; without colours and other control characters.
func excerpt(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(ansiEscape.ReplaceAllString(text, "")), "\n")
	if len(all) > lines {
		rest := all[len(all)-max(1, lines-2):]
		all = append([]string{all[0], "…"}, rest...)
	}
	for i, line := range all {
		line = strings.TrimRight(strings.Map(printable, line), " ")
		if runes := []rune(line); len(runes) > reasonWidth {
			line = string(runes[:reasonWidth-1]) + "…"
		}
		all[i] = line
	}
	return strings.Join(all, "\n")
}

func printable(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case r < ' ' || r == 0x7f:
		return -1
	}
	return r
}
