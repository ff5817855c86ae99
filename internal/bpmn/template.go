package bpmn

import (
	"encoding/json"
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// ParameterType says what a template asks for.
type ParameterType string

// The types of parameters.
const (
	NumberParameter   ParameterType = "number"
	DurationParameter ParameterType = "duration" // ISO 8601
	RoleParameter     ParameterType = "role"
	ChoiceParameter   ParameterType = "choice" // one of Enum
)

// Parameter is what a process asks for when it is used as a template: its edits,
// with the value put in for {value} and {hours} (a duration in hours), make the
// process of that value. The edits of the default change nothing.
type Parameter struct {
	Name             string        `json:"name"`
	Type             ParameterType `json:"type"`
	LabelZh          string        `json:"labelZh,omitempty"`
	LabelEn          string        `json:"labelEn,omitempty"`
	Default          string        `json:"default"`
	Minimum, Maximum string        `json:",omitempty"` // of numbers and durations
	Enum             []string      `json:"enum,omitempty"`
	Edits            []Edit        `json:"edits"`
}

// parameter reads a parameter of a process.
func (r *reader) parameter(x *element) Parameter {
	p := Parameter{
		Name: x.attr("name"), Type: ParameterType(r.word(x, "type", "number", "duration", "role", "choice")),
		LabelZh: x.attr("labelZh"), LabelEn: x.attr("labelEn"), Default: x.attr("default"),
		Minimum: x.attr("minimum"), Maximum: x.attr("maximum"), Enum: list(x.attr("enum")),
	}
	in := json.NewDecoder(strings.NewReader(x.content()))
	in.DisallowUnknownFields()
	if err := in.Decode(&p.Edits); err != nil || p.Name == "" {
		r.refuse("BPMN_EXTENSION", x, fault.P("attribute", "parameter "+p.Name), fault.P("value", x.content()))
	}
	return p
}

// Value is what is put in for a parameter.
type Value struct {
	Text  string // for {value}
	Hours string // for {hours}
}

// Instantiate makes a process of its own out of a template with one executable
// process: it gets a key and names, the edits of its parameters are applied with
// their values by name, in the order of the parameters, and it asks for nothing
// any more. A parameter without value is left as the template has it. Errors are
// those of Apply with the path parameters.NAME.field; the document is then
// unchanged.
func (d *Document) Instantiate(key, name, nameEn string, values map[string]Value) error {
	work, err := d.clone()
	if err != nil {
		return err
	}
	_, g, err := work.edited("")
	if err != nil {
		return err
	}
	for _, param := range g.Extension.Parameters {
		v, given := values[param.Name]
		if !given {
			continue
		}
		edits, err := filled(param.Edits, v)
		if err != nil {
			return err
		}
		if _, err := work.Apply("", edits...); err != nil {
			e := fault.From(err)
			return e.At(append([]string{"parameters", param.Name}, e.Path...)...)
		}
	}
	p, _, err := work.edited("")
	if err != nil {
		return err
	}
	e := &editor{doc: work, process: p}
	for _, param := range g.Extension.Parameters {
		if err := e.removeEntry("parameter", "name", param.Name); err != nil {
			return err
		}
	}
	if err := e.rename(&Edit{Name: name, NameEn: nameEn}); err != nil {
		return err
	}
	work.setExtensionAttr(p, "process", "key", key)
	d.before, d.root, d.after = work.before, work.root, work.after
	d.changed()
	return nil
}

// filled puts a value into the texts of edits.
func filled(edits []Edit, v Value) ([]Edit, error) {
	raw, err := json.Marshal(edits)
	if err != nil {
		return nil, err
	}
	quoted := func(s string) string {
		q, _ := json.Marshal(s) //nolint:errchkjson // a string always marshals
		return string(q[1 : len(q)-1])
	}
	text := strings.NewReplacer("{value}", quoted(v.Text), "{hours}", quoted(v.Hours)).Replace(string(raw))
	var out []Edit
	err = json.Unmarshal([]byte(text), &out)
	return out, err
}
