package standard

import (
	"context"
	"fmt"
	"slices"
	"time"

	entcalendar "github.com/openspms/spms/ent/calendar"
	"github.com/openspms/spms/ent/standardversion"
	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/store"
)

// Current is what is in force as one command sees it: the standards and calendars
// when it asked. It is not to be kept beyond the command.
type Current struct {
	room      *Room
	kept      *inForce
	calendars int64
}

// currentSQL asks for the generations of standards and calendars in one statement; that of the
// calendars grows whenever one is added or changed.
const currentSQL = `select (` + generationSQL + `) || ' ' || (` + calendarsSQL + `)`

const calendarsSQL = `select coalesce(sum(revision + 1), 0) from calendars`

// Current asks, inside a command, what is in force now. A publication by any node
// that was committed before is seen.
func (r *Room) Current(ctx context.Context, tx *store.Tx) (*Current, error) {
	tx.Relies(standardversion.Table, entcalendar.Table)
	var generations string
	if err := tx.Scan(ctx, currentSQL, &generations); err != nil {
		return nil, fmt.Errorf("ask which standards are published: %w", err)
	}
	var standards, calendars int64
	if _, err := fmt.Sscan(generations, &standards, &calendars); err != nil {
		return nil, fmt.Errorf("ask which standards are published: %w", err)
	}
	kept, err := r.at(ctx, standards)
	if err != nil {
		return nil, err
	}
	return &Current{r, kept, calendars}, nil
}

// Set returns every standard that has been published, indexed. It must not be changed.
func (c *Current) Set() *norm.Set { return c.kept.set }

// Rules returns the rules that look at a kind of thing and are in force at an
// instant in a region, given with all regions above it, by standard and code.
func (c *Current) Rules(regions []string, on norm.RuleOn, at time.Time) []*Rule {
	var out []*Rule
	for _, rule := range c.kept.rules {
		if rule.On == on && slices.Contains(regions, rule.place) && rule.version.InForce(at) {
			out = append(out, rule)
		}
	}
	return out
}

// Calendar returns the statutory calendar of a code. Errors: CALENDAR_NOT_FOUND.
func (c *Current) Calendar(ctx context.Context, code string) (*calendar.Calendar, error) {
	if x, ok := c.room.calendars.Load(code); ok && x.(keptCalendar).generation == c.calendars {
		return x.(keptCalendar).calendar, nil
	}
	generation, err := c.room.committed(ctx, calendarsSQL) // of what is read, as in at
	if err != nil {
		return nil, err
	}
	found, err := c.room.Calendar(ctx, code)
	if err != nil {
		return nil, err
	}
	if x, ok := c.room.calendars.Load(code); ok && x.(keptCalendar).calendar == found {
		k := x.(keptCalendar)
		k.generation = generation
		c.room.calendars.Store(code, k)
	}
	return found, nil
}
