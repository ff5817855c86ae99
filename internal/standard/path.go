package standard

import (
	"errors"

	"github.com/openspms/spms/internal/fault"
)

// below puts an input path in front of an error's own.
func below(err error, prefix ...string) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	under := func(path []string) []string { return append(append([]string{}, prefix...), path...) }
	out := e.At(under(e.Path)...)
	items := make([]*fault.Error, len(e.Items))
	for i, it := range e.Items {
		items[i] = it.At(under(it.Path)...)
	}
	out.Items = items
	return out
}
