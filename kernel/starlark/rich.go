package starlark

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	_ "image/jpeg" // Image reads both
	_ "image/png"
	"os"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
)

// rich is a value that a cell made to be shown as HTML, Markdown and the like.
type rich struct {
	kind     string // the builtin that made it
	mime     string
	data     any    // of that type, as messages carry it
	text     string // for readers that show text only
	metadata map[string]any
}

var (
	_ lib.Value = (*rich)(nil)
	_ Bundler   = (*rich)(nil)
)

func (r *rich) String() string        { return r.text }
func (r *rich) Type() string          { return r.kind }
func (r *rich) Freeze()               {}
func (r *rich) Truth() lib.Bool       { return true }
func (r *rich) Hash() (uint32, error) { return lib.String(r.text).Hash() }

func (r *rich) Bundle() (*kernel.Bundle, error) {
	b := kernel.TextBundle(r.text)
	b.Data[r.mime] = r.data
	if r.metadata != nil {
		b.Metadata = map[string]any{r.mime: r.metadata}
	}
	return b, nil
}

// maxImage bounds a picture, and the text of any other value to be shown: a notebook holds it.
const maxImage = 20 << 20

// stderrValue is the name stderr, for print(..., file=stderr).
type stderrValue struct{}

func (stderrValue) String() string        { return "stderr" }
func (stderrValue) Type() string          { return "stderr" }
func (stderrValue) Freeze()               {}
func (stderrValue) Truth() lib.Bool       { return true }
func (stderrValue) Hash() (uint32, error) { return lib.String("stderr").Hash() }

func (in *Interpreter) richBuiltins() []*Command {
	text := func(name, mime, doc, example string) *Command {
		return &Command{
			Name: name, Params: []Param{required("text", "str", "what to show")},
			Doc: doc + "\n\nExample: `" + example + "`",
			Run: func(c *Call) (lib.Value, error) {
				s, err := c.String("text")
				if err != nil {
					return nil, err
				}
				if len(s) > maxImage {
					return nil, c.Errorf("text has %d bytes: a notebook takes at most %d", len(s), maxImage)
				}
				return &rich{kind: name, mime: mime, data: s, text: s}, nil
			},
		}
	}
	return []*Command{
		text("HTML", "text/html", "Text that is shown as HTML.", `HTML("<b>bold</b>")`),
		text("Markdown", "text/markdown", "Text that is shown as Markdown.", `Markdown("**bold**")`),
		text("Latex", "text/latex", "Text that is shown as LaTeX, with its dollar signs.", `Latex("$\\tau = 0.3$")`),
		text("SVG", "image/svg+xml", "Text that is shown as a drawing in SVG.", `SVG("<svg>...</svg>")`),
		{
			Name: "JSON", Params: []Param{required("value", "dict or list", "what to show; its keys are strings")},
			Doc: "A dict or list that is shown as a tree to unfold.\n\nExample: `JSON({\"valid\": [0.91, 0.93]})`",
			Run: runJSON,
		},
		{
			Name: "Image", Params: []Param{
				required("source", "str or bytes", "a file, seen from the notebook, or its content: PNG or JPEG"),
				optional("width", lib.None, "int", "how wide to show it, in pixels"),
			},
			Doc: "A picture that is shown in the notebook, which then holds it.\n\nExample: `Image(\"cells.png\", width=400)`",
			Run: runImage,
		},
		{
			Name: "clear_output", Params: []Param{optional("wait", lib.False, "bool", "clear when the next output comes, so that nothing flickers")},
			Doc: "Remove what the cell has shown so far.\n\nExample: `clear_output(wait=True)`",
			Run: func(c *Call) (lib.Value, error) {
				wait, err := c.Bool("wait")
				if err == nil {
					c.Cell.Out.Clear(wait)
				}
				return lib.None, err
			},
		},
		{
			Name: "update_display", Params: []Param{
				required("value", "any", "what to show instead"),
				{Name: "display_id", Type: "str", Doc: "the name that display(..., display_id=) gave", KeywordOnly: true},
			},
			Doc: "Replace what `display(value, display_id=...)` has shown, wherever it is.\n\nExample: `update_display(Markdown(\"done\"), display_id=\"state\")`",
			Run: func(c *Call) (lib.Value, error) {
				return lib.None, showAs(c, c.Value("value"), c.Cell.Out.UpdateDisplay)
			},
		},
	}
}

// showAs shows a value under the display_id that the call gives.
func showAs(c *Call, v lib.Value, show func(*kernel.Bundle, string)) error {
	id, err := c.String("display_id")
	if err != nil {
		return err
	}
	if id == "" {
		return c.Errorf("display_id is empty: give the display a name")
	}
	if _, ok := v.(Shower); ok {
		return c.Errorf("a %s updates itself and takes no display_id", v.Type())
	}
	b, err := c.in.bundle(c.Ctx, v)
	if err == nil {
		show(b, id)
	}
	return err
}

func runJSON(c *Call) (lib.Value, error) {
	v := c.Value("value")
	switch v.(type) {
	case *lib.Dict, *lib.List, lib.Tuple:
	default:
		return nil, c.typeError("value", v, "a dict or a list")
	}
	plain, err := plainJSON(v, 0)
	if err != nil {
		return nil, c.Errorf("value %w", err)
	}
	raw, err := json.Marshal(plain)
	if err != nil { // NaN, say
		return nil, c.Errorf("value: %w", err)
	}
	if len(raw) > maxImage {
		return nil, c.Errorf("value has %d bytes as JSON: a notebook takes at most %d", len(raw), maxImage)
	}
	return &rich{kind: "JSON", mime: "application/json", data: json.RawMessage(raw), text: string(raw)}, nil
}

// plainJSON is a value as encoding/json takes it.
func plainJSON(v lib.Value, depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("is nested deeper than %d, or holds itself", maxNesting)
	}
	switch v := v.(type) {
	case lib.NoneType:
		return nil, nil
	case lib.Bool:
		return bool(v), nil
	case lib.Int:
		return json.Number(v.String()), nil
	case lib.Float:
		return float64(v), nil
	case lib.String:
		return string(v), nil
	case *lib.Dict:
		out := make(map[string]any, v.Len())
		for _, item := range v.Items() {
			key, ok := lib.AsString(item[0])
			if !ok {
				return nil, fmt.Errorf("has the key %s: keys of JSON are strings", item[0])
			}
			x, err := plainJSON(item[1], depth+1)
			if err != nil {
				return nil, err
			}
			out[key] = x
		}
		return out, nil
	case lib.Iterable:
		out := []any{}
		for x := range lib.Elements(v) {
			p, err := plainJSON(x, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, p)
		}
		return out, nil
	}
	return nil, fmt.Errorf("holds a %s, which JSON has no form for", v.Type())
}

func runImage(c *Call) (lib.Value, error) {
	var data []byte
	name := "bytes"
	switch v := c.Value("source").(type) {
	case lib.Bytes:
		data = []byte(v)
	case lib.String:
		name = string(v)
		path := within(c.in.dir, name)
		info, err := os.Stat(path)
		if err != nil {
			return nil, Named("FileNotFoundError", fmt.Errorf("Image: %w", err))
		}
		if !info.Mode().IsRegular() || info.Size() > maxImage {
			return nil, c.Errorf("%s is no file of at most %d bytes", name, maxImage)
		}
		if data, err = os.ReadFile(path); err != nil {
			return nil, c.Errorf("%w", err)
		}
	default:
		return nil, c.typeError("source", v, "a path or bytes")
	}
	if len(data) > maxImage {
		return nil, c.Errorf("the picture has %d bytes: a notebook takes at most %d", len(data), maxImage)
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, c.Errorf("%s is neither PNG nor JPEG", name)
	}
	r := &rich{kind: "Image", mime: "image/" + format, data: data, text: fmt.Sprintf("%s picture, %d x %d", strings.ToUpper(format), config.Width, config.Height)}
	if !c.IsNone("width") {
		width, err := c.Int("width")
		if err != nil {
			return nil, err
		}
		if width < 1 || width > 10_000 {
			return nil, c.Errorf("width is %d: give 1 to 10000 pixels", width)
		}
		r.metadata = map[string]any{"width": width}
	}
	return r, nil
}
