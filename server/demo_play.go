package server

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/token"
	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/simulation"
	"github.com/openspms/spms/internal/store"
)

// demoProcess is the process of the story.
const demoProcess = "ftth-install"

// play is one run of the demo: virtual events in order of their instants, and
// the crew that works what they bring.
type play struct {
	house   *House
	now     *clock.Manual
	cfg     DemoConfig
	say     demoVoice
	rng     *rand.Rand
	agenda  agenda
	changes <-chan store.Change
	model   *model.Model
	nodes   map[string]simulation.Node
	flows   map[string]simulation.Flow
	crew    *crew
	cases   map[string]*order // by case id
	days    *calendar.Calendar
	started int
	ended   int
}

// order is one case of the story with what the crew knows of it.
type order struct {
	id, region, area string
	number           string
	mbps             float64
	visits           int
	begun            time.Time
	seen             map[string]bool // tasks and tokens that are taken care of
	over             bool
}

// attr is a case attribute, for figures that depend on one.
func (o *order) attr(name string) string {
	if name == "area" {
		return o.area
	}
	return ""
}

// event is something that happens at an instant of the story.
type event struct {
	at  time.Time
	seq int // among equal instants, the one planned first comes first
	do  func(ctx context.Context) error
}

// agenda is a heap of events.
type agenda struct {
	events []event
	seq    int
}

func (a *agenda) Len() int { return len(a.events) }
func (a *agenda) Less(i, j int) bool {
	x, y := a.events[i], a.events[j]
	return cmp.Or(x.at.Compare(y.at), cmp.Compare(x.seq, y.seq)) < 0
}
func (a *agenda) Swap(i, j int) { a.events[i], a.events[j] = a.events[j], a.events[i] }
func (a *agenda) Push(x any)    { a.events = append(a.events, x.(event)) }
func (a *agenda) Pop() any {
	last := a.events[len(a.events)-1]
	a.events = a.events[:len(a.events)-1]
	return last
}

// at plans something.
func (p *play) at(t time.Time, do func(ctx context.Context) error) {
	p.agenda.seq++
	heap.Push(&p.agenda, event{t, p.agenda.seq, do})
}

// newPlay reads the figures of the published process and hires the crew.
func newPlay(ctx context.Context, h *House, now *clock.Manual, cfg DemoConfig, say demoVoice) (*play, error) {
	version, err := h.demoVersion(ctx)
	if err != nil {
		return nil, err
	}
	compiled, err := h.Definitions.Compiled(ctx, h.Store.Client(), version.ID)
	if err != nil {
		return nil, err
	}
	p := &play{
		house: h, now: now, cfg: cfg, say: say, rng: rand.New(rand.NewPCG(cfg.Seed, 1)), model: compiled.Model,
		nodes: map[string]simulation.Node{}, flows: map[string]simulation.Flow{}, cases: map[string]*order{},
	}
	for _, n := range compiled.Graph.Nodes {
		if p.nodes[n.ID], err = simulation.ParseNode(n.Extension.Simulation); err != nil {
			return nil, fmt.Errorf("figures of %s: %w", n.ID, err)
		}
	}
	for _, f := range compiled.Graph.Flows {
		if p.flows[f.ID], err = simulation.ParseFlow(f.Extension.Simulation); err != nil {
			return nil, fmt.Errorf("figures of %s: %w", f.ID, err)
		}
	}
	if p.days, err = h.Standards.Calendar(ctx, "cn-statutory"); err != nil {
		return nil, err
	}
	p.crew, err = hire(ctx, p)
	return p, err
}

// run plays until nothing is left to happen.
func (p *play) run(ctx context.Context) error {
	p.changes = p.house.Store.Subscribe(ctx)
	if err := p.arrivals(); err != nil {
		return err
	}
	day := p.now.Now()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, ok, err := p.house.Cases.NextDue(ctx)
		if err != nil {
			return err
		}
		planned := p.agenda.Len() > 0
		if !ok && !planned {
			break
		}
		timer := ok && (!planned || !p.agenda.events[0].at.Before(next))
		if !timer {
			next = p.agenda.events[0].at
		}
		for ; next.Sub(day) >= 24*time.Hour; day = day.Add(24 * time.Hour) {
			p.say.day(p, day)
		}
		p.now.Set(next)
		if timer {
			_, err = p.house.Cases.Tick(ctx)
		} else {
			err = heap.Pop(&p.agenda).(event).do(ctx)
		}
		if err != nil {
			return err
		}
		if err := p.follow(ctx); err != nil {
			return err
		}
	}
	p.say.day(p, day)
	return nil
}

// follow looks at the cases that have just moved.
func (p *play) follow(ctx context.Context) error {
	moved := map[string]bool{}
	for {
		select {
		case c, ok := <-p.changes:
			if !ok {
				return ctx.Err()
			}
			if c.Kind == store.Lost {
				for id, o := range p.cases {
					moved[id] = !o.over
				}
			} else if o, known := p.cases[c.CaseID]; known && !o.over {
				moved[c.CaseID] = true
			}
			continue
		default:
		}
		break
	}
	for _, id := range inOrder(moved) {
		if moved[id] {
			if err := p.look(ctx, p.cases[id]); err != nil {
				return err
			}
		}
	}
	return nil
}

// look plans what the crew and the customer do about a case as it stands now.
func (p *play) look(ctx context.Context, o *order) error {
	client := p.house.Store.Client()
	row, err := client.ServiceCase.Query().Where(servicecase.ID(o.id)).Only(ctx)
	if err != nil {
		return fmt.Errorf("look at order %s: %w", o.number, err)
	}
	if row.State != servicecase.StateActive {
		o.over = true
		p.ended++
		return nil
	}
	tasks, err := client.Task.Query().Where(task.CaseID(o.id), task.StateEQ(task.StateCreated)).Order(ent.Asc(task.FieldID)).All(ctx)
	if err != nil {
		return fmt.Errorf("look at the tasks of order %s: %w", o.number, err)
	}
	for _, t := range tasks {
		if o.seen[t.ID] {
			continue
		}
		o.seen[t.ID] = true
		if err := p.takeOn(o, t); err != nil {
			return err
		}
	}
	tokens, err := client.Token.Query().Where(token.CaseID(o.id)).Order(ent.Asc(token.FieldSeq)).All(ctx)
	if err != nil {
		return fmt.Errorf("look at the tokens of order %s: %w", o.number, err)
	}
	for _, t := range tokens {
		// A token that comes to a node again waits again.
		stay := fmt.Sprint(t.Seq, t.NodeID, t.EnteredAt)
		if say, ok := customer[t.NodeID]; ok && !o.seen[stay] {
			o.seen[stay] = true
			say(p, o, t.NodeID)
		}
	}
	return nil
}

// takeOn plans a task: a machine does it at once, people queue it.
func (p *play) takeOn(o *order, t *ent.Task) error {
	if t.Kind == task.KindHuman {
		return p.crew.queue(p, o, t)
	}
	p.at(p.after(o, t.NodeID), func(ctx context.Context) error { return p.complete(ctx, "integration", o, t) })
	return nil
}

// draw returns how long a node takes in an order, by its figures.
func (p *play) draw(o *order, node string) simulation.Span {
	span, _ := p.nodes[node].Draw(p.rng, o.attr)
	return span
}

// after returns the instant at which a drawn stay at a node ends.
func (p *play) after(o *order, node string) time.Time {
	span, now := p.draw(o, node), p.now.Now()
	if span.WorkingDays > 0 {
		return p.days.BeginOf(p.days.AddWorkingDays(p.days.DateOf(now), span.WorkingDays)).Add(9 * time.Hour)
	}
	return now.Add(span.Exact)
}

// complete fills in a task's form and evidence as the script says.
func (p *play) complete(ctx context.Context, person string, o *order, t *ent.Task) error {
	as, err := p.crew.as(ctx, person)
	if err != nil {
		return err
	}
	in := execution.CompleteTask{TaskID: &t.ID, Variables: p.answers(o, t.NodeID)}
	node, _ := p.model.Node(t.NodeID)
	for _, e := range p.model.Nodes[node].Evidence {
		if e.Required {
			in.Evidence = append(in.Evidence, &execution.EvidenceItem{Kind: e.Kind, Media: &e.Media, Content: sampleEvidence(e.Media)})
		}
	}
	if _, err := p.house.Cases.CompleteTask(as, in); err != nil {
		return fmt.Errorf("%s completes %s of order %s: %w", person, t.NodeID, o.number, err)
	}
	return nil
}

// tell sends a customer's message to an order.
func (p *play) tell(ctx context.Context, o *order, message string, payload map[string]any) error {
	as, err := p.crew.as(ctx, "integration")
	if err != nil {
		return err
	}
	if _, err := p.house.Cases.SendMessage(as, execution.SendMessage{Name: message, CaseID: &o.id, Payload: payload}); err != nil {
		return fmt.Errorf("message %s to order %s at %v: %w", message, o.number, p.now.Now(), err)
	}
	return nil
}

// open counts the tasks that wait in the crew's queues or are being worked.
func (p *play) open() int {
	n := 0
	for _, w := range p.crew.pools {
		n += len(w.waiting) + w.busy
	}
	return n
}
