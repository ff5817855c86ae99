package standard_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clause"
	"github.com/openspms/spms/ent/indicator"
	"github.com/openspms/spms/ent/standardversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
)

// limit is the indicator line of a standard file: activation within value of a unit.
func limit(code string, value int, unit, basis string) string {
	return fmt.Sprintf(`
      - {code: %s, name: {zh: 开通, en: Activation}, clause: "1.1", kind: service_quality, statistic: max, comparator: "<=",
         value: %d, unit: %s, basis: %s, start_event: order.accepted, stop_event: service.activated, services: [home_broadband],
         areas: [any], enabled: true, verification: own}`, code, value, unit, basis)
}

func file(code, authority, jurisdiction string, number int, indicators ...string) string {
	return fmt.Sprintf(`format: openspms-standard/1
code: %s
name: {zh: 标准, en: Standard}
authority: %s
jurisdiction: %s
calendar: cn-statutory
versions:
  - number: %d
    clauses:
      - {number: "1", text: {zh: 交付, en: Delivery}}
      - {number: "1.1", parent: "1", text: {zh: 开通, en: Activation}}
    indicators:%s
`, code, authority, jurisdiction, number, strings.Join(indicators, ""))
}

// people are an author and an approver at headquarters.
func (h *house) people(t testing.TB) (author, approver context.Context) {
	return h.as(t, "stf_author", access.StandardAdmin, "CN/"), h.as(t, "stf_approver", access.SystemAdmin, "CN/")
}

// approved imports a file and takes it to the state approved; it returns its id
// and revision.
func (h *house) approved(t testing.TB, text string) (string, int) {
	t.Helper()
	author, approver := h.people(t)
	made := must[standard.Result](t)(h.room.ImportStandard(author, standard.ImportStandard{Document: text}))
	return h.promote(t, author, approver, made.VersionID, 1)
}

func (h *house) promote(t testing.TB, author, approver context.Context, id string, revision int) (string, int) {
	t.Helper()
	must[standard.Result](t)(h.room.Submit(author, standard.Submit{VersionID: id, Revision: revision}))
	must[standard.Result](t)(h.room.Approve(approver, standard.Approve{VersionID: id, Revision: revision + 1}))
	return id, revision + 2
}

func (h *house) publish(t testing.TB, text string, from time.Time) standard.Result {
	t.Helper()
	_, approver := h.people(t)
	id, revision := h.approved(t, text)
	return must[standard.Result](t)(h.room.Publish(approver, standard.Publish{VersionID: id, Revision: revision, EffectiveFrom: &from}))
}

func (h *house) calendar(t testing.TB) {
	t.Helper()
	must[string](t)(h.room.ImportCalendar(h.system, standard.ImportCalendar{RegionID: "CN", Document: shippedCalendar(t, "cn-statutory")}))
}

func TestLifeOfAVersion(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		author, approver := h.people(t)
		room, client := h.room, s.Client()
		key := "one"
		in := standard.ImportStandard{Document: file("CN-X", "industry", "CN", 1, limit("X-1", 10, "day", "calendar_days")), IdempotencyKey: &key}
		made := must[standard.Result](t)(room.ImportStandard(author, in))
		if again := must[standard.Result](t)(room.ImportStandard(author, in)); again.VersionID != made.VersionID {
			t.Errorf("the same key made %s, want %s", again.VersionID, made.VersionID)
		}
		_, err := room.ImportStandard(author, standard.ImportStandard{Document: in.Document})
		wantCode(t, err, "STANDARD_VERSION_TAKEN")

		_, err = room.Approve(approver, standard.Approve{VersionID: made.VersionID, Revision: 1})
		wantCode(t, err, "STANDARD_STATE")
		_, err = room.Submit(author, standard.Submit{VersionID: "CN-X@1", Revision: 7})
		wantCode(t, err, "STALE_REVISION")
		_, err = room.Submit(author, standard.Submit{VersionID: "CN-X@9", Revision: 1})
		wantCode(t, err, "STANDARD_VERSION_NOT_FOUND")
		must[standard.Result](t)(room.Submit(author, standard.Submit{VersionID: "CN-X@1", Revision: 1}))
		_, err = room.Approve(h.as(t, "stf_author", access.SystemAdmin, "CN/"), standard.Approve{VersionID: "CN-X@1", Revision: 2})
		wantCode(t, err, "STANDARD_SAME_PERSON")
		must[standard.Result](t)(room.Return(approver, standard.Return{VersionID: "CN-X@1", Reason: "mend it"}))
		h.promote(t, author, approver, made.VersionID, 3)
		wantNone(t, h, "X-1", noon)

		pub := standard.Publish{VersionID: "CN-X@1", Revision: 5}
		_, err = room.Publish(h.as(t, "stf_x", access.Technician, "CN/"), pub)
		wantCode(t, err, "ACTION_FORBIDDEN")
		must[standard.Result](t)(room.Publish(approver, pub))
		_, err = room.Publish(approver, pub)
		wantCode(t, err, "STANDARD_STATE")

		row := client.StandardVersion.GetX(author, made.VersionID)
		if !row.EffectiveFrom.Equal(noon) || row.EffectiveTo != nil || row.Digest == "" || *row.ApproverID != "stf_approver" {
			t.Errorf("published version = %v, want it in force from now on with digest and approver", row)
		}
		parsed := must[*norm.Standard](t)(norm.ParseStandard([]byte(row.Document), vocabulary(t)))
		if got := parsed.Digest(&parsed.Versions[0]); got != row.Digest {
			t.Errorf("digest of the document = %s, want that of the row, %s", got, row.Digest)
		}
		wantFound(t, h, "X-1", noon, 1)
		wantNone(t, h, "X-1", noon.Add(-time.Second))
		_, err = room.UpdateDraft(author, standard.UpdateDraft{VersionID: "CN-X@1", Revision: row.Revision, Document: in.Document})
		wantCode(t, err, "STANDARD_STATE")

		h.now.Set(noon.Add(48 * time.Hour))
		must[standard.Result](t)(room.Withdraw(approver, standard.Withdraw{VersionID: "CN-X@1", Reason: "wrong"}))
		wantFound(t, h, "X-1", noon.Add(47*time.Hour), 1)
		wantNone(t, h, "X-1", noon.Add(48*time.Hour))
	})
}

func vocabulary(t *testing.T) *norm.Vocabulary {
	t.Helper()
	return shippedNorms(t).Vocabulary
}

// wantFound checks the number of the version in which an indicator is in force.
func wantFound(t *testing.T, h *house, code string, at time.Time, number int) {
	t.Helper()
	a, ok := must[*norm.Set](t)(h.room.InForce(h.system)).Find(code, at)
	if !ok || a.Version.Number != number {
		t.Errorf("Find(%s, %v) = %v, %v, want version %d", code, at, a.Version, ok, number)
	}
	row := must[*ent.StandardVersion](t)(h.room.At(h.system, a.Standard.Code, at))
	if row == nil || row.Number != number {
		t.Errorf("At(%s, %v) = %v, want version %d", a.Standard.Code, at, row, number)
	}
}

func wantNone(t *testing.T, h *house, code string, at time.Time) {
	t.Helper()
	if a, ok := must[*norm.Set](t)(h.room.InForce(h.system)).Find(code, at); ok {
		t.Errorf("Find(%s, %v) = version %d, want none", code, at, a.Version.Number)
	}
	if row := must[*ent.StandardVersion](t)(h.room.At(h.system, "CN-"+code[:1], at)); row != nil {
		t.Errorf("At(CN-%s, %v) = version %d, want none", code[:1], at, row.Number)
	}
}

func TestSuccession(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		author, approver := h.people(t)
		other := standard.New(h.door)
		h.publish(t, file("CN-X", "industry", "CN", 1, limit("X-1", 10, "day", "calendar_days")), noon)
		must[*norm.Set](t)(other.InForce(h.system))
		h.publish(t, file("CN-X", "industry", "CN", 2, limit("X-1", 9, "day", "calendar_days")), noon.Add(time.Hour))
		wantFound(t, h, "X-1", noon.Add(59*time.Minute), 1)
		wantFound(t, h, "X-1", noon.Add(time.Hour), 2)
		if a, ok := must[*norm.Set](t)(other.InForce(h.system)).Find("X-1", noon.Add(time.Hour)); !ok || a.Version.Number != 2 {
			t.Errorf("another room sees version %v, want 2", a.Version)
		}
		if n := must[int](t)(h.room.Supersede(h.system)); n != 0 {
			t.Errorf("Supersede() before the second begins = %d, want none", n)
		}
		first := s.Client().StandardVersion.Query().Where(standardversion.Number(1)).OnlyX(author)
		if first.State != standardversion.StatePublished {
			t.Errorf("first version is %s before the second begins, want published", first.State)
		}
		h.now.Set(noon.Add(time.Hour))
		if n := must[int](t)(h.room.Supersede(h.system)); n != 1 {
			t.Errorf("Supersede() when the second begins = %d, want 1", n)
		}
		first = s.Client().StandardVersion.GetX(author, first.ID)
		if first.State != standardversion.StateSuperseded || !first.EffectiveTo.Equal(noon.Add(time.Hour)) {
			t.Errorf("first version is %s until %v, want superseded where the second begins", first.State, first.EffectiveTo)
		}
		id, revision := h.approved(t, file("CN-X", "industry", "CN", 3, limit("X-1", 8, "day", "calendar_days")))
		from, to := noon.Add(-time.Hour), noon.Add(time.Minute)
		_, err := h.room.Publish(approver, standard.Publish{VersionID: id, Revision: revision, EffectiveFrom: &from, EffectiveTo: &to})
		wantCode(t, err, "STANDARD_OVERLAP")
		_, err = h.room.Publish(approver, standard.Publish{VersionID: id, Revision: revision, EffectiveFrom: &to, EffectiveTo: &from})
		wantCode(t, err, "STANDARD_INTERVAL_EMPTY")
		if got := s.Client().StandardVersion.GetX(author, first.ID); !got.EffectiveTo.Equal(*first.EffectiveTo) {
			t.Errorf("a refused publication moved the end to %v", got.EffectiveTo)
		}
	})
}

// TestWithdrawnBeforeItBegan withdraws versions that lie ahead: the one before
// goes on to the end it was published with, or to the next version.
func TestWithdrawnBeforeItBegan(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		_, approver := h.people(t)
		day := func(n int) time.Time { return noon.AddDate(0, 0, n) }
		withdraw := func(ref string) {
			t.Helper()
			must[standard.Result](t)(h.room.Withdraw(approver, standard.Withdraw{VersionID: ref, Reason: "not yet"}))
		}
		id, revision := h.approved(t, file("CN-X", "industry", "CN", 1, limit("X-1", 10, "day", "calendar_days")))
		from, to := day(0), day(30)
		must[standard.Result](t)(h.room.Publish(approver, standard.Publish{VersionID: id, Revision: revision, EffectiveFrom: &from, EffectiveTo: &to}))
		h.publish(t, file("CN-X", "industry", "CN", 2, limit("X-1", 9, "day", "calendar_days")), day(10))
		h.publish(t, file("CN-X", "industry", "CN", 3, limit("X-1", 8, "day", "calendar_days")), day(20))
		wantFound(t, h, "X-1", day(9), 1)
		wantFound(t, h, "X-1", day(10), 2)
		withdraw("CN-X@2")
		wantFound(t, h, "X-1", day(20).Add(-time.Microsecond), 1)
		wantFound(t, h, "X-1", day(20), 3)
		withdraw("CN-X@3")
		wantFound(t, h, "X-1", day(30).Add(-time.Microsecond), 1)
		wantNone(t, h, "X-1", day(30))
		h.publish(t, file("CN-X", "industry", "CN", 4, limit("X-1", 7, "day", "calendar_days")), day(40))
		wantNone(t, h, "X-1", day(40).Add(-time.Microsecond)) // a gap
		wantFound(t, h, "X-1", day(4000), 4)
		if n := must[int](t)(h.room.Supersede(h.system)); n != 0 {
			t.Errorf("Supersede() = %d, want none: nothing has begun in the first's place", n)
		}
		if first := s.Client().StandardVersion.GetX(h.system, id); first.State != standardversion.StatePublished || !first.EffectiveTo.Equal(to) {
			t.Errorf("the first version is %s until %v, want it published until %v", first.State, first.EffectiveTo, to)
		}
	})
}

func TestPublishAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		h.calendar(t)
		_, approver := h.people(t)
		const n = 6
		var ids [n]string
		var revision int
		for i := range n {
			ids[i], revision = h.approved(t, file("ENT-X", "enterprise", "CN", i+1, limit("E-1", 10, "working_day", "working_days")))
		}
		var errs [n]error
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				_, errs[i] = h.room.Publish(approver, standard.Publish{VersionID: ids[i], Revision: revision, EffectiveFrom: &noon})
			})
		}
		group.Wait()
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case fault.KindOf(err) != fault.Conflict:
				t.Errorf("a loser got %v, want a conflict", err)
			}
		}
		published := s.Client().StandardVersion.Query().Where(standardversion.StateEQ(standardversion.StatePublished)).CountX(h.system)
		if won != 1 || published != 1 {
			t.Errorf("winners = %d, published = %d, want 1 and 1", won, published)
		}
	})
}

func TestEnterprisesOnlyStricter(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		h.calendar(t)
		_, approver := h.people(t)
		h.publish(t, file("CN-L", "law", "CN", 1, limit("L-1", 10, "day", "calendar_days")), noon)
		tests := []struct {
			name      string
			indicator string
			code      string // of the refusal's item
			verdict   string
		}{
			{"never", limit("E-1", 12, "day", "calendar_days"), "STANDARD_NEVER_STRICTER", ""},
			{"as above", limit("E-1", 10, "day", "calendar_days"), "STANDARD_AS_ABOVE", ""},
			{"sometimes", limit("E-1", 7, "working_day", "working_days"), "", "sometimes"},
			{"always", limit("E-1", 24, "h", "elapsed"), "", "always"},
		}
		for i, tt := range tests {
			id, revision := h.approved(t, file(fmt.Sprintf("ENT-%d", i), "enterprise", "CN-HA", 1, tt.indicator))
			out, err := h.room.Publish(approver, standard.Publish{VersionID: id, Revision: revision, EffectiveFrom: &noon})
			if tt.code != "" {
				wantCode(t, err, "STANDARD_NOT_STRICTER")
				item := fault.From(err).Items[0]
				if item.Code != tt.code || item.Param("clause") != "1.1" || item.Param("standard") != "CN-L" {
					t.Errorf("%s: refusal = %v, want %s naming CN-L 1.1", tt.name, item, tt.code)
				}
				continue
			}
			if err != nil {
				t.Fatal(explain(err))
			}
			if got := out.Strictness; len(got) != 1 || got[0].Verdict != tt.verdict || len(got[0].Scopes) == 0 || len(got[0].Scopes[0].Spans) == 0 {
				t.Errorf("%s: answer = %+v, want %s with its days", tt.name, got, tt.verdict)
			}
		}
	})
}

func TestEditClauseByClause(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		author, _ := h.people(t)
		room, client := h.room, s.Client()
		h.publish(t, file("CN-X", "industry", "CN", 1, limit("X-1", 10, "day", "calendar_days"), limit("X-2", 9, "day", "calendar_days")), noon)
		made := must[standard.Result](t)(room.CreateDraft(author, standard.CreateDraft{FromVersionID: "CN-X@1"}))
		id, rev := made.VersionID, 1
		next := func(_ standard.Result, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(explain(err))
			}
			rev++
		}
		parent, after := "1", "1"
		next(room.SetClause(author, standard.SetClause{VersionID: id, Revision: rev, Number: "1.0", Parent: &parent, After: &after, Text: standard.Text{Zh: "新", En: "New"}}))
		_, err := room.SetClause(author, standard.SetClause{VersionID: id, Revision: 1, Number: "1.0", Text: standard.Text{Zh: "旧"}})
		wantCode(t, err, "STALE_REVISION")
		_, err = room.RemoveClause(author, standard.RemoveClause{VersionID: id, Revision: rev, Number: "1.1"})
		wantCode(t, err, "STANDARD_CLAUSE_IN_USE")
		_, err = room.RemoveClause(author, standard.RemoveClause{VersionID: id, Revision: rev, Number: "9"})
		wantCode(t, err, "STANDARD_CLAUSE_NOT_FOUND")
		_, err = room.SetClause(author, standard.SetClause{VersionID: id, Revision: rev, Number: "1", Parent: &after, Text: standard.Text{Zh: "圈"}})
		wantCode(t, err, "NORM_INVALID")
		start, stop := "order.accepted", "service.activated"
		ind := standard.SetIndicator{
			VersionID: id, Revision: rev, Code: "X-1", Name: standard.Text{Zh: "开通", En: "Activation"}, Clause: "1.0", Kind: "service_quality",
			Statistic: "max", Comparator: "<=", Value: 36, Unit: "h", Basis: "elapsed_hours", StartEvent: &start, StopEvent: &stop,
			Services: []string{"home broadband"}, Areas: []string{"any"},
		}
		next(room.SetIndicator(author, ind))
		bad := ind
		bad.Revision, bad.Basis = rev, "moons"
		_, err = room.SetIndicator(author, bad)
		wantCode(t, err, "NORM_INVALID")
		next(room.RemoveIndicator(author, standard.RemoveIndicator{VersionID: id, Revision: rev, Code: "X-2"}))
		_, err = room.RemoveIndicator(author, standard.RemoveIndicator{VersionID: id, Revision: rev, Code: "X-2"})
		wantCode(t, err, "INDICATOR_NOT_FOUND")
		next(room.RemoveClause(author, standard.RemoveClause{VersionID: id, Revision: rev, Number: "1.1"}))

		var numbers []string
		client.Clause.Query().Where(clause.VersionID(id)).Order(ent.Asc(clause.FieldPosition)).Select(clause.FieldNumber).ScanX(author, &numbers)
		if d := cmp.Diff([]string{"1", "1.0"}, numbers); d != "" {
			t.Errorf("clauses (-want +got):\n%s", d)
		}
		row := client.Indicator.Query().Where(indicator.VersionID(id)).WithClause().OnlyX(author)
		if row.Code != "X-1" || row.Basis != "elapsed" || row.Value != 36 || row.Edges.Clause.Number != "1.0" || row.Services[0] != "home_broadband" {
			t.Errorf("indicator = %v, want X-1 of clause 1.0 with 36 elapsed", row)
		}
		if n := client.Indicator.Query().Where(indicator.VersionIDNEQ(id)).CountX(author); n != 2 {
			t.Errorf("the version in force has %d indicators, want its 2", n)
		}
		draft := client.StandardVersion.GetX(author, id)
		if draft.Number != 2 || draft.Revision != rev || strings.Contains(draft.Document, "X-2") {
			t.Errorf("draft = number %d revision %d, want 2 and %d without X-2", draft.Number, draft.Revision, rev)
		}
		_, err = room.UpdateDraft(author, standard.UpdateDraft{VersionID: id, Revision: rev, Document: file("CN-X", "law", "CN", 2, "  []")})
		wantCode(t, err, "STANDARD_HEAD_CHANGED")
		_, err = room.UpdateDraft(author, standard.UpdateDraft{VersionID: id, Revision: rev, Document: file("CN-X", "industry", "CN", 3, "  []")})
		wantCode(t, err, "STANDARD_NUMBER_CHANGED")
		next(room.UpdateDraft(author, standard.UpdateDraft{VersionID: id, Revision: rev, Document: file("CN-X", "industry", "CN", 2, limit("X-9", 3, "day", "calendar_days"))}))
		if got := client.Indicator.Query().Where(indicator.VersionID(id)).OnlyX(author).Code; got != "X-9" {
			t.Errorf("indicator after the new document = %s, want X-9", got)
		}
	})
}
