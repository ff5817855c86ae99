package expr

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"

	"github.com/openspms/spms/internal/fault"
)

// space is a namespace: the fields that dotted names put below one prefix.
type space struct {
	typeName string
	fields   []*field
}

// field is a name in a namespace: a variable, or a further namespace.
type field struct {
	name  string
	typ   Type
	inner *space
}

func (f *field) celType() *cel.Type {
	if f.inner != nil {
		return cel.ObjectType(f.inner.typeName)
	}
	return celType(f.typ)
}

func (s *space) find(name string) *field {
	for _, f := range s.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

// builtin are the names every expression knows.
var builtin = &space{fields: []*field{
	{name: "now", typ: Timestamp},
	{name: "region", inner: &space{"spms.Region", []*field{{name: "code", typ: String}, {name: "area", typ: String}}}},
	{name: "staff", inner: &space{"spms.Staff", []*field{{name: "id", typ: String}, {name: "code", typ: String}}}},
	{name: "instances", inner: &space{"spms.Instances", []*field{{name: "total", typ: Int}, {name: "done", typ: Int}}}},
	{name: "evidence", typ: evidenceList},
}}

// evidenceList is the type of evidence, which is declared nowhere else.
const evidenceList Type = "list(spms.Evidence)"

var evidenceSpace = &space{"spms.Evidence", []*field{{name: "kind", typ: String}, {name: "at", typ: Timestamp}}}

// declare makes the namespaces of variables.
func declare(vars []Variable) (*space, error) {
	root := &space{typeName: "vars"}
	for _, v := range vars {
		if err := CheckName(v.Name); err != nil {
			return nil, fault.From(err).At(v.Name)
		}
		if !v.Type.Valid() {
			return nil, fault.E(fault.Invalid, "VARIABLE_TYPE_UNKNOWN", fault.P("name", v.Name), fault.P("type", string(v.Type))).At(v.Name)
		}
		at := root
		parts := strings.Split(v.Name, ".")
		for i, part := range parts {
			f, last := at.find(part), i == len(parts)-1
			if f != nil && (last || f.inner == nil) {
				return nil, fault.E(fault.Invalid, "VARIABLE_TWICE", fault.P("name", v.Name)).At(v.Name)
			}
			if f == nil {
				f = &field{name: part}
				at.fields = append(at.fields, f)
				if last {
					f.typ = v.Type
				} else {
					f.inner = &space{typeName: at.typeName + "." + part}
				}
			}
			at = f.inner
		}
	}
	return root, nil
}

// celType is the CEL type of a declared type.
func celType(t Type) *cel.Type {
	switch t {
	case Bool:
		return cel.BoolType
	case Int:
		return cel.IntType
	case Double:
		return cel.DoubleType
	case String:
		return cel.StringType
	case Timestamp:
		return cel.TimestampType
	case Duration:
		return cel.DurationType
	case Map:
		return cel.MapType(cel.StringType, cel.DynType)
	case evidenceList:
		return cel.ListType(cel.ObjectType(evidenceSpace.typeName))
	}
	if e, ok := t.Element(); ok {
		return cel.ListType(celType(e))
	}
	return cel.DynType
}

// provider adds the namespaces to the types CEL knows.
type provider struct {
	types.Provider
	spaces map[string]*space
}

func (p *provider) add(f *field) {
	s := f.inner
	if f.typ == evidenceList {
		s = evidenceSpace
	}
	if s == nil {
		return
	}
	p.spaces[s.typeName] = s
	for _, inner := range s.fields {
		p.add(inner)
	}
}

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.spaces[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	s, ok := p.spaces[name]
	if !ok {
		return p.Provider.FindStructFieldNames(name)
	}
	var names []string
	for _, f := range s.fields {
		names = append(names, f.name)
	}
	return names, true
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(name, fieldName string) (*types.FieldType, bool) {
	s, ok := p.spaces[name]
	if !ok {
		return p.Provider.FindStructFieldType(name, fieldName)
	}
	f := s.find(fieldName)
	if f == nil {
		return nil, false
	}
	return &types.FieldType{
		Type: f.celType(),
		IsSet: func(target any) bool {
			m, ok := target.(map[string]any)
			return ok && m[f.name] != nil
		},
		GetFrom: func(target any) (any, error) {
			m, _ := target.(map[string]any)
			v := f.read(m[f.name])
			if v == nil {
				return nil, unset(f.name)
			}
			return v, nil
		},
	}, true
}

// errUnset marks the reading of a variable that has no value.
var errUnset = errors.New("no value is set")

func unset(name string) error { return fmt.Errorf("no such key: %s: %w", name, errUnset) }

// read brings a stored value into the form CEL computes with; nil when there is
// none or it has another type.
func (f *field) read(v any) any {
	if f.inner != nil {
		m, _ := v.(map[string]any)
		if m == nil {
			m = map[string]any{}
		}
		return m
	}
	return computable(f.typ, v)
}

func computable(t Type, v any) any {
	switch t {
	case Int:
		if n, ok := asInt(v); ok {
			return n
		}
		return nil
	case Double:
		if n, ok := number(v); ok {
			return n
		}
		return nil
	case Timestamp:
		if at, ok := asTime(v); ok {
			return at
		}
		return nil
	case Duration:
		s, _ := v.(string)
		if p, err := ParsePeriod(s); err == nil {
			if d, exact := p.Exact(); exact {
				return d
			}
		}
		return nil
	}
	if e, ok := t.Element(); ok && e != String && e != Bool && t != evidenceList {
		items, ok := v.([]any)
		if !ok {
			return nil
		}
		out := make([]any, len(items))
		for i, it := range items {
			out[i] = computable(e, it)
		}
		return out
	}
	return v
}

// activation resolves names for one evaluation.
type activation struct {
	*Activation
	space  *space
	absent bool // a variable without a value was read
}

// ResolveName implements interpreter.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "now":
		return a.Now, true
	case "region":
		return map[string]any{"code": a.Region.Code, "area": a.Region.Area}, true
	case "staff":
		return map[string]any{"id": a.Staff.ID, "code": a.Staff.Code}, true
	case "instances":
		return map[string]any{"total": a.Instances.Total, "done": a.Instances.Done}, true
	case "evidence":
		return a.evidence(), true
	}
	f := a.space.find(name)
	if f == nil {
		return nil, false
	}
	for _, local := range a.Local {
		if v, ok := local[name]; ok {
			if out := f.read(v); out != nil {
				return out, true
			}
		}
	}
	out := f.read(a.Variables[name])
	if out == nil {
		a.absent = true
	}
	return out, out != nil
}

// Parent implements interpreter.Activation.
func (a *activation) Parent() interpreter.Activation { return nil }

func (a *activation) evidence() []any {
	out := make([]any, len(a.Evidence))
	for i, e := range a.Evidence {
		out[i] = map[string]any{"kind": e.Kind, "at": e.At}
	}
	return out
}

// missing reports whether an evaluation failed because a variable has no value.
func (a *activation) missing(err error) bool {
	return a.absent || errors.Is(err, errUnset) || strings.Contains(err.Error(), errUnset.Error())
}

func (p *Program) eval(a *Activation) (ref.Val, error) {
	v, _, err := p.cel.Eval(&activation{Activation: a, space: p.space})
	if err != nil {
		return nil, p.failed(err)
	}
	return v, nil
}

// failed makes the error of an evaluation.
func (p *Program) failed(err error) error {
	code := "EXPR_RUNTIME"
	if strings.Contains(err.Error(), "cost limit") {
		code = "EXPR_COST"
	}
	return fault.E(fault.Precondition, code, fault.P("expression", p.source), fault.P("detail", err.Error())).Because(err)
}

// native brings a result into the form of CheckValue.
func native(v ref.Val) (any, bool) {
	switch v := v.(type) {
	case types.Null:
		return nil, true
	case types.Bool:
		return bool(v), true
	case types.Int:
		return int64(v), v <= maxInt && v >= -maxInt
	case types.Uint:
		return int64(v), v <= maxInt
	case types.Double:
		return asDouble(float64(v))
	case types.String:
		return string(v), true
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano), true
	case types.Duration:
		return Format(v.Duration), true
	}
	return nativeCollection(v)
}

// nativeCollection brings a list, map or namespace into the form of CheckValue.
func nativeCollection(v ref.Val) (any, bool) {
	switch v := v.(type) {
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			n, ok := native(it.Next())
			if !ok {
				return nil, false
			}
			out = append(out, n)
		}
		return out, true
	case traits.Mapper:
		out := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			k := it.Next()
			name, ok := k.(types.String)
			if !ok {
				return nil, false
			}
			if out[string(name)], ok = native(v.Get(k)); !ok {
				return nil, false
			}
		}
		return out, true
	}
	return nil, false
}

func asDouble(f float64) (any, bool) {
	v, ok := coerce(Double, f)
	return v, ok
}
