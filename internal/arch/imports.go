package arch

import (
	"go/ast"
	"path"
	"slices"
	"strings"
)

// Floors checks that every folder with Go files belongs to a listed room and
// that rooms import only what lies below them. Tests may look up, but not into
// the server: they would test the whole, which is the work of folder test.
func Floors(t *Tree) []Violation {
	var out []Violation
	for _, p := range t.Packages {
		outside := slices.ContainsFunc(apart, func(a string) bool { return inside(p.Dir, a) })
		from := room(p.Dir)
		if from == "" && !outside {
			out = append(out, Violation{Pos: p.Dir, Text: "folder is on no floor: list it in internal/arch/tables.go"})
			continue
		}
		for _, f := range p.Files {
			f.imports(func(s *ast.ImportSpec, imported string) {
				dir, ours := strings.CutPrefix(imported, Module+"/")
				if !ours {
					return
				}
				to := room(dir)
				switch {
				case outside && (inside(dir, p.Dir) || to == "plugins/sdk" && inside(p.Dir, "plugins")):
				case outside:
					out = append(out, t.at(s.Pos(), "%s stands apart from the house and imports %s", p.Dir, dir))
				case to == "":
					out = append(out, t.at(s.Pos(), "%s is on no floor", dir))
				case f.Test && (to != "server" || floorOf[from] >= floorOf["server"]), to == from:
				case floorOf[to] == floorOf[from]:
					out = append(out, t.at(s.Pos(), "%s and %s share floor %s and must not know each other", from, to, floors[floorOf[to]].floor))
				case floorOf[to] > floorOf[from]:
					out = append(out, t.at(s.Pos(), "%s on floor %s imports %s on floor %s above it", from, floors[floorOf[from]].floor, to, floors[floorOf[to]].floor))
				}
			})
		}
	}
	return out
}

// Owners checks that packages outside the house are imported only by the rooms
// that own them. Standard packages without a line in the table are free.
func Owners(t *Tree) []Violation {
	var out []Violation
	for _, p := range t.Packages {
		if slices.ContainsFunc(apart, func(a string) bool { return inside(p.Dir, a) }) {
			continue
		}
		for _, f := range p.built() {
			f.imports(func(s *ast.ImportSpec, imported string) {
				if inside(imported, Module) || slices.ContainsFunc(free, func(f string) bool { return inside(imported, f) }) {
					return
				}
				rooms, owned := ownersOf(imported)
				switch {
				case !owned && !isStandard(imported):
					out = append(out, t.at(s.Pos(), "%s has no owner: list it in internal/arch/tables.go", imported))
				case owned && !slices.ContainsFunc(rooms, func(r string) bool { return inside(p.Dir, r) }):
					out = append(out, t.at(s.Pos(), "%s does not own %s, %s", p.Dir, imported, ownedBy(rooms)))
				}
			})
		}
	}
	return out
}

func ownersOf(imported string) (rooms []string, owned bool) {
	best := ""
	for _, o := range owners {
		if inside(imported, o.path) && len(o.path) > len(best) {
			best, rooms, owned = o.path, o.rooms, true
		}
	}
	return rooms, owned
}

func ownedBy(rooms []string) string {
	if len(rooms) == 0 {
		return "nobody does"
	}
	return "but " + strings.Join(rooms, ", ") + " may"
}

// Pure checks that the computing rooms import nothing of the outside world, and
// that only the owners of the clock ask for the time.
func Pure(t *Tree) []Violation {
	var out []Violation
	for _, p := range t.Packages {
		isPure := slices.ContainsFunc(pure, func(r string) bool { return inside(p.Dir, r) })
		sources := slices.Clone(timeSources)
		if isPure {
			sources = append(sources, timerSources...)
		}
		mayAsk := slices.ContainsFunc(clockOwners, func(r string) bool { return inside(p.Dir, r) })
		for _, f := range p.written() {
			if isPure {
				f.imports(func(s *ast.ImportSpec, imported string) {
					if slices.ContainsFunc(impure, func(i string) bool { return inside(imported, i) && !slices.Contains(free, imported) }) {
						out = append(out, t.at(s.Pos(), "%s is pure and imports %s", p.Dir, imported))
					}
				})
			}
			if !mayAsk {
				out = append(out, t.timeUses(f, sources)...)
			}
		}
	}
	return out
}

// timeUses finds uses of functions of package time, called or passed on.
func (t *Tree) timeUses(f *File, names []string) []Violation {
	var out []Violation
	pkg := f.nameOf("time")
	if pkg == "" {
		return nil
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg && slices.Contains(names, s.Sel.Name) {
				out = append(out, t.at(s.Pos(), "time.%s: the time is an argument or comes from a clock.Clock", s.Sel.Name))
			}
		}
		return true
	})
	return out
}

// Names checks that packages and their folders are named after something.
func Names(t *Tree) []Violation {
	var out []Violation
	for _, p := range t.Packages {
		for _, name := range []string{path.Base(p.Dir), strings.TrimSuffix(p.Files[0].AST.Name.Name, "_test")} {
			if slices.Contains(banned, name) {
				out = append(out, Violation{Pos: p.Dir, Text: "the name " + name + " says nothing about what the package does"})
				break
			}
		}
	}
	return out
}
