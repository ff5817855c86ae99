package standard

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clause"
	"github.com/openspms/spms/ent/indicator"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/norm"
)

// bulk is how many rows one INSERT holds: PostgreSQL and SQLite bound its
// parameters, and an indicator has some thirty columns.
const bulk = 100

// fill says a clause's columns, for a new row or a changed one.
func fillClause(m *ent.ClauseMutation, c norm.Clause, position int) {
	policy := clause.PolicyPinned
	if c.Policy == norm.Immediate {
		policy = clause.PolicyImmediate
	}
	m.SetPosition(position)
	m.SetParentNumber(c.Parent)
	m.SetTitleZh(c.Title.ZH)
	m.SetTitleEn(c.Title.EN)
	m.SetTextZh(c.Text.ZH)
	m.SetTextEn(c.Text.EN)
	m.SetMandatory(c.Mandatory())
	m.SetRoles(listed(c.Roles))
	m.SetPolicy(policy)
	m.SetSource(c.Source)
	m.SetAddress(c.Address)
}

// fillIndicator says an indicator's columns.
func fillIndicator(m *ent.IndicatorMutation, i norm.Indicator) {
	m.SetNameZh(i.Name.ZH)
	m.SetNameEn(i.Name.EN)
	m.SetKind(string(i.Kind))
	m.SetNature(string(i.Nature()))
	m.SetStatistic(string(i.Statistic))
	m.SetComparator(string(i.Comparator))
	m.SetValue(i.Value)
	m.SetUnit(string(i.Unit))
	m.SetBasis(string(i.Basis))
	if i.Basis == norm.SameDay {
		m.SetCutoffHour(i.CutoffHour)
	} else {
		m.ClearCutoffHour()
	}
	if i.Target != 0 {
		m.SetTarget(i.Target)
	} else {
		m.ClearTarget()
	}
	m.SetStartEvent(i.StartEvent)
	m.SetStopEvent(i.StopEvent)
	m.SetAreas(listed(i.Areas))
	m.SetServices(listed(i.Services))
	m.SetPauseReasons(listed(i.PauseReasons))
	var exclusions []string
	for _, x := range i.Exclusions {
		exclusions = append(exclusions, x.In("zh"))
	}
	m.SetExclusions(strings.Join(exclusions, "\n"))
	consequence := ""
	if i.Consequence != nil {
		consequence = i.Consequence.Text.In("zh")
	}
	m.SetConsequence(consequence)
	m.SetEnabled(i.Enabled)
	m.SetVerification(string(i.Verification))
	m.SetSource(i.Source)
	m.SetAddress(i.Address)
}

// listed is never nil: a JSON column holds a list.
func listed(words []string) []string {
	if words == nil {
		return []string{}
	}
	return words
}

// project writes the rows of a version's clauses and indicators so that they
// say what after says; before is what they say now, nil when there are none.
func project(ctx context.Context, u *command.Unit, row *ent.StandardVersion, before, after *norm.Version) error {
	if before == nil {
		before = &norm.Version{}
	}
	if err := dropRows(ctx, u, row.ID, before, after); err != nil {
		return err
	}
	ids, err := projectClauses(ctx, u, row, before, after)
	if err != nil {
		return err
	}
	return projectIndicators(ctx, u, row, before, after, ids)
}

// dropRows deletes the indicators and then the clauses that after has no more;
// an indicator that moves to another clause goes, too, and comes anew.
func dropRows(ctx context.Context, u *command.Unit, versionID string, before, after *norm.Version) error {
	var codes, numbers []string
	for i := range before.Indicators {
		b := &before.Indicators[i]
		if a := after.Indicator(b.Code); a == nil || a.Clause != b.Clause {
			codes = append(codes, b.Code)
		}
	}
	for i := range before.Clauses {
		if after.Clause(before.Clauses[i].Number) == nil {
			numbers = append(numbers, before.Clauses[i].Number)
		}
	}
	if len(codes) > 0 {
		if _, err := u.Indicator.Delete().Where(indicator.VersionID(versionID), indicator.CodeIn(codes...)).Exec(ctx); err != nil {
			return fmt.Errorf("delete indicators: %w", err)
		}
	}
	if len(numbers) > 0 {
		if _, err := u.Clause.Delete().Where(clause.VersionID(versionID), clause.NumberIn(numbers...)).Exec(ctx); err != nil {
			return fmt.Errorf("delete clauses: %w", err)
		}
	}
	return nil
}

// projectClauses adds and changes clause rows and returns all ids by number.
func projectClauses(ctx context.Context, u *command.Unit, row *ent.StandardVersion, before, after *norm.Version) (map[string]string, error) {
	was, ids := map[string]int{}, map[string]string{}
	for i, c := range before.Clauses {
		was[c.Number] = i
	}
	var fresh []*ent.ClauseCreate
	var changed []int
	for i, c := range after.Clauses {
		at, known := was[c.Number]
		if !known {
			b := u.Clause.Create().SetVersionID(row.ID).SetNumber(c.Number).SetRegionID(row.RegionID).SetRegionPath(row.RegionPath)
			fillClause(b.Mutation(), c, i)
			fresh = append(fresh, b)
		} else if at != i || !reflect.DeepEqual(before.Clauses[at], c) {
			changed = append(changed, i)
		}
	}
	if len(was) > 0 {
		rows, err := u.Clause.Query().Where(clause.VersionID(row.ID)).Select(clause.FieldID, clause.FieldNumber).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the clauses: %w", err)
		}
		for _, c := range rows {
			ids[c.Number] = c.ID
		}
	}
	for _, i := range changed {
		b := u.Clause.UpdateOneID(ids[after.Clauses[i].Number])
		fillClause(b.Mutation(), after.Clauses[i], i)
		if err := b.Exec(ctx); err != nil {
			return nil, fmt.Errorf("change a clause: %w", err)
		}
	}
	for len(fresh) > 0 {
		n := min(bulk, len(fresh))
		made, err := u.Clause.CreateBulk(fresh[:n]...).Save(ctx)
		if err != nil {
			return nil, fmt.Errorf("create clauses: %w", err)
		}
		for _, c := range made {
			ids[c.Number] = c.ID
		}
		fresh = fresh[n:]
	}
	return ids, nil
}

// projectIndicators adds and changes indicator rows; clauses are row ids by number.
func projectIndicators(ctx context.Context, u *command.Unit, row *ent.StandardVersion, before, after *norm.Version, clauses map[string]string) error {
	var fresh []*ent.IndicatorCreate
	for _, i := range after.Indicators {
		old := before.Indicator(i.Code)
		if old == nil || old.Clause != i.Clause {
			b := u.Indicator.Create().SetVersionID(row.ID).SetClauseID(clauses[i.Clause]).SetCode(i.Code).
				SetRegionID(row.RegionID).SetRegionPath(row.RegionPath)
			fillIndicator(b.Mutation(), i)
			fresh = append(fresh, b)
			continue
		}
		if reflect.DeepEqual(*old, i) {
			continue
		}
		id, err := u.Indicator.Query().Where(indicator.VersionID(row.ID), indicator.Code(i.Code)).OnlyID(ctx)
		if err != nil {
			return fmt.Errorf("read an indicator: %w", err)
		}
		b := u.Indicator.UpdateOneID(id)
		fillIndicator(b.Mutation(), i)
		if err := b.Exec(ctx); err != nil {
			return fmt.Errorf("change an indicator: %w", err)
		}
	}
	for len(fresh) > 0 {
		n := min(bulk, len(fresh))
		if err := u.Indicator.CreateBulk(fresh[:n]...).Exec(ctx); err != nil {
			return fmt.Errorf("create indicators: %w", err)
		}
		fresh = fresh[n:]
	}
	return nil
}
