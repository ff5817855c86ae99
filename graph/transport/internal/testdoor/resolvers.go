// Package testdoor is a small GraphQL schema with resolvers, for the tests of
// the door alone: pages and lists of any size, a filter that nests, input with
// rules, every way to fail, and streams. It must not know the product.
package testdoor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/fault"
)

//go:generate go run github.com/99designs/gqlgen generate

// New returns the schema with its resolvers.
func New() graphql.ExecutableSchema { return NewExecutableSchema(Config{Resolvers: resolvers{}}) }

type resolvers struct{}

func (resolvers) Mutation() MutationResolver         { return root{} }
func (resolvers) Query() QueryResolver               { return root{} }
func (resolvers) Region() RegionResolver             { return regions{} }
func (resolvers) Staff() StaffResolver               { return staff{} }
func (resolvers) Subscription() SubscriptionResolver { return root{} }

// root resolves the fields of all three operations.
type root struct{}

// CreateStaff checks its input and gives the refusals back in the payload.
func (root) CreateStaff(ctx context.Context, input CreateStaffInput) (*CreateStaffPayload, error) {
	rules := struct {
		Name   string `json:"name" validate:"required,max=5"`
		Skills []struct {
			Code string `json:"code" validate:"oneof=fibre copper"`
		} `json:"skills" validate:"max=3,dive"`
	}{Name: input.Name}
	for _, s := range input.Skills {
		rules.Skills = append(rules.Skills, struct {
			Code string `json:"code" validate:"oneof=fibre copper"`
		}{s.Code})
	}
	refused, err := problem.Payload(ctx, problem.Validate(ctx, rules))
	if err != nil {
		return nil, err
	}
	out := &CreateStaffPayload{UserErrors: []*UserError{}}
	for _, u := range refused {
		out.UserErrors = append(out.UserErrors, &UserError{Code: u.Code, Message: u.Message, Path: u.Path})
	}
	if len(refused) == 0 {
		out.Staff = &Staff{ID: "s1", Name: input.Name, Role: input.Role, Skills: []*Skill{}}
	}
	return out, nil
}

func (root) Region(_ context.Context, id string) (*Region, error) {
	return &Region{ID: id, Name: "区域 " + id}, nil
}

func (root) Regions(_ context.Context, first, last *int, _ *StaffWhere) (*RegionConnection, error) {
	return page(first, last), nil
}

func (root) At(_ context.Context, at time.Time) (*string, error) {
	s := at.UTC().Format(time.RFC3339)
	return &s, nil
}

// Fail fails in the way it is told.
func (root) Fail(ctx context.Context, how string) (*string, error) {
	switch how {
	case "fault":
		return nil, fault.E(fault.NotFound, "PAGE_SIZE_INVALID", fault.P("got", -3)).Because(errors.New("SELECT secret")).At("input", "first")
	case "unavailable":
		return nil, fmt.Errorf("commit: %w", fault.E(fault.Unavailable, "STREAMS_EXHAUSTED", fault.P("limit", 1)))
	case "internal":
		return nil, fault.E(fault.Internal, "INTERNAL").Because(errors.New("SELECT secret FROM staff"))
	case "foreign":
		return nil, errors.New("ent: constraint failed: SELECT secret FROM staff")
	case "panic":
		panic("secret")
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	case "null":
		return nil, nil
	default:
		return &how, nil
	}
}

// FailHard does the same where null is not allowed.
func (r root) FailHard(ctx context.Context, how string) (string, error) {
	s, err := r.Fail(ctx, how)
	if err != nil {
		return "", err
	}
	return *s, nil
}

// Count streams 1 to to; below zero it fails at once, beyond nine when it has come there.
func (root) Count(ctx context.Context, to int) (<-chan int, error) {
	if to < 0 {
		return nil, fault.E(fault.Invalid, "PAGE_SIZE_INVALID", fault.P("got", to))
	}
	out := make(chan int)
	go func() {
		defer close(out)
		for i := 1; i <= to; i++ {
			if i > 9 {
				problem.End(ctx, fault.E(fault.Invalid, "PAGE_SIZE_INVALID", fault.P("got", i)))
				return
			}
			select {
			case out <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// Wait streams nothing until it is cancelled.
func (root) Wait(ctx context.Context) (<-chan int, error) {
	out := make(chan int)
	go func() {
		defer close(out)
		<-ctx.Done()
	}()
	return out, nil
}

type regions struct{}

func (regions) Parent(_ context.Context, r *Region) (*Region, error) {
	return &Region{ID: r.ID + "p", Name: "上级"}, nil
}

func (regions) Children(_ context.Context, _ *Region, first, last *int) (*RegionConnection, error) {
	return page(first, last), nil
}

func (regions) Staff(_ context.Context, _ *Region, first, last *int, _ *StaffWhere) (*StaffConnection, error) {
	n := size(first, last)
	c := &StaffConnection{PageInfo: &PageInfo{}, TotalCount: n}
	for i := range n {
		c.Edges = append(c.Edges, &StaffEdge{Cursor: "c", Node: &Staff{
			ID: fmt.Sprint("s", i), Name: strings.Repeat("名", 4), Role: RoleEngineer, Skills: []*Skill{{Code: "fibre"}},
		}})
	}
	return c, nil
}

type staff struct{}

func (staff) Region(context.Context, *Staff) (*Region, error) {
	return &Region{ID: "r1", Name: "区域"}, nil
}

func page(first, last *int) *RegionConnection {
	n := size(first, last)
	c := &RegionConnection{PageInfo: &PageInfo{}, TotalCount: n}
	for i := range n {
		id := fmt.Sprint("r", i)
		c.Edges = append(c.Edges, &RegionEdge{Cursor: id, Node: &Region{ID: id, Name: "区域 " + id}})
	}
	return c
}

func size(first, last *int) int {
	switch {
	case first != nil:
		return *first
	case last != nil:
		return *last
	default:
		return 50
	}
}
