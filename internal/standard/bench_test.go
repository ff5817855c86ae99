package standard_test

import (
	"testing"
	"time"

	"github.com/openspms/spms/ent/indicator"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store/storetest"
)

// BenchmarkInForce is what a step of a case pays to know the standards in force.
func BenchmarkInForce(b *testing.B) {
	h := open(b, storetest.SQLite(b))
	if err := h.room.LoadPacks(h.system); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := h.room.InForce(h.system); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkImpact is the impact of one changed clock on 100,000 cases of the last
// quarter.
func BenchmarkImpact(b *testing.B) {
	const cases = 100_000
	h := open(b, storetest.SQLite(b))
	h.calendar(b)
	author, _ := h.people(b)
	v := h.fibre(b)
	h.publish(b, file("CN-X", "industry", "CN", 1, limit("X-1", 10, "working_day", "working_days")), noon.AddDate(-1, 0, 0))
	ind := h.door.Store.Client().Indicator.Query().Where(indicator.Code("X-1")).OnlyX(h.system)
	list := make([]took, cases)
	for i := range list {
		list[i] = took{start: time.Date(2025, 11, 1+i%20, i%24, 0, 0, 0, time.UTC), duration: time.Duration(1+i%400) * time.Hour}
	}
	h.cases(b, v, ind, list)
	next := file("CN-X", "industry", "CN", 2, limit("X-1", 5, "working_day", "working_days"))
	must[standard.Result](b)(h.room.ImportStandard(author, standard.ImportStandard{Document: next}))
	for b.Loop() {
		got, err := h.room.Impact(h.system, "CN-X@2")
		if err != nil {
			b.Fatal(err)
		}
		if got.Indicators[0].Finished != cases {
			b.Fatalf("finished = %d, want %d", got.Indicators[0].Finished, cases)
		}
	}
	b.ReportMetric(cases*float64(b.N)/b.Elapsed().Seconds(), "cases/s")
}
