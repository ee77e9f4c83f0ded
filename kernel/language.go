package kernel

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
)

// Language is what the kernel executes cells with. The kernel calls Execute
// from one goroutine at a time; Complete, Inspect and IsComplete come from the
// same queue. Cursor positions are byte offsets into the UTF-8 code: the
// kernel converts from and to the protocol's code points.
type Language interface {
	Info() LanguageInfo
	// Execute runs a cell. A nil result means that the cell has no value to
	// show. An error that is a *CellError reaches the front end as it is, any
	// other as an internal error. When ctx ends (an interrupt) it returns
	// within 100 ms.
	Execute(ctx context.Context, cell *Cell, code string) (*Bundle, error)
	// Evaluate computes one user expression after a cell.
	Evaluate(ctx context.Context, cell *Cell, expr string) (*Bundle, error)
	Complete(code string, cursor int) Completion
	// Inspect returns the documentation of the name at the cursor, nil if
	// there is none. detail is 0 (signature and summary) or 1 (all of it).
	Inspect(code string, cursor, detail int) *Bundle
	IsComplete(code string) Completeness
}

// LanguageInfo goes into kernel_info_reply.
type LanguageInfo struct {
	Name              string `json:"name"`
	Version           string `json:"version"`
	MIMEType          string `json:"mimetype"`
	FileExtension     string `json:"file_extension"`
	PygmentsLexer     string `json:"pygments_lexer"`
	CodeMirrorMode    any    `json:"codemirror_mode"`
	NbconvertExporter string `json:"nbconvert_exporter"`

	Banner    string     `json:"-"`
	HelpLinks []HelpLink `json:"-"`
}

// HelpLink is an entry of the front end's help menu.
type HelpLink struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}

// Bundle is one output in several MIME types. text/plain is always present.
type Bundle struct {
	Data     map[string]any
	Metadata map[string]any
}

// TextBundle is a bundle of text/plain alone.
func TextBundle(text string) *Bundle {
	return &Bundle{Data: map[string]any{"text/plain": text}}
}

// Cell is one execution.
type Cell struct {
	Count  int  // the execution count that the front end shows, In[Count]
	Silent bool // nothing is shown, no history
	// Metadata is the execute_request's metadata, nil if it had none.
	Metadata json.RawMessage
	Out      Output
}

// Output publishes a cell's outputs, in order. Its methods may be called from
// any goroutine. UpdateDisplay is valid for the life of the kernel: it goes
// out under the cell that is executing then, else under the cell that it
// belongs to and once more under the next. A display changes at most four
// times a second, and its last state always comes. The others are for the time of the execution.
type Output interface {
	Stream(name, text string) // "stdout" or "stderr"
	// Display shows a bundle; with an id it can be updated later.
	Display(b *Bundle, id string)
	UpdateDisplay(b *Bundle, id string)
	Clear(wait bool)
	// Page shows long help in the front end's pager.
	Page(b *Bundle)
	// Exit has the front end leave, and its own kernel with it: a console does,
	// a notebook stays.
	Exit()
	// Input asks the person at the front end; it fails where the front end
	// cannot (batch execution).
	Input(ctx context.Context, prompt string, password bool) (string, error)
}

// CellError is an error as a notebook shows it.
type CellError struct {
	Name      string   // such as NameError
	Value     string   // one line
	Traceback []string // lines, may hold ANSI colours
}

func (e *CellError) Error() string {
	if e.Value == "" {
		return e.Name
	}
	return e.Name + ": " + strings.TrimSpace(e.Value)
}

// Completion is the answer to Tab.
type Completion struct {
	Start, End int // the byte range that a match replaces
	Matches    []Match
}

// Match is one completion.
type Match struct {
	Text      string
	Type      string // "function", "instance", "keyword", "param", "property", "path", ...
	Signature string // for functions, such as (policy, space, objective, seeds)
}

// Completeness answers whether the code can be run as it stands.
type Completeness struct {
	Status string // "complete", "incomplete", "invalid"
	Indent string // for the next line, if incomplete
}

var exitCell = regexp.MustCompile(`^\s*(exit|quit)\s*(\(\s*\)\s*)?$`)

// ExitName is the name by which a whole cell asks to leave, as people do in a console: of
// exit, quit, exit() and quit(). It is empty for other cells.
func ExitName(code string) string {
	if m := exitCell.FindStringSubmatch(code); m != nil {
		return m[1]
	}
	return ""
}
