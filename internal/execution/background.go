package execution

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/batch"
	"github.com/openspms/spms/ent/batchitem"
	"github.com/openspms/spms/ent/failure"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/process"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema"
)

// A batch is written down by who asks for it and carried out by whichever node is
// free (carry.go): its items are listed first, so that it is known for good what it
// is about, and then decided one by one.

// plan is a batch with its request, read.
type plan struct {
	*ent.Batch
	request request
}

// request is what a batch keeps of its input: of failures the filter and what is
// done, of a migration the versions and the mapping that has passed its check.
type request struct {
	Code       string         `json:"code,omitempty"`
	NodeID     string         `json:"nodeID,omitempty"`
	ProcessKey string         `json:"processKey,omitempty"`
	ToNodeID   string         `json:"toNodeID,omitempty"`
	Variables  map[string]any `json:"variables,omitempty"`

	FromVersionID string        `json:"fromVersionID,omitempty"`
	ToVersionID   string        `json:"toVersionID,omitempty"`
	Mapping       model.Mapping `json:"mapping,omitempty"`
}

// planOf reads what a batch is to do.
func planOf(row *ent.Batch) (*plan, error) {
	p := &plan{Batch: row}
	body, err := json.Marshal(row.Request)
	if err == nil {
		err = json.Unmarshal(body, &p.request)
	}
	if err != nil {
		return nil, fmt.Errorf("read the request of batch %s: %w", row.ID, err)
	}
	return p, nil
}

// asRow is the request as the batch keeps it.
func (q request) asRow() (map[string]any, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("keep the request of a batch: %w", err)
	}
	out := map[string]any{}
	return out, json.Unmarshal(body, &out)
}

// StartFailureBatch lets the open failures that a filter selects in a region and
// below be retried, skipped, moved to another node, given variables, or their cases
// be cancelled: in the background, each by itself, under the rights that the viewer
// has then. It returns the id of the batch. Errors: REGION_NOT_FOUND,
// ACTION_FORBIDDEN.
func (r *Room) StartFailureBatch(ctx context.Context, in StartFailureBatch) (string, error) {
	q := request{Code: deref(in.Code), NodeID: deref(in.NodeID), ProcessKey: deref(in.ProcessKey), ToNodeID: deref(in.ToNodeID), Variables: in.Variables}
	p := &plan{Batch: &ent.Batch{Action: batch.Action(in.Action), Reason: in.Reason}, request: q}
	cmd := command.Command{Operation: "startFailureBatch", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		if err := p.place(ctx, u, in.RegionID); err != nil {
			return "", err
		}
		return p.queue(ctx, u)
	})
}

// StartMigrationBatch lets all running cases of a version in a region and below be
// moved to another one by a mapping that passes its check, as MigrateCases does, in
// the background. With Preview nothing but the items is written. It returns the id of
// the batch. Errors: REGION_NOT_FOUND, ACTION_FORBIDDEN, those of the mapping as of
// MigrateCases.
func (r *Room) StartMigrationBatch(ctx context.Context, in StartMigrationBatch) (string, error) {
	p := &plan{Batch: &ent.Batch{Action: batch.ActionMigrate, Reason: in.Reason, Preview: in.Preview}}
	m, wrong := r.checkedMapping(ctx, in.FromVersionID, in.ToVersionID, in.Pairs) // told to who has the right
	if wrong == nil {
		p.request = request{FromVersionID: m.FromVersionID, ToVersionID: m.ToVersionID, Mapping: m.Mapping}
	}
	cmd := command.Command{Operation: "startMigrationBatch", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		if err := p.place(ctx, u, in.RegionID); err != nil {
			return "", err
		}
		if wrong != nil {
			return "", wrong
		}
		return p.queue(ctx, u)
	})
}

// place sets the region of a batch that starts, if the viewer may do there what it
// does.
func (p *plan) place(ctx context.Context, u *command.Unit, regionID string) error {
	place, err := u.Region.Query().Where(store.RegionRef(regionID)).Only(ctx)
	if err != nil {
		return notFound(err, "REGION_NOT_FOUND", regionID, "regionID")
	}
	p.RegionID, p.RegionPath, p.CreatedAt = place.ID, place.RegionPath, u.Now
	return p.allowed(u)
}

// allowed refuses who may not do in the region of a batch what it does.
func (p *plan) allowed(u *command.Unit) error {
	right := access.ResolveFailure
	if p.Action == batch.ActionMigrate {
		right = access.MigrateCases
	}
	if err := u.Require(right, p.RegionPath); err != nil || p.Action != batch.ActionCancel {
		return err
	}
	return u.Require(access.CancelCase, p.RegionPath)
}

// queue writes a batch down.
func (p *plan) queue(ctx context.Context, u *command.Unit) (string, error) {
	data, err := p.request.asRow()
	if err != nil {
		return "", err
	}
	total, err := p.count(access.Elevated(ctx), u.Client)
	if err != nil {
		return "", err
	}
	row, err := u.Batch.Create().SetAction(p.Action).SetRequest(data).SetPreview(p.Preview).SetReason(p.Reason).SetTotal(total).
		SetStartedBy(u.Viewer.StaffID).SetLeaseUntil(schema.LongAgo).SetRegionID(p.RegionID).SetRegionPath(p.RegionPath).SetCreatedAt(u.Now).Save(ctx)
	if err != nil {
		return "", fmt.Errorf("write a batch: %w", err)
	}
	u.On(row.ID, row.RegionPath)
	u.Note("action", string(row.Action))
	u.Note("reason", row.Reason)
	u.Note("items", total)
	u.Changed(store.Change{Kind: "batch", ID: row.ID, RegionPath: row.RegionPath})
	return row.ID, nil
}

// CancelBatch stops a batch between two items. What is done stays done; the items
// that still wait are left alone for good. Errors: BATCH_NOT_FOUND, BATCH_ENDED,
// ACTION_FORBIDDEN.
func (r *Room) CancelBatch(ctx context.Context, in CancelBatch) (string, error) {
	cmd := command.Command{Operation: "cancelBatch", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		row, err := u.Batch.Query().Where(batch.ID(in.BatchID)).Only(store.Locking(ctx)) // no item is being decided from here on
		if err != nil {
			return "", notFound(err, "BATCH_NOT_FOUND", in.BatchID, "batchID")
		}
		u.On(row.ID, row.RegionPath)
		if err := (&plan{Batch: row}).allowed(u); err != nil {
			return "", err
		}
		if row.State != batch.StateQueued && row.State != batch.StateRunning {
			return "", fault.E(fault.Precondition, "BATCH_ENDED", fault.P("state", BatchLabel(row.State))).At("input", "batchID")
		}
		t, err := tallyOf(access.Elevated(ctx), u.Client, row.ID)
		if err != nil {
			return "", err
		}
		u.Note("reason", in.Reason)
		u.Changed(store.Change{Kind: "batched", ID: row.ID, RegionPath: row.RegionPath})
		return row.ID, u.Batch.UpdateOne(row).SetState(batch.StateCancelled).SetCancelReason(in.Reason).SetEndedAt(u.Now).SetLeaseUntil(schema.Far).
			SetDone(t.succeeded + t.refused).SetSucceeded(t.succeeded).SetRefused(t.refused).Exec(access.Elevated(ctx))
	})
}

// BatchLabel is a batch's state as people read it.
func BatchLabel(s batch.State) fault.Label {
	switch s {
	case batch.StateQueued:
		return fault.Label{ZH: "排队中", EN: "queued"}
	case batch.StateRunning:
		return fault.Label{ZH: "执行中", EN: "running"}
	case batch.StateDone:
		return fault.Label{ZH: "已完成", EN: "done"}
	case batch.StateCancelled:
		return fault.Label{ZH: "已取消", EN: "cancelled"}
	case batch.StateFailed:
		return fault.Label{ZH: "失败", EN: "failed"}
	}
	return fault.Label{ZH: string(s)}
}

// tally is how many items of a batch there are, by outcome.
type tally struct{ waiting, succeeded, refused int }

// tallyOf counts the items of a batch.
func tallyOf(ctx context.Context, client *ent.Client, id string) (t tally, err error) {
	var rows []struct {
		Outcome batchitem.Outcome
		Count   int
	}
	err = client.BatchItem.Query().Where(batchitem.BatchID(id)).GroupBy(batchitem.FieldOutcome).Aggregate(ent.Count()).Scan(ctx, &rows)
	if err != nil {
		return t, fmt.Errorf("count the items of a batch: %w", err)
	}
	for _, row := range rows {
		switch row.Outcome {
		case batchitem.OutcomeWaiting:
			t.waiting = row.Count
		case batchitem.OutcomeSucceeded:
			t.succeeded = row.Count
		case batchitem.OutcomeRefused:
			t.refused = row.Count
		}
	}
	return t, nil
}

// chosen is a row that a batch is about, and its case.
type chosen struct{ subject, caseID string }

// count counts what a batch is about now.
func (p *plan) count(ctx context.Context, client *ent.Client) (n int, err error) {
	if p.ofFailures() {
		n, err = p.failures(client).Count(ctx)
	} else {
		n, err = p.cases(client).Count(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("count what a batch is about: %w", err)
	}
	return n, nil
}

// choose lists what a batch is about, the oldest first, from after a subject on.
func (p *plan) choose(ctx context.Context, client *ent.Client, after string, limit int) (out []chosen, err error) {
	if p.ofFailures() {
		var rows []*ent.Failure
		rows, err = p.failures(client).Where(failure.IDGT(after)).Order(failure.ByID()).Limit(limit).All(ctx)
		for _, row := range rows {
			out = append(out, chosen{row.ID, row.CaseID})
		}
	} else {
		var ids []string
		ids, err = p.cases(client).Where(servicecase.IDGT(after)).Order(servicecase.ByID()).Limit(limit).IDs(ctx)
		for _, id := range ids {
			out = append(out, chosen{id, id})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list what a batch is about: %w", err)
	}
	return out, nil
}

// ofFailures reports whether a batch is about failures; else it is about cases, each
// once however much in it has failed.
func (p *plan) ofFailures() bool {
	return p.Action == batch.ActionRetry || p.Action == batch.ActionSkip || p.Action == batch.ActionMove
}

// failures selects the open failures of the filter.
func (p *plan) failures(client *ent.Client) *ent.FailureQuery {
	return client.Failure.Query().Where(append(p.open(), store.Within([]string{p.RegionPath}))...)
}

// open selects, in any region, the failures of the filter that were open when the
// batch was started and still are.
func (p *plan) open() []predicate.Failure {
	return append(p.filter(), failure.StateEQ(failure.StateOpen))
}

// filter selects the failures of the filter that were there when the batch was started.
func (p *plan) filter() []predicate.Failure {
	out := []predicate.Failure{failure.CreatedAtLTE(p.CreatedAt)}
	if p.request.Code != "" {
		out = append(out, failure.Code(p.request.Code))
	}
	if p.request.NodeID != "" {
		out = append(out, failure.NodeID(p.request.NodeID))
	}
	if p.request.ProcessKey != "" {
		out = append(out, failure.HasCaseWith(servicecase.HasProcessWith(process.Key(p.request.ProcessKey))))
	}
	return out
}

// fails refuses (FAILURE_ENDED), under the lock of a case, one in which nothing of the
// filter is open any more: since the batch was listed it may have gone on.
func (p *plan) fails(ctx context.Context, f *file) error {
	rows, err := f.unit.Failure.Query().Where(p.filter()...).Where(failure.CaseID(f.row.ID)).Order(failure.ByID()).All(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("read the failures of a case: %w", err)
	}
	last := ""
	for _, row := range rows {
		if last = row.ID; row.State == failure.StateOpen {
			return nil
		}
	}
	return failureEnded(last)
}

// cases selects the running cases that are to be migrated, or in which something of
// the filter has failed.
func (p *plan) cases(client *ent.Client) *ent.ServiceCaseQuery {
	q := client.ServiceCase.Query().Where(servicecase.StateEQ(servicecase.StateActive), store.Within([]string{p.RegionPath}))
	if p.Action == batch.ActionMigrate {
		return q.Where(servicecase.VersionID(p.request.FromVersionID), servicecase.CreatedAtLTE(p.CreatedAt))
	}
	return q.Where(servicecase.HasFailuresWith(p.open()...))
}

// mapping is how a batch moves cases.
func (q request) mapping() *definition.VersionMapping {
	return &definition.VersionMapping{FromVersionID: q.FromVersionID, ToVersionID: q.ToVersionID, Mapping: q.Mapping}
}
