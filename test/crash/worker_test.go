package crash_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/openspms/spms/test/scene"
)

// workerCount is how many programs work the service tasks of called cases.
const workerCount = 2

// leaseSeconds is how long they are lent tasks: not so long that a task of a worker that
// went away holds anybody up.
const leaseSeconds = 2

// serve fetches what there is of the topic under a lease until ctx ends, gives some of it
// back for a moment, forgets some, as a worker that dies, and completes the rest in one
// batch.
func (c *client) serve(ctx context.Context) error {
	for n := 1; ; n++ {
		if err := c.shift(ctx, n); err != nil && ctx.Err() == nil {
			return fmt.Errorf("worker %s: %w", c.name, err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *client) shift(ctx context.Context, n int) error {
	quick := func(operation string, input values) (string, error) {
		body, err := json.Marshal(input)
		if err != nil {
			return "", err
		}
		return c.insist(ctx, send{"integration", operation, "", body})
	}
	answer, err := quick("fetchTasks", values{"topic": serveTopic, "worker": c.name, "max": 10, "leaseSeconds": leaseSeconds})
	if err != nil {
		return err
	}
	var lent struct {
		Tasks []struct {
			ID   string
			Case struct{ Number string }
		}
	}
	if err := json.Unmarshal([]byte(answer), &lent); err != nil {
		return err
	}
	items := []values{}
	for _, t := range lent.Tasks {
		switch c.rng.IntN(10) {
		case 0: // forgotten
		case 1:
			if _, err := quick("failTask", values{"taskID": t.ID, "worker": c.name, "reason": "测试", "retrySeconds": 1}); err != nil {
				return err
			}
		default:
			items = append(items, values{"caseNumber": t.Case.Number, "nodeID": scene.ServeNode, "worker": c.name})
		}
	}
	if len(items) == 0 {
		return nil
	}
	key := fmt.Sprintf("%s-%d", c.name, n)
	body, err := json.Marshal(values{"idempotencyKey": key, "items": items})
	if err != nil {
		return err
	}
	_, err = c.acknowledge(context.WithoutCancel(ctx), send{"integration", "completeTasks", key, body})
	return err
}
