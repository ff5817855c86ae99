package guard

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/openspms/spms/internal/fault"
)

// weight estimates the objects a selection set yields. Lists without pages of
// their own, such as a connection's edges, are kept apart because how long
// they are is known one level further out.
type weight struct {
	own     float64 // objects of single fields and of pages
	perItem float64 // objects per item of the lists selected here
	meta    float64 // objects of introspection
}

// total returns the objects when the lists selected here have n items.
func (w weight) total(n int) float64 { return w.own + float64(n)*w.perItem }

// counter estimates the objects of one operation.
type counter struct {
	limits    Limits
	sizes     sizes
	variables map[string]any
	known     map[*ast.FragmentDefinition]weight
}

// set returns the weight of a validated selection set, or an invalid fault
// PAGE_SIZE_INVALID or PAGE_SIZE_TOO_LARGE at the first wrong page. The
// document is free of cycles. Cost: linear in the document, each fragment once.
func (c *counter) set(set ast.SelectionSet) (weight, error) {
	var sum weight
	for _, sel := range set {
		w, err := c.selection(sel)
		if err != nil {
			return weight{}, err
		}
		sum.own += w.own
		sum.perItem += w.perItem
		sum.meta += w.meta
	}
	return sum, nil
}

func (c *counter) selection(sel ast.Selection) (weight, error) {
	switch sel := sel.(type) {
	case *ast.Field:
		return c.field(sel)
	case *ast.InlineFragment:
		return c.set(sel.SelectionSet)
	case *ast.FragmentSpread:
		return c.fragment(sel.Definition)
	default:
		return weight{}, nil
	}
}

func (c *counter) fragment(f *ast.FragmentDefinition) (weight, error) {
	if f == nil {
		return weight{}, nil
	}
	if w, ok := c.known[f]; ok {
		return w, nil
	}
	w, err := c.set(f.SelectionSet)
	if c.known == nil {
		c.known = map[*ast.FragmentDefinition]weight{}
	}
	c.known[f] = w
	return w, err
}

// field weighs one field: nothing for a leaf, a page by its size, a list by
// its items, an object as one.
func (c *counter) field(f *ast.Field) (weight, error) {
	if f.Definition == nil || len(f.SelectionSet) == 0 {
		return weight{}, nil
	}
	inner, err := c.set(f.SelectionSet)
	if err != nil {
		return weight{}, err
	}
	n, paged, err := c.page(f)
	if err != nil {
		return weight{}, err
	}
	isList := f.Definition.Type.Elem != nil
	item := 1 + inner.total(c.limits.ListSize)
	switch {
	case isMeta(f):
		return weight{meta: 1 + inner.own}, nil
	case f.ObjectDefinition != nil && strings.HasPrefix(f.ObjectDefinition.Name, "__"):
		return weight{own: c.sizes.of(f.Name) * (1 + inner.own)}, nil
	case paged && isList:
		return weight{own: float64(n) * item}, nil
	case paged:
		return weight{own: 1 + inner.total(n)}, nil
	case isList:
		return weight{perItem: item}, nil
	default:
		return weight{own: item}, nil
	}
}

// isMeta reports whether f starts an introspection.
func isMeta(f *ast.Field) bool { return f.Name == "__schema" || f.Name == "__type" }

// page returns the size of the page f asks for and whether f has pages at all.
func (c *counter) page(f *ast.Field) (n int, paged bool, err error) {
	for _, name := range [...]string{"first", "last"} {
		if f.Definition.Arguments.ForName(name) == nil {
			continue
		}
		paged = true
		got, given := c.number(f.Arguments.ForName(name))
		switch {
		case !given:
		case got < 0:
			wrong := fault.E(fault.Invalid, "PAGE_SIZE_INVALID", fault.P("got", got)).At(f.Alias, name)
			return 0, true, &located{wrong, f.Position}
		case got > int64(c.limits.PageMax):
			wrong := fault.E(fault.Invalid, "PAGE_SIZE_TOO_LARGE", fault.P("got", got), fault.P("limit", c.limits.PageMax))
			return 0, true, &located{wrong.At(f.Alias, name), f.Position}
		default:
			n = max(n, int(got))
		}
	}
	if paged && n == 0 {
		n = c.limits.PageSize
	}
	return n, paged, nil
}

// number reads an integer argument from the document or the variables.
func (c *counter) number(arg *ast.Argument) (n int64, given bool) {
	if arg == nil {
		return 0, false
	}
	v, err := arg.Value.Value(c.variables)
	if err != nil {
		return 0, false
	}
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	case float64:
		return int64(v), true
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 64)
		return n, err == nil
	default:
		return 0, false
	}
}

// sizes are the mean lengths of the lists of introspection in one schema.
type sizes map[string]float64

// of returns the mean length of an introspection list, or the chance that a
// single object is there: three in four types wrap another.
func (s sizes) of(field string) float64 {
	switch n, ok := s[field]; {
	case ok:
		return n
	case field == "ofType":
		return 0.75
	default:
		return 1
	}
}

// schemaSizes counts a schema.
func schemaSizes(schema *ast.Schema) sizes {
	types, fields, args, inputs, values := 0, 0, 0, 0, 0
	for _, t := range schema.Types {
		types++
		values += len(t.EnumValues)
		if t.Kind == ast.InputObject {
			inputs += len(t.Fields)
			continue
		}
		fields += len(t.Fields)
		for _, f := range t.Fields {
			args += len(f.Arguments)
		}
	}
	mean := func(n, of int) float64 { return float64(n) / float64(max(of, 1)) }
	return sizes{
		"types":       float64(types),
		"directives":  float64(len(schema.Directives)),
		"fields":      mean(fields, types),
		"inputFields": mean(inputs, types),
		"enumValues":  mean(values, types),
		"args":        mean(args, fields),
	}
}
