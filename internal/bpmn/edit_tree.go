package bpmn

import (
	"slices"
	"strings"
)

// order is where the children of a flow element stand (BPMN 2.0.2 schemas
// Semantic.xsd): what is not listed comes last.
var order = []string{
	"documentation", "extensionElements", "auditing", "monitoring", "categoryValueRef", "incoming", "outgoing", "property", "ioSpecification",
	"dataInputAssociation", "dataOutputAssociation", "resourceRole", "standardLoopCharacteristics", "multiInstanceLoopCharacteristics",
	"conditionExpression", "laneSet",
}

// placeOf is the position of a child in the schema's order.
func placeOf(local string) int {
	if i := slices.Index(order, local); i >= 0 {
		return i
	}
	return len(order)
}

// insert puts a child of e before the item at an index, on a line of its own
// where the children of e stand on lines of theirs.
func (e *element) insert(at int, child *element) {
	space := e.spacing()
	items := []item{{kind: elementItem, element: child}}
	if space != "" {
		items = append([]item{{kind: textItem, text: space}}, items...)
	}
	if len(e.items) == 0 && space != "" { // the end tag on its own line
		items = append(items, item{kind: textItem, text: strings.TrimSuffix(space, "  ")})
	}
	child.parent = e
	for at > 0 && at <= len(e.items) && e.items[at-1].blank() {
		at--
	}
	e.items = slices.Insert(e.items, at, items...)
}

// blank reports whether an item is white space.
func (i *item) blank() bool { return i.kind == textItem && strings.TrimSpace(i.text) == "" }

// spacing is the white space before a child of e: that of its first one, else
// what its own place suggests; "" in documents without line breaks.
func (e *element) spacing() string {
	for i := range e.items {
		if e.items[i].element == nil {
			continue
		}
		if i > 0 && e.items[i-1].blank() {
			return e.items[i-1].text
		}
		return ""
	}
	if e.parent == nil {
		return ""
	}
	if up := e.parent.spacing(); up != "" {
		return up + "  "
	}
	return ""
}

// add puts a child where the schema wants it among its siblings.
func (e *element) add(child *element) *element {
	at := len(e.items)
	rank := placeOf(child.local)
	if e.is("process") || e.is("subProcess") || e.is("definitions") || e.is("lane") || e.in(ModelNamespace, "extensionElements") || e.uri == Namespace {
		rank = len(order)
		if slices.Contains(order[:4], child.local) {
			rank = placeOf(child.local)
		}
	}
	last := -1
	for i := range e.items {
		c := e.items[i].element
		switch {
		case c == nil:
		case placeOf(c.local) > rank && at == len(e.items) && rank < len(order):
			at = i
		default:
			last = i
		}
	}
	if at == len(e.items) && last >= 0 {
		at = last + 1
		e.insertAfter(at, child)
		return child
	}
	e.insert(at, child)
	return child
}

// insertAfter puts a child directly at an index, behind the item before it.
func (e *element) insertAfter(at int, child *element) {
	child.parent = e
	items := []item{{kind: elementItem, element: child}}
	if space := e.spacing(); space != "" {
		items = []item{{kind: textItem, text: space}, items[0]}
	}
	e.items = slices.Insert(e.items, at, items...)
}

// remove takes a child of e away with the white space before it, and all white
// space when nothing else is left.
func (e *element) remove(child *element) {
	i := slices.IndexFunc(e.items, func(it item) bool { return it.element == child })
	if i < 0 {
		return
	}
	from := i
	if i > 0 && e.items[i-1].blank() {
		from--
	}
	e.items = slices.Delete(e.items, from, i+1)
	if !slices.ContainsFunc(e.items, func(it item) bool { return !it.blank() }) {
		e.items = nil
	}
}

// write replaces the text of e.
func (e *element) write(text string) {
	e.items = slices.DeleteFunc(e.items, func(it item) bool { return it.kind == textItem })
	if text != "" {
		e.items = append(e.items, item{kind: textItem, text: text})
	}
}

// extensionBox returns the extension elements of e, made when there are none.
func (d *Document) extensionBox(e *element) *element {
	if box := e.first("extensionElements"); box != nil {
		return box
	}
	return e.add(d.make(e, ModelNamespace, "bpmn", "extensionElements"))
}

// extend returns the product's extension element of that name on e, made when
// there is none.
func (d *Document) extend(e *element, local string) *element {
	if x := e.extension(local); x != nil {
		return x
	}
	box := d.extensionBox(e)
	return box.add(d.make(box, Namespace, "spms", local))
}

// prune takes an extension element away when it says nothing, and the box
// around it when that is empty then.
func (e *element) prune(local string) {
	if x := e.extension(local); x != nil && len(x.attrs) == 0 && len(x.items) == 0 {
		x.parent.remove(x)
	}
	if box := e.first("extensionElements"); box != nil && len(box.items) == 0 {
		e.remove(box)
	}
}

// setExtensionAttr gives an attribute of an extension element a value; "" takes it
// away.
func (d *Document) setExtensionAttr(e *element, local, attr, value string) {
	if value == "" && e.extension(local) == nil {
		return
	}
	d.extend(e, local).set(attr, value)
	e.prune(local)
}

// replaceExtensions puts new extension elements of a name on e, each made by its
// attributes in pairs, in the place of the old ones.
func (d *Document) replaceExtensions(e *element, local string, all [][]string) {
	box := e.first("extensionElements")
	at := -1
	for box != nil {
		x := e.extension(local)
		if x == nil {
			break
		}
		i := slices.IndexFunc(x.parent.items, func(it item) bool { return it.element == x })
		if at < 0 {
			at = i
			if i > 0 && x.parent.items[i-1].blank() {
				at--
			}
		}
		x.parent.remove(x)
	}
	for _, pairs := range all {
		box = d.extensionBox(e)
		x := d.make(box, Namespace, "spms", local)
		for i := 0; i+1 < len(pairs); i += 2 {
			x.set(pairs[i], pairs[i+1])
		}
		if at < 0 || at > len(box.items) || len(box.items) == 0 {
			box.add(x)
			continue
		}
		n := len(box.items)
		box.insertAfter(at, x)
		at += len(box.items) - n
	}
	e.prune(local)
}
