package workforce

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/qualification"
	"github.com/openspms/spms/ent/roleassignment"
	"github.com/openspms/spms/ent/staff"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// CreateStaff adds a person to a region. It returns the person's id. Errors:
// CODE_INVALID, REGION_NOT_FOUND, ORG_UNIT_NOT_FOUND, ORG_UNIT_OTHER_REGION,
// STAFF_CODE_TAKEN.
func (r *Room) CreateStaff(ctx context.Context, in CreateStaff) (string, error) {
	if err := checkCode(in.Code); err != nil {
		return "", err
	}
	cmd := command.Command{Operation: "createStaff", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		reg, err := regionOf(ctx, u, in.RegionID, "regionID")
		if err != nil {
			return "", err
		}
		if err := u.Require(access.KeepStaff, reg.RegionPath); err != nil {
			return "", err
		}
		exists, err := u.Staff.Query().Where(staff.Code(in.Code)).Exist(access.Elevated(ctx))
		if err != nil {
			return "", fmt.Errorf("look up a person: %w", err)
		}
		if exists {
			return "", taken("STAFF_CODE_TAKEN", in.Code)
		}
		c := u.Staff.Create().SetCode(in.Code).SetName(in.Name).
			SetRegionID(reg.ID).SetRegionPath(reg.RegionPath).SetCreatedAt(u.Now)
		if in.OrgUnitID != nil {
			if err := unitFits(ctx, u, *in.OrgUnitID, reg.RegionPath); err != nil {
				return "", err
			}
			c.SetOrgUnitID(*in.OrgUnitID)
		}
		row, err := create(func() (*ent.Staff, error) { return c.Save(ctx) }, "STAFF_CODE_TAKEN", in.Code)
		if err != nil {
			return "", err
		}
		u.On(row.ID, reg.RegionPath)
		r.changed(u, row.ID, reg.RegionPath)
		return row.ID, nil
	})
}

// unitFits refuses a unit that is not visible or lies on another branch of the
// regions than the person.
func unitFits(ctx context.Context, u *command.Unit, unitID, path string) error {
	unit, err := unitOf(ctx, u, unitID, "orgUnitID")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(path, unit.RegionPath) && !strings.HasPrefix(unit.RegionPath, path) {
		return fault.E(fault.Invalid, "ORG_UNIT_OTHER_REGION", fault.P("code", unit.Code)).At("input", "orgUnitID")
	}
	return nil
}

// UpdateStaff changes a person's name, unit or whether he is active; who is not
// active has no rights. It returns the person's id. Errors: STAFF_NOT_FOUND,
// ORG_UNIT_NOT_FOUND, ORG_UNIT_OTHER_REGION.
func (r *Room) UpdateStaff(ctx context.Context, in UpdateStaff) (string, error) {
	cmd := command.Command{Operation: "updateStaff", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		row, err := staffOf(ctx, u, in.StaffID)
		if err != nil {
			return "", err
		}
		u.On(row.ID, row.RegionPath)
		if err := u.Require(access.KeepStaff, row.RegionPath); err != nil {
			return "", err
		}
		upd := u.Staff.UpdateOne(row).SetNillableName(in.Name).SetNillableActive(in.Active)
		switch {
		case in.OrgUnitID == nil:
		case *in.OrgUnitID == "":
			upd.ClearOrgUnit()
		default:
			if err := unitFits(ctx, u, *in.OrgUnitID, row.RegionPath); err != nil {
				return "", err
			}
			upd.SetOrgUnitID(*in.OrgUnitID)
		}
		if in.Active != nil && *in.Active != row.Active {
			if err := withinOwn(ctx, u, row.ID, "STAFF_EXCEEDS_OWN"); err != nil {
				return "", err
			}
			u.Note("active", *in.Active)
		}
		if err := upd.Exec(ctx); err != nil {
			return "", fmt.Errorf("write the person: %w", err)
		}
		r.changed(u, row.ID, row.RegionPath)
		return row.ID, nil
	})
}

// withinOwn refuses with code when the person holds, now or later, a role with
// an action that the viewer does not have in its region.
func withinOwn(ctx context.Context, u *command.Unit, staffID, code string) error {
	held, err := u.RoleAssignment.Query().Where(roleassignment.StaffID(staffID),
		roleassignment.Or(roleassignment.ValidToIsNil(), roleassignment.ValidToGT(u.Now))).All(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("read the roles: %w", err)
	}
	for _, a := range held {
		if more := excess(u.Viewer, a.Role, a.RegionPath); len(more) > 0 {
			return fault.E(fault.Forbidden, code, fault.P("role", a.Role), fault.P("region", a.RegionPath),
				fault.P("actions", more)).At("input", "staffID")
		}
	}
	return nil
}

// AssignRole gives a person a role in a region and below it, from an instant
// and, if given, before another. Nobody gives a role that may do more there than
// he may himself. It returns the assignment's id. Errors: ROLE_UNKNOWN,
// REGION_NOT_FOUND, STAFF_NOT_FOUND, STAFF_INACTIVE, ROLE_EXCEEDS_OWN,
// ROLE_INTERVAL_EMPTY, ROLE_OVERLAP.
func (r *Room) AssignRole(ctx context.Context, in AssignRole) (string, error) {
	if err := knownRole(in.Role); err != nil {
		return "", err
	}
	cmd := command.Command{Operation: "assignRole", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		reg, err := regionOf(ctx, u, in.RegionID, "regionID")
		if err != nil {
			return "", err
		}
		u.On(in.StaffID, reg.RegionPath)
		if err := u.Require(access.AssignRole, reg.RegionPath); err != nil {
			return "", err
		}
		person, err := staffOf(ctx, u, in.StaffID)
		if err != nil {
			return "", err
		}
		if !person.Active {
			return "", fault.E(fault.Precondition, "STAFF_INACTIVE", fault.P("code", person.Code)).At("input", "staffID")
		}
		if err := mayGive(u, in.Role, reg.RegionPath, "role"); err != nil {
			return "", err
		}
		from := instant(in.ValidFrom, u.Now)
		if err := freeInterval(ctx, u, in, reg.ID, from); err != nil {
			return "", err
		}
		c := u.RoleAssignment.Create().SetStaffID(person.ID).SetRole(in.Role).SetRegionID(reg.ID).
			SetRegionPath(reg.RegionPath).SetValidFrom(from).SetCreatedAt(u.Now)
		if in.ValidTo != nil {
			c.SetValidTo(instant(in.ValidTo, from))
		}
		row, err := c.Save(ctx)
		if err != nil {
			return "", fmt.Errorf("create the role: %w", err)
		}
		u.Note("role", in.Role)
		u.Note("assignment", row.ID)
		r.changed(u, person.ID, reg.RegionPath)
		return row.ID, nil
	})
}

// mayGive refuses a role with an action that the viewer does not have there.
func mayGive(u *command.Unit, role, path, field string) error {
	if more := excess(u.Viewer, role, path); len(more) > 0 {
		return fault.E(fault.Forbidden, "ROLE_EXCEEDS_OWN", fault.P("role", role), fault.P("region", path),
			fault.P("actions", more)).At("input", field)
	}
	return nil
}

// freeInterval refuses an empty interval and one that meets another of the same
// person, role and region. The person's row is locked by now.
func freeInterval(ctx context.Context, u *command.Unit, in AssignRole, regionID string, from time.Time) error {
	if in.ValidTo != nil && !from.Before(instant(in.ValidTo, from)) {
		return fault.E(fault.Invalid, "ROLE_INTERVAL_EMPTY", fault.P("from", from), fault.P("to", in.ValidTo.UTC())).At("input", "validTo")
	}
	q := u.RoleAssignment.Query().Where(roleassignment.StaffID(in.StaffID), roleassignment.Role(in.Role), roleassignment.RegionID(regionID),
		roleassignment.Or(roleassignment.ValidToIsNil(), roleassignment.ValidToGT(from)))
	if in.ValidTo != nil {
		q.Where(roleassignment.ValidFromLT(instant(in.ValidTo, from)))
	}
	rows, err := q.All(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("read the roles: %w", err)
	}
	for _, row := range rows {
		if row.ValidTo == nil || row.ValidFrom.Before(*row.ValidTo) { // an assignment ended before it began holds nothing
			return fault.E(fault.Conflict, "ROLE_OVERLAP", fault.P("role", in.Role), fault.P("id", row.ID)).At("input", "validFrom")
		}
	}
	return nil
}

// EndRole ends a role at an instant, now when none is given; a role that has not
// begun is never held then. Who could not give the role does not end it. It
// returns the assignment's id. Errors: ROLE_ASSIGNMENT_NOT_FOUND,
// ROLE_EXCEEDS_OWN, ROLE_ENDED, ROLE_END_IN_PAST.
func (r *Room) EndRole(ctx context.Context, in EndRole) (string, error) {
	cmd := command.Command{Operation: "endRole", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		row, err := u.RoleAssignment.Query().Where(roleassignment.ID(in.AssignmentID)).Only(store.Locking(ctx))
		if err != nil {
			return "", notFound(err, "ROLE_ASSIGNMENT_NOT_FOUND", in.AssignmentID, "assignmentID")
		}
		u.On(row.StaffID, row.RegionPath)
		if err := u.Require(access.AssignRole, row.RegionPath); err != nil {
			return "", err
		}
		if err := mayGive(u, row.Role, row.RegionPath, "assignmentID"); err != nil {
			return "", err
		}
		at := instant(in.At, u.Now)
		switch {
		case at.Before(u.Now):
			return "", fault.E(fault.Invalid, "ROLE_END_IN_PAST", fault.P("at", at)).At("input", "at")
		case row.ValidTo != nil && !at.Before(*row.ValidTo):
			return "", fault.E(fault.Precondition, "ROLE_ENDED", fault.P("at", *row.ValidTo)).At("input", "assignmentID")
		case at.Before(row.ValidFrom):
			at = row.ValidFrom
		}
		if err := u.RoleAssignment.UpdateOne(row).SetValidTo(at).Exec(ctx); err != nil {
			return "", fmt.Errorf("end the role: %w", err)
		}
		u.Note("role", row.Role)
		u.Note("assignment", row.ID)
		r.changed(u, row.StaffID, row.RegionPath)
		return row.ID, nil
	})
}

// GrantQualification records a certificate of a person with its validity. It
// returns the qualification's id. Errors: STAFF_NOT_FOUND,
// QUALIFICATION_INTERVAL_EMPTY.
func (r *Room) GrantQualification(ctx context.Context, in GrantQualification) (string, error) {
	from, to := instant(&in.ValidFrom, time.Time{}), instant(&in.ValidTo, time.Time{})
	if !from.Before(to) {
		return "", fault.E(fault.Invalid, "QUALIFICATION_INTERVAL_EMPTY", fault.P("from", from), fault.P("to", to)).At("input", "validTo")
	}
	cmd := command.Command{Operation: "grantQualification", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		person, err := staffOf(ctx, u, in.StaffID)
		if err != nil {
			return "", err
		}
		u.On(person.ID, person.RegionPath)
		if err := u.Require(access.Qualify, person.RegionPath); err != nil {
			return "", err
		}
		row, err := u.Qualification.Create().SetStaffID(person.ID).SetKind(in.Kind).SetNumber(deref(in.Number)).
			SetValidFrom(from).SetValidTo(to).SetRegionID(person.RegionID).SetRegionPath(person.RegionPath).SetCreatedAt(u.Now).Save(ctx)
		if err != nil {
			return "", fmt.Errorf("create the qualification: %w", err)
		}
		u.Note("kind", in.Kind)
		u.Note("qualification", row.ID)
		return row.ID, nil
	})
}

// RevokeQualification ends a certificate now; one that has not begun is never
// valid then. It returns the qualification's id. Errors:
// QUALIFICATION_NOT_FOUND, QUALIFICATION_OVER.
func (r *Room) RevokeQualification(ctx context.Context, in RevokeQualification) (string, error) {
	cmd := command.Command{Operation: "revokeQualification", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		row, err := u.Qualification.Query().Where(qualification.ID(in.QualificationID)).Only(store.Locking(ctx))
		if err != nil {
			return "", notFound(err, "QUALIFICATION_NOT_FOUND", in.QualificationID, "qualificationID")
		}
		u.On(row.StaffID, row.RegionPath)
		if err := u.Require(access.Qualify, row.RegionPath); err != nil {
			return "", err
		}
		at := u.Now
		if at.Before(row.ValidFrom) {
			at = row.ValidFrom
		}
		if !at.Before(row.ValidTo) {
			return "", fault.E(fault.Precondition, "QUALIFICATION_OVER", fault.P("at", row.ValidTo)).At("input", "qualificationID")
		}
		if err := u.Qualification.UpdateOne(row).SetValidTo(at).Exec(ctx); err != nil {
			return "", fmt.Errorf("end the qualification: %w", err)
		}
		u.Note("qualification", row.ID)
		u.Note("reason", in.Reason)
		return row.ID, nil
	})
}

// Qualified reports whether a person holds a qualification of a kind that is
// valid at an instant; client is the reading client or that of the running command.
func (r *Room) Qualified(ctx context.Context, client *ent.Client, staffID, kind string, at time.Time) (bool, error) {
	ok, err := client.Qualification.Query().Where(qualification.StaffID(staffID), qualification.Kind(kind),
		qualification.ValidFromLTE(at), qualification.ValidToGT(at)).Exist(access.Elevated(ctx))
	if err != nil {
		return false, fmt.Errorf("look up a qualification: %w", err)
	}
	return ok, nil
}

// Qualifications returns the kinds of which a person holds a qualification that
// is valid at an instant.
func (r *Room) Qualifications(ctx context.Context, staffID string, at time.Time) (map[string]bool, error) {
	kinds, err := r.door.Store.Client().Qualification.Query().
		Where(qualification.StaffID(staffID), qualification.ValidFromLTE(at), qualification.ValidToGT(at)).
		Select(qualification.FieldKind).Strings(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the qualifications of a person: %w", err)
	}
	out := map[string]bool{}
	for _, k := range kinds {
		out[k] = true
	}
	return out, nil
}
