package commands

import (
	"errors"
	"fmt"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi/data"
)

// dataValue is a set of images in a cell.
type dataValue struct {
	immutable
	entry data.Entry
}

var _ lib.HasAttrs = (*dataValue)(nil)

func (d *dataValue) String() string {
	if d.entry.Synthetic {
		return fmt.Sprintf("%s (SYNTHETIC, %s)", d.entry.Name, d.entry.Shape)
	}
	return fmt.Sprintf("%s (%s)", d.entry.Name, d.entry.Shape)
}
func (d *dataValue) Type() string          { return "data" }
func (d *dataValue) Hash() (uint32, error) { return hashString(d.entry.Digest), nil }

var dataAttrs = attrTable[*dataValue]{
	{"name", "what the set is called", func(d *dataValue) (lib.Value, error) { return lib.String(d.entry.Name), nil }},
	{"digest", "SHA-256 over the decoded images and labels: it names the set in jobs", func(d *dataValue) (lib.Value, error) { return lib.String(d.entry.Digest), nil }},
	{"train", "number of images to train on, those held back among them", func(d *dataValue) (lib.Value, error) { return lib.MakeInt(d.entry.TrainN), nil }},
	{"test", "number of test images", func(d *dataValue) (lib.Value, error) { return lib.MakeInt(d.entry.TestN), nil }},
	{"shape", "height, width and channels of an image", func(d *dataValue) (lib.Value, error) {
		return lib.Tuple{lib.MakeInt(d.entry.H), lib.MakeInt(d.entry.W), lib.MakeInt(d.entry.C)}, nil
	}},
	{"classes", "list of the classes' names, or their number where they have none", func(d *dataValue) (lib.Value, error) {
		if len(d.entry.ClassNames) == 0 {
			return lib.MakeInt(d.entry.Classes), nil
		}
		return stringList(d.entry.ClassNames), nil
	}},
	{"synthetic", "True if the images were made up: no accuracy on them says anything about real ones", func(d *dataValue) (lib.Value, error) { return lib.Bool(d.entry.Synthetic), nil }},
	{"source", "where it came from", func(d *dataValue) (lib.Value, error) { return lib.String(d.entry.Source), nil }},
}

func (d *dataValue) Attr(name string) (lib.Value, error) { return dataAttrs.get(d, name) }
func (d *dataValue) AttrNames() []string                 { return dataAttrs.names() }
func (d *dataValue) AttrDoc(name string) string          { return dataAttrs.doc(name) }
func (d *dataValue) Doc() string {
	return d.String() + "\n\nA set of images for train(...).\n\n" + dataAttrs.list()
}

// Bundle shows what is known of the set.
func (d *dataValue) Bundle() (*kernel.Bundle, error) {
	e := d.entry
	title := e.Name
	if e.Synthetic {
		title += ": SYNTHETIC images, made up for tests and first steps"
	}
	t := newTable(title, column{"train", right}, column{"test", right}, column{"size", left}, column{"classes", right}, column{"digest", left}, column{"source", prose})
	t.add(count(e.TrainN), count(e.TestN), fmt.Sprintf("%dx%dx%d", e.H, e.W, e.C), fmt.Sprint(e.Classes), shortHash(e.Digest), e.Source)
	return t.bundle(), nil
}

func resolved(c *starlark.Call, name string) (lib.Value, error) {
	e, err := data.Resolve(name)
	if missing := (*data.MissingError)(nil); errors.As(err, &missing) {
		return nil, named(c, "FileNotFoundError", "%w", err)
	}
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return &dataValue{entry: e}, nil
}

func dataArg(c *starlark.Call, name string) (data.Entry, error) {
	switch v := c.Value(name).(type) {
	case *dataValue:
		return v.entry, nil
	case lib.String:
		d, err := resolved(c, string(v))
		if err != nil {
			return data.Entry{}, err
		}
		return d.(*dataValue).entry, nil
	}
	return data.Entry{}, named(c, "TypeError", "%s is %s: give images, such as cifar10(), images(\"folder/\") or synthetic()", name, c.Value(name).Type())
}

// knownCommands make a command of each public set, of its name with _ for -.
func knownCommands() []*starlark.Command {
	var out []*starlark.Command
	for _, k := range data.KnownSets() {
		name := strings.ReplaceAll(k.Name, "-", "_")
		out = append(out, &starlark.Command{
			Name: name,
			Doc: fmt.Sprintf("%s: %s.\n\nIt must have been fetched once, in a terminal: `evalnas data fetch %s`.\n\n    train(arch, %s(), epochs=50)",
				k.Title, k.Shape, k.Name, name),
			Run: func(c *starlark.Call) (lib.Value, error) { return resolved(c, k.Name) },
		})
	}
	return out
}

func (e *Env) dataCommands() []*starlark.Command {
	return append(knownCommands(), &starlark.Command{
		Name: "images",
		Params: []starlark.Param{
			{Name: "path", Type: "str", Doc: "a folder with one folder of PNG or JPEG images a class, or with train/ and test/ that hold such folders; or an .npz file"},
			{Name: "name", Default: lib.None, KeywordOnly: true, Type: "str", Doc: "what to call the set; None: the name of the path"},
			{Name: "test_share", Default: lib.Float(0.1), KeywordOnly: true, Type: "float", Doc: "share of images to test on, where there is no test part"},
			{Name: "seed", Default: lib.MakeInt(0), KeywordOnly: true, Type: "int", Doc: "draws the test part"},
			{Name: "skip_unreadable", Default: lib.False, KeywordOnly: true, Type: "bool", Doc: "leave out images that cannot be read or have another size than most"},
			{Name: "replace", Default: lib.False, KeywordOnly: true, Type: "bool", Doc: "let the name mean this set if it meant another"},
		},
		Doc: `Images of one's own, of any size and number of classes, for train(...).

They are read and checked once, and kept as one file whose digest names them in jobs.

    mine = images("flowers/", test_share=0.2)
    train(genotype("DARTS_V2"), mine, epochs=50, channels=16, cells=8)`,
		Run: e.runImages,
	}, &starlark.Command{
		Name: "synthetic",
		Params: []starlark.Param{
			{Name: "seed", Default: lib.MakeInt(0), KeywordOnly: true, Type: "int", Doc: "draws the images"},
			{Name: "train", Default: lib.MakeInt(1024), KeywordOnly: true, Type: "int", Doc: "images to train on"},
			{Name: "test", Default: lib.MakeInt(256), KeywordOnly: true, Type: "int", Doc: "images to test on"},
			{Name: "side", Default: lib.MakeInt(16), KeywordOnly: true, Type: "int", Doc: "pixels of a side"},
			{Name: "classes", Default: lib.MakeInt(4), KeywordOnly: true, Type: "int", Doc: "number of classes"},
		},
		Doc: `Images that are made up, for tests and first steps: no download is needed.

An accuracy on them says nothing about real images; everything that was trained on them says so.

    train(genotype("DARTS_V2"), synthetic(), epochs=2, channels=4, cells=3)`,
		Run: runSynthetic,
	})
}

func runSynthetic(c *starlark.Call) (lib.Value, error) {
	var s data.SyntheticSpec
	seed, err := c.Int64("seed")
	if err != nil {
		return nil, err
	}
	s.Seed = seed
	for _, n := range []struct {
		name string
		to   *int
	}{{"train", &s.TrainN}, {"test", &s.TestN}, {"side", &s.H}, {"classes", &s.Classes}} {
		if *n.to, err = c.Int(n.name); err != nil {
			return nil, err
		}
		if *n.to < 1 {
			return nil, c.Errorf("%s is %d: it must be 1 or more", n.name, *n.to)
		}
	}
	s.W = s.H
	entry, err := data.ResolveSynthetic(s)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return &dataValue{entry: entry}, nil
}

func (e *Env) runImages(c *starlark.Call) (lib.Value, error) {
	path, err := c.String("path")
	if err != nil {
		return nil, err
	}
	var o data.ImportOptions
	if !c.IsNone("name") {
		if o.Name, err = c.String("name"); err != nil {
			return nil, err
		}
	}
	if o.TestShare, err = c.Float("test_share"); err != nil {
		return nil, err
	}
	if o.Seed, err = c.Int64("seed"); err != nil {
		return nil, err
	}
	if o.SkipUnreadable, err = c.Bool("skip_unreadable"); err != nil {
		return nil, err
	}
	if o.Replace, err = c.Bool("replace"); err != nil {
		return nil, err
	}
	o.Events.Note = func(text string) { c.Cell.Out.Stream("stderr", text+"\n") }
	entry, err := data.Import(c.Ctx, e.path(path), o)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return &dataValue{entry: entry}, nil
}
