package execution

import (
	"context"
	"slices"

	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/schema"
)

// lawful asks the rules on cases of the standards in force, at the start and when
// a task is completed: with the values just given, one that blocks refuses, one
// that flags marks the case, once. node is the task, "" at the start.
func (f *file) lawful(ctx context.Context, node string, vars map[string]any, given []expr.Evidence) error {
	current, err := f.inForce(ctx)
	if err != nil {
		return err
	}
	rules := current.Rules(f.regionCodes(), norm.OnCase, f.unit.Now)
	if len(rules) == 0 {
		return nil
	}
	seen := f.activation(vars, given)
	seen.Variables = map[string]any{
		"service": f.service(), "stage": f.row.Stage, "channel": f.row.Channel, "variables": seen.Variables,
	}
	for _, rule := range rules {
		holds, why := rule.Holds(seen)
		if holds {
			continue
		}
		zh, en := rule.Message.In("zh"), rule.Message.In("en")
		switch rule.Result {
		case norm.Block:
			e := fault.E(fault.Precondition, "RULE_BLOCKED", fault.P("rule", rule.Code), fault.P("text", fault.Label{ZH: zh, EN: en}),
				fault.P("clause", rule.ClauseRef())).At("input")
			if why != nil {
				e = e.Because(why)
			}
			return e
		case norm.Flag:
			f.flag(schema.Flag{Rule: rule.Code, ClauseRef: rule.ClauseRef(), TextZh: zh, TextEn: en, NodeID: node, At: f.unit.Now})
		}
	}
	return nil
}

// flag marks the case with a rule, unless it is marked with it already.
func (f *file) flag(x schema.Flag) {
	if slices.ContainsFunc(f.row.Flags, func(y schema.Flag) bool { return y.Rule == x.Rule && y.ClauseRef == x.ClauseRef }) {
		return
	}
	f.row.Flags = append(slices.Clone(f.row.Flags), x)
	f.unit.Note("flagged:"+x.Rule, x.ClauseRef)
}
