package execution

import (
	"context"
	"errors"
	"testing"

	"entgo.io/ent/dialect"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

var errPassing = errors.New("the connection is gone")

// gone is a database that does not answer.
type gone struct{ dialect.Driver }

func (gone) Query(context.Context, string, any, any) error { return errPassing }
func (gone) Dialect() string                               { return dialect.SQLite }

// TestDatabaseErrorIsNoRefusal looks at a failure while the database does not answer: who
// asks is told so, and not that the failure is dealt with. From outside nothing can come
// between the two looks of a command.
func TestDatabaseErrorIsNoRefusal(t *testing.T) {
	t.Parallel()
	u := &command.Unit{Tx: &store.Tx{Client: ent.NewClient(ent.Driver(gone{}))}}
	if _, err := stillOpen(t.Context(), u, "fail_1"); !errors.Is(err, errPassing) || fault.KindOf(err) != fault.Internal {
		t.Errorf("stillOpen() of a database that does not answer = %v, want its error", err)
	}
}
