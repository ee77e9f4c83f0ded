package starlark

import (
	"fmt"
	"regexp"
	"strings"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// identifier is a name that a cell can assign to.
var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// IsName says whether a cell can assign to the name.
func IsName(name string) bool {
	if !identifier.MatchString(name) {
		return false
	}
	e, err := fileOptions.ParseExpr("name", name, 0)
	if err != nil {
		return false
	}
	_, ok := e.(*syntax.Ident)
	return ok && name != "None" && name != "True" && name != "False"
}

// ParameterSource is the source of a value given on a command line: a literal
// (number, text in quotes, list, tuple, dict, True, False, None, or a range of
// integers) is itself, any other text is a text. What begins as a literal and is
// none is an error, for it was meant to be one.
func ParameterSource(text string) (string, error) {
	text = strings.TrimSpace(text)
	e, err := fileOptions.ParseExpr("value", text, 0)
	if err == nil && isLiteral(e) {
		return text, nil
	}
	if text != "" && strings.ContainsAny(text[:1], `[{("'`) {
		if err == nil {
			return "", fmt.Errorf("%s is no literal: allowed are numbers, texts, lists, tuples and dicts of them, True, False, None and range(...)", text)
		}
		return "", fmt.Errorf("%s is no literal: %w", text, err)
	}
	return lib.String(text).String(), nil
}

// isLiteral says that a value needs nothing but itself.
func isLiteral(e syntax.Expr) bool {
	switch e := e.(type) {
	case *syntax.Literal:
		return true
	case *syntax.Ident:
		return e.Name == "True" || e.Name == "False" || e.Name == "None"
	case *syntax.ParenExpr:
		return isLiteral(e.X)
	case *syntax.UnaryExpr:
		l, ok := e.X.(*syntax.Literal)
		return ok && (e.Op == syntax.MINUS || e.Op == syntax.PLUS) && (l.Token == syntax.INT || l.Token == syntax.FLOAT)
	case *syntax.ListExpr:
		return allLiterals(e.List)
	case *syntax.TupleExpr:
		return allLiterals(e.List)
	case *syntax.DictExpr:
		return allLiterals(e.List)
	case *syntax.DictEntry:
		return isLiteral(e.Key) && isLiteral(e.Value)
	case *syntax.CallExpr:
		f, ok := e.Fn.(*syntax.Ident)
		return ok && f.Name == "range" && len(e.Args) > 0 && allLiterals(e.Args)
	}
	return false
}

func allLiterals(list []syntax.Expr) bool {
	for _, e := range list {
		if !isLiteral(e) {
			return false
		}
	}
	return true
}
