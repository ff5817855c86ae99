// Package execution runs service cases: it loads a case's rows, lets the pure
// engine make a step, and writes state, tasks, clocks, timers and history in
// the transaction of the command. Its main type is Room. It knows processes
// only as compiled models and standards only as norm values; what a person may
// do is decided here, how a token moves is decided in engine.
package execution

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
)

// Norms tells which standards are in force and how days are counted; room
// standard does.
type Norms interface {
	// Current returns what is in force as the command of a transaction sees it.
	Current(ctx context.Context, tx *store.Tx) (*standard.Current, error)
	// IndicatorID returns the row id of an applicable indicator.
	IndicatorID(ctx context.Context, a norm.Applicable) (string, error)
	// PendingImmediate lists the versions in force that running cases have yet to be moved to.
	PendingImmediate(ctx context.Context) ([]standard.Immediate, error)
	// Applied notes that running cases have been moved to a version.
	Applied(ctx context.Context, versionID string, cases int) error
}

// Staffing tells what people are qualified for; room workforce does.
type Staffing interface {
	// Qualified reports whether a person holds a qualification valid at an instant.
	Qualified(ctx context.Context, client *ent.Client, staffID, kind string, at time.Time) (bool, error)
	// Viewer returns the rights of a person at an instant.
	ViewerByID(ctx context.Context, staffID string, at time.Time) (*access.Viewer, error)
	// Deputy returns who stands in for a person at an instant; himself when he is there.
	Deputy(ctx context.Context, client *ent.Client, staffID string, at time.Time) (string, error)
	// Candidates returns the people who hold a role in a region and some qualifications.
	Candidates(ctx context.Context, client *ent.Client, role, path string, kinds []string, at time.Time, limit int) ([]*ent.Staff, error)
}

// Room runs cases. It is safe for concurrent use; the steps of one case happen
// one after the other.
type Room struct {
	door        *command.Door
	definitions *definition.Room
	norms       Norms
	staffing    Staffing
	regions     sync.Map // region id → *ent.Region; regions do not change their place
	onTheirWay  way      // notices that this node is sending

	byCase, byTask reads // by the id of a case, and of one of its tasks
}

// New returns the room.
func New(door *command.Door, definitions *definition.Room, norms Norms, staffing Staffing) *Room {
	dialect := door.Store.Dialect()
	return &Room{
		door: door, definitions: definitions, norms: norms, staffing: staffing,
		byCase: written(dialect, ofCase), byTask: written(dialect, ofTask),
	}
}

// CaseResult is the answer of a change of a case.
type CaseResult struct {
	CaseID string
}

// TaskResult is the answer of a change of a task.
type TaskResult struct {
	TaskID string
	CaseID string
	Next   []string // the person's next tasks in this case, already created
}

// MessageResult is the answer of SendMessage.
type MessageResult struct {
	CaseID    string
	Delivered int
	Started   bool // the message has started the case
}

// FailureResult is the answer of RetryFailure.
type FailureResult struct {
	FailureID string
	CaseID    string
}

// region returns a region by id, whatever the viewer sees.
func (r *Room) region(ctx context.Context, u *ent.Client, id string) (*ent.Region, error) {
	if row, ok := r.regions.Load(id); ok {
		return row.(*ent.Region), nil
	}
	row, err := u.Region.Get(access.Elevated(ctx), id)
	if err != nil {
		return nil, notFound(err, "REGION_NOT_FOUND", id, "regionID")
	}
	r.regions.Store(id, row)
	return row, nil
}

// notFound turns ent's error for a missing (or invisible) row into ours.
func notFound(err error, code, id, field string) error {
	if err == nil {
		return nil
	}
	if ent.IsNotFound(err) {
		return fault.E(fault.NotFound, code, fault.P("id", id)).At("input", field)
	}
	return fmt.Errorf("read a row: %w", err)
}

// below puts an input path in front of an error's own.
func below(err error, prefix ...string) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	out := e.At(append(append([]string{}, prefix...), e.Path...)...)
	for i, it := range e.Items {
		out.Items[i] = it.At(append(append([]string{}, prefix...), it.Path...)...)
	}
	return out
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// changed tells subscribers of a changed case.
func (f *file) changed() {
	f.unit.Changed(store.Change{Kind: "case", ID: f.row.ID, CaseID: f.row.ID, RegionPath: f.row.RegionPath})
}
