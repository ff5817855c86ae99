package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/processversion"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/ent/staff"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/workforce"
	"github.com/openspms/spms/packs/process"
	"github.com/openspms/spms/packs/sample"
)

// Seed loads the sample data through the same rooms the API uses: the sample
// organisation, the calendars and standards of the packs, and the shipped
// processes with their bindings. What is there already stays as it is, so that
// seeding twice changes nothing.
func (h *House) Seed(ctx context.Context) error {
	o, err := sample.Load()
	if err != nil {
		return err
	}
	s := &seeder{house: h, ctx: access.With(ctx, access.System("seed")), regions: map[string]string{}, units: map[string]string{}}
	for _, step := range []func(*sample.Organisation) error{s.organisation, s.people, s.norms, s.pools, s.processes} {
		if err := step(o); err != nil {
			return fmt.Errorf("load the sample data: %w", err)
		}
	}
	return nil
}

// seeder is one run of Seed: ids by code.
type seeder struct {
	house   *House
	ctx     context.Context // lives as long as the run
	regions map[string]string
	units   map[string]string
}

// key makes a step of seeding happen once, whatever is interrupted.
func key(parts ...string) *string {
	k := "seed:" + strings.Join(parts, ":")
	return &k
}

func (s *seeder) organisation(o *sample.Organisation) error {
	client := s.house.Store.Client()
	for _, r := range o.Regions {
		if row, err := client.Region.Query().Where(region.Code(r.Code)).Only(s.ctx); err == nil {
			s.regions[r.Code] = row.ID
			continue
		}
		in := workforce.CreateRegion{Code: r.Code, Level: r.Level, Area: &r.Area, NameZh: r.ZH, NameEn: r.EN, IdempotencyKey: key("region", r.Code)}
		if r.Parent != "" {
			parent := s.regions[r.Parent]
			in.ParentID = &parent
		}
		id, err := s.house.Workforce.CreateRegion(s.ctx, in)
		if err != nil {
			return fmt.Errorf("region %s: %w", r.Code, err)
		}
		s.regions[r.Code] = id
	}
	for _, u := range o.Units {
		id, err := s.house.Workforce.CreateOrgUnit(s.ctx, workforce.CreateOrgUnit{
			Code: u.Code, RegionID: s.regions[u.Region], NameZh: u.ZH, NameEn: &u.EN, IdempotencyKey: key("unit", u.Code),
		})
		if err != nil {
			return fmt.Errorf("unit %s: %w", u.Code, err)
		}
		s.units[u.Code] = id
	}
	return nil
}

// sampleSince and sampleUntil bound the roles and qualifications of the sample
// people, so that the shipped scenarios of 2025 and 2026 fall inside.
var (
	sampleSince = time.Date(2025, 1, 1, 0, 0, 0, 0, time.FixedZone("CST", 8*3600))
	sampleUntil = time.Date(2036, 1, 1, 0, 0, 0, 0, time.FixedZone("CST", 8*3600))
)

func (s *seeder) people(o *sample.Organisation) error {
	for _, p := range o.People {
		unit := s.units[p.Unit]
		id, err := s.house.Workforce.CreateStaff(s.ctx, workforce.CreateStaff{
			Code: p.Code, Name: p.Name, RegionID: s.regions[p.Region], OrgUnitID: &unit, IdempotencyKey: key("staff", p.Code),
		})
		if err != nil {
			return fmt.Errorf("person %s: %w", p.Code, err)
		}
		for _, r := range p.Roles {
			_, err := s.house.Workforce.AssignRole(s.ctx, workforce.AssignRole{
				StaffID: id, Role: r.Role, RegionID: s.regions[r.Region], ValidFrom: &sampleSince, IdempotencyKey: key("role", p.Code, r.Role, r.Region),
			})
			if err != nil {
				return fmt.Errorf("role %s of %s: %w", r.Role, p.Code, err)
			}
		}
		for _, q := range p.Qualifications {
			_, err := s.house.Workforce.GrantQualification(s.ctx, workforce.GrantQualification{
				StaffID: id, Kind: q.Kind, Number: &q.Number, ValidFrom: sampleSince, ValidTo: sampleUntil, IdempotencyKey: key("qualification", p.Code, q.Kind),
			})
			if err != nil {
				return fmt.Errorf("qualification %s of %s: %w", q.Kind, p.Code, err)
			}
		}
	}
	return nil
}

func (s *seeder) norms(*sample.Organisation) error { return s.house.Standards.LoadPacks(s.ctx) }

func (s *seeder) pools(o *sample.Organisation) error {
	for _, p := range o.Pools {
		_, err := s.house.Workforce.CreatePool(s.ctx, workforce.CreatePool{
			Code: p.Code, NameZh: p.ZH, NameEn: &p.EN, Role: p.Role, RegionID: s.regions[p.Region], Size: p.Size,
			CalendarCode: p.Calendar, FinishOver: &p.FinishOver, CostPerHourFen: &p.CostPerHourFen, IdempotencyKey: key("pool", p.Code),
		})
		if err != nil {
			return fmt.Errorf("pool %s: %w", p.Code, err)
		}
	}
	return nil
}

// processes creates, submits, publishes and binds each shipped process: written
// by the one sample administrator, published by the other.
func (s *seeder) processes(o *sample.Organisation) error {
	author, err := s.as("hq-standard")
	if err != nil {
		return err
	}
	publisher, err := s.as("hq-approver")
	if err != nil {
		return err
	}
	files, err := process.Files()
	if err != nil {
		return err
	}
	defs := s.house.Definitions
	for _, f := range files {
		made, err := defs.CreateProcess(author, definition.CreateProcess{RegionID: s.regions["CN"], BPMN: f.Text, IdempotencyKey: key("process", f.Key)})
		if fault.CodeOf(err) == "PROCESS_KEY_TAKEN" {
			continue // an earlier run has loaded it, or people have made it their own
		}
		if err != nil {
			return fmt.Errorf("process %s: %w", f.Key, err)
		}
		row, err := s.house.Store.Client().ProcessVersion.Query().Where(processversion.ID(made.VersionID)).Only(s.ctx)
		if err != nil {
			return fmt.Errorf("process %s: %w", f.Key, err)
		}
		if row.State == processversion.StateDraft && row.Revision == 1 {
			if _, err := defs.Submit(author, definition.Submit{VersionID: row.ID, Revision: 1, IdempotencyKey: key("submit", f.Key)}); err != nil {
				return fmt.Errorf("submit process %s: %w", f.Key, err)
			}
			if _, err := defs.Publish(publisher, definition.Publish{VersionID: row.ID, Revision: 2, IdempotencyKey: key("publish", f.Key)}); err != nil {
				return fmt.Errorf("publish process %s: %w", f.Key, err)
			}
		}
		if err := s.bind(publisher, o, f.Key, row); err != nil {
			return err
		}
	}
	return nil
}

func (s *seeder) bind(ctx context.Context, o *sample.Organisation, processKey string, v *ent.ProcessVersion) error {
	for _, b := range o.Bindings {
		if b.Process != processKey {
			continue
		}
		for _, code := range b.Regions {
			_, err := s.house.Definitions.Bind(ctx, definition.Bind{VersionID: v.ID, RegionID: s.regions[code], IdempotencyKey: key("bind", processKey, code)})
			if err != nil {
				return fmt.Errorf("bind process %s to %s: %w", processKey, code, err)
			}
		}
	}
	return nil
}

// as returns a context in which a sample person acts.
func (s *seeder) as(code string) (context.Context, error) {
	if _, err := s.house.Store.Client().Staff.Query().Where(staff.Code(code)).Only(s.ctx); err != nil {
		return nil, fmt.Errorf("sample person %s: %w", code, err)
	}
	v, err := s.house.Workforce.Viewer(s.ctx, code, s.house.Door.Clock.Now())
	if err != nil {
		return nil, fmt.Errorf("sample person %s: %w", code, err)
	}
	return access.With(s.ctx, v), nil
}
