package expr

import (
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
)

// reader collects the variables an expression names.
type reader struct {
	space *space
	bound map[string]int // variables of comprehensions, which hide others
	names []string
}

// reads returns the dotted names of the variables of a checked expression, sorted.
func (e *Env) reads(checked *cel.Ast) []string {
	r := &reader{space: e.space, bound: map[string]int{}}
	r.visit(checked.NativeRep().Expr())
	slices.Sort(r.names)
	return slices.Compact(r.names)
}

func (r *reader) visit(x ast.Expr) {
	if name, _ := r.path(x); name != "" {
		r.names = append(r.names, name)
		return
	}
	switch x.Kind() {
	case ast.SelectKind:
		r.visit(x.AsSelect().Operand())
	case ast.CallKind:
		if x.AsCall().IsMemberFunction() {
			r.visit(x.AsCall().Target())
		}
		r.all(x.AsCall().Args())
	case ast.ListKind:
		r.all(x.AsList().Elements())
	case ast.MapKind:
		for _, entry := range x.AsMap().Entries() {
			r.visit(entry.AsMapEntry().Key())
			r.visit(entry.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		r.comprehension(x.AsComprehension())
	}
}

func (r *reader) all(list []ast.Expr) {
	for _, x := range list {
		r.visit(x)
	}
}

func (r *reader) comprehension(c ast.ComprehensionExpr) {
	r.visit(c.IterRange())
	r.visit(c.AccuInit())
	hidden := []string{c.IterVar(), c.IterVar2(), c.AccuVar()}
	for _, n := range hidden {
		r.bound[n]++
	}
	r.visit(c.LoopCondition())
	r.visit(c.LoopStep())
	r.visit(c.Result())
	for _, n := range hidden {
		r.bound[n]--
	}
}

// path returns the longest dotted name of a variable or namespace at the head
// of x, "" when x is none, and the namespace it names, nil for a variable.
func (r *reader) path(x ast.Expr) (string, *space) {
	switch x.Kind() {
	case ast.IdentKind:
		f := r.space.find(x.AsIdent())
		if f == nil || r.bound[x.AsIdent()] > 0 {
			return "", nil
		}
		return f.name, f.inner
	case ast.SelectKind:
		name, inner := r.path(x.AsSelect().Operand())
		if inner == nil {
			return name, nil
		}
		if f := inner.find(x.AsSelect().FieldName()); f != nil {
			return name + "." + f.name, f.inner
		}
	}
	return "", nil
}
