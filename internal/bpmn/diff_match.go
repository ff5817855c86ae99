package bpmn

import "strings"

// matching says which elements of two versions are the same ones: ids of the
// old version to those of the new.
type matching struct {
	node, flow, lane map[string]string
	taken            map[string]bool // nodes of the new version that have a twin
}

func (m *matching) nodes(id string) string { return m.node[id] }
func (m *matching) flows(id string) string { return m.flow[id] }
func (m *matching) lanes(id string) string { return m.lane[id] }

// any looks an id up among all kinds.
func (m *matching) any(id string) string {
	if to := m.node[id]; to != "" {
		return to
	}
	if to := m.flow[id]; to != "" {
		return to
	}
	return m.lane[id]
}

// Twins tells which nodes and flows of two versions are the same ones, by the id
// in a: nodes by id, then by type and name, then by type and neighbours; flows by
// id or by the nodes they join. Cost: nodes times flows.
func Twins(a, b *Graph) (nodes, flows map[string]string) {
	m := match(a, b)
	return m.node, m.flow
}

// match finds the twins of two versions: by id, then by type and name, then by
// type and neighbours, until nothing more is found.
func match(a, b *Graph) *matching {
	m := &matching{node: map[string]string{}, flow: map[string]string{}, lane: map[string]string{}, taken: map[string]bool{}}
	m.matchLanes(a, b)
	inB := map[string]*Node{}
	for _, n := range b.Nodes {
		inB[n.ID] = n
	}
	for _, n := range a.Nodes {
		if inB[n.ID] != nil {
			m.pair(n.ID, n.ID)
		}
	}
	m.bySign(a, b, func(n *Node) string {
		if n.Name == "" {
			return ""
		}
		return string(n.Type) + "\x00" + n.Name
	})
	m.bySign(a, b, func(n *Node) string {
		if n.Extension.Topic == "" {
			return ""
		}
		return string(n.Type) + "\x00" + n.Extension.Topic
	})
	for m.byNeighbours(a, b) {
	}
	m.matchFlows(a, b)
	return m
}

func (m *matching) pair(a, b string) { m.node[a], m.taken[b] = b, true }

// matchLanes pairs lanes by id, else by name and role.
func (m *matching) matchLanes(a, b *Graph) {
	taken := map[string]bool{}
	pass := func(same func(x, y *Lane) bool) {
		for _, x := range a.Lanes {
			for _, y := range b.Lanes {
				if m.lane[x.ID] == "" && !taken[y.ID] && same(x, y) {
					m.lane[x.ID], taken[y.ID] = y.ID, true
				}
			}
		}
	}
	pass(func(x, y *Lane) bool { return x.ID == y.ID })
	pass(func(x, y *Lane) bool { return x.Name == y.Name && x.Role == y.Role })
}

// bySign pairs nodes without a twin whose sign is the same and occurs once on
// either side.
func (m *matching) bySign(a, b *Graph, sign func(*Node) string) {
	count := func(g *Graph, free func(string) bool) map[string][]string {
		out := map[string][]string{}
		for _, n := range g.Nodes {
			if s := sign(n); s != "" && free(n.ID) {
				out[s] = append(out[s], n.ID)
			}
		}
		return out
	}
	left := count(a, func(id string) bool { return m.node[id] == "" })
	right := count(b, func(id string) bool { return !m.taken[id] })
	for s, ids := range left {
		if len(ids) == 1 && len(right[s]) == 1 {
			m.pair(ids[0], right[s][0])
		}
	}
}

// byNeighbours pairs nodes without a twin that have the same type and the same
// neighbours, as far as those have twins; true when any was found.
func (m *matching) byNeighbours(a, b *Graph) bool {
	found := len(m.node)
	around := func(g *Graph, twin func(string) string) func(*Node) string {
		near := map[string][2][]string{}
		for _, f := range g.Flows {
			from, to := near[f.From], near[f.To]
			from[1], to[0] = append(from[1], twin(f.To)), append(to[0], twin(f.From))
			near[f.From] = from
			near[f.To] = to
		}
		return func(n *Node) string {
			at := near[n.ID]
			all := strings.Join(at[0], ",") + "\x00" + strings.Join(at[1], ",") + "\x00" + twin(n.AttachedTo)
			if strings.Trim(all, ",\x00") == "" {
				return ""
			}
			return string(n.Type) + "\x00" + all
		}
	}
	signA := around(a, func(id string) string { return m.node[id] })
	signB := around(b, func(id string) string {
		if m.taken[id] {
			return id
		}
		return ""
	})
	signs := map[*Node]string{}
	for _, n := range a.Nodes {
		signs[n] = signA(n)
	}
	for _, n := range b.Nodes {
		signs[n] = signB(n)
	}
	m.bySign(a, b, func(n *Node) string { return signs[n] })
	return len(m.node) > found
}

// matchFlows pairs flows by id when they still join the same nodes, else by the
// nodes they join, else by id alone.
func (m *matching) matchFlows(a, b *Graph) {
	taken := map[string]bool{}
	pass := func(same func(x, y *Flow) bool) {
		for _, x := range a.Flows {
			if m.flow[x.ID] != "" {
				continue
			}
			for _, y := range b.Flows {
				if !taken[y.ID] && same(x, y) {
					m.flow[x.ID], taken[y.ID] = y.ID, true
					break
				}
			}
		}
	}
	joins := func(x, y *Flow) bool { return m.node[x.From] == y.From && m.node[x.To] == y.To }
	pass(func(x, y *Flow) bool { return x.ID == y.ID && joins(x, y) })
	pass(func(x, y *Flow) bool { return joins(x, y) && x.Condition == y.Condition })
	pass(joins)
	pass(func(x, y *Flow) bool { return x.ID == y.ID })
}
