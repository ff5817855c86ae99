package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
)

// Hit is the hit policy of a decision table (DMN 1.5, 8.2.8).
type Hit string

// The hit policies: the first rule that holds; the only one, two being a
// failure; all of them, each output a list.
const (
	HitFirst   Hit = "first"
	HitUnique  Hit = "unique"
	HitCollect Hit = "collect"
)

// maxRules bounds the rules of one table.
const maxRules = 1000

// Decision is a compiled decision table. Its JSON form is
//
//	{"hit": "first", "inputs": ["case.plan"], "outputs": ["fee.amount"],
//	 "rules": [{"when": ["'1000M'"], "then": ["100.0"]}, {"when": ["-"], "then": ["50.0"]}]}
//
// Inputs are CEL expressions, outputs declared variables. A cell of when is "-"
// (anything), a comparison that lacks its left side (">= 300", "in ['a', 'b']") or
// a CEL value to equal. A cell of then is CEL.
type Decision struct {
	Hit     Hit
	Outputs []string
	rules   []decisionRule
}

// decisionRule is one row: when is nil where anything will do.
type decisionRule struct {
	when *expr.Program
	then []*expr.Program
}

// table is the JSON form of a decision.
type table struct {
	Hit     Hit      `json:"hit"`
	Inputs  []string `json:"inputs"`
	Outputs []string `json:"outputs"`
	Rules   []struct {
		When []string `json:"when"`
		Then []string `json:"then"`
	} `json:"rules"`
}

// decision compiles the table of a business-rule task.
func (c *compiler) decision(n *bpmn.Node) *Decision {
	malformed := func(format string, args ...any) *Decision {
		c.fail("DECISION_MALFORMED", n.ID, fault.P("detail", fmt.Sprintf(format, args...)))
		return nil
	}
	if n.Type != bpmn.BusinessRuleTask || strings.TrimSpace(n.Script) != "" {
		return malformed("a table belongs to a businessRuleTask without expression")
	}
	var t table
	read := json.NewDecoder(bytes.NewReader([]byte(n.Extension.Decision)))
	read.DisallowUnknownFields()
	if err := read.Decode(&t); err != nil {
		return malformed("%v", err)
	}
	switch {
	case read.More():
		return malformed("text after the table")
	case t.Hit != HitFirst && t.Hit != HitUnique && t.Hit != HitCollect:
		return malformed("hit policy %q", t.Hit)
	case len(t.Outputs) == 0 || len(t.Rules) == 0 || len(t.Rules) > maxRules:
		return malformed("%d outputs, %d rules", len(t.Outputs), len(t.Rules))
	}
	types := make([]expr.Type, len(t.Outputs))
	for i, name := range t.Outputs {
		v, ok := c.m.variables[name]
		if !ok {
			c.fail("VARIABLE_UNDECLARED", n.ID, fault.P("name", name))
			return nil
		}
		types[i] = c.m.Variables[v].Type
		if e, list := types[i].Element(); t.Hit == HitCollect {
			if !list {
				return malformed("output %s is no list", name)
			}
			types[i] = e
		}
	}
	d := &Decision{Hit: t.Hit, Outputs: t.Outputs}
	for i, rule := range t.Rules {
		if len(rule.When) != len(t.Inputs) || len(rule.Then) != len(t.Outputs) {
			return malformed("rule %d has %d and %d cells", i+1, len(rule.When), len(rule.Then))
		}
		row := decisionRule{when: c.compile(condition(t.Inputs, rule.When), expr.Bool, n.ID)}
		for j, cell := range rule.Then {
			if strings.TrimSpace(cell) == "" {
				return malformed("rule %d leaves %s empty", i+1, t.Outputs[j])
			}
			row.then = append(row.then, c.compile(cell, types[j], n.ID))
		}
		d.rules = append(d.rules, row)
	}
	return d
}

// comparisons begin a cell that lacks its left side; longer ones first.
var comparisons = []string{"<=", ">=", "==", "!=", "<", ">", "in "}

// condition writes the cells of a rule as one CEL expression, "" when anything will do.
func condition(inputs, cells []string) string {
	var parts []string
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		if cell == "" || cell == "-" {
			continue
		}
		op := slices.IndexFunc(comparisons, func(op string) bool { return strings.HasPrefix(cell, op) })
		if op < 0 {
			parts = append(parts, "("+inputs[i]+") == ("+cell+")")
			continue
		}
		parts = append(parts, "("+inputs[i]+") "+comparisons[op]+" ("+strings.TrimPrefix(cell, comparisons[op])+")")
	}
	return strings.Join(parts, " && ")
}

// Decide evaluates the table and returns its outputs as nested variables. Errors
// are fault.Precondition DECISION_NO_HIT (first and unique), DECISION_NOT_UNIQUE
// with the numbers of the rules, those of expressions, and fault.Invalid
// VARIABLE_ENUM. Cost: rules times cells.
func (d *Decision) Decide(m *Model, a expr.Activation) (map[string]any, error) {
	var hits []int
	for i := range d.rules {
		if w := d.rules[i].when; w != nil {
			ok, err := w.Bool(a)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
		}
		hits = append(hits, i)
		if d.Hit == HitFirst {
			break
		}
	}
	switch {
	case d.Hit != HitCollect && len(hits) == 0:
		return nil, fault.E(fault.Precondition, "DECISION_NO_HIT")
	case d.Hit == HitUnique && len(hits) > 1:
		return nil, fault.E(fault.Precondition, "DECISION_NOT_UNIQUE", fault.P("first", hits[0]+1), fault.P("second", hits[1]+1))
	}
	out := map[string]any{}
	for j, name := range d.Outputs {
		values := make([]any, 0, len(hits))
		for _, i := range hits {
			v, err := d.rules[i].then[j].Eval(a)
			if err != nil {
				return nil, err
			}
			values = append(values, v)
		}
		if d.Hit == HitCollect {
			out[name] = values
		} else {
			out[name] = values[0]
		}
	}
	return m.CheckVariables(out, nil)
}
