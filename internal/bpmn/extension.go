package bpmn

import (
	"slices"
	"strconv"
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// extension returns the first extension element of the product with that name,
// nil when there is none.
func (e *element) extension(local string) *element {
	for c := range e.extensions() {
		if c.local == local {
			return c
		}
	}
	return nil
}

// extensions yields the extension elements of the product in order.
func (e *element) extensions() func(yield func(*element) bool) {
	return func(yield func(*element) bool) {
		for box := range e.children(ModelNamespace, "extensionElements") {
			for c := range box.children(Namespace, "") {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// attributesOf lists the attributes each extension element may have.
var attributesOf = map[string][]string{
	"process":       {"key", "nameEn", "serviceType", "calendar"},
	"variable":      {"name", "type", "unit", "labelZh", "labelEn", "enum", "input", "required", "indexed", "default"},
	"rule":          {"id", "node", "on", "result", "labelZh", "labelEn", "clause"},
	"breach":        {"id", "indicator", "do", "role", "process"},
	"parameter":     {"name", "type", "labelZh", "labelEn", "default", "minimum", "maximum", "enum"},
	"simulation":    {},
	"task":          {"nameEn", "stage", "role", "topic", "priority", "visit", "survey"},
	"qualification": {"kind"},
	"evidence":      {"kind", "media", "required"},
	"field":         {"variable", "labelZh", "labelEn", "required", "readOnly"},
	"event":         {"name", "on"},
	"pause":         {"reason", "indicators"},
	"reschedule":    {"message", "variable"},
	"result":        {"variable"},
	"decision":      {},
	"lane":          {"role", "nameEn"},
	"flow":          {"nameEn"},
	"collection":    {"element"},
	"correlation":   {},
}

// Where each extension element may stand.
var (
	onProcess = []string{"process", "variable", "rule", "breach", "parameter", "simulation"}
	onNode    = []string{"task", "qualification", "evidence", "field", "event", "pause", "reschedule", "result", "decision", "simulation"}
	onFlow    = []string{"flow", "simulation"}
	onLane    = []string{"lane"}
)

// each calls f for the extension elements of e and refuses unknown ones.
func (r *reader) each(e *element, known []string, f func(x *element)) {
	for x := range e.extensions() {
		if !slices.Contains(known, x.local) {
			r.refuse("BPMN_EXTENSION", e, fault.P("attribute", x.name()), fault.P("value", x.content()))
			continue
		}
		for i := range x.attrs {
			a := &x.attrs[i]
			if a.prefix == "" && !a.declaration() && !slices.Contains(attributesOf[x.local], a.local) {
				r.refuse("BPMN_EXTENSION", e, fault.P("attribute", x.name()+"/@"+a.local), fault.P("value", a.value))
			}
		}
		f(x)
	}
}

// processExtension reads the extension of a process.
func (r *reader) processExtension(p *element) ProcessExtension {
	var out ProcessExtension
	r.each(p, onProcess, func(x *element) {
		switch x.local {
		case "process":
			out.Key, out.NameEn, out.ServiceType, out.Calendars = x.attr("key"), x.attr("nameEn"), x.attr("serviceType"), x.attr("calendar")
		case "simulation":
			out.Simulation = x.content()
		case "variable":
			out.Variables = append(out.Variables, Variable{
				Name: x.attr("name"), Type: x.attr("type"), Unit: x.attr("unit"), Enum: list(x.attr("enum")),
				LabelZh: x.attr("labelZh"), LabelEn: x.attr("labelEn"), Default: x.attr("default"),
				Input: r.flag(x, "input"), Required: r.flag(x, "required"), Indexed: r.flag(x, "indexed"),
			})
		case "parameter":
			out.Parameters = append(out.Parameters, r.parameter(x))
		case "breach":
			out.Breaches = append(out.Breaches, BreachAction{
				ID: x.attr("id"), Indicator: x.attr("indicator"), Do: r.word(x, "do", "escalate", "open"), Role: x.attr("role"), Process: x.attr("process"),
			})
		case "rule":
			out.Rules = append(out.Rules, GuardRule{
				ID: x.attr("id"), Node: r.reference(x, "node"), On: r.word(x, "on", "claim", "complete", "enter"),
				Result: r.word(x, "result", "block", "flag"), CEL: x.content(),
				TextZh: x.attr("labelZh"), TextEn: x.attr("labelEn"), Clause: x.attr("clause"),
			})
		}
	})
	return out
}

// nodeExtension reads the extension of a flow node.
func (r *reader) nodeExtension(e *element, n *Node) {
	out := &n.Extension
	r.each(e, onNode, func(x *element) {
		switch x.local {
		case "task":
			out.NameEn, out.Role, out.Topic = x.attr("nameEn"), x.attr("role"), x.attr("topic")
			out.Stage = r.word(x, "stage", "", "demand", "design", "delivery", "followup", "satisfaction")
			out.Priority = r.number(x, "priority")
			out.Visit, out.Survey = r.flag(x, "visit"), r.flag(x, "survey")
		case "qualification":
			out.Qualifications = append(out.Qualifications, x.attr("kind"))
		case "evidence":
			out.Evidence = append(out.Evidence, Evidence{
				Kind: x.attr("kind"), Required: r.flag(x, "required"),
				Media: r.word(x, "media", "", "text", "number", "photo", "location", "document"),
			})
		case "field":
			out.Fields = append(out.Fields, Field{
				Variable: x.attr("variable"), LabelZh: x.attr("labelZh"), LabelEn: x.attr("labelEn"),
				Required: r.flag(x, "required"), ReadOnly: r.flag(x, "readOnly"),
			})
		case "event":
			out.Events = append(out.Events, EventBind{Name: x.attr("name"), On: r.word(x, "on", "enter", "begin", "complete")})
		case "pause":
			out.Pauses = append(out.Pauses, PauseBind{Reason: x.attr("reason"), Indicators: list(x.attr("indicators"))})
		case "reschedule":
			out.Reschedule = append(out.Reschedule, Reschedule{Message: x.attr("message"), Variable: x.attr("variable")})
		case "result":
			n.ScriptResult = x.attr("variable")
		case "decision":
			out.Decision = x.content()
		case "simulation":
			out.Simulation = x.content()
		}
	})
}

// flowExtension reads the extension of a sequence flow.
func (r *reader) flowExtension(e *element) FlowExtension {
	var out FlowExtension
	r.each(e, onFlow, func(x *element) {
		if x.local == "flow" {
			out.NameEn = x.attr("nameEn")
		} else {
			out.Simulation = x.content()
		}
	})
	return out
}

// laneExtension reads the role and the English name of a lane.
func (r *reader) laneExtension(e *element, l *Lane) {
	r.each(e, onLane, func(x *element) { l.Role, l.NameEn = x.attr("role"), x.attr("nameEn") })
}

// flag reads a boolean attribute; absent is false.
func (r *reader) flag(x *element, attribute string) bool {
	v := x.attr(attribute)
	if v != "" && v != "true" && v != "false" && v != "1" && v != "0" {
		r.refuse("BPMN_EXTENSION", x, fault.P("attribute", attribute), fault.P("value", v))
	}
	return isTrue(v)
}

// word reads an attribute that has one of the allowed values.
func (r *reader) word(x *element, attribute string, allowed ...string) string {
	v := x.attr(attribute)
	if !slices.Contains(allowed, v) {
		r.refuse("BPMN_EXTENSION", x, fault.P("attribute", attribute), fault.P("value", v))
	}
	return v
}

// number reads a whole number; absent is 0.
func (r *reader) number(x *element, attribute string) int {
	v := x.attr(attribute)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		r.refuse("BPMN_EXTENSION", x, fault.P("attribute", attribute), fault.P("value", v))
	}
	return n
}

// reference reads the id of an element of the document.
func (r *reader) reference(x *element, attribute string) string {
	v := x.attr(attribute)
	if r.doc.byID(v) == nil {
		r.refuse("BPMN_REFERENCE", x, fault.P("attribute", attribute), fault.P("id", v))
	}
	return v
}

// list splits a comma-separated attribute; empty is nil.
func list(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
