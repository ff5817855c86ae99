package bpmn

import (
	"bytes"
	"encoding/xml"
	"strings"
	"unicode/utf8"

	"github.com/openspms/spms/internal/fault"
)

// normalised returns the attributes of a start tag with white space in their
// values as XML has it (section 3.3.3): a literal tab or line break is a space,
// a character reference to one stays. The decoder shows both alike, so a tag
// that has any is read again with its literal white space replaced.
func (p *parser) normalised(t xml.StartElement, begin int64) []xml.Attr {
	spaced := false
	for i := range t.Attr {
		spaced = spaced || strings.ContainsAny(t.Attr[i].Value, "\t\n\r")
	}
	if !spaced {
		return t.Attr
	}
	tag := bytes.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, bytes.ReplaceAll(p.src[begin:p.dec.InputOffset()], []byte("\r\n"), []byte("\n")))
	again, err := xml.NewDecoder(bytes.NewReader(tag)).RawToken()
	if s, ok := again.(xml.StartElement); ok && err == nil && len(s.Attr) == len(t.Attr) {
		return s.Attr
	}
	return t.Attr
}

// attributes takes the attributes of a start tag and checks that they are
// distinct and their prefixes declared.
func (p *parser) attributes(e *element, attrs []xml.Attr) error {
	e.attrs = make([]attribute, len(attrs))
	for i, a := range attrs {
		e.attrs[i] = attribute{prefix: a.Name.Space, local: a.Name.Local, value: a.Value}
	}
	if err := p.declare(e); err != nil {
		return err
	}
	seen := make(map[[2]string]bool, len(attrs))
	for i := range e.attrs {
		a := &e.attrs[i]
		key := [2]string{e.space(a), a.local}
		if a.declaration() {
			key = [2]string{xmlnsNamespace, a.declared()}
		} else if a.prefix != "" && key[0] == "" {
			return p.fail("BPMN_SYNTAX", fault.P("reason", "prefix "+a.prefix+" is not declared"))
		}
		if seen[key] {
			return p.fail("BPMN_SYNTAX", fault.P("reason", "attribute "+a.name()+" twice"))
		}
		seen[key] = true
	}
	return nil
}

// declare puts the namespace declarations of e in force.
func (p *parser) declare(e *element) error {
	n := 0
	if e.parent != nil {
		e.scope = e.parent.scope
	}
	for s := e.scope; s != nil; s = s.up {
		n++
	}
	for i := range e.attrs {
		a := &e.attrs[i]
		if !a.declaration() {
			continue
		}
		prefix := a.declared()
		if prefix != "" && a.value == "" || prefix == "xmlns" || a.value == xmlnsNamespace || (prefix == "xml") != (a.value == xmlNamespace) {
			return p.fail("BPMN_SYNTAX", fault.P("reason", "namespace declaration "+a.name()))
		}
		if n++; n > maxNamespaces {
			return p.fail("BPMN_TOO_LARGE", fault.P("what", "namespaces"), fault.P("limit", maxNamespaces))
		}
		e.scope = &scope{prefix: prefix, uri: a.value, up: e.scope}
	}
	return nil
}

// end closes the open element, which must be of that name.
func (p *parser) end(t xml.EndElement) error {
	if p.open == nil {
		return p.fail("BPMN_SYNTAX", fault.P("reason", "unexpected end of an element"))
	}
	if t.Name.Space != p.open.prefix || t.Name.Local != p.open.local {
		return p.fail("BPMN_SYNTAX", fault.P("reason", "element "+p.open.name()+" is closed by another"))
	}
	p.open = p.open.parent
	p.depth--
	return nil
}

// name returns the name as written.
func (e *element) name() string { return qualified(e.prefix, e.local) }

// name returns the name as written.
func (a *attribute) name() string { return qualified(a.prefix, a.local) }

// qualified joins prefix and local name.
func qualified(prefix, local string) string {
	if prefix == "" {
		return local
	}
	return prefix + ":" + local
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(src []byte) int {
	if utf8.Valid(src) {
		return -1
	}
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

// place returns line and column, both from 1, of an offset.
func place(src []byte, at int) (line, column int) {
	before := src[:at]
	return bytes.Count(before, []byte("\n")) + 1, at - bytes.LastIndexByte(before, '\n')
}
