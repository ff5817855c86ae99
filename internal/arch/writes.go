package arch

import (
	"go/ast"
	"slices"
)

// Writes checks that there is one write path: only the store and the room
// command begin transactions, and the rooms that read ent call none of its
// changing methods. It knows methods by name and number of arguments, without
// types: a room's own method that looks the same must get another name. Functions
// of packages are not meant, nor pure rooms, which reach no database.
func Writes(t *Tree) []Violation {
	var out []Violation
	for _, p := range t.Packages {
		outside := func(a string) bool { return inside(p.Dir, a) }
		if slices.ContainsFunc(apart, outside) || slices.ContainsFunc(pure, outside) || inside(p.Dir, "test") {
			continue
		}
		begins := slices.ContainsFunc(writers, func(r string) bool { return inside(p.Dir, r) })
		reads := slices.ContainsFunc(readers, func(r string) bool { return inside(p.Dir, r) })
		for _, f := range p.written() {
			ast.Inspect(f.AST, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				s, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, of := s.X.(*ast.Ident); of && f.importsAs(x.Name) {
					return true
				}
				name, args := s.Sel.Name, len(call.Args)
				switch want, changes := entWrites[name]; {
				case !begins && slices.Contains(transactions[name], args):
					out = append(out, t.at(s.Sel.Pos(), "%s begins a transaction with %s: only the room command writes", p.Dir, name))
				case !begins && name == "Write" && args == 2:
					out = append(out, t.at(s.Sel.Pos(), "%s writes through the store: only the room command does", p.Dir))
				case reads && changes && (want < 0 || want == args):
					out = append(out, t.at(s.Sel.Pos(), "%s changes rows with %s: call a room", p.Dir, name))
				}
				return true
			})
		}
	}
	return out
}
