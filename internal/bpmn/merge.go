package bpmn

import (
	"slices"
	"strconv"
	"strings"
)

// MergeConflict is one place that both sides of a merge changed in different ways.
type MergeConflict struct {
	Element  string `json:"element"`  // id of the element, or of the nearest one around it that has one
	Property string `json:"property"` // "@name" of an attribute, the key of a part, or "text"
	Base     string `json:"base"`     // as it was; "" when there was none
	Ours     string `json:"ours"`
	Theirs   string `json:"theirs"`
}

// Merge brings what changed from base to theirs into ours, a document that was
// made from base as well: elements by id, their attributes and parts one by one,
// lists of references as sets, extension elements by what they are about. What
// only one side changed is taken; what both changed alike stays; the rest are
// conflicts, and then no document is answered. The diagram is ours, laid out
// anew when nodes or flows come or go. Errors are those of reading the result.
// The cost is linear in the documents.
func Merge(base, ours, theirs *Document) (*Document, []MergeConflict, error) {
	merged, err := ours.clone()
	if err != nil {
		return nil, nil, err
	}
	other, err := theirs.clone() // its elements move into the result
	if err != nil {
		return nil, nil, err
	}
	m := &merger{}
	m.element(base.root, merged.root, other.root, "")
	if len(m.conflicts) > 0 {
		return nil, m.conflicts, nil
	}
	merged.changed()
	if merged, err = merged.clone(); err != nil {
		return nil, nil, err
	}
	return merged, nil, merged.redraw(ours)
}

// redraw lays a document out anew when its nodes or flows are not those of was.
func (d *Document) redraw(was *Document) error {
	now, err := d.Graph("")
	if err != nil {
		return err
	}
	before, err := was.Graph("")
	if err != nil {
		return err
	}
	if _, has := was.Diagram(before); has && !slices.Equal(drawnIDs(now), drawnIDs(before)) {
		d.SetDiagram(now, d.layout(now))
	}
	return nil
}

// drawnIDs are the ids of nodes and flows, sorted.
func drawnIDs(g *Graph) []string {
	var out []string
	for _, n := range g.Nodes {
		out = append(out, n.ID)
	}
	for _, f := range g.Flows {
		out = append(out, f.ID)
	}
	slices.Sort(out)
	return out
}

// merger collects the conflicts of a merge.
type merger struct{ conflicts []MergeConflict }

func (m *merger) conflict(at, property, base, ours, theirs string) {
	m.conflicts = append(m.conflicts, MergeConflict{at, property, base, ours, theirs})
}

// element merges one element that all three documents have into ours; at is the
// id of the nearest element around it.
func (m *merger) element(base, ours, theirs *element, at string) {
	if id := ours.attr("id"); id != "" {
		at = id
	}
	m.attributes(base, ours, theirs, at)
	if len(base.elements())+len(ours.elements())+len(theirs.elements()) == 0 {
		m.text(base, ours, theirs, at)
		return
	}
	baseKeys, baseBy := base.keyed()
	_, oursBy := ours.keyed()
	theirsKeys, theirsBy := theirs.keyed()
	for _, key := range distinct(theirsKeys, baseKeys) {
		b, o, t := baseBy[key], oursBy[key], theirsBy[key]
		switch {
		case b.drawing() || o.drawing() || t.drawing(): // the diagram stays ours
		case b != nil && o != nil && t != nil:
			if t.source() != b.source() && t.source() != o.source() {
				m.element(b, o, t, at)
			}
		case b == nil && o == nil:
			ours.adopt(t, theirs)
		case b == nil && t != nil && o.source() != t.source():
			m.conflict(at, key, "", o.source(), t.source())
		case b != nil && o != nil && t == nil:
			if o.source() != b.source() {
				m.conflict(at, key, b.source(), o.source(), "")
			} else {
				ours.remove(o)
			}
		case b != nil && o == nil && t != nil && t.source() != b.source():
			m.conflict(at, key, b.source(), "", t.source())
		}
	}
}

func (m *merger) attributes(base, ours, theirs *element, at string) {
	for _, name := range distinct(names(theirs), names(base)) {
		b, hadB := base.written(name)
		o, hadO := ours.written(name)
		t, hadT := theirs.written(name)
		switch {
		case t == b && hadT == hadB, t == o && hadT == hadO:
		case o == b && hadO == hadB:
			ours.attrs = slices.DeleteFunc(ours.attrs, func(a attribute) bool { return a.name() == name && !hadT })
			if hadT {
				ours.rewrite(name, t)
			}
		default:
			m.conflict(at, "@"+name, b, o, t)
		}
	}
}

func (m *merger) text(base, ours, theirs *element, at string) {
	b, o, t := base.content(), ours.content(), theirs.content()
	switch {
	case t == b || t == o:
	case o == b:
		ours.write(t)
	default:
		m.conflict(at, "text", b, o, t)
	}
}

// rewrite sets an attribute by its name as written.
func (e *element) rewrite(name, value string) {
	for i := range e.attrs {
		if e.attrs[i].name() == name {
			e.attrs[i].value = value
			return
		}
	}
	prefix, local, found := strings.Cut(name, ":")
	if !found {
		prefix, local = "", name
	}
	e.attrs = append(e.attrs, attribute{prefix: prefix, local: local, value: value})
}

// elements are the child elements.
func (e *element) elements() []*element {
	var out []*element
	for i := range e.items {
		if c := e.items[i].element; c != nil {
			out = append(out, c)
		}
	}
	return out
}

// subjects are the attributes that say what an extension element is about.
var subjects = []string{"variable", "kind", "name", "reason", "message", "key"}

// key names a child among its siblings: by id; a reference by what it refers to;
// an extension element by what it is about; others by their name.
func (e *element) key() string {
	if id := e.attr("id"); id != "" {
		return "#" + id
	}
	switch e.local {
	case "incoming", "outgoing", "flowNodeRef":
		return e.local + "=" + e.content()
	}
	if e.uri != ModelNamespace {
		for _, s := range subjects {
			if v := e.attr(s); v != "" && e.local != "task" {
				return e.local + ":" + v + e.attr("on")
			}
		}
	}
	return e.local
}

// keyed returns the children by key, and the keys in order; the second child of
// a key is numbered.
func (e *element) keyed() (keys []string, by map[string]*element) {
	by = map[string]*element{}
	for _, c := range e.elements() {
		key := c.key()
		for n := 2; by[key] != nil; n++ {
			key = c.key() + "/" + strconv.Itoa(n)
		}
		keys, by[key] = append(keys, key), c
	}
	return keys, by
}

// drawing reports whether e is a diagram; nil is none.
func (e *element) drawing() bool { return e != nil && e.local == "BPMNDiagram" }

// adopt takes a child of another document's element over, behind the sibling it
// follows there when that is here too.
func (e *element) adopt(child, from *element) {
	before := ""
	for _, c := range from.elements() {
		if c == child {
			break
		}
		before = c.key()
	}
	at := len(e.items)
	for i := range e.items {
		if c := e.items[i].element; c != nil && c.key() == before {
			at = i + 1
		}
	}
	if before == "" {
		at = 0
	}
	space := from.spaceBefore(child)
	child.parent = e
	items := []item{{kind: elementItem, element: child}}
	if space != "" {
		items = []item{{kind: textItem, text: space}, items[0]}
	}
	e.items = slices.Insert(e.items, at, items...)
}

// names are the attribute names as written.
func names(e *element) []string {
	out := make([]string, 0, len(e.attrs))
	for i := range e.attrs {
		out = append(out, e.attrs[i].name())
	}
	return out
}

// distinct joins lists, each text once, in order.
func distinct(lists ...[]string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range slices.Concat(lists...) {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
