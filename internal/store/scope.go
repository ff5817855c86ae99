package store

import (
	"context"
	"strings"

	gen "entgo.io/ent"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/intercept"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/schema/ids"
)

// limit adds to a query the predicate by which v sees its rows.
type limit func(q intercept.Query, v *access.Viewer)

// limits says for every entity who sees which rows; an entity that is not named
// here is seen by the server alone. Three kinds: what is published downwards
// (own regions and below, and what the regions above have published), what
// belongs to a region (own regions and below), and what belongs to a person.
var limits = map[string]limit{
	ent.TypeRegion:          regions,
	ent.TypeCalendar:        published(access.ReadNorms, always),
	ent.TypeStandard:        published(access.ReadNorms, withReleased("standard_versions", "standard_id")),
	ent.TypeStandardVersion: published(access.ReadNorms, released),
	ent.TypeClause:          published(access.ReadNorms, ofReleased),
	ent.TypeIndicator:       published(access.ReadNorms, ofReleased),

	ent.TypeProcess:        published(access.ReadProcesses, withReleased("process_versions", "process_id")),
	ent.TypeProcessVersion: published(access.ReadProcesses, released),
	ent.TypeBinding:        published(access.ReadProcesses, always),

	ent.TypeOrgUnit:        regional(access.ReadStaff),
	ent.TypePool:           regional(access.ReadStaff),
	ent.TypeStaff:          personal(access.ReadStaff, "id"),
	ent.TypeRoleAssignment: personal(access.ReadStaff, "staff_id"),
	ent.TypeQualification:  personal(access.ReadStaff, "staff_id"),
	ent.TypeAbsence:        personal(access.ReadStaff, "staff_id"),
	ent.TypeAPIToken:       personal(access.ReadTokens, "staff_id"),

	ent.TypeServiceCase:    regional(access.ReadCases),
	ent.TypeStageVisit:     regional(access.ReadCases),
	ent.TypeToken:          regional(access.ReadCases),
	ent.TypeTask:           regional(access.ReadCases),
	ent.TypeClock:          regional(access.ReadCases),
	ent.TypePause:          regional(access.ReadCases),
	ent.TypeBreach:         regional(access.ReadCases),
	ent.TypeTimerRow:       regional(access.ReadCases),
	ent.TypeCaseEvent:      regional(access.ReadCases),
	ent.TypeFailure:        regional(access.ReadCases),
	ent.TypeEvidence:       regional(access.ReadCases),
	ent.TypeNotice:         regional(access.ReadCases),
	ent.TypeSurveyResponse: regional(access.ReadCases),
	ent.TypeTaskSigner:     regional(access.ReadCases),
	ent.TypeTaskAction:     regional(access.ReadCases),
	ent.TypeBatch:          regional(access.ReadCases),
	ent.TypeBatchItem:      regional(access.ReadCases),
	ent.TypeAuditEntry:     regional(access.ReadAudit),

	ent.TypePlugin:           published(access.ReadPlugins, withApproved),
	ent.TypePluginVersion:    published(access.ReadPlugins, approved),
	ent.TypePluginAssignment: published(access.ReadPlugins, always),
	ent.TypePluginRun:        regional(access.ReadPlugins),
	ent.TypeOptimizationRun:  regional(access.ReadPlugins),
	ent.TypeProposal:         regional(access.ReadPlugins),
}

// scopeReads limits every query of c to the viewer of its context: nothing is
// seen without a viewer, and nothing of an entity that has no limit above.
func scopeReads(c *ent.Client) {
	c.Intercept(intercept.TraverseFunc(func(ctx context.Context, q intercept.Query) error {
		if access.IsElevated(ctx) {
			return nil
		}
		v := access.From(ctx)
		l, ok := limits[q.Type()]
		if v == nil || !ok {
			return fault.E(fault.Unauthenticated, "VIEWER_UNKNOWN")
		}
		l(q, v)
		return nil
	}))
}

// Within is the predicate for rows whose region path lies under one of
// prefixes. It is written so that the index on region_path serves it in either
// database, whatever PostgreSQL's collation.
func Within(prefixes []string) func(*entsql.Selector) {
	return func(s *entsql.Selector) { s.Where(Inside(s, prefixes)) }
}

// Inside is Within as a predicate, to be combined with others.
func Inside(s *entsql.Selector, prefixes []string) *entsql.Predicate {
	column := s.C("region_path")
	var any []*entsql.Predicate
	for _, p := range prefixes {
		switch {
		case s.Dialect() == dialect.Postgres:
			any = append(any, entsql.Like(column, likeEscaper.Replace(p)+"%"))
		case AreTested(s.Context()):
			any = append(any, entsql.P(func(b *entsql.Builder) {
				b.WriteString("+" + column + " >= ").Arg(p).WriteString(" AND +" + column + " < ").Arg(after(p))
			}))
		default:
			any = append(any, entsql.And(entsql.GTE(column, p), entsql.LT(column, after(p))))
		}
	}
	if len(any) == 0 {
		return entsql.False()
	}
	return entsql.Or(any...)
}

type testedKey struct{}

// Tested returns a context whose lists test the region of each row that they meet in
// their order, and do not find rows by region to sort them: better for the first few
// of very many. SQLite, which counts no rows before it chooses, has to be told; its
// unary plus keeps an index from being used. Counts find rows by region as ever.
func Tested(ctx context.Context) context.Context { return context.WithValue(ctx, testedKey{}, true) }

// AreTested reports whether the query of a context is a list that tests regions.
func AreTested(ctx context.Context) bool {
	asked, _ := ctx.Value(testedKey{}).(bool)
	q := gen.QueryFromContext(ctx)
	return asked && q != nil && q.Op == gen.OpQueryAll
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// after returns the least string above all strings that begin with prefix; a
// region path ends in a slash, and '0' is the character after it.
func after(prefix string) string { return strings.TrimSuffix(prefix, "/") + "0" }

func regional(a access.Action) limit {
	return func(q intercept.Query, v *access.Viewer) { q.WhereP(Within(v.Regions(a))) }
}

func personal(a access.Action, column string) limit {
	return func(q intercept.Query, v *access.Viewer) {
		q.WhereP(func(s *entsql.Selector) {
			either := []*entsql.Predicate{Inside(s, v.Regions(a)), entsql.EQ(s.C(column), v.StaffID)}
			if q.Type() == ent.TypeStaff {
				either = append(either, heldWithin(s, v.Regions(a)))
			}
			s.Where(entsql.Or(either...))
		})
	}
}

// heldWithin selects people who hold a role in the regions, wherever they are at home.
func heldWithin(s *entsql.Selector, prefixes []string) *entsql.Predicate {
	r := entsql.Dialect(s.Dialect()).Select("staff_id").From(entsql.Table("role_assignments"))
	r.Where(Inside(r, prefixes))
	return entsql.In(s.C("id"), r)
}

// condition says which rows of the regions above are seen; nil stands for all.
type condition func(s *entsql.Selector) *entsql.Predicate

var releasedStates = []any{"published", "superseded", "withdrawn", "retired"}

var always condition

// released: the row itself is no draft any more.
func released(s *entsql.Selector) *entsql.Predicate {
	return entsql.In(s.C("state"), releasedStates...)
}

// ofReleased: the row's standard version is no draft any more.
func ofReleased(s *entsql.Selector) *entsql.Predicate {
	vs := entsql.Dialect(s.Dialect()).Select("id").From(entsql.Table("standard_versions"))
	return entsql.In(s.C("version_id"), vs.Where(released(vs)))
}

// withReleased: one of the row's versions is no draft any more; until then the
// row's very name is the business of its region.
func withReleased(table, column string) condition {
	return func(s *entsql.Selector) *entsql.Predicate {
		vs := entsql.Dialect(s.Dialect()).Select(column).From(entsql.Table(table))
		return entsql.In(s.C("id"), vs.Where(released(vs)))
	}
}

// approved: the plugin version may be assigned, or could be once.
func approved(s *entsql.Selector) *entsql.Predicate {
	return entsql.In(s.C("state"), "approved", "deprecated", "revoked")
}

// withApproved: one of the plugin's versions is approved.
func withApproved(s *entsql.Selector) *entsql.Predicate {
	vs := entsql.Dialect(s.Dialect()).Select("plugin_id").From(entsql.Table("plugin_versions"))
	return entsql.In(s.C("id"), vs.Where(approved(vs)))
}

func published(a access.Action, seen condition) limit {
	return func(q intercept.Query, v *access.Viewer) {
		q.WhereP(func(s *entsql.Selector) { s.Where(downwards(s, v, a, seen)) })
	}
}

// downwards selects what is v's, and what the regions above v's have published.
func downwards(s *entsql.Selector, v *access.Viewer, a access.Action, seen condition) *entsql.Predicate {
	var above []any
	for _, p := range v.Above() {
		above = append(above, p)
	}
	own := Inside(s, v.Regions(a))
	if len(above) == 0 || !v.MayAnywhere(a) {
		return own
	}
	inherited := entsql.In(s.C("region_path"), above...)
	if seen != nil {
		inherited = entsql.And(inherited, seen(s))
	}
	return entsql.Or(own, inherited)
}

// regions shows, besides the regions of v and those above, where the people are
// at home whom v sees, and where v himself ever held a role: their rows name it.
func regions(q intercept.Query, v *access.Viewer) {
	q.WhereP(func(s *entsql.Selector) {
		homes := entsql.Dialect(s.Dialect()).Select("region_id").From(entsql.Table("staffs"))
		homes.Where(entsql.Or(entsql.EQ(homes.C("id"), v.StaffID), heldWithin(homes, v.Regions(access.ReadStaff))))
		held := entsql.Dialect(s.Dialect()).Select("region_id").From(entsql.Table("role_assignments"))
		held.Where(entsql.EQ(held.C("staff_id"), v.StaffID))
		s.Where(entsql.Or(downwards(s, v, access.ReadNorms, always), entsql.In(s.C("id"), homes), entsql.In(s.C("id"), held)))
	})
}

// RegionRef selects a region by its id or by its code, such as CN-HA-ZZ: people
// know codes.
func RegionRef(ref string) predicate.Region {
	if strings.HasPrefix(ref, string(ids.Region)+"_") {
		return region.ID(ref)
	}
	return region.Code(ref)
}

type lockKey struct{}

// lock is how the rows that a query reads are locked.
type lock int

const (
	exclusive lock = iota + 1
	shared
)

// Locking returns a context whose queries lock the rows they read until the
// command ends, so that two commands on one row run one after the other. SQLite
// has one writer and needs no lock.
func Locking(ctx context.Context) context.Context {
	return context.WithValue(ctx, lockKey{}, exclusive)
}

// ForUpdate locks the rows that a statement reads, as Locking does.
func ForUpdate(s *entsql.Selector) {
	if s.Dialect() == dialect.Postgres {
		s.ForUpdate()
	}
}

// Holding returns a context whose queries keep the rows they read from being changed
// until the command ends; other commands may hold them, too.
func Holding(ctx context.Context) context.Context { return context.WithValue(ctx, lockKey{}, shared) }

// lockReads adds FOR UPDATE to the queries of a Locking context, and FOR SHARE to
// those of a Holding one.
func lockReads(c *ent.Client) {
	c.Intercept(intercept.TraverseFunc(func(ctx context.Context, q intercept.Query) error {
		how, _ := ctx.Value(lockKey{}).(lock)
		if how == 0 {
			return nil
		}
		q.WhereP(func(s *entsql.Selector) {
			switch {
			case how == exclusive:
				ForUpdate(s)
			case s.Dialect() == dialect.Postgres:
				s.ForShare()
			}
		})
		return nil
	}))
}
