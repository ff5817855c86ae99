package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"entgo.io/ent/dialect"

	"github.com/openspms/spms/internal/fault"
)

// The journal is what subscriptions are told from. Every command writes what it
// has changed into its audit entry, in its own transaction; the journal reads
// those entries in turn. Notifications only wake it: one that is lost, like a
// node that dies between commit and notification, delays and loses nothing.
//
// One goroutine reads for all followers of a node, and only while there are any;
// it keeps the latest entries at hand. A follower that is not at hand, since it
// resumes from a cursor or was slow, reads what it lacks by itself and then joins.

// Entry is what one command has changed in cases.
type Entry struct {
	ID      string // of the audit entry
	At      time.Time
	Changes []Change
	number  int64 // see seen
}

// batch is entries in the order of their numbers, and what has been seen with them.
type batch struct {
	entries []Entry
	to      seen
}

const (
	// pageEntries is how many entries are read at once.
	pageEntries = 500
	// journalReach is how many commands a cursor may be behind. Beyond it reading
	// the lists anew costs less than telling what has changed.
	journalReach = 1_000_000
	// journalKept is how many entries stay at hand.
	journalKept = 1024
	// journalPause is the least time between two reads, journalPoll the most: a
	// notification may be lost.
	journalPause = 20 * time.Millisecond
	journalPoll  = time.Second
)

// journal reads for all followers.
type journal struct {
	store *Store
	reach int64
	kept  int
	wake  chan struct{}

	mu        sync.Mutex
	followers int
	stop      context.CancelFunc // nil while nobody follows
	running   sync.WaitGroup
	closed    bool

	at      seen
	anchor  string
	batches []batch
	held    int           // entries in batches
	first   int           // number of batches[0], counted since ever
	epoch   int           // raised when the database has gone back in time
	moved   chan struct{} // closed when any of these changes
}

// WithJournal sets how many commands a cursor may be behind and how many entries
// stay at hand: for tests.
func WithJournal(reach int64, kept int) Option {
	return func(s *Store) { s.journal.reach, s.journal.kept = reach, kept }
}

func newJournal(s *Store) *journal {
	return &journal{store: s, reach: journalReach, kept: journalKept, wake: make(chan struct{}, 1), moved: make(chan struct{})}
}

// poke lets the journal look whether there is something new.
func (j *journal) poke() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// enter counts a follower; the first starts the reading.
func (j *journal) enter(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return fault.E(fault.Unavailable, "SERVER_STOPPING")
	}
	if j.followers == 0 {
		var at seen
		var err error
		if j.anchor, err = j.store.newest(ctx); err != nil { // first, so that it is among what is seen
			return err
		}
		if at, err = j.store.seen(ctx); err != nil {
			return err
		}
		j.at, j.first, j.batches, j.held = at, j.first+len(j.batches)+1, nil, 0
		work, stop := context.WithCancel(context.WithoutCancel(ctx))
		j.stop = stop
		j.running.Go(func() { j.read(work) })
	}
	j.followers++
	return nil
}

// leave uncounts a follower; the last stops the reading.
func (j *journal) leave() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.followers--; j.followers == 0 && j.stop != nil {
		j.stop()
		j.stop = nil
	}
}

// place is the number of the batch to come.
func (j *journal) place() (next, epoch int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first + len(j.batches), j.epoch
}

// close ends the reading and lets every follower end.
func (j *journal) close() {
	j.mu.Lock()
	if !j.closed {
		j.closed = true
		close(j.moved)
	}
	if j.stop != nil {
		j.stop()
		j.stop = nil
	}
	j.mu.Unlock()
	j.running.Wait()
}

// read keeps the latest entries at hand until ctx ends.
func (j *journal) read(ctx context.Context) {
	poll := time.NewTicker(journalPoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.wake:
		case <-poll.C:
		}
		if err := j.advance(ctx); err != nil && ctx.Err() == nil {
			j.store.log.Warn("read what has changed", "err", err)
		}
		pause := time.NewTimer(journalPause)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// advance reads all that is new.
func (j *journal) advance(ctx context.Context) error {
	j.mu.Lock()
	at := j.at
	j.mu.Unlock()
	now, err := j.store.seen(ctx)
	if err != nil {
		return err
	}
	if now.max < at.max {
		j.move(ctx, func() {
			j.epoch, j.at, j.anchor, j.batches, j.held, j.first = j.epoch+1, now, nowhere, nil, 0, j.first+len(j.batches)+1
		})
		return nil
	}
	for now.later(at) {
		page, err := j.store.page(ctx, at, now)
		if err != nil {
			return err
		}
		at = page.to
		j.move(ctx, func() { j.append(page) })
	}
	return nil
}

// move changes the journal and tells those who wait, unless it was stopped.
func (j *journal) move(ctx context.Context, change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if ctx.Err() != nil || j.closed {
		return
	}
	change()
	close(j.moved)
	j.moved = make(chan struct{})
}

// append puts a batch at hand and drops the oldest.
func (j *journal) append(b batch) {
	j.at = b.to
	if len(b.entries) == 0 {
		return
	}
	j.anchor = b.entries[len(b.entries)-1].ID
	j.batches, j.held = append(j.batches, b), j.held+len(b.entries)
	for j.held > j.kept {
		j.held -= len(j.batches[0].entries)
		j.batches[0] = batch{}
		j.batches, j.first = j.batches[1:], j.first+1
	}
}

// seen returns what is committed now.
func (s *Store) seen(ctx context.Context) (seen, error) {
	if s.dialect == dialect.Postgres {
		var text string
		if err := s.scan(ctx, "select pg_current_snapshot()::text", nil, &text); err != nil {
			return seen{}, fmt.Errorf("read the position of the journal: %w", err)
		}
		return parseSnapshot(text)
	}
	var last int64
	if err := s.scan(ctx, "select coalesce(max(rowid), 0) from audit_entries", nil, &last); err != nil {
		return seen{}, fmt.Errorf("read the position of the journal: %w", err)
	}
	return seen{max: last + 1}, nil
}

// newest returns the id of an audit entry of this database that is committed, if
// there is one.
func (s *Store) newest(ctx context.Context) (string, error) {
	query := "select id from audit_entries where coalesce(position, 0) = 0 order by rowid desc limit 1"
	if s.dialect == dialect.Postgres {
		query = "select id from audit_entries where position > 0 order by position desc limit 1"
	}
	var id string
	err := s.scan(ctx, query, nil, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return nowhere, nil
	}
	return id, err
}

// number returns the number of an audit entry of this database; found is false of
// one that is not there, or was brought from a database of the other kind.
func (s *Store) number(ctx context.Context, id string) (number int64, found bool, err error) {
	query := "select rowid from audit_entries where id = $1 and coalesce(position, 0) = 0"
	if s.dialect == dialect.Postgres {
		query = "select position from audit_entries where id = $1 and position > 0"
	}
	err = s.scan(ctx, query, []any{id}, &number)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return number, err == nil, err
}

// scan reads the first row of a statement.
func (s *Store) scan(ctx context.Context, query string, args []any, into ...any) error {
	rows, err := s.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return Explain(err)
	}
	defer rows.Close()
	if !rows.Next() {
		return Explain(errors.Join(rows.Err(), sql.ErrNoRows))
	}
	return Explain(errors.Join(rows.Scan(into...), rows.Close()))
}

// page reads the first entries that are in now and not in after. The batch goes
// as far as it was read: to now when there were no more.
func (s *Store) page(ctx context.Context, after, now seen) (batch, error) {
	query := `select rowid, id, created_at, changes from audit_entries where rowid >= $1 and rowid < $2 and changes <> '' order by rowid limit $3`
	args := []any{after.max, now.max, pageEntries}
	if s.dialect == dialect.Postgres {
		// A command is a transaction with one audit entry, so the order is total. The
		// index is read from the first number that was in flight.
		query = `select position, id, created_at, changes from audit_entries where position > 0 and position >= $6 and position < $2 and changes <> ''
			and (position >= $1 or position = any($4::bigint[])) and position <> all($5::bigint[]) order by position limit $3`
		args = append(args, array(after.inFlight), array(now.inFlight), after.first())
	}
	rows, err := s.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return batch{}, fmt.Errorf("read the journal: %w", Explain(err))
	}
	defer rows.Close()
	out := batch{to: now}
	for rows.Next() {
		var e Entry
		var changes string
		if err := rows.Scan(&e.number, &e.ID, &e.At, &changes); err != nil {
			return batch{}, fmt.Errorf("read the journal: %w", Explain(err))
		}
		e.At, e.Changes = e.At.UTC(), unpack(changes)
		out.entries = append(out.entries, e)
	}
	if len(out.entries) == pageEntries {
		out.to = now.through(out.entries[pageEntries-1].number, after)
	}
	return out, Explain(rows.Err())
}

// array is a list of numbers as PostgreSQL reads it.
func array(numbers []int64) string {
	text := make([]string, len(numbers))
	for i, n := range numbers {
		text[i] = strconv.FormatInt(n, 10)
	}
	return "{" + strings.Join(text, ",") + "}"
}

// rebase forgets the transactions of audit entries when they are of another
// PostgreSQL server, as after a restore: commands to come would have their numbers.
func (s *Store) rebase(ctx context.Context, conn *sql.Conn) error {
	if s.dialect != dialect.Postgres {
		return nil
	}
	var foreign bool
	err := conn.QueryRowContext(ctx, `select coalesce(max(position), 0) > pg_current_xact_id()::text::bigint from audit_entries where position > 0`).Scan(&foreign)
	if err != nil || !foreign {
		return err
	}
	_, err = conn.ExecContext(ctx, `update audit_entries set position = 0 where position > 0`)
	return err
}

// noCase stands for the case of what belongs to none.
const noCase = "-"

// Pack is the form in which a command's changes of cases and batches are kept in its
// audit entry: a line for each case with its region's path, its id, and kinds and ids.
func Pack(changes []Change) string {
	var b strings.Builder
	var region, caseID string
	for _, c := range changes {
		switch {
		case c.CaseID != "":
		case c.Kind == "batch" || c.Kind == "batched":
			c.CaseID = noCase
		default:
			continue
		}
		if c.RegionPath != region || c.CaseID != caseID {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			region, caseID = c.RegionPath, c.CaseID
			b.WriteString(region + " " + caseID)
		}
		b.WriteString(" " + c.Kind + " " + c.ID)
	}
	return b.String()
}

// unpack reads what Pack has written.
func unpack(text string) []Change {
	var out []Change
	for line := range strings.SplitSeq(text, "\n") {
		words := strings.Split(line, " ")
		if len(words) < 2 {
			continue
		}
		if words[1] == noCase {
			words[1] = ""
		}
		for pair := range slices.Chunk(words[2:], 2) {
			if len(pair) == 2 {
				out = append(out, Change{Kind: pair[0], ID: pair[1], CaseID: words[1], RegionPath: words[0]})
			}
		}
	}
	return out
}
