package storetest

import (
	"context"

	"github.com/openspms/spms/internal/store"
)

func openBare(url string) (context.Context, *store.Store, error) {
	ctx := context.Background()
	s, err := store.Open(ctx, url)
	return ctx, s, err
}
