package graph

import (
	"context"
	"fmt"
	"sync"

	"entgo.io/ent"
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	rows "github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/access"
)

// A task's form and evidence need rows that are not the task's own. They are
// read in one statement for all tasks of a query, whatever lists these tasks
// stand in, as soon as the tasks are: see Prefetch.

// harvest is what has been read ahead for one answer.
type harvest struct {
	resolver *Resolver
	form     bool // the operation asks for forms
	evidence bool // and for evidence

	mu        sync.Mutex
	variables map[string]map[string]any // by case id
	given     map[string][]string       // by task id: kinds of evidence
	qualified map[string]bool           // kinds the viewer holds; nil until asked for
}

type harvestKey struct{}

// Loading is the extension that gives every answer its own harvest.
type Loading struct{ *Resolver }

// Extensions are what every answer over r passes through.
func Extensions(r *Resolver) []graphql.HandlerExtension {
	return []graphql.HandlerExtension{Loading{r}}
}

// ExtensionName of Loading.
func (Loading) ExtensionName() string { return "Loading" }

// Validate of Loading: any schema will do.
func (Loading) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse puts a new harvest into the context of an answer; each event
// of a subscription is one.
func (l Loading) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	h := &harvest{resolver: l.Resolver, variables: map[string]map[string]any{}, given: map[string][]string{}}
	if op := graphql.GetOperationContext(ctx).Operation; op != nil {
		h.look(op.SelectionSet, map[string]bool{})
	}
	return next(context.WithValue(ctx, harvestKey{}, h))
}

// look finds what a selection asks of tasks; each fragment is looked at once.
func (h *harvest) look(set ast.SelectionSet, seen map[string]bool) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if s.ObjectDefinition != nil && s.ObjectDefinition.Name == rows.TypeTask {
				h.form = h.form || s.Name == "form"
				h.evidence = h.evidence || s.Name == "evidenceRequired"
			}
			h.look(s.SelectionSet, seen)
		case *ast.InlineFragment:
			h.look(s.SelectionSet, seen)
		case *ast.FragmentSpread:
			if s.Definition != nil && !seen[s.Name] {
				seen[s.Name] = true
				h.look(s.Definition.SelectionSet, seen)
			}
		}
	}
}

// Prefetch lets every query of tasks through c, also the one behind a nested
// list, read ahead what the answer's forms and evidence need. It is called once.
func Prefetch(c *rows.Client) {
	c.Task.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			v, err := next.Query(ctx, q)
			tasks, ok := v.([]*rows.Task)
			h, asked := ctx.Value(harvestKey{}).(*harvest)
			if err != nil || !ok || !asked {
				return v, err
			}
			return v, h.read(ctx, tasks)
		})
	}))
}

// read reads ahead for tasks.
func (h *harvest) read(ctx context.Context, tasks []*rows.Task) error {
	var cases, ids []string
	known := map[string]bool{}
	h.mu.Lock()
	for _, t := range tasks {
		if _, have := h.variables[t.CaseID]; h.form && t.CaseID != "" && !have && !known[t.CaseID] {
			cases, known[t.CaseID] = append(cases, t.CaseID), true
		}
		if _, have := h.given[t.ID]; h.evidence && !have {
			ids = append(ids, t.ID)
		}
	}
	h.mu.Unlock()
	if len(cases) > 0 {
		found, err := h.resolver.Cases.Variables(ctx, cases)
		if err != nil {
			return err
		}
		keep(&h.mu, h.variables, cases, found)
	}
	if len(ids) > 0 {
		found, err := h.resolver.Cases.EvidenceGiven(ctx, ids)
		if err != nil {
			return err
		}
		keep(&h.mu, h.given, ids, found)
	}
	return nil
}

// keep stores what was found for keys; what was not found is kept as empty.
func keep[V any](mu *sync.Mutex, into map[string]V, keys []string, found map[string]V) {
	mu.Lock()
	defer mu.Unlock()
	for _, k := range keys {
		into[k] = found[k]
	}
}

// ofTask returns what was read ahead for a task, reading it now if it was not.
func (h *harvest) ofTask(ctx context.Context, t *rows.Task) (variables map[string]any, given []string, err error) {
	if err := h.read(ctx, []*rows.Task{t}); err != nil {
		return nil, nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.variables[t.CaseID], h.given[t.ID], nil
}

// holds reports whether the viewer is qualified for a kind of work now; all his
// qualifications are read at the first question.
func (h *harvest) holds(ctx context.Context, kind string) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.qualified == nil {
		found, err := h.resolver.Workforce.Qualifications(ctx, access.From(ctx).StaffID, h.resolver.TimeSource.Now())
		if err != nil {
			return false, err
		}
		h.qualified = found
	}
	return h.qualified[kind], nil
}

// harvestOf returns the harvest of an answer.
func harvestOf(ctx context.Context) (*harvest, error) {
	h, ok := ctx.Value(harvestKey{}).(*harvest)
	if !ok {
		return nil, fmt.Errorf("the transport runs without extension %s", Loading{}.ExtensionName())
	}
	return h, nil
}
