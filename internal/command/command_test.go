package command_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	storetest.DropTemplate()
	os.Exit(code)
}

var start = time.Date(2026, 3, 3, 8, 0, 0, 0, time.UTC)

type made struct{ ID string }

func door(s *store.Store) *command.Door {
	return &command.Door{Store: s, Clock: clock.NewManual(start)}
}

// makeRegion is a command that creates a region of a code.
func makeRegion(code string) func(ctx context.Context, u *command.Unit) (made, error) {
	return func(ctx context.Context, u *command.Unit) (made, error) {
		path := code + "/"
		if err := u.Require(access.KeepStaff, path); err != nil {
			return made{}, err
		}
		r, err := u.Region.Create().SetCode(code).SetRegionPath(path).SetNameZh("区域" + code).SetNameEn(code).
			SetLevel("headquarters").SetCreatedAt(u.Now).Save(ctx)
		if err != nil {
			return made{}, err
		}
		u.On(r.ID, path)
		return made{r.ID}, nil
	}
}

func TestSameKeySameAnswerOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := access.With(t.Context(), access.System("test"))
		d, c := door(s), command.Command{Operation: "makeRegion", Key: "k1", Input: "A"}
		var wg sync.WaitGroup
		ids := make([]string, 20)
		for i := range ids {
			wg.Go(func() {
				got, err := command.Run(ctx, d, c, makeRegion("A"))
				if err != nil {
					t.Errorf("Run(%v) = %v", c, err)
				}
				ids[i] = got.ID
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id != ids[0] || id == "" {
				t.Fatalf("Run(%v) answered %q and %q, want one answer", c, ids[0], id)
			}
		}
		if n := s.Client().Region.Query().CountX(ctx); n != 1 {
			t.Errorf("regions after 20 sends = %d, want 1", n)
		}
		if n := s.Client().AuditEntry.Query().CountX(ctx); n != 1 {
			t.Errorf("audit rows after 20 sends = %d, want 1", n)
		}
		c.Input = "B"
		if _, err := command.Run(ctx, d, c, makeRegion("B")); fault.CodeOf(err) != "IDEMPOTENCY_KEY_REUSED" {
			t.Errorf("Run(same key, other input) = %v, want IDEMPOTENCY_KEY_REUSED", err)
		}
	})
}

func TestRefusalLeavesOnlyItsAuditRow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		v := &access.Viewer{StaffID: "stf_x", Code: "agent", Grants: []access.Grant{{Role: access.Agent, RegionPath: "A/"}}}
		_, err := command.Run(access.With(t.Context(), v), door(s),
			command.Command{Operation: "makeRegion", Key: "k"}, makeRegion("A"))
		if fault.CodeOf(err) != "ACTION_FORBIDDEN" {
			t.Fatalf("Run(agent) = %v, want ACTION_FORBIDDEN", err)
		}
		sys := access.With(t.Context(), access.System("test"))
		if n := s.Client().Region.Query().CountX(sys); n != 0 {
			t.Errorf("regions after a refusal = %d, want 0", n)
		}
		row := s.Client().AuditEntry.Query().OnlyX(sys)
		if row.Outcome != "refused" || row.Code != "ACTION_FORBIDDEN" || row.RegionPath != "A/" || row.Viewer != "stf_x" {
			t.Errorf("audit row = %v, want the refusal of stf_x in A/", row)
		}
		if n := s.Client().IdempotencyKey.Query().CountX(sys); n != 0 {
			t.Errorf("kept answers after a refusal = %d, want 0", n)
		}
	})
}

// TestFailuresHarmNoNeighbour sends failing, panicking and good commands at
// once, so that they share commits: the good ones are all there, the others not.
func TestFailuresHarmNoNeighbour(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := access.With(t.Context(), access.System("test"))
		d := door(s)
		broken := errors.New("broken")
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				code := fmt.Sprintf("R%02d", i)
				_, err := command.Run(ctx, d, command.Command{Operation: "makeRegion"}, func(ctx context.Context, u *command.Unit) (made, error) {
					out, err := makeRegion(code)(ctx, u)
					switch {
					case err != nil:
						return out, err
					case i%3 == 1:
						return out, broken
					case i%3 == 2:
						panic("boom")
					}
					return out, nil
				})
				if (i%3 == 0) != (err == nil) {
					t.Errorf("Run(%s) = %v", code, err)
				}
			})
		}
		wg.Wait()
		if n := s.Client().Region.Query().CountX(ctx); n != 20 {
			t.Errorf("regions = %d, want 20", n)
		}
	})
}

func TestHooksRunAfterCommitOnly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := access.With(t.Context(), access.System("test"))
		changes := s.Subscribe(ctx)
		for _, fail := range []bool{true, false} {
			_, _ = command.Run(ctx, door(s), command.Command{Operation: "makeRegion"}, func(ctx context.Context, u *command.Unit) (made, error) {
				out, err := makeRegion("A")(ctx, u)
				u.Changed(store.Change{Kind: "region", ID: fmt.Sprint(fail)})
				if fail {
					return out, errors.New("broken")
				}
				return out, err
			})
		}
		if got := <-changes; got.ID != "false" {
			t.Errorf("first change = %v, want the committed one", got)
		}
	})
}

// TestCommandsMayReadBesideTheirTransaction runs more commands at once than
// there are connections, each of which reads through the reading client while it
// holds its transaction; none may wait for another for ever.
func TestCommandsMayReadBesideTheirTransaction(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, stop := context.WithTimeout(access.With(t.Context(), access.System("test")), time.Minute)
		defer stop()
		d := door(s)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				_, err := command.Run(ctx, d, command.Command{Operation: "makeRegion"}, func(ctx context.Context, u *command.Unit) (made, error) {
					if _, err := s.Client().Region.Query().Count(ctx); err != nil {
						return made{}, err
					}
					return makeRegion(fmt.Sprintf("R%02d", i))(ctx, u)
				})
				if err != nil {
					t.Errorf("command %d = %v", i, err)
				}
			})
		}
		wg.Wait()
	})
}
