// Package bpmn reads and writes BPMN 2.0 documents without loss and shows each
// process of a document as a Graph: nodes, flows and lanes with resolved
// references and the product's extension elements. Its main types are Document
// and Graph. It also lays graphs out and draws them. It must not know what a
// process means when it runs: neither expressions nor norms nor checks.
package bpmn

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// Limits bounds what Parse accepts. Zero fields stand for the defaults.
type Limits struct {
	Bytes    int // size of the document; default 10 MB
	Depth    int // nesting of elements; default 200
	Elements int // number of elements; default 200,000
}

// Bounds of one element: its attributes, and the namespace declarations in
// force at it.
const (
	maxAttributes = 256
	maxNamespaces = 256
)

// withDefaults fills the zero fields.
func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 10 << 20
	}
	if l.Depth <= 0 {
		l.Depth = 200
	}
	if l.Elements <= 0 {
		l.Elements = 200_000
	}
	return l
}

// Parse reads a BPMN 2.0 document. All errors are fault.Invalid: BPMN_SYNTAX
// (not well-formed XML), BPMN_DTD (document type or entity declarations),
// BPMN_TOO_LARGE, BPMN_TOO_DEEP, BPMN_NOT_UTF8 (bytes that are not what the
// document declares, or an encoding other than UTF-8, UTF-16 with a byte order
// mark, ISO 8859-1 and Windows-1252) and BPMN_NOT_BPMN (the root is not
// bpmn:definitions), with the parameters line and column; errors of the reader
// are returned as they are. O(bytes); at most l.Bytes+1 bytes are read.
func Parse(r io.Reader, l Limits) (*Document, error) {
	l = l.withDefaults()
	src, err := io.ReadAll(io.LimitReader(r, int64(l.Bytes)+1))
	if err != nil {
		return nil, err
	}
	if len(src) > l.Bytes {
		return nil, fault.E(fault.Invalid, "BPMN_TOO_LARGE", fault.P("what", "bytes"), fault.P("limit", l.Bytes), fault.P("line", 0), fault.P("column", 0))
	}
	src, ok := decode(src)
	if at := invalidUTF8(src); at >= 0 || !ok {
		line, column := place(src, max(at, 0))
		return nil, fault.E(fault.Invalid, "BPMN_NOT_UTF8", fault.P("line", line), fault.P("column", column))
	}
	p := &parser{src: src, limits: l, doc: &Document{}}
	p.dec = xml.NewDecoder(bytes.NewReader(src))
	p.dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // decoded already
	if err := p.run(); err != nil {
		return nil, err
	}
	return p.doc, nil
}

// parser builds the tree from raw tokens.
type parser struct {
	src          []byte
	limits       Limits
	dec          *xml.Decoder
	doc          *Document
	open         *element
	depth, count int
	line, column int // where the current token begins
}

// run reads all tokens.
func (p *parser) run() error {
	for {
		begin := p.dec.InputOffset()
		p.line, p.column = p.dec.InputPos()
		tok, err := p.dec.RawToken()
		if errors.Is(err, io.EOF) {
			return p.finish()
		}
		if err != nil {
			return p.broken(err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			err = p.start(t, begin)
		case xml.EndElement:
			err = p.end(t)
		case xml.CharData:
			err = p.text(string(t))
		case xml.Comment:
			p.add(item{kind: commentItem, text: string(t)})
		case xml.ProcInst:
			p.instruction(t)
		case xml.Directive:
			err = p.fail("BPMN_DTD")
		}
		if err != nil {
			return err
		}
	}
}

// fail makes an error of a code at the current token.
func (p *parser) fail(code string, params ...fault.Param) error {
	params = append(params, fault.P("line", p.line), fault.P("column", p.column))
	return fault.E(fault.Invalid, code, params...)
}

// broken turns an error of the decoder into one of ours.
func (p *parser) broken(err error) error {
	p.line, p.column = p.dec.InputPos()
	reason := err.Error()
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		reason = syntax.Msg
	}
	return p.fail("BPMN_SYNTAX", fault.P("reason", reason))
}

// finish checks that the document is whole.
func (p *parser) finish() error {
	if p.open != nil {
		return p.fail("BPMN_SYNTAX", fault.P("reason", "element "+p.open.name()+" is not closed"))
	}
	if p.doc.root == nil {
		return p.fail("BPMN_SYNTAX", fault.P("reason", "no element"))
	}
	return nil
}

// add appends an item where the parser stands.
func (p *parser) add(i item) {
	switch {
	case p.open != nil:
		p.open.items = append(p.open.items, i)
	case p.doc.root == nil:
		p.doc.before = append(p.doc.before, i)
	default:
		p.doc.after = append(p.doc.after, i)
	}
}

// instruction keeps a processing instruction; the XML declaration is written
// anew.
func (p *parser) instruction(t xml.ProcInst) {
	if t.Target == "xml" && p.open == nil && p.doc.root == nil {
		return
	}
	p.add(item{kind: instructionItem, target: t.Target, text: string(t.Inst)})
}

// text keeps character data; outside the root only space may stand.
func (p *parser) text(s string) error {
	if p.open == nil {
		if strings.TrimSpace(s) != "" {
			return p.fail("BPMN_SYNTAX", fault.P("reason", "text outside the root element"))
		}
		return nil
	}
	p.add(item{kind: textItem, text: s})
	return nil
}

// start opens an element, whose source begins at that offset.
func (p *parser) start(t xml.StartElement, begin int64) error {
	if p.open == nil && p.doc.root != nil {
		return p.fail("BPMN_SYNTAX", fault.P("reason", "more than one root element"))
	}
	if p.depth++; p.depth > p.limits.Depth {
		return p.fail("BPMN_TOO_DEEP", fault.P("limit", p.limits.Depth))
	}
	if p.count++; p.count > p.limits.Elements {
		return p.fail("BPMN_TOO_LARGE", fault.P("what", "elements"), fault.P("limit", p.limits.Elements))
	}
	if len(t.Attr) > maxAttributes {
		return p.fail("BPMN_TOO_LARGE", fault.P("what", "attributes"), fault.P("limit", maxAttributes))
	}
	e := &element{prefix: t.Name.Space, local: t.Name.Local, parent: p.open, line: p.line, column: p.column}
	if err := p.attributes(e, p.normalised(t, begin)); err != nil {
		return err
	}
	uri, ok := e.namespace(e.prefix)
	if !ok {
		return p.fail("BPMN_SYNTAX", fault.P("reason", "prefix "+e.prefix+" is not declared"))
	}
	e.uri = uri
	if p.doc.root == nil {
		if !e.is("definitions") {
			return p.fail("BPMN_NOT_BPMN", fault.P("element", e.name()))
		}
		p.doc.root = e
	} else {
		p.add(item{kind: elementItem, element: e})
	}
	p.open = e
	return nil
}
