package bpmn

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// SVGOptions says how a drawing speaks and what it shows besides the process.
type SVGOptions struct {
	Lang string // "en" for English names where there are some; else the names of the document

	// Heat shows figures at nodes and flows by their ids, with a colour by the
	// share of breaches; nil for none.
	Heat map[string]Figures
}

// Figures are what a drawing can show of a node or flow.
type Figures struct {
	Count      int     // how often it was passed
	Minutes    float64 // mean stay in minutes; negative: not shown
	BreachRate float64 // share of breaches, 0 to 1; negative: not shown
}

// The colours of a drawing.
const (
	inkColour   = "#22313f"
	lineColour  = "#52616f"
	paleColour  = "#f4f7fa"
	headColour  = "#e4ebf2"
	edgeColour  = "#b8c4d0"
	nameColour  = "#33424f"
	startColour = "#2e7d4f"
	endColour   = "#b23b3b"
	taskColour  = "#2f6690"
	gateColour  = "#a8741a"
)

// fontFamily prefers fonts with Chinese letters.
const fontFamily = "'Noto Sans CJK SC','Noto Sans SC','Microsoft YaHei','PingFang SC','Hiragino Sans GB','WenQuanYi Micro Hei',sans-serif"

// RenderSVG draws g where diagram says, as one self-contained SVG image without
// scripts. Every node and flow is a group with its id as data-element. Errors
// are the writer's. O(elements of diagram).
func RenderSVG(w io.Writer, g *Graph, diagram *Diagram, o SVGOptions) error {
	p := newPainter(w, o)
	p.title, p.titleEn = g.Name, g.Extension.NameEn
	p.take(g)
	for _, l := range g.Lanes {
		p.pools[l.Pool] = poolName{zh: g.Name, en: g.Extension.NameEn}
	}
	p.document(diagram)
	return p.w.Flush()
}

// RenderCollaboration draws the pools of c and the messages between them as
// RenderSVG draws one process.
func RenderCollaboration(w io.Writer, c *Collaboration, diagram *Diagram, o SVGOptions) error {
	p := newPainter(w, o)
	p.title = c.Name
	for _, pool := range c.Pools {
		name := poolName{zh: pool.Name, closed: pool.Process == nil}
		if g := pool.Process; g != nil {
			p.take(g)
			name.en = g.Extension.NameEn
			if name.zh == "" {
				name.zh = g.Name
			}
			if p.title == "" {
				p.title, p.titleEn = g.Name, g.Extension.NameEn
			}
		}
		p.pools[pool.ID] = name
	}
	for _, m := range c.Messages {
		p.messages[m.ID] = m
	}
	p.document(diagram)
	return p.w.Flush()
}

func newPainter(w io.Writer, o SVGOptions) *painter {
	return &painter{
		w: bufio.NewWriter(w), options: o, nodes: map[string]*Node{}, flows: map[string]*Flow{}, lanes: map[string]*Lane{}, striped: map[string]bool{},
		pools: map[string]poolName{}, messages: map[string]*MessageFlow{}, defaults: map[string]bool{}, hosts: map[string]bool{},
	}
}

// take makes the elements of a process known.
func (p *painter) take(g *Graph) {
	for _, n := range g.Nodes {
		p.nodes[n.ID] = n
		p.defaults[n.Default] = true
		p.hosts[n.AttachedTo] = true
	}
	for _, f := range g.Flows {
		p.flows[f.ID] = f
	}
	for i, l := range g.Lanes {
		p.lanes[l.ID] = l
		p.striped[l.ID] = i%2 == 1
	}
}

// painter draws; the writer remembers its first error.
type painter struct {
	w        *bufio.Writer
	options  SVGOptions
	title    string
	titleEn  string
	nodes    map[string]*Node
	flows    map[string]*Flow
	lanes    map[string]*Lane
	striped  map[string]bool // lanes on a darker ground
	pools    map[string]poolName
	messages map[string]*MessageFlow
	defaults map[string]bool // flows that are the default of their source
	hosts    map[string]bool // activities with boundary events
}

// poolName is the name of a pool in both languages; closed is a black box.
type poolName struct {
	zh, en string
	closed bool
}

// f writes a piece of the image. Strings must be escaped by the caller.
func (p *painter) f(format string, args ...any) {
	for i, a := range args {
		if v, ok := a.(float64); ok {
			args[i] = px(v)
		}
	}
	fmt.Fprintf(p.w, format, args...)
}

// px writes a length with at most one decimal.
func px(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10+0, 'f', -1, 64)
}

// escape makes a text safe in XML.
func escape(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return ' '
		}
		return r
	}, s)
	return strings.ReplaceAll(attributeEscaper.Replace(s), ">", "&gt;")
}

// choose returns the English text when that is wanted and there.
func (p *painter) choose(name, en string) string {
	if p.options.Lang == "en" && en != "" {
		return en
	}
	return name
}

// document draws everything: areas first, lines, nodes, names and figures last.
func (p *painter) document(d *Diagram) {
	box := d.Bounds()
	const margin = 16
	p.f(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="%v %v %v %v" width="%v" height="%v" font-family="%v" font-size="%v" role="img">`,
		box.X-margin, box.Y-margin, box.W+2*margin, box.H+2*margin, box.W+2*margin, box.H+2*margin, fontFamily, fontSize)
	p.f("<title>%v</title>", escape(p.choose(p.title, p.titleEn)))
	p.f(`<defs><marker id="arrow" viewBox="0 0 10 10" refX="9.5" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 .8 10 5 0 9.2z" fill="%v"/></marker>`, lineColour)
	p.f(`<marker id="tip" viewBox="0 0 10 10" refX="9.5" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 .8 10 5 0 9.2z" fill="#fff" stroke="%v"/></marker>`, lineColour)
	p.f(`<marker id="ring" viewBox="0 0 10 10" refX="5" refY="5" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse"><circle cx="5" cy="5" r="4" fill="#fff" stroke="%v"/></marker></defs>`, lineColour)
	p.f(`<rect x="%v" y="%v" width="%v" height="%v" fill="#fff"/>`, box.X-margin, box.Y-margin, box.W+2*margin, box.H+2*margin)
	for _, s := range d.Shapes {
		p.area(s)
	}
	for _, s := range d.Shapes {
		if n := p.nodes[s.Element]; n != nil && s.Expanded {
			p.node(n, s)
		}
	}
	for _, e := range d.Edges {
		p.edge(e)
	}
	for _, s := range d.Shapes {
		if n := p.nodes[s.Element]; n != nil && !s.Expanded && n.Type != BoundaryEvent {
			p.node(n, s)
		}
	}
	for _, s := range d.Shapes {
		if n := p.nodes[s.Element]; n != nil && n.Type == BoundaryEvent {
			p.node(n, s)
		}
	}
	for _, e := range d.Edges {
		p.edgeName(e)
	}
	for _, s := range d.Shapes {
		p.figures(s)
	}
	p.f("</svg>\n")
}

// area draws a pool, a lane or what the graph does not know.
func (p *painter) area(s *Shape) {
	b, lane := s.Bounds, p.lanes[s.Element]
	name, en, fill := "", "", "none"
	switch {
	case p.pools[s.Element] != poolName{} && s.Element != "":
		name, en, fill = p.pools[s.Element].zh, p.pools[s.Element].en, "#fff"
	case lane != nil:
		name, en = lane.Name, lane.NameEn
		if p.striped[s.Element] {
			fill = paleColour
		}
	case p.nodes[s.Element] != nil:
		return
	default:
		p.f(`<rect x="%v" y="%v" width="%v" height="%v" fill="none" stroke="%v" stroke-dasharray="4 3"/>`, b.X, b.Y, b.W, b.H, edgeColour)
		return
	}
	if p.pools[s.Element].closed {
		p.f(`<g data-element="%v"><rect x="%v" y="%v" width="%v" height="%v" fill="%v" stroke="%v"/>`, escape(s.Element), b.X, b.Y, b.W, b.H, paleColour, edgeColour)
		p.text(b.Center(), p.choose(name, en), b.W-8, 13, 1, nameColour, "700")
		p.f("</g>")
		return
	}
	head := Bounds{b.X, b.Y, 30, b.H}
	if s.Vertical {
		head = Bounds{b.X, b.Y, b.W, 30}
	}
	p.f(`<rect x="%v" y="%v" width="%v" height="%v" fill="%v" stroke="%v"/>`, b.X, b.Y, b.W, b.H, fill, edgeColour)
	p.f(`<rect x="%v" y="%v" width="%v" height="%v" fill="%v" stroke="%v"/>`, head.X, head.Y, head.W, head.H, headColour, edgeColour)
	c := head.Center()
	weight := "500"
	if lane == nil {
		weight = "700"
	}
	if s.Vertical {
		p.text(c, p.choose(name, en), head.W-8, 13, 1, nameColour, weight)
		return
	}
	p.f(`<g transform="rotate(-90 %v %v)">`, c.X, c.Y)
	p.text(c, p.choose(name, en), head.H-8, 13, 1, nameColour, weight)
	p.f("</g>")
}

// text draws a name in lines around a middle.
func (p *painter) text(at Point, s string, width, size float64, lines int, colour, weight string) {
	all := wrap(s, width, size, lines)
	if len(all) == 0 {
		return
	}
	step := size * lineFactor
	y := at.Y - step*float64(len(all)-1)/2 + size*0.36
	p.f(`<text text-anchor="middle" font-size="%v" fill="%v" font-weight="%v">`, size, colour, weight)
	for i, l := range all {
		p.f(`<tspan x="%v" y="%v">%v</tspan>`, at.X, y+step*float64(i), escape(l))
	}
	p.f("</text>")
}
