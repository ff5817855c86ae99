package bpmn

// Collaboration is what a document says of several parties: their pools and the
// messages between them.
type Collaboration struct {
	ID, Name string
	Pools    []*Pool // in document order
	Messages []*MessageFlow
}

// Pool is one party: a participant with its process, or without one that is shown.
type Pool struct {
	ID, Name string
	Process  *Graph // nil for a black box
}

// MessageFlow is a message from one pool, or a node of one, to another.
type MessageFlow struct {
	ID, Name string
	From, To string // ids of nodes or pools
}

// Collaboration returns the first collaboration of the document that has more than one
// pool, and false when there is none. Message flows whose ends are not there are
// left out. Errors as Graphs.
func (d *Document) Collaboration() (*Collaboration, bool, error) {
	graphs, err := d.Graphs()
	if err != nil {
		return nil, false, err
	}
	for e := range d.root.children(ModelNamespace, "collaboration") {
		c := &Collaboration{ID: e.attr("id"), Name: e.attr("name")}
		known := map[string]bool{}
		for p := range e.children(ModelNamespace, "participant") {
			pool := &Pool{ID: p.attr("id"), Name: p.attr("name")}
			known[pool.ID] = true
			for _, g := range graphs {
				if ref := p.attr("processRef"); ref != "" && localPart(ref) == g.ID && len(g.Nodes) > 0 {
					pool.Process = g
					for _, n := range g.Nodes {
						known[n.ID] = true
					}
				}
			}
			c.Pools = append(c.Pools, pool)
		}
		for m := range e.children(ModelNamespace, "messageFlow") {
			f := &MessageFlow{ID: m.attr("id"), Name: m.attr("name"), From: localPart(m.attr("sourceRef")), To: localPart(m.attr("targetRef"))}
			if known[f.From] && known[f.To] {
				c.Messages = append(c.Messages, f)
			}
		}
		if len(c.Pools) > 1 {
			return c, true, nil
		}
	}
	return nil, false, nil
}

// Drawing returns what the document's diagram interchange says of a
// collaboration, false when it does not show all its nodes.
func (d *Document) Drawing(c *Collaboration) (*Diagram, bool) {
	for diagram := range d.root.children(diNamespace, "BPMNDiagram") {
		for plane := range diagram.children(diNamespace, "BPMNPlane") {
			if out := readPlane(plane); out.Element == c.ID {
				return out, c.shownBy(out)
			}
		}
	}
	return nil, false
}

// shownBy reports whether a diagram has a shape of every pool and every node that is
// not inside of a subprocess.
func (c *Collaboration) shownBy(d *Diagram) bool {
	shapes := map[string]bool{}
	for _, s := range d.Shapes {
		shapes[s.Element] = true
	}
	for _, p := range c.Pools {
		if !shapes[p.ID] {
			return false
		}
		if p.Process == nil {
			continue
		}
		for _, n := range p.Process.Nodes {
			if n.Parent == "" && !shapes[n.ID] {
				return false
			}
		}
	}
	return true
}

// layout draws a process as Layout does or, where the document is one of several
// parties, all of them.
func (d *Document) layout(g *Graph) *Diagram {
	if c, ok, err := d.Collaboration(); ok && err == nil {
		return LayoutCollaboration(c)
	}
	return Layout(g)
}
