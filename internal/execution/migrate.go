package execution

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/store"
)

// maxMigrated bounds the cases that one MigrateCases takes; the rest is left for
// the next.
const maxMigrated = 500

// MigratedCase is what became of one case, or would become of it.
type MigratedCase struct {
	CaseID, Number string
	Err            error
}

// Migration is the answer of MigrateCases.
type Migration struct {
	FromVersionID, ToVersionID string
	Preview                    bool
	Items                      []MigratedCase
	Left                       int // running cases of the version that were not taken
}

// MigrateCases moves running cases of one version to another by a mapping that was
// proposed and has passed its check, in the regions where the viewer may, the
// oldest first and each by itself; with Preview nothing is written and each case is
// told what would become of it. Tokens, tasks with their people, timers and clocks
// go along. A call takes at most 500 cases, so that it can be ended between two.
// Errors: those of definition.Room.Mapping, MIGRATION_SAME_VERSION,
// MIGRATION_NOT_CHECKED with the findings as items, ACTION_FORBIDDEN; others per
// case, CASE_NOT_FOUND among them for one named that does not run in the version.
func (r *Room) MigrateCases(ctx context.Context, in MigrateCases) (Migration, error) {
	within := ""
	if in.RegionID != nil {
		reg, err := r.door.Store.Client().Region.Query().Where(store.RegionRef(*in.RegionID)).Only(ctx)
		if err != nil {
			return Migration{}, notFound(err, "REGION_NOT_FOUND", *in.RegionID, "regionID")
		}
		within = reg.RegionPath
	}
	m, err := r.checkedMapping(ctx, in.FromVersionID, in.ToVersionID, in.Pairs)
	if err != nil {
		return Migration{}, err
	}
	out := Migration{FromVersionID: m.FromVersionID, ToVersionID: m.ToVersionID, Preview: in.Preview}
	v := access.From(ctx)
	if !v.MayAnywhere(access.MigrateCases) {
		return out, fault.E(fault.Forbidden, "ACTION_FORBIDDEN", command.ActionLabel(access.MigrateCases), fault.P("region", "…"))
	}
	q := r.door.Store.Client().ServiceCase.Query().Where(servicecase.VersionID(m.FromVersionID), servicecase.StateEQ(servicecase.StateActive))
	if !v.IsSystem() {
		q.Where(store.Within(v.Regions(access.MigrateCases)))
	}
	if in.CaseIDs != nil {
		q.Where(servicecase.IDIn(in.CaseIDs...))
	}
	if within != "" {
		q.Where(store.Within([]string{within}))
	}
	all, err := q.Clone().Count(ctx)
	if err != nil {
		return out, fmt.Errorf("count the cases to migrate: %w", err)
	}
	rows, err := q.Order(servicecase.ByCreatedAt(), servicecase.ByID()).Limit(maxMigrated).All(ctx)
	if err != nil {
		return out, fmt.Errorf("list the cases to migrate: %w", err)
	}
	for i, d := range eachItem(ctx, len(rows), func(ctx context.Context, i int) (CaseResult, error) {
		return r.migrate(ctx, in, m, rows[i])
	}) {
		out.Items = append(out.Items, MigratedCase{rows[i].ID, rows[i].Number, d.Err})
	}
	out.Left = all - len(rows)
	for i, id := range in.CaseIDs {
		if !slices.ContainsFunc(rows, func(c *ent.ServiceCase) bool { return c.ID == id }) {
			at := fmt.Sprintf("caseIDs[%d]", i)
			out.Items = append(out.Items, MigratedCase{CaseID: id, Err: fault.E(fault.NotFound, "CASE_NOT_FOUND", fault.P("id", id)).At("input", at)})
		}
	}
	return out, nil
}

// checkedMapping is the mapping of two versions that the viewer sees, if cases can be
// moved by it.
func (r *Room) checkedMapping(ctx context.Context, from, to string, pairs []*definition.NodePair) (*definition.VersionMapping, error) {
	m, err := r.definitions.Mapping(ctx, from, to, pairs)
	if err != nil {
		return nil, below(err, "input")
	}
	if m.FromVersionID == m.ToVersionID {
		return nil, fault.E(fault.Precondition, "MIGRATION_SAME_VERSION").At("input", "toVersionID")
	}
	if errs := model.Errors(m.Findings); len(errs) > 0 {
		e := fault.E(fault.Precondition, "MIGRATION_NOT_CHECKED", fault.P("count", len(errs))).At("input", "pairs")
		for _, f := range errs {
			e = e.With(f.Fault().At(append([]string{"input", "pairs"}, f.Elements...)...))
		}
		return nil, e
	}
	return m, nil
}

// errPreview undoes what was only tried.
var errPreview = fmt.Errorf("preview")

// migrate moves one case.
func (r *Room) migrate(ctx context.Context, in MigrateCases, m *definition.VersionMapping, row *ent.ServiceCase) (CaseResult, error) {
	cmd := command.Command{Operation: "migrateCase", Input: map[string]any{"case": row.ID, "to": m.ToVersionID, "mapping": m.Mapping}}
	if in.IdempotencyKey != nil && !in.Preview {
		cmd.Key = *in.IdempotencyKey + "#" + row.ID
	}
	out, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (CaseResult, error) {
		_, err := r.migrateOpen(ctx, u, m, row.ID, in.Reason)
		if err == nil && in.Preview {
			err = errPreview
		}
		return CaseResult{row.ID}, err
	})
	if err == errPreview { //nolint:errorlint // it is our own and never wrapped
		err = nil
	}
	return out, err
}

// migrateOpen moves, inside a command, one running case and returns where its tokens
// have gone.
func (r *Room) migrateOpen(ctx context.Context, u *command.Unit, m *definition.VersionMapping, caseID, reason string) ([]definition.NodePair, error) {
	f, err := r.open(ctx, u, caseID, "caseIDs")
	if err != nil {
		return nil, err
	}
	if err := u.Require(access.MigrateCases, f.row.RegionPath); err != nil {
		return nil, err
	}
	if err := f.active("caseIDs"); err != nil {
		return nil, err
	}
	if f.row.VersionID != m.FromVersionID {
		return nil, fault.E(fault.Precondition, "MIGRATION_SAME_VERSION").At("input", "caseIDs")
	}
	u.Note("reason", reason)
	u.Note("to", m.ToVersionID)
	moved, err := f.migrate(ctx, m)
	if err != nil {
		return nil, err
	}
	return moved, f.save(ctx)
}

// migrate lets the engine move the case, carries out what follows and returns where
// the tokens have gone.
func (f *file) migrate(ctx context.Context, m *definition.VersionMapping) (moved []definition.NodePair, err error) {
	c, err := f.room.definitions.Compiled(ctx, f.db, m.ToVersionID)
	if err != nil {
		return nil, err
	}
	if err := f.book.load(ctx); err != nil {
		return nil, err
	}
	from := f.model
	ev := f.inContext(engine.Event{Kind: engine.Migrated, Name: m.ToVersionID, Node: f.row.VersionID, Mapping: m.Mapping})
	f.effects, err = engine.Migrate(from, c.Model, &f.state, m.Mapping, ev, f.unit.Now, f.effects[:0])
	if err != nil {
		return nil, err
	}
	f.model, f.row.VersionID = c.Model, m.ToVersionID
	for _, e := range f.effects {
		if e.Kind != engine.TokenMigrated {
			continue
		}
		moved = append(moved, definition.NodePair{From: e.Name, To: f.model.Nodes[e.Node].ID})
		f.relabel(e)
		if err := f.repause(ctx, from, e); err != nil {
			return nil, err
		}
	}
	trail, more, err := f.carryOut(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.record(ev, trail); err != nil {
		return nil, err
	}
	if more {
		return moved, f.step(ctx, engine.Event{Kind: engine.Continue})
	}
	return moved, nil
}

// relabel gives the open task of a token what the new version says of it; who has
// it keeps it.
func (f *file) relabel(e engine.Effect) {
	t, ok := f.desk.open[e.Token]
	if !ok {
		return
	}
	n := f.model.Nodes[e.Node]
	t.VersionID, t.NodeID, t.NameZh, t.NameEn = f.row.VersionID, n.ID, named(n.Name, n.ID), n.NameEn
	t.Topic, t.Stage, t.RequiredQualifications = n.Topic, n.Stage, append([]string{}, n.Qualifications...)
	if n.Role != "" {
		t.Role = n.Role
	}
	f.desk.change(t)
	f.taskChanged(t)
}

// repause lets the clocks pause for what the new version pauses them for at a
// token's node.
func (f *file) repause(ctx context.Context, from *model.Model, e engine.Effect) error {
	old, ok := from.Node(e.Name)
	if !ok {
		return lostNode(e.Name)
	}
	was, is := from.Nodes[old].Pauses, f.model.Nodes[e.Node].Pauses
	if e.Name == f.model.Nodes[e.Node].ID && reflect.DeepEqual(was, is) {
		return nil
	}
	if len(was) > 0 {
		if err := f.book.release(ctx, e.Name, f.unit.Now); err != nil {
			return err
		}
	}
	for _, p := range is {
		if err := f.book.hold(ctx, f.model.Nodes[e.Node].ID, p.Reason, p.Indicators, f.unit.Now); err != nil {
			return err
		}
	}
	return nil
}
