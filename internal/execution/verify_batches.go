package execution

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/batch"
	"github.com/openspms/spms/ent/batchitem"
)

// verifyBatches checks that a batch that is done has its items, each subject once and
// each decided, and that the counts of every batch are those of its items.
func (r *Room) verifyBatches(ctx context.Context, client *ent.Client, out *Report) error {
	last := ""
	for {
		rows, err := client.Batch.Query().Where(batch.IDGT(last)).Order(ent.Asc(batch.FieldID)).Limit(verifyPage).All(ctx)
		if err != nil {
			return fmt.Errorf("read batches: %w", err)
		}
		for _, row := range rows {
			last = row.ID
			if err := verifyBatch(ctx, client, row, out); err != nil {
				return err
			}
		}
		if len(rows) < verifyPage {
			return nil
		}
	}
}

func verifyBatch(ctx context.Context, client *ent.Client, row *ent.Batch, out *Report) error {
	t, err := tallyOf(ctx, client, row.ID)
	if err != nil {
		return err
	}
	subjects, err := client.BatchItem.Query().Where(batchitem.BatchID(row.ID)).Aggregate(func(s *sql.Selector) string {
		return sql.Count(sql.Distinct(s.C(batchitem.FieldSubject)))
	}).Int(ctx)
	if err != nil {
		return fmt.Errorf("count what a batch is about: %w", err)
	}
	items := t.waiting + t.succeeded + t.refused
	if subjects != items {
		out.add("batches", row.ID, "%d items are about %d subjects", items, subjects)
	}
	if row.Done != row.Succeeded+row.Refused {
		out.add("batches", row.ID, "%d done are %d succeeded and %d refused", row.Done, row.Succeeded, row.Refused)
	}
	// A batch that lost its node is up to a slice further than it says.
	exact := row.State == batch.StateDone || row.State == batch.StateCancelled
	if over := row.Succeeded > t.succeeded || row.Refused > t.refused; over || exact && row.Done != t.succeeded+t.refused {
		out.add("batches", row.ID, "it counts %d succeeded and %d refused, its items are %d and %d", row.Succeeded, row.Refused, t.succeeded, t.refused)
	}
	if row.State == batch.StateDone && (t.waiting > 0 || items != row.Total) {
		out.add("batches", row.ID, "it is done with %d items of %d, %d of them waiting", items, row.Total, t.waiting)
	}
	return nil
}
