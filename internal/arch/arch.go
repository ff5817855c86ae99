// Package arch keeps the shape of the house: which room lies on which floor,
// who may import what, which rooms are pure, where writes begin, that packages
// are explained, and fields classified. Its main type is
// Tree, the parsed sources; each rule is a function from a Tree to Violations,
// most of them over a table in tables.go. It looks at syntax only, so that it
// runs in a second, and must not know what any room does.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Module is the import path of the house.
const Module = "github.com/openspms/spms"

// File is one parsed Go file.
type File struct {
	Path      string // slash-separated, from the root of the tree
	AST       *ast.File
	Test      bool // its name ends in _test.go
	Generated bool // it says "Code generated … DO NOT EDIT."
}

// Package is the Go files of one folder.
type Package struct {
	Dir   string
	Files []*File
}

// Tree is the parsed Go sources below one root, nested modules included;
// testdata, hidden folders and files that no build takes are left out.
type Tree struct {
	FS       fs.FS
	Fset     *token.FileSet
	Packages []*Package // in order of their folders
}

// Violation is one place where a rule does not hold.
type Violation struct {
	Pos  string // file:line, or the folder
	Text string
}

// String is the violation as a compiler would say it.
func (v Violation) String() string { return v.Pos + ": " + v.Text }

// Parse reads the Go files of root. A file that does not parse is an error.
func Parse(root fs.FS) (*Tree, error) {
	t := &Tree{FS: root, Fset: token.NewFileSet()}
	packages := map[string]*Package{}
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && isSkipped(d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(p) != ".go" {
			return nil
		}
		f, err := t.parse(p)
		if err != nil || f == nil {
			return err
		}
		dir := path.Dir(p)
		if packages[dir] == nil {
			packages[dir] = &Package{Dir: dir}
			t.Packages = append(t.Packages, packages[dir])
		}
		packages[dir].Files = append(packages[dir].Files, f)
		return nil
	})
	slices.SortFunc(t.Packages, func(a, b *Package) int { return strings.Compare(a.Dir, b.Dir) })
	return t, err
}

func isSkipped(folder string) bool {
	return folder == "testdata" || folder == "node_modules" || folder == "vendor" ||
		strings.HasPrefix(folder, ".") || strings.HasPrefix(folder, "_")
}

// parse returns nil for a file that only "go run" by name builds.
func (t *Tree) parse(p string) (*File, error) {
	src, err := fs.ReadFile(t.FS, p)
	if err != nil {
		return nil, err
	}
	a, err := parser.ParseFile(t.Fset, p, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, group := range a.Comments {
		for _, c := range group.List {
			if c.Pos() < a.Package && c.Text == "//go:build ignore" {
				return nil, nil
			}
		}
	}
	return &File{Path: p, AST: a, Test: strings.HasSuffix(p, "_test.go"), Generated: ast.IsGenerated(a)}, nil
}

// at makes a violation at a position.
func (t *Tree) at(pos token.Pos, format string, args ...any) Violation {
	p := t.Fset.Position(pos)
	return Violation{Pos: p.Filename + ":" + strconv.Itoa(p.Line), Text: fmt.Sprintf(format, args...)}
}

// written returns the files of a package that people write and builds take.
func (p *Package) written() []*File {
	return slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return f.Test || f.Generated })
}

// built returns the files of a package that builds take.
func (p *Package) built() []*File {
	return slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return f.Test })
}

// imports calls f for every import of a file with its path.
func (file *File) imports(f func(spec *ast.ImportSpec, path string)) {
	for _, s := range file.AST.Imports {
		if p, err := strconv.Unquote(s.Path.Value); err == nil {
			f(s, p)
		}
	}
}

// nameOf returns the name under which a file imports a package, "" when it
// does not. Without a name of its own a package goes by its last element.
func (file *File) nameOf(importPath string) string {
	name := ""
	file.imports(func(s *ast.ImportSpec, p string) {
		if p != importPath {
			return
		}
		name = path.Base(p)
		if s.Name != nil {
			name = s.Name.Name
		}
	})
	return name
}

// importsAs reports whether name is a package in a file.
func (file *File) importsAs(name string) bool {
	found := false
	file.imports(func(s *ast.ImportSpec, p string) {
		found = found || (s.Name != nil && s.Name.Name == name) || (s.Name == nil && path.Base(p) == name)
	})
	return found
}

// inside reports whether folder or import path p is dir or lies below it.
func inside(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// isStandard reports whether an import path belongs to the standard library:
// its first element has no dot.
func isStandard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

// room returns the listed room that a folder belongs to: the longest that
// contains it; "" when none does.
func room(dir string) string {
	best := ""
	for r := range floorOf {
		if inside(dir, r) && len(r) > len(best) {
			best = r
		}
	}
	return best
}
