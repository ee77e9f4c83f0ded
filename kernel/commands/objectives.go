package commands

import (
	"fmt"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel/starlark"
	"evalnas/nasapi/objective"
)

// objectiveValue is what guides a search or judges its results.
type objectiveValue struct {
	immutable
	obj *objective.Objective
}

var _ lib.HasAttrs = (*objectiveValue)(nil)
var _ lib.Callable = (*objectiveValue)(nil)

func (o *objectiveValue) String() string        { return o.obj.String() }
func (o *objectiveValue) Type() string          { return "objective" }
func (o *objectiveValue) Name() string          { return o.obj.String() }
func (o *objectiveValue) Hash() (uint32, error) { return hashString(fmt.Sprint(o.obj.Spec())), nil }

// CompareSameType makes objectives of one definition equal.
func (o *objectiveValue) CompareSameType(op syntax.Token, y lib.Value, _ int) (bool, error) {
	equal := o.obj.Spec() == y.(*objectiveValue).obj.Spec()
	switch op {
	case syntax.EQL:
		return equal, nil
	case syntax.NEQ:
		return !equal, nil
	}
	return false, fmt.Errorf("objectives have no order")
}

// CallInternal evaluates an architecture: params()(arch).
func (o *objectiveValue) CallInternal(_ *lib.Thread, args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
	var a lib.Value
	if err := lib.UnpackArgs("objective", args, kwargs, "architecture", &a); err != nil {
		return nil, err
	}
	arch, ok := a.(*archValue)
	if !ok {
		return nil, starlark.Named("TypeError", fmt.Errorf("%s: %s is not an architecture", o.obj, a.Type()))
	}
	v, err := o.obj.Value(arch.found.Arch)
	if err != nil {
		return nil, err
	}
	if o.obj.Spec().Kind != objective.Table { // a count
		return lib.MakeInt64(int64(v)), nil
	}
	return lib.Float(v), nil
}

var objectiveAttrs = attrTable[*objectiveValue]{
	{"description", "what its values are, in words", func(o *objectiveValue) (lib.Value, error) { return lib.String(o.obj.Spec().Describe()), nil }},
	{"oracle", "True if it reads a test column: what it guides is watermarked", func(o *objectiveValue) (lib.Value, error) { return lib.Bool(o.obj.Oracle()), nil }},
}

func (o *objectiveValue) Attr(name string) (lib.Value, error) { return objectiveAttrs.get(o, name) }
func (o *objectiveValue) AttrNames() []string                 { return objectiveAttrs.names() }
func (o *objectiveValue) AttrDoc(name string) string          { return objectiveAttrs.doc(name) }
func (o *objectiveValue) Doc() string {
	return o.obj.String() + ": " + o.obj.Spec().Describe() + "\n\nCall it with an architecture for its value.\n\n" + objectiveAttrs.list()
}

// objectiveArg reads an objective; a table is a common slip for its metric.
func objectiveArg(c *starlark.Call, name string) (*objective.Objective, error) {
	v := c.Value(name)
	switch v := v.(type) {
	case *objectiveValue:
		return v.obj, nil
	case *tableValue:
		return nil, named(c, "TypeError", `%s is a table: give one of its metrics, such as %s.metric("test")`, name, v)
	}
	return nil, named(c, "TypeError", `%s is %s: give an objective: params(), flops(), nasbench101_table().metric("test") or shared_weights(cifar10())`, name, v.Type())
}

func objectiveCommands() []*starlark.Command {
	return []*starlark.Command{
		{
			Name: "params",
			Doc: `The number of trainable parameters as an objective; it never sees a table.

A search maximises it, unless minimise=True: larger counts as better.

    found = search("evolution", space, params(), seeds=range(10), budget=1000)
    params()(space[0])    # of one architecture`,
			Run: func(*starlark.Call) (lib.Value, error) { return &objectiveValue{obj: objective.OfParams()}, nil },
		},
		{
			Name: "flops",
			Doc: `The multiply-adds of one forward pass as an objective; it never sees a table.

A search maximises it, unless minimise=True: larger counts as better.

Convolutions and linear layers on one 32x32 image are counted.

    small = search("random", space, flops(), seeds=range(10), budget=100, minimise=True)`,
			Run: func(*starlark.Call) (lib.Value, error) { return &objectiveValue{obj: objective.OfFLOPs()}, nil },
		},
	}
}
