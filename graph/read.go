package graph

import (
	"context"
	"strings"

	"entgo.io/contrib/entgql"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/process"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/tasksigner"
	"github.com/openspms/spms/graph/model"
	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema/ids"
)

// predicateSQL is a predicate on any table, as ent takes it.
type predicateSQL = func(*sql.Selector)

// nodeTable finds the table of an id by its prefix.
func nodeTable(_ context.Context, id string) (string, error) {
	t, ok := ids.Table(id)
	if !ok {
		return "", fault.E(fault.Invalid, "ID_UNREADABLE", fault.P("id", id))
	}
	return t, nil
}

// nodeError says a missing or invisible row in our words.
func nodeError(err error, id string) error {
	if ent.IsNotFound(err) {
		return fault.E(fault.NotFound, "NODE_NOT_FOUND", fault.P("id", id))
	}
	return err
}

// one turns a missing or invisible row into null.
func one[T any](row *T, err error) (*T, error) {
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return row, err
}

// value is *p, or the zero value for nil.
func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// pathOf returns the path of a region the viewer may see, "" for "".
func pathOf(ctx context.Context, client *ent.Client, regionID string) (string, error) {
	if regionID == "" {
		return "", nil
	}
	row, err := client.Region.Query().Where(store.RegionRef(regionID)).Only(ctx)
	if ent.IsNotFound(err) {
		return "", fault.E(fault.NotFound, "REGION_NOT_FOUND", fault.P("id", regionID))
	}
	if err != nil {
		return "", err
	}
	return row.RegionPath, nil
}

// under narrows a query to a region and all below it; nil leaves it as it is.
func under(ctx context.Context, client *ent.Client, regionID *string, where func(predicateSQL)) error {
	path, err := pathOf(ctx, client, value(regionID))
	if err != nil || path == "" {
		return err
	}
	where(store.Within([]string{path}))
	return nil
}

// worklistFilter are the arguments of the worklist.
type worklistFilter struct {
	where                      *ent.TaskWhereInput
	role, regionID, assigneeID *string
	mine                       *bool
	topic                      *string
	toSign                     *bool
	attributes                 []*execution.AttributeFilter
}

// worklistQuery selects open tasks by the arguments of the worklist. The context it
// returns is the one to read them in, in an order; none is that of their due instants.
func (r *Resolver) worklistQuery(ctx context.Context, f worklistFilter, order ...*ent.TaskOrder) (*ent.TaskQuery, context.Context, error) {
	with, few, err := r.Cases.WithAttributes(ctx, task.FieldCaseID, f.attributes)
	if err != nil {
		return nil, nil, err
	}
	q := r.Store.Client().Task.Query().Where(execution.Open, with)
	byDue := len(order) == 0 || onlyBy(order, ent.TaskOrderFieldDueOrder, entgql.OrderDirectionAsc)
	if f.role != nil {
		q.Where(ofRole(*f.role, byDue && !few))
	}
	if f.topic != nil {
		q.Where(task.Topic(*f.topic))
	}
	if f.assigneeID != nil {
		q.Where(task.AssigneeID(*f.assigneeID))
	}
	if value(f.toSign) {
		q.Where(task.HasSignersWith(asked(access.From(ctx))))
	}
	if value(f.mine) {
		q.Where(mine(access.From(ctx)))
	}
	if _, err := f.where.Filter(q); err != nil {
		return nil, nil, err
	}
	ordered, err := r.placed(ctx, q, value(f.regionID), few)
	if !byDue && !onlyBy(order, ent.TaskOrderFieldPriority, entgql.OrderDirectionDesc) {
		ordered = ctx // no index is in this order
	}
	return q, ordered, err
}

// onlyBy reports whether an order is by a field in a direction, and nothing else.
func onlyBy(order []*ent.TaskOrder, field *ent.TaskOrderField, direction entgql.OrderDirection) bool {
	return len(order) == 1 && order[0].Field.String() == field.String() && order[0].Direction == direction
}

// ofRole selects the tasks of a role. SQLite, which counts no rows before it chooses, finds
// them by it, if they may be found so, where the regions of very many are tested: those of
// one region, or of a few cases, are fewer.
func ofRole(role string, found bool) predicate.Task {
	return func(s *sql.Selector) {
		column := s.C(task.FieldRole)
		if s.Dialect() == dialect.SQLite && !(found && store.AreTested(s.Context())) {
			s.Where(sql.ExprP("+"+column+" = ?", role))
			return
		}
		s.Where(sql.EQ(column, role))
	}
}

// manyTasks is how many open tasks of some regions are sorted rather than found in
// their order among those of others.
const manyTasks = 2000

// placed narrows a worklist to a region and all below it, else to what the viewer
// sees. A region that has none below it, such as a city, is named by itself: its tasks
// stand in the index in their order. Other regions' are found by region when they are
// few and by order when they are many. Where the cases are few already, the region of
// each is tested.
func (r *Resolver) placed(ctx context.Context, q *ent.TaskQuery, regionID string, few bool) (context.Context, error) {
	paths := access.From(ctx).Regions(access.ReadCases)
	if regionID != "" {
		path, err := pathOf(ctx, r.Store.Client(), regionID)
		if err != nil {
			return nil, err
		}
		paths = []string{path}
	}
	if len(paths) == 1 && !few {
		below, err := r.Store.Client().Region.Query().Where(region.RegionPathHasPrefix(paths[0]), region.RegionPathNEQ(paths[0])).Exist(ctx)
		if err != nil {
			return nil, err
		}
		if !below {
			q.Where(task.RegionPath(paths[0]))
			return ctx, nil
		}
	}
	if regionID != "" {
		q.Where(store.Within(paths))
	}
	switch {
	case r.Store.Dialect() != dialect.SQLite:
		return ctx, nil // PostgreSQL counts for itself
	case few:
		return store.Tested(ctx), nil
	}
	many, err := r.Store.Client().Task.Query().Where(execution.Open, store.Within(paths)).Offset(manyTasks).Exist(ctx)
	if many {
		ctx = store.Tested(ctx)
	}
	return ctx, err
}

// mine selects what a viewer, or who he stands in for, has claimed, what he is asked
// to sign, or could claim by a role he holds there.
func mine(v *access.Viewer) predicate.Task {
	either := []predicate.Task{task.AssigneeIDIn(append([]string{v.StaffID}, v.Absent...)...), task.HasSignersWith(asked(v))}
	for _, g := range v.Grants {
		either = append(either, task.And(task.Role(string(g.Role)), task.StateEQ(task.StateCreated), store.Within([]string{g.RegionPath})))
	}
	return task.Or(either...)
}

// asked selects the signatures that a viewer is asked for.
func asked(v *access.Viewer) predicate.TaskSigner {
	return tasksigner.And(tasksigner.StaffIDIn(append([]string{v.StaffID}, v.Absent...)...), tasksigner.StateEQ(tasksigner.StateAsked))
}

// caseCounts adds the regions to the groups of one aggregate query.
func caseCounts(ctx context.Context, r *queryResolver, regionID, processKey string) ([]*model.CaseCount, error) {
	client := r.Store.Client()
	path, err := pathOf(ctx, client, regionID)
	if err != nil {
		return nil, err
	}
	processID := ""
	if processKey != "" {
		p, err := client.Process.Query().Where(process.Key(processKey)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil, fault.E(fault.NotFound, "PROCESS_NOT_FOUND", fault.P("id", processKey))
		}
		if err != nil {
			return nil, err
		}
		processID = p.ID
	}
	groups, err := r.Cases.Counts(ctx, path, processID)
	if err != nil {
		return nil, err
	}
	var wanted []string
	for _, g := range groups {
		wanted = append(wanted, g.RegionID)
	}
	rows, err := client.Region.Query().Where(region.IDIn(wanted...)).All(ctx)
	if err != nil {
		return nil, err
	}
	byID := map[string]*ent.Region{}
	for _, row := range rows {
		byID[row.ID] = row
	}
	out := make([]*model.CaseCount, 0, len(groups))
	for _, g := range groups {
		out = append(out, &model.CaseCount{Region: byID[g.RegionID], State: g.State, Stage: g.Stage, Count: g.Count})
	}
	return out, nil
}

// viewerOf says who is asking, and what they may do where.
func viewerOf(ctx context.Context, client *ent.Client) (*model.Viewer, error) {
	v := access.From(ctx)
	if v == nil {
		return nil, fault.E(fault.Unauthenticated, "VIEWER_UNKNOWN")
	}
	out := &model.Viewer{StaffID: v.StaffID, Code: v.Code, Name: v.Name, Grants: []*model.ViewerGrant{}}
	if !v.IsSystem() {
		row, err := one(client.Staff.Get(ctx, v.StaffID))
		if err != nil {
			return nil, err
		}
		out.Staff = row
	}
	for _, g := range v.Grants {
		d, _ := access.Lookup(g.Role)
		actions := make([]string, 0, len(d.May))
		for _, a := range d.May {
			actions = append(actions, string(a))
		}
		out.Grants = append(out.Grants, &model.ViewerGrant{
			Role: string(g.Role), RoleLabel: label(ctx, d.Zh, d.En), RegionPath: g.RegionPath, Actions: actions,
		})
	}
	return out, nil
}

// label is a text in both languages, and in the one asked for.
func label(ctx context.Context, zh, en string) *model.Label {
	text := zh
	if problem.LangOf(ctx) == fault.EN && en != "" || zh == "" {
		text = en
	}
	return &model.Label{Zh: zh, En: en, Text: text}
}

// dotted finds the value of a dotted name in nested variables, nil when unset.
func dotted(vars map[string]any, name string) any {
	first, rest, nested := strings.Cut(name, ".")
	v, ok := vars[first]
	if !ok || !nested {
		return v
	}
	inner, _ := v.(map[string]any)
	return dotted(inner, rest)
}

// optional is nil for "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
