package standard_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/indicator"
	"github.com/openspms/spms/ent/processversion"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/packs/process"
)

// write runs work in one command of the system.
func (h *house) write(t testing.TB, work func(ctx context.Context, u *command.Unit) error) {
	t.Helper()
	_, err := command.Run(h.system, h.door, command.Command{Operation: "test"}, func(ctx context.Context, u *command.Unit) (bool, error) {
		return true, work(ctx, u)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fibre binds the shipped fibre process to a city and returns its version.
func (h *house) fibre(t testing.TB) (v *ent.ProcessVersion) {
	t.Helper()
	files, err := process.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Key != "ftth-install" {
			continue
		}
		h.write(t, func(ctx context.Context, u *command.Unit) error {
			root, city := u.Region.Query().Where(region.Code("CN")).OnlyX(ctx), u.Region.Query().Where(region.Code("CN-HA-ZZ")).OnlyX(ctx)
			p := u.Process.Create().SetKey(f.Key).SetNameZh("装机").SetServiceType("home broadband").SetRegionID(root.ID).
				SetRegionPath(root.RegionPath).SetCreatedAt(u.Now).SaveX(ctx)
			v = u.ProcessVersion.Create().SetProcessID(p.ID).SetNumber(1).SetState(processversion.StatePublished).SetDocument(f.Text).
				SetAuthorID("stf_a").SetRegionID(root.ID).SetRegionPath(root.RegionPath).SetCreatedAt(u.Now).SaveX(ctx)
			u.Binding.Create().SetProcessID(p.ID).SetVersionID(v.ID).SetEffectiveFrom(u.Now).SetBoundBy("stf_a").SetRegionID(city.ID).
				SetRegionPath(city.RegionPath).SetCreatedAt(u.Now).ExecX(ctx)
			return nil
		})
	}
	return v
}

// took is one case in a city whose activation took a while; 0 means it still runs.
type took struct {
	start    time.Time
	duration time.Duration
	breached bool
	paused   time.Duration // from an hour after the start, for customer_slot
}

func (h *house) cases(t testing.TB, v *ent.ProcessVersion, ind *ent.Indicator, list []took) {
	t.Helper()
	h.write(t, func(ctx context.Context, u *command.Unit) error {
		city := u.Region.Query().Where(region.Code("CN-HA-ZZ")).OnlyX(ctx)
		var cases []*ent.ServiceCaseCreate
		for i, c := range list {
			b := u.ServiceCase.Create().SetNumber(fmt.Sprintf("N%07d", i)).SetProcessID(v.ProcessID).SetVersionID(v.ID).SetArea("urban").
				SetVariables(map[string]any{}).SetStartedBy("stf_a").SetRegionID(city.ID).SetRegionPath(city.RegionPath).SetCreatedAt(c.start)
			if c.duration > 0 {
				b.SetState(servicecase.StateCompleted)
			}
			cases = append(cases, b)
		}
		var clocks []*ent.ClockCreate
		for n := 0; n < len(cases); n += 500 {
			made := u.ServiceCase.CreateBulk(cases[n:min(n+500, len(cases))]...).SaveX(ctx)
			for i, row := range made {
				clocks = append(clocks, clockOf(u, row, ind, list[n+i]))
			}
		}
		for n := 0; n < len(clocks); n += 500 {
			for i, row := range u.Clock.CreateBulk(clocks[n:min(n+500, len(clocks))]...).SaveX(ctx) {
				if p := list[n+i].paused; p > 0 {
					u.Pause.Create().SetClockID(row.ID).SetReason("customer_slot").SetParty("customer").SetBy("stf_a").
						SetStartedAt(row.StartedAt.Add(time.Hour)).SetEndedAt(row.StartedAt.Add(time.Hour + p)).
						SetRegionID(row.RegionID).SetRegionPath(row.RegionPath).ExecX(ctx)
				}
			}
		}
		return nil
	})
}

func clockOf(u *command.Unit, row *ent.ServiceCase, ind *ent.Indicator, c took) *ent.ClockCreate {
	b := u.Clock.Create().SetCaseID(row.ID).SetIndicatorID(ind.ID).SetIndicatorCode(ind.Code).SetStandardCode("CN-X").SetNameZh(ind.NameZh).
		SetNature(ind.Nature).SetStartEvent(ind.StartEvent).SetStopEvent(ind.StopEvent).SetBasis(ind.Basis).SetValue(ind.Value).SetUnit(ind.Unit).
		SetStartedAt(c.start).SetDueAt(c.start.Add(240 * time.Hour)).SetWarnAt(c.start).SetNextAt(c.start).SetPausedMicros(c.paused.Microseconds()).
		SetRegionID(row.RegionID).SetRegionPath(row.RegionPath)
	if c.duration > 0 {
		b.SetStoppedAt(c.start.Add(c.duration)).SetState(clock.StateMet)
		if c.breached {
			b.SetState(clock.StateBreached)
		}
	}
	return b
}

func TestDiff(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		author, _ := h.people(t)
		for number, value := range []int{10, 8} {
			must[standard.Result](t)(h.room.ImportStandard(author, standard.ImportStandard{
				Document: file("CN-X", "industry", "CN", number+1, limit("X-1", value, "day", "calendar_days")),
			}))
		}
		must[standard.Result](t)(h.room.ImportStandard(author, standard.ImportStandard{Document: file("CN-Y", "industry", "CN", 1, "  []")}))
		d := must[*standard.Comparison](t)(h.room.Diff(author, "CN-X@1", "CN-X@2"))
		if len(d.Changes) != 1 || d.Changes[0].Before != "<= 10 day" || d.Changes[0].After != "<= 8 day" || !d.Changes[0].Number {
			t.Errorf("changes = %+v, want the value from 10 to 8", d.Changes)
		}
		if text := d.Markdown("en"); !strings.Contains(text, "X-1") || !strings.Contains(text, "8") {
			t.Errorf("Markdown = %q, want X-1 with 8", text)
		}
		_, err := h.room.Diff(author, "CN-X@1", "CN-Y@1")
		wantCode(t, err, "STANDARD_NOT_SAME")
		_, err = h.room.Diff(author, "CN-X@1", "CN-X@7")
		wantCode(t, err, "STANDARD_VERSION_NOT_FOUND")
	})
}

func TestCoverage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		h.fibre(t)
		text := file("CN-X", "industry", "CN", 1, limit("X-1", 10, "day", "calendar_days"),
			strings.Replace(limit("X-2", 5, "day", "calendar_days"), "stop_event: service.activated", "stop_event: number.activated", 1))
		h.publish(t, strings.Replace(text, "    indicators:", "      - {number: \"2\", text: {zh: 空, en: Empty}}\n    indicators:", 1), noon)
		for _, ref := range []string{"CN", "CN-HA", "CN-HA-ZZ"} {
			c := must[*standard.Coverage](t)(h.room.Coverage(h.system, ref))
			if len(c.Rows) != 2 || c.Rows[0].Clause != "1.1" || !c.Rows[0].Covered || len(c.Rows[0].Indicators[0].Stops) == 0 {
				t.Errorf("Coverage(%s) = %+v, want 1.1 covered by nodes, and 2, without the heading", ref, c.Rows)
			}
			if u := c.Unbound(); len(u) != 1 || u[0].Clause != "2" {
				t.Errorf("unbound in %s = %+v, want clause 2", ref, u)
			}
			if u := c.Unmeasured(); len(u) != 1 || u[0].Code != "X-2" {
				t.Errorf("unmeasured in %s = %+v, want X-2", ref, u)
			}
		}
		if c := must[*standard.Coverage](t)(h.room.Coverage(h.system, "CN-CQ")); len(c.Unbound()) != 2 {
			t.Errorf("unbound in CN-CQ = %+v, want both clauses: no process runs there", c.Unbound())
		}
		_, err := h.room.Coverage(h.system, "CN-XX")
		wantCode(t, err, "REGION_NOT_FOUND")
	})
}

func TestImpactAndValues(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		h.calendar(t)
		author, _ := h.people(t)
		v := h.fibre(t)
		paused := strings.Replace(limit("X-1", 240, "h", "elapsed"), "enabled: true", "pause_reasons: [customer_slot], enabled: true", 1)
		h.publish(t, file("CN-X", "industry", "CN", 1, paused), noon.AddDate(-1, 0, 0))
		ind := s.Client().Indicator.Query().Where(indicator.Code("X-1")).OnlyX(h.system)
		autumn := time.Date(2025, 11, 3, 2, 0, 0, 0, time.UTC)
		h.cases(t, v, ind, []took{
			{start: autumn, duration: 24 * time.Hour},
			{start: autumn, duration: 100 * time.Hour},
			{start: autumn, duration: 100 * time.Hour, paused: 60 * time.Hour},
			{start: autumn, duration: 300 * time.Hour, breached: true},
			{start: noon, duration: 0},
			{start: noon.AddDate(0, 0, -9), duration: 0},
		})
		shorter := strings.Replace(paused, "value: 240", "value: 72", 1)
		must[standard.Result](t)(h.room.ImportStandard(author, standard.ImportStandard{Document: file("CN-X", "industry", "CN", 2, shorter)}))
		got := must[*standard.ImpactReport](t)(h.room.Impact(h.system, "CN-X@2"))
		// It is March 2026, so the last full quarter is the fourth of 2025.
		if from := time.Date(2025, 9, 30, 16, 0, 0, 0, time.UTC); !got.QuarterFrom.Equal(from) {
			t.Errorf("quarter from %v, want %v", got.QuarterFrom, from)
		}
		if len(got.Indicators) != 1 || len(got.Processes) != 1 || got.Bindings != 1 || got.RunningCases != 2 || len(got.CaseIDs) != 2 || got.Deadlines != 1 {
			t.Fatalf("impact = %+v, want one indicator, process and binding, two running cases and one deadline", got)
		}
		want := standard.IndicatorImpact{
			Code: "X-1", Name: norm.Text{ZH: "开通", EN: "Activation"}, Action: "changed", Policy: "pinned",
			RunningCases: 2, Deadlines: 1, Finished: 4, Breached: 1, WouldBreach: 2,
		}
		if got.Indicators[0] != want {
			t.Errorf("impact of X-1 = %+v, want %+v", got.Indicators[0], want)
		}
		same := must[*standard.ImpactReport](t)(h.room.Impact(h.system, "CN-X@1"))
		if len(same.Indicators) != 0 || same.RunningCases != 0 {
			t.Errorf("impact of the version in force = %+v, want none", same)
		}
		q := standard.IndicatorValues{IndicatorID: ind.ID, RegionID: "CN-HA", From: autumn, To: autumn.AddDate(0, 1, 0)}
		if x := must[*standard.IndicatorValue](t)(h.room.Values(h.system, q)); x.N != 4 || x.MetCount != 3 || x.Value != 0.75 || x.Met || x.Low >= 0.75 || x.High <= 0.75 {
			t.Errorf("Values = %+v, want 3 of 4 kept with an interval around it", x)
		}
		mobile := "mobile"
		none := q
		none.Service = &mobile
		if x := must[*standard.IndicatorValue](t)(h.room.Values(h.system, none)); x.Known {
			t.Errorf("Values for mobile = %+v, want no cases", x)
		}
		none = q
		none.RegionID = "CN-CQ"
		if x := must[*standard.IndicatorValue](t)(h.room.Values(h.system, none)); x.N != 0 {
			t.Errorf("Values in CN-CQ = %+v, want no cases", x)
		}
		q.To = q.From
		_, err := h.room.Values(h.system, q)
		wantCode(t, err, "PERIOD_EMPTY")
		q.To, q.IndicatorID = q.From.Add(1), "ind_x"
		_, err = h.room.Values(h.system, q)
		wantCode(t, err, "INDICATOR_ID_UNKNOWN")
	})
}
