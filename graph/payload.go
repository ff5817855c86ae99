package graph

import (
	"context"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/standardversion"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/graph/model"
	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/fault"
	compiled "github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/standard"
)

// casePayload shows the case that a mutation has changed.
func (r *Resolver) casePayload(out execution.CaseResult, refused []*model.UserError, err error) func(context.Context) (*model.CasePayload, error) {
	return func(ctx context.Context) (*model.CasePayload, error) {
		if err != nil {
			return nil, err
		}
		p := &model.CasePayload{UserErrors: refused}
		if answered(ctx)("serviceCase") {
			p.ServiceCase, err = shown(ctx, out.CaseID, r.Store.Client().ServiceCase.Get)
		}
		return p, err
	}
}

// taskPayload shows the task that a mutation has changed, its case, and the
// person's next tasks.
func (r *Resolver) taskPayload(out execution.TaskResult, refused []*model.UserError, err error) func(context.Context) (*model.TaskPayload, error) {
	return func(ctx context.Context) (*model.TaskPayload, error) {
		if err != nil {
			return nil, err
		}
		return r.taskDone(ctx, out, refused, answered(ctx))
	}
}

// taskDone reads what an answer shows of a task that was changed.
func (r *Resolver) taskDone(ctx context.Context, out execution.TaskResult, refused []*model.UserError, asks func(field string) bool) (p *model.TaskPayload, err error) {
	p = &model.TaskPayload{UserErrors: refused, NextTasks: []*ent.Task{}}
	client := r.Store.Client()
	if asks("task") {
		if p.Task, err = shown(ctx, out.TaskID, client.Task.Get); err != nil {
			return nil, err
		}
	}
	if asks("serviceCase") {
		if p.ServiceCase, err = shown(ctx, out.CaseID, client.ServiceCase.Get); err != nil {
			return nil, err
		}
	}
	if asks("nextTasks") && len(out.Next) > 0 {
		p.NextTasks, err = client.Task.Query().Where(task.IDIn(out.Next...)).Order(task.ByDueOrder(), task.ByID()).All(ctx)
	}
	return p, err
}

// completedTasks shows what became of each item of a batch.
func (r *Resolver) completedTasks(items []execution.ItemResult[execution.TaskResult], refused []*model.UserError, err error) func(context.Context) (*model.CompleteTasksPayload, error) {
	return func(ctx context.Context) (*model.CompleteTasksPayload, error) {
		if err != nil {
			return nil, err
		}
		out, asks := &model.CompleteTasksPayload{Results: []*model.TaskPayload{}, UserErrors: refused}, answered(ctx, "results")
		for _, item := range items {
			p, err := r.taskDone(ctx, item.Result, itemErrors(ctx, item.Err), asks)
			if err != nil {
				return nil, err
			}
			if item.Err == nil {
				out.Completed++
			}
			out.Results, out.UserErrors = append(out.Results, p), append(out.UserErrors, p.UserErrors...)
		}
		return out, nil
	}
}

// itemErrors says why one item of a batch was refused or has failed; the others
// stand.
func itemErrors(ctx context.Context, err error) []*model.UserError {
	said, fatal := problem.Payload(ctx, err)
	if fatal != nil {
		said = []problem.UserError{{Code: fault.CodeOf(fatal), Message: fault.Text(problem.LangOf(ctx), fault.From(fatal))}}
	}
	return userErrors(said)
}

// failurePayload shows the failure that a mutation has ended, and its case.
func (r *Resolver) failurePayload(out execution.FailureResult, refused []*model.UserError, err error) func(context.Context) (*model.FailurePayload, error) {
	return func(ctx context.Context) (*model.FailurePayload, error) {
		if err != nil {
			return nil, err
		}
		row, err := shown(ctx, out.FailureID, r.Store.Client().Failure.Get)
		if err != nil {
			return nil, err
		}
		sc, err := shown(ctx, out.CaseID, r.Store.Client().ServiceCase.Get)
		return &model.FailurePayload{Failure: row, ServiceCase: sc, UserErrors: refused}, err
	}
}

// noticePayload shows the notice that a mutation has changed.
func (r *Resolver) noticePayload(id string, refused []*model.UserError, err error) func(context.Context) (*model.NoticePayload, error) {
	return func(ctx context.Context) (*model.NoticePayload, error) {
		if err != nil {
			return nil, err
		}
		row, err := shown(ctx, id, r.Store.Client().Notice.Get)
		return &model.NoticePayload{Notice: row, UserErrors: refused}, err
	}
}

// batchPayload shows the batch that a mutation has started or stopped.
func (r *Resolver) batchPayload(id string, refused []*model.UserError, err error) func(context.Context) (*model.BatchPayload, error) {
	return func(ctx context.Context) (*model.BatchPayload, error) {
		if err != nil {
			return nil, err
		}
		row, err := shown(ctx, id, r.Store.Client().Batch.Get)
		return &model.BatchPayload{Batch: row, UserErrors: refused}, err
	}
}

// resolvedFailures shows what became of each failure of a batch.
func resolvedFailures(out execution.Resolved, refused []*model.UserError, err error) func(context.Context) (*model.ResolveFailuresPayload, error) {
	return func(ctx context.Context) (*model.ResolveFailuresPayload, error) {
		p := &model.ResolveFailuresPayload{Results: []*model.FailureResult{}, Left: out.Left, UserErrors: refused}
		for _, item := range out.Items {
			if item.Err == nil {
				p.Resolved++
			}
			p.Results = append(p.Results, &model.FailureResult{FailureID: item.FailureID, CaseID: item.CaseID, UserErrors: itemErrors(ctx, item.Err)})
		}
		return p, err
	}
}

// migratedCases shows what became of each case, or would.
func migratedCases(out execution.Migration, refused []*model.UserError, err error) func(context.Context) (*model.MigrateCasesPayload, error) {
	return func(ctx context.Context) (*model.MigrateCasesPayload, error) {
		p := &model.MigrateCasesPayload{Results: []*model.CaseResult{}, Preview: out.Preview, Left: out.Left, UserErrors: refused}
		for _, item := range out.Items {
			if item.Err == nil {
				p.Migrated++
			}
			p.Results = append(p.Results, &model.CaseResult{CaseID: item.CaseID, Number: item.Number, UserErrors: itemErrors(ctx, item.Err)})
		}
		return p, err
	}
}

// candidates shows the people whom a task can go to.
func candidates(people []*ent.Staff) []*model.TaskCandidate {
	out := make([]*model.TaskCandidate, 0, len(people))
	for _, p := range people {
		out = append(out, &model.TaskCandidate{StaffID: p.ID, Code: p.Code, Name: p.Name})
	}
	return out
}

// returnTargets shows the tasks that a case can be sent back to.
func returnTargets(ctx context.Context, tasks []*ent.Task) []*model.ReturnTarget {
	out := make([]*model.ReturnTarget, 0, len(tasks))
	for _, t := range tasks {
		out = append(out, &model.ReturnTarget{NodeID: t.NodeID, Name: label(ctx, t.NameZh, t.NameEn), CompletedAt: value(t.CompletedAt)})
	}
	return out
}

// versionPayload shows the process version that a mutation has changed.
func (r *Resolver) versionPayload(out definition.Result, refused []*model.UserError, err error) func(context.Context) (*model.ProcessVersionPayload, error) {
	return func(ctx context.Context) (*model.ProcessVersionPayload, error) {
		if err != nil {
			return nil, err
		}
		row, err := shown(ctx, out.VersionID, r.Store.Client().ProcessVersion.Get)
		return &model.ProcessVersionPayload{ProcessVersion: row, Findings: findings(ctx, out.Findings), UserErrors: refused}, err
	}
}

// standardPayload shows the standard version that a mutation has changed.
func (r *Resolver) standardPayload(out standard.Result, refused []*model.UserError, err error) func(context.Context) (*model.StandardVersionPayload, error) {
	return func(ctx context.Context) (*model.StandardVersionPayload, error) {
		if err != nil {
			return nil, err
		}
		row, err := shown(ctx, out.VersionID, r.Store.Client().StandardVersion.Get)
		return &model.StandardVersionPayload{StandardVersion: row, UserErrors: refused}, err
	}
}

// importPayload shows the standard and the drafts that an import has made.
func (r *Resolver) importPayload(out standard.Result, refused []*model.UserError, err error) func(context.Context) (*model.ImportStandardPayload, error) {
	return func(ctx context.Context) (*model.ImportStandardPayload, error) {
		if err != nil {
			return nil, err
		}
		p := &model.ImportStandardPayload{StandardVersions: []*ent.StandardVersion{}, UserErrors: refused}
		if p.Standard, err = shown(ctx, out.StandardID, r.Store.Client().Standard.Get); err != nil || len(out.VersionIDs) == 0 {
			return p, err
		}
		p.StandardVersions, err = r.Store.Client().StandardVersion.Query().Where(standardversion.IDIn(out.VersionIDs...)).
			Order(standardversion.ByNumber()).All(ctx)
		return p, err
	}
}

// strictness shows how an enterprise standard compares with what is above it.
func strictness(list []standard.IndicatorStrictness) []*model.IndicatorStrictness {
	out := make([]*model.IndicatorStrictness, 0, len(list))
	for _, i := range list {
		m := &model.IndicatorStrictness{
			Indicator: i.Indicator, Verdict: i.Verdict, FirstStricter: i.FirstStricter, FirstLooser: i.FirstLooser,
			Scopes: []*model.StrictnessScope{},
		}
		for _, sc := range i.Scopes {
			scope := &model.StrictnessScope{Services: sc.Services, Areas: sc.Areas, Against: sc.Against, Verdict: sc.Verdict, Spans: []*model.StrictnessSpan{}}
			for _, sp := range sc.Spans {
				scope.Spans = append(scope.Spans, &model.StrictnessSpan{From: sp.From, To: sp.To, Relation: sp.Relation})
			}
			m.Scopes = append(m.Scopes, scope)
		}
		out = append(out, m)
	}
	return out
}

// standardDiff shows what changed between two versions of a standard.
func standardDiff(ctx context.Context, d *standard.Comparison) *model.StandardDiff {
	if d == nil {
		return nil
	}
	out := &model.StandardDiff{
		FromVersionID: d.FromVersionID, ToVersionID: d.ToVersionID, Changes: []*model.StandardChange{},
		Markdown: d.Markdown(string(problem.LangOf(ctx))),
	}
	for _, c := range d.Changes {
		out.Changes = append(out.Changes, &model.StandardChange{
			Part: string(c.Part), Key: c.Key, Name: label(ctx, c.Name.ZH, c.Name.EN), Action: string(c.Action),
			Field: c.Field, Before: c.Before, After: c.After, Number: c.Number,
		})
	}
	return out
}

// processDiff shows what differs between two versions of a process.
func processDiff(ctx context.Context, d *definition.Comparison) *model.ProcessDiff {
	if d == nil {
		return nil
	}
	out := &model.ProcessDiff{
		FromVersionID: d.FromVersionID, ToVersionID: d.ToVersionID, Changes: []*bpmn.Change{},
		Markdown: d.Markdown(string(problem.LangOf(ctx))),
	}
	for i := range d.Changes {
		out.Changes = append(out.Changes, &d.Changes[i])
	}
	return out
}

// versionMapping says where cases go on.
func versionMapping(ctx context.Context, m *definition.VersionMapping) *model.VersionMapping {
	if m == nil {
		return nil
	}
	lang := problem.LangOf(ctx)
	out := &model.VersionMapping{
		FromVersionID: m.FromVersionID, ToVersionID: m.ToVersionID, Ok: len(compiled.Errors(m.Findings)) == 0,
		Nodes: []*model.MappedNode{}, Findings: findings(ctx, m.Findings),
	}
	for _, n := range m.Nodes {
		row := &model.MappedNode{From: n.From.ID, FromName: nameOf(lang, n.From), Proposed: n.ByProposal, Required: n.MustBeMapped}
		if n.To != nil {
			name := nameOf(lang, n.To)
			row.To, row.ToName = &n.To.ID, &name
		}
		out.Nodes = append(out.Nodes, row)
	}
	return out
}

// nameOf is the name of a node in a language.
func nameOf(lang fault.Lang, n *bpmn.Node) string {
	if lang == fault.EN && n.Extension.NameEn != "" {
		return n.Extension.NameEn
	}
	return n.Name
}

// parameters says what a template asks for.
func parameters(ctx context.Context, params []bpmn.Parameter) []*model.ProcessParameter {
	out := make([]*model.ProcessParameter, 0, len(params))
	for _, p := range params {
		out = append(out, &model.ProcessParameter{
			Name: p.Name, Type: string(p.Type), Label: label(ctx, p.LabelZh, p.LabelEn), Default: p.Default,
			Minimum: p.Minimum, Maximum: p.Maximum, Enum: append([]string{}, p.Enum...),
		})
	}
	return out
}

// findings says what a check found in the language of ctx.
func findings(ctx context.Context, found []compiled.Finding) []*model.Finding {
	lang := problem.LangOf(ctx)
	out := make([]*model.Finding, 0, len(found))
	for _, f := range found {
		out = append(out, &model.Finding{
			Code: f.Code, Severity: string(f.Severity), Elements: append([]string{}, f.Elements...),
			Clause: f.Clause, Message: fault.Text(lang, f.Fault()),
		})
	}
	return out
}

// formOf shows the form of a task with the present values of its fields.
func formOf(ctx context.Context, cases *execution.Room, t *ent.Task) (*model.TaskForm, error) {
	h, err := harvestOf(ctx)
	if err != nil {
		return nil, err
	}
	variables, _, err := h.ofTask(ctx, t)
	if err != nil {
		return nil, err
	}
	f, err := cases.Form(ctx, t)
	if err != nil {
		return nil, err
	}
	out := &model.TaskForm{Schema: f.Schema, Order: f.Order, Fields: []*model.FormField{}}
	for _, x := range f.Fields {
		out.Fields = append(out.Fields, &model.FormField{
			Variable: x.Variable, Label: label(ctx, x.LabelZh, x.LabelEn), Type: string(x.Type),
			Required: x.Required, ReadOnly: x.ReadOnly, Value: dotted(variables, x.Variable),
		})
	}
	return out, nil
}

// evidenceOf lists the evidence that a task needs, and what is given already.
func evidenceOf(ctx context.Context, cases *execution.Room, t *ent.Task) ([]*model.EvidenceRequirement, error) {
	h, err := harvestOf(ctx)
	if err != nil {
		return nil, err
	}
	_, given, err := h.ofTask(ctx, t)
	if err != nil {
		return nil, err
	}
	needed, err := cases.EvidenceNeeded(ctx, t, given)
	if err != nil {
		return nil, err
	}
	out := make([]*model.EvidenceRequirement, 0, len(needed))
	for _, n := range needed {
		out = append(out, &model.EvidenceRequirement{Kind: n.Kind, Media: n.Media, Required: n.Required, Given: n.Given})
	}
	return out, nil
}

// actionsOf lists what the viewer can try with a task.
func actionsOf(ctx context.Context, cases *execution.Room, t *ent.Task) ([]*model.AvailableAction, error) {
	lang := problem.LangOf(ctx)
	h, err := harvestOf(ctx)
	if err != nil {
		return nil, err
	}
	var out []*model.AvailableAction
	for _, a := range cases.Actions(ctx, t, h.holds) {
		shown := &model.AvailableAction{Action: a.Name, Label: label(ctx, a.Zh, a.En), Allowed: a.Refused == nil}
		if a.Refused != nil {
			e := fault.From(a.Refused)
			if e.Kind == fault.Internal {
				return nil, a.Refused
			}
			shown.Refused = &model.UserError{Code: e.Code, Message: fault.Text(lang, e), Path: append([]string{}, e.Path...)}
		}
		out = append(out, shown)
	}
	return out, nil
}
