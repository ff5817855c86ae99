package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	storetest.DropTemplate()
	os.Exit(code)
}

var at = time.Date(2026, 3, 3, 8, 0, 0, 123456000, time.UTC)

// regionOf makes the row of a region.
func regionOf(tx *store.Tx, code string) *ent.RegionCreate {
	return tx.Region.Create().SetCode(code).SetRegionPath(code + "/").SetNameZh("区域" + code).SetNameEn(code).
		SetLevel("headquarters").SetCreatedAt(at)
}

func codes(ctx context.Context, t *testing.T, s *store.Store) []string {
	t.Helper()
	got, err := s.Client().Region.Query().Order(region.ByCode()).Select(region.FieldCode).Strings(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestLater writes under Later, one row and many: what is read afterwards in the
// command sees it, and it is there when the command is.
func TestLater(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := access.With(t.Context(), access.System("test"))
		err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			later := store.Later(ctx)
			if err := regionOf(tx, "A").Exec(later); err != nil {
				return err
			}
			if err := tx.Region.CreateBulk(regionOf(tx, "B"), regionOf(tx, "C")).Exec(later); err != nil {
				return err
			}
			if err := tx.Region.Update().Where(region.Code("A")).SetNameEn("Alpha").Exec(later); err != nil {
				return err
			}
			row, err := tx.Region.Query().Where(region.Code("A")).Only(ctx)
			if err != nil {
				return err
			}
			if row.NameEn != "Alpha" || row.NameZh != "区域A" || !row.CreatedAt.Equal(at) {
				t.Errorf("read in the command = %v, want Alpha of %v", row, at)
			}
			if err := tx.Region.Update().Where(region.Code("B")).SetNameEn("Beta").Exec(later); err != nil {
				return err
			}
			n, err := tx.Region.Update().Where(region.Code("C")).SetNameEn("Gamma").Save(ctx)
			if err == nil && n != 1 {
				t.Errorf("rows changed at once = %d, want 1", n)
			}
			return err
		})
		if err != nil {
			t.Fatalf("Write() = %v", err)
		}
		names, err := s.Client().Region.Query().Order(region.ByCode()).Select(region.FieldNameEn).Strings(ctx)
		if err != nil || fmt.Sprint(names) != "[Alpha Beta Gamma]" {
			t.Errorf("names = %v, %v, want [Alpha Beta Gamma]", names, err)
		}
	})
}

// TestLaterRefused lets a later write break a key: the command fails with the words
// given for it, nothing is written, and the connection serves the next command.
func TestLaterRefused(t *testing.T) {
	t.Parallel()
	taken := errors.New("taken")
	explain := func(err error) error {
		if store.IsConstraint(err) {
			return taken
		}
		return err
	}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := access.With(t.Context(), access.System("test"))
		for name, after := range map[string]func(ctx context.Context, tx *store.Tx) error{
			"at the commit":  func(context.Context, *store.Tx) error { return nil },
			"before a query": func(ctx context.Context, tx *store.Tx) error { _, err := tx.Region.Query().Count(ctx); return err },
			"before a write": func(ctx context.Context, tx *store.Tx) error { return regionOf(tx, "Z").Exec(ctx) },
			"before reads together": func(ctx context.Context, tx *store.Tx) error {
				count := func(ctx context.Context) error { _, err := tx.Region.Query().Count(ctx); return err }
				return tx.Together(ctx, count, count)
			},
		} {
			err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
				if err := regionOf(tx, "Y").Exec(store.Later(ctx)); err != nil {
					return err
				}
				later := store.LaterAs(ctx, explain)
				if err := errors.Join(explain(regionOf(tx, "X").Exec(later)), explain(regionOf(tx, "X").Exec(later))); err != nil {
					return err
				}
				return after(ctx, tx)
			})
			if !errors.Is(err, taken) {
				t.Errorf("%s: Write() = %v, want %v", name, err, taken)
			}
			if got := codes(ctx, t, s); len(got) != 0 {
				t.Errorf("%s: regions = %v, want none", name, got)
			}
		}
		if err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error { return regionOf(tx, "A").Exec(store.Later(ctx)) }); err != nil {
			t.Fatalf("Write() after refusals = %v", err)
		}
	})
}

// TestTogether reads several things at once, each of which asks twice, beside what
// was written under Later before. They share round trips on PostgreSQL.
func TestTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := access.With(t.Context(), access.System("test"))
		err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			for i := range 5 {
				if err := regionOf(tx, fmt.Sprint(i)).Exec(store.Later(ctx)); err != nil {
					return err
				}
			}
			var reads []func(ctx context.Context) error
			got := make([]string, 5)
			for i := range got {
				reads = append(reads, func(ctx context.Context) error {
					id, err := tx.Region.Query().Where(region.Code(fmt.Sprint(i))).OnlyID(ctx)
					if err != nil {
						return err
					}
					row, err := tx.Region.Get(ctx, id)
					if err == nil {
						got[i] = row.Code
					}
					return err
				})
			}
			if err := tx.Together(ctx, reads...); err != nil {
				return err
			}
			if fmt.Sprint(got) != "[0 1 2 3 4]" {
				t.Errorf("read together = %v, want [0 1 2 3 4]", got)
			}
			var n int64
			if err := tx.Scan(ctx, "select count(*) from regions", &n); err != nil || n != 5 {
				t.Errorf("Scan() = %v, %d, want 5", err, n)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("Write() = %v", err)
		}
	})
}

// TestTogetherFails lets one of the reads fail, or panic: the command fails and the
// next one is served.
func TestTogetherFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := access.With(t.Context(), access.System("test"))
		for _, fail := range []func(context.Context, *store.Tx) error{
			func(context.Context, *store.Tx) error { return broken },
			func(context.Context, *store.Tx) error { panic("boom") },
			func(ctx context.Context, tx *store.Tx) error {
				var n int
				return tx.Scan(ctx, "select no_such_column", &n)
			},
		} {
			err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
				if err := regionOf(tx, "A").Exec(store.Later(ctx)); err != nil {
					return err
				}
				count := func(ctx context.Context) error { _, err := tx.Region.Query().Count(ctx); return err }
				return tx.Together(ctx, count, func(ctx context.Context) error { return fail(ctx, tx) }, count)
			})
			if err == nil {
				t.Error("Write() = nil, want the failure")
			}
			if got := codes(ctx, t, s); len(got) != 0 {
				t.Errorf("regions = %v, want none", got)
			}
		}
		if err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error { return regionOf(tx, "B").Exec(ctx) }); err != nil {
			t.Fatalf("Write() after failures = %v", err)
		}
	})
}

// TestLocksHoldForReadsTogether counts up one row from many commands at once: each
// locks it and reads it in one round trip, and none is lost.
func TestLocksHoldForReadsTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := access.With(t.Context(), access.System("test"))
		if err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error { return regionOf(tx, "A").SetNameEn("-").Exec(ctx) }); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
					var name string
					err := tx.Together(ctx, func(ctx context.Context) error {
						_, err := tx.Region.Query().Where(region.Code("A")).Only(store.Locking(ctx))
						return err
					}, func(ctx context.Context) (err error) {
						name, err = tx.Region.Query().Where(region.Code("A")).Select(region.FieldNameEn).String(ctx)
						return err
					})
					if err != nil {
						return err
					}
					return tx.Region.Update().Where(region.Code("A")).SetNameEn(name + "x").Exec(store.Later(ctx))
				})
				if err != nil {
					t.Errorf("Write() = %v", err)
				}
			})
		}
		all.Wait()
		name, err := s.Client().Region.Query().Select(region.FieldNameEn).String(ctx)
		if err != nil || len(name) != 41 {
			t.Errorf("counted %d, %v, want 40", len(name)-1, err)
		}
	})
}

// TestCutConnections cuts every connection of PostgreSQL inside a command that has
// not asked for its commit: it is run again and done once.
func TestCutConnections(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t)
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Dialect() != dialect.Postgres {
		t.Fatalf("Dialect() = %s", s.Dialect())
	}
	ctx := access.With(t.Context(), access.System("test"))
	runs := 0
	err = s.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		runs++
		if err := regionOf(tx, "A").Exec(store.Later(ctx)); err != nil {
			return err
		}
		if runs == 1 {
			var n int
			err := tx.Scan(ctx, "select count(pg_terminate_backend(pg_backend_pid()))", &n)
			if err == nil {
				t.Error("a connection that was cut answered")
			}
			return err
		}
		return nil
	})
	if err != nil || runs != 2 {
		t.Errorf("Write() = %v after %d runs, want nil after 2", err, runs)
	}
	if got := codes(ctx, t, s); fmt.Sprint(got) != "[A]" {
		t.Errorf("regions = %v, want [A]", got)
	}
}
