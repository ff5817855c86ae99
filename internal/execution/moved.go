package execution

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/auditentry"
	"github.com/openspms/spms/internal/access"
)

// Why the due instant of a running clock was moved.
const (
	ByStandard = "standard" // a clause that applies at once
	ByCalendar = "calendar" // a year that was announced
)

// movedBy are the commands that move due instants, and why.
var movedBy = map[string]string{"applyStandard": ByStandard, "recount": ByCalendar}

// MovedClock is one change of a running clock's due instant that nothing in the
// case itself brought about.
type MovedClock struct {
	At            time.Time
	Reason        string // ByStandard, ByCalendar
	IndicatorCode string
	ClauseRef     string // the clause now, by standard; "" by calendar
	VersionID     string // of the standard; "" by calendar
	From          time.Time
	To            *time.Time // nil: the clock was cancelled
}

// Moved tells how the due instants of cases that the viewer may see were moved,
// by case id, the earliest first, in one statement. It is read from the audit
// trail, of which who may see a case is shown this part.
func (r *Room) Moved(ctx context.Context, caseIDs []string) (map[string][]*MovedClock, error) {
	rows, err := r.door.Store.Client().AuditEntry.Query().
		Where(auditentry.SubjectIn(caseIDs...), auditentry.OutcomeEQ(auditentry.OutcomeApplied), auditentry.OperationIn(slices.Collect(maps.Keys(movedBy))...)).
		Order(ent.Asc(auditentry.FieldCreatedAt, auditentry.FieldID)).All(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("read how clocks were moved: %w", err)
	}
	out := map[string][]*MovedClock{}
	for _, row := range rows {
		version, _ := row.Detail["version"].(string)
		for _, code := range slices.Sorted(maps.Keys(row.Detail)) {
			said, ok := row.Detail[code].(map[string]any)
			if !ok {
				continue // the version, or a count
			}
			m := &MovedClock{At: row.CreatedAt, Reason: movedBy[row.Operation], IndicatorCode: code, VersionID: version}
			m.ClauseRef, _ = said["clause"].(string)
			from, err := instant(said["from"])
			if err != nil || from == nil {
				return nil, fmt.Errorf("audit entry %s does not say from when a clock was moved: %w", row.ID, err)
			}
			m.From = *from
			if m.To, err = instant(said["to"]); err != nil {
				return nil, fmt.Errorf("read audit entry %s: %w", row.ID, err)
			}
			out[row.Subject] = append(out[row.Subject], m)
		}
	}
	return out, nil
}

// instant reads an instant of an audit entry, nil for none.
func instant(v any) (*time.Time, error) {
	text, ok := v.(string)
	if !ok {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	at = at.UTC()
	return &at, err
}
