// Package modeltest reads process graphs from a small text language, so that
// tests and scenario files can show their process in a few lines.
//
// The main function is Graph. The language is described in docs/engine.md. The
// package must not be used outside of tests.
package modeltest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/openspms/spms/internal/bpmn"
)

// kinds maps the words of the language to BPMN elements.
var kinds = map[string]bpmn.NodeType{
	"start": bpmn.StartEvent, "end": bpmn.EndEvent, "catch": bpmn.IntermediateCatchEvent, "throw": bpmn.IntermediateThrowEvent,
	"boundary": bpmn.BoundaryEvent, "task": bpmn.Task, "user": bpmn.UserTask, "manual": bpmn.ManualTask, "service": bpmn.ServiceTask,
	"send": bpmn.SendTask, "receive": bpmn.ReceiveTask, "script": bpmn.ScriptTask, "rule": bpmn.BusinessRuleTask,
	"sub": bpmn.SubProcess, "eventsub": bpmn.SubProcess, "transaction": bpmn.Transaction, "adhoc": bpmn.AdHocSubProcess,
	"call": bpmn.CallActivity, "xor": bpmn.ExclusiveGateway, "and": bpmn.ParallelGateway, "or": bpmn.InclusiveGateway,
	"event": bpmn.EventBasedGateway, "complex": bpmn.ComplexGateway,
}

// Graph reads a process: one declaration a line.
func Graph(text string) (*bpmn.Graph, error) {
	g := &bpmn.Graph{ID: "p", Name: "流程", Executable: true, Extension: bpmn.ProcessExtension{Key: "p", ServiceType: "home broadband"}}
	for i, line := range strings.Split(text, "\n") {
		words, err := Words(line)
		if err == nil && len(words) > 0 {
			err = declare(g, words)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d %q: %w", i+1, strings.TrimSpace(line), err)
		}
	}
	connect(g)
	return g, nil
}

// Words splits a line at spaces, keeping quoted text together and dropping what
// follows a # at the beginning of a word. The quotes go, except in a word that
// gives a JSON value (name:="text").
func Words(line string) ([]string, error) {
	var words []string
	var b strings.Builder
	quoted, begun := false, false
	for i := range len(line) {
		c := line[i]
		switch {
		case c == '"':
			quoted, begun = !quoted, true
			if strings.Contains(b.String(), ":=") {
				b.WriteByte(c)
			}
		case quoted:
			b.WriteByte(c)
		case c == '#' && !begun:
			return words, nil
		case c == ' ' || c == '\t':
			if begun {
				words, begun = append(words, b.String()), false
				b.Reset()
			}
		default:
			b.WriteByte(c)
			begun = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quote is not closed")
	}
	if begun {
		words = append(words, b.String())
	}
	return words, nil
}

func declare(g *bpmn.Graph, words []string) error {
	attrs := map[string]string{}
	var plain []string
	for _, w := range words[1:] {
		if k, v, ok := strings.Cut(w, "="); ok && !slices.Contains([]string{"flow", "table", "row"}, words[0]) && !strings.ContainsAny(k, " ()'\"") {
			attrs[k] = v
			continue
		}
		plain = append(plain, w)
	}
	switch words[0] {
	case "var":
		return variable(g, plain, attrs)
	case "flow":
		return flow(g, words[1:])
	case "guard":
		g.Extension.Rules = append(g.Extension.Rules, bpmn.GuardRule{
			ID: attrs["id"], Node: attrs["node"], On: attrs["on"],
			Result: attrs["result"], CEL: attrs["cel"], Clause: attrs["clause"],
		})
		return nil
	}
	if words[0] == "table" || words[0] == "row" {
		return decision(g, words)
	}
	t, ok := kinds[words[0]]
	if !ok || len(plain) == 0 {
		return fmt.Errorf("unknown word")
	}
	n := &bpmn.Node{
		ID: plain[0], Name: plain[0], Type: t, Parent: attrs["in"], AttachedTo: attrs["on"], CalledElement: attrs["process"],
		Script: attrs["script"], ScriptResult: attrs["result"], TriggeredByEvent: words[0] == "eventsub", Lane: attrs["lane"],
		Interrupting: (t == bpmn.BoundaryEvent || t == bpmn.StartEvent) && !slices.Contains(plain[1:], "noninterrupting"),
	}
	extend(n, attrs)
	n.ForCompensation, n.Handler = slices.Contains(plain[1:], "undoes"), attrs["handler"]
	n.Event = event(attrs, plain[1:])
	if l := loop(attrs, plain[1:]); l != nil {
		n.Loop = l
	}
	g.Nodes = append(g.Nodes, n)
	return nil
}

func variable(g *bpmn.Graph, plain []string, attrs map[string]string) error {
	if len(plain) < 2 {
		return fmt.Errorf("want a name and a type")
	}
	v := bpmn.Variable{
		Name: plain[0], Type: plain[1], Default: attrs["default"], LabelZh: attrs["zh"], LabelEn: attrs["en"], Unit: attrs["unit"],
		Input: slices.Contains(plain, "input"), Required: slices.Contains(plain, "required"),
	}
	if attrs["enum"] != "" {
		v.Enum = strings.Split(attrs["enum"], ",")
	}
	g.Extension.Variables = append(g.Extension.Variables, v)
	return nil
}

// flow reads "a -> b -> c", with "when CEL" or "default" after a single arrow.
func flow(g *bpmn.Graph, words []string) error {
	condition, byDefault := "", false
	switch i := slices.Index(words, "when"); {
	case i >= 0 && i+1 < len(words):
		condition, words = strings.Join(words[i+1:], " "), words[:i]
	case len(words) > 0 && words[len(words)-1] == "default":
		byDefault, words = true, words[:len(words)-1]
	}
	for i := 0; i+2 < len(words); i += 2 {
		if words[i+1] != "->" {
			return fmt.Errorf("want an arrow")
		}
		f := &bpmn.Flow{ID: words[i] + ">" + words[i+2], From: words[i], To: words[i+2], Condition: condition}
		for slices.ContainsFunc(g.Flows, func(o *bpmn.Flow) bool { return o.ID == f.ID }) {
			f.ID += "'"
		}
		g.Flows = append(g.Flows, f)
		if byDefault {
			for _, n := range g.Nodes {
				if n.ID == words[i] {
					n.Default = f.ID
				}
			}
		}
	}
	return nil
}

// decision reads the decision table of a business-rule task: "table NODE HIT
// INPUT… -> OUTPUT…", then "row NODE CELL… -> VALUE…" for each rule.
func decision(g *bpmn.Graph, words []string) error {
	arrow := slices.Index(words, "->")
	i := slices.IndexFunc(g.Nodes, func(n *bpmn.Node) bool { return len(words) > 1 && n.ID == words[1] })
	if arrow < 2 || i < 0 {
		return fmt.Errorf("want a rule task and an arrow")
	}
	type row struct {
		When []string `json:"when"`
		Then []string `json:"then"`
	}
	var table struct {
		Hit     string   `json:"hit"`
		Inputs  []string `json:"inputs"`
		Outputs []string `json:"outputs"`
		Rules   []row    `json:"rules"`
	}
	x := &g.Nodes[i].Extension
	if words[0] == "table" {
		table.Hit, table.Inputs, table.Outputs = words[2], words[3:arrow], words[arrow+1:]
	} else {
		if err := json.Unmarshal([]byte(x.Decision), &table); err != nil {
			return fmt.Errorf("row without its table: %w", err)
		}
		table.Rules = append(table.Rules, row{words[2:arrow], words[arrow+1:]})
	}
	raw, err := json.Marshal(table)
	x.Decision = string(raw)
	return err
}

func extend(n *bpmn.Node, attrs map[string]string) {
	x := &n.Extension
	x.Role, x.Stage, x.Topic = attrs["role"], attrs["stage"], attrs["topic"]
	pairs := func(key string, take func(a, b string)) {
		if attrs[key] == "" {
			return
		}
		for _, p := range strings.Split(attrs[key], ",") {
			a, b, _ := strings.Cut(p, ":")
			take(a, b)
		}
	}
	pairs("emit", func(on, name string) { x.Events = append(x.Events, bpmn.EventBind{Name: name, On: on}) })
	pairs("pause", func(reason, indicator string) {
		p := bpmn.PauseBind{Reason: reason}
		if indicator != "" {
			p.Indicators = []string{indicator}
		}
		x.Pauses = append(x.Pauses, p)
	})
	pairs("reschedule", func(message, variable string) {
		x.Reschedule = append(x.Reschedule, bpmn.Reschedule{Message: message, Variable: variable})
	})
	pairs("field", func(variable, required string) {
		x.Fields = append(x.Fields, bpmn.Field{Variable: variable, Required: required == "required", ReadOnly: required == "readonly"})
	})
	pairs("evidence", func(kind, _ string) { x.Evidence = append(x.Evidence, bpmn.Evidence{Kind: kind, Required: true}) })
}

func event(attrs map[string]string, flags []string) *bpmn.Event {
	e := &bpmn.Event{
		Date: attrs["date"], Duration: attrs["duration"], Cycle: attrs["cycle"], Correlation: attrs["key"], NoWait: slices.Contains(flags, "nowait"),
	}
	for _, kind := range []bpmn.EventKind{bpmn.TerminateEvent, bpmn.CompensateEvent, bpmn.CancelEvent} {
		if slices.Contains(flags, string(kind)) {
			e.Kind = kind
			return e
		}
	}
	if e.Date != "" || e.Duration != "" || e.Cycle != "" {
		e.Kind = bpmn.TimerEvent
		return e
	}
	for word, kind := range map[string]bpmn.EventKind{
		"message": bpmn.MessageEvent, "signal": bpmn.SignalEvent, "link": bpmn.LinkEvent,
		"error": bpmn.ErrorEvent, "escalation": bpmn.EscalationEvent, "condition": bpmn.ConditionalEvent, "compensate": bpmn.CompensateEvent,
	} {
		name, ok := attrs[word]
		if !ok {
			continue
		}
		e.Kind = kind
		switch kind {
		case bpmn.ErrorEvent, bpmn.EscalationEvent:
			e.Code = strings.TrimPrefix(name, "*")
		case bpmn.ConditionalEvent:
			e.Condition = name
		default:
			e.Name = name
		}
		return e
	}
	return nil
}

func loop(attrs map[string]string, flags []string) *bpmn.Loop {
	l := &bpmn.Loop{
		Cardinality: attrs["times"], Collection: attrs["each"], Element: attrs["element"], Completion: attrs["until"],
		Condition: attrs["while"], Sequential: slices.Contains(flags, "sequential"), TestBefore: slices.Contains(flags, "testbefore"),
	}
	l.Maximum, _ = strconv.Atoi(attrs["atmost"])
	l.MultiInstance = l.Cardinality != "" || l.Collection != ""
	if !l.MultiInstance && l.Condition == "" && l.Maximum == 0 {
		return nil
	}
	return l
}

// connect writes the ids of flows to their nodes.
func connect(g *bpmn.Graph) {
	for _, f := range g.Flows {
		for _, n := range g.Nodes {
			if n.ID == f.From {
				n.Outgoing = append(n.Outgoing, f.ID)
			}
			if n.ID == f.To {
				n.Incoming = append(n.Incoming, f.ID)
			}
		}
	}
}
