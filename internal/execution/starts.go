package execution

import (
	"context"
	"errors"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/process"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/store"
)

// What starts a case from outside: a message that no case waits for, a signal, an
// instant. The process is the one that the region runs, and only what it declares as
// input goes in. A start that is refused is told to whoever sent the message, and
// noted in the audit trail where nobody asks.

// prepare makes the event that starts the case at a start event, "" for the usual one, with
// the variables of the input, which are checked; path is theirs in what was asked. Nothing is written.
func (f *file) prepare(ctx context.Context, in StartCase, node string, path ...string) (engine.Event, error) {
	vars, err := f.inputVariables(in)
	if err != nil {
		return engine.Event{}, below(err, path...)
	}
	return engine.Event{Kind: engine.Start, Node: node, Variables: vars}, f.lawful(ctx, "", vars, nil)
}

// start starts the case by an event that is prepared.
func (f *file) start(ctx context.Context, start engine.Event) error {
	if err := f.step(ctx, start); err != nil {
		return err
	}
	f.unit.On(f.row.ID, f.row.RegionPath)
	return f.save(ctx)
}

// launch starts the case for who notes a refusal and goes on. So it comes before anything
// is written; what goes wrong later undoes the whole command.
func (f *file) launch(ctx context.Context, in StartCase, node string) error {
	start, err := f.prepare(ctx, in, node)
	if err != nil {
		return err
	}
	if _, err := engine.Step(f.model, &engine.State{Variables: map[string]any{}}, f.inContext(start), f.unit.Now, nil); err != nil {
		return err
	}
	if err = f.start(ctx, start); refuses(err) {
		return fault.E(fault.Internal, "INTERNAL").Because(fmt.Errorf("start case %s: %w", f.row.Number, err))
	}
	return err
}

// refuses reports whether an error says no to what was asked, rather than that it could
// not be tried.
func refuses(err error) bool {
	kind := fault.KindOf(err)
	return err != nil && kind != fault.Internal && kind != fault.Unavailable
}

// taken are those of another case's variables that the process takes as input.
func (f *file) taken(vars map[string]any) map[string]any {
	out := map[string]any{}
	for _, v := range f.model.Variables {
		if value := model.Get(vars, v.Name); v.Input && value != nil {
			out[v.Name] = value
		}
	}
	return out
}

// startBySent starts a case by a message from outside. Who sends it must be allowed to
// start cases in the region.
func (r *Room) startBySent(ctx context.Context, u *command.Unit, in SendMessage) (MessageResult, error) {
	reg, err := u.Region.Query().Where(store.RegionRef(*in.RegionID)).Only(ctx)
	if err != nil {
		return MessageResult{}, notFound(err, "REGION_NOT_FOUND", *in.RegionID, "regionID")
	}
	for _, a := range []access.Action{access.SendMessage, access.StartCase} {
		if err := u.Require(a, reg.RegionPath); err != nil {
			return MessageResult{}, err
		}
	}
	f, start, err := r.startedBy(ctx, u, in.Name, deref(in.CorrelationKey), reg)
	if err != nil {
		return MessageResult{}, below(err, "input")
	}
	node, _ := f.model.Node(start.Node)
	vars, err := f.model.Payload(f.model.Nodes[node].Result, in.Payload)
	if err == nil {
		err = f.launch(ctx, StartCase{Variables: vars}, start.Node)
	}
	if err != nil {
		return MessageResult{}, below(err, "input", "payload")
	}
	u.Note("message", in.Name)
	return MessageResult{CaseID: f.row.ID, Started: true}, nil
}

// startedBy makes the case that a message starts in a region: of the process bound
// there or nearest above that begins with it. There is at most one running case for a
// message with a key; the row of the process is locked, so that this holds among nodes.
// Errors: MESSAGE_STARTS_NOTHING, MESSAGE_CASE_RUNS.
func (r *Room) startedBy(ctx context.Context, u *command.Unit, name, key string, reg *ent.Region) (*file, definition.Starter, error) {
	all, err := r.definitions.Starters(ctx, u, bpmn.MessageEvent, name, reg.RegionPath, false)
	if err != nil {
		return nil, definition.Starter{}, err
	}
	if len(all) == 0 {
		return nil, definition.Starter{}, fault.E(fault.Precondition, "MESSAGE_STARTS_NOTHING", fault.P("message", name), fault.P("region", reg.Code)).At("name")
	}
	start := all[0]
	f, err := r.newFile(ctx, u, StartCase{ProcessKey: start.Key, RegionID: reg.ID}, reg, start.Binding)
	if err != nil || key == "" {
		return f, start, err
	}
	startKey := name + "\n" + key
	if _, err := u.Process.Query().Where(process.ID(start.Binding.ProcessID)).Only(store.Locking(access.Elevated(ctx))); err != nil {
		return nil, start, fmt.Errorf("lock the process: %w", err)
	}
	runs, err := u.ServiceCase.Query().Where(servicecase.ProcessID(start.Binding.ProcessID), servicecase.StartKey(startKey)).First(access.Elevated(ctx))
	if err == nil {
		return nil, start, caseRuns(ctx, u, name, key, runs)
	}
	if !ent.IsNotFound(err) {
		return nil, start, fmt.Errorf("look for a case of the key: %w", err)
	}
	f.row.StartKey = &startKey
	return f, start, nil
}

// caseRuns refuses a message for whose key a case runs. Its number is told to who sees the
// case: a key alone does not say where it runs.
func caseRuns(ctx context.Context, u *command.Unit, name, key string, runs *ent.ServiceCase) error {
	number := fault.P("case", fault.Label{ZH: "（您无权查看）", EN: "(not visible to you)"})
	seen, err := u.ServiceCase.Query().Where(servicecase.ID(runs.ID)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("look whether a case is visible: %w", err)
	}
	if seen {
		number = fault.P("case", runs.Number)
	}
	return fault.E(fault.Conflict, "MESSAGE_CASE_RUNS", fault.P("message", name), fault.P("key", key), number).At("correlationKey")
}

// startByNote starts a case by a message that a case has thrown and none waits for, in
// the region of that case.
func (r *Room) startByNote(ctx context.Context, u *command.Unit, n note) error {
	reg, err := u.Region.Query().Where(region.RegionPath(n.path)).Only(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("read the region of a note: %w", err)
	}
	f, start, err := r.startedBy(ctx, u, n.Name, n.Key, reg)
	if code := fault.CodeOf(err); code == "MESSAGE_STARTS_NOTHING" || code == "MESSAGE_CASE_RUNS" {
		u.Note("undelivered", n.Name)
		return nil
	}
	if err == nil {
		err = f.launchBy(ctx, n, start.Node)
	}
	return startOrNote(u, start, n.Name, err)
}

// launchBy starts a case by a note, with those of the sender's variables that it takes.
// Cases that start one another come to an end (START_TOO_DEEP): with each in a
// transaction of its own nothing else would stop them.
func (f *file) launchBy(ctx context.Context, n note, node string) error {
	if f.starts = n.Starts + 1; f.starts > maxStarts {
		return fault.E(fault.Precondition, "START_TOO_DEEP", fault.P("name", n.Name), fault.P("max", maxStarts))
	}
	return f.launch(ctx, StartCase{Variables: f.taken(n.Variables)}, node)
}

// startOrNote notes in the audit trail what has been started, or why it was refused.
func startOrNote(u *command.Unit, start definition.Starter, name string, err error) error {
	if err != nil && !refuses(err) {
		return err
	}
	u.Note("starts", start.Key)
	u.Note("by", name)
	if err != nil {
		u.Note("refused", fault.CodeOf(err))
	}
	return nil
}

// spread leaves a note for each case that a signal starts.
func (r *Room) spread(ctx context.Context, u *command.Unit, n note) error {
	all, err := r.definitions.Starters(ctx, u, bpmn.SignalEvent, n.Name, n.path, true)
	if err != nil || len(all) == 0 {
		return err
	}
	reg, err := u.Region.Query().Where(region.RegionPath(n.path)).Only(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("read the region of a note: %w", err)
	}
	u.Note("starts", len(all))
	for _, s := range all {
		to := reg.ID
		if len(s.Binding.RegionPath) > len(n.path) {
			to = s.Binding.RegionID
		}
		if err := pass(ctx, u, startNote, note{CaseID: n.CaseID, To: to, Name: n.Name, Key: s.Key, Variables: n.Variables, Starts: n.Starts}); err != nil {
			return err
		}
	}
	return nil
}

// startBySignal starts a case of one process in one region by a signal, if that runs a
// version there which begins with it.
func (r *Room) startBySignal(ctx context.Context, u *command.Unit, n note) error {
	reg, err := r.region(ctx, u.Client, n.To)
	if err != nil {
		return err
	}
	all, err := r.definitions.Starters(ctx, u, bpmn.SignalEvent, n.Name, reg.RegionPath, false)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Key != n.Key {
			continue
		}
		f, err := r.newFile(ctx, u, StartCase{ProcessKey: s.Key, RegionID: reg.ID}, reg, s.Binding)
		if err != nil {
			return err
		}
		return startOrNote(u, s, n.Name, f.launchBy(ctx, n, s.Node))
	}
	u.Note("undelivered", n.Name)
	return nil
}

// startDue starts the cases of the timer start events that are due, a command for
// each, and returns how many were dealt with. One that fails holds up no other.
func (r *Room) startDue(ctx context.Context) (int, error) {
	done := 0
	var stuck []string
	var failures []error
	for {
		due, err := r.definitions.DueStarts(ctx, r.door.Clock.Now(), stuck, tickBatch)
		if err != nil {
			return done, errors.Join(append(failures, err)...)
		}
		for _, id := range due {
			if err := ctx.Err(); err != nil {
				return done, errors.Join(append(failures, err)...)
			}
			if err := r.startByTimer(ctx, id); err != nil {
				stuck = append(stuck, id)
				failures = append(failures, fmt.Errorf("fire start timer %s: %w", id, err))
				continue
			}
			done++
		}
		if len(due) < tickBatch || len(stuck) >= tickBatch {
			return done, errors.Join(failures...)
		}
	}
}

// startByTimer starts the case of one start timer and sets the next one, in one
// transaction and so once, whichever node does it and whenever it dies.
func (r *Room) startByTimer(ctx context.Context, id string) error {
	_, err := command.Run(ctx, r.door, command.Command{Operation: "startByTimer", Input: id}, func(ctx context.Context, u *command.Unit) (int, error) {
		t, b, ok, err := r.definitions.TakeStart(ctx, u, id)
		if err != nil || !ok {
			return 0, err
		}
		reg, err := r.region(ctx, u.Client, t.RegionID)
		if err != nil {
			return 0, err
		}
		f, err := r.newFile(ctx, u, StartCase{RegionID: reg.ID}, reg, b)
		if err != nil {
			return 0, err
		}
		err = f.launch(ctx, StartCase{}, t.NodeID)
		start := definition.Starter{Binding: b, Key: f.model.Key, Node: t.NodeID}
		if err := startOrNote(u, start, t.NodeID, err); err != nil {
			return 0, err
		}
		started := f.row.ID
		if err != nil {
			started = ""
		}
		return 1, r.definitions.FireStart(ctx, u, t, b, reg, started, fault.CodeOf(err))
	})
	return err
}
