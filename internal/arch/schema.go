package arch

import (
	"go/ast"
	"slices"
	"strconv"
)

// Fields checks the declarations of ent fields in folder schema against
// fieldRules: above all that every field is classified, so that nobody can add
// one without saying who may see it.
func Fields(t *Tree) []Violation {
	var out []Violation
	for _, p := range t.Packages {
		if !inside(p.Dir, "schema") {
			continue
		}
		for _, f := range p.written() {
			pkg := f.nameOf("entgo.io/ent/schema/field")
			if pkg == "" {
				continue
			}
			for _, c := range chains(f.AST, pkg) {
				out = append(out, t.checkField(c)...)
			}
		}
	}
	return out
}

// chain is field.Kind("name").Method(…).Method(…): the calls by method.
type chain struct {
	root  *ast.CallExpr
	calls map[string][]string // arguments as written
}

// chains returns the declarations that begin with a call of package pkg.
func chains(root ast.Node, pkg string) []chain {
	var out []chain
	seen := map[*ast.CallExpr]bool{}
	ast.Inspect(root, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || seen[call] {
			return true
		}
		c := chain{calls: map[string][]string{}}
		for at := call; ; {
			seen[at] = true
			s, ok := at.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
				c.root = at
				out = append(out, c)
				return true
			}
			args := c.calls[s.Sel.Name]
			if args == nil {
				args = []string{}
			}
			for _, a := range at.Args {
				args = append(args, written(a))
			}
			c.calls[s.Sel.Name] = args
			if at, ok = s.X.(*ast.CallExpr); !ok {
				return true
			}
		}
	})
	return out
}

// written is a name as it stands in the source, "" for other expressions.
func written(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x := written(e.X); x != "" {
			return x + "." + e.Sel.Name
		}
	case *ast.CallExpr:
		return written(e.Fun)
	}
	return ""
}

func (t *Tree) checkField(c chain) []Violation {
	var out []Violation
	name := "?"
	if len(c.root.Args) > 0 {
		if l, ok := c.root.Args[0].(*ast.BasicLit); ok {
			name, _ = strconv.Unquote(l.Value)
		}
	}
	for _, r := range fieldRules {
		if r.class != "" && !slices.Contains(c.calls["Annotations"], "class."+r.class) {
			continue
		}
		args, called := c.calls[r.call]
		if !called || (r.arg != "" && !slices.ContainsFunc(args, func(a string) bool { return matches(a, r.arg) })) {
			of := "field "
			if r.class != "" {
				of = r.class + " field "
			}
			out = append(out, t.at(c.root.Pos(), "%s%s lacks .%s(%s)", of, name, r.call, r.arg))
		}
	}
	return out
}

// matches reports whether a name fits a pattern that may end in ".*".
func matches(name, pattern string) bool {
	if len(pattern) > 2 && pattern[len(pattern)-2:] == ".*" {
		return len(name) > len(pattern)-1 && name[:len(pattern)-1] == pattern[:len(pattern)-1]
	}
	return name == pattern
}
