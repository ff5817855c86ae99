package bpmn

import (
	"fmt"
	"strings"
)

// node draws one flow node with its name.
func (p *painter) node(n *Node, s *Shape) {
	name := p.choose(n.Name, n.Extension.NameEn)
	p.f(`<g data-element="%v"><title>%v</title>`, escape(n.ID), escape(name))
	b := s.Bounds
	switch {
	case isEvent(n.Type):
		p.event(n, b)
		p.outside(name, s)
	case isGateway(n.Type):
		p.gateway(n, b)
		p.outside(name, s)
	default:
		p.activity(n, s, name)
	}
	p.f("</g>")
}

// outside draws the name of an event or gateway at its label, below the figure
// when there is none.
func (p *painter) outside(name string, s *Shape) {
	if name == "" {
		return
	}
	if s.Label.W > 0 {
		width := max(s.Label.W+4, 84)
		_, h := textBox(name, width, 4)
		at, middle := s.Label.Center(), s.Bounds.Center()
		switch { // close to the figure
		case s.Label.Y > middle.Y:
			at.Y = s.Label.Y + h/2
		case s.Label.Y+s.Label.H < middle.Y:
			at.Y = s.Label.Y + s.Label.H - h/2
		}
		p.text(at, name, width, labelSize, 4, nameColour, "400")
		return
	}
	_, h := textBox(name, 96, 4)
	p.text(Point{s.Bounds.Center().X, s.Bounds.Y + s.Bounds.H + 4 + h/2}, name, 96, labelSize, 4, nameColour, "400")
}

// activity draws a task, call or subprocess.
func (p *painter) activity(n *Node, s *Shape, name string) {
	b := s.Bounds
	width, dash := 1.6, ""
	if n.Type == CallActivity {
		width = 3.4
	}
	if n.TriggeredByEvent {
		dash = ` stroke-dasharray="2 3"`
	}
	fill := "#fff"
	if s.Expanded {
		fill = "#fbfcfe"
	}
	if h, ok := p.options.Heat[n.ID]; ok {
		fill = h.colour()
	}
	p.f(`<rect x="%v" y="%v" width="%v" height="%v" rx="9" fill="%v" stroke="%v" stroke-width="%v"%v/>`, b.X, b.Y, b.W, b.H, fill, taskColour, width, dash)
	if n.Type == Transaction {
		p.f(`<rect x="%v" y="%v" width="%v" height="%v" rx="6" fill="none" stroke="%v"/>`, b.X+4, b.Y+4, b.W-8, b.H-8, taskColour)
	}
	if s.Expanded {
		p.text(Point{b.X + b.W/2, b.Y + 15}, name, b.W-20, fontSize, 1, inkColour, "600")
		return
	}
	c := b.Center()
	if icon := taskIcons[n.Type]; icon != "" {
		p.f(`<g transform="translate(%v %v)" fill="none" stroke="%v" stroke-width="1.2" stroke-linejoin="round" stroke-linecap="round">%v</g>`, b.X+6, b.Y+6, taskColour, icon)
		c.Y += 6
	}
	if m := marker(n); m != "" {
		p.f(`<g transform="translate(%v %v)" fill="none" stroke="%v" stroke-width="1.4">%v</g>`, b.X+b.W/2, b.Y+b.H-9, taskColour, m)
		c.Y -= 5
	}
	if p.hosts[n.ID] {
		c.Y -= 8
	}
	p.text(c, name, b.W-12, fontSize, max(1, int((b.H-22)/(fontSize*lineFactor))), inkColour, "500")
}

// taskIcons are drawn in a square of 16 pixels.
var taskIcons = map[NodeType]string{
	UserTask:         `<circle cx="8" cy="4.6" r="3.1"/><path d="M2 15c0-4 2.4-6.2 6-6.2s6 2.2 6 6.2z"/>`,
	ManualTask:       `<path d="M2 8V5.5h6.5M8.5 5.5c0-2-1.5-2.5-3-2.5L2 7v7h9.5a1.4 1.4 0 000-2.8H13a1.4 1.4 0 000-2.8h.4a1.4 1.4 0 000-2.9z"/>`,
	ServiceTask:      `<circle cx="8" cy="8" r="2.4"/><path d="M8 1.5v2.2M8 12.3v2.2M1.5 8h2.2M12.3 8h2.2M3.4 3.4 5 5M11 11l1.6 1.6M12.6 3.4 11 5M5 11l-1.6 1.6"/>`,
	SendTask:         `<path d="M1.5 3.5h13v9h-13z" fill="#2f6690"/><path d="M1.5 3.5 8 8.5l6.5-5" stroke="#fff"/>`,
	ReceiveTask:      `<path d="M1.5 3.5h13v9h-13zM1.5 3.5 8 8.5l6.5-5"/>`,
	ScriptTask:       `<path d="M5 1.5h9c-3 3 2 8-1 13H3c3-5-1.5-9 2-13zM6 5h5M6 8h5.5M6 11h5"/>`,
	BusinessRuleTask: `<path d="M1.5 3h13v10h-13zM1.5 6h13M1.5 9.5h13M5.5 6v7"/>`,
}

// marker returns the signs at the lower border of an activity: loop or instances,
// compensation, collapsed subprocess.
func marker(n *Node) string {
	var signs []string
	if n.Loop != nil && n.Loop.MultiInstance && n.Loop.Sequential {
		signs = append(signs, `<path d="M-5-4h10M-5 0h10M-5 4h10"/>`)
	} else if n.Loop != nil && n.Loop.MultiInstance {
		signs = append(signs, `<path d="M-4-5v10M0-5v10M4-5v10"/>`)
	} else if n.Loop != nil { // a standard loop
		signs = append(signs, `<path d="M-2 5A5 5 0 112 5M-2 5h-3.5M-2 5v-3.5"/>`)
	}
	if n.ForCompensation {
		signs = append(signs, `<path d="M0-5V5L-7 0zM7-5V5L0 0z"/>`)
	}
	switch n.Type {
	case SubProcess, Transaction, AdHocSubProcess:
		signs = append(signs, `<path d="M-6-6h12v12h-12zM0-3.5v7M-3.5 0h7"/>`)
	}
	if len(signs) > 1 {
		for i := range signs {
			signs[i] = fmt.Sprintf(`<g transform="translate(%d 0)">%s</g>`, 18*i-9*(len(signs)-1), signs[i])
		}
	}
	return strings.Join(signs, "")
}

// gateway draws a diamond with its sign.
func (p *painter) gateway(n *Node, b Bounds) {
	c := b.Center()
	fill := "#fffaf0"
	if h, ok := p.options.Heat[n.ID]; ok {
		fill = h.colour()
	}
	p.f(`<path d="M%v %vL%v %v %v %v %v %vz" fill="%v" stroke="%v" stroke-width="1.6"/>`, c.X, b.Y, b.X+b.W, c.Y, c.X, b.Y+b.H, b.X, c.Y, fill, gateColour)
	sign := ""
	switch n.Type {
	case ExclusiveGateway:
		sign = `<path d="M-6-7 6 7M6-7-6 7" stroke-width="3"/>`
	case ParallelGateway:
		sign = `<path d="M0-10v20M-10 0h20" stroke-width="3"/>`
	case InclusiveGateway:
		sign = `<circle r="9.5" stroke-width="2.6"/>`
	case ComplexGateway:
		sign = `<path d="M0-10v20M-10 0h20M-7-7 7 7M7-7-7 7" stroke-width="2.6"/>`
	case EventBasedGateway:
		sign = `<circle r="12"/><circle r="9.5"/><path d="M0-6 5.7-1.8 3.5 4.8h-7l-2.2-6.6z"/>`
	}
	p.f(`<g transform="translate(%v %v) scale(%v)" fill="none" stroke="%v" stroke-width="1.2">%v</g>`, c.X, c.Y, fmt.Sprintf("%.3g", min(b.W, b.H)/50), gateColour, sign)
}

// event draws a circle with its sign: one ring for starts, two for events in
// between, a thick one for ends; dashed when it does not interrupt.
func (p *painter) event(n *Node, b Bounds) {
	c, r := b.Center(), min(b.W, b.H)/2
	colour, width, dash, fill := gateColour, 1.5, "", "#fff"
	switch n.Type {
	case StartEvent:
		colour = startColour
		if !n.Interrupting {
			dash = ` stroke-dasharray="4 3"`
		}
	case EndEvent:
		colour, width = endColour, 3.2
	case BoundaryEvent:
		if !n.Interrupting {
			dash = ` stroke-dasharray="4 3"`
		}
	}
	if h, ok := p.options.Heat[n.ID]; ok {
		fill = h.colour()
	}
	p.f(`<circle cx="%v" cy="%v" r="%v" fill="%v" stroke="%v" stroke-width="%v"%v/>`, c.X, c.Y, r, fill, colour, width, dash)
	if n.Type != StartEvent && n.Type != EndEvent {
		p.f(`<circle cx="%v" cy="%v" r="%v" fill="none" stroke="%v" stroke-width="1.2"%v/>`, c.X, c.Y, r-3.5, colour, dash)
	}
	if n.Event == nil || eventSigns[n.Event.Kind] == "" {
		return
	}
	solid := "none"
	if n.Type == EndEvent || n.Type == IntermediateThrowEvent {
		solid = colour
	}
	p.f(`<g transform="translate(%v %v) scale(%v)" fill="%v" stroke="%v" stroke-width="1.3" stroke-linejoin="round" stroke-linecap="round">%v</g>`,
		c.X, c.Y, fmt.Sprintf("%.3g", r/18), solid, colour, eventSigns[n.Event.Kind])
}

// eventSigns are drawn around the middle of a circle of 18 pixels' radius.
var eventSigns = map[EventKind]string{
	MessageEvent:     `<path d="M-8-5.5H8v11H-8z"/><path d="M-8-5.5 0 .5l8-6" fill="none" stroke="#8a6a3a"/>`,
	TimerEvent:       `<circle r="9.5" fill="#fff"/><path d="M0-9.5v2M0 9.5v-2M-9.5 0h2M9.5 0h-2M0-5.5V0l4 2.5" fill="none"/>`,
	ErrorEvent:       `<path d="M-8 7-3-7 3 2 8-7 3 8-2.5-1.5z"/>`,
	EscalationEvent:  `<path d="M0-8 6 8 0 2-6 8z"/>`,
	SignalEvent:      `<path d="M0-8 8 6H-8z"/>`,
	LinkEvent:        `<path d="M-8-3.5h8V-8l8.5 8L0 8V3.5h-8z"/>`,
	ConditionalEvent: `<path d="M-7-8H7V8H-7zM-4.5-4.5h9M-4.5 0h9M-4.5 4.5h9" />`,
	CompensateEvent:  `<path d="M0-6.5V6.5L-8 0zM8-6.5V6.5L0 0z"/>`,
	CancelEvent:      `<path d="M-7-5-5-7 0-2 5-7 7-5 2 0l5 5-2 2-5-5-5 5-2-2 5-5z"/>`,
	TerminateEvent:   `<circle r="10.5" fill="#b23b3b"/>`,
	MultipleEvent:    `<path d="M0-8.5 8.1-2.6 5 7H-5L-8.1-2.6z"/>`,
}
