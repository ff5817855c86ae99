// Package access says who is asking and what each role may do. Its main type is
// Viewer; the table of roles and actions is fixed and stands in roles.go. The
// package is pure: it knows regions only as paths and no rows at all.
package access

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Action is one thing a viewer may be allowed to do; reads end in ".read".
type Action string

// Role is what a person is in a region, such as technician.
type Role string

// Grant is one role of a viewer in a region and below it.
type Grant struct {
	Role       Role
	RegionPath string // with a slash at the end: CN/CN-HA/
	From       time.Time
	To         time.Time // zero: open
}

// Viewer is who sends a request. The zero Viewer may do nothing.
type Viewer struct {
	StaffID string
	Code    string
	Name    string
	Grants  []Grant  // those valid at the time of the request
	Absent  []string // ids of people he stands in for at that time
	system  bool
}

// System returns the viewer that the server itself acts as (timers, jobs,
// seeding): it may do everything, and audit names it as such.
func System(name string) *Viewer {
	return &Viewer{StaffID: "system:" + name, Code: name, Name: name, system: true}
}

// IsSystem reports whether v is the server itself.
func (v *Viewer) IsSystem() bool { return v != nil && v.system }

// May reports whether v may do a in the region of path.
func (v *Viewer) May(a Action, path string) bool {
	if v == nil {
		return false
	}
	if v.system {
		return true
	}
	return slices.ContainsFunc(v.Grants, func(g Grant) bool {
		return g.Role.Allows(a) && strings.HasPrefix(path, g.RegionPath)
	})
}

// MayAnywhere reports whether v may do a in some region.
func (v *Viewer) MayAnywhere(a Action) bool { return v.IsSystem() || len(v.Regions(a)) > 0 }

// Is reports whether v is the person of an id, or stands in for him.
func (v *Viewer) Is(staffID string) bool {
	return v != nil && (v.StaffID == staffID || slices.Contains(v.Absent, staffID))
}

// Has reports whether v holds role in the region of path.
func (v *Viewer) Has(r Role, path string) bool {
	if v == nil {
		return false
	}
	return slices.ContainsFunc(v.Grants, func(g Grant) bool {
		return g.Role == r && strings.HasPrefix(path, g.RegionPath)
	})
}

// Roles returns the distinct roles of v in order of their names.
func (v *Viewer) Roles() []Role {
	var out []Role
	for _, g := range v.Grants {
		out = append(out, g.Role)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Regions returns the path prefixes under which v may do a, without those that
// lie inside another. The cost is quadratic in the number of grants, a handful.
func (v *Viewer) Regions(a Action) []string {
	if v == nil {
		return nil
	}
	var out []string
	for _, g := range v.Grants {
		if g.Role.Allows(a) {
			out = append(out, g.RegionPath)
		}
	}
	slices.Sort(out)
	return slices.CompactFunc(out, func(inner, outer string) bool { return strings.HasPrefix(inner, outer) })
}

// Above returns the paths of the regions above those of v, from which v reads
// what is published; duplicates are left out.
func (v *Viewer) Above() []string {
	if v == nil {
		return nil
	}
	var out []string
	for _, g := range v.Grants {
		out = append(out, Ancestors(g.RegionPath)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Ancestors returns the paths of the regions above path, the root first.
func Ancestors(path string) []string {
	var out []string
	for i, c := range path {
		if c == '/' && i < len(path)-1 {
			out = append(out, path[:i+1])
		}
	}
	return out
}

// Chain returns Ancestors(path) and path itself.
func Chain(path string) []string { return append(Ancestors(path), path) }

type viewerKey struct{}

// With returns a context in which v is asking.
func With(ctx context.Context, v *Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, v)
}

// From returns who is asking in ctx, nil when nobody is known: then all is denied.
func From(ctx context.Context) *Viewer {
	switch v := ctx.Value(viewerKey{}).(type) {
	case *Viewer:
		return v
	case *renewed:
		return v.now.Load()
	}
	return nil
}

// renewed is a viewer who is asked for again, since what he has begun goes on.
type renewed struct {
	now   atomic.Pointer[Viewer]
	again func(context.Context) (*Viewer, error)
}

// WithRenewal returns a context in which v is asking until Renew finds out that his
// rights have changed or ended: for what goes on longer than a request.
func WithRenewal(ctx context.Context, v *Viewer, again func(context.Context) (*Viewer, error)) context.Context {
	r := &renewed{again: again}
	r.now.Store(v)
	return context.WithValue(ctx, viewerKey{}, r)
}

// Renew finds out again who is asking in ctx, and returns why nobody may any more.
// In a context without renewal nothing changes.
func Renew(ctx context.Context) error {
	r, ok := ctx.Value(viewerKey{}).(*renewed)
	if !ok {
		return nil
	}
	v, err := r.again(ctx)
	if err == nil {
		r.now.Store(v)
	}
	return err
}

// SameRights reports whether two viewers are the same person with the same roles,
// standing in for the same people.
func (v *Viewer) SameRights(o *Viewer) bool {
	same := func(a, b Grant) bool { return a.Role == b.Role && a.RegionPath == b.RegionPath }
	return v.StaffID == o.StaffID && v.system == o.system && slices.EqualFunc(v.Grants, o.Grants, same) && slices.Equal(v.Absent, o.Absent)
}

type asSystemKey struct{}

// Elevated returns a context in which rows are read without the viewer's
// limits, while the viewer stays the one who acts. Rooms use it for what the
// rules of the house need to know (standards in force, idempotency keys), never
// for an answer.
func Elevated(ctx context.Context) context.Context {
	return context.WithValue(ctx, asSystemKey{}, true)
}

// IsElevated reports whether ctx reads without the viewer's limits.
func IsElevated(ctx context.Context) bool {
	e, _ := ctx.Value(asSystemKey{}).(bool)
	return e || From(ctx).IsSystem()
}
