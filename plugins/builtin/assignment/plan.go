package assignment

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/openspms/spms/plugins/builtin/flow"
	"github.com/openspms/spms/plugins/builtin/queue"
	"github.com/openspms/spms/plugins/sdk"
)

// batches is into how many parts a log is cut, of which each gives one difference: the
// method of batch means, since tasks of one queue are not independent.
const batches = 20

// outcome is what an order of the queue gives.
type outcome struct {
	in    [batches]int     // tasks with an instant
	late  [batches]float64 // share of them that are done after it
	over  [batches]float64 // minutes over it, their mean
	share float64
	mean  float64
	n     int // tasks with an instant
}

// play plays jobs in an order.
func play(jobs []queue.Job, servers int, order queue.Order) outcome {
	var out outcome
	due := 0
	for i := range jobs {
		if !math.IsInf(jobs[i].Due, 1) {
			due++
		}
	}
	all := 0
	for i, begun := range queue.Play(jobs, servers, order) {
		j := &jobs[i]
		if math.IsInf(j.Due, 1) {
			continue
		}
		b := all * batches / due
		out.in[b]++
		all++
		if over := begun + j.Service - j.Due; over > 0 {
			out.late[b]++
			out.over[b] += over
		}
	}
	for b, n := range out.in {
		out.share += out.late[b]
		out.mean += out.over[b]
		if n > 0 {
			out.late[b] /= float64(n)
			out.over[b] /= float64(n)
		}
	}
	out.n = all
	out.share /= float64(max(all, 1))
	out.mean /= float64(max(all, 1))
	return out
}

// claims are the differences of two outcomes; better tells whether they are no chance.
func claims(id string, before, after outcome) (figures []sdk.Figure, better bool) {
	figure := func(name, unit string, b, a float64, x, y [batches]float64, scale float64) sdk.Figure {
		var differences []float64
		for i := range batches {
			if before.in[i] > 0 {
				differences = append(differences, scale*(y[i]-x[i]))
			}
		}
		_, low, high := queue.Interval(differences)
		return sdk.Figure{Indicator: name + ":" + id, Unit: unit, Before: scale * b, After: scale * a, Low: low, High: high}
	}
	late := figure("late_tasks", "permille", before.share, after.share, before.late, after.late, 1000)
	over := figure("mean_lateness", "s", before.mean, after.mean, before.over, after.over, 60)
	return []sdk.Figure{late, over}, (late.High < 0 || over.High < 0) && late.After <= late.Before && over.After <= over.Before
}

// byPriority is the order of a worklist with priorities of nodes: the higher first.
func byPriority(values map[int]int) queue.Order {
	return func(a, b *queue.Job) int { return cmp.Compare(values[b.Class], values[a.Class]) }
}

// prioritise proposes priorities for the nodes of a pool: the shorter the time between
// being offered and being due, the higher. It returns what is to be told.
func (s settings) prioritise(ctx context.Context, run *sdk.Run, p *flow.Process, l *line) (string, error) {
	due := 0
	for _, n := range l.nodes {
		due += n.due
	}
	if len(l.jobs) < s.MinTasks || due == 0 {
		return "", nil
	}
	if l.overtaken*100 < s.MinInversionsPercent*l.begun {
		return fmt.Sprintf("%s：%d 项任务中只有 %d 项被后到期者赶超 · %s: %d of %d tasks were overtaken by ones due later", l.Title(), l.begun, l.overtaken, l.English(), l.overtaken, l.begun), nil
	}
	edits, values, names := l.ladder(p)
	fifo, edd := play(l.jobs, l.servers(), nil), play(l.jobs, l.servers(), queue.EarliestDue)
	told := fmt.Sprintf("%s：%d/%d 项被赶超；先到先办 %.1f%% 超时，先到期先办 %.1f%% · %s: %d/%d overtaken; late %.1f%% first come first served, %.1f%% earliest due first",
		l.Title(), l.overtaken, l.begun, 100*fifo.share, 100*edd.share, l.English(), l.overtaken, l.begun, 100*fifo.share, 100*edd.share)
	if len(edits) == 0 {
		return told, nil
	}
	figures, better := claims(l.ID, fifo, play(l.jobs, l.servers(), byPriority(values)))
	if !better {
		return told, nil
	}
	answer, err := run.Evaluate(ctx, edits)
	if err != nil || !answer.Accepted {
		return told, err
	}
	return told, run.Propose(sdk.Proposal{
		TitleZH: l.Title() + "：时限短的环节优先", TitleEN: l.English() + ": nodes with short clocks first", Edits: edits, Claims: figures,
		Rationale: fmt.Sprintf("%d 项任务中 %d 项在等待时被到期更晚的任务赶超。按可用时间由短到长给环节定优先级：%s。以 %d 人、实际到达与用时重演：先到先办 %.1f%% 超时，按优先级 %.1f%%，若按每项任务的时限（分派插件 assignment 用作评分）%.1f%%。\n"+
			"Of %d tasks %d were overtaken while they waited by tasks due later. Nodes get priorities by the time that they have, the shortest first: %s. Played with %d people, arrivals and services as they were: first come first served %.1f%% are late, by priority %.1f%%, and by the instants of each task (the plugin assignment as a scorer) %.1f%%.",
			l.begun, l.overtaken, names, l.servers(), 100*fifo.share, figures[0].After/10, 100*edd.share,
			l.begun, l.overtaken, names, l.servers(), 100*fifo.share, figures[0].After/10, 100*edd.share),
	})
}

// ladder gives the nodes of a pool priorities from 90 down in steps of at least one; nodes
// that have the priority already need no edit. Nodes without clocks come last, at 10.
func (l *line) ladder(p *flow.Process) (edits []sdk.Edit, values map[int]int, names string) {
	nodes := slices.Clone(l.nodes)
	given := func(n *node) float64 {
		if n.due == 0 {
			return math.Inf(1)
		}
		return n.slack / float64(n.due)
	}
	slices.SortStableFunc(nodes, func(a, b *node) int { return cmp.Or(cmp.Compare(given(a), given(b)), cmp.Compare(a.id, b.id)) })
	values = map[int]int{}
	var told []string
	step := max(1, 80/max(len(nodes), 1))
	for i, n := range nodes {
		value := max(10, 90-i*step)
		if math.IsInf(given(n), 1) {
			value = 10
		}
		values[n.class] = value
		x := p.Node(n.id)
		if x == nil {
			continue
		}
		told = append(told, fmt.Sprintf("%s %d", x.Title(false), value))
		if x.Priority != strconv.Itoa(value) {
			edits = append(edits, sdk.Edit{"op": "setPriority", "id": n.id, "value": strconv.Itoa(value)})
		}
	}
	if len(nodes) < 2 {
		return nil, values, "" // one node alone has no order
	}
	return edits, values, strings.Join(told, "、")
}

// route proposes that another role does a node, where the operator allows it and both
// pools together would have been late less.
func (s settings) route(ctx context.Context, run *sdk.Run, p *flow.Process, q *queues, id, role string) error {
	n := p.Node(id)
	class, known := q.classes[id]
	if n == nil || !known || n.Role == role {
		return nil
	}
	var from, to *line
	for _, l := range q.lines {
		if slices.ContainsFunc(l.nodes, func(x *node) bool { return x.id == id && x.tasks > 0 }) && from == nil {
			from = l
		}
		if l.Role == role && l.Capacity != nil && *l.Capacity > 0 && to == nil {
			to = l
		}
	}
	if from == nil || to == nil || from == to || len(from.jobs) < s.MinTasks {
		return nil
	}
	var stay, moved []queue.Job
	for _, j := range from.jobs {
		if j.Class == class {
			moved = append(moved, j)
		} else {
			stay = append(stay, j)
		}
	}
	there := slices.Concat(to.jobs, moved)
	slices.SortStableFunc(there, func(a, b queue.Job) int { return cmp.Compare(a.At, b.At) })
	before := both(play(from.jobs, from.servers(), nil), play(to.jobs, to.servers(), nil))
	after := both(play(stay, from.servers(), nil), play(there, to.servers(), nil))
	figures, better := claims(from.ID+"+"+to.ID, before, after)
	if !better {
		return nil
	}
	edits := []sdk.Edit{{"op": "setRole", "id": id, "value": role}}
	answer, err := run.Evaluate(ctx, edits)
	if err != nil || !answer.Accepted {
		return err
	}
	return run.Propose(sdk.Proposal{
		TitleZH: fmt.Sprintf("“%s”改由 %s 完成", n.Title(false), to.Title()), TitleEN: fmt.Sprintf("%q is done by %s", n.Title(true), to.English()), Edits: edits, Claims: figures,
		Rationale: fmt.Sprintf("以实际到达与用时重演两个资源池：超时由 %.1f%% 降为 %.1f%%。假设接手者与原来一样快；资质要求不变。\n"+
			"Both pools played with arrivals and services as they were: late are %.1f%% in place of %.1f%%. It takes the new people to be as quick; qualifications stay as they are.",
			100*before.share, 100*after.share, 100*after.share, 100*before.share),
	})
}

// both weighs the outcomes of two pools by their tasks with an instant.
func both(a, b outcome) outcome {
	x := float64(a.n) / float64(max(a.n+b.n, 1))
	out := outcome{n: a.n + b.n, share: x*a.share + (1-x)*b.share, mean: x*a.mean + (1-x)*b.mean}
	for i := range out.late {
		out.in[i] = a.in[i] + b.in[i]
		out.late[i] = x*a.late[i] + (1-x)*b.late[i]
		out.over[i] = x*a.over[i] + (1-x)*b.over[i]
	}
	return out
}
