package standard

import (
	"context"
	"fmt"
	"slices"

	"github.com/openspms/spms/ent"
	entcalendar "github.com/openspms/spms/ent/calendar"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// ImportCalendar reads a calendar file and creates the calendar, or replaces it
// with one more revision, such as when a year is announced. Announced years may be
// added and mended, not taken away: dues were counted by them. The same
// content again changes nothing. It returns the calendar's id. Errors: those of
// calendar.ParseDocument and New, REGION_NOT_FOUND, CALENDAR_HEAD_CHANGED,
// CALENDAR_YEAR_REMOVED, CALENDAR_CODE_TAKEN, STALE_REVISION.
func (r *Room) ImportCalendar(ctx context.Context, in ImportCalendar) (string, error) {
	doc, err := calendar.ParseDocument([]byte(in.Document))
	if err != nil {
		return "", below(inDocument(err, in.Document), "input", "document")
	}
	if err := r.countable(ctx, doc); err != nil {
		return "", below(inDocument(err, in.Document), "input", "document")
	}
	cmd := command.Command{Operation: "importCalendar", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		row, err := u.Calendar.Query().Where(entcalendar.Code(doc.Code)).Only(store.Locking(access.Elevated(ctx)))
		switch {
		case ent.IsNotFound(err):
			return createCalendar(ctx, u, in, doc)
		case err != nil:
			return "", fmt.Errorf("look up a calendar: %w", err)
		}
		u.On(row.ID, row.RegionPath)
		if err := u.Require(access.KeepCalendar, row.RegionPath); err != nil {
			return "", err
		}
		if row.Digest == doc.Digest() {
			return row.ID, nil
		}
		if in.Revision != nil && *in.Revision != row.Revision {
			return "", fault.E(fault.Conflict, "STALE_REVISION", fault.P("expected", *in.Revision), fault.P("actual", row.Revision)).At("input", "revision")
		}
		if err := sameCalendar(row, doc); err != nil {
			return "", err
		}
		err = u.Calendar.UpdateOne(row).SetNameZh(doc.Name.ZH).SetNameEn(doc.Name.EN).SetYears(years(doc)).
			SetDocument(in.Document).SetDigest(doc.Digest()).AddRevision(1).Exec(ctx)
		if err != nil {
			return "", fmt.Errorf("change the calendar: %w", err)
		}
		u.Changed(store.Change{Kind: "calendar", ID: row.ID, RegionPath: row.RegionPath})
		return row.ID, nil
	})
}

func createCalendar(ctx context.Context, u *command.Unit, in ImportCalendar, doc calendar.Document) (string, error) {
	home, err := u.Region.Query().Where(store.RegionRef(in.RegionID)).Only(ctx)
	if err != nil {
		return "", notFound(err, "REGION_NOT_FOUND", in.RegionID, "input", "regionID")
	}
	if err := u.Require(access.KeepCalendar, home.RegionPath); err != nil {
		return "", err
	}
	row, err := u.Calendar.Create().SetCode(doc.Code).SetNameZh(doc.Name.ZH).SetNameEn(doc.Name.EN).
		SetKind(entcalendar.Kind(doc.Kind)).SetTimezone(doc.Timezone).SetYears(years(doc)).SetDocument(in.Document).SetDigest(doc.Digest()).
		SetRegionID(home.ID).SetRegionPath(home.RegionPath).SetCreatedAt(u.Now).Save(ctx)
	if ent.IsConstraintError(err) {
		return "", fault.E(fault.Conflict, "CALENDAR_CODE_TAKEN", fault.P("code", doc.Code)).At("input", "document", "code")
	}
	if err != nil {
		return "", fmt.Errorf("create the calendar: %w", err)
	}
	u.On(row.ID, row.RegionPath)
	u.Changed(store.Change{Kind: "calendar", ID: row.ID, RegionPath: row.RegionPath})
	return row.ID, nil
}

// countable refuses a document that reads well and cannot be counted by.
func (r *Room) countable(ctx context.Context, doc calendar.Document) error {
	if doc.Kind == calendar.Statutory {
		_, err := calendar.New(doc)
		return err
	}
	var statutory *calendar.Calendar
	if doc.Statutory == calendar.ClosedOnHolidays {
		var err error
		if statutory, err = r.Calendar(ctx, "cn-statutory"); err != nil {
			return err
		}
	}
	_, err := calendar.NewHours(doc, statutory)
	return err
}

// sameCalendar refuses to turn a calendar into another one.
func sameCalendar(row *ent.Calendar, doc calendar.Document) error {
	for _, f := range []struct{ field, want, have string }{
		{"kind", string(row.Kind), string(doc.Kind)}, {"timezone", row.Timezone, doc.Timezone},
	} {
		if f.want != f.have {
			return fault.E(fault.Invalid, "CALENDAR_HEAD_CHANGED", fault.P("field", f.field), fault.P("want", f.want),
				fault.P("have", f.have)).At("input", "document", f.field)
		}
	}
	announced := years(doc)
	for _, y := range row.Years {
		if !slices.Contains(announced, y) {
			return fault.E(fault.Invalid, "CALENDAR_YEAR_REMOVED", fault.P("year", y)).At("input", "document", "years")
		}
	}
	return nil
}

func years(doc calendar.Document) []int {
	out := []int{}
	for _, y := range doc.Years {
		out = append(out, y.Year)
	}
	slices.Sort(out)
	return out
}
