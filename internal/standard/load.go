package standard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/openspms/spms/ent"
	entcalendar "github.com/openspms/spms/ent/calendar"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/ent/standardversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/packs"
)

// jurisdiction is a country or union whose standards ship as examples of other
// law. It is a region of its own, so that its standards bind no case elsewhere.
type jurisdiction struct {
	code, zh, en, zone string
	calendar           string // "" where none ships: days cannot be counted there yet
}

var abroad = []jurisdiction{
	{"AU", "澳大利亚", "Australia", "Australia/Sydney", "au-week"},
	{"BE", "比利时", "Belgium", "Europe/Brussels", ""},
	{"EU", "欧洲联盟", "European Union", "Europe/Brussels", ""},
	{"IN", "印度", "India", "Asia/Kolkata", ""},
	{"SG", "新加坡", "Singapore", "Asia/Singapore", ""},
	{"UK", "英国", "United Kingdom", "Europe/London", "uk-week"},
}

// lanes is how many standards are loaded at once: commands that wait together
// share a commit.
const lanes = 8

// LoadPacks loads the calendars and standards that ship with the product and
// publishes them, drafted by one viewer of the system and approved by another.
// What is there already stays as it is; what an earlier run left half done is
// finished. The regions of the shipped Chinese standards must exist; those
// of other jurisdictions are created. Who asks must be the system. Errors:
// ACTION_FORBIDDEN, STANDARD_REGION_UNKNOWN.
func (r *Room) LoadPacks(ctx context.Context) error {
	if v := access.From(ctx); !v.IsSystem() {
		return fault.E(fault.Forbidden, "ACTION_FORBIDDEN", command.ActionLabel(access.PublishStandard), fault.P("region", nil))
	}
	author, approver := access.With(ctx, access.System("seed")), access.With(ctx, access.System("seed-review"))
	if err := r.loadJurisdictions(author); err != nil {
		return fmt.Errorf("load the jurisdictions: %w", err)
	}
	if err := r.loadCalendars(author); err != nil {
		return fmt.Errorf("load the calendars: %w", err)
	}
	n, err := packs.Norms()
	if err != nil {
		return err
	}
	// Enterprises come last, one by one: they are compared with what is above them.
	var enterprises, others []*norm.Standard
	for _, s := range n.Standards {
		if s.Authority == norm.Enterprise {
			enterprises = append(enterprises, s)
		} else {
			others = append(others, s)
		}
	}
	load := func(s *norm.Standard) error {
		if err := r.loadStandard(author, approver, s); err != nil {
			return fmt.Errorf("load standard %s: %w", s.Code, err)
		}
		return nil
	}
	if err := inLanes(lanes, others, load); err != nil {
		return err
	}
	return inLanes(1, enterprises, load)
}

// inLanes calls do for each of list, at most lanes at once, and returns every error.
func inLanes[T any](lanes int, list []T, do func(T) error) error {
	errs := make([]error, len(list))
	free := make(chan struct{}, lanes)
	var group sync.WaitGroup
	for i, x := range list {
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			errs[i] = do(x)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// loadJurisdictions creates the regions of other jurisdictions.
func (r *Room) loadJurisdictions(ctx context.Context) error {
	codes := make([]string, len(abroad))
	for i, j := range abroad {
		codes[i] = j.code
	}
	known, err := r.door.Store.Client().Region.Query().Where(region.CodeIn(codes...)).Select(region.FieldCode).Strings(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("look up regions: %w", err)
	}
	if len(known) == len(codes) {
		return nil
	}
	cmd := command.Command{Operation: "loadJurisdictions", Input: codes}
	_, err = command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) ([]string, error) {
		var rows []*ent.RegionCreate
		for _, j := range abroad {
			if slices.Contains(known, j.code) {
				continue
			}
			path := j.code + "/"
			if err := u.Require(access.KeepStaff, path); err != nil {
				return nil, err
			}
			rows = append(rows, u.Region.Create().SetCode(j.code).SetRegionPath(path).SetNameZh(j.zh).SetNameEn(j.en).
				SetLevel(region.LevelHeadquarters).SetTimezone(j.zone).SetCalendarCode(j.calendar).SetCreatedAt(u.Now))
		}
		made, err := u.Region.CreateBulk(rows...).Save(ctx)
		if err != nil {
			return nil, fmt.Errorf("create regions: %w", err)
		}
		for _, m := range made {
			u.Changed(store.Change{Kind: "region", ID: m.ID, RegionPath: m.RegionPath})
		}
		return nil, nil
	})
	return err
}

// loadCalendars imports the shipped calendars that are not there, the statutory
// ones first, since opening hours follow them.
func (r *Room) loadCalendars(ctx context.Context) error {
	known, err := r.door.Store.Client().Calendar.Query().Select(entcalendar.FieldCode).Strings(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("look up calendars: %w", err)
	}
	home := map[string]string{}
	for _, j := range abroad {
		home[j.calendar] = j.code
	}
	files, err := fs.Glob(packs.FS, "calendar/*.yaml")
	if err != nil {
		return err
	}
	var statutory, hours []ImportCalendar
	for _, name := range files {
		text, err := packs.FS.ReadFile(name)
		if err != nil {
			return err
		}
		doc, err := calendar.ParseDocument(text)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if slices.Contains(known, doc.Code) {
			continue
		}
		in := ImportCalendar{RegionID: "CN", Document: string(text)}
		if code, ok := home[doc.Code]; ok {
			in.RegionID = code
		}
		if doc.Kind == calendar.Statutory {
			statutory = append(statutory, in)
		} else {
			hours = append(hours, in)
		}
	}
	for _, list := range [][]ImportCalendar{statutory, hours} {
		err := inLanes(lanes, list, func(in ImportCalendar) error {
			_, err := r.ImportCalendar(ctx, in)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// loadStandard imports a shipped standard and takes each of its versions as far
// as publication. Versions that people have worked on since are left alone.
func (r *Room) loadStandard(author, approver context.Context, s *norm.Standard) error {
	for i := range s.Versions {
		v := &s.Versions[i]
		row, err := r.door.Store.Client().StandardVersion.Query().
			Where(numbered(s.Code, v.Number)).Only(access.Elevated(author))
		switch {
		case ent.IsNotFound(err):
			row, err = r.loadVersion(author, s, v)
		case err == nil && row.AuthorID != access.From(author).StaffID:
			continue
		}
		if err != nil {
			return err
		}
		if err := r.promote(author, approver, row); err != nil {
			return err
		}
	}
	return nil
}

func (r *Room) loadVersion(ctx context.Context, s *norm.Standard, v *norm.Version) (*ent.StandardVersion, error) {
	one := *s
	one.Versions = []norm.Version{*v}
	made, err := r.importText(ctx, ImportStandard{Document: s.Digest(v)}, &one)
	if err != nil {
		return nil, err
	}
	return r.door.Store.Client().StandardVersion.Get(ctx, made.VersionID)
}

// promote submits, approves and publishes a version, from where it stands.
func (r *Room) promote(author, approver context.Context, row *ent.StandardVersion) error {
	id, revision := row.ID, row.Revision
	if row.State == standardversion.StateDraft {
		if _, err := r.Submit(author, Submit{VersionID: id, Revision: revision}); err != nil {
			return err
		}
		row.State, revision = standardversion.StateInReview, revision+1
	}
	if row.State == standardversion.StateInReview {
		if _, err := r.Approve(approver, Approve{VersionID: id, Revision: revision}); err != nil {
			return err
		}
		row.State, revision = standardversion.StateApproved, revision+1
	}
	if row.State == standardversion.StateApproved {
		_, err := r.Publish(approver, Publish{VersionID: id, Revision: revision, sinceEver: true})
		return err
	}
	return nil
}
