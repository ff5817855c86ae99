package execution

import (
	"context"
	"fmt"
	"slices"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/caseevent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// WithdrawTask takes back a task that the viewer has completed (撤回), as long as
// nobody has begun what followed: the tasks that followed go, and the viewer has
// his again. What the completion brought about outside the case's own tokens - a
// clock stopped, a message sent, a case called, a branch joined - cannot be taken
// back: then it is refused. Errors: TASK_NOT_YOURS, TASK_STATE, WITHDRAW_TOO_LATE
// with what stands against it.
func (r *Room) WithdrawTask(ctx context.Context, in ReasonedTask) (TaskResult, error) {
	cmd := command.Command{Operation: "withdrawTask", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (TaskResult, error) {
		ref := in.ref()
		seen, err := ref.find(ctx, u)
		if err != nil {
			return TaskResult{}, err
		}
		u.On(seen.ID, seen.RegionPath)
		f, err := r.open(ctx, u, seen.CaseID, "taskID")
		if err != nil {
			return TaskResult{}, err
		}
		u.On(seen.ID, seen.RegionPath)
		t, err := u.Task.Get(ctx, seen.ID)
		if err != nil {
			return TaskResult{}, fmt.Errorf("read the task: %w", err)
		}
		if t.State != task.StateCompleted || t.Kind != task.KindHuman {
			return TaskResult{}, taskState(t)
		}
		if t.CompletedBy == nil || !u.Viewer.Is(*t.CompletedBy) {
			return TaskResult{}, fault.E(fault.Forbidden, "TASK_NOT_YOURS", fault.P("task", taskName(t))).At("input", "taskID")
		}
		if err := f.active("taskID"); err != nil {
			return TaskResult{}, err
		}
		cancels, err := f.undoable(ctx, t)
		if err != nil {
			return TaskResult{}, err
		}
		f.act(t, "withdraw", "", "", in.Reason)
		f.reason = in.Reason
		ev := engine.Event{Kind: engine.TokenMoved, Token: t.TokenSeq, Node: t.NodeID, Tokens: cancels, Reason: in.Reason}
		if err := f.step(ctx, ev); err != nil {
			return TaskResult{}, err
		}
		out := TaskResult{TaskID: t.ID, CaseID: f.row.ID, Next: []string{}}
		if again, ok := f.desk.open[t.TokenSeq]; ok {
			f.take(again, u.Viewer.StaffID)
			out.TaskID, out.Next = again.ID, []string{again.ID}
		}
		return out, f.save(ctx)
	})
}

func tooLate(t *ent.Task, zh, en string) error {
	return fault.E(fault.Precondition, "WITHDRAW_TOO_LATE", fault.P("task", taskName(t)), fault.P("why", fault.Label{ZH: zh, EN: en})).At("input", "taskID")
}

// undoable returns the tokens that the completion of a task has made and that end
// when it is taken back; it replays the history up to the completion and compares.
func (f *file) undoable(ctx context.Context, t *ent.Task) ([]int, error) {
	stopped, err := f.unit.Clock.Query().Where(clock.CaseID(f.row.ID), clock.StoppedAt(*t.CompletedAt)).Exist(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("look at the clocks: %w", err)
	}
	if stopped {
		return nil, tooLate(t, "完成时已停止计时", "it stopped a clock")
	}
	before, after, trail, err := f.around(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, id := range trail {
		if i, ok := f.model.Node(id); ok && speaks(&f.model.Nodes[i]) {
			return nil, tooLate(t, "已向外发出消息或发起子流程", "a message went out or a case was called")
		}
	}
	earlier, later, now := f.forms(before), f.forms(after), f.forms(&f.state)
	for seq := range earlier {
		if seq != t.TokenSeq && later[seq] != earlier[seq] {
			return nil, tooLate(t, "已与其他分支汇合", "other branches have come together with it")
		}
	}
	if _, there := later[t.TokenSeq]; !there {
		return nil, tooLate(t, "已与其他分支汇合", "other branches have come together with it")
	}
	var cancels []int
	for _, made := range after.Tokens {
		if earlier[made.Seq] == later[made.Seq] {
			continue
		}
		if now[made.Seq] != later[made.Seq] {
			return nil, tooLate(t, "后续环节已开始办理", "what followed has begun")
		}
		if made.Seq != t.TokenSeq && made.Scope == tokenOf(after, t.TokenSeq).Scope && made.Status != engine.Listening {
			cancels = append(cancels, made.Seq)
		}
	}
	return cancels, nil
}

// around returns the state before and after the step that completed a task, and
// the nodes that it entered.
func (f *file) around(ctx context.Context, t *ent.Task) (before, after *engine.State, trail []string, err error) {
	events, err := f.unit.CaseEvent.Query().Where(caseevent.CaseID(f.row.ID)).Order(ent.Asc(caseevent.FieldSeq)).All(access.Elevated(ctx))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read the history: %w", err)
	}
	last := -1
	for i, e := range events {
		token, _ := e.Input["token"].(float64)
		if e.Kind == string(engine.TaskCompleted) && int(token) == t.TokenSeq && e.NodeID == t.NodeID && e.At.Equal(*t.CompletedAt) {
			last = i
		}
	}
	if last < 0 {
		return nil, nil, nil, tooLate(t, "流程此后已迁移到其他版本", "the case has moved to another version since")
	}
	before, m, err := f.room.fold(ctx, f.unit.Client, f.row, events[:last])
	if err != nil {
		return nil, nil, nil, err
	}
	if m != f.model {
		return nil, nil, nil, tooLate(t, "流程此后已迁移到其他版本", "the case has moved to another version since")
	}
	trail = events[last].Trail
	end := last + 1
	for ; end < len(events) && events[end].Kind == string(engine.Continue); end++ {
		trail = append(trail, events[end].Trail...)
	}
	after, m, err = f.room.fold(ctx, f.unit.Client, f.row, events[:end])
	if err == nil && m != f.model {
		err = tooLate(t, "流程此后已迁移到其他版本", "the case has moved to another version since")
	}
	return before, after, trail, err
}

// fold applies the history of a case from its beginning; it returns the state and
// the model of the version that the case had come to. Cost: linear in the events.
func (r *Room) fold(ctx context.Context, client *ent.Client, row *ent.ServiceCase, events []*ent.CaseEvent) (*engine.State, *model.Model, error) {
	h, err := r.beginning(ctx, client, row, events)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range events {
		if err := h.apply(ctx, e); err != nil {
			return nil, nil, err
		}
	}
	return &h.state, h.model, nil
}

// forms is what each token of a state looks like, by sequence number.
func (f *file) forms(s *engine.State) map[int]string {
	out := make(map[int]string, len(s.Tokens))
	for _, t := range s.Tokens {
		body, err := tokenForm(t)
		if err != nil {
			body = []byte(err.Error())
		}
		out[t.Seq] = f.model.Nodes[t.Node].ID + string(body)
	}
	return out
}

func tokenOf(s *engine.State, seq int) engine.Token {
	i := slices.IndexFunc(s.Tokens, func(t engine.Token) bool { return t.Seq == seq })
	return s.Tokens[i]
}

// speaks reports whether passing a node tells something outside the case.
func speaks(n *model.Node) bool {
	throws := n.Type == bpmn.IntermediateThrowEvent || n.Type == bpmn.EndEvent
	return n.Type == bpmn.SendTask || n.Type == bpmn.CallActivity ||
		throws && (n.Kind == bpmn.MessageEvent || n.Kind == bpmn.SignalEvent || n.Kind == bpmn.EscalationEvent)
}
