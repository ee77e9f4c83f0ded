package starlark

import (
	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// Names in env that no cell can write, for what the rewritten tree needs.
const (
	globalsName = "·globals" // the map of globals, indexable and assignable
	resultKey   = "·result"  // the key that takes the last expression's value
	formatName  = "·format"  // str.format with format specifications
	percentName = "·percent" // string % values with width and precision
	repeatName  = "·repeat"  // sequence * count, bounded
	factorName  = "·factor"  // the count of sequence *= count
	methodName  = "·method"  // a method of strings that can multiply them
	loadName    = "·load"
)

// A rewriter changes a parsed cell before it is compiled:
//
//   - Every assignment of a global becomes a write into the live map, so that
//     its readers, which look names up by name, see it at once.
//   - A def keeps its own slot, because the compiler takes the function's name
//     from there; its value is copied into the map and its uses read the map.
//   - Formats and repetitions that Starlark lacks, or bounds too generously,
//     become calls; so does load.
type rewriter struct {
	defs map[string]bool // names that a def binds at top level
	err  error
}

// rewrite changes file in place. It resolves the names once to learn which are
// global: scopes are the resolver's business.
func (rw *rewriter) rewrite(file *syntax.File) error {
	if err := resolveNames(file); err != nil {
		return err
	}
	rw.defs = map[string]bool{}
	eachDef(file.Stmts, func(def *syntax.DefStmt) { rw.defs[def.Name.Name] = true })
	w := &walker{expr: rw.globalUse, target: rw.globalTarget, stmt: rw.globalStmt}
	file.Stmts = w.block(file.Stmts)
	return rw.err
}

// resolveNames puts calls in the place of operations and load statements, whose names are
// global then as all others are, and finds the scope of each name.
func resolveNames(file *syntax.File) error {
	w := &walker{expr: operations, target: func(id *syntax.Ident) syntax.Expr { return id }, stmt: statements}
	file.Stmts = w.block(file.Stmts)
	return resolve.File(file, anyName, noName)
}

func anyName(string) bool { return true }
func noName(string) bool  { return false }

// eachDef visits the function definitions outside of any function.
func eachDef(stmts []syntax.Stmt, f func(*syntax.DefStmt)) {
	for _, s := range stmts {
		switch s := s.(type) {
		case *syntax.DefStmt:
			f(s)
		case *syntax.IfStmt:
			eachDef(s.True, f)
			eachDef(s.False, f)
		case *syntax.ForStmt:
			eachDef(s.Body, f)
		case *syntax.WhileStmt:
			eachDef(s.Body, f)
		}
	}
}

// globalUse replaces a use of a def's slot. Other names have no slot any more
// once their assignments are replaced, and are looked up in the live map.
func (rw *rewriter) globalUse(e syntax.Expr) syntax.Expr {
	if id, ok := e.(*syntax.Ident); ok && rw.defs[id.Name] && isGlobal(id) {
		return globalRef(id.Name, id.NamePos)
	}
	return e
}

// globalTarget replaces a global that is assigned.
func (rw *rewriter) globalTarget(id *syntax.Ident) syntax.Expr {
	if reserved(id.Name) {
		rw.fail(id.NamePos, "cannot assign to %s", id.Name)
	}
	if !isGlobal(id) {
		return id
	}
	return globalRef(id.Name, id.NamePos)
}

func isGlobal(id *syntax.Ident) bool {
	b, ok := id.Binding.(*resolve.Binding)
	return ok && b.Scope == resolve.Global
}

// globalStmt follows a def at top level by the copy into the live map.
func (rw *rewriter) globalStmt(s syntax.Stmt, inFunc bool) []syntax.Stmt {
	def, ok := s.(*syntax.DefStmt)
	if !ok || inFunc {
		return []syntax.Stmt{s}
	}
	pos := def.Name.NamePos
	return []syntax.Stmt{def, &syntax.AssignStmt{
		OpPos: pos, Op: syntax.EQ, LHS: globalRef(def.Name.Name, pos),
		RHS: &syntax.Ident{NamePos: pos, Name: def.Name.Name},
	}}
}

func reserved(name string) bool {
	return name == "None" || name == "True" || name == "False"
}

func globalRef(name string, pos syntax.Position) syntax.Expr {
	return &syntax.IndexExpr{
		X: &syntax.Ident{NamePos: pos, Name: globalsName}, Lbrack: pos,
		Y: text(name, pos), Rbrack: pos,
	}
}

func text(s string, pos syntax.Position) *syntax.Literal {
	return &syntax.Literal{Token: syntax.STRING, TokenPos: pos, Raw: syntax.Quote(s, false), Value: s}
}

func call(name string, pos, end syntax.Position, args ...syntax.Expr) *syntax.CallExpr {
	return &syntax.CallExpr{Fn: &syntax.Ident{NamePos: pos, Name: name}, Lparen: pos, Args: args, Rparen: end}
}

func (rw *rewriter) fail(pos syntax.Position, format string, args ...any) {
	if rw.err == nil {
		rw.err = syntaxErrorf(pos, format, args...)
	}
}

// A walker rebuilds the tree in place, bottom-up: expr may replace each
// expression that is read, target each name that is assigned, stmt each
// statement.
type walker struct {
	expr   func(syntax.Expr) syntax.Expr
	target func(*syntax.Ident) syntax.Expr
	stmt   func(s syntax.Stmt, inFunc bool) []syntax.Stmt
	funcs  int
}

func (w *walker) block(list []syntax.Stmt) []syntax.Stmt {
	var out []syntax.Stmt
	for _, s := range list {
		w.children(s)
		out = append(out, w.stmt(s, w.funcs > 0)...)
	}
	return out
}

func (w *walker) children(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.AssignStmt:
		s.LHS, s.RHS = w.assigned(s.LHS), w.do(s.RHS)
	case *syntax.DefStmt:
		w.list(s.Params)
		w.funcs++
		s.Body = w.block(s.Body)
		w.funcs--
	case *syntax.ExprStmt:
		s.X = w.do(s.X)
	case *syntax.IfStmt:
		s.Cond, s.True, s.False = w.do(s.Cond), w.block(s.True), w.block(s.False)
	case *syntax.ForStmt:
		s.Vars, s.X, s.Body = w.assigned(s.Vars), w.do(s.X), w.block(s.Body)
	case *syntax.WhileStmt:
		s.Cond, s.Body = w.do(s.Cond), w.block(s.Body)
	case *syntax.ReturnStmt:
		s.Result = w.do(s.Result)
	}
}

// assigned walks over the left side of an assignment.
func (w *walker) assigned(e syntax.Expr) syntax.Expr {
	switch x := e.(type) {
	case *syntax.Ident:
		return w.target(x)
	case *syntax.TupleExpr:
		for i, elem := range x.List {
			x.List[i] = w.assigned(elem)
		}
	case *syntax.ListExpr:
		for i, elem := range x.List {
			x.List[i] = w.assigned(elem)
		}
	case *syntax.ParenExpr:
		x.X = w.assigned(x.X)
	case *syntax.DotExpr:
		x.X = w.do(x.X)
	default:
		return w.do(e)
	}
	return e
}

func (w *walker) list(es []syntax.Expr) {
	for i, e := range es {
		es[i] = w.do(e)
	}
}

func (w *walker) do(e syntax.Expr) syntax.Expr {
	switch x := e.(type) {
	case nil:
		return nil
	case *syntax.BinaryExpr:
		// In f(k=v) and def f(k=v) the left side is a name, not a use of it.
		if x.Op != syntax.EQ {
			x.X = w.do(x.X)
		}
		x.Y = w.do(x.Y)
	case *syntax.CallExpr:
		x.Fn = w.do(x.Fn)
		w.list(x.Args)
	case *syntax.Comprehension:
		w.comprehension(x)
	case *syntax.CondExpr:
		x.Cond, x.True, x.False = w.do(x.Cond), w.do(x.True), w.do(x.False)
	case *syntax.DictEntry:
		x.Key, x.Value = w.do(x.Key), w.do(x.Value)
	case *syntax.DictExpr:
		w.list(x.List)
	case *syntax.DotExpr:
		x.X = w.do(x.X)
	case *syntax.IndexExpr:
		x.X, x.Y = w.do(x.X), w.do(x.Y)
	case *syntax.LambdaExpr:
		w.list(x.Params)
		w.funcs++
		x.Body = w.do(x.Body)
		w.funcs--
	case *syntax.ListExpr:
		w.list(x.List)
	case *syntax.ParenExpr:
		x.X = w.do(x.X)
	case *syntax.SliceExpr:
		x.X, x.Lo, x.Hi, x.Step = w.do(x.X), w.do(x.Lo), w.do(x.Hi), w.do(x.Step)
	case *syntax.TupleExpr:
		w.list(x.List)
	case *syntax.UnaryExpr:
		x.X = w.do(x.X)
	}
	return w.expr(e)
}

func (w *walker) comprehension(x *syntax.Comprehension) {
	x.Body = w.do(x.Body)
	for _, c := range x.Clauses {
		switch c := c.(type) {
		case *syntax.ForClause:
			c.Vars, c.X = w.assigned(c.Vars), w.do(c.X)
		case *syntax.IfClause:
			c.Cond = w.do(c.Cond)
		}
	}
}

// operations replaces the operators and methods that we bring ourselves.
func operations(e syntax.Expr) syntax.Expr {
	switch x := e.(type) {
	case *syntax.BinaryExpr:
		switch {
		case x.Op == syntax.PERCENT && (isText(x.X) || isGroup(x.Y)):
			return call(percentName, x.OpPos, syntax.End(x), x.X, x.Y)
		case x.Op == syntax.STAR && !isNumber(x.X) && !isNumber(x.Y):
			return call(repeatName, x.OpPos, syntax.End(x), x.X, x.Y)
		}
	case *syntax.CallExpr:
		if f, ok := x.Fn.(*syntax.DotExpr); ok && grows[f.Name.Name] != nil {
			args := append([]syntax.Expr{f.X, text(f.Name.Name, f.NamePos)}, x.Args...)
			return call(methodName, x.Lparen, x.Rparen, args...)
		}
	case *syntax.DotExpr:
		if x.Name.Name == "format" {
			return call(formatName, x.NamePos, x.NamePos, x.X)
		}
	}
	return e
}

// smallFactor is the largest integer whose products are not looked at.
const smallFactor = 1000

// isNumber is for factors that cannot make a large sequence.
func isNumber(e syntax.Expr) bool {
	switch x := e.(type) {
	case *syntax.Literal:
		n, ok := x.Value.(int64)
		return x.Token == syntax.FLOAT || ok && n <= smallFactor
	case *syntax.ParenExpr:
		return isNumber(x.X)
	case *syntax.UnaryExpr:
		return isNumber(x.X)
	}
	return false
}

func isText(e syntax.Expr) bool {
	switch x := e.(type) {
	case *syntax.Literal:
		return x.Token == syntax.STRING
	case *syntax.ParenExpr:
		return isText(x.X)
	case *syntax.CallExpr:
		id, ok := x.Fn.(*syntax.Ident)
		return ok && id.Name == fstringName
	case *syntax.BinaryExpr:
		return x.Op == syntax.PLUS && (isText(x.X) || isText(x.Y))
	}
	return false
}

// isGroup is for right sides that only a format can have.
func isGroup(e syntax.Expr) bool {
	switch x := e.(type) {
	case *syntax.TupleExpr, *syntax.DictExpr:
		return true
	case *syntax.ParenExpr:
		return isGroup(x.X)
	}
	return isText(e)
}

// statements replaces load and, in x *= y, the factor.
func statements(s syntax.Stmt, _ bool) []syntax.Stmt {
	switch x := s.(type) {
	case *syntax.LoadStmt:
		s = assignLoaded(x)
	case *syntax.AssignStmt:
		if x.Op == syntax.STAR_EQ && !isNumber(x.RHS) {
			x.RHS = call(factorName, x.OpPos, syntax.End(x.RHS), x.RHS)
		}
	}
	return []syntax.Stmt{s}
}

// assignLoaded makes an assignment of a load statement.
func assignLoaded(load *syntax.LoadStmt) syntax.Stmt {
	args := []syntax.Expr{load.Module}
	targets := &syntax.TupleExpr{Lparen: load.Load, Rparen: load.Rparen}
	for i, from := range load.From {
		args = append(args, text(from.Name, from.NamePos))
		targets.List = append(targets.List, load.To[i])
	}
	return &syntax.AssignStmt{
		OpPos: load.Load, Op: syntax.EQ, LHS: targets, RHS: call(loadName, load.Load, load.Rparen, args...),
	}
}
