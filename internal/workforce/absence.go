package workforce

import (
	"context"
	"fmt"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/absence"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/qualification"
	"github.com/openspms/spms/ent/roleassignment"
	"github.com/openspms/spms/ent/staff"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
)

// RecordAbsence lets a deputy stand in for a person for a time. A person enters his
// own absences, who keeps staff those of others. The deputy belongs to the region
// of the person or one above or below it. It returns the id. Errors:
// STAFF_NOT_FOUND, ABSENCE_INTERVAL, ABSENCE_DEPUTY, ABSENCE_OVERLAPS.
func (r *Room) RecordAbsence(ctx context.Context, in RecordAbsence) (string, error) {
	cmd := command.Command{Operation: "recordAbsence", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		who, err := r.ownOrKept(ctx, u, in.StaffID)
		if err != nil {
			return "", err
		}
		from := u.Now
		if in.StartsAt != nil {
			from = *in.StartsAt
		}
		if !in.EndsAt.After(from) || !in.EndsAt.After(u.Now) {
			return "", fault.E(fault.Invalid, "ABSENCE_INTERVAL", fault.P("from", from), fault.P("to", in.EndsAt)).At("input", "endsAt")
		}
		deputy, err := u.Staff.Query().Where(staff.Or(staff.ID(in.DeputyID), staff.Code(in.DeputyID))).Only(access.Elevated(ctx))
		if ent.IsNotFound(err) || err == nil && (deputy.ID == who.ID || !deputy.Active || !sameBranch(deputy.RegionPath, who.RegionPath)) {
			return "", fault.E(fault.Invalid, "ABSENCE_DEPUTY", fault.P("deputy", in.DeputyID)).At("input", "deputyID")
		}
		if err != nil {
			return "", fmt.Errorf("look up the deputy: %w", err)
		}
		overlaps, err := u.Absence.Query().Where(absence.StaffID(who.ID), absence.EndsAtGT(from), absence.StartsAtLT(in.EndsAt)).Exist(access.Elevated(ctx))
		if err != nil {
			return "", fmt.Errorf("look up absences: %w", err)
		}
		if overlaps {
			return "", fault.E(fault.Conflict, "ABSENCE_OVERLAPS").At("input", "startsAt")
		}
		row, err := u.Absence.Create().SetStaffID(who.ID).SetDeputyID(deputy.ID).SetDeputyCode(deputy.Code).SetDeputyName(deputy.Name).SetStartsAt(from).SetEndsAt(in.EndsAt).SetReason(deref(in.Reason)).
			SetKeptBy(u.Viewer.StaffID).SetRegionID(who.RegionID).SetRegionPath(who.RegionPath).SetCreatedAt(u.Now).Save(ctx)
		if err != nil {
			return "", fmt.Errorf("record the absence: %w", err)
		}
		u.On(row.ID, row.RegionPath)
		u.Note("staff", who.ID)
		u.Note("deputy", deputy.ID)
		r.changed(u, who.ID, who.RegionPath)
		return row.ID, nil
	})
}

// EndAbsence ends an absence now, or takes one back that has not begun. Errors:
// ABSENCE_NOT_FOUND, ABSENCE_ENDED.
func (r *Room) EndAbsence(ctx context.Context, in EndAbsence) (string, error) {
	cmd := command.Command{Operation: "endAbsence", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		row, err := u.Absence.Get(ctx, in.AbsenceID)
		if err != nil {
			return "", notFound(err, "ABSENCE_NOT_FOUND", in.AbsenceID, "absenceID")
		}
		if _, err := r.ownOrKept(ctx, u, row.StaffID); err != nil {
			return "", err
		}
		if !row.EndsAt.After(u.Now) {
			return "", fault.E(fault.Precondition, "ABSENCE_ENDED").At("input", "absenceID")
		}
		end := u.Now
		if row.StartsAt.After(end) {
			end = row.StartsAt // it never was
		}
		if err := u.Absence.UpdateOne(row).SetEndsAt(end).Exec(ctx); err != nil {
			return "", fmt.Errorf("end the absence: %w", err)
		}
		u.On(row.ID, row.RegionPath)
		r.changed(u, row.StaffID, row.RegionPath)
		return row.ID, nil
	})
}

// ownOrKept returns the viewer himself, or a person whom he keeps; the row is locked.
func (r *Room) ownOrKept(ctx context.Context, u *command.Unit, ref string) (*ent.Staff, error) {
	row, err := u.Staff.Query().Where(staff.Or(staff.ID(ref), staff.Code(ref))).Only(ctx)
	if err != nil {
		return nil, notFound(err, "STAFF_NOT_FOUND", ref, "staffID")
	}
	if row.ID != u.Viewer.StaffID {
		if err := u.Require(access.KeepStaff, row.RegionPath); err != nil {
			return nil, err
		}
	}
	return staffOf(access.Elevated(ctx), u, row.ID)
}

// sameBranch reports whether one region path lies above the other.
func sameBranch(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// maxDeputies bounds how long a chain of deputies who are away themselves is followed.
const maxDeputies = 5

// Deputy returns who stands in for a person at an instant: the person himself when
// he is there, else his deputy or, when that one is away too, the deputy's.
func (r *Room) Deputy(ctx context.Context, client *ent.Client, staffID string, at time.Time) (string, error) {
	ctx = access.Elevated(ctx)
	for range maxDeputies {
		row, err := client.Absence.Query().Where(absence.StaffID(staffID), absence.StartsAtLTE(at), absence.EndsAtGT(at)).First(ctx)
		if ent.IsNotFound(err) {
			return staffID, nil
		}
		if err != nil {
			return "", fmt.Errorf("look up an absence: %w", err)
		}
		staffID = row.DeputyID
	}
	return staffID, nil
}

// Candidates returns the active people who hold a role in the region of path and
// every one of some kinds of qualification at an instant, by name; at most limit.
func (r *Room) Candidates(ctx context.Context, client *ent.Client, role, path string, kinds []string, at time.Time, limit int) ([]*ent.Staff, error) {
	var has []predicate.Staff
	for _, kind := range kinds {
		has = append(has, staff.HasQualificationsWith(qualification.Kind(kind), qualification.ValidFromLTE(at), qualification.ValidToGT(at)))
	}
	q := client.Staff.Query().Where(staff.Active(true), staff.HasRolesWith(
		roleassignment.Role(role), roleassignment.RegionPathIn(access.Chain(path)...), roleassignment.ValidFromLTE(at),
		roleassignment.Or(roleassignment.ValidToIsNil(), roleassignment.ValidToGT(at)))).Where(has...)
	rows, err := q.Order(staff.ByName(sql.OrderAsc()), staff.ByID()).Limit(limit).All(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("list candidates: %w", err)
	}
	return rows, nil
}
