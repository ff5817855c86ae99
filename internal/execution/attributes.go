package execution

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/caseattribute"
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

// WithAttributes selects rows whose case, named by a column, has all of some
// attributes.
func WithAttributes(column string, filters []*AttributeFilter) func(*sql.Selector) {
	return func(s *sql.Selector) {
		for _, f := range filters {
			t := sql.Table(caseattribute.Table)
			where := []*sql.Predicate{sql.EQ(t.C(caseattribute.FieldName), f.Name)}
			if len(f.In) > 0 {
				texts := make([]any, len(f.In))
				for i, x := range f.In {
					texts[i] = x
				}
				where = append(where, sql.In(t.C(caseattribute.FieldText), texts...))
			}
			if f.Min != nil {
				where = append(where, sql.GTE(t.C(caseattribute.FieldNumber), *f.Min))
			}
			if f.Max != nil {
				where = append(where, sql.LTE(t.C(caseattribute.FieldNumber), *f.Max))
			}
			if f.Min != nil || f.Max != nil {
				where = append(where, sql.EQ(t.C(caseattribute.FieldText), "")) // a number, not a text
			}
			s.Where(sql.In(s.C(column), sql.Select(t.C(caseattribute.FieldCaseID)).From(t).Where(sql.And(where...))))
		}
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
