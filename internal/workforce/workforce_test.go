package workforce_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/internal/workforce"
)

func TestMain(m *testing.M) {
	code := m.Run()
	storetest.DropTemplate()
	os.Exit(code)
}

var start = time.Date(2026, 3, 3, 8, 0, 0, 0, time.UTC)

// house is the room over a fresh database with the regions CN > CN-HA >
// CN-HA-ZZ and CN > CN-CQ, and a system administrator of CN.
type house struct {
	*testing.T
	store  *store.Store
	clock  *clock.Manual
	room   *workforce.Room
	system context.Context
}

func each(t *testing.T, test func(h *house)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := clock.NewManual(start)
		h := &house{
			T: t, store: s, clock: c, room: workforce.New(&command.Door{Store: s, Clock: c}),
			system: access.With(t.Context(), access.System("test")),
		}
		h.region("CN", "", "headquarters")
		h.region("CN-HA", "CN", "province")
		h.region("CN-HA-ZZ", "CN-HA", "city")
		h.region("CN-CQ", "CN", "province")
		test(h)
	})
}

func (h *house) region(code, parent, level string) string {
	h.Helper()
	in := workforce.CreateRegion{Code: code, NameZh: "区域" + code, NameEn: code, Level: level}
	if parent != "" {
		in.ParentID = &parent
	}
	id, err := h.room.CreateRegion(h.system, in)
	return h.must(id, err)
}

func (h *house) must(id string, err error) string {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
	return id
}

// refused fails unless err has the code.
func (h *house) refused(what string, err error, code string) {
	h.Helper()
	if fault.CodeOf(err) != code {
		h.Errorf("%s = %v, want %s", what, err, code)
	}
}

// person adds someone with a role and returns his id.
func (h *house) person(code, region string, roles ...access.Role) string {
	h.Helper()
	id, err := h.room.CreateStaff(h.system, workforce.CreateStaff{Code: code, Name: "员工" + code, RegionID: region})
	h.must(id, err)
	for _, r := range roles {
		h.must(h.room.AssignRole(h.system, workforce.AssignRole{StaffID: id, Role: string(r), RegionID: region}))
	}
	return id
}

// as is a context in which the person of a code asks now.
func (h *house) as(code string) context.Context {
	h.Helper()
	v, err := h.room.Viewer(h.Context(), code, h.clock.Now())
	if err != nil {
		h.Fatal(err)
	}
	return access.With(h.Context(), v)
}

func ptr[T any](v T) *T { return &v }

func TestRegionsMakeATree(t *testing.T) {
	each(t, func(h *house) {
		row := h.store.Client().Region.Query().Where(store.RegionRef("CN-HA-ZZ")).OnlyX(h.system)
		if row.RegionPath != "CN/CN-HA/CN-HA-ZZ/" || row.CalendarCode != "cn-statutory" {
			h.Errorf("region = %v, want path CN/CN-HA/CN-HA-ZZ/ and the parent's calendar", row)
		}
		h.person("ha-admin", "CN-HA", access.ProvinceAdmin)
		h.person("ha-agent", "CN-HA", access.Agent)
		in := workforce.CreateRegion{Code: "CN-HA-NY", NameZh: "南阳", NameEn: "Nanyang", Level: "city", ParentID: ptr("CN-HA")}
		tests := []struct {
			name string
			who  context.Context
			edit func(in *workforce.CreateRegion)
			code string
		}{
			{"a province adds a city", h.as("ha-admin"), func(*workforce.CreateRegion) {}, ""},
			{"the code is in use", h.as("ha-admin"), func(in *workforce.CreateRegion) { in.Code = "CN-CQ" }, "REGION_CODE_TAKEN"},
			{"an agent may not", h.as("ha-agent"), func(in *workforce.CreateRegion) { in.Code = "X" }, "ACTION_FORBIDDEN"},
			{"a foreign parent is not there", h.as("ha-admin"), func(in *workforce.CreateRegion) { in.ParentID = ptr("CN-CQ") }, "REGION_NOT_FOUND"},
			{"the parent above is seen but not kept", h.as("ha-admin"), func(in *workforce.CreateRegion) { in.ParentID, in.Code, in.Level = ptr("CN"), "X", "province" }, "ACTION_FORBIDDEN"},
			{"nobody makes a root", h.as("ha-admin"), func(in *workforce.CreateRegion) { in.ParentID, in.Code = nil, "X" }, "ACTION_FORBIDDEN"},
			{"a level beside the parent's", h.as("ha-admin"), func(in *workforce.CreateRegion) { in.Code, in.Level = "X", "province" }, "REGION_LEVEL_NOT_BELOW"},
			{"a slash in the code", h.as("ha-admin"), func(in *workforce.CreateRegion) { in.Code = "X/Y" }, "CODE_INVALID"},
			{"no such zone", h.as("ha-admin"), func(in *workforce.CreateRegion) { in.Code, in.Timezone = "X", ptr("Mars/Base") }, "REGION_TIMEZONE_UNKNOWN"},
		}
		for _, tt := range tests {
			in := in
			tt.edit(&in)
			_, err := h.room.CreateRegion(tt.who, in)
			h.refused(tt.name, err, tt.code)
		}
		if n := h.store.Client().Region.Query().CountX(h.system); n != 5 {
			h.Errorf("regions = %d, want 5: refusals write nothing", n)
		}
	})
}

func TestUnitsAndPeople(t *testing.T) {
	each(t, func(h *house) {
		h.person("ha-admin", "CN-HA", access.ProvinceAdmin)
		h.person("cq-admin", "CN-CQ", access.ProvinceAdmin)
		ha, cq := h.as("ha-admin"), h.as("cq-admin")
		unit := h.must(h.room.CreateOrgUnit(ha, workforce.CreateOrgUnit{Code: "ha-service", NameZh: "客户服务部", RegionID: "CN-HA"}))
		team := h.must(h.room.CreateOrgUnit(ha, workforce.CreateOrgUnit{Code: "zz-field", NameZh: "装维班", RegionID: "CN-HA-ZZ", ParentID: &unit}))
		_, err := h.room.CreateOrgUnit(ha, workforce.CreateOrgUnit{Code: "upside-down", NameZh: "部", RegionID: "CN-HA", ParentID: &team})
		h.refused("a unit above its parent's region", err, "ORG_UNIT_OTHER_REGION")
		_, err = h.room.CreateOrgUnit(cq, workforce.CreateOrgUnit{Code: "ha-service", NameZh: "部", RegionID: "CN-CQ"})
		h.refused("a unit's code twice", err, "ORG_UNIT_CODE_TAKEN")

		in := workforce.CreateStaff{Code: "zz-tech", Name: "郑光", RegionID: "CN-HA-ZZ", OrgUnitID: &team, IdempotencyKey: ptr("k1")}
		id := h.must(h.room.CreateStaff(ha, in))
		if again := h.must(h.room.CreateStaff(ha, in)); again != id {
			h.Errorf("CreateStaff(same key) = %v, want %v", again, id)
		}
		in.Name = "别人"
		_, err = h.room.CreateStaff(ha, in)
		h.refused("another person under the same key", err, "IDEMPOTENCY_KEY_REUSED")
		in.IdempotencyKey = nil
		_, err = h.room.CreateStaff(ha, in)
		h.refused("a person's code twice", err, "STAFF_CODE_TAKEN")
		_, err = h.room.CreateStaff(cq, workforce.CreateStaff{Code: "spy", Name: "谍", RegionID: "CN-HA-ZZ"})
		h.refused("a person in a foreign region", err, "REGION_NOT_FOUND")
		_, err = h.room.CreateStaff(cq, workforce.CreateStaff{Code: "spy", Name: "谍", RegionID: "CN-CQ", OrgUnitID: &team})
		h.refused("a person of a foreign unit", err, "ORG_UNIT_NOT_FOUND")
		_, err = h.room.UpdateStaff(cq, workforce.UpdateStaff{StaffID: id, Active: ptr(false)})
		h.refused("a foreign person", err, "STAFF_NOT_FOUND")
		_, err = h.room.UpdateStaff(ha, workforce.UpdateStaff{StaffID: "stf_nobody"})
		h.refused("nobody", err, "STAFF_NOT_FOUND")

		h.must(h.room.UpdateStaff(ha, workforce.UpdateStaff{StaffID: id, Name: ptr("郑亮"), OrgUnitID: ptr("")}))
		row := h.store.Client().Staff.GetX(h.system, id)
		if row.Name != "郑亮" || row.OrgUnitID != nil || !row.Active {
			h.Errorf("person = %v, want 郑亮 without a unit, active", row)
		}
	})
}

func TestNobodyGivesMoreThanHeHas(t *testing.T) {
	each(t, func(h *house) {
		admin := h.person("ha-admin", "CN-HA", access.ProvinceAdmin)
		h.person("hq-admin", "CN", access.SystemAdmin)
		tech := h.person("zz-tech", "CN-HA-ZZ")
		ha := h.as("ha-admin")
		give := func(ctx context.Context, staffID string, role access.Role, region string) error {
			_, err := h.room.AssignRole(ctx, workforce.AssignRole{StaffID: staffID, Role: string(role), RegionID: region})
			return err
		}
		h.refused("his own role below", give(ha, tech, access.ProvinceAdmin, "CN-HA-ZZ"), "")
		for _, worker := range []access.Role{access.Agent, access.Technician, access.Dispatcher, access.TeamLead, access.Quality, access.Supervisor} {
			h.refused("the role of a worker, "+string(worker), give(ha, tech, worker, "CN-HA-ZZ"), "")
		}
		h.refused("calendars, which are not his", give(ha, tech, access.StandardAdmin, "CN-HA"), "ROLE_EXCEEDS_OWN")
		h.refused("the system administrator's", give(ha, admin, access.SystemAdmin, "CN-HA"), "ROLE_EXCEEDS_OWN")
		h.refused("his own role above", give(ha, admin, access.ProvinceAdmin, "CN"), "ACTION_FORBIDDEN")
		h.refused("in a foreign region", give(ha, tech, access.ProvinceAdmin, "CN-CQ"), "REGION_NOT_FOUND")
		h.refused("an unknown role", give(ha, tech, "wizard", "CN-HA"), "ROLE_UNKNOWN")
		h.refused("by one without the right", give(access.With(h.Context(), &access.Viewer{
			StaffID: "x",
			Grants:  []access.Grant{{Role: access.TeamLead, RegionPath: "CN/CN-HA/"}},
		}), tech, access.TeamLead, "CN-HA"), "ACTION_FORBIDDEN")
		h.refused("everything by who has everything", give(h.as("hq-admin"), tech, access.SystemAdmin, "CN-HA"), "")

		row := h.store.Client().RoleAssignment.Query().AllX(h.system)
		i := slices.IndexFunc(row, func(a *ent.RoleAssignment) bool { return a.StaffID == tech && a.Role == "system_admin" })
		_, err := h.room.EndRole(ha, workforce.EndRole{AssignmentID: row[i].ID})
		h.refused("ending what he could not give", err, "ROLE_EXCEEDS_OWN")
		_, err = h.room.UpdateStaff(ha, workforce.UpdateStaff{StaffID: tech, Active: ptr(false)})
		h.refused("stopping who may do more", err, "STAFF_EXCEEDS_OWN")
		refusals := h.store.Client().AuditEntry.Query().AllX(h.system)
		n := 0
		for _, a := range refusals {
			if a.Outcome == "refused" && strings.HasSuffix(a.Code, "EXCEEDS_OWN") {
				n++
			}
		}
		if n != 4 {
			h.Errorf("audit rows of refusals = %d, want 4", n)
		}
	})
}

func TestRolesHoldInTheirInterval(t *testing.T) {
	each(t, func(h *house) {
		id := h.person("zz-lead", "CN-HA-ZZ")
		from, to := start.Add(24*time.Hour), start.Add(48*time.Hour)
		in := workforce.AssignRole{StaffID: id, Role: "team_lead", RegionID: "CN-HA-ZZ", ValidFrom: &from, ValidTo: &to}
		first := h.must(h.room.AssignRole(h.system, in))
		for _, tt := range []struct {
			name     string
			from, to time.Duration
			code     string
		}{
			{"touching at the end", 48 * time.Hour, 72 * time.Hour, ""},
			{"touching at the beginning", 0, 24 * time.Hour, ""},
			{"across", 23 * time.Hour, 25 * time.Hour, "ROLE_OVERLAP"},
			{"open from within", 30 * time.Hour, 0, "ROLE_OVERLAP"},
			{"empty", 80 * time.Hour, 80 * time.Hour, "ROLE_INTERVAL_EMPTY"},
		} {
			next := in
			next.ValidFrom, next.ValidTo = ptr(start.Add(tt.from)), nil
			if tt.to > 0 {
				next.ValidTo = ptr(start.Add(tt.to))
			}
			_, err := h.room.AssignRole(h.system, next)
			h.refused(tt.name, err, tt.code)
		}
		for at, want := range map[time.Duration]int{-time.Second: 0, 0: 1, 71 * time.Hour: 1, 72 * time.Hour: 0} {
			v, err := h.room.ViewerByID(h.Context(), id, start.Add(at))
			if err != nil || len(v.Grants) != want {
				h.Errorf("Viewer(at %v) = %v, %v, want %d grants", at, v, err, want)
			}
		}
		h.clock.Set(start.Add(30 * time.Hour))
		_, err := h.room.EndRole(h.system, workforce.EndRole{AssignmentID: first, At: ptr(start)})
		h.refused("an end in the past", err, "ROLE_END_IN_PAST")
		h.must(h.room.EndRole(h.system, workforce.EndRole{AssignmentID: first}))
		if v, _ := h.room.ViewerByID(h.Context(), id, h.clock.Now()); len(v.Grants) != 0 {
			h.Errorf("grants after the end = %v, want none", v.Grants)
		}
		_, err = h.room.EndRole(h.system, workforce.EndRole{AssignmentID: first})
		h.refused("a second end", err, "ROLE_ENDED")
		_, err = h.room.EndRole(h.system, workforce.EndRole{AssignmentID: "rol_none"})
		h.refused("no assignment", err, "ROLE_ASSIGNMENT_NOT_FOUND")
	})
}

// TestOverlapUnderRace sends the same role many times at once: one is given.
func TestOverlapUnderRace(t *testing.T) {
	each(t, func(h *house) {
		id := h.person("zz-lead", "CN-HA-ZZ")
		var wg sync.WaitGroup
		var mu sync.Mutex
		codes := map[string]int{}
		for range 12 {
			wg.Go(func() {
				_, err := h.room.AssignRole(h.system, workforce.AssignRole{StaffID: id, Role: "team_lead", RegionID: "CN-HA-ZZ"})
				mu.Lock()
				codes[fault.CodeOf(err)]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if d := cmp.Diff(map[string]int{"": 1, "ROLE_OVERLAP": 11}, codes); d != "" {
			h.Errorf("answers (-want +got):\n%s", d)
		}
	})
}

func TestQualifications(t *testing.T) {
	each(t, func(h *house) {
		id := h.person("zz-tech", "CN-HA-ZZ")
		h.person("zz-lead", "CN-HA-ZZ", access.TeamLead)
		h.person("zz-agent", "CN-HA-ZZ", access.Agent)
		in := workforce.GrantQualification{StaffID: id, Kind: "光纤熔接证", ValidFrom: start, ValidTo: start.AddDate(1, 0, 0)}
		_, err := h.room.GrantQualification(h.as("zz-agent"), in)
		h.refused("by an agent, who does not see him", err, "STAFF_NOT_FOUND")
		bad := in
		bad.ValidTo = start
		_, err = h.room.GrantQualification(h.as("zz-lead"), bad)
		h.refused("an empty validity", err, "QUALIFICATION_INTERVAL_EMPTY")
		qid := h.must(h.room.GrantQualification(h.as("zz-lead"), in))
		qualified := func(kind string, at time.Time) bool {
			ok, err := h.room.Qualified(h.Context(), h.store.Client(), id, kind, at)
			if err != nil {
				h.Fatal(err)
			}
			return ok
		}
		for _, tt := range []struct {
			kind string
			at   time.Time
			want bool
		}{
			{"光纤熔接证", start, true},
			{"光纤熔接证", start.Add(-time.Microsecond), false},
			{"光纤熔接证", start.AddDate(1, 0, 0), false},
			{"登高作业证", start, false},
		} {
			if got := qualified(tt.kind, tt.at); got != tt.want {
				h.Errorf("Qualified(%s, %v) = %v, want %v", tt.kind, tt.at, got, tt.want)
			}
		}
		h.clock.Advance(time.Hour)
		revoke := workforce.RevokeQualification{QualificationID: qid, Reason: "证书注销"}
		_, err = h.room.RevokeQualification(h.as("zz-agent"), revoke)
		h.refused("revoked by an agent", err, "QUALIFICATION_NOT_FOUND")
		h.must(h.room.RevokeQualification(h.as("zz-lead"), revoke))
		if qualified("光纤熔接证", h.clock.Now()) || !qualified("光纤熔接证", start) {
			h.Error("a revoked qualification must end now and stay valid before")
		}
		_, err = h.room.RevokeQualification(h.as("zz-lead"), revoke)
		h.refused("a second revocation", err, "QUALIFICATION_OVER")
	})
}

func TestPools(t *testing.T) {
	each(t, func(h *house) {
		h.person("ha-admin", "CN-HA", access.ProvinceAdmin)
		h.person("cq-admin", "CN-CQ", access.ProvinceAdmin)
		in := workforce.CreatePool{Code: "tech-zz", NameZh: "郑州装维", RegionID: "CN-HA-ZZ", Role: "technician", Size: 10, CalendarCode: "field"}
		_, err := h.room.CreatePool(h.as("ha-admin"), in)
		h.refused("a calendar that is not loaded", err, "POOL_CALENDAR_UNKNOWN")
		h.calendar("field")
		id := h.must(h.room.CreatePool(h.as("ha-admin"), in))
		_, err = h.room.CreatePool(h.as("ha-admin"), in)
		h.refused("a code twice", err, "POOL_CODE_TAKEN")
		in.Code, in.Role = "x", "wizard"
		_, err = h.room.CreatePool(h.as("ha-admin"), in)
		h.refused("an unknown role", err, "ROLE_UNKNOWN")
		_, err = h.room.UpdatePool(h.as("cq-admin"), workforce.UpdatePool{PoolID: id, Size: ptr(1)})
		h.refused("a foreign pool", err, "POOL_NOT_FOUND")
		h.must(h.room.UpdatePool(h.as("ha-admin"), workforce.UpdatePool{PoolID: id, Size: ptr(0), FinishOver: ptr(true)}))
		row := h.store.Client().Pool.GetX(h.system, id)
		if row.Size != 0 || !row.FinishOver || row.NameZh != "郑州装维" {
			h.Errorf("pool = %v, want size 0, finish over, the name kept", row)
		}
	})
}

// calendar puts a calendar row there; another room keeps them.
func (h *house) calendar(code string) {
	h.Helper()
	err := h.store.Write(h.system, func(ctx context.Context, tx *store.Tx) error {
		reg := tx.Region.Query().Where(store.RegionRef("CN")).OnlyX(ctx)
		return tx.Calendar.Create().SetCode(code).SetNameZh(code).SetKind("hours").SetTimezone("Asia/Shanghai").SetDocument("x").
			SetDigest("x").SetRegionID(reg.ID).SetRegionPath(reg.RegionPath).SetCreatedAt(start).Exec(ctx)
	})
	if err != nil {
		h.Fatal(err)
	}
}

func TestTokens(t *testing.T) {
	each(t, func(h *house) {
		h.person("hq-admin", "CN", access.SystemAdmin)
		agent := h.person("zz-agent", "CN-HA-ZZ", access.Agent)
		h.person("ha-admin", "CN-HA", access.ProvinceAdmin)
		hq := h.as("hq-admin")
		in := workforce.CreateToken{StaffID: agent, Label: "系统接口", IdempotencyKey: ptr("k"), ExpiresAt: ptr(start.Add(time.Hour))}
		_, err := h.room.CreateToken(h.as("ha-admin"), in)
		h.refused("by one without the right", err, "ACTION_FORBIDDEN")
		made, err := h.room.CreateToken(hq, in)
		if err != nil || !strings.HasPrefix(made.Secret, "spms_") || len(made.Secret) != 48 {
			h.Fatalf("CreateToken = %v, %v, want a secret of spms_ and 43 characters", made, err)
		}
		again, err := h.room.CreateToken(hq, in)
		if err != nil || again.TokenID != made.TokenID || again.Secret != "" {
			h.Errorf("CreateToken(same key) = %v, %v, want the same id and no secret", again, err)
		}
		for _, row := range h.store.Client().IdempotencyKey.Query().AllX(h.system) {
			if strings.Contains(string(row.Result), made.Secret) {
				h.Error("the secret is kept with the idempotency key")
			}
		}
		row := h.store.Client().APIToken.Query().OnlyX(h.system)
		if strings.Contains(fmt.Sprint(row), made.Secret) || row.Hash == made.Secret {
			h.Error("the secret is kept in the row")
		}
		v, err := h.room.ViewerByToken(h.Context(), made.Secret, start)
		if err != nil || v.Code != "zz-agent" || !v.Has(access.Agent, "CN/CN-HA/CN-HA-ZZ/") {
			h.Errorf("ViewerByToken = %v, %v, want zz-agent with his role", v, err)
		}
		for name, secret := range map[string]string{"unknown": "spms_" + strings.Repeat("A", 43), "foreign": "ghp_x", "the hash": row.Hash, "empty": ""} {
			_, err := h.room.ViewerByToken(h.Context(), secret, start)
			h.refused(name, err, "TOKEN_INVALID")
		}
		_, err = h.room.ViewerByToken(h.Context(), made.Secret, start.Add(time.Hour))
		h.refused("at its expiry", err, "TOKEN_INVALID")
		h.must(h.room.RevokeToken(h.as("zz-agent"), workforce.RevokeToken{TokenID: made.TokenID}))
		_, err = h.room.ViewerByToken(h.Context(), made.Secret, start)
		h.refused("once revoked, at once", err, "TOKEN_INVALID")
		_, err = h.room.RevokeToken(hq, workforce.RevokeToken{TokenID: made.TokenID})
		h.refused("revoked twice", err, "TOKEN_REVOKED")
		_, err = h.room.CreateToken(hq, workforce.CreateToken{StaffID: agent, Label: "x", ExpiresAt: ptr(start)})
		h.refused("expired from the beginning", err, "TOKEN_EXPIRY_PAST")
	})
}

func TestTokenOfWhoMayDoMore(t *testing.T) {
	each(t, func(h *house) {
		h.person("ha-system", "CN-HA", access.SystemAdmin)
		above := h.person("visitor", "CN-HA")
		h.must(h.room.AssignRole(h.system, workforce.AssignRole{StaffID: above, Role: "standard_admin", RegionID: "CN", ValidFrom: ptr(start.Add(time.Hour))}))
		_, err := h.room.CreateToken(h.as("ha-system"), workforce.CreateToken{StaffID: above, Label: "x"})
		h.refused("a token of who will hold a role above", err, "TOKEN_EXCEEDS_OWN")
	})
}

func TestChangesOfRightsAreSeenAtOnce(t *testing.T) {
	each(t, func(h *house) {
		id := h.person("zz-agent", "CN-HA-ZZ", access.Agent)
		h.as("zz-agent") // kept now
		h.must(h.room.UpdateStaff(h.system, workforce.UpdateStaff{StaffID: id, Active: ptr(false)}))
		_, err := h.room.Viewer(h.Context(), "zz-agent", start)
		h.refused("an inactive person", err, "STAFF_UNKNOWN")
		h.must(h.room.UpdateStaff(h.system, workforce.UpdateStaff{StaffID: id, Active: ptr(true)}))
		h.as("zz-agent")
		_, err = h.room.Viewer(h.Context(), "nobody", start)
		h.refused("nobody", err, "STAFF_UNKNOWN")

		other := workforce.New(&command.Door{Store: h.store, Clock: h.clock}) // as on another node
		if v, err := other.Viewer(h.Context(), "zz-agent", start); err != nil || len(v.Grants) != 1 {
			h.Fatalf("Viewer = %v, %v, want one grant", v, err)
		}
		h.must(h.room.AssignRole(h.system, workforce.AssignRole{StaffID: id, Role: "dispatcher", RegionID: "CN-HA-ZZ"}))
		if v, _ := other.Viewer(h.Context(), "zz-agent", start); len(v.Grants) != 2 {
			h.Errorf("grants on another node after the change = %v, want two", v.Grants)
		}
	})
}

// TestForgottenChangesAgeOut changes rows behind the room's back.
func TestForgottenChangesAgeOut(t *testing.T) {
	each(t, func(h *house) {
		id := h.person("zz-agent", "CN-HA-ZZ", access.Agent)
		h.as("zz-agent")
		err := h.store.Write(h.system, func(ctx context.Context, tx *store.Tx) error {
			return tx.Staff.UpdateOneID(id).SetActive(false).Exec(ctx)
		})
		if err != nil {
			h.Fatal(err)
		}
		h.clock.Advance(3 * time.Second)
		_, err = h.room.Viewer(h.Context(), "zz-agent", h.clock.Now())
		h.refused("a person stopped by another process", err, "STAFF_UNKNOWN")
	})
}

func TestStaffFilters(t *testing.T) {
	each(t, func(h *house) {
		tech := h.person("zz-tech", "CN-HA-ZZ", access.Technician)
		h.person("cq-tech", "CN-CQ", access.Technician)
		h.person("zz-agent", "CN-HA-ZZ", access.Agent)
		h.person("zz-lead", "CN-HA-ZZ", access.TeamLead)
		h.person("ha-admin", "CN-HA", access.ProvinceAdmin)
		lent := h.person("cq-lent", "CN-CQ", access.Quality) // works in Zhengzhou from tomorrow on
		h.must(h.room.AssignRole(h.system, workforce.AssignRole{StaffID: lent, Role: "technician", RegionID: "CN-HA-ZZ", ValidFrom: ptr(start.Add(24 * time.Hour))}))
		h.must(h.room.GrantQualification(h.system, workforce.GrantQualification{StaffID: tech, Kind: "光纤熔接证", ValidFrom: start, ValidTo: start.Add(time.Hour)}))
		tomorrow := start.Add(25 * time.Hour)
		for _, tt := range []struct {
			name string
			ctx  context.Context
			f    workforce.StaffFilter
			want []string
		}{
			{"a role", h.system, workforce.StaffFilter{Role: ptr("technician")}, []string{"cq-tech", "zz-tech"}},
			{"a role in a region and below", h.system, workforce.StaffFilter{Role: ptr("technician"), RegionID: ptr("CN-HA")}, []string{"zz-tech"}},
			{"the same tomorrow", h.system, workforce.StaffFilter{Role: ptr("technician"), RegionID: ptr("CN-HA"), At: &tomorrow}, []string{"cq-lent", "zz-tech"}},
			{"a region and below", h.system, workforce.StaffFilter{RegionID: ptr("CN-HA-ZZ")}, []string{"zz-agent", "zz-lead", "zz-tech"}},
			{"a qualification", h.system, workforce.StaffFilter{Qualification: ptr("光纤熔接证")}, []string{"zz-tech"}},
			{"a qualification that is over", h.system, workforce.StaffFilter{Qualification: ptr("光纤熔接证"), At: &tomorrow}, nil},
			{"not active", h.system, workforce.StaffFilter{Active: ptr(false)}, nil},
			{"a role held elsewhere stays hidden", h.as("zz-lead"), workforce.StaffFilter{Role: ptr("quality")}, nil},
			{"the home of someone lent", h.as("zz-lead"), workforce.StaffFilter{RegionID: ptr("CN-CQ")}, []string{"cq-lent"}},
			{"within one's own regions", h.as("zz-lead"), workforce.StaffFilter{Role: ptr("technician"), RegionID: ptr("CN"), At: &tomorrow}, []string{"cq-lent", "zz-tech"}},
		} {
			where, err := h.room.StaffWhere(tt.ctx, tt.f)
			if err != nil {
				h.Errorf("%s: %v", tt.name, err)
				continue
			}
			var got []string
			for _, row := range h.store.Client().Staff.Query().Where(where...).AllX(tt.ctx) {
				got = append(got, row.Code)
			}
			slices.Sort(got)
			if d := cmp.Diff(tt.want, got); d != "" {
				h.Errorf("%s (-want +got):\n%s", tt.name, d)
			}
		}
		_, err := h.room.StaffWhere(h.as("zz-agent"), workforce.StaffFilter{RegionID: ptr("CN-CQ")})
		h.refused("a foreign region", err, "REGION_NOT_FOUND")
	})
}

// TestResizePools: all or none, from the size that is named, once for a key.
func TestResizePools(t *testing.T) {
	each(t, func(h *house) {
		h.person("ha-admin", "CN-HA", access.ProvinceAdmin)
		h.person("cq-admin", "CN-CQ", access.ProvinceAdmin)
		h.calendar("field")
		for _, code := range []string{"p1", "p2"} {
			h.must(h.room.CreatePool(h.system, workforce.CreatePool{Code: code, NameZh: code, RegionID: "CN-HA", Role: "technician", Size: 10, CalendarCode: "field"}))
		}
		sizes := func() string {
			out := ""
			for _, p := range h.store.Client().Pool.Query().AllX(h.system) {
				out += fmt.Sprint(p.Code, "=", p.Size, " ")
			}
			return out
		}
		key := "k"
		in := workforce.ResizePools{Pools: []workforce.PoolSize{{Code: "p1", From: 10, To: 12}, {Code: "p2", From: 9, To: 8}}, Cause: "x", IdempotencyKey: &key}
		_, err := h.room.ResizePools(h.as("ha-admin"), in)
		h.refused("ResizePools(one stale)", err, "POOL_SIZE_STALE")
		if got := sizes(); strings.Contains(got, "12") {
			h.Errorf("refused, the sizes are %s", got)
		}
		other := "l"
		in.Pools[1].From, in.IdempotencyKey = 10, &other
		for range 2 {
			h.must(h.room.ResizePools(h.as("ha-admin"), in))
		}
		if got := sizes(); !strings.Contains(got, "p1=12") || !strings.Contains(got, "p2=8") {
			h.Errorf("the sizes are %s, want 12 and 8", got)
		}
		_, err = h.room.ResizePools(h.as("cq-admin"), workforce.ResizePools{Pools: []workforce.PoolSize{{Code: "p1", From: 12, To: 2}}})
		h.refused("ResizePools(foreign)", err, "POOL_NOT_FOUND")
		_, err = h.room.ResizePools(h.system, workforce.ResizePools{Pools: []workforce.PoolSize{{Code: "nobody", From: 1, To: 2}}})
		h.refused("ResizePools(nobody)", err, "POOL_NOT_FOUND")
	})
}
