package innovation

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/caseattribute"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/store"
)

// maxCounted is how many different values a count tells of.
const maxCounted = 1000

// inputs are what the plugin is shown of the case: what its manifest names and nothing
// else, and the message that it has waited for. Of an address it is told only that
// there is one, by a pseudonym.
func (r *Room) inputs(ctx context.Context, e *errand) (string, error) {
	out := map[string]any{}
	for _, name := range e.v.Attributes {
		if of, ok := counted(name); ok {
			counts, err := r.counts(ctx, e, variableOf(e, name, of))
			if err != nil {
				return "", err
			}
			out[name] = counts
			continue
		}
		if value, ok := known(e, variableOf(e, name, name)); ok {
			put(out, name, value)
		}
	}
	for _, name := range manifestOf(e.v).Addresses {
		if value, _ := known(e, variableOf(e, name, name)); value != nil && value != "" {
			put(out, name, name+" of "+pseudonym(e))
		}
	}
	if e.task.WaitPayload != "" {
		var message any
		if json.Unmarshal([]byte(e.task.WaitPayload), &message) == nil {
			out["message"] = message
		}
	}
	return text(out), nil
}

// variableOf is the variable of the case that an input of the plugin is.
func variableOf(e *errand, name, otherwise string) string {
	if mapped, ok := e.a.Inputs[name].(string); ok {
		return mapped
	}
	return otherwise
}

// counted reads an input of the form counts(NAME).
func counted(name string) (of string, ok bool) {
	of, ok = strings.CutPrefix(name, "counts(")
	if !ok || !strings.HasSuffix(of, ")") {
		return "", false
	}
	return strings.TrimSuffix(of, ")"), true
}

// counts tells how many running cases of the assignment's region have each value of a
// variable that their process declares as indexed; of instants those to come.
func (r *Room) counts(ctx context.Context, e *errand, variable string) (map[string]int, error) {
	var rows []struct {
		Text   string  `json:"text"`
		Number float64 `json:"number"`
		Count  int     `json:"count"`
	}
	instant, err := r.instant(ctx, e, variable)
	if err != nil {
		return nil, err
	}
	q := r.door.Store.Client().CaseAttribute.Query().Where(caseattribute.Name(variable), caseattribute.CaseIDNEQ(e.task.CaseID),
		caseattribute.HasCaseWith(servicecase.StateEQ(servicecase.StateActive), store.Within([]string{e.a.RegionPath})))
	if instant {
		q.Where(caseattribute.NumberGTE(float64(r.door.Clock.Now().Unix())))
	}
	q.Modify(func(s *sql.Selector) {
		s.OrderBy(s.C(caseattribute.FieldNumber), s.C(caseattribute.FieldText)).Limit(maxCounted)
	})
	err = q.GroupBy(caseattribute.FieldText, caseattribute.FieldNumber).Aggregate(ent.Count()).Scan(access.Elevated(ctx), &rows)
	if err != nil {
		return nil, fmt.Errorf("count the values of %s: %w", variable, err)
	}
	out := make(map[string]int, len(rows))
	for _, row := range rows {
		key := row.Text
		switch {
		case instant:
			key = time.Unix(0, int64(math.Round(row.Number*1e6))*1000).UTC().Format(time.RFC3339Nano)
		case key == "":
			key = fmt.Sprint(row.Number)
		}
		out[key] += row.Count
	}
	return out, nil
}

// instant tells whether a variable of the case is an instant.
func (r *Room) instant(ctx context.Context, e *errand, variable string) (bool, error) {
	c, err := r.definitions.Compiled(ctx, r.door.Store.Client(), e.task.VersionID)
	if err != nil {
		return false, err
	}
	v, ok := c.Model.Variable(variable)
	return ok && v.Type == expr.Timestamp, nil
}
