package guard

import (
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/openspms/spms/internal/fault"
)

// ceiling is where counting stops: far above any limit, far below overflow.
const ceiling = 1 << 30

// Check looks at a bare document and returns the first refusal: nil, or an
// exhausted fault QUERY_TOO_LONG, QUERY_NAME_TOO_LONG, QUERY_TOO_DEEP,
// QUERY_TOO_MANY_ALIASES, QUERY_TOO_MANY_ROOT_FIELDS,
// QUERY_TOO_MANY_DIRECTIVES, QUERY_TOO_MANY_FIELDS or QUERY_TOO_MANY_MERGES
// with what was counted and the limit, or an invalid one QUERY_FRAGMENT_CYCLE
// or INPUT_NOT_TEXT. A document that does not parse passes: the parser of the
// executor says why. Cost: linear in the document up to Limits.Fields.
func (g *Guard) Check(document string) error {
	if err := g.lexical(document); err != nil {
		return err
	}
	doc, err := parser.ParseQuery(&ast.Source{Input: document})
	if err != nil {
		return nil //nolint:nilerr // The executor parses again and reports it with its place.
	}
	return g.structure(doc)
}

// lexical counts tokens and refuses overlong names and characters that no
// database stores.
func (g *Guard) lexical(document string) error {
	if !utf8.ValidString(document) || strings.ContainsRune(document, 0) {
		return fault.E(fault.Invalid, "INPUT_NOT_TEXT").At("query")
	}
	trusted := g.limits.Trusted != nil && g.limits.Trusted(document)
	lex := lexer.New(&ast.Source{Input: document})
	nesting := 0
	for n := 1; ; n++ {
		tok, err := lex.ReadToken()
		if err != nil || tok.Kind == lexer.EOF {
			return nil //nolint:nilerr // The executor parses again and reports it with its place.
		}
		switch tok.Kind {
		case lexer.BraceL, lexer.BracketL, lexer.ParenL:
			nesting++
		case lexer.BraceR, lexer.BracketR, lexer.ParenR:
			nesting--
		}
		switch {
		case nesting > g.limits.Nesting:
			return tooMany("QUERY_TOO_DEEP", nesting, g.limits.Nesting)
		case n > g.limits.Tokens && !trusted:
			return fault.E(fault.Exhausted, "QUERY_TOO_LONG", fault.P("limit", g.limits.Tokens))
		case tok.Kind == lexer.Name && len(tok.Value) > g.limits.NameBytes:
			return tooMany("QUERY_NAME_TOO_LONG", len(tok.Value), g.limits.NameBytes)
		case strings.ContainsRune(tok.Value, 0):
			return fault.E(fault.Invalid, "INPUT_NOT_TEXT").At("query")
		}
	}
}

// structure measures every operation and fragment and compares with the limits.
func (g *Guard) structure(doc *ast.QueryDocument) error {
	m := measure{doc: doc, known: map[*ast.FragmentDefinition]size{}, open: map[*ast.FragmentDefinition]bool{}}
	whole := size{}
	for _, op := range doc.Operations {
		s := m.set(op.SelectionSet)
		s.directives = add(s.directives, len(op.Directives))
		if s.roots > g.limits.RootFields {
			return tooMany("QUERY_TOO_MANY_ROOT_FIELDS", s.roots, g.limits.RootFields)
		}
		whole.include(s)
	}
	for _, f := range doc.Fragments {
		whole.fields = add(whole.fields, m.fragment(f).fields)
	}
	l := g.limits
	switch {
	case m.cycle != "":
		return fault.E(fault.Invalid, "QUERY_FRAGMENT_CYCLE", fault.P("fragment", m.cycle))
	case whole.depth > l.Depth:
		return tooMany("QUERY_TOO_DEEP", whole.depth, l.Depth)
	case whole.aliases > l.Aliases:
		return tooMany("QUERY_TOO_MANY_ALIASES", whole.aliases, l.Aliases)
	case whole.directives > l.Directives:
		return tooMany("QUERY_TOO_MANY_DIRECTIVES", whole.directives, l.Directives)
	case whole.fields > l.Fields:
		return tooMany("QUERY_TOO_MANY_FIELDS", whole.fields, l.Fields)
	}
	pairs := 0
	for _, op := range doc.Operations {
		pairs = add(pairs, m.merges(l.Merges, op.SelectionSet))
	}
	if pairs > l.Merges {
		return tooMany("QUERY_TOO_MANY_MERGES", pairs, l.Merges)
	}
	return nil
}

// size is what a selection set comes to with its fragments expanded.
type size struct{ fields, aliases, directives, depth, roots int }

// include adds a set beside s.
func (s *size) include(o size) {
	s.fields = add(s.fields, o.fields)
	s.aliases = add(s.aliases, o.aliases)
	s.directives = add(s.directives, o.directives)
	s.roots = add(s.roots, o.roots)
	s.depth = max(s.depth, o.depth)
}

// measure sizes selection sets, each fragment once.
type measure struct {
	doc   *ast.QueryDocument
	known map[*ast.FragmentDefinition]size
	open  map[*ast.FragmentDefinition]bool // being measured: met again, it is a cycle
	cycle string                           // a fragment that spreads itself
}

// set returns the size of a selection set.
func (m *measure) set(set ast.SelectionSet) size {
	var s size
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			s.include(m.field(sel))
		case *ast.InlineFragment:
			s.include(m.set(sel.SelectionSet))
			s.directives = add(s.directives, len(sel.Directives))
		case *ast.FragmentSpread:
			s.directives = add(s.directives, len(sel.Directives))
			if f := m.doc.Fragments.ForName(sel.Name); f != nil {
				s.include(m.fragment(f))
			}
		}
	}
	return s
}

// field returns the size of one field with what it selects.
func (m *measure) field(f *ast.Field) size {
	s := m.set(f.SelectionSet)
	s.fields = add(s.fields, 1)
	s.depth++
	s.roots = 1
	s.directives = add(s.directives, len(f.Directives))
	if f.Alias != f.Name {
		s.aliases = add(s.aliases, 1)
	}
	return s
}

// fragment returns the size of a fragment's selection, measured at first sight.
func (m *measure) fragment(f *ast.FragmentDefinition) size {
	if s, ok := m.known[f]; ok {
		return s
	}
	if m.open[f] {
		m.cycle = f.Name
		return size{}
	}
	m.open[f] = true
	s := m.set(f.SelectionSet)
	delete(m.open, f)
	m.known[f] = s
	return s
}

// merges counts the pairs of fields that share one place in the answer, which
// is what the rule "overlapping fields can be merged" compares. It stops above
// limit. The sets are those of all fields at one place; the document is free of
// cycles and no larger than Limits.Fields when expanded.
func (m *measure) merges(limit int, sets ...ast.SelectionSet) int {
	places := map[string][]ast.SelectionSet{}
	var collect func(ast.SelectionSet)
	collect = func(set ast.SelectionSet) {
		for _, sel := range set {
			switch sel := sel.(type) {
			case *ast.Field:
				places[sel.Alias] = append(places[sel.Alias], sel.SelectionSet)
			case *ast.InlineFragment:
				collect(sel.SelectionSet)
			case *ast.FragmentSpread:
				if f := m.doc.Fragments.ForName(sel.Name); f != nil {
					collect(f.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		collect(set)
	}
	pairs := 0
	for _, inner := range places {
		pairs = add(pairs, len(inner)*(len(inner)-1)/2)
		if pairs > limit {
			return pairs
		}
		pairs = add(pairs, m.merges(limit, inner...))
	}
	return pairs
}

// add sums two counts and stops at the ceiling.
func add(a, b int) int { return min(a+b, ceiling) }
