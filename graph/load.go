package graph

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"entgo.io/ent"
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	rows "github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/execution"
)

// A task's form and evidence, and how a case's clocks were moved, need rows that
// are not the task's or the case's own. They are read in one statement for all
// tasks or cases of a query, whatever lists these stand in, as soon as the tasks
// or cases are: see Prefetch.

// harvest is what has been read ahead for one answer.
type harvest struct {
	resolver *Resolver
	form     bool // the operation asks for forms
	evidence bool // and for evidence
	moves    bool // and for how clocks were moved

	mu        sync.Mutex
	variables map[string]map[string]any          // by case id
	given     map[string][]string                // by task id: kinds of evidence
	moved     map[string][]*execution.MovedClock // by case id
	qualified map[string]bool                    // kinds the viewer holds; nil until asked for
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
	h := &harvest{resolver: l.Resolver}
	h.forget()
	if op := graphql.GetOperationContext(ctx).Operation; op != nil {
		h.look(op.SelectionSet, map[string]bool{})
	}
	return next(context.WithValue(ctx, harvestKey{}, h))
}

// forget drops what was read ahead, because a mutation may have changed it.
func (h *harvest) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.variables, h.given, h.moved, h.qualified = map[string]map[string]any{}, map[string][]string{}, map[string][]*execution.MovedClock{}, nil
}

// change runs a mutation: what it reads itself is not read ahead for, and what
// was read ahead before it is forgotten.
func change[I, O any](ctx context.Context, in I, call func(context.Context, I) (O, error)) (O, error) {
	if h, ok := ctx.Value(harvestKey{}).(*harvest); ok {
		defer h.forget()
	}
	return call(context.WithValue(ctx, harvestKey{}, nil), in)
}

// look finds what a selection asks of tasks and cases; each fragment is looked at once.
func (h *harvest) look(set ast.SelectionSet, seen map[string]bool) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if s.ObjectDefinition != nil && s.ObjectDefinition.Name == rows.TypeTask {
				h.form = h.form || s.Name == "form"
				h.evidence = h.evidence || s.Name == "evidenceRequired"
			}
			h.moves = h.moves || s.Name == "movedClocks"
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

// Prefetch lets every query of tasks and cases through c, also the one behind a
// nested list, read ahead what the answer needs of them. It is called once.
func Prefetch(c *rows.Client) {
	c.Task.Intercept(ahead((*harvest).readTasks))
	c.ServiceCase.Intercept(ahead((*harvest).readCases))
}

// CountIfAsked keeps queries through c from counting a whole list for a page of it
// whose total nobody asked for: the page's own flags follow from one row more than
// it shows. It is called once.
func CountIfAsked(c *rows.Client) {
	c.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			if about := ent.QueryFromContext(ctx); about != nil && about.Op == ent.OpQueryCount && pageOnly(ctx, about.Type) {
				return 1, nil // "some": ent then looks at the page
			}
			return next.Query(ctx, q)
		})
	}))
}

// pageOnly reports whether the field being answered is a list of an entity of which
// some rows are asked for and no total.
func pageOnly(ctx context.Context, entity string) bool {
	fc := graphql.GetFieldContext(ctx)
	if fc == nil || fc.Field.Field == nil || fc.Field.Definition == nil || fc.Field.Definition.Type.Name() != entity+"Connection" {
		return false
	}
	for _, name := range []string{"first", "last"} {
		if n, ok := fc.Args[name].(*int); ok && n != nil && *n == 0 {
			return false
		}
	}
	rows := false
	for _, f := range graphql.CollectFields(graphql.GetOperationContext(ctx), fc.Field.Selections, nil) {
		switch f.Alias {
		case "totalCount":
			return false
		case "edges":
			rows = true
		}
	}
	return rows
}

// ahead lets a query read ahead for the rows it has found.
func ahead[T any](read func(*harvest, context.Context, []*T) error) ent.Interceptor {
	return ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			v, err := next.Query(ctx, q)
			found, ok := v.([]*T)
			h, asked := ctx.Value(harvestKey{}).(*harvest)
			if err != nil || !ok || !asked {
				return v, err
			}
			return v, read(h, ctx, found)
		})
	})
}

// readTasks reads ahead for tasks.
func (h *harvest) readTasks(ctx context.Context, tasks []*rows.Task) error {
	var cases, ids []string
	for _, t := range tasks {
		if h.form && t.CaseID != "" {
			cases = append(cases, t.CaseID)
		}
		if h.evidence {
			ids = append(ids, t.ID)
		}
	}
	if err := load(ctx, &h.mu, h.variables, cases, h.resolver.Cases.Variables); err != nil {
		return err
	}
	return load(ctx, &h.mu, h.given, ids, h.resolver.Cases.EvidenceGiven)
}

// readCases reads ahead for cases.
func (h *harvest) readCases(ctx context.Context, cases []*rows.ServiceCase) error {
	if !h.moves {
		return nil
	}
	ids := make([]string, len(cases))
	for i, c := range cases {
		ids[i] = c.ID
	}
	return load(ctx, &h.mu, h.moved, ids, h.resolver.Cases.Moved)
}

// load reads what into lacks of keys; what is not found is kept as empty.
func load[V any](ctx context.Context, mu *sync.Mutex, into map[string]V, keys []string, read func(context.Context, []string) (map[string]V, error)) error {
	mu.Lock()
	keys = slices.DeleteFunc(keys, func(k string) bool { _, have := into[k]; return have })
	mu.Unlock()
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	found, err := read(ctx, slices.Compact(keys))
	if err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	for _, k := range keys {
		into[k] = found[k]
	}
	return nil
}

// ofTask returns what was read ahead for a task, reading it now if it was not.
func (h *harvest) ofTask(ctx context.Context, t *rows.Task) (variables map[string]any, given []string, err error) {
	if err := h.readTasks(ctx, []*rows.Task{t}); err != nil {
		return nil, nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.variables[t.CaseID], h.given[t.ID], nil
}

// movesOf returns what was read ahead for a case, reading it now if it was not.
func (h *harvest) movesOf(ctx context.Context, c *rows.ServiceCase) ([]*execution.MovedClock, error) {
	if err := h.readCases(ctx, []*rows.ServiceCase{c}); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.moved[c.ID]; m != nil {
		return m, nil
	}
	return []*execution.MovedClock{}, nil
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
