// Package standard keeps the norms and the calendars they count by: drafts, their
// review and publication, and what was in force when. Its main type is Room. It
// must not know cases; of processes it knows only which indicators they measure.
package standard

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openspms/spms/ent"
	entcalendar "github.com/openspms/spms/ent/calendar"
	"github.com/openspms/spms/ent/indicator"
	"github.com/openspms/spms/ent/standardversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/packs"
)

// Room keeps the standards. It is safe for concurrent use.
type Room struct {
	door *command.Door

	loading    sync.Mutex
	kept       atomic.Pointer[inForce]
	texts      sync.Map // digest → *norm.Standard with that one version
	indicators sync.Map // indicatorKey → row id; rows of published versions stay
	calendars  sync.Map // code → keptCalendar
	bound      sync.Map // process version id → *runningProcess; frozen ones only
}

// inForce is what was published at a generation.
type inForce struct {
	generation int64
	set        *norm.Set
	rules      []*Rule
}

type keptCalendar struct {
	revision   int
	generation int64 // of all calendars when it was looked at; 0: not known
	calendar   *calendar.Calendar
}

type indicatorKey struct {
	standard  string
	number    int
	indicator string
}

// New returns the room.
func New(door *command.Door) *Room { return &Room{door: door} }

// released are the states of versions that have been in force or will be.
var released = []standardversion.State{standardversion.StatePublished, standardversion.StateSuperseded, standardversion.StateWithdrawn}

// generationSQL is a number that grows whenever a version is published (+3),
// superseded (+1) or withdrawn (+1 or +2); it never returns to an earlier value.
const generationSQL = `select 3 * count(*) + coalesce(sum(case state when 'superseded' then 1 when 'withdrawn' then 2 else 0 end), 0)
from standard_versions where state in ('published', 'superseded', 'withdrawn')`

// InForce returns every standard that has been published, indexed, with the
// intervals in which its versions apply; withdrawn versions end at their
// withdrawal. A publication by any node is seen at once: each call asks the
// database for its generation (one indexed count), and reads the texts again
// only when that has changed. The set must not be changed.
func (r *Room) InForce(ctx context.Context) (*norm.Set, error) {
	kept, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	return kept.set, nil
}

func (r *Room) current(ctx context.Context) (*inForce, error) {
	generation, err := r.committed(ctx, generationSQL)
	if err != nil {
		return nil, err
	}
	return r.at(ctx, generation)
}

// committed asks for a generation as it is committed.
func (r *Room) committed(ctx context.Context, query string) (generation int64, err error) {
	if err := r.door.Store.SQL().QueryRowContext(ctx, query).Scan(&generation); err != nil {
		return 0, fmt.Errorf("ask what is in force: %w", err)
	}
	return generation, nil
}

// at returns what is published at a generation, which is the present one, was a moment
// ago, or will be when a command that goes on is committed: then it is the present one.
func (r *Room) at(ctx context.Context, generation int64) (*inForce, error) {
	if kept := r.kept.Load(); kept != nil && kept.generation == generation {
		return kept, nil
	}
	r.loading.Lock()
	defer r.loading.Unlock()
	if kept := r.kept.Load(); kept != nil && kept.generation == generation {
		return kept, nil
	}
	// What is read is what is committed: the one who asks may be a command that sees what
	// another has published in the same commit, which may yet fail.
	generation, err := r.committed(ctx, generationSQL)
	if err != nil {
		return nil, err
	}
	if kept := r.kept.Load(); kept != nil && kept.generation == generation {
		return kept, nil
	}
	rows, err := r.door.Store.Client().StandardVersion.Query().Where(standardversion.StateIn(released...)).
		WithStandard().Order(ent.Asc(standardversion.FieldStandardID, standardversion.FieldNumber)).All(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the published standards: %w", err)
	}
	set, err := r.index(rows)
	if err != nil {
		return nil, err
	}
	rules, err := compileRules(set)
	if err != nil {
		return nil, err
	}
	kept := &inForce{generation, set, rules}
	r.kept.Store(kept)
	return kept, nil
}

// index makes one norm of the versions of each standard, in order of number,
// and indexes them. The head is that of the latest version.
func (r *Room) index(rows []*ent.StandardVersion) (*norm.Set, error) {
	vocabulary, err := words()
	if err != nil {
		return nil, err
	}
	var standards []*norm.Standard
	last := ""
	for _, row := range rows {
		text, err := r.text(row)
		if err != nil {
			return nil, err
		}
		v, ok := dated(text.Versions[0], row)
		if !ok {
			continue
		}
		if row.StandardID != last {
			standards, last = append(standards, &norm.Standard{}), row.StandardID
		}
		s := standards[len(standards)-1]
		versions, events := append(s.Versions, v), s.Events
		*s = *text
		s.Versions, s.Events = versions, merged(events, text.Events)
	}
	return norm.NewSet(*vocabulary, standards...)
}

// dated is a version with the interval of its row; false when that holds no
// instant, as of a version withdrawn before it began.
func dated(v norm.Version, row *ent.StandardVersion) (norm.Version, bool) {
	v.EffectiveFrom, v.EffectiveTo, v.Ended = norm.Instant{}, norm.Instant{}, norm.Instant{}
	if row.EffectiveFrom != nil {
		v.EffectiveFrom.Time = *row.EffectiveFrom
	}
	if row.EffectiveTo != nil {
		v.EffectiveTo.Time = *row.EffectiveTo
	}
	return v, row.EffectiveTo == nil || row.EffectiveFrom == nil || row.EffectiveFrom.Before(*row.EffectiveTo)
}

// merged is the union of two lists of events by code.
func merged(a, b []norm.Term) []norm.Term {
	known := map[string]bool{}
	var out []norm.Term
	for _, list := range [][]norm.Term{b, a} {
		for _, t := range list {
			if !known[t.Code] {
				known[t.Code] = true
				out = append(out, t)
			}
		}
	}
	return out
}

// text is the norm of a version's document, which has that one version. Texts of
// published versions are kept by their digest; those shipped with the product
// are not parsed again.
func (r *Room) text(row *ent.StandardVersion) (*norm.Standard, error) {
	if kept, ok := r.texts.Load(row.Digest); ok {
		return kept.(*norm.Standard), nil
	}
	if s, ok := shipped()[row.Digest]; ok {
		return s, nil
	}
	vocabulary, err := words()
	if err != nil {
		return nil, err
	}
	s, err := norm.ParseStandard([]byte(row.Document), vocabulary)
	if err != nil {
		return nil, fmt.Errorf("read the document of %s: %w", row.ID, err)
	}
	if slices.Contains(released, row.State) {
		r.texts.Store(row.Digest, s)
	}
	return s, nil
}

// words returns the vocabulary in which standards are written.
func words() (*norm.Vocabulary, error) {
	n, err := packs.Norms()
	if err != nil {
		return nil, err
	}
	return n.Vocabulary, nil
}

// shipped are the versions of the norm packs by digest, each as a standard with
// that one version.
var shipped = sync.OnceValue(func() map[string]*norm.Standard {
	out := map[string]*norm.Standard{}
	n, err := packs.Norms()
	if err != nil {
		return out // whoever needs the words says so
	}
	for _, s := range n.Standards {
		for i := range s.Versions {
			one := *s
			one.Versions = s.Versions[i : i+1 : i+1]
			out[s.Digest(&s.Versions[i])] = &one
		}
	}
	return out
})

// IndicatorID returns the row id of an indicator of a published version.
// Errors: INDICATOR_NOT_FOUND.
func (r *Room) IndicatorID(ctx context.Context, a norm.Applicable) (string, error) {
	key := indicatorKey{a.Standard.Code, a.Version.Number, a.Indicator.Code}
	if id, ok := r.indicators.Load(key); ok {
		return id.(string), nil
	}
	rows, err := r.door.Store.Client().Indicator.Query().
		Where(indicator.HasVersionWith(numbered(key.standard, key.number), standardversion.StateIn(released...))).All(access.Elevated(ctx))
	if err != nil {
		return "", fmt.Errorf("look up an indicator: %w", err)
	}
	for _, row := range rows {
		r.indicators.Store(indicatorKey{key.standard, key.number, row.Code}, row.ID)
	}
	if id, ok := r.indicators.Load(key); ok {
		return id.(string), nil
	}
	return "", fault.E(fault.NotFound, "INDICATOR_NOT_FOUND", fault.P("standard", key.standard), fault.P("indicator", key.indicator))
}

// Calendar returns the statutory calendar of a code as it stands now.
// Errors: CALENDAR_NOT_FOUND.
func (r *Room) Calendar(ctx context.Context, code string) (*calendar.Calendar, error) {
	ctx = access.Elevated(ctx)
	query := r.door.Store.Client().Calendar.Query().
		Where(entcalendar.Code(code), entcalendar.KindEQ(entcalendar.KindStatutory))
	revision, err := query.Clone().Select(entcalendar.FieldRevision).Int(ctx)
	if err != nil {
		return nil, notFound(err, "CALENDAR_NOT_FOUND", code)
	}
	if kept, ok := r.calendars.Load(code); ok && kept.(keptCalendar).revision == revision {
		return kept.(keptCalendar).calendar, nil
	}
	row, err := query.Only(ctx)
	if err != nil {
		return nil, notFound(err, "CALENDAR_NOT_FOUND", code)
	}
	c, err := calendar.Parse([]byte(row.Document))
	if err != nil {
		return nil, fmt.Errorf("read calendar %s: %w", code, err)
	}
	r.calendars.Store(code, keptCalendar{revision: row.Revision, calendar: c})
	return c, nil
}

// notFound turns ent's error for a missing (or invisible) row into ours.
func notFound(err error, code, id string, path ...string) error {
	if ent.IsNotFound(err) {
		return fault.E(fault.NotFound, code, fault.P("id", id)).At(path...)
	}
	return fmt.Errorf("read a row: %w", err)
}

// stored is t as it is stored: UTC and in microseconds; nil for the zero time.
func stored(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	return &t
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
