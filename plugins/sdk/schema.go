package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"unicode/utf8"
)

// Schema is the part of JSON Schema that configurations need.
type Schema struct {
	Type       string             `json:"type"` // object, array, string, number, integer, boolean
	Properties map[string]*Schema `json:"properties"`
	Required   []string           `json:"required"`
	Additional *bool              `json:"additionalProperties"` // absent = false: a misspelt setting is an error
	Items      *Schema            `json:"items"`
	Enum       []any              `json:"enum"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
	MinLength  *int               `json:"minLength"` // in characters
	MaxLength  *int               `json:"maxLength"`

	// What follows is for people and forms, and checks nothing.
	Dialect     string `json:"$schema"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Format      string `json:"format"`
	Default     any    `json:"default"`
}

// ParseSchema reads the schema of a configuration; "" is that of the empty
// object. A keyword it does not know is an error, so that nobody relies on a
// check that is not made. Unlike in JSON Schema, additionalProperties is false
// where it is not said.
func ParseSchema(text string) (*Schema, error) {
	s := &Schema{Type: "object"}
	if text == "" {
		return s, nil
	}
	if err := strictly([]byte(text), s); err != nil {
		return nil, err
	}
	if s.Type != "object" {
		return nil, fmt.Errorf("type %q is not object", s.Type)
	}
	return s, s.known("$")
}

// known refuses types that Check does not know.
func (s *Schema) known(path string) error {
	if s == nil {
		return fmt.Errorf("%s is null", path)
	}
	if !slices.Contains([]string{"", "object", "array", "string", "number", "integer", "boolean"}, s.Type) {
		return fmt.Errorf("%s has the unknown type %q", path, s.Type)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if err := s.Properties[name].known(path + "." + name); err != nil {
			return err
		}
	}
	for _, name := range s.Required {
		if s.Properties[name] == nil {
			return fmt.Errorf("%s requires %q, which it does not describe", path, name)
		}
	}
	if s.Items != nil {
		return s.Items.known(path + "[]")
	}
	return nil
}

// Check compares a configuration with the schema. The diagnostics come in the
// order of the document's paths; none means that it fits.
func (s *Schema) Check(config []byte) []Diagnostic {
	var v any
	if err := json.Unmarshal(config, &v); err != nil {
		return []Diagnostic{{Path: "$", Code: "CONFIG_JSON", Message: "not JSON: " + err.Error()}}
	}
	return s.check("$", v)
}

func (s *Schema) check(path string, v any) []Diagnostic {
	refuse := func(code, format string, args ...any) []Diagnostic {
		return []Diagnostic{{Path: path, Code: code, Message: fmt.Sprintf(format, args...)}}
	}
	if s.Type != "" && !isOf(s.Type, v) {
		return refuse("CONFIG_TYPE", "must be of type %s", s.Type)
	}
	if s.Enum != nil && !slices.ContainsFunc(s.Enum, func(e any) bool { return reflect.DeepEqual(e, v) }) {
		return refuse("CONFIG_ENUM", "must be one of %v", s.Enum)
	}
	switch v := v.(type) {
	case float64:
		if s.Minimum != nil && v < *s.Minimum || s.Maximum != nil && v > *s.Maximum {
			return refuse("CONFIG_RANGE", "%v is out of range", v)
		}
	case string:
		n := utf8.RuneCountInString(v)
		if s.MinLength != nil && n < *s.MinLength || s.MaxLength != nil && n > *s.MaxLength {
			return refuse("CONFIG_LENGTH", "%d characters are too few or too many", n)
		}
	case map[string]any:
		return s.checkObject(path, v)
	case []any:
		return s.checkArray(path, v)
	}
	return nil
}

func (s *Schema) checkObject(path string, v map[string]any) []Diagnostic {
	var out []Diagnostic
	for _, name := range slices.Sorted(maps.Keys(v)) {
		switch p := s.Properties[name]; {
		case p != nil:
			out = append(out, p.check(path+"."+name, v[name])...)
		case s.Additional == nil || !*s.Additional:
			out = append(out, Diagnostic{Path: path + "." + name, Code: "CONFIG_UNKNOWN", Message: "there is no such setting"})
		}
	}
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			out = append(out, Diagnostic{Path: path + "." + name, Code: "CONFIG_MISSING", Message: "must be set"})
		}
	}
	return out
}

func (s *Schema) checkArray(path string, v []any) []Diagnostic {
	var out []Diagnostic
	for i := range v {
		if s.Items != nil {
			out = append(out, s.Items.check(fmt.Sprintf("%s[%d]", path, i), v[i])...)
		}
	}
	return out
}

// isOf reports whether a decoded value is of a type of JSON Schema.
func isOf(name string, v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return name == "object"
	case []any:
		return name == "array"
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	}
	return false
}

// strictly decodes one JSON value and refuses unknown names.
func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// isObject reports whether text is one JSON object.
func isObject(text []byte) bool { return startsWith(text, '{') }

// isArray reports whether text is one JSON array.
func isArray(text []byte) bool { return startsWith(text, '[') }

func startsWith(text []byte, first byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == first && json.Valid(text)
}
