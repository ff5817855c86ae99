package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/stagevisit"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/timerrow"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema"
	"github.com/openspms/spms/schema/ids"
)

// maxContinues bounds how many times a step of more than 1,000 nodes is
// continued inside one command; beyond it the definition runs in a circle.
const maxContinues = 20

// step lets the engine apply one event and carries out its effects. The event
// joins the history of the case, from which its state can be computed again.
func (f *file) step(ctx context.Context, ev engine.Event) error {
	if f.still {
		return fault.E(fault.Internal, "INTERNAL").Because(errors.New("a step of a case that was opened to be claimed"))
	}
	ev = f.inContext(ev)
	for n := 0; ; n++ {
		if n == maxContinues {
			return fault.E(fault.Precondition, "PROCESS_RUNS_IN_CIRCLE", fault.P("case", f.row.Number))
		}
		var err error
		f.effects, err = engine.Step(f.model, &f.state, ev, f.unit.Now, f.effects[:0])
		if err != nil {
			return err
		}
		trail, more, err := f.carryOut(ctx)
		if err != nil {
			return err
		}
		if err := f.record(ev, trail); err != nil {
			return err
		}
		if !more {
			return nil
		}
		ev = f.inContext(engine.Event{Kind: engine.Continue})
	}
}

// inContext adds what the process's expressions may look at, so that the event
// holds all that the step depends on.
func (f *file) inContext(ev engine.Event) engine.Event {
	ev.Region, ev.Area = f.place.Code, f.row.Area
	ev.Staff, ev.StaffCode = f.unit.Viewer.StaffID, f.unit.Viewer.Code
	for _, e := range f.given {
		ev.Evidence = append(ev.Evidence, engine.Item{Kind: e.Kind, At: e.At})
	}
	return ev
}

// record appends an event to the history.
func (f *file) record(ev engine.Event, trail []string) error {
	body, err := json.Marshal(ev)
	if err != nil {
		return fmt.Errorf("keep the event: %w", err)
	}
	var input map[string]any
	if err := json.Unmarshal(body, &input); err != nil {
		return fmt.Errorf("keep the event: %w", err)
	}
	node := ev.Node
	if node == "" {
		node = firstOf(trail)
	}
	f.steps = append(f.steps, f.unit.CaseEvent.Create().SetCaseID(f.row.ID).SetRegionID(f.row.RegionID).SetRegionPath(f.row.RegionPath).
		SetSeq(f.row.Revision).SetKind(string(ev.Kind)).SetNodeID(node).SetInput(input).SetTrail(trail).SetAt(f.unit.Now).
		SetBy(f.unit.Viewer.StaffID).SetStateDigest(engine.Digest(f.model, &f.state)))
	f.row.Revision++
	return nil
}

func firstOf(trail []string) string {
	if len(trail) == 0 {
		return ""
	}
	return trail[0]
}

// carryOut turns the effects of a step into rows. It returns the nodes entered
// and whether the engine wants to continue.
func (f *file) carryOut(ctx context.Context) (trail []string, more bool, err error) {
	trail = []string{}
	for _, e := range f.effects {
		switch e.Kind {
		case engine.NodeEntered:
			n := f.model.Nodes[e.Node]
			trail = append(trail, n.ID)
			f.entered[e.Token] = true
			f.enterStage(n.Stage, e.Node)
		case engine.TaskCreated:
			err = f.createTask(ctx, e)
		case engine.TaskCancelled:
			if t, ok := f.desk.open[e.Token]; ok {
				f.desk.end(t, task.StateCancelled)
			}
		case engine.TimerSet:
			err = f.setTimer(ctx, e)
		case engine.TimerCancelled:
			err = f.endTimer(ctx, e.Timer, timerrow.StateCancelled)
		case engine.DomainEvent:
			err = f.book.happen(ctx, e.Name, f.unit.Now)
		case engine.PauseBegun:
			err = f.book.hold(ctx, f.model.Nodes[e.Node].ID, e.Name, e.Indicators, f.unit.Now)
		case engine.PauseEnded:
			err = f.book.release(ctx, f.model.Nodes[e.Node].ID, f.unit.Now)
		case engine.Failed:
			f.fail(e)
		case engine.NodeLeft:
			if f.model.Nodes[e.Node].Survey {
				err = f.keepSurvey(ctx)
			}
		case engine.Escalation:
			err = f.escalated(ctx, e)
		case engine.CaseCalled:
			err = f.leave(ctx, callNote, note{CaseID: f.row.ID, Token: e.Token, Name: e.Name, Variables: e.Variables})
		case engine.CallCancelled:
			err = f.leave(ctx, uncallNote, note{CaseID: f.row.ID, Token: e.Token})
		case engine.MessageThrown:
			err = f.leave(ctx, messageNote, note{CaseID: f.row.ID, Name: e.Name, Key: e.Key, Variables: e.Variables})
		case engine.SignalThrown:
			err = f.leave(ctx, signalNote, note{CaseID: f.row.ID, Name: e.Name, Variables: e.Variables})
		case engine.CaseEnded:
			err = f.end(ctx, servicecase.StateCompleted, e.Name)
		case engine.CaseCancelled:
			err = f.end(ctx, servicecase.StateCancelled, "cancelled")
		case engine.Continued:
			more = true
		}
		if err != nil {
			return trail, false, err
		}
	}
	return trail, more, nil
}

// escalated notes an escalation; one that a called case does not catch rises to its
// caller.
func (f *file) escalated(ctx context.Context, e engine.Effect) error {
	f.unit.Note("escalation", e.Name)
	if f.row.CallerID == nil || e.Code == engine.Caught {
		return nil
	}
	return f.leave(ctx, riseNote, note{CaseID: f.row.ID, Name: e.Name})
}

func (f *file) createTask(ctx context.Context, e engine.Effect) error {
	n := f.model.Nodes[e.Node]
	kind := task.KindHuman
	if !n.Human {
		kind = task.KindService
	}
	role := n.Role
	if role == "" && kind == task.KindService {
		role = string(access.Integration)
	}
	t := &ent.Task{
		ID: ids.New(ids.Task), CaseID: f.row.ID, VersionID: f.row.VersionID, RegionID: f.row.RegionID, RegionPath: f.row.RegionPath,
		TokenSeq: e.Token, NodeID: n.ID, NameZh: named(n.Name, n.ID), NameEn: n.NameEn, Kind: kind, Topic: n.Topic, Role: role,
		Stage: n.Stage, State: task.StateCreated, Priority: n.Priority, RequiredQualifications: append([]string{}, n.Qualifications...),
		DueOrder: schema.Far, LeaseUntil: schema.LongAgo, SigningMode: task.SigningModeAll, CreatedAt: f.unit.Now,
	}
	f.desk.add(t)
	if err := f.book.load(ctx); err != nil { // so that the task gets its due instant
		return err
	}
	f.escalateLate(t)
	return nil
}

func named(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

func (f *file) taskChanged(t *ent.Task) {
	f.unit.Changed(store.Change{Kind: "task", ID: t.ID, CaseID: t.CaseID, RegionPath: t.RegionPath})
}

// setTimer creates a timer's row, or sets an existing one again.
func (f *file) setTimer(ctx context.Context, e engine.Effect) error {
	ctx = store.Later(access.Elevated(ctx))
	order := schema.Far
	if e.Set {
		order = e.Due
	}
	if _, ok := f.timers[e.Timer]; ok {
		upd := f.unit.TimerRow.Update().Where(timerrow.CaseID(f.row.ID), timerrow.Seq(e.Timer)).SetDueOrder(order)
		if e.Set {
			upd.SetDueAt(e.Due)
		} else {
			upd.ClearDueAt()
		}
		return upd.Exec(ctx)
	}
	if err := f.rooted(ctx); err != nil {
		return err
	}
	c := f.unit.TimerRow.Create().SetCaseID(f.row.ID).SetRegionID(f.row.RegionID).SetRegionPath(f.row.RegionPath).
		SetTokenSeq(e.Token).SetSeq(e.Timer).SetNodeID(f.model.Nodes[e.Node].ID).SetDueOrder(order)
	if e.Set {
		c.SetDueAt(e.Due)
	}
	row, err := c.Save(ctx)
	if err != nil {
		return fmt.Errorf("set the timer of %s: %w", f.model.Nodes[e.Node].ID, err)
	}
	f.timers[e.Timer] = row
	return nil
}

func (f *file) endTimer(ctx context.Context, seq int, state timerrow.State) error {
	if _, ok := f.timers[seq]; !ok {
		return nil
	}
	delete(f.timers, seq)
	return f.unit.TimerRow.Update().Where(timerrow.CaseID(f.row.ID), timerrow.Seq(seq), timerrow.StateEQ(timerrow.StateWaiting)).
		SetState(state).SetDueOrder(schema.Far).Exec(store.Later(access.Elevated(ctx)))
}

// fail keeps a token's technical failure where people see it.
func (f *file) fail(e engine.Effect) {
	f.unit.Note("failure", e.Code)
	f.failed = append(f.failed, f.unit.Failure.Create().SetCaseID(f.row.ID).SetRegionID(f.row.RegionID).SetRegionPath(f.row.RegionPath).
		SetTokenSeq(e.Token).SetNodeID(f.model.Nodes[e.Node].ID).SetCode(e.Code).SetDetail(e.Detail).SetCreatedAt(f.unit.Now).
		SetAttempts(f.retrying.attempts).SetRetryAt(f.retrying.next(f.unit.Now)).SetRetrySeconds(f.retrying.seconds).SetRetriesLeft(f.retrying.left))
}

// end closes the case: open tasks and timers go, clocks that still run are cancelled.
func (f *file) end(ctx context.Context, state servicecase.State, outcome string) error {
	f.row.State, f.row.Outcome, f.row.EndedAt = state, outcome, f.at()
	f.enterStage("", model.None)
	if f.row.CallerID != nil && !f.unasked {
		if err := f.leave(ctx, answerNote, note{CaseID: f.row.ID}); err != nil {
			return err
		}
	}
	for _, t := range f.desk.open {
		f.desk.end(t, task.StateCancelled)
	}
	for seq := range f.timers {
		if err := f.endTimer(ctx, seq, timerrow.StateCancelled); err != nil {
			return err
		}
	}
	return f.book.cancel(ctx, f.unit.Now)
}

// stageMove is a change of the case's stage; to is "" when the case ends.
type stageMove struct{ to, reason string }

// enterStage notes a change of stage; entering the present one again is none.
// The stage is that of a node, "" and model.None when the case ends.
func (f *file) enterStage(stage string, node int) {
	last := f.row.Stage
	if n := len(f.stages); n > 0 {
		last = f.stages[n-1].to
	}
	if (stage == "" && f.row.State == servicecase.StateActive) || stage == last {
		return
	}
	move := stageMove{to: stage}
	if node != model.None && model.StageOrder(stage) < model.StageOrder(last) {
		move.reason = f.backReason(node)
	}
	f.stages = append(f.stages, move)
}

// backReason says why a case goes back a stage: the reason given with the
// command, else the name of the flow that leads back.
func (f *file) backReason(node int) string {
	if f.reason != "" {
		return f.reason
	}
	if r, ok := f.state.Variables["reason"].(string); ok && strings.TrimSpace(r) != "" {
		return r
	}
	if r := f.model.BackReason(node); r != "" {
		return r
	}
	return "rework"
}

// saveStages stamps the stages left and entered. A stage that is passed through
// within the step is stamped with no time, so that the stays stay gapless.
func (f *file) saveStages(ctx context.Context) error {
	if len(f.stages) == 0 {
		return nil
	}
	now := f.unit.Now
	seq := 0
	if !f.fresh {
		n, err := f.unit.StageVisit.Query().Where(stagevisit.CaseID(f.row.ID)).Count(ctx)
		if err != nil {
			return err
		}
		seq = n
		err = f.unit.StageVisit.Update().Where(stagevisit.CaseID(f.row.ID), stagevisit.LeftAtIsNil()).SetLeftAt(now).Exec(ctx)
		if err != nil {
			return err
		}
	}
	var rows []*ent.StageVisitCreate
	for i, m := range f.stages {
		if m.to == "" {
			continue
		}
		c := f.unit.StageVisit.Create().SetCaseID(f.row.ID).SetRegionID(f.row.RegionID).SetRegionPath(f.row.RegionPath).
			SetSeq(seq).SetStage(m.to).SetReason(m.reason).SetEnteredAt(now)
		if i < len(f.stages)-1 {
			c.SetLeftAt(now)
		}
		rows, seq = append(rows, c), seq+1
	}
	if len(rows) == 0 {
		return nil
	}
	return f.unit.StageVisit.CreateBulk(rows...).Exec(ctx)
}
