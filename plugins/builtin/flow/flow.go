// Package flow reads of a BPMN document what strategies look at: activities, gateways and
// flows with roles, data and domain events. Its main type is Process. It reads leniently,
// since the host has checked the document, and knows nothing of the house.
package flow

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Process is one process of a document.
type Process struct {
	ID    string
	Nodes []*Node // document order, those of subprocesses too
	nodes map[string]*Node
}

// Node is a flow node.
type Node struct {
	ID, Name, NameEn string
	Type             string // BPMN element
	Parent           string // id of the subprocess around it
	Role             string // its own or that of its lane
	Priority         string
	Attached         string // boundary events: the activity
	Events           []string
	Pauses           bool
	Default          string // id of the default flow
	Reads, Writes    []string
	Evidence         []string // of kinds that are required
	Rules            bool     // rules stand on it
	In, Out          []*Flow
}

// Flow is a sequence flow.
type Flow struct {
	ID, Condition string
	From, To      *Node
}

// Activity tells whether people or systems work at the node.
func (n *Node) Activity() bool {
	return strings.HasSuffix(strings.ToLower(n.Type), "task") || n.Type == "callActivity" || n.Type == "subProcess"
}

// Title is the name in a language, the other's or the id where it is missing.
func (n *Node) Title(english bool) string {
	for _, s := range []string{map[bool]string{true: n.NameEn, false: n.Name}[english], n.Name, n.NameEn} {
		if s != "" {
			return s
		}
	}
	return n.ID
}

// Node finds a node; nil for none.
func (p *Process) Node(id string) *Node { return p.nodes[id] }

// element is any element of the document.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []*element `xml:",any"`
	Text     string     `xml:",chardata"`
}

func (e *element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// extensions are the children of the extension elements.
func (e *element) extensions() (out []*element) {
	for _, c := range e.Children {
		if c.XMLName.Local == "extensionElements" {
			out = append(out, c.Children...)
		}
	}
	return out
}

// Read reads the process of an id, the first one when there is none of it.
func Read(document []byte, id string) (*Process, error) {
	var root element
	if err := xml.NewDecoder(bytes.NewReader(document)).Decode(&root); err != nil {
		return nil, fmt.Errorf("read the process: %w", err)
	}
	var chosen *element
	for _, c := range root.Children {
		if c.XMLName.Local == "process" && (chosen == nil || c.attr("id") == id) {
			chosen = c
		}
	}
	p := &Process{nodes: map[string]*Node{}}
	if chosen != nil {
		p.ID = chosen.attr("id")
		p.read(chosen, "")
		p.join(chosen)
		p.lanes(chosen)
		p.rules(chosen)
	}
	return p, nil
}

// read takes the nodes of a container.
func (p *Process) read(box *element, parent string) {
	for _, c := range box.Children {
		kind := c.XMLName.Local
		lower := strings.ToLower(kind)
		if !strings.HasSuffix(lower, "task") && !strings.HasSuffix(lower, "event") && !strings.HasSuffix(lower, "gateway") &&
			!slices.Contains([]string{"callActivity", "subProcess", "transaction", "adHocSubProcess"}, kind) {
			continue
		}
		n := &Node{ID: c.attr("id"), Name: c.attr("name"), Type: kind, Parent: parent, Attached: c.attr("attachedToRef"), Default: c.attr("default")}
		for _, x := range c.extensions() {
			n.extend(x)
		}
		for _, x := range c.Children {
			if x.XMLName.Local == "script" {
				n.Reads = append(n.Reads, Names(x.Text)...)
			}
		}
		p.Nodes = append(p.Nodes, n)
		p.nodes[n.ID] = n
		p.read(c, n.ID)
	}
}

func (n *Node) extend(x *element) {
	switch x.XMLName.Local {
	case "task":
		n.NameEn, n.Role, n.Priority = x.attr("nameEn"), x.attr("role"), x.attr("priority")
	case "field":
		n.Reads = append(n.Reads, x.attr("variable"))
		if x.attr("readOnly") != "true" {
			n.Writes = append(n.Writes, x.attr("variable"))
		}
	case "result", "reschedule":
		n.Writes = append(n.Writes, x.attr("variable"))
	case "event":
		n.Events = append(n.Events, x.attr("name"))
	case "pause":
		n.Pauses = true
	case "evidence":
		if x.attr("required") == "true" {
			n.Evidence = append(n.Evidence, x.attr("kind"))
		}
	case "decision":
		names := Names(x.Text)
		n.Reads, n.Writes = append(n.Reads, names...), append(n.Writes, names...)
	}
}

// join connects the nodes.
func (p *Process) join(box *element) {
	for _, c := range box.Children {
		if p.nodes[c.attr("id")] != nil {
			p.join(c)
		}
		if c.XMLName.Local != "sequenceFlow" {
			continue
		}
		f := &Flow{ID: c.attr("id"), From: p.nodes[c.attr("sourceRef")], To: p.nodes[c.attr("targetRef")]}
		for _, x := range c.Children {
			if x.XMLName.Local == "conditionExpression" {
				f.Condition = strings.TrimSpace(x.Text)
			}
		}
		if f.From != nil && f.To != nil {
			f.From.Out, f.To.In = append(f.From.Out, f), append(f.To.In, f)
		}
	}
}

// lanes gives nodes without a role that of their lane.
func (p *Process) lanes(box *element) {
	for _, c := range box.Children {
		switch c.XMLName.Local {
		case "laneSet", "childLaneSet":
			p.lanes(c)
		case "lane":
			role := ""
			for _, x := range c.extensions() {
				if x.XMLName.Local == "lane" {
					role = x.attr("role")
				}
			}
			p.lanes(c)
			for _, x := range c.Children {
				if n := p.nodes[strings.TrimSpace(x.Text)]; x.XMLName.Local == "flowNodeRef" && n != nil && n.Role == "" {
					n.Role = role
				}
			}
		}
	}
}

// rules adds what the rules of the process read to their nodes.
func (p *Process) rules(box *element) {
	for _, x := range box.extensions() {
		if n := p.nodes[x.attr("node")]; x.XMLName.Local == "rule" && n != nil {
			n.Rules = true
			n.Reads = append(n.Reads, Names(x.Text)...)
		}
	}
}

var dotted = regexp.MustCompile(`[A-Za-z_]\w*(\.[A-Za-z_]\w*)*`)

// Names are the dotted names in an expression; words of the language are among them and
// do no harm, since no variable is called so.
func Names(expression string) []string {
	out := dotted.FindAllString(unquoted.ReplaceAllString(expression, " "), -1)
	slices.Sort(out)
	return slices.Compact(out)
}

var unquoted = regexp.MustCompile(`'[^']*'|"[^"]*"`)

// Touch tells whether a name of one list is, contains or lies in one of the other.
func Touch(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y || strings.HasPrefix(x, y+".") || strings.HasPrefix(y, x+".") {
				return true
			}
		}
	}
	return false
}

// Reach marks the nodes that can follow one, and it itself.
func (p *Process) Reach(from *Node) map[*Node]bool {
	out := map[*Node]bool{}
	var visit func(n *Node)
	visit = func(n *Node) {
		if out[n] {
			return
		}
		out[n] = true
		for _, f := range n.Out {
			visit(f.To)
		}
		for _, b := range p.Nodes {
			if b.Attached == n.ID {
				visit(b)
			}
		}
	}
	visit(from)
	return out
}
