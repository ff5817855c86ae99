package bpmn

import (
	"strconv"
	"strings"
)

// The XML namespaces of BPMN 2.0 and of XML itself.
const (
	ModelNamespace = "http://www.omg.org/spec/BPMN/20100524/MODEL"
	diNamespace    = "http://www.omg.org/spec/BPMN/20100524/DI"
	dcNamespace    = "http://www.omg.org/spec/DD/20100524/DC"
	ddiNamespace   = "http://www.omg.org/spec/DD/20100524/DI"
	xmlNamespace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsNamespace = "http://www.w3.org/2000/xmlns/"
)

// Document is a BPMN 2.0 file as a tree that keeps everything it came with:
// prefixes, attribute order, comments, processing instructions, elements of
// other namespaces and diagrams. It is not safe for concurrent change.
type Document struct {
	before []item // comments, processing instructions and space before the root
	root   *element
	after  []item

	ids map[string]*element // elements by id attribute; nil after a change
}

// element is one XML element with its place in the source (0 when made here).
type element struct {
	prefix, local string
	uri           string // namespace of the prefix at this place
	attrs         []attribute
	items         []item
	parent        *element
	scope         *scope
	line, column  int
}

// scope is one namespace declaration that is in force, with those it may hide.
type scope struct {
	prefix, uri string
	up          *scope
}

// attribute is one attribute as written; namespace declarations included.
type attribute struct {
	prefix, local string
	value         string
}

// itemKind says what an item of an element's content is.
type itemKind uint8

const (
	elementItem itemKind = iota
	textItem
	commentItem
	instructionItem
)

// item is one piece of content: a child element, text, a comment or a
// processing instruction (target and content).
type item struct {
	kind    itemKind
	element *element
	text    string
	target  string
}

// ID returns the id of the document's definitions, "" without.
func (d *Document) ID() string { return d.root.attr("id") }

// TargetNamespace returns the namespace that the document's QNames refer to.
func (d *Document) TargetNamespace() string { return d.root.attr("targetNamespace") }

// byID returns the element with an id, nil when there is none. The index is
// built on first use after a change: O(elements).
func (d *Document) byID(id string) *element {
	if d.ids == nil {
		d.ids = map[string]*element{}
		d.root.walk(func(e *element) bool {
			if v := e.attr("id"); v != "" && d.ids[v] == nil {
				d.ids[v] = e
			}
			return true
		})
	}
	return d.ids[id]
}

// changed forgets what was derived from the tree.
func (d *Document) changed() { d.ids = nil }

// is reports whether e is the BPMN element of that name.
func (e *element) is(local string) bool { return e.in(ModelNamespace, local) }

// in reports whether e has that namespace and name.
func (e *element) in(uri, local string) bool { return e.local == local && e.uri == uri }

// attr returns the value of an attribute without prefix, "" when absent.
func (e *element) attr(local string) string {
	for i := range e.attrs {
		if e.attrs[i].prefix == "" && e.attrs[i].local == local {
			return e.attrs[i].value
		}
	}
	return ""
}

// set gives an attribute without prefix a value; "" removes it.
func (e *element) set(local, value string) {
	for i := range e.attrs {
		if e.attrs[i].prefix == "" && e.attrs[i].local == local {
			if value == "" {
				e.attrs = append(e.attrs[:i], e.attrs[i+1:]...)
				return
			}
			e.attrs[i].value = value
			return
		}
	}
	if value != "" {
		e.attrs = append(e.attrs, attribute{local: local, value: value})
	}
}

// children yields the child elements of a namespace and name in order; name ""
// stands for all of the namespace.
func (e *element) children(uri, local string) func(yield func(*element) bool) {
	return func(yield func(*element) bool) {
		for i := range e.items {
			c := e.items[i].element
			if c != nil && c.uri == uri && (local == "" || c.local == local) && !yield(c) {
				return
			}
		}
	}
}

// first returns the first BPMN child of that name, nil when there is none.
func (e *element) first(local string) *element {
	for c := range e.children(ModelNamespace, local) {
		return c
	}
	return nil
}

// content returns the text of e without its children's, trimmed.
func (e *element) content() string {
	if len(e.items) == 1 && e.items[0].kind == textItem {
		return strings.TrimSpace(e.items[0].text)
	}
	var b strings.Builder
	for i := range e.items {
		if e.items[i].kind == textItem {
			b.WriteString(e.items[i].text)
		}
	}
	return strings.TrimSpace(b.String())
}

// walk calls f for e and, where f says so, for all below it in document order.
func (e *element) walk(f func(*element) bool) {
	if !f(e) {
		return
	}
	for i := range e.items {
		if c := e.items[i].element; c != nil {
			c.walk(f)
		}
	}
}

// namespace returns what a prefix stands for at e and whether it is declared.
func (e *element) namespace(prefix string) (string, bool) {
	if prefix == "xml" {
		return xmlNamespace, true
	}
	if e != nil {
		for s := e.scope; s != nil; s = s.up {
			if s.prefix == prefix {
				return s.uri, true
			}
		}
	}
	return "", prefix == ""
}

// prefixFor returns a prefix that stands for uri at e, and whether one does.
// The default namespace counts, with prefix "".
func (e *element) prefixFor(uri string) (string, bool) {
	for s := e.scope; s != nil; s = s.up {
		if s.uri != uri {
			continue
		}
		if now, _ := e.namespace(s.prefix); now == uri {
			return s.prefix, true
		}
	}
	return "", false
}

// space returns the namespace an attribute of e is in: "" without prefix.
func (e *element) space(a *attribute) string {
	if a.prefix == "" {
		return ""
	}
	uri, _ := e.namespace(a.prefix)
	return uri
}

// declaration reports whether a declares a namespace.
func (a *attribute) declaration() bool {
	return a.prefix == "xmlns" || a.prefix == "" && a.local == "xmlns"
}

// declared returns the prefix that a declares.
func (a *attribute) declared() string {
	if a.prefix == "" {
		return ""
	}
	return a.local
}

// make returns a new element of a namespace for a place below parent, with the
// prefix that stands for the namespace there; where none does, prefix is
// declared at the root.
func (d *Document) make(parent *element, uri, prefix, local string) *element {
	known, ok := parent.prefixFor(uri)
	if !ok {
		known = d.declare(prefix, uri)
	}
	return &element{prefix: known, local: local, uri: uri, parent: parent, scope: parent.scope}
}

// declare declares a namespace at the root under a prefix that nothing in the
// document uses, the wanted one if possible, and returns that.
func (d *Document) declare(wanted, uri string) string {
	used := map[string]bool{"xml": true, "xmlns": true}
	d.root.walk(func(e *element) bool {
		for i := range e.attrs {
			if e.attrs[i].declaration() {
				used[e.attrs[i].declared()] = true
			}
		}
		return true
	})
	prefix := wanted
	for n := 1; used[prefix]; n++ {
		prefix = wanted + strconv.Itoa(n)
	}
	d.root.attrs = append(d.root.attrs, attribute{prefix: "xmlns", local: prefix, value: uri})
	d.root.declareLast(prefix, uri)
	return prefix
}

// declareLast puts a namespace in force at the root and all below it. The root is
// in the BPMN namespace, so every scope ends with one of its declarations: what
// follows the last is in force everywhere.
func (e *element) declareLast(prefix, uri string) {
	last := e.scope
	for last.up != nil {
		last = last.up
	}
	last.up = &scope{prefix: prefix, uri: uri}
}

// freeID returns an id that no element has, the wanted one if possible.
func (d *Document) freeID(wanted string) string {
	id := wanted
	for n := 1; d.byID(id) != nil; n++ {
		id = wanted + "_" + strconv.Itoa(n)
	}
	return id
}
