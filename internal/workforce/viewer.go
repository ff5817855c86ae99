package workforce

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/absence"
	"github.com/openspms/spms/ent/apitoken"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/roleassignment"
	"github.com/openspms/spms/ent/staff"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// Viewer returns the rights of the person of a code at an instant. An unknown
// or inactive person is unauthenticated: STAFF_UNKNOWN.
func (r *Room) Viewer(ctx context.Context, code string, at time.Time) (*access.Viewer, error) {
	p, err := r.person(ctx, "code "+code, staff.Code(code))
	return p.viewer(at, err)
}

// ViewerByID is Viewer by the person's id.
func (r *Room) ViewerByID(ctx context.Context, staffID string, at time.Time) (*access.Viewer, error) {
	p, err := r.person(ctx, "id "+staffID, staff.ID(staffID))
	return p.viewer(at, err)
}

// ViewerByToken returns the rights of the person that a token stands for. A
// token that is unknown, revoked or past its time is unauthenticated:
// TOKEN_INVALID, whichever it is.
func (r *Room) ViewerByToken(ctx context.Context, secret string, at time.Time) (*access.Viewer, error) {
	refused := fault.E(fault.Unauthenticated, "TOKEN_INVALID")
	if !strings.HasPrefix(secret, tokenPrefix) {
		return nil, refused
	}
	t, err := r.token(ctx, hashOf(secret))
	if ent.IsNotFound(err) {
		return nil, refused
	}
	if err != nil {
		return nil, fmt.Errorf("look up a token: %w", err)
	}
	if t.RevokedAt != nil || (t.ExpiresAt != nil && !at.Before(*t.ExpiresAt)) {
		return nil, refused
	}
	return r.ViewerByID(ctx, t.StaffID, at)
}

// person is what is kept of someone: all grants, whenever they are valid.
type person struct {
	id, code, name string
	active         bool
	grants         []access.Grant
	absences       []*ent.Absence // in which he stands in for others
}

// viewer narrows a person to what holds at an instant; err is that of finding him.
func (p *person) viewer(at time.Time, err error) (*access.Viewer, error) {
	if ent.IsNotFound(err) || (err == nil && !p.active) {
		return nil, fault.E(fault.Unauthenticated, "STAFF_UNKNOWN")
	}
	if err != nil {
		return nil, fmt.Errorf("look up a person: %w", err)
	}
	v := &access.Viewer{StaffID: p.id, Code: p.code, Name: p.name}
	for _, g := range p.grants {
		if !at.Before(g.From) && (g.To.IsZero() || at.Before(g.To)) {
			v.Grants = append(v.Grants, g)
		}
	}
	for _, a := range p.absences {
		if !at.Before(a.StartsAt) && at.Before(a.EndsAt) {
			v.Absent = append(v.Absent, a.StaffID)
		}
	}
	return v, nil
}

func (r *Room) person(ctx context.Context, key string, where predicate.Staff) (*person, error) {
	return kept(r.people, r.people.persons, key, r.door.Clock.Now(), func() (*person, error) {
		ctx := access.Elevated(ctx)
		row, err := r.door.Store.Client().Staff.Query().Where(where).Only(ctx)
		if err != nil {
			return nil, err
		}
		roles, err := r.door.Store.Client().RoleAssignment.Query().Where(roleassignment.StaffID(row.ID)).
			Order(roleassignment.ByValidFrom(), roleassignment.ByID()).All(ctx)
		if err != nil {
			return nil, err
		}
		away, err := r.door.Store.Client().Absence.Query().Where(absence.DeputyID(row.ID), absence.EndsAtGT(r.door.Clock.Now())).
			Order(absence.ByStartsAt()).All(ctx)
		if err != nil {
			return nil, err
		}
		p := &person{id: row.ID, code: row.Code, name: row.Name, active: row.Active, absences: away}
		for _, a := range roles {
			p.grants = append(p.grants, access.Grant{Role: access.Role(a.Role), RegionPath: a.RegionPath, From: a.ValidFrom, To: deref(a.ValidTo)})
		}
		return p, nil
	})
}

func (r *Room) token(ctx context.Context, hash string) (*ent.APIToken, error) {
	return kept(r.people, r.people.tokens, hash, r.door.Clock.Now(), func() (*ent.APIToken, error) {
		return r.door.Store.Client().APIToken.Query().Where(apitoken.Hash(hash)).Only(access.Elevated(ctx))
	})
}

// keepFor bounds how long a change that this node has not heard of stays unseen.
const keepFor = 2 * time.Second

// directory keeps people and tokens that have asked lately. A change on this
// node empties it before the change is answered, one on another node as soon as
// it is heard of, and in any case after keepFor.
type directory struct {
	changes <-chan store.Change

	mu      sync.Mutex
	round   uint64 // raised by every emptying; what was read before is not kept
	since   time.Time
	persons map[string]*person
	tokens  map[string]*ent.APIToken
}

func newDirectory(changes <-chan store.Change) *directory {
	return &directory{changes: changes, persons: map[string]*person{}, tokens: map[string]*ent.APIToken{}}
}

// drop empties the directory.
func (d *directory) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.empty()
}

func (d *directory) empty() {
	d.round++
	clear(d.persons)
	clear(d.tokens)
}

// refresh empties the directory when something has changed or it is too old.
func (d *directory) refresh(now time.Time) {
	if age := now.Sub(d.since); age > keepFor || age < 0 {
		d.since = now
		d.empty()
	}
	for {
		select {
		case c := <-d.changes:
			if c.Kind == "staff" || c.Kind == store.Lost {
				d.empty()
			}
		default:
			return
		}
	}
}

// kept returns the value of a key, reading it when it is not there. What was
// read while the directory was emptied is answered but not kept.
func kept[T any](d *directory, m map[string]*T, key string, now time.Time, read func() (*T, error)) (*T, error) {
	d.mu.Lock()
	d.refresh(now)
	v, ok := m[key]
	round := d.round
	d.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := read()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.round == round {
		m[key] = v
	}
	return v, nil
}
