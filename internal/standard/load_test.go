package standard_test

import (
	"testing"
	"time"

	"github.com/openspms/spms/ent/indicator"
	"github.com/openspms/spms/ent/standardversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/packs"
)

func TestLoadPacks(t *testing.T) {
	t.Parallel()
	shipped, err := packs.Norms()
	if err != nil {
		t.Fatal(err)
	}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := open(t, s)
		began := time.Now()
		if err := h.room.LoadPacks(h.system); err != nil {
			t.Fatal(explain(err))
		}
		t.Logf("loaded in %v", time.Since(began))
		versions, indicators := 0, 0
		for _, x := range shipped.Standards {
			for _, v := range x.Versions {
				versions, indicators = versions+1, indicators+len(v.Indicators)
			}
		}
		client := s.Client()
		published := client.StandardVersion.Query().Where(standardversion.StateEQ(standardversion.StatePublished)).CountX(h.system)
		if published != versions {
			t.Errorf("published versions = %d, want %d", published, versions)
		}
		if got := client.Indicator.Query().CountX(h.system); got != indicators {
			t.Errorf("indicators = %d, want %d", got, indicators)
		}
		if got := client.Indicator.Query().Where(indicator.Code("CN-O35-COMPLAINT-ANSWER")).OnlyX(h.system); got.Basis != "calendar_days" {
			t.Errorf("basis of the complaint answer = %q, want calendar_days", got.Basis)
		}
		for _, x := range shipped.Standards {
			v := client.StandardVersion.Query().Where(standardversion.HasStandardWith(), standardversion.Digest(x.Digest(&x.Versions[0]))).CountX(h.system)
			if v != 1 {
				t.Errorf("versions with the shipped digest of %s = %d, want 1", x.Code, v)
			}
		}
		set := must[*norm.Set](t)(h.room.InForce(h.system))
		found := must[[]norm.Applicable](t)(set.Resolve(norm.Query{
			Regions: []string{"CN-HA-ZZ", "CN-HA", "CN"}, Service: "mobile", Area: "urban",
			StartEvent: "complaint.received", At: noon,
		}, nil))
		if len(found) != 2 {
			t.Fatalf("clocks of a complaint in Henan = %d, want 2", len(found))
		}
		id := must[string](t)(h.room.IndicatorID(h.system, found[0]))
		if row := client.Indicator.GetX(h.system, id); row.Code != found[0].Indicator.Code {
			t.Errorf("IndicatorID gives %s, want %s", row.Code, found[0].Indicator.Code)
		}
		again := client.AuditEntry.Query().CountX(h.system)
		if err := h.room.LoadPacks(h.system); err != nil {
			t.Fatal(explain(err))
		}
		if got := client.AuditEntry.Query().CountX(h.system); got != again {
			t.Errorf("loading twice made %d commands, want none", got-again)
		}
		// Another room over the same database parses what it reads and agrees.
		other := must[*norm.Set](t)(standard.New(h.door).InForce(h.system))
		if len(other.Standards()) != len(set.Standards()) {
			t.Errorf("another room sees %d standards, want %d", len(other.Standards()), len(set.Standards()))
		}
		if c, err := h.room.Calendar(h.system, "cn-statutory"); err != nil || !c.Announced(2026) {
			t.Errorf("Calendar(cn-statutory) = %v, %v, want 2026 announced", c, err)
		}
		wantCode(t, h.room.LoadPacks(h.as(t, "stf_a", access.SystemAdmin, "CN/")), "ACTION_FORBIDDEN")
		_, err := h.room.Calendar(h.system, "nowhere")
		wantCode(t, err, "CALENDAR_NOT_FOUND")
	})
}
