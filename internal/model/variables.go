package model

import (
	"maps"
	"slices"

	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
)

// Inputs returns the variables that are given when a case starts, in order of
// declaration.
func (m *Model) Inputs() []Variable {
	var out []Variable
	for _, v := range m.Variables {
		if v.Input {
			out = append(out, v)
		}
	}
	return out
}

// Variable returns a declared variable and whether there is one of that name.
func (m *Model) Variable(name string) (Variable, bool) {
	i, ok := m.variables[name]
	if !ok {
		return Variable{}, false
	}
	return m.Variables[i], true
}

// CheckVariables takes values by nested or dotted names and returns them nested,
// each in the form of its declared type; null unsets. allowed, when not nil, says
// which dotted names may be given here. Errors are fault.Invalid with the dotted
// name as path: VARIABLE_UNDECLARED, VARIABLE_NOT_ALLOWED, VARIABLE_TYPE,
// VARIABLE_ENUM; further ones are its items. The input is not changed.
func (m *Model) CheckVariables(in map[string]any, allowed func(name string) bool) (map[string]any, error) {
	out := map[string]any{}
	var faults []*fault.Error
	m.check(in, "", allowed, out, &faults)
	if len(faults) == 0 {
		return out, nil
	}
	return nil, faults[0].With(faults[1:]...)
}

func (m *Model) check(in map[string]any, prefix string, allowed func(string) bool, out map[string]any, faults *[]*fault.Error) {
	for _, key := range slices.Sorted(maps.Keys(in)) {
		name, v := prefix+key, in[key]
		i, declared := m.variables[name]
		inner, isMap := v.(map[string]any)
		switch {
		case !declared && isMap && m.spaces[name]:
			m.check(inner, name+".", allowed, out, faults)
		case !declared:
			*faults = append(*faults, fault.E(fault.Invalid, "VARIABLE_UNDECLARED", fault.P("name", name)).At(name))
		case allowed != nil && !allowed(name):
			*faults = append(*faults, fault.E(fault.Invalid, "VARIABLE_NOT_ALLOWED", fault.P("name", name)).At(name))
		default:
			value, err := expr.CheckValue(m.Variables[i].Type, m.Variables[i].Enum, v)
			if err != nil {
				*faults = append(*faults, fault.From(err).At(name))
				continue
			}
			Set(out, name, value)
		}
	}
}

// Set puts a value at a dotted name into nested maps, making those that miss.
func Set(vars map[string]any, name string, value any) {
	start := 0
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		inner, ok := vars[name[start:i]].(map[string]any)
		if !ok {
			inner = map[string]any{}
			vars[name[start:i]] = inner
		}
		vars, start = inner, i+1
	}
	vars[name[start:]] = value
}

// Get returns the value at a dotted name of nested maps, nil when there is none.
func Get(vars map[string]any, name string) any {
	start := 0
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		inner, ok := vars[name[start:i]].(map[string]any)
		if !ok {
			return nil
		}
		vars, start = inner, i+1
	}
	return vars[name[start:]]
}

// Begin sets the defaults of variables that have no value yet. Errors are those
// of an expression, with the dotted name as path.
func (m *Model) Begin(a expr.Activation) error {
	for _, d := range m.defaults {
		v := &m.Variables[d.variable]
		if Get(a.Variables, v.Name) != nil {
			continue
		}
		got, err := d.program.Eval(a)
		if err == nil {
			got, err = expr.CheckValue(v.Type, v.Enum, got)
		}
		if err != nil {
			return fault.From(err).At(v.Name)
		}
		Set(a.Variables, v.Name, got)
	}
	return nil
}

// CheckRequired refuses nested variables that lack a required input. The error
// is fault.Invalid VARIABLE_REQUIRED with the dotted name as path; further ones
// are its items.
func (m *Model) CheckRequired(vars map[string]any) error {
	var faults []*fault.Error
	for i := range m.Variables {
		v := &m.Variables[i]
		if v.Input && v.Required && Get(vars, v.Name) == nil {
			faults = append(faults, fault.E(fault.Invalid, "VARIABLE_REQUIRED", fault.P("name", v.Name)).At(v.Name))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return faults[0].With(faults[1:]...)
}

// Payload returns what a message or a script's result means for a variable or
// namespace target: nested variables ready to merge. A namespace takes the
// payload's fields, a map variable the whole payload, any other variable the
// payload's field "value" or its only one. Without a target the payload names
// the variables itself. Errors as of CheckVariables.
func (m *Model) Payload(target string, payload map[string]any) (map[string]any, error) {
	if target == "" || len(payload) == 0 {
		return m.CheckVariables(payload, nil)
	}
	var value any = payload
	if i, ok := m.variables[target]; ok && m.Variables[i].Type != expr.Map {
		v, ok := payload["value"]
		if !ok && len(payload) == 1 {
			for _, v = range payload {
			}
			ok = true
		}
		if !ok {
			return nil, fault.E(fault.Invalid, "VARIABLE_REQUIRED", fault.P("name", target)).At(target)
		}
		value = v
	}
	in := map[string]any{}
	Set(in, target, value)
	return m.CheckVariables(in, nil)
}

// FormSchema returns the form of a task as a JSON Schema (2020-12) of an object
// with one property for each field, named by its dotted variable, and the order
// of the fields. Labels are in title (Chinese) and titleEn.
func (m *Model) FormSchema(node int) (schema map[string]any, order []string) {
	properties := map[string]any{}
	required := []any{}
	order = []string{}
	for _, f := range m.Nodes[node].Fields {
		p := typeSchema(f.Type, f.Enum)
		if f.LabelZh != "" {
			p["title"] = f.LabelZh
		}
		if f.LabelEn != "" {
			p["titleEn"] = f.LabelEn
		}
		if f.Unit != "" {
			p["unit"] = f.Unit
		}
		if f.ReadOnly {
			p["readOnly"] = true
		}
		properties[f.Variable] = p
		order = append(order, f.Variable)
		if f.Required && !f.ReadOnly {
			required = append(required, f.Variable)
		}
	}
	schema = map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
		"properties": properties, "additionalProperties": false,
	}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema, order
}

// typeSchema is the JSON Schema of a declared type.
func typeSchema(t expr.Type, enum []string) map[string]any {
	p := map[string]any{}
	switch t {
	case expr.Bool:
		p["type"] = "boolean"
	case expr.Int:
		p["type"] = "integer"
	case expr.Double:
		p["type"] = "number"
	case expr.Timestamp:
		p["type"], p["format"] = "string", "date-time"
	case expr.Duration:
		p["type"], p["format"] = "string", "duration"
	case expr.Map:
		p["type"] = "object"
	case expr.String:
		p["type"] = "string"
	default:
		e, _ := t.Element()
		p["type"], p["items"] = "array", typeSchema(e, enum)
		return p
	}
	if len(enum) > 0 {
		words := make([]any, len(enum))
		for i, w := range enum {
			words[i] = w
		}
		p["enum"] = words
	}
	return p
}
