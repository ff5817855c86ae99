package definition

import (
	"context"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// NodePair says that what rests at node From of one version goes to node To of
// another; an empty To takes a proposed pair away.
type NodePair struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Mapped is one node of the earlier version with where its tokens go.
type Mapped struct {
	From, To     *bpmn.Node // To is nil while it is open
	ByProposal   bool       // not set by hand
	MustBeMapped bool       // a token can rest there
}

// VersionMapping tells where the cases of one version go on in another.
type VersionMapping struct {
	FromVersionID, ToVersionID string
	Nodes                      []Mapped
	Mapping                    model.Mapping
	Findings                   []model.Finding
}

// Mapping proposes where the tokens of cases go that move from one version of a
// process to another (id or KEY@number), with some pairs set by hand, and checks
// it. Errors: PROCESS_VERSION_NOT_FOUND, PROCESS_NOT_EXECUTABLE,
// MAPPING_OTHER_PROCESS, MAPPING_TWICE with the path pairs[i].from.
func (r *Room) Mapping(ctx context.Context, from, to string, pairs []*NodePair) (*VersionMapping, error) {
	a, ma, err := r.modelOf(ctx, from, "from")
	if err != nil {
		return nil, err
	}
	b, mb, err := r.modelOf(ctx, to, "to")
	if err != nil {
		return nil, err
	}
	if a.ProcessID != b.ProcessID {
		return nil, fault.E(fault.Precondition, "MAPPING_OTHER_PROCESS").At("to")
	}
	out := &VersionMapping{FromVersionID: a.ID, ToVersionID: b.ID, Mapping: model.ProposeMapping(ma, mb)}
	byHand := map[string]bool{}
	for i, p := range pairs {
		if byHand[p.From] {
			return nil, fault.E(fault.Invalid, "MAPPING_TWICE", fault.P("node", p.From)).At(fmt.Sprintf("pairs[%d]", i), "from")
		}
		byHand[p.From] = true
		out.Mapping[p.From] = p.To
		if p.To == "" {
			delete(out.Mapping, p.From)
		}
	}
	targets := map[string]*bpmn.Node{}
	for _, n := range mb.Graph().Nodes {
		targets[n.ID] = n
	}
	rests := model.Rests(ma)
	for _, n := range ma.Graph().Nodes {
		target, mapped := out.Mapping[n.ID]
		if mapped || rests[n.ID] {
			out.Nodes = append(out.Nodes, Mapped{From: n, To: targets[target], ByProposal: !byHand[n.ID], MustBeMapped: rests[n.ID]})
		}
	}
	out.Findings = model.CheckMapping(ma, mb, out.Mapping)
	return out, nil
}

// modelOf reads a version that the viewer sees, ready to run.
func (r *Room) modelOf(ctx context.Context, ref, field string) (*ent.ProcessVersion, *model.Model, error) {
	client := r.door.Store.Client()
	row, err := client.ProcessVersion.Query().Where(versionRef(ref)).Only(ctx)
	if err != nil {
		return nil, nil, withPath(notFound(err, "PROCESS_VERSION_NOT_FOUND", ref), field)
	}
	c, err := r.Compiled(ctx, client, row.ID)
	if err != nil {
		return nil, nil, withPath(err, field)
	}
	return row, c.Model, nil
}
