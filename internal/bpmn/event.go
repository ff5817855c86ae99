package bpmn

import (
	"strconv"
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// definitions are the event definition elements and what they mean; those that
// refer to a root element name the attribute and the element.
var definitions = map[string]struct {
	kind       EventKind
	ref, names string
}{
	"timerEventDefinition":       {TimerEvent, "", ""},
	"messageEventDefinition":     {MessageEvent, "messageRef", "message"},
	"errorEventDefinition":       {ErrorEvent, "errorRef", "error"},
	"escalationEventDefinition":  {EscalationEvent, "escalationRef", "escalation"},
	"signalEventDefinition":      {SignalEvent, "signalRef", "signal"},
	"linkEventDefinition":        {LinkEvent, "", ""},
	"terminateEventDefinition":   {TerminateEvent, "", ""},
	"conditionalEventDefinition": {ConditionalEvent, "", ""},
	"compensateEventDefinition":  {CompensateEvent, "", ""},
	"cancelEventDefinition":      {CancelEvent, "", ""},
}

// event reads the definition of an event: its own or one it refers to. Several
// make a multiple event.
func (r *reader) event(e *element) *Event {
	var found []*element
	for c := range e.children(ModelNamespace, "") {
		if _, ok := definitions[c.local]; ok {
			found = append(found, c)
		}
		if c.local != "eventDefinitionRef" {
			continue
		}
		ref := localPart(c.content())
		if def := r.doc.byID(ref); def != nil && definitions[def.local].kind != "" {
			found = append(found, def)
		} else {
			r.refuse("BPMN_REFERENCE", e, fault.P("attribute", "eventDefinitionRef"), fault.P("id", ref))
		}
	}
	switch len(found) {
	case 0:
		return &Event{Kind: NoneEvent}
	case 1:
		return r.definition(found[0])
	}
	return &Event{Kind: MultipleEvent}
}

// definition reads one event definition.
func (r *reader) definition(def *element) *Event {
	d := definitions[def.local]
	ev := &Event{Kind: d.kind}
	if d.ref != "" {
		r.name(def, d.ref, d.names, ev)
	}
	switch d.kind {
	case LinkEvent:
		ev.Name = def.attr("name")
	case TimerEvent:
		for field, name := range map[*string]string{&ev.Date: "timeDate", &ev.Duration: "timeDuration", &ev.Cycle: "timeCycle"} {
			if t := def.first(name); t != nil {
				*field = t.content()
			}
		}
	case ConditionalEvent:
		if c := def.first("condition"); c != nil {
			ev.Condition = c.content()
		}
	case CompensateEvent:
		ev.Name = localPart(def.attr("activityRef"))
		if wait := def.attr("waitForCompletion"); wait != "" {
			ev.NoWait = !isTrue(wait)
		}
	}
	return ev
}

// name resolves a reference to a message, signal, error or escalation. One of
// an imported document keeps its local name, and so does a dangling one in a
// process that is only drawn, not run; none at all is left to the checks.
func (r *reader) name(e *element, attribute, names string, ev *Event) {
	ref := strings.TrimSpace(e.attr(attribute))
	if ref == "" {
		return
	}
	if prefix, local, ok := strings.Cut(ref, ":"); ok {
		if uri, declared := e.namespace(prefix); declared && uri != r.doc.TargetNamespace() {
			ev.Name, ev.Code = local, local
			return
		}
	}
	def := r.doc.byID(localPart(ref))
	if def == nil || !def.is(names) {
		if !r.graph.Executable {
			ev.Name, ev.Code = localPart(ref), localPart(ref)
			return
		}
		r.refuse("BPMN_REFERENCE", e, fault.P("attribute", attribute), fault.P("id", ref))
		return
	}
	if ev.Name = def.attr("name"); ev.Name == "" {
		ev.Name = def.attr("id")
	}
	ev.Code = def.attr("errorCode") + def.attr("escalationCode")
	if c := def.extension("correlation"); c != nil {
		ev.Correlation = c.content()
	}
}

// loop reads the loop characteristics of an activity, nil without.
func (r *reader) loop(e *element) *Loop {
	if s := e.first("standardLoopCharacteristics"); s != nil {
		l := &Loop{TestBefore: isTrue(s.attr("testBefore"))}
		if c := s.first("loopCondition"); c != nil {
			l.Condition = c.content()
		}
		if m := s.attr("loopMaximum"); m != "" {
			n, err := strconv.Atoi(m)
			if err != nil || n < 0 {
				r.refuse("BPMN_EXTENSION", s, fault.P("attribute", "loopMaximum"), fault.P("value", m))
			}
			l.Maximum = n
		}
		return l
	}
	m := e.first("multiInstanceLoopCharacteristics")
	if m == nil {
		return nil
	}
	l := &Loop{MultiInstance: true, Sequential: isTrue(m.attr("isSequential"))}
	if c := m.first("loopCardinality"); c != nil {
		l.Cardinality = c.content()
	}
	if c := m.first("completionCondition"); c != nil {
		l.Completion = c.content()
	}
	if c := m.extension("collection"); c != nil {
		l.Collection, l.Element = c.content(), c.attr("element")
	}
	return l
}
