package execution

import (
	"context"
	"fmt"
	"strings"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/binding"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema"
	"github.com/openspms/spms/schema/ids"
)

// StartCase starts a case with the version that its region runs. Input
// variables are checked against the process's declarations.
// Errors: REGION_NOT_FOUND, PROCESS_NOT_FOUND, PROCESS_NOT_BOUND,
// VARIABLE_REQUIRED, VARIABLE_TYPE, VARIABLE_UNDECLARED, ACTION_FORBIDDEN.
func (r *Room) StartCase(ctx context.Context, in StartCase) (CaseResult, error) {
	cmd := command.Command{Operation: "startCase", Key: deref(in.IdempotencyKey), Input: in, Ahead: true}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (CaseResult, error) {
		u.Relies(binding.Table)
		var reg *ent.Region
		var norms *standard.Current
		err := u.Together(ctx, func(ctx context.Context) (err error) {
			reg, err = u.Region.Query().Where(store.RegionRef(in.RegionID)).Only(ctx)
			return notFound(err, "REGION_NOT_FOUND", in.RegionID, "regionID")
		}, func(ctx context.Context) (err error) {
			norms, err = r.norms.Current(ctx, u.Tx)
			return err
		})
		if err != nil {
			return CaseResult{}, err
		}
		if err := u.Require(access.StartCase, reg.RegionPath); err != nil {
			return CaseResult{}, err
		}
		by, err := r.definitions.Bound(ctx, u, in.ProcessKey, reg)
		if err != nil {
			return CaseResult{}, err
		}
		f, err := r.newFile(ctx, u, in, reg, by)
		if err != nil {
			return CaseResult{}, err
		}
		f.norms = norms
		start, err := f.prepare(ctx, in, "", "input", "variables")
		if err != nil {
			return CaseResult{}, err
		}
		return CaseResult{f.row.ID}, f.start(ctx, start)
	})
}

// newFile makes the row of a case that starts, not written yet.
func (r *Room) newFile(ctx context.Context, u *command.Unit, in StartCase, reg *ent.Region, by *ent.Binding) (*file, error) {
	id := ids.New(ids.ServiceCase)
	row := &ent.ServiceCase{
		ID: id, RegionID: reg.ID, RegionPath: reg.RegionPath, CreatedAt: u.Now, ProcessID: by.ProcessID, VersionID: by.VersionID,
		Number: number(u, id, in.Number), State: servicecase.StateActive, Area: string(reg.Area), Channel: deref(in.Channel),
		Title: deref(in.Title), StartedBy: u.Viewer.StaffID, Variables: map[string]any{},
	}
	if !u.Viewer.IsSystem() {
		row.OwnerID = &u.Viewer.StaffID
	}
	f, err := r.attach(ctx, u.Client, u, row)
	if err != nil {
		return nil, err
	}
	f.fresh = true
	f.book.loaded = true
	f.state.Variables = map[string]any{}
	if row.Title == "" {
		row.Title = f.model.Name
	}
	return f, nil
}

// number is what people call a case by: the one given by the front end that took
// the order, else the day in UTC and eight characters of its id.
func number(u *command.Unit, id string, given *string) string {
	if given != nil {
		return *given
	}
	return u.Now.Format("20060102") + "-" + strings.ToUpper(id[len(id)-8:])
}

// inputVariables checks the start's variables and lets the case's own area and
// channel agree with the variables case.area and case.channel where the process
// declares them: what is given in one place holds in the other.
func (f *file) inputVariables(in StartCase) (map[string]any, error) {
	given := map[string]any{}
	for k, v := range in.Variables {
		given[k] = v
	}
	offer := func(name, value string) {
		if _, declared := f.model.Variable(name); declared && value != "" && value != "any" && !has(given, name) {
			given[name] = value
		}
	}
	area := deref(in.Area)
	if area == "" {
		area = f.row.Area
	}
	offer("case.area", area)
	offer("case.channel", f.row.Channel)
	vars, err := f.model.CheckVariables(given, f.isInput)
	if err == nil {
		err = f.model.CheckRequired(vars)
	}
	if err != nil {
		return nil, err
	}
	own, _ := vars["case"].(map[string]any)
	if a, ok := own["area"].(string); ok {
		area = a
	}
	if c, ok := own["channel"].(string); ok {
		f.row.Channel = c
	}
	f.row.Area = area
	return vars, nil
}

// isInput reports whether a variable may be given when a case starts.
func (f *file) isInput(name string) bool {
	v, ok := f.model.Variable(name)
	return ok && v.Input
}

// has reports whether variables hold a dotted name, flat or nested.
func has(vars map[string]any, name string) bool {
	if _, ok := vars[name]; ok {
		return true
	}
	first, rest, nested := strings.Cut(name, ".")
	inner, ok := vars[first].(map[string]any)
	return nested && ok && has(inner, rest)
}

// rooted writes the row of a case that starts, unless it is there, so that others
// can refer to it.
func (f *file) rooted(ctx context.Context) error {
	if !f.fresh || f.inserted {
		return nil
	}
	kept, err := f.counters()
	if err != nil {
		return err
	}
	f.inserted = true
	r := f.row
	if r.State != servicecase.StateActive {
		r.StartKey = nil // as when it ends later
	}
	f.was = *r
	err = f.unit.ServiceCase.Create().SetID(r.ID).SetRegionID(r.RegionID).SetRegionPath(r.RegionPath).SetCreatedAt(r.CreatedAt).
		SetNumber(r.Number).SetProcessID(r.ProcessID).SetVersionID(r.VersionID).SetTitle(r.Title).SetArea(r.Area).SetChannel(r.Channel).
		SetState(r.State).SetStage(r.Stage).SetOutcome(r.Outcome).SetFlags(append([]schema.Flag{}, r.Flags...)).SetVariables(f.state.Variables).
		SetEngine(kept).SetRevision(r.Revision).SetStartedBy(r.StartedBy).SetNillableOwnerID(r.OwnerID).SetNillableEndedAt(r.EndedAt).
		SetNillableCallerID(r.CallerID).SetCallerToken(r.CallerToken).
		SetNillableStartKey(r.StartKey).Exec(store.LaterAs(access.Elevated(ctx), f.uninserted))
	return f.uninserted(err)
}

// uninserted tells why the row of a case that starts could not be written.
func (f *file) uninserted(err error) error {
	switch {
	case store.IsConstraint(err):
		return fault.E(fault.Conflict, "CASE_NUMBER_TAKEN", fault.P("number", f.row.Number)).At("input", "number")
	case err != nil:
		return fmt.Errorf("create the case: %w", err)
	}
	return nil
}

// CancelCase ends a running case with a reason; open tasks go, clocks are cancelled.
func (r *Room) CancelCase(ctx context.Context, in CancelCase) (CaseResult, error) {
	cmd := command.Command{Operation: "cancelCase", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (CaseResult, error) { return r.cancel(ctx, u, in, nil) })
}

// cancel cancels a case inside a command, unless what is asked of it, once it is locked,
// says no; nil asks nothing.
func (r *Room) cancel(ctx context.Context, u *command.Unit, in CancelCase, ask func(ctx context.Context, f *file) error) (CaseResult, error) {
	f, err := r.open(ctx, u, in.CaseID, "caseID")
	if err != nil {
		return CaseResult{}, err
	}
	if err := u.Require(access.CancelCase, f.row.RegionPath); err != nil {
		return CaseResult{}, err
	}
	if err := f.active("caseID"); err != nil {
		return CaseResult{}, err
	}
	if ask != nil {
		if err := ask(ctx, f); err != nil {
			return CaseResult{}, err
		}
	}
	u.Note("reason", in.Reason)
	if err := f.step(ctx, engine.Event{Kind: engine.Cancel, Reason: in.Reason}); err != nil {
		return CaseResult{}, err
	}
	return CaseResult{f.row.ID}, f.save(ctx)
}
