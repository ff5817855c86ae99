package standard

import (
	"strconv"
	"sync"

	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
)

// environments are the names that rules of standards may use, by what they look
// at: of a definition its key, service, variables (names) and nodes, of a case its
// service, stage, channel and variables; besides those of every expression.
var environments = sync.OnceValues(func() (map[norm.RuleOn]*expr.Env, error) {
	out := map[norm.RuleOn]*expr.Env{}
	for on, vars := range map[norm.RuleOn][]expr.Variable{
		norm.OnDefinition: {
			{Name: "process.key", Type: expr.String},
			{Name: "process.service", Type: expr.String},
			{Name: "process.variables", Type: expr.ListOf(expr.String)},
			{Name: "process.nodes", Type: expr.ListOf(expr.Map)},
		},
		norm.OnCase: {
			{Name: "service", Type: expr.String},
			{Name: "stage", Type: expr.String},
			{Name: "channel", Type: expr.String},
			{Name: "variables", Type: expr.Map},
		},
	} {
		env, err := expr.NewEnv(vars)
		if err != nil {
			return nil, err
		}
		out[on] = env
	}
	return out, nil
})

// checkRules compiles the rules of a version; each must yield a truth value. The
// error is fault.Invalid NORM_INVALID with one item per rule, with the path to
// its expression, line and column.
func checkRules(versions []norm.Version) error {
	var items []*fault.Error
	for n, v := range versions {
		for i, rule := range v.Rules {
			envs, err := environments()
			if err != nil {
				return err
			}
			if _, err := envs[rule.On].Compile(rule.Expression, expr.Bool); err != nil {
				items = append(items, fault.From(err).At("versions", strconv.Itoa(n), "rules", strconv.Itoa(i), "expression"))
			}
		}
	}
	if len(items) == 0 {
		return nil
	}
	return fault.E(fault.Invalid, "NORM_INVALID", fault.P("count", len(items))).With(items...)
}
