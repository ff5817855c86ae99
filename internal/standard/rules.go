package standard

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/openspms/spms/ent"
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
			if err := checkRule(rule); err != nil {
				items = append(items, fault.From(err).At("versions", strconv.Itoa(n), "rules", strconv.Itoa(i), "expression"))
			}
		}
	}
	if len(items) == 0 {
		return nil
	}
	return fault.E(fault.Invalid, "NORM_INVALID", fault.P("count", len(items))).With(items...)
}

// checkRule compiles a rule; one on something unknown is refused as a word.
func checkRule(rule norm.Rule) error {
	envs, err := environments()
	if err != nil {
		return err
	}
	if env, ok := envs[rule.On]; ok {
		_, err = env.Compile(rule.Expression, expr.Bool)
	}
	return err
}

// RulesOf returns the rules of a version's text.
func (r *Room) RulesOf(row *ent.StandardVersion) ([]*norm.Rule, error) {
	text, err := r.text(row)
	if err != nil {
		return nil, err
	}
	out := make([]*norm.Rule, len(text.Versions[0].Rules))
	for i := range out {
		out[i] = &text.Versions[0].Rules[i]
	}
	return out, nil
}

// BannerOf reads what must be shown wherever a version that the viewer sees is
// shown; empty when there is nothing.
func (r *Room) BannerOf(row *ent.StandardVersion) (norm.Text, error) {
	text, err := r.text(row)
	if err != nil {
		return norm.Text{}, err
	}
	return text.Banner, nil
}

// Rule is a rule of a version that has been published, compiled.
type Rule struct {
	norm.Rule
	Standard string // code

	version *norm.Version
	place   string // region code of the jurisdiction
	program *expr.Program
}

// ClauseRef is the clause behind the rule, as standard code and number.
func (r *Rule) ClauseRef() string { return r.Standard + " " + r.Clause }

// Holds reports whether the rule holds; an expression that cannot be evaluated,
// as over a value that is not there, does not hold, and the error says why.
func (r *Rule) Holds(a expr.Activation) (bool, error) { return r.program.Bool(a) }

// Rules returns the rules that look at a kind of thing and are in force at an
// instant in a region, given with all regions above it, by standard and code.
func (r *Room) Rules(ctx context.Context, regions []string, on norm.RuleOn, at time.Time) ([]*Rule, error) {
	kept, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	return (&Current{room: r, kept: kept}).Rules(regions, on, at), nil
}

// compileRules compiles the rules of every standard of a set.
func compileRules(set *norm.Set) ([]*Rule, error) {
	envs, err := environments()
	if err != nil {
		return nil, err
	}
	var out []*Rule
	for _, s := range set.Standards() {
		for i := range s.Versions {
			v := &s.Versions[i]
			for _, x := range v.Rules {
				program, err := envs[x.On].Compile(x.Expression, expr.Bool)
				if err != nil {
					return nil, err
				}
				out = append(out, &Rule{Rule: x, Standard: s.Code, version: v, place: s.Jurisdiction, program: program})
			}
		}
	}
	return out, nil
}
