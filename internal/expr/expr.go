// Package expr compiles and evaluates the expressions of processes and rules.
//
// Expressions are CEL. An Env is built from the declared variables of one
// process; dotted names make typed namespaces, so that a wrong type or an
// undeclared field is found when the expression is compiled. A Program is
// evaluated over an Activation, the values of one case at one instant. Values
// keep a form that survives JSON (CheckValue), so that rows, history and replay
// agree. The package is pure and must not know processes, cases or rows.
package expr

import (
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// Type is the declared type of a variable: bool, int, double, string,
// timestamp, duration, map, or list(T) with a T of those.
type Type string

// The types that are not lists. Any stands for "whatever the expression
// yields" and is no type of a variable.
const (
	Any       Type = ""
	Bool      Type = "bool"
	Int       Type = "int"
	Double    Type = "double"
	String    Type = "string"
	Timestamp Type = "timestamp"
	Duration  Type = "duration"
	Map       Type = "map"
	List      Type = "list" // a list of anything; wanted of expressions, not declared
)

// ListOf returns the type of a list of t.
func ListOf(t Type) Type { return "list(" + t + ")" }

// Element returns the element type of a list type and whether t is one.
func (t Type) Element() (Type, bool) {
	s, ok := strings.CutPrefix(string(t), "list(")
	if !ok || !strings.HasSuffix(s, ")") {
		return "", false
	}
	return Type(s[:len(s)-1]), true
}

// Valid reports whether a variable can be of type t; lists nest at most once.
func (t Type) Valid() bool {
	switch t {
	case Bool, Int, Double, String, Timestamp, Duration, Map:
		return true
	}
	e, ok := t.Element()
	_, nested := e.Element()
	return ok && !nested && e.Valid()
}

// Variable declares a variable by its dotted name.
type Variable struct {
	Name string
	Type Type
	Enum []string // allowed values of a string or of the strings of a list
}

// reserved are the names that every expression has without declaring them, and
// the words of the language.
var reserved = map[string]bool{
	"now": true, "region": true, "evidence": true, "staff": true, "instances": true,
	"true": true, "false": true, "null": true, "in": true, "as": true, "break": true, "const": true,
	"continue": true, "else": true, "for": true, "function": true, "if": true, "import": true, "let": true,
	"loop": true, "package": true, "namespace": true, "return": true, "var": true, "void": true, "while": true,
}

// CheckName reports whether name can name a variable: identifiers joined by
// dots, at most 128 bytes, the first one not reserved. The error is
// fault.Invalid VARIABLE_NAME.
func CheckName(name string) error {
	bad := fault.E(fault.Invalid, "VARIABLE_NAME", fault.P("name", name))
	if len(name) > 128 {
		return bad
	}
	for i, part := range strings.Split(name, ".") {
		if !identifier(part) || (i == 0 && reserved[part]) || part == "in" || part == "true" || part == "false" || part == "null" {
			return bad
		}
	}
	return nil
}

// identifier reports whether s is a CEL identifier.
func identifier(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
