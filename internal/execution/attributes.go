package execution

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/caseattribute"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/model"
)

// AttributeFilter is a condition on a variable that the process declares as indexed:
// In on texts, Min and Max on numbers and on instants in seconds since 1970.
type AttributeFilter struct {
	Name string   `json:"name"`
	In   []string `json:"in,omitempty"`
	Min  *float64 `json:"min,omitempty"`
	Max  *float64 `json:"max,omitempty"`
}

// fewCases is how many cases a condition may select to be looked up before a list is
// read. Of a condition that selects more, each row of the list is asked by itself:
// the first page is found before many have been.
const fewCases = 1024

// WithAttributes selects rows whose case, named by a column, has all of some
// attributes; few says that one of them alone selects few cases, by which the rows
// are best found. Cost: up to fewCases index entries for each.
func (r *Room) WithAttributes(ctx context.Context, column string, filters []*AttributeFilter) (with func(*sql.Selector), few bool, err error) {
	var all []func(*sql.Selector)
	for _, f := range filters {
		cases, err := r.door.Store.Client().CaseAttribute.Query().Where(f.holds).Limit(fewCases + 1).
			Select(caseattribute.FieldCaseID).Strings(access.Elevated(ctx))
		if err != nil {
			return nil, false, fmt.Errorf("look up attribute %s: %w", f.Name, err)
		}
		if len(cases) > fewCases {
			all = append(all, f.asked(column))
			continue
		}
		all, few = append(all, sql.FieldIn(column, padded(cases)...)), true
	}
	return func(s *sql.Selector) {
		for _, where := range all {
			where(s)
		}
	}, few, nil
}

// padded repeats the last of some ids until they are a power of two, so that lists of
// many lengths are few statements.
func padded(ids []string) []string {
	ids = slices.Clip(ids)
	for n := len(ids); n&(n-1) != 0; n++ {
		ids = append(ids, ids[len(ids)-1])
	}
	return ids
}

// asked selects the rows whose case has the attribute, one by one.
func (f *AttributeFilter) asked(column string) func(*sql.Selector) {
	return func(s *sql.Selector) {
		t := sql.Dialect(s.Dialect()).Select(caseattribute.FieldCaseID).From(sql.Table(caseattribute.Table).As("a"))
		t.Where(sql.ColumnsEQ(t.C(caseattribute.FieldCaseID), s.C(column)))
		f.holds(t)
		s.Where(sql.Exists(t))
	}
}

// holds selects the attributes of the filter.
func (f *AttributeFilter) holds(s *sql.Selector) {
	s.Where(sql.EQ(s.C(caseattribute.FieldName), f.Name))
	if len(f.In) > 0 {
		texts := make([]any, len(f.In))
		for i, x := range f.In {
			texts[i] = x
		}
		s.Where(sql.In(s.C(caseattribute.FieldText), texts...))
	}
	if f.Min != nil {
		s.Where(sql.GTE(s.C(caseattribute.FieldNumber), *f.Min))
	}
	if f.Max != nil {
		s.Where(sql.LTE(s.C(caseattribute.FieldNumber), *f.Max))
	}
	if f.Min != nil || f.Max != nil {
		s.Where(sql.EQ(s.C(caseattribute.FieldText), "")) // a number, not a text
	}
}

// indexed are the present values of the variables that the process declares as
// indexed, as they are kept for lists.
func (f *file) indexed(vars map[string]any) map[string]ent.CaseAttribute {
	out := map[string]ent.CaseAttribute{}
	for _, v := range f.model.Variables {
		if !v.Indexed {
			continue
		}
		value := model.Get(vars, v.Name)
		if value == nil {
			continue
		}
		row := ent.CaseAttribute{Name: v.Name}
		switch x := value.(type) {
		case string:
			row.Text = x
			if at, err := time.Parse(time.RFC3339, x); v.Type == expr.Timestamp && err == nil {
				row.Text, row.Number = "", float64(at.UnixMicro())/1e6
			}
		case bool:
			row.Text = strconv.FormatBool(x)
		case int:
			row.Number = float64(x)
		case int64:
			row.Number = float64(x)
		case float64:
			row.Number = x
		default:
			continue // lists and maps are not filtered by
		}
		out[v.Name] = row
	}
	return out
}

// saveAttributes writes the indexed variables that have changed in this command.
func (f *file) saveAttributes(ctx context.Context) error {
	now := f.indexed(f.state.Variables)
	var fresh []*ent.CaseAttributeCreate
	for _, v := range f.model.Variables {
		row, set := now[v.Name]
		before, had := f.attributes[v.Name]
		switch {
		case !set && had:
			_, err := f.unit.CaseAttribute.Delete().Where(caseattribute.CaseID(f.row.ID), caseattribute.Name(v.Name)).Exec(ctx)
			if err != nil {
				return fmt.Errorf("write attribute %s: %w", v.Name, err)
			}
		case set && !had:
			fresh = append(fresh, f.unit.CaseAttribute.Create().SetCaseID(f.row.ID).SetName(v.Name).SetText(row.Text).SetNumber(row.Number))
		case set && !reflect.DeepEqual(row, before):
			err := f.unit.CaseAttribute.Update().Where(caseattribute.CaseID(f.row.ID), caseattribute.Name(v.Name)).
				SetText(row.Text).SetNumber(row.Number).Exec(ctx)
			if err != nil {
				return fmt.Errorf("write attribute %s: %w", v.Name, err)
			}
		}
	}
	if len(fresh) > 0 {
		if err := f.unit.CaseAttribute.CreateBulk(fresh...).Exec(ctx); err != nil {
			return fmt.Errorf("write attributes: %w", err)
		}
	}
	f.attributes = now
	return nil
}
