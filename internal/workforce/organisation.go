package workforce

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/calendar"
	"github.com/openspms/spms/ent/orgunit"
	"github.com/openspms/spms/ent/pool"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// levels orders the levels of regions from the top; a child's lies below its parent's.
var levels = map[string]int{"headquarters": 0, "province": 1, "city": 2, "county": 3}

// CreateRegion adds a region below another, or a root where nothing is above;
// the latter only the server may do. Time zone and calendar are the parent's
// unless given. It returns the region's id. Errors: CODE_INVALID,
// REGION_NOT_FOUND, REGION_CODE_TAKEN, REGION_LEVEL_NOT_BELOW,
// REGION_TIMEZONE_UNKNOWN.
func (r *Room) CreateRegion(ctx context.Context, in CreateRegion) (string, error) {
	if err := checkCode(in.Code); err != nil {
		return "", err
	}
	if z := in.Timezone; z != nil {
		if _, err := time.LoadLocation(*z); err != nil || *z == "" || *z == "Local" {
			return "", fault.E(fault.Invalid, "REGION_TIMEZONE_UNKNOWN", fault.P("timezone", *z)).At("input", "timezone")
		}
	}
	cmd := command.Command{Operation: "createRegion", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		c := u.Region.Create().SetCode(in.Code).SetNameZh(in.NameZh).SetNameEn(in.NameEn).
			SetLevel(region.Level(in.Level)).SetCreatedAt(u.Now)
		path := in.Code + "/"
		if in.ParentID != nil {
			parent, err := parentRegion(ctx, u, *in.ParentID, in.Level)
			if err != nil {
				return "", err
			}
			path = parent.RegionPath + path
			c.SetParentID(parent.ID).SetTimezone(parent.Timezone).SetCalendarCode(parent.CalendarCode)
		}
		if err := u.Require(access.KeepStaff, path); err != nil {
			return "", err
		}
		exists, err := u.Region.Query().Where(region.Code(in.Code)).Exist(access.Elevated(ctx))
		if err != nil {
			return "", fmt.Errorf("look up a region: %w", err)
		}
		if exists {
			return "", taken("REGION_CODE_TAKEN", in.Code)
		}
		if in.Area != nil {
			c.SetArea(region.Area(*in.Area))
		}
		if in.Timezone != nil {
			c.SetTimezone(*in.Timezone)
		}
		if in.CalendarCode != nil {
			c.SetCalendarCode(*in.CalendarCode)
		}
		row, err := create(func() (*ent.Region, error) { return c.SetRegionPath(path).Save(ctx) }, "REGION_CODE_TAKEN", in.Code)
		if err != nil {
			return "", err
		}
		u.On(row.ID, path)
		u.Changed(store.Change{Kind: "region", ID: row.ID, RegionPath: path})
		return row.ID, nil
	})
}

func parentRegion(ctx context.Context, u *command.Unit, id, level string) (*ent.Region, error) {
	parent, err := regionOf(ctx, u, id, "parentID")
	if err != nil {
		return nil, err
	}
	if levels[level] <= levels[string(parent.Level)] {
		return nil, fault.E(fault.Invalid, "REGION_LEVEL_NOT_BELOW", fault.P("level", level),
			fault.P("parent", string(parent.Level))).At("input", "level")
	}
	return parent, nil
}

// CreateOrgUnit adds a department or team to a region; its parent unit lies in
// the same region or one above. It returns the unit's id. Errors: CODE_INVALID,
// REGION_NOT_FOUND, ORG_UNIT_NOT_FOUND, ORG_UNIT_OTHER_REGION, ORG_UNIT_CODE_TAKEN.
func (r *Room) CreateOrgUnit(ctx context.Context, in CreateOrgUnit) (string, error) {
	if err := checkCode(in.Code); err != nil {
		return "", err
	}
	cmd := command.Command{Operation: "createOrgUnit", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		reg, err := regionOf(ctx, u, in.RegionID, "regionID")
		if err != nil {
			return "", err
		}
		if err := u.Require(access.KeepStaff, reg.RegionPath); err != nil {
			return "", err
		}
		c := u.OrgUnit.Create().SetCode(in.Code).SetNameZh(in.NameZh).SetNameEn(deref(in.NameEn)).
			SetRegionID(reg.ID).SetRegionPath(reg.RegionPath).SetCreatedAt(u.Now)
		if in.ParentID != nil {
			parent, err := unitOf(ctx, u, *in.ParentID, "parentID")
			if err != nil {
				return "", err
			}
			if !strings.HasPrefix(reg.RegionPath, parent.RegionPath) {
				return "", fault.E(fault.Invalid, "ORG_UNIT_OTHER_REGION", fault.P("code", parent.Code)).At("input", "parentID")
			}
			c.SetParentID(parent.ID)
		}
		exists, err := u.OrgUnit.Query().Where(orgunit.Code(in.Code)).Exist(access.Elevated(ctx))
		if err != nil {
			return "", fmt.Errorf("look up a unit: %w", err)
		}
		if exists {
			return "", taken("ORG_UNIT_CODE_TAKEN", in.Code)
		}
		row, err := create(func() (*ent.OrgUnit, error) { return c.Save(ctx) }, "ORG_UNIT_CODE_TAKEN", in.Code)
		if err != nil {
			return "", err
		}
		u.On(row.ID, reg.RegionPath)
		return row.ID, nil
	})
}

func unitOf(ctx context.Context, u *command.Unit, id, field string) (*ent.OrgUnit, error) {
	row, err := u.OrgUnit.Query().Where(orgunit.ID(id)).Only(ctx)
	if err != nil {
		return nil, notFound(err, "ORG_UNIT_NOT_FOUND", id, field)
	}
	return row, nil
}

// CreatePool adds a pool of people of one role to a region. It returns the
// pool's id. Errors: CODE_INVALID, REGION_NOT_FOUND, ROLE_UNKNOWN,
// POOL_CALENDAR_UNKNOWN, POOL_CODE_TAKEN.
func (r *Room) CreatePool(ctx context.Context, in CreatePool) (string, error) {
	if err := checkCode(in.Code); err != nil {
		return "", err
	}
	cmd := command.Command{Operation: "createPool", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		reg, err := regionOf(ctx, u, in.RegionID, "regionID")
		if err != nil {
			return "", err
		}
		if err := u.Require(access.KeepStaff, reg.RegionPath); err != nil {
			return "", err
		}
		if err := checkPool(ctx, u, &in.Role, &in.CalendarCode); err != nil {
			return "", err
		}
		exists, err := u.Pool.Query().Where(pool.Code(in.Code)).Exist(access.Elevated(ctx))
		if err != nil {
			return "", fmt.Errorf("look up a pool: %w", err)
		}
		if exists {
			return "", taken("POOL_CODE_TAKEN", in.Code)
		}
		c := u.Pool.Create().SetCode(in.Code).SetNameZh(in.NameZh).SetNameEn(deref(in.NameEn)).SetRole(in.Role).
			SetSize(in.Size).SetCalendarCode(in.CalendarCode).SetFinishOver(deref(in.FinishOver)).
			SetCostPerHourFen(deref(in.CostPerHourFen)).SetRegionID(reg.ID).SetRegionPath(reg.RegionPath).SetCreatedAt(u.Now)
		row, err := create(func() (*ent.Pool, error) { return c.Save(ctx) }, "POOL_CODE_TAKEN", in.Code)
		if err != nil {
			return "", err
		}
		u.On(row.ID, reg.RegionPath)
		return row.ID, nil
	})
}

// UpdatePool changes a pool; what is absent stays. It returns the pool's id.
// Errors: POOL_NOT_FOUND, ROLE_UNKNOWN, POOL_CALENDAR_UNKNOWN.
func (r *Room) UpdatePool(ctx context.Context, in UpdatePool) (string, error) {
	cmd := command.Command{Operation: "updatePool", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		row, err := u.Pool.Query().Where(pool.ID(in.PoolID)).Only(ctx)
		if err != nil {
			return "", notFound(err, "POOL_NOT_FOUND", in.PoolID, "poolID")
		}
		u.On(row.ID, row.RegionPath)
		if err := u.Require(access.KeepStaff, row.RegionPath); err != nil {
			return "", err
		}
		if err := checkPool(ctx, u, in.Role, in.CalendarCode); err != nil {
			return "", err
		}
		err = u.Pool.UpdateOne(row).SetNillableNameZh(in.NameZh).SetNillableNameEn(in.NameEn).SetNillableRole(in.Role).
			SetNillableSize(in.Size).SetNillableCalendarCode(in.CalendarCode).SetNillableFinishOver(in.FinishOver).
			SetNillableCostPerHourFen(in.CostPerHourFen).Exec(ctx)
		if err != nil {
			return "", fmt.Errorf("write the pool: %w", err)
		}
		return row.ID, nil
	})
}

// ResizePools gives pools other sizes, all or none, each from the size that is named,
// and returns the id of the first. Errors: POOL_NOT_FOUND, POOL_SIZE_STALE.
func (r *Room) ResizePools(ctx context.Context, in ResizePools) (string, error) {
	cmd := command.Command{Operation: "resizePools", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		first := ""
		for _, p := range in.Pools {
			row, err := u.Pool.Query().Where(pool.Code(p.Code)).Only(store.Locking(ctx))
			if err != nil {
				return "", notFound(err, "POOL_NOT_FOUND", p.Code, "proposalID")
			}
			if first == "" {
				first = row.ID
				u.On(row.ID, row.RegionPath)
			}
			if err := u.Require(access.KeepStaff, row.RegionPath); err != nil {
				return "", err
			}
			if row.Size != p.From {
				return "", fault.E(fault.Conflict, "POOL_SIZE_STALE", fault.P("code", p.Code), fault.P("expected", p.From), fault.P("actual", row.Size)).At("input", "proposalID")
			}
			if err := u.Pool.UpdateOne(row).SetSize(p.To).Exec(ctx); err != nil {
				return "", fmt.Errorf("write the pool: %w", err)
			}
			u.Note(p.Code, fmt.Sprintf("%d → %d", p.From, p.To))
		}
		u.Note("reason", in.Reason)
		u.Note("cause", in.Cause)
		return first, nil
	})
}

// checkPool refuses an unknown role and a calendar that is not loaded.
func checkPool(ctx context.Context, u *command.Unit, role, code *string) error {
	if role != nil {
		if err := knownRole(*role); err != nil {
			return err
		}
	}
	if code == nil {
		return nil
	}
	exists, err := u.Calendar.Query().Where(calendar.Code(*code)).Exist(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("look up a calendar: %w", err)
	}
	if !exists {
		return fault.E(fault.NotFound, "POOL_CALENDAR_UNKNOWN", fault.P("code", *code)).At("input", "calendarCode")
	}
	return nil
}

func knownRole(role string) error {
	if _, ok := access.Lookup(access.Role(role)); !ok {
		return fault.E(fault.Invalid, "ROLE_UNKNOWN", fault.P("role", role)).At("input", "role")
	}
	return nil
}
