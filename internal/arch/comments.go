package arch

import (
	"go/ast"
	"io/fs"
	"strings"
	"unicode"
)

// Comments checks that every package has exactly one package comment, of two
// sentences at least: what it is for, its main type, what it must not know.
// Packages without a hand-written declaration are left out.
func Comments(t *Tree) []Violation {
	var out []Violation
	for _, p := range t.Packages {
		files := p.written()
		if len(p.built()) == 0 {
			files = p.Files // a package of tests alone
		}
		if !declares(files) {
			continue
		}
		var documented []*File
		for _, f := range files {
			if f.AST.Doc != nil {
				documented = append(documented, f)
			}
		}
		switch {
		case len(documented) == 0:
			out = append(out, Violation{Pos: p.Dir, Text: "package has no comment"})
		case len(documented) > 1:
			out = append(out, t.at(documented[1].AST.Package, "package has a second comment, the first is in %s", documented[0].Path))
		case sentences(documented[0].AST.Doc.Text()) < 2:
			out = append(out, t.at(documented[0].AST.Package, "package comment says less than two sentences: what for, main type, what it must not know"))
		}
	}
	return out
}

func declares(files []*File) bool {
	for _, f := range files {
		for _, d := range f.AST.Decls {
			if _, ok := d.(*ast.FuncDecl); ok {
				return true
			}
			if g, ok := d.(*ast.GenDecl); ok && g.Tok.String() != "import" {
				return true
			}
		}
	}
	return false
}

// Described checks that ARCHITECTURE.md names every room that exists, so that
// the page and the tables cannot drift apart.
func Described(t *Tree) []Violation {
	const page = "ARCHITECTURE.md"
	text, err := fs.ReadFile(t.FS, page)
	if err != nil {
		return []Violation{{Pos: page, Text: err.Error()}}
	}
	var out []Violation
	seen := map[string]bool{}
	for _, p := range t.Packages {
		if r := room(p.Dir); r != "" && !seen[r] && !strings.Contains(string(text), "`"+r+"`") {
			out = append(out, Violation{Pos: page, Text: "room " + r + " is not described"})
		}
		seen[room(p.Dir)] = true
	}
	return out
}

// sentences counts full stops that end a word.
func sentences(text string) int {
	n, runes := 0, []rune(text)
	for i, r := range runes {
		last := i+1 == len(runes) || unicode.IsSpace(runes[i+1])
		if strings.ContainsRune("。！？", r) || (last && strings.ContainsRune(".!?", r)) {
			n++
		}
	}
	return n
}
