package bpmn

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ChangeKind says what happened to an element between two versions.
type ChangeKind string

// The kinds of change. A moved element stands in another lane or subprocess; it
// may have other changes besides.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
	Moved   ChangeKind = "moved"
)

// ElementKind is the kind of thing a change is about.
type ElementKind string

// The element kinds in the order in which Diff lists them.
const (
	ProcessElement  ElementKind = "process"
	LaneElement     ElementKind = "lane"
	VariableElement ElementKind = "variable"
	RuleElement     ElementKind = "rule"
	NodeElement     ElementKind = "node"
	FlowElement     ElementKind = "flow"
)

// Change is one difference of two versions of a process.
type Change struct {
	Kind       ChangeKind       `json:"kind"`
	Element    ElementKind      `json:"element"`
	ID         string           `json:"id"`              // in the new version; of a removed element in the old one
	OldID      string           `json:"oldId,omitempty"` // when the id was given anew
	Name       string           `json:"name,omitempty"`
	NameEn     string           `json:"nameEn,omitempty"`
	Properties []PropertyChange `json:"properties,omitempty"` // of changed and moved elements, by path
}

// PropertyChange is one property that differs. Path is dotted with keys of lists
// in brackets, such as evidence[光功率读数].required; an absent value is "".
type PropertyChange struct {
	Path string `json:"path"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Diff returns what differs from a to b: the process itself, its lanes,
// variables and rules, its nodes and flows with every property, those that no
// diagram shows included. Elements are matched by id; those whose id was given
// anew, as editors do on import, by kind, name and neighbours; an element that
// only has a new id is no difference. Places on the diagram are not compared.
// Equal graphs give nil. Cost about linear, quadratic in nodes without a match.
func Diff(a, b *Graph) []Change {
	d := &differ{a: a, b: b, m: match(a, b)}
	d.compare(Change{Element: ProcessElement, ID: b.ID, Name: b.Name, NameEn: b.Extension.NameEn}, d.process(a, true), d.process(b, false))
	pairs(d, LaneElement, a.Lanes, b.Lanes, func(l *Lane) (string, string, string) { return l.ID, l.Name, l.NameEn }, d.m.lanes, d.lane)
	same := func(s string) string { return s }
	pairs(d, VariableElement, a.Extension.Variables, b.Extension.Variables, func(v Variable) (string, string, string) { return v.Name, v.LabelZh, v.LabelEn }, same,
		func(v Variable, _ bool) map[string]string { return flatten(v, "name") })
	pairs(d, RuleElement, a.Extension.Rules, b.Extension.Rules, func(r GuardRule) (string, string, string) { return r.ID, r.TextZh, r.TextEn }, same,
		func(r GuardRule, old bool) map[string]string {
			r.Node = d.ref(r.Node, old)
			return flatten(r, "id")
		})
	pairs(d, NodeElement, a.Nodes, b.Nodes, func(n *Node) (string, string, string) { return n.ID, n.Name, n.Extension.NameEn }, d.m.nodes, d.node)
	pairs(d, FlowElement, a.Flows, b.Flows, func(f *Flow) (string, string, string) { return f.ID, f.Name, f.Extension.NameEn }, d.m.flows, d.flow)
	return d.out
}

// differ collects changes.
type differ struct {
	a, b *Graph
	m    *matching
	out  []Change
}

// pairs compares two lists of elements: those of b in their order, then what a
// has besides. twin gives the id in b of an element of a, "" for none.
func pairs[T any](d *differ, kind ElementKind, a, b []T, name func(T) (id, zh, en string), twin func(string) string, properties func(T, bool) map[string]string) {
	before := map[string]T{}
	for _, x := range a {
		id, _, _ := name(x)
		before[twin(id)] = x
	}
	known := map[string]bool{}
	for _, x := range b {
		id, zh, en := name(x)
		known[id] = true
		c := Change{Kind: Added, Element: kind, ID: id, Name: zh, NameEn: en}
		old, ok := before[id]
		if !ok {
			d.out = append(d.out, c)
			continue
		}
		if oldID, _, _ := name(old); oldID != id {
			c.OldID = oldID
		}
		d.compare(c, properties(old, true), properties(x, false))
	}
	for _, x := range a {
		id, zh, en := name(x)
		if to := twin(id); to == "" || !known[to] {
			d.out = append(d.out, Change{Kind: Removed, Element: kind, ID: id, Name: zh, NameEn: en})
		}
	}
}

// compare adds a change when two sets of properties differ.
func (d *differ) compare(c Change, old, now map[string]string) {
	c.Kind = Changed
	for path := range maps.Keys(union(old, now)) {
		if old[path] == now[path] {
			continue
		}
		c.Properties = append(c.Properties, PropertyChange{path, old[path], now[path]})
		if c.Element == NodeElement && (path == "lane" || path == "parent") || c.Element == LaneElement && path == "parent" {
			c.Kind = Moved
		}
	}
	if len(c.Properties) == 0 {
		return
	}
	slices.SortFunc(c.Properties, func(x, y PropertyChange) int { return cmp.Compare(x.Path, y.Path) })
	d.out = append(d.out, c)
}

func union(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// ref brings an id of the old version to the one it has in the new.
func (d *differ) ref(id string, old bool) string {
	if to := d.m.any(id); old && to != "" {
		return to
	}
	return id
}

// process lists the properties of a process without its lists of elements.
func (d *differ) process(g *Graph, _ bool) map[string]string {
	x := g.Extension
	x.Variables, x.Rules = nil, nil
	return flatten(map[string]any{"name": g.Name, "executable": g.Executable, "extension": x}, "")
}

// lane lists the properties of a lane; the nodes in it are compared as theirs.
func (d *differ) lane(l *Lane, old bool) map[string]string {
	return flatten(map[string]any{"name": l.Name, "nameEn": l.NameEn, "role": l.Role, "parent": d.ref(l.Parent, old)}, "")
}

// node lists the properties of a node.
func (d *differ) node(n *Node, old bool) map[string]string {
	return flatten(map[string]any{
		"name": n.Name, "type": n.Type, "parent": d.ref(n.Parent, old), "lane": d.ref(n.Lane, old),
		"event": n.Event, "attachedTo": d.ref(n.AttachedTo, old), "interrupting": n.Interrupting, "triggeredByEvent": n.TriggeredByEvent,
		"default": d.ref(n.Default, old), "calledElement": n.CalledElement, "loop": n.Loop, "script": n.Script, "result": n.ScriptResult,
		"forCompensation": n.ForCompensation, "handler": d.ref(n.Handler, old), "extension": n.Extension,
	}, "")
}

// flow lists the properties of a flow.
func (d *differ) flow(f *Flow, old bool) map[string]string {
	return flatten(map[string]any{
		"name": f.Name, "from": d.ref(f.From, old), "to": d.ref(f.To, old), "condition": f.Condition, "extension": f.Extension,
	}, "")
}

// flatten turns a value into its leaves by dotted path. Simulation JSON is taken
// apart as well; empty leaves and the property without are left out.
func flatten(v any, without string) map[string]string {
	text, err := json.Marshal(v)
	if err != nil {
		return nil // values of graphs always marshal
	}
	var tree map[string]any
	if json.Unmarshal(text, &tree) != nil {
		return nil
	}
	delete(tree, without)
	if inner, ok := tree["extension"].(map[string]any); ok { // its names stand beside the element's own
		delete(tree, "extension")
		maps.Copy(tree, inner)
	}
	out := map[string]string{}
	leaves("", tree, out)
	return out
}

// leaves enters the leaves of a JSON value.
func leaves(path string, v any, out map[string]string) {
	join := func(key string) string {
		if path == "" {
			return key
		}
		return path + "." + key
	}
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			leaves(join(lowerFirst(k)), x, out)
		}
	case []any:
		used := map[string]bool{}
		for i, x := range v {
			key := keyOf(x, i)
			if used[key] {
				key += "#" + strconv.Itoa(i)
			}
			used[key] = true
			leaves(path+"["+key+"]", x, out)
		}
	case string:
		var inner any
		if strings.HasSuffix(path, "simulation") && json.Unmarshal([]byte(v), &inner) == nil {
			leaves(path, inner, out)
		} else if v != "" {
			out[path] = v
		}
	case bool:
		if v || free(path) {
			out[path] = strconv.FormatBool(v)
		}
	case float64:
		if v != 0 || free(path) {
			out[path] = strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
}

// free reports whether a path lies in data of free form, where a zero is not
// the same as nothing.
func free(path string) bool { return strings.HasPrefix(path, "simulation") }

// keyOf names an item of a list by what identifies it, else by its place.
func keyOf(item any, at int) string {
	switch item := item.(type) {
	case string:
		return item
	case map[string]any:
		key := ""
		for _, k := range []string{"name", "kind", "variable", "id", "reason", "message", "region"} {
			if s, ok := item[k].(string); ok {
				key = s
				break
			}
		}
		if on, ok := item["on"].(string); ok && key != "" {
			key += "@" + on
		}
		if key != "" {
			return key
		}
	}
	return strconv.Itoa(at)
}

// lowerFirst begins a name with a small letter.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
