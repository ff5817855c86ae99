// Package workforce keeps the organisation: regions, units, people with their
// roles and qualifications, pools and API tokens, and tells who a person is when
// he asks. Its main type is Room. It must not know cases, tasks or standards.
package workforce

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/staff"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// Room keeps the organisation. It is safe for concurrent use.
type Room struct {
	door   *command.Door
	people *directory
}

// New returns the room.
func New(door *command.Door) *Room {
	return &Room{door: door, people: newDirectory(door.Store.Subscribe(context.Background()))}
}

// codeShape is what a code may look like: it becomes part of paths and addresses.
var codeShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func checkCode(code string) error {
	if codeShape.MatchString(code) {
		return nil
	}
	return fault.E(fault.Invalid, "CODE_INVALID", fault.P("code", code)).At("input", "code")
}

// create runs save and says a taken code or a violated key in our words.
func create[T any](save func() (T, error), code, value string) (T, error) {
	row, err := save()
	if ent.IsConstraintError(err) {
		return row, taken(code, value)
	}
	if _, ours := errors.AsType[*fault.Error](err); err != nil && !ours {
		err = fmt.Errorf("create a row: %w", err)
	}
	return row, err
}

// taken says that a code is in use. Codes are unique over all regions, so this
// also tells of rows the viewer does not see; codes are no secret.
func taken(code, value string) error {
	return fault.E(fault.Conflict, code, fault.P("code", value)).At("input", "code")
}

// notFound turns ent's error for a missing (or invisible) row into ours.
func notFound(err error, code, id, field string) error {
	if ent.IsNotFound(err) {
		return fault.E(fault.NotFound, code, fault.P("id", id)).At("input", field)
	}
	return fmt.Errorf("read a row: %w", err)
}

// regionOf reads a region by id or code under the viewer's limits.
func regionOf(ctx context.Context, u *command.Unit, ref, field string) (*ent.Region, error) {
	row, err := u.Region.Query().Where(store.RegionRef(ref)).Only(ctx)
	if err != nil {
		return nil, notFound(err, "REGION_NOT_FOUND", ref, field)
	}
	return row, nil
}

// staffOf reads a person under the viewer's limits; two commands on one person
// run one after the other.
func staffOf(ctx context.Context, u *command.Unit, id string) (*ent.Staff, error) {
	row, err := u.Staff.Query().Where(staff.ID(id)).Only(store.Locking(ctx))
	if err != nil {
		return nil, notFound(err, "STAFF_NOT_FOUND", id, "staffID")
	}
	return row, nil
}

// changed drops what is kept of people on this node as soon as the command is
// on disk, and tells the other nodes.
func (r *Room) changed(u *command.Unit, staffID, path string) {
	u.AfterCommit(r.people.drop)
	u.Changed(store.Change{Kind: "staff", ID: staffID, RegionPath: path})
}

// harmless are the actions that a keeper of staff gives without having them:
// work on cases is done by other people than those who appoint them.
var harmless = []access.Action{access.WorkTask, access.StartCase, access.SendMessage}

// excess returns the actions of a role that the viewer does not have in a
// region: nobody gives, ends or impersonates more than he has, but for work.
func excess(v *access.Viewer, role, path string) []string {
	var out []string
	d, _ := access.Lookup(access.Role(role))
	for _, a := range d.May {
		if !v.May(a, path) && !slices.Contains(harmless, a) {
			out = append(out, string(a))
		}
	}
	return out
}

// instant is *t as it is stored: UTC and in microseconds; otherwise when t is nil.
func instant(t *time.Time, otherwise time.Time) time.Time {
	if t == nil {
		return otherwise
	}
	return t.UTC().Truncate(time.Microsecond)
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
