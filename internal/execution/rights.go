package execution

import (
	"context"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/qualification"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
)

// What a person may do with a task, by its state:
//
//	claim      created: role and fit; a service task not while it is lent to a worker
//	assign     created or claimed: the right in the region; a service task as above
//	release    claimed: the assignee
//	begin      claimed: the assignee
//	complete   claimed or started: the assignee; a service task created: its role
//	delegate, transfer, return, add_signers   claimed or started: the assignee
//	reject     claimed or started: the assignee to whom it was dispatched
//	urge       open: the right in the region, or the first owner
//
// "fit" is every qualification of the task, valid at the instant. Who stands in for
// an absent assignee acts as he could, if he is fit himself.

// Qualified tells whether a person holds a qualification of a kind now.
type Qualified func(ctx context.Context, kind string) (bool, error)

// qualified looks a person's qualifications up inside a command.
func (f *file) qualified(staffID string) Qualified {
	if f.unit != nil {
		f.unit.Relies(qualification.Table)
	}
	return func(ctx context.Context, kind string) (bool, error) {
		return f.room.staffing.Qualified(ctx, f.unit.Client, staffID, kind, f.unit.Now)
	}
}

// fit refuses a person who does not hold the task's role in its region or lacks
// a qualification.
func (r *Room) fit(ctx context.Context, qualified Qualified, v *access.Viewer, t *ent.Task, f *file) error {
	if !v.Has(access.Role(t.Role), t.RegionPath) {
		return fault.E(fault.Forbidden, "TASK_ROLE_MISSING", fault.P("role", roleName(t.Role)), fault.P("task", taskName(t))).At("input", "taskID")
	}
	for _, kind := range t.RequiredQualifications {
		ok, err := qualified(ctx, kind)
		if err != nil {
			return fmt.Errorf("look up a qualification: %w", err)
		}
		if !ok {
			return fault.E(fault.Forbidden, "QUALIFICATION_MISSING", fault.P("qualification", kind), fault.P("task", taskName(t)), fault.P("person", v.Name)).At("input", "taskID")
		}
	}
	if f == nil {
		return nil
	}
	if node, ok := f.model.Node(t.NodeID); ok {
		return f.obey(node, "claim", nil, nil)
	}
	return nil
}

func roleName(role string) fault.Label {
	if d, ok := access.Lookup(access.Role(role)); ok {
		return fault.Label{ZH: d.Zh, EN: d.En}
	}
	return fault.Label{ZH: role}
}

func (r *Room) mayClaim(ctx context.Context, qualified Qualified, v *access.Viewer, t *ent.Task, f *file) error {
	if t.State != task.StateCreated {
		return taskState(t)
	}
	if leased(t, r.door.Clock.Now()) {
		return taskLent(t, "taskID")
	}
	return r.fit(ctx, qualified, v, t, f)
}

func (r *Room) mayRelease(v *access.Viewer, t *ent.Task) error {
	if t.State != task.StateClaimed {
		return taskState(t)
	}
	return yours(v, t)
}

func (r *Room) mayBegin(v *access.Viewer, t *ent.Task) error {
	if t.State != task.StateClaimed {
		return taskState(t)
	}
	return yours(v, t)
}

// mayComplete lets the assignee complete a task that he is still fit for; a
// service task may be completed by whoever holds its role, without a claim.
func (r *Room) mayComplete(ctx context.Context, qualified Qualified, v *access.Viewer, t *ent.Task) error {
	switch t.State {
	case task.StateCreated:
		if t.Kind != task.KindService {
			return taskState(t)
		}
	case task.StateClaimed, task.StateStarted:
		if err := yours(v, t); err != nil {
			return err
		}
	default:
		return taskState(t)
	}
	if v.IsSystem() {
		return nil
	}
	return r.fit(ctx, qualified, v, t, nil)
}

func yours(v *access.Viewer, t *ent.Task) error {
	if t.AssigneeID == nil || !v.Is(*t.AssigneeID) {
		return fault.E(fault.Forbidden, "TASK_NOT_YOURS", fault.P("task", taskName(t))).At("input", "taskID")
	}
	return nil
}

// Action is one thing a viewer can try with a task; Refused says why not, nil
// when it is allowed.
type Action struct {
	Name    string
	Zh, En  string
	Refused error
}

// Actions tells what the viewer of ctx can do with a task, each with the reason
// where it is refused; qualified is asked about the viewer.
func (r *Room) Actions(ctx context.Context, t *ent.Task, qualified Qualified) []Action {
	v := access.From(ctx)
	assign := func() error {
		switch {
		case !v.May(access.AssignTask, t.RegionPath):
			return fault.E(fault.Forbidden, "ACTION_FORBIDDEN", command.ActionLabel(access.AssignTask), r.regionLabel(ctx, t))
		case t.State != task.StateCreated && t.State != task.StateClaimed:
			return taskState(t)
		case leased(t, r.door.Clock.Now()):
			return taskLent(t, "taskID")
		}
		return nil
	}
	return []Action{
		{"claim", "签收", "Claim", r.mayClaim(ctx, qualified, v, t, nil)},
		{"begin", "开始", "Begin", r.mayBegin(v, t)},
		{"complete", "完成", "Complete", r.mayComplete(ctx, qualified, v, t)},
		{"release", "退回工单池", "Release", r.mayRelease(v, t)},
		{"assign", "派单", "Assign", assign()},
		{"delegate", "委派", "Delegate", mayHand(v, t)},
		{"transfer", "转办", "Transfer", mayHand(v, t)},
		{"return", "退回", "Return", mayHand(v, t)},
		{"reject", "退单", "Reject", mayReject(v, t)},
		{"add_signers", "加签", "Add signers", mayHand(v, t)},
	}
}

// regionLabel names a task's region.
func (r *Room) regionLabel(ctx context.Context, t *ent.Task) fault.Param {
	place, err := r.region(ctx, r.door.Store.Client(), t.RegionID)
	if err != nil {
		return fault.P("region", t.RegionPath)
	}
	return fault.P("region", fault.Label{ZH: place.NameZh, EN: place.NameEn})
}

// activation is what rules see: the case's variables with those just given,
// the region, the evidence, the person and the instant.
func (f *file) activation(vars map[string]any, given []expr.Evidence) expr.Activation {
	return expr.Activation{
		Variables: merged(f.state.Variables, vars), Now: f.unit.Now, Evidence: given,
		Region: expr.Region{Code: f.place.Code, Area: f.row.Area},
		Staff:  expr.Staff{ID: f.unit.Viewer.StaffID, Code: f.unit.Viewer.Code},
	}
}

// merged returns a with b's values over it, nested; neither is changed.
func merged(a, b map[string]any) map[string]any {
	out := make(map[string]any, len(a)+len(b))
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		inner, ok := v.(map[string]any)
		under, also := out[k].(map[string]any)
		if ok && also {
			out[k] = merged(under, inner)
			continue
		}
		out[k] = v
	}
	return out
}
