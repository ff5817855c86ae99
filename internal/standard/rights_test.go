package standard_test

import (
	"strings"
	"testing"

	"github.com/openspms/spms/ent/calendar"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
)

func TestForeignRegions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		henan := h.as(t, "stf_henan", access.ProvinceAdmin, "CN/CN-HA/")
		chongqing := h.as(t, "stf_cq", access.ProvinceAdmin, "CN/CN-CQ/")
		rule := "    rules:\n      - {code: R-1, name: {zh: 规则}, clause: \"1\", on: case, expression: 'stage != \"design\" || variables.slot != null', result: block}\n"
		must[standard.Result](t)(h.room.ImportStandard(henan, standard.ImportStandard{Document: file("HA-R", "enterprise", "CN-HA", 1, "  []") + rule}))
		made := must[standard.Result](t)(h.room.ImportStandard(henan, standard.ImportStandard{Document: file("HA-X", "enterprise", "CN-HA", 1, "  []")}))
		tests := []struct {
			name string
			call func() error
			code string
		}{
			{"a standard of a sibling region", func() error {
				_, err := h.room.ImportStandard(henan, standard.ImportStandard{Document: file("CQ-X", "enterprise", "CN-CQ", 1, "  []")})
				return err
			}, "STANDARD_REGION_UNKNOWN"},
			{"a standard of the region above", func() error {
				_, err := h.room.ImportStandard(henan, standard.ImportStandard{Document: file("CN-X", "enterprise", "CN", 1, "  []")})
				return err
			}, "ACTION_FORBIDDEN"},
			{"a region that is not there", func() error {
				_, err := h.room.ImportStandard(h.system, standard.ImportStandard{Document: file("XX-X", "enterprise", "XX", 1, "  []")})
				return err
			}, "STANDARD_REGION_UNKNOWN"},
			{"a sibling's draft", func() error {
				_, err := h.room.Submit(chongqing, standard.Submit{VersionID: made.VersionID, Revision: 1})
				return err
			}, "STANDARD_VERSION_NOT_FOUND"},
			{"a draft from a sibling's version", func() error {
				_, err := h.room.CreateDraft(chongqing, standard.CreateDraft{FromVersionID: "HA-X@1"})
				return err
			}, "STANDARD_VERSION_NOT_FOUND"},
			{"a sibling's edit", func() error {
				_, err := h.room.RemoveClause(chongqing, standard.RemoveClause{VersionID: made.VersionID, Revision: 1, Number: "1"})
				return err
			}, "STANDARD_VERSION_NOT_FOUND"},
			{"a reader's edit", func() error {
				reader := h.as(t, "stf_r", access.Auditor, "CN/")
				_, err := h.room.RemoveClause(reader, standard.RemoveClause{VersionID: made.VersionID, Revision: 1, Number: "1"})
				return err
			}, "ACTION_FORBIDDEN"},
			{"what a sibling has in force", func() error {
				_, err := h.room.At(chongqing, "HA-X", noon)
				return err
			}, "STANDARD_NOT_FOUND"},
			{"a text that cannot be read", func() error {
				_, err := h.room.ImportStandard(henan, standard.ImportStandard{Document: "format: ["})
				return err
			}, "NORM_SYNTAX"},
			{"a rule that does not compile", func() error {
				rules := "    rules:\n      - {code: R-1, name: {zh: 规则}, clause: \"1\", on: case, expression: 'stage == 3', result: block}\n"
				_, err := h.room.ImportStandard(henan, standard.ImportStandard{Document: file("HA-Y", "enterprise", "CN-HA", 1, "  []") + rules})
				if item := fault.From(err).Items; len(item) == 1 && (item[0].Code != "EXPR_TYPE" || item[0].Path[4] != "rules") {
					t.Errorf("the rule's error is %v, want EXPR_TYPE at the rule", item[0])
				}
				return err
			}, "NORM_INVALID"},
			{"an unknown event", func() error {
				text := strings.Replace(file("HA-Y", "enterprise", "CN-HA", 1, limit("Y", 1, "day", "calendar_days")), "order.accepted", "order.dreamt", 1)
				_, err := h.room.ImportStandard(henan, standard.ImportStandard{Document: text})
				return err
			}, "NORM_INVALID"},
		}
		for _, tt := range tests {
			if err := tt.call(); fault.CodeOf(err) != tt.code {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
			}
		}
		if n := s.Client().Standard.Query().CountX(h.system); n != 2 {
			t.Errorf("standards = %d, want the two that were imported: nothing half imported", n)
		}
	})
}

func TestImportCalendar(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		h.calendar(t)
		text := shippedCalendar(t, "cn-statutory")
		if c, err := h.room.Calendar(h.system, "cn-statutory"); err != nil || c.Announced(2027) {
			t.Fatalf("Calendar = %v, %v, want one without 2027", c, err)
		}
		next := strings.TrimRight(text, "\n") + "\n  - year: 2027\n    source: \"示例\"\n"
		admin := h.as(t, "stf_a", access.StandardAdmin, "CN/")
		changes := s.Subscribe(t.Context())
		stale := 9
		_, err := h.room.ImportCalendar(admin, standard.ImportCalendar{RegionID: "CN", Document: next, Revision: &stale})
		wantCode(t, err, "STALE_REVISION")
		id := must[string](t)(h.room.ImportCalendar(admin, standard.ImportCalendar{RegionID: "CN", Document: next}))
		for c := range changes {
			if c.Kind == "calendar" && c.ID == id {
				break
			}
		}
		if c, err := h.room.Calendar(h.system, "cn-statutory"); err != nil || !c.Announced(2027) {
			t.Errorf("Calendar = %v, %v, want 2027 announced", c, err)
		}
		must[string](t)(h.room.ImportCalendar(admin, standard.ImportCalendar{RegionID: "CN", Document: next}))
		if row := s.Client().Calendar.Query().Where(calendar.Code("cn-statutory")).OnlyX(admin); row.Revision != 2 || len(row.Years) != 3 {
			t.Errorf("calendar = revision %d years %v, want revision 2 with three years: the same text changes nothing", row.Revision, row.Years)
		}
		_, err = h.room.ImportCalendar(admin, standard.ImportCalendar{RegionID: "CN", Document: text})
		wantCode(t, err, "CALENDAR_YEAR_REMOVED")
		_, err = h.room.ImportCalendar(admin, standard.ImportCalendar{RegionID: "CN", Document: strings.Replace(next, "Asia/Shanghai", "Asia/Tokyo", 1)})
		wantCode(t, err, "CALENDAR_HEAD_CHANGED")
		_, err = h.room.ImportCalendar(admin, standard.ImportCalendar{RegionID: "XX", Document: strings.Replace(text, "cn-statutory", "xx", 1)})
		wantCode(t, err, "REGION_NOT_FOUND")
		_, err = h.room.ImportCalendar(h.as(t, "stf_t", access.Technician, "CN/"), standard.ImportCalendar{RegionID: "CN", Document: next})
		wantCode(t, err, "ACTION_FORBIDDEN")
		_, err = h.room.ImportCalendar(admin, standard.ImportCalendar{RegionID: "CN", Document: "kind: ["})
		wantCode(t, err, "CALENDAR_SYNTAX")
	})
}
