package definition

import (
	"context"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/norm"
)

// lawful finds the rules of standards in force in a region that a process does
// not keep: an error where the rule blocks, a warning where it flags.
func (r *Room) lawful(ctx context.Context, m *model.Model, reg *ent.Region) ([]model.Finding, error) {
	now := r.door.Clock.Now()
	rules, err := r.norms.Rules(ctx, codes(reg.RegionPath), norm.OnDefinition, now)
	if err != nil || len(rules) == 0 {
		return nil, err
	}
	seen := expr.Activation{
		Variables: map[string]any{"process": described(m)}, Now: now,
		Region: expr.Region{Code: reg.Code, Area: string(reg.Area)},
	}
	severity := map[norm.Result]model.Severity{norm.Block: model.SeverityError, norm.Flag: model.SeverityWarning, norm.Allow: model.SeverityNote}
	var out []model.Finding
	for _, rule := range rules {
		holds, err := rule.Holds(seen)
		if holds {
			continue
		}
		detail := ""
		if err != nil {
			detail = err.Error()
		}
		out = append(out, model.Finding{
			Code: "STANDARD_RULE_BROKEN", Severity: severity[rule.Result], Elements: []string{m.Key}, Clause: rule.ClauseRef(),
			Params: []fault.Param{
				fault.P("rule", rule.Code), fault.P("text", fault.Label{ZH: rule.Message.In("zh"), EN: rule.Message.In("en")}),
				fault.P("detail", detail),
			},
		})
	}
	return out, nil
}

// described is a process as rules of standards see it.
func described(m *model.Model) map[string]any {
	var names, nodes []any
	for _, v := range m.Variables {
		names = append(names, v.Name)
	}
	for _, n := range m.Nodes {
		var evidence, events []any
		for _, e := range n.Evidence {
			evidence = append(evidence, e.Kind)
		}
		for _, e := range n.Events {
			events = append(events, e.Name)
		}
		nodes = append(nodes, map[string]any{
			"id": n.ID, "type": string(n.Type), "name": n.Name, "role": n.Role, "stage": n.Stage, "human": n.Human,
			"evidence": evidence, "events": events,
		})
	}
	return map[string]any{"key": m.Key, "service": m.Service, "variables": names, "nodes": nodes}
}
