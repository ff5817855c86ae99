package execution

import (
	"context"
	"fmt"
	"sync"

	"github.com/openspms/spms/internal/fault"
)

// batchWorkers is how many items of a batch run side by side; on SQLite they share
// commits.
const batchWorkers = 16

// ItemResult is what became of one item of a batch.
type ItemResult[T any] struct {
	Result T
	Err    error
}

// CompleteTasks completes several tasks, each by itself: one that is refused leaves
// the others. Results are in the order of the items. With a key for the batch each
// item has its own, so that a batch sent again completes what is missing. Errors:
// those of CompleteTask per item.
func (r *Room) CompleteTasks(ctx context.Context, in CompleteTasks) ([]ItemResult[TaskResult], error) {
	return eachItem(ctx, len(in.Items), func(ctx context.Context, i int) (TaskResult, error) {
		item := *in.Items[i]
		if item.IdempotencyKey == nil && in.IdempotencyKey != nil {
			key := fmt.Sprintf("%s#%d", *in.IdempotencyKey, i)
			item.IdempotencyKey = &key
		}
		return r.CompleteTask(ctx, item)
	}), nil
}

// eachItem runs the items of a batch, some side by side. Input paths of errors
// begin with items[i].
func eachItem[T any](ctx context.Context, n int, run func(ctx context.Context, i int) (T, error)) []ItemResult[T] {
	out := make([]ItemResult[T], n)
	abreast(batchWorkers, n, func(i int) {
		out[i].Result, out[i].Err = run(ctx, i)
		if e := fault.From(out[i].Err); out[i].Err != nil && e.Kind != fault.Internal && len(e.Path) > 0 && e.Path[0] == "input" {
			out[i].Err = e.At(append([]string{"input", fmt.Sprintf("items[%d]", i)}, e.Path[1:]...)...)
		}
	})
	return out
}

// abreast calls run for 0 to n-1, at most so many side by side.
func abreast(side, n int, run func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(side, n) {
		wg.Go(func() {
			for i := range next {
				run(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
