// Package emit is what the commands that write the assembly share.
package emit

import (
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Call is the pointer to a function's arguments, a struct of fields of 8 bytes each.
// The structs are in the package that the assembly is for; a test there holds them to
// these lists.
type Call struct {
	Pointer Register
	Fields  []string
}

// Begin begins a function of one such argument.
func Begin(name string, fields []string) Call {
	TEXT(name, NOSPLIT, "func(c *byte)")
	return Call{Load(Param("c"), GP64()), fields}
}

// Field is the place of a field.
func (c Call) Field(name string) Mem {
	i := slices.Index(c.Fields, name)
	if i < 0 {
		panic("no field " + name)
	}
	return Mem{Base: c.Pointer, Disp: 8 * i}
}

// Load is a field's value in a register.
func (c Call) Load(name string) GPVirtual {
	r := GP64()
	MOVQ(c.Field(name), r)
	return r
}
