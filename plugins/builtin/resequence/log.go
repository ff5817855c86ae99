package resequence

import (
	"context"

	"github.com/openspms/spms/plugins/builtin/flow"
	"github.com/openspms/spms/plugins/sdk"
)

const (
	groups   = 64      // of cases, dealt in turn: what is drawn again to bound chance
	maxCases = 300_000 // that are followed; later ones are not counted
)

// tally is what a group of cases says of one test or pair.
type tally struct {
	n         int // tests made, pairs whole
	rejected  int
	minutes   float64 // of work
	sum, long float64 // pairs: one after the other, and the longer of the two
}

// journey is what is known of a case that goes on.
type journey struct {
	group   int
	open    map[string][2]int64 // node → when it could be begun and was begun
	pending []*test             // that were made, and of which it is not known how they went
	took    map[int][2]float64  // pair → minutes of its halves
	ended   bool
}

// observed is the log, counted by group.
type observed struct {
	tests map[*test]*[groups]tally
	pairs []*[groups]tally
	cases int
}

// observe reads the log. Memory depends on the cases, not on their events.
func observe(ctx context.Context, run *sdk.Run, p *flow.Process, tests []*test, pairs [][2]*flow.Node) (*observed, error) {
	o := &observed{tests: map[*test]*[groups]tally{}}
	at := map[string]*test{}
	for _, t := range tests {
		o.tests[t] = &[groups]tally{}
		at[t.activity.ID] = t
	}
	half := map[string][][2]int{} // node → pairs and which half
	for i, pair := range pairs {
		o.pairs = append(o.pairs, &[groups]tally{})
		for side, n := range pair {
			half[n.ID] = append(half[n.ID], [2]int{i, side})
		}
	}
	cases := map[string]*journey{}
	order := []*journey{} // so that nothing depends on the order of a map
	for e, err := range run.Events() {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		j := cases[e.Case]
		if j == nil {
			if len(cases) >= maxCases {
				continue
			}
			j = &journey{group: len(cases) % groups}
			cases[e.Case] = j
			order = append(order, j)
		}
		j.ended = e.Attributes["case.state"] == "ended"
		o.take(j, e, p.Node(e.Node), at[e.Node], half[e.Node])
	}
	o.cases = len(cases)
	for _, j := range order {
		for _, t := range j.pending {
			if j.ended { // what is ahead has work in it, and none came
				o.tests[t][j.group].rejected++
				o.tests[t][j.group].n++
			}
		}
	}
	return o, nil
}

// take counts one event of a case.
func (o *observed) take(j *journey, e sdk.Event, n *flow.Node, t *test, halves [][2]int) {
	if n == nil {
		return
	}
	us := e.Time.UnixMicro()
	span, open := j.open[e.Node]
	switch e.Lifecycle {
	case sdk.Schedule, sdk.Start:
		if !open {
			o.resolve(j, n)
		}
		if t == nil && len(halves) == 0 {
			return
		}
		if j.open == nil {
			j.open = map[string][2]int64{}
		}
		if !open {
			span[0] = us
		}
		if e.Lifecycle == sdk.Start {
			span[1] = us
		}
		j.open[e.Node] = span
	case sdk.Completed:
		delete(j.open, e.Node)
		if !open {
			return
		}
		if t != nil {
			j.pending = append(j.pending, t)
			o.tests[t][j.group].minutes += minutes(max(span[1], span[0]), us)
		}
		for _, h := range halves {
			o.half(j, h, minutes(span[0], us))
		}
	case sdk.Abort:
		delete(j.open, e.Node)
	}
}

// resolve decides tests by the work that came after them.
func (o *observed) resolve(j *journey, n *flow.Node) {
	kept := j.pending[:0]
	for _, t := range j.pending {
		g := &o.tests[t][j.group]
		switch {
		case t.ahead[n]:
			g.n++
		case t.out[n]:
			g.n++
			g.rejected++
		default:
			kept = append(kept, t)
		}
	}
	j.pending = kept
}

// half writes down how long one of a pair took, and counts the pair when it is whole.
func (o *observed) half(j *journey, h [2]int, took float64) {
	if j.took == nil {
		j.took = map[int][2]float64{}
	}
	both, has := j.took[h[0]]
	if h[1] == 0 {
		j.took[h[0]] = [2]float64{took, 0}
		return
	}
	if !has {
		return
	}
	delete(j.took, h[0])
	g := &o.pairs[h[0]][j.group]
	g.n++
	g.sum += both[0] + took
	g.long += max(both[0], took)
}

func minutes(from, to int64) float64 { return float64(max(to-from, 0)) / 60e6 }

// total adds the tallies of groups, those named once for each time.
func total(all *[groups]tally, drawn []int) (sum tally) {
	for _, g := range drawn {
		x := &all[g]
		sum.n += x.n
		sum.rejected += x.rejected
		sum.minutes += x.minutes
		sum.sum += x.sum
		sum.long += x.long
	}
	return sum
}
