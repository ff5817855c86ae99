package standard_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/internal/workforce"
	"github.com/openspms/spms/packs"
)

func TestMain(m *testing.M) {
	code := m.Run()
	storetest.DropTemplate()
	os.Exit(code)
}

// house is one database with the regions that the tests need.
type house struct {
	door   *command.Door
	room   *standard.Room
	now    *clock.Manual
	system context.Context
}

var noon = time.Date(2026, 3, 3, 4, 0, 0, 0, time.UTC)

func open(t testing.TB, s *store.Store) *house {
	t.Helper()
	now := clock.NewManual(noon)
	h := &house{door: &command.Door{Store: s, Clock: now, Log: slog.New(slog.DiscardHandler)}, now: now}
	h.room = standard.New(h.door)
	h.system = access.With(t.Context(), access.System("test"))
	people := workforce.New(h.door)
	ids := map[string]string{}
	for _, r := range []struct{ code, parent, level string }{
		{"CN", "", "headquarters"}, {"CN-HA", "CN", "province"}, {"CN-CQ", "CN", "province"}, {"CN-HA-ZZ", "CN-HA", "city"},
	} {
		in := workforce.CreateRegion{Code: r.code, Level: r.level, NameZh: r.code, NameEn: r.code}
		if parent, ok := ids[r.parent]; ok {
			in.ParentID = &parent
		}
		id, err := people.CreateRegion(h.system, in)
		if err != nil {
			t.Fatal(err)
		}
		ids[r.code] = id
	}
	return h
}

// as is a person who holds a role in the region of path.
func (h *house) as(t testing.TB, name string, role access.Role, path string) context.Context {
	t.Helper()
	return access.With(t.Context(), &access.Viewer{
		StaffID: name, Code: name, Name: name,
		Grants: []access.Grant{{Role: role, RegionPath: path}},
	})
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if got := fault.CodeOf(err); got != code {
		t.Fatalf("error %q (%v), want %q", got, err, code)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(explain(err))
		}
		return v
	}
}

// explain writes an error with its items.
func explain(err error) string {
	e := fault.From(err)
	out := fault.Text(fault.EN, e) + " " + e.Error()
	for _, it := range e.Items {
		out += "\n  " + fault.Text(fault.EN, it)
	}
	return out
}

func shippedNorms(t *testing.T) *packs.Norm {
	t.Helper()
	n, err := packs.Norms()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func shippedCalendar(t testing.TB, code string) string {
	t.Helper()
	text, err := packs.FS.ReadFile("calendar/" + code + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
