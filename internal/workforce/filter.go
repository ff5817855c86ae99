package workforce

import (
	"context"
	"errors"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/qualification"
	"github.com/openspms/spms/ent/roleassignment"
	"github.com/openspms/spms/ent/staff"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// StaffFilter narrows a list of people; what is nil does not narrow. At is the
// instant at which role and qualification must be valid, now when nil.
type StaffFilter struct {
	Role          *string
	RegionID      *string // id or code; with Role: holds it there or below; without: at home or with any role there or below
	Qualification *string // kind
	Active        *bool
	At            *time.Time
}

// StaffWhere returns the predicates of a filter for a query of people. They look
// only at roles and qualifications that the viewer may see, so that a filter
// tells nothing that the list itself would not. Errors: REGION_NOT_FOUND.
func (r *Room) StaffWhere(ctx context.Context, f StaffFilter) ([]predicate.Staff, error) {
	at := instant(f.At, r.door.Clock.Now())
	within, err := r.within(ctx, f.RegionID)
	if err != nil {
		return nil, err
	}
	var out []predicate.Staff
	held := []predicate.RoleAssignment{
		roleassignment.ValidFromLTE(at), roleassignment.Or(roleassignment.ValidToIsNil(), roleassignment.ValidToGT(at)), visible(ctx),
	}
	if within != nil {
		held = append(held, within)
	}
	switch {
	case f.Role != nil:
		out = append(out, staff.HasRolesWith(append(held, roleassignment.Role(*f.Role))...))
	case within != nil:
		out = append(out, staff.Or(within, staff.HasRolesWith(held...)))
	}
	if f.Qualification != nil {
		out = append(out, staff.HasQualificationsWith(qualification.Kind(*f.Qualification),
			qualification.ValidFromLTE(at), qualification.ValidToGT(at), visible(ctx)))
	}
	if f.Active != nil {
		out = append(out, staff.Active(*f.Active))
	}
	return out, nil
}

// within selects rows of a region and below; nil for no region.
func (r *Room) within(ctx context.Context, regionID *string) (func(*sql.Selector), error) {
	if regionID == nil {
		return nil, nil
	}
	row, err := r.door.Store.Client().Region.Query().Where(store.RegionRef(*regionID)).Only(ctx)
	if err != nil {
		e := notFound(err, "REGION_NOT_FOUND", *regionID, "regionID")
		if f, ok := errors.AsType[*fault.Error](e); ok {
			return nil, f.At("regionID")
		}
		return nil, e
	}
	return store.Within([]string{row.RegionPath}), nil
}

// visible selects the rows of people that the viewer may see.
func visible(ctx context.Context) func(*sql.Selector) {
	return func(s *sql.Selector) {
		if access.IsElevated(ctx) {
			return
		}
		v := access.From(ctx)
		own := ""
		if v != nil {
			own = v.StaffID
		}
		s.Where(sql.Or(store.Inside(s, v.Regions(access.ReadStaff)), sql.EQ(s.C("staff_id"), own)))
	}
}
