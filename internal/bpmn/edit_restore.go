package bpmn

import (
	"bufio"
	"bytes"
	"slices"
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// Piece is one part of a document as it was: an element, or an attribute of the
// process. Edit Restore puts pieces back in their order.
type Piece struct {
	Parent string `json:"parent,omitempty"` // id of a process, "" for the definitions
	Key    string `json:"key"`              // "#id", or the element's name when it alone has it; "@name" for an attribute
	XML    string `json:"xml,omitempty"`    // the element, or the attribute's value; "" when there was none
	After  string `json:"after,omitempty"`  // key of the sibling before it, "" for none
	Space  string `json:"space,omitempty"`  // white space before it
}

// parts returns the children of an element by key in order; false when two have
// the same key.
func (e *element) parts() (keys []string, by map[string]*element, ok bool) {
	by = map[string]*element{}
	for i := range e.items {
		c := e.items[i].element
		if c == nil {
			continue
		}
		key := "#" + c.attr("id")
		if key == "#" {
			key = c.local
		}
		if by[key] != nil {
			return nil, nil, false
		}
		by[key] = c
		keys = append(keys, key)
	}
	return keys, by, true
}

// source returns an element as it is written.
func (e *element) source() string {
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	p := &printer{w: w}
	p.element(e)
	_ = w.Flush() // a buffer does not fail
	return b.String()
}

// difference returns the pieces that bring the document now back to what it was.
// Processes are compared child by child, all else under the root as a whole.
func difference(now, was *Document) []Piece {
	var out []Piece
	for i := range was.root.attrs {
		a := &was.root.attrs[i]
		if v, ok := now.root.written(a.name()); !ok || v != a.value {
			out = append(out, Piece{Key: "@" + a.name(), XML: a.value, After: "="})
		}
	}
	out = append(out, compareParts(now.root, was.root, "")...)
	for i := range now.root.attrs {
		a := &now.root.attrs[i]
		if _, ok := was.root.written(a.name()); !ok {
			out = append(out, Piece{Key: "@" + a.name()})
		}
	}
	return out
}

// written returns the value of an attribute by its name as written.
func (e *element) written(name string) (string, bool) {
	for i := range e.attrs {
		if e.attrs[i].name() == name {
			return e.attrs[i].value, true
		}
	}
	return "", false
}

// spaceBefore returns the white space before a child.
func (e *element) spaceBefore(child *element) string {
	for i := range e.items {
		if e.items[i].element == child && i > 0 && e.items[i-1].blank() {
			return e.items[i-1].text
		}
	}
	return ""
}

// compareParts compares the children of two elements; parent names them.
func compareParts(now, was *element, parent string) (out []Piece) {
	nowKeys, nowBy, ok1 := now.parts()
	wasKeys, wasBy, ok2 := was.parts()
	if !ok1 || !ok2 {
		return nil
	}
	for _, k := range nowKeys {
		if wasBy[k] == nil {
			out = append(out, Piece{Parent: parent, Key: k})
		}
	}
	before := ""
	for _, k := range wasKeys {
		old, new := wasBy[k], nowBy[k]
		piece := Piece{Parent: parent, Key: k, After: before, Space: was.spaceBefore(old)}
		before = k
		if new != nil && old.source() == new.source() {
			continue
		}
		if new != nil && old.is("process") && new.is("process") && splittable(old, new) {
			for i := range old.attrs {
				if v, ok := new.written(old.attrs[i].name()); !ok || v != old.attrs[i].value {
					out = append(out, Piece{Parent: old.attr("id"), Key: "@" + old.attrs[i].name(), XML: old.attrs[i].value, After: "="})
				}
			}
			for i := range new.attrs {
				if _, ok := old.written(new.attrs[i].name()); !ok {
					out = append(out, Piece{Parent: old.attr("id"), Key: "@" + new.attrs[i].name()})
				}
			}
			out = append(out, compareParts(new, old, old.attr("id"))...)
			continue
		}
		piece.XML = old.source()
		out = append(out, piece)
	}
	return out
}

// splittable reports whether the children of both versions of a process have
// keys.
func splittable(old, new *element) bool {
	_, _, ok1 := old.parts()
	_, _, ok2 := new.parts()
	return ok1 && ok2 && old.attr("id") == new.attr("id") && old.attr("id") != ""
}

// restore puts pieces back.
func (e *editor) restore(x *Edit) error {
	if e.doc.Digest() != x.Digest {
		return fault.E(fault.Conflict, "EDIT_STALE", fault.P("digest", x.Digest)).At("digest")
	}
	for i := range x.Pieces {
		p := &x.Pieces[i]
		at := e.doc.root
		if p.Parent != "" {
			e.doc.changed()
			if at = e.doc.byID(p.Parent); at == nil {
				return unknown("pieces", p.Parent)
			}
		}
		if err := e.put(at, p); err != nil {
			return err
		}
	}
	e.doc.changed()
	return nil
}

// put brings one piece back to its place.
func (e *editor) put(at *element, p *Piece) error {
	if name, ok := strings.CutPrefix(p.Key, "@"); ok {
		at.attrs = slices.DeleteFunc(at.attrs, func(a attribute) bool { return a.name() == name && p.After == "" })
		if p.After == "" {
			return nil
		}
		for i := range at.attrs {
			if at.attrs[i].name() == name {
				at.attrs[i].value = p.XML
				return nil
			}
		}
		prefix, local, found := strings.Cut(name, ":")
		if !found {
			prefix, local = "", name
		}
		a := attribute{prefix: prefix, local: local, value: p.XML}
		at.attrs = append(at.attrs, a)
		if a.declaration() && at == e.doc.root {
			at.declareLast(a.declared(), a.value)
		}
		return nil
	}
	_, by, _ := at.parts()
	old := by[p.Key]
	if p.XML == "" {
		if old == nil {
			return unknown("pieces", p.Key)
		}
		at.remove(old)
		return nil
	}
	new, err := e.doc.fragment(at, p.XML)
	if err != nil {
		return malformed("pieces", p.Key)
	}
	new.parent = at
	if old != nil {
		i := slices.IndexFunc(at.items, func(it item) bool { return it.element == old })
		at.items[i].element = new
		return nil
	}
	i := 0
	if sibling := by[p.After]; sibling != nil {
		i = 1 + slices.IndexFunc(at.items, func(it item) bool { return it.element == sibling })
	}
	items := []item{{kind: elementItem, element: new}}
	if p.Space != "" {
		items = []item{{kind: textItem, text: p.Space}, items[0]}
	}
	at.items = slices.Insert(at.items, i, items...)
	return nil
}

// fragment parses one element with the namespaces in force at parent.
func (d *Document) fragment(parent *element, xml string) (*element, error) {
	var b strings.Builder
	seen := map[string]bool{}
	root := d.root.name()
	b.WriteString("<" + root)
	for s := parent.scope; s != nil; s = s.up {
		if seen[s.prefix] {
			continue
		}
		seen[s.prefix] = true
		name := "xmlns"
		if s.prefix != "" {
			name += ":" + s.prefix
		}
		b.WriteString(" " + name + `="` + attributeEscaper.Replace(s.uri) + `"`)
	}
	b.WriteString(">" + xml + "</" + root + ">")
	f, err := Parse(strings.NewReader(b.String()), Limits{Bytes: 64 << 20, Elements: 1 << 22})
	if err != nil {
		return nil, err
	}
	if len(f.root.items) != 1 || f.root.items[0].element == nil {
		return nil, malformed("value", xml)
	}
	e := f.root.items[0].element
	e.parent = parent
	return e, nil
}
