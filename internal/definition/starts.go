package definition

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/binding"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/starttimer"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/store"
)

// Starter is a start event of a bound version by which an event from outside starts
// a case.
type Starter struct {
	Binding *ent.Binding
	Key     string // of the process
	Node    string
}

// Starters returns the start events of a kind and name in the versions that a region
// runs at the unit's instant, and with below those bound further down, each process
// once for a region: the nearest binding first, of equals the earliest.
func (r *Room) Starters(ctx context.Context, u *command.Unit, kind bpmn.EventKind, name, path string, below bool) ([]Starter, error) {
	ctx = access.Elevated(ctx)
	rows, err := u.Binding.Query().Where(inForce(u.Now), binding.RegionPathIn(access.Chain(path)...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the bindings: %w", err)
	}
	slices.SortFunc(rows, func(a, b *ent.Binding) int {
		return cmp.Or(cmp.Compare(len(b.RegionPath), len(a.RegionPath)), a.EffectiveFrom.Compare(b.EffectiveFrom), cmp.Compare(a.ID, b.ID))
	})
	seen := map[string]bool{}
	rows = slices.DeleteFunc(rows, func(b *ent.Binding) bool {
		again := seen[b.ProcessID]
		seen[b.ProcessID] = true
		return again
	})
	if below {
		more, err := u.Binding.Query().Where(inForce(u.Now), binding.RegionPathNEQ(path), store.Within([]string{path})).
			Order(ent.Asc(binding.FieldRegionPath, binding.FieldID)).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the bindings below: %w", err)
		}
		rows = append(rows, more...)
	}
	var out []Starter
	for _, b := range rows {
		c, err := r.Compiled(ctx, u.Client, b.VersionID)
		if err != nil {
			return nil, err
		}
		if node, ok := startOf(c.Model, kind, name); ok {
			out = append(out, Starter{Binding: b, Key: c.Model.Key, Node: node})
		}
	}
	return out, nil
}

// inForce selects the bindings that hold at an instant.
func inForce(at time.Time) predicate.Binding {
	return binding.And(binding.EffectiveFromLTE(at), binding.Or(binding.EndedAtIsNil(), binding.EndedAtGT(at)))
}

// startOf returns the start event of a process for an event of a kind and name.
func startOf(m *model.Model, kind bpmn.EventKind, name string) (node string, ok bool) {
	for _, i := range m.Starts {
		if n := &m.Nodes[i]; n.Kind == kind && n.Message == name {
			return n.ID, true
		}
	}
	return "", false
}

// alone refuses a version whose message another process bound in the same region
// begins with: the message would not know where to go. A binding further up or down
// is no obstacle, since the nearest takes the message.
func (r *Room) alone(ctx context.Context, u *command.Unit, m *model.Model, v *ent.ProcessVersion, reg *ent.Region, from time.Time) error {
	names := map[string]bool{}
	for _, i := range m.Starts {
		if n := &m.Nodes[i]; n.Kind == bpmn.MessageEvent {
			names[n.Message] = true
		}
	}
	if len(names) == 0 {
		return nil
	}
	ctx = access.Elevated(ctx)
	others, err := u.Binding.Query().Where(binding.RegionID(reg.ID), binding.ProcessIDNEQ(v.ProcessID),
		binding.Or(binding.EndedAtIsNil(), binding.EndedAtGT(from))).All(ctx)
	if err != nil {
		return fmt.Errorf("read the region's bindings: %w", err)
	}
	for _, b := range others {
		c, err := r.Compiled(ctx, u.Client, b.VersionID)
		if err != nil {
			return err
		}
		for name := range names {
			if _, taken := startOf(c.Model, bpmn.MessageEvent, name); taken {
				return fault.E(fault.Precondition, "BINDING_MESSAGE_TAKEN", fault.P("message", name), fault.P("process", c.Model.Key),
					fault.P("region", reg.Code)).At("input", "versionID")
			}
		}
	}
	return nil
}

// arm writes down when the timer start events of a version that is bound are due, and
// ends those of the region's earlier bindings that are due when it takes effect or
// later.
func (r *Room) arm(ctx context.Context, u *command.Unit, m *model.Model, b *ent.Binding, reg *ent.Region) error {
	ctx = access.Elevated(ctx)
	_, err := u.StartTimer.Update().Where(starttimer.ProcessID(b.ProcessID), starttimer.RegionID(reg.ID),
		starttimer.StateEQ(starttimer.StateWaiting), starttimer.DueAtGTE(b.EffectiveFrom)).SetState(starttimer.StateEnded).Save(ctx)
	if err != nil {
		return fmt.Errorf("end the start timers of the earlier binding: %w", err)
	}
	for _, i := range m.Starts {
		if m.Nodes[i].Kind != bpmn.TimerEvent {
			continue
		}
		due, again, ok, err := engine.Schedule(m, i, b.EffectiveFrom, reg.Code, string(reg.Area))
		if err != nil {
			return withPath(err, "input", "versionID")
		}
		if !ok {
			u.Note("timer passed", m.Nodes[i].ID)
			continue
		}
		if err := u.StartTimer.Create().SetRegionID(reg.ID).SetRegionPath(reg.RegionPath).SetCreatedAt(u.Now).SetBindingID(b.ID).SetProcessID(b.ProcessID).
			SetVersionID(b.VersionID).SetNodeID(m.Nodes[i].ID).SetOccurrence(0).SetAgain(again).SetDueAt(due).Exec(ctx); err != nil {
			return fmt.Errorf("set a start timer: %w", err)
		}
	}
	return nil
}

// DueStarts lists the start timers due at an instant, the longest due first, without
// some that are stuck.
func (r *Room) DueStarts(ctx context.Context, now time.Time, stuck []string, limit int) ([]string, error) {
	out, err := r.door.Store.Client().StartTimer.Query().
		Where(starttimer.StateEQ(starttimer.StateWaiting), starttimer.DueAtLTE(now), starttimer.IDNotIn(stuck...)).
		Order(starttimer.ByDueAt(), starttimer.ByID()).Limit(limit).IDs(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("list due start timers: %w", err)
	}
	return out, nil
}

// NextStart returns the instant at which the next start timer is due.
func (r *Room) NextStart(ctx context.Context) (time.Time, bool, error) {
	t, err := r.door.Store.Client().StartTimer.Query().Where(starttimer.StateEQ(starttimer.StateWaiting)).
		Order(starttimer.ByDueAt()).First(access.Elevated(ctx))
	if ent.IsNotFound(err) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read the next start timer: %w", err)
	}
	return t.DueAt, true, nil
}

// TakeStart locks a start timer that is due, with its binding; ok is false when another
// node was faster or the binding had ended by the instant.
func (r *Room) TakeStart(ctx context.Context, u *command.Unit, id string) (t *ent.StartTimer, b *ent.Binding, ok bool, err error) {
	ctx = access.Elevated(ctx)
	t, err = u.StartTimer.Query().Where(starttimer.ID(id), starttimer.StateEQ(starttimer.StateWaiting)).Only(store.Locking(ctx))
	if ent.IsNotFound(err) {
		return nil, nil, false, nil
	}
	if err != nil {
		return nil, nil, false, fmt.Errorf("read a start timer: %w", err)
	}
	u.On(t.ID, t.RegionPath)
	if b, err = u.Binding.Get(ctx, t.BindingID); err != nil {
		return nil, nil, false, fmt.Errorf("read the binding of a start timer: %w", err)
	}
	if b.EndedAt != nil && !t.DueAt.Before(*b.EndedAt) {
		return t, b, false, u.StartTimer.UpdateOne(t).SetState(starttimer.StateEnded).Exec(ctx)
	}
	return t, b, true, nil
}

// FireStart notes what came of a start timer, a case or the code of a refusal, and sets
// the next one of its cycle, all in the unit's transaction. After a time without a
// server a cycle has started one case for all the instants that were missed.
func (r *Room) FireStart(ctx context.Context, u *command.Unit, t *ent.StartTimer, b *ent.Binding, reg *ent.Region, caseID, refused string) error {
	ctx = access.Elevated(ctx)
	upd := u.StartTimer.UpdateOne(t).SetState(starttimer.StateFired).SetFiredAt(u.Now).SetError(refused)
	if caseID != "" {
		upd.SetCaseID(caseID)
	}
	if err := upd.Exec(ctx); err != nil {
		return fmt.Errorf("mark a start timer as fired: %w", err)
	}
	c, err := r.Compiled(ctx, u.Client, t.VersionID)
	if err != nil {
		return err
	}
	node, ok := c.Model.Node(t.NodeID)
	if !ok || c.Model.Nodes[node].Timer == nil {
		return fault.E(fault.Internal, "INTERNAL").Because(fmt.Errorf("start timer %s stands at node %q", t.ID, t.NodeID))
	}
	next, left, missed, ok, err := engine.Following(c.Model, node, t.DueAt, t.Again, u.Now, reg.Code, string(reg.Area))
	if missed > 0 {
		u.Note("missed", missed)
	}
	if err != nil {
		u.Note("cycle ended", fault.CodeOf(err)) // it could be worked out when the version was bound
		return nil
	}
	if !ok || b.EndedAt != nil && !next.Before(*b.EndedAt) {
		return nil
	}
	if err := u.StartTimer.Create().SetRegionID(t.RegionID).SetRegionPath(t.RegionPath).SetCreatedAt(u.Now).SetBindingID(t.BindingID).
		SetProcessID(t.ProcessID).SetVersionID(t.VersionID).SetNodeID(t.NodeID).SetOccurrence(t.Occurrence + 1 + missed).
		SetAgain(left).SetDueAt(next).Exec(ctx); err != nil {
		return fmt.Errorf("set the next start timer: %w", err)
	}
	return nil
}
