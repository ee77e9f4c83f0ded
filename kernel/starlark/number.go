package starlark

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

const (
	// bigLimit bounds integers, in bits: the interpreter's operations on larger
	// ones take long, some of them with the square of the size.
	bigLimit = 1 << 20
	// maxDigits is what bigLimit comes to in decimal digits.
	maxDigits = 315_653
	// modLimit bounds the integers of a power with a modulus, in bits.
	modLimit = 1 << 13
)

func tooManyDigits(n int) error {
	return Named("MemoryError", fmt.Errorf("a number of %d digits or more is too long; at most %d are read", n, maxDigits))
}

// boundedInt is int, for texts that are no longer than integers may be.
func boundedInt(b *lib.Builtin) *lib.Builtin {
	return lib.NewBuiltin(b.Name(), func(th *lib.Thread, _ *lib.Builtin, args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		if len(args) > 0 {
			if s, ok := lib.AsString(args[0]); ok && len(s) > maxDigits {
				return nil, fmt.Errorf("int: %w", tooManyDigits(len(s)))
			}
		}
		return b.CallInternal(th, args, kwargs)
	})
}

func add(x, y lib.Value) (lib.Value, error)      { return lib.Binary(syntax.PLUS, x, y) }
func floorDiv(x, y lib.Value) (lib.Value, error) { return lib.Binary(syntax.SLASHSLASH, x, y) }
func modulo(x, y lib.Value) (lib.Value, error)   { return lib.Binary(syntax.PERCENT, x, y) }

// number is a float of an int or float, not of a bool.
func number(v lib.Value) (float64, bool) {
	if _, ok := v.(lib.Bool); ok {
		return 0, false
	}
	return lib.AsFloat(v)
}

func floatPower(x, y float64) (lib.Value, error) {
	if x == 0 && y < 0 {
		return nil, Named("ZeroDivisionError", errors.New("pow: 0 cannot be raised to a negative power"))
	}
	r := math.Pow(x, y)
	if math.IsNaN(r) && !math.IsNaN(x) && !math.IsNaN(y) {
		return nil, Named("ValueError", errors.New("pow: a negative number has no fractional power among the real numbers"))
	}
	if math.IsInf(r, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		return nil, Named("OverflowError", errors.New("pow: the result is too large for a float"))
	}
	return lib.Float(r), nil
}

func runRound(c *Call) (lib.Value, error) {
	digits, err := 0, error(nil)
	if !c.IsNone("ndigits") {
		if digits, err = c.Int("ndigits"); err != nil {
			return nil, err
		}
	}
	switch v := c.Value("number").(type) {
	case lib.Int:
		return roundInt(v, digits), nil
	case lib.Float:
		x := float64(v)
		if !c.IsNone("ndigits") {
			return lib.Float(roundFloat(x, digits)), nil
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, c.Errorf("%v has no nearest integer", v)
		}
		n, _ := big.NewFloat(math.RoundToEven(x)).Int(nil)
		return lib.MakeBigInt(n), nil
	}
	return nil, c.typeError("number", c.Value("number"), "an int or float")
}

// roundFloat rounds the decimal expansion of x, which is exact, so that 2.675,
// a little less than it looks, gives 2.67.
func roundFloat(x float64, digits int) float64 {
	switch {
	case math.IsNaN(x), math.IsInf(x, 0), digits > 323:
		return x
	case digits < -308:
		return 0
	case digits >= 0:
		r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', digits, 64), 64)
		if err != nil {
			return x // rounding up the largest float
		}
		return r
	}
	p := math.Pow10(-digits)
	return math.RoundToEven(x/p) * p
}

func roundInt(v lib.Int, digits int) lib.Value {
	if digits >= 0 {
		return v
	}
	if -digits > v.BigInt().BitLen() {
		return lib.MakeInt(0) // fewer digits than are rounded away
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-digits)), nil)
	q, m := new(big.Int).DivMod(v.BigInt(), unit, new(big.Int))
	switch c := new(big.Int).Lsh(m, 1).Cmp(unit); {
	case c > 0, c == 0 && q.Bit(0) == 1:
		q.Add(q, big.NewInt(1))
	}
	return lib.MakeBigInt(q.Mul(q, unit))
}

func binaryStar(x, y lib.Value) (lib.Value, error) { return lib.Binary(syntax.STAR, x, y) }
