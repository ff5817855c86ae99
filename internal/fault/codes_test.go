package fault_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/fault"
)

const faultImport = "github.com/openspms/spms/internal/fault"

// pending are the folders, and the codes of theirs that others use too, whose
// texts have not arrived; what is missing there is logged. The lists only ever
// get shorter.
var (
	pending      = []string{"internal/engine", "internal/model", "internal/standard", "internal/workforce", "internal/worklist"}
	pendingCodes = []string{"REGION_NOT_FOUND", "STAFF_NOT_FOUND"}
)

// TestEveryCodeHasTexts walks the whole module: each code that fault.E is
// given must have a text in both languages, and where all parameters of the
// error are written out, they must be the ones the text uses.
func TestEveryCodeHasTexts(t *testing.T) {
	t.Parallel()
	texts := map[string]fault.CodeText{}
	for _, c := range fault.Codes() {
		texts[c.Code] = c
	}
	uses, wrong := codesOf(t, os.DirFS("../.."))
	if len(uses) < 10 {
		t.Fatalf("found %d uses of fault.E, want the module's", len(uses))
	}
	for _, w := range append(wrong, missing(uses, texts)...) {
		file, _, _ := strings.Cut(w, ":")
		shared := slices.ContainsFunc(pendingCodes, func(c string) bool { return strings.Contains(w, c+" has no text") })
		if shared || slices.Contains(pending, filepath.Dir(file)) {
			t.Log(w)
			continue
		}
		t.Error(w)
	}
}

// TestMissingCodeIsFound: the walk fails on what it is there to find.
func TestMissingCodeIsFound(t *testing.T) {
	t.Parallel()
	const head = "package p\nimport \"" + faultImport + "\"\n"
	dir := t.TempDir()
	for name, src := range map[string]string{
		"literal.go":  head + `var a = fault.E(fault.Invalid, "NO_TEXT")`,
		"const.go":    head + `const c = "NO_TEXT_EITHER"; var b = fault.E(fault.Invalid, c)`,
		"wrapper.go":  head + `func bad(n int, code string) error { return fault.E(fault.Invalid, code) }; var d = bad(1, "NOR_THIS")`,
		"computed.go": head + `func f(s []string) error { return fault.E(fault.Invalid, s[0]) }`,
		"variable.go": head + `func h(n int) error { c := "A_A"; if n > 1 { c = "B_B" }; return fault.E(fault.Invalid, c) }`,
		"field.go":    head + `type finding struct{ code string }; func (f finding) fault() error { return fault.E(fault.Invalid, f.code) }; var i = finding{code: "F_F"}`,
		"carrier.go":  head + `type note struct{ Code string }; func newNote(code string) note { return note{Code: code} }; var j = newNote("C_C")`,
		"params.go":   head + `var e = fault.E(fault.Invalid, "KNOWN", fault.P("max", 1))`,
		"fine.go":     head + `func g(p ...fault.Param) error { return fault.E(fault.Invalid, "KNOWN", p...) }`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	uses, wrong := codesOf(t, os.DirFS(dir))
	got := append(wrong, missing(uses, map[string]fault.CodeText{"KNOWN": {Code: "KNOWN", Params: []string{"limit"}}})...)
	for _, want := range []string{"NO_TEXT has", "NO_TEXT_EITHER has", "NOR_THIS has", "A_A has", "B_B has", "F_F has", "C_C has", "computed.go:3: cannot tell", "KNOWN does not set [limit]"} {
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("the walk found %q, want %q among it", got, want)
		}
	}
	if len(got) != 9 {
		t.Errorf("the walk found %d faults, want 9: %q", len(got), got)
	}
}

// use is one place where an error of a code is made.
type use struct {
	place  string
	code   string
	params []string // nil when they are not all written out there
}

func missing(uses []use, texts map[string]fault.CodeText) []string {
	var out []string
	for _, u := range uses {
		c, ok := texts[u.code]
		if !ok {
			out = append(out, fmt.Sprintf("%s: code %s has no text in internal/fault/texts", u.place, u.code))
			continue
		}
		lacking := slices.DeleteFunc(slices.Clone(c.Params), func(p string) bool { return slices.Contains(u.params, p) })
		if u.params != nil && len(lacking) > 0 && u.code != "INTERNAL" { // the presenter numbers those
			out = append(out, fmt.Sprintf("%s: %s does not set %v, which its text shows", u.place, u.code, lacking))
		}
	}
	return out
}

// isModule reports whether a folder is the root of a Go module.
func isModule(root fs.FS, dir string) bool {
	_, err := fs.Stat(root, dir+"/go.mod")
	return err == nil
}

// codesOf reads every package below root and returns where it makes errors,
// and the places where no code can be told.
func codesOf(t *testing.T, root fs.FS) (uses []use, wrong []string) {
	t.Helper()
	dirs := map[string][]*ast.File{}
	set := token.NewFileSet()
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"ent", "node_modules", "testdata", "data"}, name)):
			return fs.SkipDir
		case d.IsDir() && name != "." && isModule(root, name):
			return fs.SkipDir // a module of its own does not know fault; its codes are its own
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(set, name, src, parser.SkipObjectResolution)
		if err != nil {
			return nil //nolint:nilerr // The compiler reports it.
		}
		dirs[filepath.Dir(name)] = append(dirs[filepath.Dir(name)], f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, files := range dirs {
		p := pkg{set: set, consts: constants(files), fields: fields(files), wrappers: map[string]int{}}
		p.carriers(files)
		p.files(files, p.makes)
		p.files(files, p.wraps)
		uses, wrong = append(uses, p.uses...), append(wrong, p.wrong...)
	}
	return uses, wrong
}

// pkg gathers the uses of one package.
type pkg struct {
	set      *token.FileSet
	consts   map[string]string
	fields   map[string][]string
	wrappers map[string]int // functions that pass a parameter on as code, with its position
	carries  bool           // some of them into a field
	uses     []use
	wrong    []string
}

func (p *pkg) files(files []*ast.File, look func(*ast.CallExpr, *ast.FuncDecl)) {
	for _, f := range files {
		for _, d := range f.Decls {
			fn, _ := d.(*ast.FuncDecl)
			ast.Inspect(d, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					look(call, fn)
				}
				return true
			})
		}
	}
}

// carriers notes the functions that put a parameter into a field for codes.
func (p *pkg) carriers(files []*ast.File) {
	for _, f := range files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				kv, ok := n.(*ast.KeyValueExpr)
				if !ok {
					return true
				}
				key, isName := kv.Key.(*ast.Ident)
				value, isVar := kv.Value.(*ast.Ident)
				if isName && isVar && strings.EqualFold(key.Name, "code") && position(fn, value.Name) >= 0 {
					p.wrappers[fn.Name.Name] = position(fn, value.Name)
					p.carries = true
				}
				return true
			})
		}
	}
}

// makes takes a call of fault.E.
func (p *pkg) makes(call *ast.CallExpr, in *ast.FuncDecl) {
	if !isFault(call, "E") || len(call.Args) < 2 {
		return
	}
	if id, ok := call.Args[1].(*ast.Ident); ok && in != nil {
		if i := position(in, id.Name); i >= 0 {
			p.wrappers[in.Name.Name] = i
			return
		}
	}
	p.take(call, call.Args[1], in, p.params(call))
}

// take notes the codes an expression may be: itself, every text its variable
// is given in the function, or its field in the package.
func (p *pkg) take(call *ast.CallExpr, code ast.Expr, in *ast.FuncDecl, params []string) {
	var found []string
	switch code := code.(type) {
	case *ast.Ident:
		if in != nil {
			found = assigned(in, code.Name)
		}
	case *ast.SelectorExpr:
		found = p.fields[code.Sel.Name]
		if len(found) == 0 && p.carries {
			return // its codes are the arguments of the carriers
		}
	}
	if text, ok := p.text(code); ok && len(found) == 0 {
		found = []string{text}
	}
	for _, c := range found {
		p.uses = append(p.uses, use{p.place(call), c, params})
	}
	if len(found) == 0 {
		p.wrong = append(p.wrong, p.place(call)+": cannot tell the code: give fault.E a literal, a constant, a parameter or a variable of literals")
	}
}

// wraps takes a call of a function that passes its code on.
func (p *pkg) wraps(call *ast.CallExpr, in *ast.FuncDecl) {
	name := ""
	switch fn := call.Fun.(type) {
	case *ast.Ident:
		name = fn.Name
	case *ast.SelectorExpr:
		name = fn.Sel.Name
	}
	i, ok := p.wrappers[name]
	if !ok || i >= len(call.Args) || isFault(call, name) {
		return
	}
	if id, ok := call.Args[i].(*ast.Ident); ok && in != nil && position(in, id.Name) >= 0 {
		return // a wrapper of a wrapper
	}
	p.take(call, call.Args[i], in, nil)
}

// params returns the keys of an error's parameters, nil when some are computed.
func (p *pkg) params(call *ast.CallExpr) []string {
	keys := []string{}
	for _, a := range call.Args[2:] {
		param, ok := a.(*ast.CallExpr)
		if !ok || !isFault(param, "P") || call.Ellipsis.IsValid() {
			return nil
		}
		key, ok := p.text(param.Args[0])
		if !ok {
			return nil
		}
		keys = append(keys, key)
	}
	return keys
}

func (p *pkg) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil
	case *ast.Ident:
		s, ok := p.consts[e.Name]
		return s, ok
	}
	return "", false
}

func (p *pkg) place(n ast.Node) string {
	at := p.set.Position(n.Pos())
	return fmt.Sprintf("%s:%d", at.Filename, at.Line)
}

// isFault reports whether call is of fault.name.
func isFault(call *ast.CallExpr, name string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == "fault" && sel.Sel.Name == name
}

// position returns the place of a named parameter of fn, -1 when it has none.
func position(fn *ast.FuncDecl, name string) int {
	i := 0
	for _, field := range fn.Type.Params.List {
		for _, n := range field.Names {
			if n.Name == name {
				return i
			}
			i++
		}
	}
	return -1
}

// constants returns the string constants of a package.
func constants(files []*ast.File) map[string]string {
	out := map[string]string{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, v := range spec.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING && i < len(spec.Names) {
					out[spec.Names[i].Name], _ = strconv.Unquote(lit.Value)
				}
			}
			return true
		})
	}
	return out
}

// assigned returns the texts a local variable of fn is given.
func assigned(fn *ast.FuncDecl, name string) []string {
	var out []string
	ast.Inspect(fn, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok {
			return true
		}
		for i, left := range a.Lhs {
			id, isName := left.(*ast.Ident)
			if !isName || id.Name != name || i >= len(a.Rhs) {
				continue
			}
			out = append(out, literals(a.Rhs[i])...)
		}
		return true
	})
	return out
}

// fields returns, by field, the codes that the struct literals of a package
// give it. In a literal without field names every code counts for every field.
func fields(files []*ast.File) map[string][]string {
	out := map[string][]string{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			for _, e := range lit.Elts {
				names := []string{"code", "Code"}
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					key, isName := kv.Key.(*ast.Ident)
					if !isName {
						continue
					}
					names, e = []string{key.Name}, kv.Value
				}
				for _, name := range names {
					out[name] = append(out[name], literals(e)...)
				}
			}
			return true
		})
	}
	return out
}

// literals returns e's text when it is a literal in the shape of a code.
func literals(e ast.Expr) []string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return nil
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil || !strings.Contains(s, "_") || s != strings.ToUpper(s) {
		return nil
	}
	return []string{s}
}
