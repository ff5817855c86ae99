package bpmn

import (
	"fmt"
	"math"
	"strings"
)

// edge draws a line with rounded corners and an arrow; lines the graph does not
// know are dashed.
func (p *painter) edge(e *Edge) {
	if len(e.Waypoints) < 2 {
		return
	}
	f := p.flows[e.Element]
	dash, tip := "", "arrow"
	switch {
	case p.messages[e.Element] != nil:
		dash, tip = ` stroke-dasharray="6 4" marker-start="url(#ring)"`, "tip"
	case f == nil:
		dash = ` stroke-dasharray="6 4"`
	}
	width := 1.4
	if h, ok := p.options.Heat[e.Element]; ok {
		width = 1.2 + 5*math.Sqrt(float64(h.Count)/float64(max(p.most(), 1)))
	}
	p.f(`<g data-element="%v"><path d="%v" fill="none" stroke="%v" stroke-width="%v" marker-end="url(#%v)"%v/>`, escape(e.Element), rounded(e.Waypoints, 6), lineColour, width, tip, dash)
	if f != nil && p.defaults[f.ID] {
		p.slash(e.Waypoints[0], e.Waypoints[1])
	}
	p.f("</g>")
}

// most is the highest count of a flow.
func (p *painter) most() int {
	n := 0
	for id := range p.flows {
		n = max(n, p.options.Heat[id].Count)
	}
	return n
}

// slash marks a default flow near its source.
func (p *painter) slash(a, b Point) {
	d := math.Hypot(b.X-a.X, b.Y-a.Y)
	if d < 14 {
		return
	}
	ux, uy := (b.X-a.X)/d, (b.Y-a.Y)/d
	x, y := a.X+9*ux, a.Y+9*uy
	p.f(`<path d="M%v %vL%v %v" stroke="%v" stroke-width="1.4"/>`, x-3*ux-4.5*uy, y-3*uy+4.5*ux, x+3*ux+4.5*uy, y+3*uy-4.5*ux, lineColour)
}

// rounded returns the path of a line whose corners have a radius.
func rounded(points []Point, radius float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "M%s %s", px(points[0].X), px(points[0].Y))
	for i := 1; i < len(points)-1; i++ {
		a, c, z := points[i-1], points[i], points[i+1]
		in, out := math.Hypot(c.X-a.X, c.Y-a.Y), math.Hypot(z.X-c.X, z.Y-c.Y)
		r := min(radius, in/2, out/2)
		if r < 0.5 {
			fmt.Fprintf(&b, "L%s %s", px(c.X), px(c.Y))
			continue
		}
		fmt.Fprintf(&b, "L%s %sQ%s %s %s %s", px(c.X-(c.X-a.X)/in*r), px(c.Y-(c.Y-a.Y)/in*r), px(c.X), px(c.Y), px(c.X+(z.X-c.X)/out*r), px(c.Y+(z.Y-c.Y)/out*r))
	}
	last := points[len(points)-1]
	fmt.Fprintf(&b, "L%s %s", px(last.X), px(last.Y))
	return b.String()
}

// edgeName draws the name of a flow at its label on a light ground.
func (p *painter) edgeName(e *Edge) {
	name := ""
	switch f, m := p.flows[e.Element], p.messages[e.Element]; {
	case e.Label.W == 0:
	case f != nil:
		name = p.choose(f.Name, f.Extension.NameEn)
	case m != nil:
		name = m.Name
	}
	if h, ok := p.options.Heat[e.Element]; ok && e.Label.W > 0 {
		name = strings.TrimSpace(fmt.Sprintf("%s %d", name, h.Count))
	}
	if name == "" {
		return
	}
	width := max(e.Label.W+4, 70)
	w, h := textBox(name, width, 3)
	c := e.nameAt(w, h)
	p.f(`<rect x="%v" y="%v" width="%v" height="%v" rx="2" fill="#fff" fill-opacity=".82"/>`, c.X-w/2-1, c.Y-h/2, w+2, h)
	p.text(c, name, width, labelSize, 3, "#5b4a1e", "500")
}

// nameAt is the middle of a name of that size within the label of e: at the side
// of the label that is next to the line.
func (e *Edge) nameAt(w, h float64) Point {
	c, l := e.Label.Center(), e.Label
	nearest := math.Inf(1)
	var from, to Point
	for i := 1; i < len(e.Waypoints); i++ {
		a, b := e.Waypoints[i-1], e.Waypoints[i]
		dx := max(min(a.X, b.X)-c.X, 0, c.X-max(a.X, b.X)) - l.W/2
		dy := max(min(a.Y, b.Y)-c.Y, 0, c.Y-max(a.Y, b.Y)) - l.H/2
		if d := max(dx, 0) + max(dy, 0); d < nearest {
			nearest, from, to = d, a, b
		}
	}
	switch {
	case from.Y == to.Y && from.Y < c.Y:
		return Point{c.X, l.Y + h/2}
	case from.Y == to.Y:
		return Point{c.X, l.Y + l.H - h/2}
	case from.X < c.X:
		return Point{l.X + w/2, c.Y}
	}
	return Point{l.X + l.W - w/2, c.Y}
}

// figures draws the numbers of a node on a badge at its upper right.
func (p *painter) figures(s *Shape) {
	h, ok := p.options.Heat[s.Element]
	if n := p.nodes[s.Element]; !ok || n == nil {
		return
	}
	parts := []string{fmt.Sprintf("×%d", h.Count)}
	if h.Minutes >= 0 {
		parts = append(parts, p.duration(h.Minutes))
	}
	if h.BreachRate >= 0 {
		parts = append(parts, fmt.Sprintf("%.1f%%", h.BreachRate*100))
	}
	text := strings.Join(parts, " · ")
	w := textWidth(text, 10) + 10
	x, y := s.Bounds.X+s.Bounds.W/2-w/2, s.Bounds.Y-8
	p.f(`<rect x="%v" y="%v" width="%v" height="15" rx="7.5" fill="%v"/>`, x, y, w, inkColour)
	p.f(`<text x="%v" y="%v" font-size="10" fill="#fff" text-anchor="middle">%v</text>`, x+w/2, y+11, escape(text))
}

// duration says a number of minutes briefly.
func (p *painter) duration(minutes float64) string {
	value, zh, en := minutes, "分", "min"
	switch {
	case minutes >= 2*24*60:
		value, zh, en = minutes/(24*60), "天", "d"
	case minutes >= 120:
		value, zh, en = minutes/60, "时", "h"
	}
	text := fmt.Sprintf("%.1f", value)
	if value >= 10 {
		text = fmt.Sprintf("%.0f", value)
	}
	if p.options.Lang == "en" {
		return text + " " + en
	}
	return text + zh
}

// colour goes from white over yellow to red as more is breached; half of all
// breached is red.
func (h Figures) colour() string {
	stops := [][3]float64{{255, 255, 255}, {255, 236, 179}, {255, 183, 120}, {239, 108, 96}}
	at := min(max(h.BreachRate, 0)*2, 1) * float64(len(stops)-1)
	i := min(int(at), len(stops)-2)
	mix := func(k int) int {
		return int(math.Round(stops[i][k] + (stops[i+1][k]-stops[i][k])*(at-float64(i))))
	}
	return fmt.Sprintf("#%02x%02x%02x", mix(0), mix(1), mix(2))
}
