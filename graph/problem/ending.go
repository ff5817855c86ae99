package problem

import (
	"context"
	"sync"
)

type endingKey struct{}

// ending is why a stream of answers ended.
type ending struct {
	mu  sync.Mutex
	err error
}

// WithEnding returns a context of an operation whose stream of answers may End with
// an error.
func WithEnding(ctx context.Context) context.Context {
	return context.WithValue(ctx, endingKey{}, &ending{})
}

// End says why the stream of answers of an operation is about to end; its last
// answer will tell. The first error stands.
func End(ctx context.Context, err error) {
	if e, ok := ctx.Value(endingKey{}).(*ending); ok {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.err == nil {
			e.err = err
		}
	}
}

// Ended returns the error that a stream of answers has ended with, nil for none.
func Ended(ctx context.Context) error {
	e, ok := ctx.Value(endingKey{}).(*ending)
	if !ok {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}
