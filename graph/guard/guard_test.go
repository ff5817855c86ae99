package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/introspection"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/openspms/spms/graph/guard"
	"github.com/openspms/spms/internal/fault"
)

const sdl = `
type Query {
  region(id: ID): Region
  regions(first: Int, last: Int): Regions!
  newest(first: Int): [Region!]!
  all: [Region!]!
}
type Regions { edges: [Edge!]! pageInfo: PageInfo! totalCount: Int! }
type Edge { node: Region! cursor: String! }
type PageInfo { hasNextPage: Boolean! }
type Region { id: ID! name: String! parent: Region children(first: Int, last: Int): Regions! tags: [Tag!]! }
type Tag { code: String! }
`

// schemaOnly is an executable schema that only has its types.
type schemaOnly struct{ graphql.ExecutableSchema }

func (schemaOnly) Schema() *ast.Schema {
	return gqlparser.MustLoadSchema(&ast.Source{Name: "s.graphql", Input: sdl})
}

func newGuard(t testing.TB, l guard.Limits) *guard.Guard {
	t.Helper()
	g := guard.New(l)
	if err := g.Validate(schemaOnly{}); err != nil {
		t.Fatalf("Validate: %v", err)
	}
	return g
}

// admit passes a document through both looks of the guard.
func admit(t testing.TB, g *guard.Guard, document string, variables map[string]any) error {
	t.Helper()
	if err := g.MutateOperationParameters(t.Context(), &graphql.RawParams{Query: document}); err != nil {
		return err
	}
	schema := schemaOnly{}.Schema()
	doc, errs := gqlparser.LoadQuery(schema, document)
	if errs != nil {
		t.Fatalf("document %.60q is wrong: %v", document, errs)
	}
	vars, err := validator.VariableValues(schema, doc.Operations[0], variables)
	if err != nil {
		t.Fatalf("variables of %.60q: %v", document, err)
	}
	op := &graphql.OperationContext{Doc: doc, Operation: doc.Operations[0], Variables: vars}
	if err := g.MutateOperationContext(t.Context(), op); err != nil {
		return err
	}
	return nil
}

func TestGuardAdmits(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"the standard introspection": introspection.Query,
		"a page":                     `{ regions(first: 200) { totalCount edges { node { id name tags { code } } } } }`,
		"two pages deep":             `{ regions(first: 20) { edges { node { children(first: 50) { edges { node { id } } } } } } }`,
		"a fragment spread twice":    `{ a: region { ...f } b: region { ...f } } fragment f on Region { id name }`,
		"named operations":           `query a { region { id } } query b { region { name } }`,
		"not GraphQL at all":         `hello`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, guard.DefaultLimits())
			if name == "not GraphQL at all" {
				if err := g.Check(doc); err != nil {
					t.Errorf("Check(%q) = %v, want nil: the parser says it better", doc, err)
				}
				return
			}
			if err := admit(t, g, doc, nil); err != nil {
				t.Errorf("guard refused: %v", err)
			}
		})
	}
}

func TestGuardRefuses(t *testing.T) {
	t.Parallel()
	l := guard.DefaultLimits()
	for _, tc := range []struct {
		name, doc, code string
		vars            map[string]any
		got             int64
	}{
		{name: "depth", doc: nest("region { parent", 16), code: "QUERY_TOO_DEEP", got: 33},
		{name: "an input value of great depth", doc: `{ region(id: ` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `) { id } }`, code: "QUERY_TOO_DEEP", got: 65},
		{name: "depth hidden in fragments", doc: `{ region { ...a } } ` + chain(12), code: "QUERY_TOO_DEEP", got: 26},
		{name: "aliases", doc: "{ " + times(31, "a%d: all { id }") + " }", code: "QUERY_TOO_MANY_ROOT_FIELDS", got: 31},
		{name: "aliases below the root", doc: "{ region { " + times(31, "a%d: id") + " } }", code: "QUERY_TOO_MANY_ALIASES", got: 31},
		{name: "aliases multiplied by a fragment", doc: `{ region { ...f parent { ...f } } } fragment f on Region { ` + times(16, "a%d: id") + ` }`, code: "QUERY_TOO_MANY_ALIASES", got: 32},
		{name: "root fields", doc: "{ " + times(21, "r%[1]d: __typename") + " }", code: "QUERY_TOO_MANY_ROOT_FIELDS", got: 21},
		{name: "root fields in a fragment", doc: "{ ...f } fragment f on Query { " + times(21, "r%[1]d: __typename") + " }", code: "QUERY_TOO_MANY_ROOT_FIELDS", got: 21},
		{name: "directives", doc: "{ region { " + strings.Repeat("id @include(if: true) ", 51) + " } }", code: "QUERY_TOO_MANY_DIRECTIVES", got: 51},
		{name: "tokens", doc: "{ region { " + strings.Repeat("id ", 1000) + " } }", code: "QUERY_TOO_LONG"},
		{name: "a comment is a token", doc: strings.Repeat("# x\n", 1000) + "{ all { id } }", code: "QUERY_TOO_LONG"},
		{name: "an endless name", doc: "{ " + strings.Repeat("x", 129) + " }", code: "QUERY_NAME_TOO_LONG", got: 129},
		{name: "a fragment bomb", doc: bomb(60), code: "QUERY_TOO_MANY_FIELDS"},
		{name: "a circle", doc: "{ region { ...a } } fragment a on Region { parent { ...b } } fragment b on Region { ...a }", code: "QUERY_FRAGMENT_CYCLE"},
		{name: "a circle nobody uses", doc: "{ all { id } } fragment a on Region { ...a }", code: "QUERY_FRAGMENT_CYCLE"},
		{name: "the same field again and again", doc: "{ region { " + strings.Repeat("id ", 120) + " } }", code: "QUERY_TOO_MANY_MERGES", got: 7140},
		{name: "the same field in many branches", doc: "{ region { " + strings.Repeat("parent { parent { id } } ", 70) + " } }", code: "QUERY_TOO_MANY_MERGES"},
		{name: "nested pages", doc: `{ regions(first: 200) { edges { node { children(first: 200) { edges { node { children(first: 200) { edges { node { id } } } } } } } } } }`, code: "QUERY_TOO_COMPLEX"},
		{name: "nested pages by variable", doc: `query q($n: Int) { regions(first: $n) { edges { node { children(first: $n) { edges { node { children(last: $n) { edges { node { id } } } } } } } } } }`, vars: map[string]any{"n": 100}, code: "QUERY_TOO_COMPLEX"},
		{name: "nested pages by default", doc: `{ regions { edges { node { children { edges { node { children { edges { node { id } } } } } } } } } }`, code: "QUERY_TOO_COMPLEX"},
		{name: "nested pages by fragments", doc: `{ regions { ...p } } fragment p on Regions { edges { node { children { ...q } } } } fragment q on Regions { edges { node { children { edges { node { id } } } } } }`, code: "QUERY_TOO_COMPLEX"},
		{name: "a page too large", doc: `{ regions(first: 201) { totalCount edges { cursor } } }`, code: "PAGE_SIZE_TOO_LARGE", got: 201},
		{name: "a page too large by variable", doc: `query q($n: Int = 1000) { regions(last: $n) { edges { cursor } } }`, code: "PAGE_SIZE_TOO_LARGE", got: 1000},
		{name: "a negative page", doc: `{ regions(last: -1) { edges { cursor } } }`, code: "PAGE_SIZE_INVALID", got: -1},
		{name: "introspection many times", doc: "{ " + times(9, "m%d: __schema { types { fields { args { type { name } } type { name } } } }") + " }", code: "INTROSPECTION_TOO_COMPLEX"},
		{name: "a NUL in a string", doc: "{ region(id: \"a\\u0000b\") { id } }", code: "INPUT_NOT_TEXT"},
		{name: "no UTF-8", doc: "{ region(id: \"\xff\") { id } }", code: "INPUT_NOT_TEXT"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := admit(t, newGuard(t, l), tc.doc, tc.vars)
			if got := fault.CodeOf(err); got != tc.code {
				t.Fatalf("guard says %v, want %s", err, tc.code)
			}
			if got := number(fault.From(err).Param("got")); tc.got != 0 && got != tc.got {
				t.Errorf("got = %d, want %d", got, tc.got)
			}
		})
	}
}

// TestGuardEstimates holds the estimate to hand-counted answers.
func TestGuardEstimates(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		doc  string
		want int64 // objects: one per object, connection and edge
	}{
		{`{ region { id parent { id } } }`, 2},
		{`{ regions(first: 10) { totalCount pageInfo { hasNextPage } edges { node { id } } } }`, 1 + 1 + 10*2},
		{`{ regions { edges { node { id } } } }`, 1 + 50*2},
		{`{ newest(first: 7) { id parent { id } } }`, 7 * 2},
		{`{ all { id tags { code } } }`, 10 * (1 + 10)},
		{`{ regions(first: 3) { edges { node { children(last: 4) { ...p } } } } } fragment p on Regions { edges { node { id } } }`, 1 + 3*(2+1+4*2)},
		{`{ a: region { ...r } b: region { ...r } } fragment r on Region { tags { code } }`, 2 * (1 + 10)},
	} {
		l := guard.DefaultLimits()
		l.Objects = int(tc.want)
		if err := admit(t, newGuard(t, l), tc.doc, nil); err != nil {
			t.Errorf("limit %d: %s refused: %v", l.Objects, tc.doc, err)
		}
		l.Objects--
		if got := number(fault.From(admit(t, newGuard(t, l), tc.doc, nil)).Param("got")); got != tc.want {
			t.Errorf("limit %d: %s: estimate = %d, want %d", l.Objects, tc.doc, got, tc.want)
		}
	}
}

func TestGuardTrusts(t *testing.T) {
	t.Parallel()
	l := guard.DefaultLimits()
	l.Merges = 1 << 20
	long := "{ region { " + strings.Repeat("id ", 1200) + " } }"
	l.Trusted = func(document string) bool { return document == long }
	g := newGuard(t, l)
	if err := g.Check(long); err != nil {
		t.Errorf("Check of a trusted document = %v, want nil", err)
	}
	if got := fault.CodeOf(g.Check(long + " ")); got != "QUERY_TOO_LONG" {
		t.Errorf("Check of an untrusted document = %q, want QUERY_TOO_LONG", got)
	}
}

// FuzzCheck: no document panics, and none takes the guard beyond its limits.
func FuzzCheck(f *testing.F) {
	f.Add(introspection.Query)
	f.Add(bomb(9))
	f.Add("{ region { ...a } } fragment a on Region { ...a }")
	g := newGuard(f, guard.DefaultLimits())
	f.Fuzz(func(t *testing.T, doc string) {
		if err := g.Check(doc); err != nil && fault.KindOf(err) == fault.Internal {
			t.Errorf("Check(%q) = %v, want a refusal by kind", doc, err)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	for name, doc := range map[string]string{
		"plain": `{ regions(first: 20) { edges { node { id name children { edges { node { id } } } } } } }`,
		"bomb":  bomb(60),
		"merge": "{ region { " + strings.Repeat("id ", 900) + " } }",
		"wide":  "{ region { " + times(300, "f%d") + " } }",
	} {
		b.Run(name, func(b *testing.B) {
			g := newGuard(b, guard.DefaultLimits())
			b.ReportAllocs()
			for b.Loop() {
				_ = g.Check(doc)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "documents/s")
		})
	}
}

func number(v any) int64 {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int64:
		return v
	default:
		return 0
	}
}

func times(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format+" ", i)
	}
	return b.String()
}

// nest opens a selection n times over.
func nest(field string, n int) string {
	return "{ " + strings.Repeat(field+" { ", n) + "id" + strings.Repeat(" } }", n) + " }"
}

// chain makes n fragments, each two levels deep and spreading the next.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "fragment %c on Region { parent { parent { ...%c } } } ", 'a'+i, 'a'+i+1)
	}
	fmt.Fprintf(&b, "fragment %c on Region { id }", 'a'+n)
	return b.String()
}

// bomb doubles with each of n fragments: 2^n fields in a few hundred bytes.
func bomb(n int) string {
	var b strings.Builder
	b.WriteString("{ region { ...f0 } } ")
	for i := range n {
		fmt.Fprintf(&b, "fragment f%d on Region { ...f%d ...f%d } ", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "fragment f%d on Region { id }", n)
	return b.String()
}
