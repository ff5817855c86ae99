package expr

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"

	"github.com/openspms/spms/internal/fault"
)

// costLimit bounds one evaluation in CEL's cost units; sourceLimit bounds the
// text in characters, depthLimit its nesting.
const (
	costLimit   = 100_000
	sourceLimit = 8_000
	depthLimit  = 64
)

// Env is the set of names an expression may use. It is immutable and safe for
// concurrent use.
type Env struct {
	cel   *cel.Env
	space *space
}

// NewEnv declares variables. Names that share a prefix make one namespace, so
// test.downMbps and test.latency are fields of test. Besides, every expression
// knows now (timestamp), region {code, area}, evidence (list of {kind, at}) and
// staff {id, code} and instances {total, done}. Errors are fault.Invalid with the variable's name as path:
// VARIABLE_NAME, VARIABLE_TYPE_UNKNOWN, VARIABLE_TWICE.
func NewEnv(vars []Variable) (*Env, error) {
	root, err := declare(vars)
	if err != nil {
		return nil, err
	}
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, fault.E(fault.Internal, "INTERNAL").Because(err)
	}
	p := &provider{Provider: registry, spaces: map[string]*space{}}
	options := []cel.EnvOption{
		cel.CustomTypeProvider(p), cel.CustomTypeAdapter(registry),
		cel.DefaultUTCTimeZone(true), cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(depthLimit), cel.ParserExpressionSizeLimit(sourceLimit),
		ext.Strings(), ext.Math(), ext.Sets(),
	}
	for _, f := range slices.Concat(root.fields, builtin.fields) {
		options = append(options, cel.Variable(f.name, f.celType()))
		p.add(f)
	}
	e, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fault.E(fault.Internal, "INTERNAL").Because(err)
	}
	return &Env{cel: e, space: root}, nil
}

// Compile checks an expression against the names of e and against the type it
// must yield; Any takes whatever it yields, Double also takes an int, Timestamp
// and Duration also null. Errors are fault.Invalid with parameters line, column
// (from 1) and detail: EXPR_SYNTAX, EXPR_UNDECLARED, EXPR_TYPE; EXPR_COST for what
// always costs too much.
func (e *Env) Compile(src string, want Type) (*Program, error) {
	parsed, issues := e.cel.Parse(src)
	if issues.Err() != nil {
		return nil, located("EXPR_SYNTAX", src, issues)
	}
	checked, issues := e.cel.Check(parsed)
	if issues.Err() != nil {
		code := "EXPR_TYPE"
		if m := issues.Errors()[0].Message; strings.HasPrefix(m, "undeclared") || strings.HasPrefix(m, "undefined field") {
			code = "EXPR_UNDECLARED"
		}
		return nil, located(code, src, issues)
	}
	if out := checked.OutputType(); !yields(out, want) {
		return nil, fault.E(fault.Invalid, "EXPR_TYPE", fault.P("line", 1), fault.P("column", 1),
			fault.P("detail", "expression yields "+out.String()+", want "+string(want)), fault.P("expression", src))
	}
	options, err := e.bounded(checked, src)
	if err != nil {
		return nil, err
	}
	prog, err := e.cel.Program(checked, options...)
	if err != nil {
		return nil, fault.E(fault.Invalid, "EXPR_TYPE", fault.P("line", 1), fault.P("column", 1),
			fault.P("detail", err.Error()), fault.P("expression", src))
	}
	return &Program{source: src, want: want, cel: prog, space: e.space, reads: e.reads(checked)}, nil
}

// bounded refuses what always costs too much, and returns the options of a
// program: what may cost too much is counted when it runs, which takes twice as
// long as running it alone.
func (e *Env) bounded(checked *cel.Ast, src string) ([]cel.ProgramOption, error) {
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	cost, err := e.cel.EstimateCost(checked, sizes{})
	if err == nil && cost.Min > costLimit {
		return nil, fault.E(fault.Invalid, "EXPR_COST", fault.P("expression", src), fault.P("detail", "at least "+strconv.FormatUint(cost.Min, 10)))
	}
	if err != nil || cost.Max > costLimit {
		options = append(options, cel.CostLimit(costLimit))
	}
	return options, nil
}

// sizes tells the cost estimator how large a value can be: CheckValue bounds it.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Max: MaxValueBytes}
}

// EstimateCallCost implements checker.CostEstimator.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// located makes the error of the first issue.
func located(code, src string, issues *cel.Issues) error {
	first := issues.Errors()[0]
	return fault.E(fault.Invalid, code, fault.P("line", max(first.Location.Line(), 1)), fault.P("column", first.Location.Column()+1),
		fault.P("detail", first.Message), fault.P("expression", src))
}

// yields reports whether an expression of type t can be used where want is needed.
func yields(t *cel.Type, want Type) bool {
	if want == Any || t.Kind() == types.DynKind {
		return true
	}
	switch want {
	case List:
		return t.Kind() == types.ListKind
	case Map:
		return t.Kind() == types.MapKind || t.Kind() == types.StructKind
	case Double:
		return t.Kind() == types.DoubleKind || t.Kind() == types.IntKind
	case Timestamp:
		return t.Kind() == types.TimestampKind || t.Kind() == types.NullTypeKind
	case Duration:
		return t.Kind() == types.DurationKind || t.Kind() == types.NullTypeKind || t.Kind() == types.StringKind
	}
	return celType(want).IsAssignableType(t)
}

// Activation is what a case looks like to an expression at one instant.
type Activation struct {
	Variables map[string]any   // nested, in the form of CheckValue
	Local     []map[string]any // variables of inner scopes, innermost first; they hide Variables
	Now       time.Time
	Region    Region
	Evidence  []Evidence
	Staff     Staff
	Instances Instances
}

// Instances counts the instances of a multi-instance activity, or the rounds of a
// loop, as its completion condition sees them; zero elsewhere.
type Instances struct{ Total, Done int }

// Region is the region of a case as expressions see it.
type Region struct{ Code, Area string }

// Evidence is one attached item as expressions see it.
type Evidence struct {
	Kind string
	At   time.Time
}

// Staff is the acting person as expressions see them; empty for the system.
type Staff struct{ ID, Code string }

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	source string
	want   Type
	cel    cel.Program
	space  *space
	reads  []string
}

// Source returns the text of the expression.
func (p *Program) Source() string { return p.source }

// Reads returns the dotted names of the variables the expression reads, sorted.
// A name may be a namespace when the expression takes it as a whole.
func (p *Program) Reads() []string { return p.reads }

// Eval returns the value in the form of CheckValue. Errors are
// fault.Precondition: EXPR_RUNTIME (a value that is not set, a division by zero
// …) and EXPR_COST.
func (p *Program) Eval(a Activation) (any, error) {
	v, err := p.eval(&a)
	if err != nil {
		return nil, err
	}
	out, ok := native(v)
	if !ok {
		return nil, p.failed(errors.New("the result is no value of a variable"))
	}
	return out, nil
}

// Bool evaluates an expression that yields a bool. Errors as of Eval.
func (p *Program) Bool(a Activation) (bool, error) {
	v, err := p.eval(&a)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, p.failed(errors.New("the result is no bool"))
	}
	return bool(b), nil
}

// Holds evaluates a condition that is looked at again and again: one that needs a
// variable without a value does not hold yet. Other errors as of Eval.
func (p *Program) Holds(a Activation) (bool, error) {
	act := &activation{Activation: &a, space: p.space}
	v, _, err := p.cel.Eval(act)
	if err != nil {
		if act.missing(err) {
			return false, nil
		}
		return false, p.failed(err)
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, p.failed(errors.New("the result is no bool"))
	}
	return bool(b), nil
}

// Time evaluates an expression that yields an instant, or text of one. A null
// result, or one that needs a variable that is not set, is no error: set is
// false then. Other errors as of Eval.
func (p *Program) Time(a Activation) (t time.Time, set bool, err error) {
	act := &activation{Activation: &a, space: p.space}
	v, _, err := p.cel.Eval(act)
	if err != nil {
		if act.missing(err) {
			return time.Time{}, false, nil
		}
		return time.Time{}, false, p.failed(err)
	}
	switch v := v.(type) {
	case types.Timestamp:
		return v.Time.UTC(), true, nil
	case types.Null:
		return time.Time{}, false, nil
	case types.String:
		if at, ok := asTime(string(v)); ok {
			return at.UTC(), true, nil
		}
	}
	return time.Time{}, false, p.failed(errors.New("the result is no timestamp"))
}
