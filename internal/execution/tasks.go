package execution

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/surveyresponse"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/store"
)

// ClaimTask takes a task of a role that the viewer holds in its region, with
// every qualification it needs valid now.
func (r *Room) ClaimTask(ctx context.Context, in TaskRef) (TaskResult, error) {
	return r.onTask(ctx, "claimTask", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		if err := r.mayClaim(ctx, f.qualified(f.unit.Viewer.StaffID), f.unit.Viewer, t, f); err != nil {
			return err
		}
		if err := f.fromWorkers(ctx, t); err != nil {
			return err
		}
		f.take(t, f.unit.Viewer.StaffID)
		return nil
	})
}

// take gives a task to a person.
func (f *file) take(t *ent.Task, staffID string) {
	t.State, t.AssigneeID, t.ClaimedAt = task.StateClaimed, &staffID, f.at()
	f.desk.change(t)
}

// ReleaseTask gives a claimed task that is not begun back to the worklist.
func (r *Room) ReleaseTask(ctx context.Context, in TaskRef) (TaskResult, error) {
	return r.onTask(ctx, "releaseTask", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(_ context.Context, f *file, t *ent.Task) error {
		if err := r.mayRelease(f.unit.Viewer, t); err != nil {
			return err
		}
		if t.DelegatedBy != nil { // back to whose work it is
			f.giveBack(t)
			return nil
		}
		t.State, t.AssigneeID, t.ClaimedAt, t.AssignedBy = task.StateCreated, nil, nil, nil
		f.desk.change(t)
		return nil
	})
}

// giveBack returns a delegated task to the person whose work it is.
func (f *file) giveBack(t *ent.Task) {
	owner := *t.DelegatedBy
	t.DelegatedBy, t.AssignedBy = nil, nil
	f.take(t, owner)
}

// BeginTask begins work on a task the viewer has claimed; domain events bound
// to its beginning happen, such as technician.on_site.
func (r *Room) BeginTask(ctx context.Context, in TaskRef) (TaskResult, error) {
	return r.onTask(ctx, "beginTask", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		if err := r.mayBegin(f.unit.Viewer, t); err != nil {
			return err
		}
		return f.begin(ctx, t)
	})
}

func (f *file) begin(ctx context.Context, t *ent.Task) error {
	t.State, t.StartedAt = task.StateStarted, f.at()
	f.desk.change(t)
	return f.step(ctx, engine.Event{Kind: engine.TaskBegun, Token: t.TokenSeq, Node: t.NodeID})
}

// AssignTask gives a task to a person of its role (派单); it may be claimed by
// another already, but not begun. Who is away is stood in for by his deputy.
func (r *Room) AssignTask(ctx context.Context, in AssignTask) (TaskResult, error) {
	return r.onTask(ctx, "assignTask", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		if err := f.unit.Require(access.AssignTask, t.RegionPath); err != nil {
			return err
		}
		if t.State != task.StateCreated && t.State != task.StateClaimed {
			return taskState(t)
		}
		if _, err := f.unit.Staff.Get(ctx, in.StaffID); err != nil {
			return notFound(err, "STAFF_NOT_FOUND", in.StaffID, "staffID")
		}
		id, err := r.staffing.Deputy(ctx, f.unit.Client, in.StaffID, f.unit.Now)
		if err != nil {
			return err
		}
		who, err := r.staffing.ViewerByID(ctx, id, f.unit.Now)
		if err != nil {
			return below(err, "input", "staffID")
		}
		if err := r.fit(ctx, f.qualified(id), who, t, f); err != nil {
			return below(err, "input", "staffID")
		}
		if id != in.StaffID {
			f.unit.Note("instead of", in.StaffID)
		}
		if err := f.fromWorkers(ctx, t); err != nil {
			return err
		}
		t.DelegatedBy = nil
		f.hand(t, &ent.Staff{ID: id})
		f.act(t, "assign", id, who.Name, deref(in.Reason))
		return nil
	})
}

// CompleteTask completes a task with the values of its form and its evidence.
// Errors: TASK_STATE, TASK_NOT_YOURS, TASK_LEASE_LOST, EVIDENCE_MISSING (one for each kind),
// VARIABLE_… with the path of the value, RULE_BLOCKED with the rule and clause.
func (r *Room) CompleteTask(ctx context.Context, in CompleteTask) (TaskResult, error) {
	return r.onTask(ctx, "completeTask", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		node, ok := f.model.Node(t.NodeID)
		if !ok {
			return lostNode(t.NodeID)
		}
		if err := r.mayComplete(ctx, f.qualified(f.unit.Viewer.StaffID), f.unit.Viewer, t); err != nil {
			return err
		}
		if err := f.held(t, in.Worker); err != nil {
			return err
		}
		vars, err := f.formValues(node, in.Variables)
		if err != nil {
			return below(err, "input", "variables")
		}
		kinds, err := f.attachEvidence(ctx, node, t, in.Evidence)
		if err != nil {
			return err
		}
		if t.State != task.StateStarted && f.model.Nodes[node].Human {
			if err := f.begin(ctx, t); err != nil {
				return err
			}
		}
		if err := f.obey(node, "complete", vars, kinds); err != nil {
			return err
		}
		if err := f.lawful(ctx, t.NodeID, vars, kinds); err != nil {
			return err
		}
		f.given = kinds
		if err := f.notify(ctx, t.ID, in.Notices); err != nil {
			return err
		}
		return f.finish(ctx, t, vars)
	})
}

// finish ends the assignee's part of a task: delegated work goes back to whose it
// is, one that others sign waits for them, any other is complete.
func (f *file) finish(ctx context.Context, t *ent.Task, vars map[string]any) error {
	if t.DelegatedBy != nil {
		f.act(t, "delegate_done", *t.DelegatedBy, "", "")
		f.giveBack(t)
		return f.step(ctx, engine.Event{Kind: engine.VariablesSet, Token: t.TokenSeq, Node: t.NodeID, Variables: vars})
	}
	all := f.signed
	if err := ready(t, all); err != nil {
		return err
	}
	if len(all) > 0 {
		if waits, err := f.submit(ctx, t, vars, all); err != nil || waits {
			return err
		}
	}
	return f.complete(ctx, t, vars)
}

func (f *file) complete(ctx context.Context, t *ent.Task, vars map[string]any) error {
	if t.ClaimedAt == nil {
		t.ClaimedAt = f.at()
	}
	t.CompletedBy = &f.unit.Viewer.StaffID
	f.desk.end(t, task.StateCompleted)
	return f.step(ctx, engine.Event{Kind: engine.TaskCompleted, Token: t.TokenSeq, Node: t.NodeID, Variables: vars})
}

// onTask runs a change of one task: the task is visible to the viewer and open,
// its case is locked and active. Afterwards the case is saved.
func (r *Room) onTask(ctx context.Context, operation string, ref taskRef, key *string, input any,
	change func(ctx context.Context, f *file, t *ent.Task) error,
) (TaskResult, error) {
	cmd := command.Command{Operation: operation, Key: deref(key), Input: input, Ahead: operation == "completeTask" || operation == "claimTask"}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (TaskResult, error) {
		f, seen, err := r.openTask(ctx, u, ref, depthOf(operation))
		if err != nil {
			return TaskResult{}, err
		}
		u.On(seen.ID, seen.RegionPath)
		if err := f.active("taskID"); err != nil {
			return TaskResult{}, err
		}
		t, ok := f.desk.open[seen.TokenSeq]
		if !ok || t.ID != seen.ID {
			if seen, err = ref.find(ctx, u); err != nil { // by another command meanwhile
				return TaskResult{}, err
			}
			return TaskResult{}, taskState(seen)
		}
		if err := change(ctx, f, t); err != nil {
			return TaskResult{}, err
		}
		f.taskChanged(t)
		return TaskResult{TaskID: t.ID, CaseID: f.row.ID, Next: f.nextTasks()}, f.save(ctx)
	})
}

// depthOf says how much a command on a task reads of its case.
func depthOf(operation string) depth {
	switch operation {
	case "completeTask":
		return toComplete
	case "claimTask", "releaseTask", "assignTask", "delegateTask", "transferTask", "rejectTask", "urgeTask", "planTask":
		return toClaim
	}
	return toStep
}

// taskRef names a task: by its id, or by the number of its case and its node.
type taskRef struct{ id, caseNumber, nodeID *string }

// find returns the task under the viewer's limits; by case and node it is the
// latest one.
func (t taskRef) find(ctx context.Context, u *command.Unit) (*ent.Task, error) {
	if t.id != nil {
		row, err := u.Task.Get(ctx, *t.id)
		if err != nil {
			return nil, notFound(err, "TASK_NOT_FOUND", *t.id, "taskID")
		}
		return row, nil
	}
	if t.caseNumber == nil || t.nodeID == nil {
		return nil, fault.E(fault.Invalid, "TASK_UNNAMED").At("input", "taskID")
	}
	row, err := u.Task.Query().Where(task.NodeID(*t.nodeID), task.HasCaseWith(servicecase.Number(*t.caseNumber))).
		Order(ent.Desc(task.FieldID)).First(ctx)
	if err != nil {
		return nil, notFound(err, "TASK_NOT_FOUND", *t.caseNumber+" "+*t.nodeID, "nodeID")
	}
	return row, nil
}

func taskState(t *ent.Task) error {
	return fault.E(fault.Precondition, "TASK_STATE", fault.P("task", taskName(t)), fault.P("state", StateLabel(t.State))).At("input", "taskID")
}

func taskName(t *ent.Task) fault.Label { return fault.Label{ZH: t.NameZh, EN: t.NameEn} }

// TaskStates are the states of a task in the order of its life.
var TaskStates = []task.State{task.StateCreated, task.StateClaimed, task.StateStarted, task.StateSigning, task.StateCompleted, task.StateCancelled}

// StateLabel is a task's state as people read it.
func StateLabel(s task.State) fault.Label {
	switch s {
	case task.StateCreated:
		return fault.Label{ZH: "待签收", EN: "Waiting"}
	case task.StateClaimed:
		return fault.Label{ZH: "已签收", EN: "Claimed"}
	case task.StateStarted:
		return fault.Label{ZH: "处理中", EN: "In progress"}
	case task.StateSigning:
		return fault.Label{ZH: "待签核", EN: "Waiting for signatures"}
	case task.StateCompleted:
		return fault.Label{ZH: "已完成", EN: "Completed"}
	case task.StateCancelled:
		return fault.Label{ZH: "已取消", EN: "Cancelled"}
	}
	return fault.Label{ZH: string(s)}
}

// nextTasks are the tasks made by this command that the viewer could take.
func (f *file) nextTasks() []string {
	out := []string{}
	for _, t := range f.desk.fresh {
		if f.desk.open[t.TokenSeq] != t {
			continue
		}
		if f.unit.Viewer.IsSystem() || f.unit.Viewer.Has(access.Role(t.Role), t.RegionPath) {
			out = append(out, t.ID)
		}
	}
	return out
}

// formValues checks the values given for a task's form: only its fields, of
// their declared types, none read-only, and every required one set now or before.
func (f *file) formValues(node int, given map[string]any) (map[string]any, error) {
	fields := f.model.Nodes[node].Fields
	allowed := func(name string) bool {
		return slices.ContainsFunc(fields, func(x model.Field) bool { return x.Variable == name && !x.ReadOnly })
	}
	vars, err := f.model.CheckVariables(given, allowed)
	if err != nil {
		return nil, err
	}
	var missing []*fault.Error
	for _, x := range fields {
		if x.Required && !has(vars, x.Variable) && !has(f.state.Variables, x.Variable) {
			missing = append(missing, fault.E(fault.Invalid, "FIELD_VALUE_REQUIRED", fault.P("variable", x.Variable), fault.P("label", named(x.LabelZh, x.Variable))).At(x.Variable))
		}
	}
	if len(missing) == 1 {
		return nil, missing[0]
	}
	if len(missing) > 1 {
		return nil, fault.E(fault.Invalid, "FIELD_VALUES_REQUIRED", fault.P("count", len(missing))).With(missing...)
	}
	return vars, nil
}

// attachEvidence stores the evidence given and refuses when a required kind is
// given neither now nor before; it returns the evidence of the whole task.
func (f *file) attachEvidence(ctx context.Context, node int, t *ent.Task, given []*EvidenceItem) ([]expr.Evidence, error) {
	var all []expr.Evidence
	onTask := map[string]bool{}
	for _, e := range f.evidence {
		all = append(all, expr.Evidence{Kind: e.Kind, At: e.CreatedAt})
		onTask[e.Kind] = onTask[e.Kind] || (e.TaskID != nil && *e.TaskID == t.ID)
	}
	for _, g := range given {
		all = append(all, expr.Evidence{Kind: g.Kind, At: f.unit.Now})
		onTask[g.Kind] = true
	}
	if err := missingEvidence(f.model.Nodes[node], onTask); err != nil {
		return nil, err
	}
	for _, g := range given {
		media := "text"
		if g.Media != nil {
			media = *g.Media
		}
		sum := sha256.Sum256([]byte(g.Content))
		err := f.unit.Evidence.Create().SetCaseID(f.row.ID).SetTaskID(t.ID).SetRegionID(f.row.RegionID).SetRegionPath(f.row.RegionPath).
			SetKind(g.Kind).SetMedia(media).SetContent(g.Content).SetDigest(hex.EncodeToString(sum[:])).
			SetBy(f.unit.Viewer.StaffID).SetCreatedAt(f.unit.Now).Exec(store.Later(ctx))
		if err != nil {
			return nil, fmt.Errorf("keep evidence: %w", err)
		}
	}
	return all, nil
}

func missingEvidence(n model.Node, given map[string]bool) error {
	var missing []*fault.Error
	for _, e := range n.Evidence {
		if e.Required && !given[e.Kind] {
			missing = append(missing, fault.E(fault.Precondition, "EVIDENCE_MISSING", fault.P("kind", e.Kind), fault.P("task", named(n.Name, n.ID))).At("input", "evidence"))
		}
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return missing[0]
	}
	return fault.E(fault.Precondition, "EVIDENCE_MISSING", fault.P("kind", "…"), fault.P("task", named(n.Name, n.ID))).At("input", "evidence").With(missing...)
}

// obey refuses when a blocking rule of the node does not hold, and notes a
// flagging one in the audit row.
func (f *file) obey(node int, on string, vars map[string]any, given []expr.Evidence) error {
	for _, rule := range f.model.Rules(node, on) {
		holds, err := rule.Program.Bool(f.activation(vars, given))
		if err == nil && holds {
			continue
		}
		if rule.Result == "flag" && err == nil {
			f.unit.Note("flagged:"+rule.ID, rule.TextZh)
			continue
		}
		var clause any // a rule without one shows a dash
		if rule.Clause != "" {
			clause = rule.Clause
		}
		e := fault.E(fault.Precondition, "RULE_BLOCKED", fault.P("rule", rule.ID),
			fault.P("text", fault.Label{ZH: rule.TextZh, EN: rule.TextEn}), fault.P("clause", clause)).At("input", "taskID")
		if err != nil {
			e = e.Because(err)
		}
		return e
	}
	return nil
}

// keepSurvey stores the answer that a survey node has brought: the variables
// survey.score (0 to 10) and survey.comment. A case has one answer.
func (f *file) keepSurvey(ctx context.Context) error {
	score, ok := whole(model.Get(f.state.Variables, "survey.score"))
	if !ok || score < 0 || score > 10 {
		return nil
	}
	ctx = access.Elevated(ctx)
	known, err := f.unit.SurveyResponse.Query().Where(surveyresponse.CaseID(f.row.ID)).Exist(ctx)
	if err != nil || known {
		return err
	}
	if err := f.rooted(ctx); err != nil {
		return err
	}
	comment, _ := model.Get(f.state.Variables, "survey.comment").(string)
	err = f.unit.SurveyResponse.Create().SetCaseID(f.row.ID).SetRegionID(f.row.RegionID).SetRegionPath(f.row.RegionPath).
		SetScore(score).SetComment(comment).SetCreatedAt(f.unit.Now).Exec(ctx)
	if err != nil {
		return fmt.Errorf("keep the survey answer: %w", err)
	}
	return nil
}

// whole reads a whole number as it comes from JSON or from a checked value.
func whole(v any) (int, bool) {
	switch n := v.(type) {
	case int:
		return n, true
	case int64:
		return int(n), true
	case float64:
		return int(n), n == float64(int(n))
	}
	return 0, false
}
