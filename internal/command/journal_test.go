package command_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
)

// touch is a command that says to have changed a task, waiting for hold, if any
// (on PostgreSQL), before it commits.
func touch(ctx context.Context, s *store.Store, id string, hold <-chan struct{}) error {
	_, err := command.Run(ctx, door(s), command.Command{Operation: "touch"}, func(_ context.Context, u *command.Unit) (made, error) {
		u.Changed(store.Change{Kind: "task", ID: id, CaseID: "case_1", RegionPath: "CN/"})
		if hold != nil {
			// The transaction has its number before it waits.
			if _, err := u.ExecContext(ctx, "select pg_current_xact_id()"); err != nil {
				return made{}, err
			}
			<-hold
		}
		return made{id}, nil
	})
	return err
}

// flood lets writers change tasks named WRITER-NUMBER, each in the order of its
// numbers; done is closed after the last.
func flood(ctx context.Context, t *testing.T, s *store.Store, prefix string, writers, each int) (done <-chan struct{}) {
	t.Helper()
	end := make(chan struct{})
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := range each {
				if err := touch(ctx, s, fmt.Sprintf("%s%d-%d", prefix, w, i), nil); err != nil {
					t.Errorf("touch = %v", err)
				}
			}
		})
	}
	go func() {
		running.Wait()
		close(end)
	}()
	return end
}

// heard is what a client has been told, over all its connections.
type heard struct {
	t      *testing.T
	told   map[string]int
	last   map[string]int // writer → its last number
	cursor string
}

func newHeard(t *testing.T) *heard {
	t.Helper()
	return &heard{t: t, told: map[string]int{}, last: map[string]int{}}
}

// take takes the first n entries of what was told, as a client does that is cut off then.
func (h *heard) take(told *store.Told, n int) {
	h.t.Helper()
	for i, e := range told.Entries[:n] {
		for _, c := range e.Changes {
			h.told[c.ID]++
			writer, number, _ := strings.Cut(c.ID, "-")
			at := 0
			_, _ = fmt.Sscan(number, &at)
			if last, ok := h.last[writer]; at > last+1 || !ok && at > 0 {
				h.t.Errorf("%s is told after number %d, want in order", c.ID, last)
			}
			h.last[writer] = max(at, h.last[writer])
		}
		h.cursor = told.After(i)
	}
}

// until listens until so many changes have been told.
func (h *heard) until(ctx context.Context, f *store.Follower, all int) {
	h.t.Helper()
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	for len(h.told) < all {
		told, err := f.Next(ctx)
		if err != nil || told.Lost {
			h.t.Fatalf("Next() = %+v, %v after %d of %d changes", told, err, len(h.told), all)
		}
		h.take(told, len(told.Entries))
	}
}

func follow(ctx context.Context, t *testing.T, s *store.Store, after string) *store.Follower {
	t.Helper()
	f, err := s.Follow(ctx, after)
	if err != nil {
		t.Fatalf("Follow(%q) = %v", after, err)
	}
	t.Cleanup(f.Close)
	return f
}

func TestFollowerIsToldOfEveryCommand(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := access.With(t.Context(), access.System("test"))
		f := follow(ctx, t, s, "")
		done := flood(ctx, t, s, "w", 8, 50)
		h := newHeard(t)
		h.until(ctx, f, 400)
		<-done
		for id, n := range h.told {
			if n != 1 {
				t.Errorf("%s is told %d times, want once without a reconnect", id, n)
			}
		}
	})
}

// TestFollowerResumes cuts a client off again and again in the middle of a flood
// that comes from two nodes, lets it resume on either, and compares.
func TestFollowerResumes(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := access.With(t.Context(), access.System("test"))
		nodes := []*store.Store{opened(t, url), opened(t, url)}
		chance := rand.New(rand.NewSource(1))
		h := newHeard(t)
		f := follow(ctx, t, nodes[0], "")
		h.cursor = f.Cursor()
		one := flood(ctx, t, nodes[0], "a", 4, 60)
		var two <-chan struct{}
		if strings.HasPrefix(url, "postgres") { // SQLite is written by one node
			two = flood(ctx, t, nodes[1], "b", 4, 60)
		} else {
			two = flood(ctx, t, nodes[0], "b", 4, 60)
		}
		within, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		cuts := 0
		for len(h.told) < 480 {
			told, err := f.Next(within)
			if err != nil || told.Lost {
				t.Fatalf("Next() = %+v, %v after %d changes", told, err, len(h.told))
			}
			h.take(told, chance.Intn(len(told.Entries)+1))
			f.Close()
			f = follow(ctx, t, nodes[chance.Intn(2)], h.cursor)
			cuts++
		}
		<-one
		<-two
		t.Logf("%d changes were told over %d connections", len(h.told), cuts+1)
		// What is committed after the last cut comes on the same connection.
		if err := touch(ctx, nodes[0], "c0-0", nil); err != nil {
			t.Fatal(err)
		}
		h.until(ctx, f, 481)
	})
}

func opened(t *testing.T, url string, o ...store.Option) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestLateCommitIsTold commits a command after others that began later: its entry
// lies before the cursor that a client was given meanwhile.
func TestLateCommitIsTold(t *testing.T) {
	t.Parallel()
	s := opened(t, storetest.PostgresURL(t))
	ctx := access.With(t.Context(), access.System("test"))
	f, hold, late := follow(ctx, t, s, ""), make(chan struct{}), make(chan error, 1)
	go func() { late <- touch(ctx, s, "late0-0", hold) }()
	deadline := time.Now().Add(10 * time.Second)
	for open := 0; open == 0; {
		err := s.SQL().QueryRowContext(ctx, `select count(*) from pg_stat_activity where datname = current_database() and backend_xid is not null`).Scan(&open)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the command does not begin: %v", err)
		}
	}
	for i := range 3 {
		if err := touch(ctx, s, fmt.Sprintf("early0-%d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	h := newHeard(t)
	h.until(ctx, f, 3)
	cursor := h.cursor
	close(hold)
	if err := <-late; err != nil {
		t.Fatal(err)
	}
	h.until(ctx, f, 4)
	again := newHeard(t)
	again.until(ctx, follow(ctx, t, s, cursor), 1)
	if again.told["late0-0"] != 1 || len(again.told) != 1 {
		t.Errorf("after the cursor is told %v, want late0-0 alone", again.told)
	}
}

// TestSlowFollowerIsHealed lets a follower sleep through more than is kept at hand.
func TestSlowFollowerIsHealed(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := access.With(t.Context(), access.System("test"))
		s := opened(t, url, store.WithJournal(1_000_000, 8))
		f := follow(ctx, t, s, "")
		awake := follow(ctx, t, s, "")
		done := flood(ctx, t, s, "w", 4, 200)
		newHeard(t).until(ctx, awake, 800) // so that the journal has gone on
		<-done
		h := newHeard(t)
		h.until(ctx, f, 800)
	})
}

func TestCursors(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := access.With(t.Context(), access.System("test"))
		s := opened(t, url, store.WithJournal(50, 8))
		if err := touch(ctx, s, "x0-0", nil); err != nil {
			t.Fatal(err)
		}
		sleeper := follow(ctx, t, s, "")
		old, err := s.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		other := opened(t, storetest.SQLiteURL(t))
		if err := touch(ctx, other, "x0-0", nil); err != nil {
			t.Fatal(err)
		}
		foreign, err := other.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		<-flood(ctx, t, s, "w", 1, 60)
		for cursor, code := range map[string]string{
			"":                       "",
			"x":                      "CURSOR_MALFORMED",
			"游标":                     "CURSOR_MALFORMED",
			old[:len(old)-1]:         "CURSOR_MALFORMED",
			old + "AA":               "CURSOR_MALFORMED",
			strings.Repeat("A", 1e5): "CURSOR_MALFORMED",
			foreign:                  "CURSOR_FOREIGN",
			old:                      "CURSOR_TOO_OLD",
		} {
			f, err := s.Follow(ctx, cursor)
			if fault.CodeOf(err) != code && (err != nil || code != "") {
				t.Errorf("Follow(%.40q) = %v, want %s", cursor, err, code)
			}
			if err == nil {
				f.Close()
			}
			if err := s.Recognise(ctx, cursor); fault.CodeOf(err) != code && (err != nil || code != "") {
				t.Errorf("Recognise(%.40q) = %v, want %s", cursor, err, code)
			}
		}
		told, err := sleeper.Next(ctx)
		for err == nil && !told.Lost { // a part may have been at hand
			told, err = sleeper.Next(ctx)
		}
		if err != nil {
			t.Fatalf("Next() = %v, want that some are lost", err)
		}
		if err := touch(ctx, s, "y0-0", nil); err != nil {
			t.Fatal(err)
		}
		h := newHeard(t)
		h.until(ctx, sleeper, 1)
		if h.told["y0-0"] != 1 {
			t.Errorf("after the loss is told %v, want y0-0", h.told)
		}
	})
}

// TestRestoredDatabaseIsAnother gives audit entries the numbers of a server whose
// transactions were ahead, as after a restore on a new one.
func TestRestoredDatabaseIsAnother(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t)
	ctx := access.With(t.Context(), access.System("test"))
	s := opened(t, url)
	f := follow(ctx, t, s, "")
	if err := touch(ctx, s, "x0-0", nil); err != nil {
		t.Fatal(err)
	}
	h := newHeard(t)
	h.until(ctx, f, 1)
	if _, err := s.SQL().ExecContext(ctx, "update audit_entries set position = position + 1000000000000"); err != nil {
		t.Fatal(err)
	}
	again := opened(t, url)
	if _, err := again.Migrate(ctx, start); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Follow(ctx, h.cursor); fault.CodeOf(err) != "CURSOR_FOREIGN" {
		t.Errorf("Follow() of a cursor from before the restore = %v, want CURSOR_FOREIGN", err)
	}
	g := follow(ctx, t, again, "")
	fresh := g.Cursor()
	if err := touch(ctx, again, "y0-0", nil); err != nil {
		t.Fatal(err)
	}
	after := newHeard(t)
	after.until(ctx, follow(ctx, t, again, fresh), 1)
	if after.told["y0-0"] != 1 {
		t.Errorf("after the restore is told %v, want y0-0 alone", after.told)
	}
}

// TestQuietCursorMovesOn keeps the cursor of a follower young whom nothing concerns.
func TestQuietCursorMovesOn(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := access.With(t.Context(), access.System("test"))
		s := opened(t, url, store.WithJournal(500, 8))
		f := follow(ctx, t, s, "")
		first := f.Cursor()
		for i := range 20 { // commands that change no case
			if _, err := command.Run(ctx, door(s), command.Command{Operation: "makeRegion"}, makeRegion(fmt.Sprintf("R%d", i))); err != nil {
				t.Fatal(err)
			}
		}
		told, err := f.Next(ctx)
		if err != nil || len(told.Entries) > 0 || !f.Quiet() {
			t.Fatalf("Next() = %+v, %v, want nothing but a cursor", told, err)
		}
		if again := f.Cursor(); again == first || f.Quiet() {
			t.Errorf("the cursor %s has not moved on", again)
		}
	})
}

// TestFollowersLeaveNothingBehind opens and closes followers, and closes the store
// under one that waits.
func TestFollowersLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := access.With(t.Context(), access.System("test"))
		s := opened(t, url)
		for range 20 {
			f := follow(ctx, t, s, "")
			f.Close()
			f.Close()
		}
		var ended atomic.Int32
		var waiting sync.WaitGroup
		for range 5 {
			f := follow(ctx, t, s, "")
			waiting.Go(func() {
				var err error
				for err == nil { // transactions of other databases move the cursor
					_, err = f.Next(ctx)
				}
				if fault.CodeOf(err) == "SERVER_STOPPING" {
					ended.Add(1)
				}
				f.Close()
			})
		}
		gone, cancel := context.WithCancel(ctx)
		f := follow(ctx, t, s, "")
		waiting.Go(func() {
			if _, err := f.Next(gone); errors.Is(err, context.Canceled) {
				ended.Add(1)
			} else {
				t.Errorf("Next() of a client that has gone = %v", err)
			}
			f.Close()
		})
		cancel()
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		waiting.Wait()
		if n := ended.Load(); n != 6 {
			t.Errorf("%d of 6 followers have ended as they should", n)
		}
		if _, err := s.Follow(ctx, ""); fault.CodeOf(err) != "SERVER_STOPPING" {
			t.Errorf("Follow() after Close() = %v, want SERVER_STOPPING", err)
		}
	})
}

// TestJournalRestsWithoutFollowers looks for the goroutine that reads.
func TestJournalRestsWithoutFollowers(t *testing.T) {
	s := opened(t, storetest.SQLiteURL(t)) // alone: not parallel
	reading := func() int {
		var text strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&text, 2)
		return strings.Count(text.String(), "store.(*journal).read(")
	}
	f := follow(t.Context(), t, s, "")
	g := follow(t.Context(), t, s, "")
	f.Close()
	for deadline := time.Now().Add(5 * time.Second); reading() != 1; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines read for one follower", reading())
		}
	}
	g.Close()
	for deadline := time.Now().Add(5 * time.Second); reading() != 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines read for nobody", reading())
		}
	}
}
