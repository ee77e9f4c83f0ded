package notebook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Tags of papermill's.
const (
	parametersTag = "parameters"
	injectedTag   = "injected-parameters"
)

// Parameter is a name and the source of its value in the language of the cells.
type Parameter struct{ Name, Source string }

// Inject puts a cell that sets the parameters behind the cell tagged "parameters",
// at the top where there is none, and in the place of an earlier one.
func (nb *Notebook) Inject(params []Parameter) {
	if len(params) == 0 {
		return
	}
	var source strings.Builder
	source.WriteString("# Parameters")
	for _, p := range params {
		fmt.Fprintf(&source, "\n%s = %s", p.Name, p.Source)
	}
	cell := &Cell{Kind: Code, ID: nb.newID(injectedTag), Source: source.String(), Metadata: map[string]any{"tags": []any{injectedTag}}}
	if at := nb.tagged(injectedTag); at >= 0 {
		cell.ID = nb.Cells[at].ID
		nb.Cells[at] = cell
		return
	}
	nb.Cells = slices.Insert(nb.Cells, nb.tagged(parametersTag)+1, cell)
}

// UnknownParameters are the names that the cell tagged "parameters" does not set:
// they may be misspelt. There are none where no cell has the tag.
func (nb *Notebook) UnknownParameters(params []Parameter) []string {
	at := nb.tagged(parametersTag)
	if at < 0 {
		return nil
	}
	var unknown []string
	for _, p := range params {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(p.Name) + `\s*(:[^=\n]*)?=[^=]`).MatchString(nb.Cells[at].Source) {
			unknown = append(unknown, p.Name)
		}
	}
	return unknown
}

// tagged is the first code cell with a tag, -1 if there is none.
func (nb *Notebook) tagged(tag string) int {
	for i, c := range nb.Cells {
		if c.Kind == Code && c.Tagged(tag) {
			return i
		}
	}
	return -1
}

func (nb *Notebook) newID(name string) string {
	taken := map[string]bool{}
	for _, c := range nb.Cells {
		taken[c.ID] = true
	}
	return freshID(name, taken)
}
