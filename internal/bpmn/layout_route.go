package bpmn

import (
	"cmp"
	"slices"
)

// spot is a point of the routing grid. Even coordinates are channels between
// columns or rows, odd ones the center lines of columns or rows.
type spot struct{ x, y int }

// Directions of a step.
const (
	goRight = iota
	goDown
	goLeft
	goUp
	nowhere
)

var steps = [4]spot{{1, 0}, {0, 1}, {-1, 0}, {0, -1}}

// Costs of routing in pixels of detour.
const (
	stepX, stepY   = 75, 55 // half a cell
	bendCost       = 45
	crossCost      = 60
	shareCost      = 7   // a further track in a channel
	centerCost     = 500 // two lines on one center line
	sourceCost     = 25  // running along with a line of the same source
	wrongPortCost  = 220 // leaving backwards or arriving from behind
	sidePortCost   = 55  // leaving or arriving at top or bottom
	cornerPortCost = 20  // the same at a gateway, which has corners on all sides
	mixedPortCost  = 400 // arriving where a line leaves
	crowdedCost    = 60  // leaving where a line leaves already
	hungPortCost   = 600 // using the border that holds boundary events
	rerouteRounds  = 2
)

// router finds ways on the grid of a layout.
type router struct {
	l       *layout
	w, h    int
	blocked []bool      // by spot: a node stands there
	across  [][]*link   // links on the step to the right of a spot
	down    [][]*link   // links on the step below a spot
	dist    []int32     // by spot and direction
	from    []int8      // direction before
	stamp   []int32     // the round that dist is of
	round   int32       //
	heap    []candidate //
}

// candidate is a state to expand.
type candidate struct{ guess, cost, state int32 }

// route finds the way of every link: short ones first, then each again with
// all others in place.
func (l *layout) route() {
	r := &router{l: l, w: 2*l.columns + 1, h: 2*l.rows + 1}
	n := r.w * r.h
	r.blocked, r.across, r.down = make([]bool, n), make([][]*link, n), make([][]*link, n)
	r.dist, r.from, r.stamp = make([]int32, 4*n), make([]int8, 4*n), make([]int32, 4*n)
	for _, c := range l.cells {
		r.blocked[r.at(c.spot())] = true
	}
	order := slices.Clone(l.links)
	slices.SortStableFunc(order, func(a, b *link) int { return cmp.Compare(l.reach(a), l.reach(b)) })
	for range 1 + rerouteRounds {
		for _, k := range order {
			r.remove(k)
			k.path = r.find(k)
			r.enter(k)
		}
	}
}

// spot returns the place of a cell on the grid.
func (c *cell) spot() spot { return spot{2*c.column + 1, 2*c.row + 1} }

// reach is how far a link goes; links against the direction come last.
func (l *layout) reach(k *link) int {
	a, b := l.cells[k.from], l.cells[k.to]
	d := stepX*abs(a.column-b.column) + stepY*abs(a.row-b.row)
	if a.column >= b.column {
		d += 10_000
	}
	return d
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

func (r *router) at(s spot) int { return s.y*r.w + s.x }

// step returns the list of links on a step from s in a direction.
func (r *router) step(s spot, dir int) *[]*link {
	switch dir {
	case goRight:
		return &r.across[r.at(s)]
	case goLeft:
		return &r.across[r.at(s)-1]
	case goDown:
		return &r.down[r.at(s)]
	}
	return &r.down[r.at(s)-r.w]
}

// direction returns the direction from a to b, which share a line.
func direction(a, b spot) int {
	switch {
	case b.x > a.x:
		return goRight
	case b.x < a.x:
		return goLeft
	case b.y > a.y:
		return goDown
	}
	return goUp
}

// enter records a link on the steps of its path.
func (r *router) enter(k *link) {
	for i := 1; i < len(k.path); i++ {
		p := r.step(k.path[i-1], direction(k.path[i-1], k.path[i]))
		*p = append(*p, k)
	}
}

// remove takes a link from the steps of its path.
func (r *router) remove(k *link) {
	for i := 1; i < len(k.path); i++ {
		p := r.step(k.path[i-1], direction(k.path[i-1], k.path[i]))
		*p = slices.DeleteFunc(*p, func(o *link) bool { return o == k })
	}
}

// find returns the cheapest way of a link (A* with the distance on the grid as
// the bound); one always exists, as channels are never blocked.
func (r *router) find(k *link) []spot {
	r.round++
	r.heap = r.heap[:0]
	a, goal := r.l.cells[k.from], r.l.cells[k.to].spot()
	start := a.spot()
	if k.hung != nil {
		start.y++
		r.offer(start, goDown, nowhere, 0, goal)
	} else {
		for dir := range 4 {
			r.advance(k, start, dir, nowhere, r.leave(k, a, start, dir), goal)
		}
	}
	for len(r.heap) > 0 {
		c := r.pop()
		at, dir := spot{int(c.state/4) % r.w, int(c.state/4) / r.w}, int(c.state%4)
		if c.cost > r.dist[c.state] {
			continue
		}
		if at == goal {
			return r.trace(c.state, start)
		}
		for next := range 4 {
			if next == (dir+2)%4 {
				continue
			}
			cost := c.cost
			if next != dir {
				cost += bendCost
			}
			r.advance(k, at, next, dir, cost, goal)
		}
	}
	return nil
}

// leave is the cost of leaving a node in a direction.
func (r *router) leave(k *link, c *cell, at spot, dir int) int32 {
	cost := portCost(c, dir, goDown, isGateway(c.node.Type))
	for _, o := range *r.step(at, dir) {
		if o.to == k.from {
			cost += mixedPortCost
		} else {
			cost += crowdedCost
		}
	}
	return cost
}

// arrive is the cost of arriving at a node in a direction.
func (r *router) arrive(k *link, c *cell, at spot, dir int) int32 {
	cost := portCost(c, dir, goUp, isGateway(c.node.Type) && len(c.node.Incoming) > 1)
	for _, o := range *r.step(at, (dir+2)%4) {
		if o.from == k.to && o.hung == nil {
			cost += mixedPortCost
		}
	}
	return cost
}

// portCost is the cost of a side of a node by the direction of the line through
// it; hung is the direction of a line through the lower border.
func portCost(c *cell, dir, hung int, corner bool) (cost int32) {
	switch {
	case dir == goLeft:
		return wrongPortCost
	case dir == goRight:
		return 0
	case corner:
		cost = cornerPortCost
	default:
		cost = sidePortCost
	}
	if dir == hung && len(c.hung) > 0 {
		cost += hungPortCost
	}
	return cost
}

// advance offers the step from a spot in a direction.
func (r *router) advance(k *link, at spot, dir, before int, cost int32, goal spot) {
	to := spot{at.x + steps[dir].x, at.y + steps[dir].y}
	if to.x < 0 || to.y < 0 || to.x >= r.w || to.y >= r.h || r.blocked[r.at(to)] && to != goal {
		return
	}
	along := at.y
	cost += stepX
	if dir == goUp || dir == goDown {
		along = at.x
		cost += stepY - stepX
	}
	for _, o := range *r.step(at, dir) {
		switch {
		case o.to == k.to:
		case o.from == k.from && o.hung == k.hung:
			cost += sourceCost
		case along%2 == 1:
			cost += centerCost
		default:
			cost += shareCost
		}
	}
	if dir == before {
		cost += r.crossings(k, at, dir)
	}
	if to == goal {
		cost += r.arrive(k, r.l.cells[k.to], to, dir)
	}
	r.offer(to, dir, before, cost, goal)
}

// crossings is the cost of going straight through a spot that others cross.
func (r *router) crossings(k *link, at spot, dir int) (cost int32) {
	one, two := goUp, goDown
	if dir == goUp || dir == goDown {
		one, two = goLeft, goRight
	}
	if one == goUp && (at.y == 0 || at.y == r.h-1) || one == goLeft && (at.x == 0 || at.x == r.w-1) {
		return 0
	}
	for _, o := range *r.step(at, one) {
		if o.to != k.to && slices.Contains(*r.step(at, two), o) {
			cost += crossCost
		}
	}
	return cost
}

// offer enters a state when the way to it is the best so far.
func (r *router) offer(at spot, dir, before int, cost int32, goal spot) {
	s := int32(r.at(at)*4 + dir)
	if r.stamp[s] == r.round && r.dist[s] <= cost {
		return
	}
	r.stamp[s], r.dist[s], r.from[s] = r.round, cost, int8(before)
	guess := cost + int32(stepX*abs(at.x-goal.x)+stepY*abs(at.y-goal.y))
	r.heap = append(r.heap, candidate{guess, cost, s})
	for i := len(r.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if r.heap[up].guess <= r.heap[i].guess {
			break
		}
		r.heap[up], r.heap[i] = r.heap[i], r.heap[up]
		i = up
	}
}

// pop takes the most promising state.
func (r *router) pop() candidate {
	h := r.heap
	top, last := h[0], len(h)-1
	h[0] = h[last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && h[c+1].guess < h[c].guess {
			c++
		}
		if h[i].guess <= h[c].guess {
			break
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
	r.heap = h[:last]
	return top
}

// trace follows the best way back to its start.
func (r *router) trace(state int32, start spot) []spot {
	var out []spot
	for {
		at, dir := spot{int(state/4) % r.w, int(state/4) / r.w}, int(state%4)
		out = append(out, at)
		before := int(r.from[state])
		if before == nowhere {
			if at != start {
				out = append(out, start)
			}
			slices.Reverse(out)
			return out
		}
		back := spot{at.x - steps[dir].x, at.y - steps[dir].y}
		state = int32(r.at(back)*4 + before)
	}
}
