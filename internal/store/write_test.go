package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
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

// TestFailuresHarmNoOther lets commands that wait for one another's commit fail in every way, first
// and last and after they have written: the others are written, each once.
func TestFailuresHarmNoOther(t *testing.T) {
	t.Parallel()
	type work = func(ctx context.Context, tx *store.Tx) error
	refusal := errors.New("refused")
	write := func(code string) work {
		return func(ctx context.Context, tx *store.Tx) error { return regionOf(tx, code).Exec(ctx) }
	}
	fails := map[string]work{
		"before it writes": func(context.Context, *store.Tx) error { return refusal },
		"after it has written": func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(regionOf(tx, "X").Exec(ctx), refusal)
		},
		"panics": func(ctx context.Context, tx *store.Tx) error {
			if err := regionOf(tx, "X").Exec(ctx); err != nil {
				return err
			}
			panic("on purpose")
		},
		"breaks a key": func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(regionOf(tx, "X").Exec(ctx), regionOf(tx, "X").Exec(ctx))
		},
	}
	for name, fail := range fails {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				ctx := access.With(t.Context(), access.System("test"))
				enter, begun := make(chan struct{}), make(chan struct{})
				var waiting sync.WaitGroup
				waiting.Go(func() { // the others queue behind it, on SQLite
					var once sync.Once
					err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
						once.Do(func() { close(begun) })
						<-enter
						return regionOf(tx, "FIRST").Exec(ctx)
					})
					if err != nil {
						t.Errorf("Write(FIRST) = %v", err)
					}
				})
				<-begun
				told := make([]int, 12)
				for i := range 12 {
					waiting.Go(func() {
						if i%3 == 1 {
							if err := s.Write(ctx, fail); err == nil {
								t.Error("a command that fails is said to be done")
							}
							return
						}
						err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
							tx.AfterCommit(func() { told[i]++ })
							return write(fmt.Sprintf("R%02d", i))(ctx, tx)
						})
						if err != nil {
							t.Errorf("Write(R%02d) = %v", i, err)
						}
					})
				}
				close(enter)
				waiting.Wait()
				if got, want := fmt.Sprint(codes(ctx, t, s)), "[FIRST R00 R02 R03 R05 R06 R08 R09 R11]"; got != want {
					t.Errorf("regions = %v, want %v", got, want)
				}
				if got := fmt.Sprint(told); got != "[1 0 1 1 0 1 1 0 1 1 0 1]" {
					t.Errorf("after the commit each was told %v times, want once if it was done", got)
				}
			})
		})
	}
}

// TestTransactionEndsByItself lets the transaction of a group end under it, as SQLite does when the
// disk fails: what is acknowledged is written, what is not is not, and the next command works.
func TestTransactionEndsByItself(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	ctx := access.With(t.Context(), access.System("test"))
	done := make([]bool, 24)
	var running sync.WaitGroup
	for i := range done {
		running.Go(func() {
			err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
				if i%8 == 5 {
					_, err := tx.ExecContext(ctx, "ROLLBACK")
					return errors.Join(err, errors.New("the disk has failed"))
				}
				return regionOf(tx, fmt.Sprintf("R%02d", i)).Exec(ctx)
			})
			done[i] = err == nil
		})
	}
	running.Wait()
	want := []string{}
	for i, ok := range done {
		if ok {
			want = append(want, fmt.Sprintf("R%02d", i))
		}
	}
	if got := codes(ctx, t, s); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("written are %v, acknowledged %v", got, want)
	}
	if err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error { return regionOf(tx, "AFTER").Exec(ctx) }); err != nil {
		t.Errorf("Write() afterwards = %v", err)
	}
}

// TestGoesOnAfterARefusedStatement lets a command go on after a statement that broke a key: on
// SQLite what it did before and does afterwards is written, beside what others do.
func TestGoesOnAfterARefusedStatement(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	ctx := access.With(t.Context(), access.System("test"))
	var running sync.WaitGroup
	for i := range 20 {
		running.Go(func() {
			err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
				if err := regionOf(tx, fmt.Sprintf("A%02d", i)).Exec(ctx); err != nil || i%2 == 0 {
					return err
				}
				if err := regionOf(tx, fmt.Sprintf("A%02d", i)).Exec(ctx); !store.IsConstraint(err) {
					t.Errorf("the same region again = %v, want a broken key", err)
				}
				return regionOf(tx, fmt.Sprintf("B%02d", i)).Exec(ctx)
			})
			if err != nil {
				t.Errorf("Write() = %v", err)
			}
		})
	}
	running.Wait()
	if got := len(codes(ctx, t, s)); got != 30 {
		t.Errorf("%d regions are written, want 30", got)
	}
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

// commands is how many commands of a kind the tests of running ahead make.
const commands = 60

// counting makes two regions whose English names count, "-" being none.
func counting(t *testing.T, s *store.Store) context.Context {
	t.Helper()
	ctx := access.With(t.Context(), access.System("test"))
	err := s.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.Region.CreateBulk(regionOf(tx, "A").SetNameEn("-"), regionOf(tx, "B").SetNameEn("-")).Exec(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

// countOf is what a region has counted.
func countOf(ctx context.Context, t *testing.T, s *store.Store, code string) int {
	t.Helper()
	name, err := s.Client().Region.Query().Where(region.Code(code)).Select(region.FieldNameEn).String(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return len(name) - 1
}

// countUp adds one to what a region counts, under its lock.
func countUp(ctx context.Context, tx *store.Tx, code string, later bool) error {
	query := tx.Region.Query().Where(region.Code(code))
	if tx.Dialect() == dialect.Postgres {
		query = query.Where(store.ForUpdate)
	}
	row, err := query.Only(ctx)
	if err != nil {
		return err
	}
	tx.Locked(row.ID)
	if later {
		ctx = store.Later(ctx)
	}
	return tx.Region.Update().Where(region.Code(code)).SetNameEn(row.NameEn + "x").Exec(ctx)
}

// TestAhead lets commands that run ahead of SQLite's writer meet those that do not, on two
// rows: none is lost and none is done twice.
func TestAhead(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := counting(t, s)
		var all sync.WaitGroup
		var told atomic.Int64
		const clients = 6 // of each row
		for client := range clients {
			for _, code := range []string{"A", "B"} {
				all.Go(func() {
					for i := range commands / clients {
						write := s.WriteAhead
						if (i+client)%5 == 0 {
							write = s.Write
						}
						err := write(ctx, func(ctx context.Context, tx *store.Tx) error {
							tx.AfterCommit(func() { told.Add(1) })
							return countUp(ctx, tx, code, (i+client)%3 > 0)
						})
						if err != nil {
							t.Errorf("Write() = %v", err)
						}
					}
				})
			}
		}
		all.Wait()
		if a, b := countOf(ctx, t, s, "A"), countOf(ctx, t, s, "B"); a != commands || b != commands {
			t.Errorf("counted %d and %d, want %d each", a, b, commands)
		}
		if n := told.Load(); n != 2*commands {
			t.Errorf("told %d times after commits, want %d", n, 2*commands)
		}
	})
}

// TestAheadOfAKey lets two commands at a time make the same key: one does, the other is told.
func TestAheadOfAKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := counting(t, s)
		taken := errors.New("taken")
		var all sync.WaitGroup
		var mu sync.Mutex
		made := map[string]int{}
		for i := range commands {
			all.Go(func() {
				code := fmt.Sprintf("K%02d", i/2)
				err := s.WriteAhead(ctx, func(ctx context.Context, tx *store.Tx) error {
					return regionOf(tx, code).Exec(store.LaterAs(ctx, func(err error) error {
						if store.IsConstraint(err) {
							return taken
						}
						return err
					}))
				})
				if err != nil && !errors.Is(err, taken) && !store.IsConstraint(err) {
					t.Errorf("Write(%s) = %v, want it told that the key is taken", code, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made[code]++
				}
			})
		}
		all.Wait()
		for i := range commands / 2 {
			if code := fmt.Sprintf("K%02d", i); made[code] != 1 {
				t.Errorf("%s was made %d times, want once", code, made[code])
			}
		}
	})
}

// TestAheadRelies lets commands rely on a table that all of them change. PostgreSQL reads
// what is committed, statement by statement.
func TestAheadRelies(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	ctx := counting(t, s)
	var all sync.WaitGroup
	for i := range commands {
		all.Go(func() {
			err := s.WriteAhead(ctx, func(ctx context.Context, tx *store.Tx) error {
				tx.Relies(region.Table)
				n, err := tx.Region.Query().Count(ctx)
				if err != nil {
					return err
				}
				return regionOf(tx, fmt.Sprintf("N%02d", i)).SetNameEn(fmt.Sprint(n)).Exec(store.Later(ctx))
			})
			if err != nil {
				t.Errorf("Write() = %v", err)
			}
		})
	}
	all.Wait()
	names, err := s.Client().Region.Query().Select(region.FieldNameEn).Strings(ctx)
	seen := map[string]bool{}
	for _, n := range names {
		seen[n] = true
	}
	if err != nil || len(seen) != commands+1 { // "-", and every number from 2 on
		t.Errorf("the counts that were written are %v, %v, want each number once", names, err)
	}
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
