package graph

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/tasksigner"
	"github.com/openspms/spms/graph/model"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/schema"
)

// tally is a worklist counted at an instant, for all who see the same of it: what
// is each one's own is taken out of it without asking the database again.
type tally struct {
	groups  []group
	signers map[string][]string // task id → who is asked to sign it
	at      time.Time
	cursor  string
}

// group is the open tasks of a role that one person has claimed, or nobody.
type group struct {
	Role     string  `json:"role"`
	Assignee *string `json:"assignee_id"`
	Total    int     `json:"total"`
	Overdue  int     `json:"overdue"`
	Soon     int     `json:"soon"`
	NextOver *int64  `json:"next_over"` // the first due instant of what is due soon, microseconds since 1970
	NextSoon *int64  `json:"next_soon"` // that of what is due later
}

// counted are the arguments of worklistCounts.
type counted struct {
	worklistFilter
	soonMinutes int
}

// maxSoonMinutes is a year.
const maxSoonMinutes = 525_600

// check refuses what cannot be counted.
func (c counted) check(ctx context.Context, r *Resolver) error {
	if c.soonMinutes < 0 || c.soonMinutes > maxSoonMinutes {
		return fault.E(fault.Invalid, "SOON_MINUTES_INVALID", fault.P("got", c.soonMinutes), fault.P("max", maxSoonMinutes)).At("soonMinutes")
	}
	_, _, err := r.worklistQuery(ctx, c.worklistFilter)
	return err
}

// countNow answers the query.
func (r *Resolver) countNow(ctx context.Context, c counted) (*model.WorklistCounts, error) {
	if err := c.check(ctx, r); err != nil {
		return nil, err
	}
	t, err := r.count(ctx, c)
	if err != nil {
		return nil, err
	}
	return t.of(ctx), nil
}

// count counts in one statement over the open tasks, and one more for signatures.
func (r *Resolver) count(ctx context.Context, c counted) (*tally, error) {
	out := &tally{at: r.TimeSource.Now()}
	var err error
	if out.cursor, err = r.Store.Now(ctx); err != nil { // before counting
		return nil, err
	}
	q, _, err := r.worklistQuery(ctx, c.worklistFilter)
	if err != nil {
		return nil, err
	}
	soon := out.at.Add(time.Duration(c.soonMinutes) * time.Minute)
	if err := q.Clone().Modify(grouped(out.at, soon)).Scan(ctx, &out.groups); err != nil {
		return nil, fmt.Errorf("count a worklist: %w", err)
	}
	out.signers, err = r.signatures(ctx, q)
	return out, err
}

// grouped counts by role and assignee.
func grouped(now, soon time.Time) func(*sql.Selector) {
	return func(s *sql.Selector) {
		role, assignee, due := s.C(task.FieldRole), s.C(task.FieldAssigneeID), s.C(task.FieldDueOrder)
		of := func(open string, from, to time.Time, then, shut string) sql.Querier {
			return sql.ExprFunc(func(b *sql.Builder) {
				b.WriteString(open + "(case when " + due + " > ").Arg(from).WriteString(" and " + due + " <= ").Arg(to).WriteString(" then " + then + " end)" + shut)
			})
		}
		first, micros := "min", ""
		if s.Dialect() == dialect.Postgres {
			first, micros = "(extract(epoch from min", ") * 1000000)::bigint"
		}
		s.Select(role, assignee).
			AppendSelectExprAs(sql.Raw("count(*)"), "total").
			AppendSelectExprAs(of("count", time.Time{}, now, "1", ""), "overdue").
			AppendSelectExprAs(of("count", now, soon, "1", ""), "soon").
			AppendSelectExprAs(of(first, now, soon, due, micros), "next_over").
			AppendSelectExprAs(of(first, soon, beforeFar, due, micros), "next_soon").
			GroupBy(role, assignee)
	}
}

// beforeFar is the last instant that does not stand for never.
var beforeFar = schema.Far.Add(-time.Microsecond)

// signatures are the people asked to sign the tasks of a list, by task.
func (r *Resolver) signatures(ctx context.Context, q *ent.TaskQuery) (map[string][]string, error) {
	asked, err := r.Store.Client().TaskSigner.Query().Where(tasksigner.StateEQ(tasksigner.StateAsked)).
		Select(tasksigner.FieldTaskID, tasksigner.FieldStaffID).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read who is asked to sign: %w", err)
	}
	all, out := map[string][]string{}, map[string][]string{}
	for _, s := range asked {
		all[s.TaskID] = append(all[s.TaskID], s.StaffID)
	}
	for piece := range slices.Chunk(slices.Sorted(maps.Keys(all)), readTogether) {
		listed, err := q.Clone().Where(task.IDIn(piece...)).IDs(ctx)
		if err != nil {
			return nil, fmt.Errorf("read which tasks are to be signed: %w", err)
		}
		for _, id := range listed {
			out[id] = all[id]
		}
	}
	return out, nil
}

// next is the instant at which time changes a count, if any.
func (t *tally) next(soonMinutes int) (time.Time, bool) {
	var first int64
	for _, g := range t.groups {
		if g.NextOver != nil && (first == 0 || *g.NextOver < first) {
			first = *g.NextOver
		}
		if g.NextSoon == nil {
			continue
		}
		if at := *g.NextSoon - int64(soonMinutes)*time.Minute.Microseconds(); first == 0 || at < first {
			first = at
		}
	}
	return time.UnixMicro(first), first != 0
}

// of is the tally as one person sees it.
func (t *tally) of(ctx context.Context) *model.WorklistCounts {
	v := access.From(ctx)
	out := &model.WorklistCounts{Roles: []*model.RoleTaskCount{}, At: t.at, Cursor: t.cursor}
	roles := map[string]*model.RoleTaskCount{}
	for _, g := range t.groups {
		role := roles[g.Role]
		if role == nil {
			d, _ := access.Lookup(access.Role(g.Role))
			role = &model.RoleTaskCount{Role: g.Role, Label: label(ctx, d.Zh, d.En)}
			roles[g.Role], out.Roles = role, append(out.Roles, role)
		}
		out.Total, out.Overdue, out.DueSoon = out.Total+g.Total, out.Overdue+g.Overdue, out.DueSoon+g.Soon
		role.Total, role.Overdue, role.DueSoon = role.Total+g.Total, role.Overdue+g.Overdue, role.DueSoon+g.Soon
		switch {
		case g.Assignee == nil:
			out.Unclaimed, role.Unclaimed = out.Unclaimed+g.Total, role.Unclaimed+g.Total
		case v.Is(*g.Assignee):
			out.Mine += g.Total
		}
	}
	for _, people := range t.signers {
		if slices.ContainsFunc(people, v.Is) {
			out.ToSign++
		}
	}
	slices.SortFunc(out.Roles, func(a, b *model.RoleTaskCount) int { return strings.Compare(a.Role, b.Role) })
	return out
}

// same reports whether two counts say the same.
func same(a, b *model.WorklistCounts) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.At, x.Cursor, y.At, y.Cursor = time.Time{}, "", time.Time{}, ""
	return reflect.DeepEqual(x, y)
}
