package optimization

import (
	"strconv"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/workforce"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// maxCapacity is the largest size that a strategy may propose for a pool.
const maxCapacity = 10_000

// split tells the edits of the document from those of the region's pools. The latter
// are judged here and carried out by workforce when a person adopts the proposal.
func split(edits []bpmn.Edit) (document, pools []bpmn.Edit) {
	for _, e := range edits {
		if e.Op == bpmn.SetCapacity {
			pools = append(pools, e)
		} else {
			document = append(document, e)
		}
	}
	return document, pools
}

// sizes judges the capacity edits of a proposal: each names, once, a pool of the region
// or below, its present size and another one in bounds. place maps their number to the
// one in the proposal.
func (t *talk) sizes(edits []bpmn.Edit) []*pluginv1.Diagnostic {
	var found []*pluginv1.Diagnostic
	seen := map[string]bool{}
	for i, e := range edits {
		if e.Op != bpmn.SetCapacity {
			continue
		}
		at := "$.edits[" + strconv.Itoa(i) + "]."
		p := t.pool(e.ID)
		from, err1 := strconv.Atoi(e.From)
		to, err2 := strconv.Atoi(e.Value)
		switch {
		case p == nil:
			found = append(found, flaw(at+"id", "POOL_NOT_FOUND", e.ID))
		case !p.Changeable:
			found = append(found, flaw(at+"id", "POOL_FOREIGN_REGION", e.ID))
		case seen[e.ID]:
			found = append(found, flaw(at+"id", "CAPACITY_TWICE", e.ID))
		case err1 != nil || from != p.Capacity:
			found = append(found, flaw(at+"from", "POOL_SIZE_STALE", strconv.Itoa(p.Capacity)))
		case err2 != nil || to < 1 || to > maxCapacity || to == from:
			found = append(found, flaw(at+"value", "CAPACITY_OUT_OF_BOUNDS", strconv.Itoa(maxCapacity)))
		}
		seen[e.ID] = true
	}
	return found
}

// pool finds a pool that serves the region; nil for none.
func (t *talk) pool(id string) *pool {
	for i := range t.pools {
		if t.pools[i].ID == id {
			return &t.pools[i]
		}
	}
	return nil
}

// resized reads capacity edits that were judged.
func resized(edits []bpmn.Edit) ([]workforce.PoolSize, error) {
	var out []workforce.PoolSize
	for _, e := range edits {
		from, err := strconv.Atoi(e.From)
		if err != nil {
			return nil, err
		}
		to, err := strconv.Atoi(e.Value)
		if err != nil {
			return nil, err
		}
		out = append(out, workforce.PoolSize{Code: e.ID, From: from, To: to})
	}
	return out, nil
}

// undone are the edits that take capacity edits back.
func undone(edits []bpmn.Edit) []bpmn.Edit {
	out := make([]bpmn.Edit, 0, len(edits))
	for _, e := range edits {
		e.From, e.Value = e.Value, e.From
		out = append(out, e)
	}
	return out
}
