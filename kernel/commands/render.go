package commands

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"evalnas/kernel"
	"evalnas/nasapi"
	"evalnas/nasapi/stats"
)

type alignment int

const (
	left alignment = iota
	right
	prose // to the left, and may be broken into lines
	wide  // prose of some length
)

type column struct {
	title string
	align alignment
}

// tableView renders rows as HTML and as aligned text. The two say the same.
type tableView struct {
	oracle  bool     // under the watermark
	marks   []string // other warnings on top
	title   string
	columns []column
	rows    [][]tableCell
	beneath map[int]remark // by the row that it follows
	notes   []string

	// folds names what rows are of where a display shows only some of very many.
	folds string
}

// remark is lines of text beneath a row, over the whole width.
type remark struct {
	text string
	bad  bool // says what went wrong
}

// tableCell is one entry; markup replaces the escaped text in HTML.
type tableCell struct {
	text   string
	markup string
}

func newTable(title string, columns ...column) *tableView {
	return &tableView{title: title, columns: columns}
}

// add appends a row of plain entries.
func (t *tableView) add(texts ...string) {
	row := make([]tableCell, len(texts))
	for i, s := range texts {
		row[i].text = s
	}
	t.rows = append(t.rows, row)
}

func (t *tableView) addCells(row ...tableCell) { t.rows = append(t.rows, row) }

// below adds a remark on the row that was added last.
func (t *tableView) below(text string, bad bool) {
	if t.beneath == nil {
		t.beneath = map[int]remark{}
	}
	t.beneath[len(t.rows)-1] = remark{text, bad}
}

func (t *tableView) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// dropEmptyColumns removes those of the named columns, of all where none is named, in which
// no row has an entry.
func (t *tableView) dropEmptyColumns(titles ...string) {
	keep := make([]bool, len(t.columns))
	for i, c := range t.columns {
		keep[i] = len(titles) > 0 && !slices.Contains(titles, c.title)
	}
	for _, row := range t.rows {
		for i, c := range row {
			keep[i] = keep[i] || c.text != ""
		}
	}
	t.columns = kept(t.columns, keep)
	for i := range t.rows {
		t.rows[i] = kept(t.rows[i], keep)
	}
}

func kept[T any](all []T, keep []bool) []T {
	var out []T
	for i, v := range all {
		if keep[i] {
			out = append(out, v)
		}
	}
	return out
}

// A table that folds shows so many rows where it has more than foldAbove: a page that shows
// thousands is slow, and nobody reads them.
const (
	foldAbove = 60
	foldHead  = 20
	foldTail  = 5
)

// shown is the table as it is displayed. Where it folds, rows in the middle are left out and
// counted; those with a remark, which say what went wrong, stay.
func (t *tableView) shown() *tableView {
	if t.folds == "" || len(t.rows) <= foldAbove {
		return t
	}
	short := *t
	short.rows, short.beneath = nil, map[int]remark{}
	left := 0
	for i, row := range t.rows {
		r, remarked := t.beneath[i]
		if i >= foldHead && i < len(t.rows)-foldTail && !remarked {
			left++
			continue
		}
		if remarked {
			short.beneath[len(short.rows)] = r
		}
		short.rows = append(short.rows, row)
	}
	short.notes = append([]string{fmt.Sprintf("%s of %s rows are left out here: %s.", count(left), count(len(t.rows)), t.folds)}, t.notes...)
	return &short
}

func (t *tableView) bundle() *kernel.Bundle {
	t = t.shown()
	return htmlBundle(t.html(), t.text())
}

// The styles are inline and few: notebooks keep them when they are saved,
// exported and shown elsewhere, and both themes of JupyterLab stay readable.
const (
	padding    = "padding:2px 8px;"
	leftStyle  = padding + "white-space:nowrap;text-align:left;"
	rightStyle = padding + "white-space:nowrap;text-align:right;font-variant-numeric:tabular-nums;"
	proseStyle = padding + "white-space:normal;text-align:left;min-width:8em;max-width:16em;"
	wideStyle  = padding + "white-space:normal;overflow-wrap:anywhere;text-align:left;min-width:12em;max-width:36em;"
)

func (a alignment) style() string {
	return [...]string{leftStyle, rightStyle, proseStyle, wideStyle}[a]
}

// headStyle lets titles break, so that they do not widen their columns.
func (a alignment) headStyle() string {
	side := "left"
	if a == right {
		side = "right"
	}
	return padding + "white-space:normal;vertical-align:bottom;text-align:" + side + ";"
}

// The width of a remark is that of the table, of a narrow one more; its lines are broken.
const (
	remarkStyle = "margin:0 0 4px 1em;padding:2px 8px;box-sizing:border-box;width:0;min-width:max(calc(100% - 1em),36em);max-height:14em;overflow:auto;" +
		"white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere;font-family:monospace;font-size:90%;line-height:1.3;text-align:left;color:inherit;"
	badRemark  = remarkStyle + "background:rgba(224,56,63,0.1);border-left:3px solid " + red
	calmRemark = remarkStyle + "background:transparent;border-left:3px solid " + yellow
)

func (r remark) html(columns int) string {
	style := calmRemark
	if r.bad {
		style = badRemark
	}
	return fmt.Sprintf(`<tr><td colspan="%d" style="padding:0;text-align:left"><pre style="%s">%s</pre></td></tr>`, columns, style, html.EscapeString(r.text))
}

func (r remark) plain() string {
	return "    | " + strings.ReplaceAll(r.text, "\n", "\n    | ") + "\n"
}

func (t *tableView) html() string {
	var b strings.Builder
	b.WriteString(`<div class="evalnas" style="overflow-x:auto">`)
	for _, m := range t.allMarks() {
		b.WriteString(watermarkHTML(m))
	}
	if t.title != "" {
		fmt.Fprintf(&b, `<p style="margin:4px 0"><b>%s</b></p>`, html.EscapeString(t.title))
	}
	b.WriteString("<table><thead><tr>")
	for _, c := range t.columns {
		fmt.Fprintf(&b, `<th style="%s">%s</th>`, c.align.headStyle(), html.EscapeString(c.title))
	}
	b.WriteString("</tr></thead><tbody>")
	for n, row := range t.rows {
		b.WriteString("<tr>")
		for i, c := range row {
			markup := c.markup
			if markup == "" {
				markup = html.EscapeString(c.text)
			}
			fmt.Fprintf(&b, `<td style="%s">%s</td>`, t.columns[i].align.style(), markup)
		}
		b.WriteString("</tr>")
		if r, ok := t.beneath[n]; ok {
			b.WriteString(r.html(len(t.columns)))
		}
	}
	b.WriteString("</tbody></table>")
	for _, n := range t.notes {
		fmt.Fprintf(&b, `<p style="margin:4px 0;font-size:90%%">%s</p>`, html.EscapeString(n))
	}
	b.WriteString("</div>")
	return b.String()
}

func (t *tableView) text() string {
	width := make([]int, len(t.columns))
	for i, c := range t.columns {
		width[i] = utf8.RuneCountInString(c.title)
	}
	for _, row := range t.rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	for _, m := range t.allMarks() {
		b.WriteString(m + "\n")
	}
	if t.title != "" {
		b.WriteString(t.title + "\n")
	}
	line := func(get func(i int) string) {
		var parts []string
		for i, c := range t.columns {
			s := get(i)
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(s))
			if c.align == right {
				parts = append(parts, pad+s)
			} else {
				parts = append(parts, s+pad)
			}
		}
		b.WriteString(strings.TrimRight(strings.Join(parts, "  "), " ") + "\n")
	}
	line(func(i int) string { return t.columns[i].title })
	for n, row := range t.rows {
		line(func(i int) string { return row[i].text })
		if r, ok := t.beneath[n]; ok {
			b.WriteString(r.plain())
		}
	}
	for _, n := range t.notes {
		b.WriteString(n + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// allMarks are the warnings on top, the watermark of an oracle first.
func (t *tableView) allMarks() []string {
	if !t.oracle {
		return t.marks
	}
	return append([]string{oracleWatermark}, t.marks...)
}

// watermark is the banner of everything that an oracle search has touched.
func watermarkHTML(text string) string {
	return fmt.Sprintf(`<p style="margin:4px 0;padding:4px 8px;border:2px solid #b00020;color:#b00020;background:#fff4f4;font-weight:bold">%s</p>`, html.EscapeString(text))
}

const (
	oracleWatermark = nasapi.OracleMark
	oracleTag       = " [oracle]" // behind the names of what the watermark is about
)

func shortHash(h string) string {
	if len(h) > 8 {
		return h[:8]
	}
	return h
}

// count writes an integer with thin groups: 49,979,274.
func count[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// number writes a value with a sensible precision: accuracies with four
// decimals of a fraction, counts (and their means) as whole numbers with groups.
func number(v float64) string {
	if math.Abs(v) >= 1000 && math.Abs(v) < 1e18 {
		return count(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'f', 4, 64)
}

// nullProbability writes a p of the exact null, which has a smallest value that
// it resolves.
func nullProbability(p float64) string {
	if p <= stats.MinP {
		return fmt.Sprintf("< %.0e", stats.MinP)
	}
	return probability(p)
}

// probability writes a p-value without pretending to more digits than help.
func probability(p float64) string {
	switch {
	case p < 0.00095:
		return fmt.Sprintf("%.0e", p)
	case p < 0.0995:
		return strconv.FormatFloat(p, 'f', 3, 64)
	}
	return strconv.FormatFloat(p, 'f', 2, 64)
}

// percentileText writes a percentile with at least so many decimals, and with
// more where the last would round it up to 100, which only the best cell has.
func percentileText(p float64, decimals int) string {
	for ; decimals < 6; decimals++ {
		if s := strconv.FormatFloat(p, 'f', decimals, 64); p >= 100 || !strings.HasPrefix(s, "100") {
			return s
		}
	}
	return strconv.FormatFloat(p, 'f', decimals, 64)
}

// markdown renders the table for a Markdown file.
func (t *tableView) markdown() string {
	escape := strings.NewReplacer("|", `\|`, "\n", " ")
	var b strings.Builder
	for _, m := range t.allMarks() {
		fmt.Fprintf(&b, "> **%s**\n\n", m)
	}
	if t.title != "" {
		fmt.Fprintf(&b, "**%s**\n\n", t.title)
	}
	b.WriteString("|")
	for _, c := range t.columns {
		b.WriteString(" " + escape.Replace(c.title) + " |")
	}
	b.WriteString("\n|")
	for _, c := range t.columns {
		if c.align == right {
			b.WriteString(" ---: |")
		} else {
			b.WriteString(" --- |")
		}
	}
	b.WriteString("\n")
	for _, row := range t.rows {
		b.WriteString("|")
		for _, c := range row {
			b.WriteString(" " + escape.Replace(c.text) + " |")
		}
		b.WriteString("\n")
	}
	for _, n := range t.notes {
		b.WriteString("\n" + n + "\n")
	}
	return b.String()
}
