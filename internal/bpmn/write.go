package bpmn

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"slices"
	"strings"
)

// declaration begins every document that is written.
const declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// WriteTo writes the document in UTF-8, equal to what was read as canonical
// XML. It implements io.WriterTo.
func (d *Document) WriteTo(w io.Writer) (int64, error) {
	c := &counter{w: w}
	b := bufio.NewWriter(c)
	b.WriteString(declaration)
	p := &printer{w: b}
	p.items(d.before, true)
	p.element(d.root)
	b.WriteByte('\n')
	p.items(d.after, true)
	err := b.Flush()
	return c.n, err
}

// Bytes returns what WriteTo writes.
func (d *Document) Bytes() []byte {
	var b bytes.Buffer
	_, _ = d.WriteTo(&b) // a buffer does not fail
	return b.Bytes()
}

// Canonical returns the document as Canonical XML 1.0 with comments: two
// documents that say the same in XML have the same canonical form.
func (d *Document) Canonical() []byte {
	var out bytes.Buffer
	b := bufio.NewWriter(&out)
	p := &printer{w: b, canonical: true}
	p.items(d.before, true)
	p.element(d.root)
	if len(d.after) > 0 {
		b.WriteByte('\n')
	}
	p.items(d.after, true)
	_ = b.Flush()
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// counter counts the bytes that pass.
type counter struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// printer writes a tree; the writer remembers its first error.
type printer struct {
	w         *bufio.Writer
	canonical bool
}

// items writes content; outside the root each item stands on its own line.
func (p *printer) items(items []item, outside bool) {
	for i := range items {
		it := &items[i]
		switch it.kind {
		case elementItem:
			p.element(it.element)
		case textItem:
			textEscaper.WriteString(p.w, it.text)
		case commentItem:
			p.w.WriteString("<!--" + it.text + "-->")
		case instructionItem:
			p.w.WriteString("<?" + it.target)
			if it.text != "" {
				p.w.WriteString(" " + it.text)
			}
			p.w.WriteString("?>")
		}
		if outside {
			p.w.WriteByte('\n')
		}
	}
}

// element writes one element and all below it.
func (p *printer) element(e *element) {
	p.w.WriteByte('<')
	p.w.WriteString(e.name())
	attrs := e.attrs
	if p.canonical {
		attrs = e.canonicalAttributes()
	}
	for i := range attrs {
		p.w.WriteByte(' ')
		p.w.WriteString(attrs[i].name())
		p.w.WriteString(`="`)
		attributeEscaper.WriteString(p.w, attrs[i].value)
		p.w.WriteByte('"')
	}
	if len(e.items) == 0 && !p.canonical {
		p.w.WriteString("/>")
		return
	}
	p.w.WriteByte('>')
	p.items(e.items, false)
	p.w.WriteString("</" + e.name() + ">")
}

// canonicalAttributes returns the namespace declarations that change anything,
// by prefix, and then the attributes by namespace and name.
func (e *element) canonicalAttributes() []attribute {
	var spaces, rest []attribute
	for _, a := range e.attrs {
		if !a.declaration() {
			rest = append(rest, a)
			continue
		}
		if above, _ := e.parent.namespace(a.declared()); above != a.value {
			spaces = append(spaces, a)
		}
	}
	slices.SortFunc(spaces, func(a, b attribute) int {
		return cmp.Or(cmp.Compare(a.prefix, b.prefix), cmp.Compare(a.local, b.local))
	})
	slices.SortFunc(rest, func(a, b attribute) int {
		return cmp.Or(cmp.Compare(e.space(&a), e.space(&b)), cmp.Compare(a.local, b.local))
	})
	return append(spaces, rest...)
}

// Escapes of Canonical XML 1.0, section 2.3; > also in text as a matter of
// safety.
var (
	textEscaper      = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")
	attributeEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;")
)
