package definition

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// CreateFromTemplate creates a process of its own, with its first draft, out of a
// published version and values for what that asks for; a parameter without value
// keeps its default. Errors: PROCESS_VERSION_NOT_FOUND, PROCESS_VERSION_STATE,
// and with the path parameters[i].name or .value PARAMETER_UNKNOWN,
// PARAMETER_TWICE and PARAMETER_VALUE; those of CreateProcess.
func (r *Room) CreateFromTemplate(ctx context.Context, in CreateFromTemplate) (Result, error) {
	row, err := r.door.Store.Client().ProcessVersion.Query().Where(versionRef(in.TemplateVersionID)).Only(ctx)
	if err != nil {
		return Result{}, withPath(notFound(err, "PROCESS_VERSION_NOT_FOUND", in.TemplateVersionID), "input", "templateVersionID")
	}
	if err := released(row, "templateVersionID"); err != nil {
		return Result{}, err
	}
	c, _, err := compile(row.Document)
	if err != nil {
		return Result{}, err
	}
	values, err := valuesOf(c.Graph.Extension.Parameters, in.Parameters)
	if err != nil {
		return Result{}, err
	}
	if err := c.Document.Instantiate(in.Key, in.NameZh, in.NameEn, values); err != nil {
		return Result{}, fmt.Errorf("instantiate version %s: %w", row.ID, err)
	}
	text := string(c.Document.Bytes())
	checked, err := r.Check(ctx, text, in.RegionID)
	if err != nil {
		return Result{}, err
	}
	cmd := command.Command{Operation: "createProcessFromTemplate", Key: deref(in.IdempotencyKey), Input: in}
	return r.create(ctx, cmd, newProcess{region: in.RegionID, text: text, changelog: deref(in.Changelog), keyField: "key", from: row.ID}, checked)
}

// Parameters are what a document asks for when it is used as a template.
func Parameters(document string) ([]bpmn.Parameter, error) {
	doc, err := bpmn.Parse(strings.NewReader(document), bpmn.Limits{})
	if err != nil {
		return nil, err
	}
	g, err := doc.Graph("")
	if err != nil {
		return nil, err
	}
	return g.Extension.Parameters, nil
}

// valuesOf checks values against the parameters they are for.
func valuesOf(params []bpmn.Parameter, given []*ParameterValue) (map[string]bpmn.Value, error) {
	out := map[string]bpmn.Value{}
	for i, v := range given {
		at := fmt.Sprintf("parameters[%d]", i)
		n := slices.IndexFunc(params, func(p bpmn.Parameter) bool { return p.Name == v.Name })
		if n < 0 {
			return nil, fault.E(fault.Invalid, "PARAMETER_UNKNOWN", fault.P("name", v.Name)).At("input", at, "name")
		}
		if _, twice := out[v.Name]; twice {
			return nil, fault.E(fault.Invalid, "PARAMETER_TWICE", fault.P("name", v.Name)).At("input", at, "name")
		}
		value, err := valueOf(params[n], v.Value)
		if err != nil {
			return nil, fault.E(fault.Invalid, "PARAMETER_VALUE", fault.P("name", v.Name), fault.P("value", v.Value),
				fault.P("type", string(params[n].Type)), fault.P("allowed", allowed(params[n]))).At("input", at, "value")
		}
		out[v.Name] = value
	}
	return out, nil
}

// errValue is a value that a parameter does not take.
var errValue = errors.New("not a value of the parameter")

// valueOf checks one value and writes it the way expressions read it.
func valueOf(p bpmn.Parameter, text string) (bpmn.Value, error) {
	switch p.Type {
	case bpmn.NumberParameter:
		n, err := number(text)
		if err != nil || !within(n, p, number) {
			return bpmn.Value{}, errValue
		}
		return bpmn.Value{Text: plain(n)}, nil
	case bpmn.DurationParameter:
		hours, err := hoursOf(text)
		if err != nil || hours <= 0 || !within(hours, p, hoursOf) {
			return bpmn.Value{}, errValue
		}
		return bpmn.Value{Text: text, Hours: plain(hours)}, nil
	case bpmn.RoleParameter:
		if !knownRole(text) {
			return bpmn.Value{}, errValue
		}
	case bpmn.ChoiceParameter:
		if !slices.Contains(p.Enum, text) {
			return bpmn.Value{}, errValue
		}
	}
	return bpmn.Value{Text: text}, nil
}

// within reports whether n lies in the bounds of a parameter, where it has some.
func within(n float64, p bpmn.Parameter, read func(string) (float64, error)) bool {
	if p.Minimum != "" {
		if low, err := read(p.Minimum); err != nil || n < low {
			return false
		}
	}
	if p.Maximum != "" {
		if high, err := read(p.Maximum); err != nil || n > high {
			return false
		}
	}
	return true
}

func number(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, errValue
	}
	return n, nil
}

// hoursOf reads an ISO 8601 duration of days and time in hours; a day has 24.
func hoursOf(text string) (float64, error) {
	p, err := expr.ParsePeriod(text)
	if err != nil {
		return 0, err
	}
	exact, ok := p.Exact()
	if !ok {
		return 0, errValue
	}
	return exact.Hours(), nil
}

// plain writes a number without exponent.
func plain(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// allowed says what a parameter takes.
func allowed(p bpmn.Parameter) string {
	switch {
	case len(p.Enum) > 0:
		return strings.Join(p.Enum, ", ")
	case p.Minimum != "" || p.Maximum != "":
		return p.Minimum + " … " + p.Maximum
	}
	return "…"
}

// remembered keeps what was found in documents, since one is checked again at each step
// on its way to a region. It is safe for concurrent use.
type remembered struct {
	mu    sync.Mutex
	found map[[sha256.Size]byte][]model.Finding
}

// maxRemembered bounds the documents that are remembered.
const maxRemembered = 100

// of returns what look finds in a text, which must depend on nothing else.
func (m *remembered) of(text string, look func() []model.Finding) []model.Finding {
	key := sha256.Sum256([]byte(text))
	m.mu.Lock()
	found, ok := m.found[key]
	m.mu.Unlock()
	if ok {
		return found
	}
	found = look()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.found == nil || len(m.found) >= maxRemembered {
		m.found = map[[sha256.Size]byte][]model.Finding{}
	}
	m.found[key] = found
	return found
}

// askedWell finds parameters of a template that do not do what they promise:
// PARAMETER_MALFORMED when the default is no value or its edits do not apply,
// PARAMETER_CHANGES when the default would change the process.
func askedWell(c *Compiled) []model.Finding {
	var out []model.Finding
	fail := func(code string, p bpmn.Parameter, detail string) {
		out = append(out, model.Finding{
			Code: code, Severity: model.SeverityError, Elements: []string{c.Graph.ID},
			Params: []fault.Param{fault.P("parameter", p.Name), fault.P("detail", detail)},
		})
	}
	for _, p := range c.Graph.Extension.Parameters {
		v, err := valueOf(p, p.Default)
		if err != nil {
			fail("PARAMETER_MALFORMED", p, p.Default)
			continue
		}
		made, err := bpmn.Parse(strings.NewReader(string(c.Document.Bytes())), bpmn.Limits{})
		if err == nil {
			err = made.Instantiate(c.Graph.Extension.Key, c.Graph.Name, c.Graph.Extension.NameEn, map[string]bpmn.Value{p.Name: v})
		}
		if err != nil {
			fail("PARAMETER_MALFORMED", p, err.Error())
			continue
		}
		g, err := made.Graph("")
		if err != nil {
			fail("PARAMETER_MALFORMED", p, err.Error())
			continue
		}
		g.Extension.Parameters = c.Graph.Extension.Parameters
		for _, change := range bpmn.Diff(c.Graph, g) {
			fail("PARAMETER_CHANGES", p, change.ID)
		}
	}
	return out
}
