package definition

import (
	"context"
	"strings"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/processversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
)

// CreateVariant makes a draft of a region's own from a published version of the
// regions above: it is edited, reviewed, published and bound there, and stays tied
// to its parent, so that what differs can be seen and brought along. Errors:
// PROCESS_VERSION_NOT_FOUND, REGION_NOT_FOUND, PROCESS_VERSION_STATE,
// PROCESS_FOREIGN_REGION, PROCESS_TOO_MANY_DRAFTS.
func (r *Room) CreateVariant(ctx context.Context, in CreateVariant) (Result, error) {
	cmd := command.Command{Operation: "createProcessVariant", Key: deref(in.IdempotencyKey), Input: in}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		from, err := r.version(ctx, u, in.FromVersionID, "fromVersionID")
		if err != nil {
			return "", err
		}
		reg, err := regionOf(ctx, u, in.RegionID)
		if err != nil {
			return "", err
		}
		if err := u.Require(access.DraftProcess, reg.RegionPath); err != nil {
			return "", err
		}
		if err := released(from, "fromVersionID"); err != nil {
			return "", err
		}
		if reg.RegionPath == from.RegionPath || !strings.HasPrefix(reg.RegionPath, from.RegionPath) {
			return "", fault.E(fault.Precondition, "PROCESS_FOREIGN_REGION", fault.P("region", reg.Code)).At("input", "regionID")
		}
		at := version{process: from.ProcessID, regionID: reg.ID, regionPath: reg.RegionPath, parent: &from.ID}
		v, err := next(ctx, u, at, from.Document, deref(in.Changelog))
		if err != nil {
			return "", err
		}
		return v.ID, nil
	})
	return Result{VersionID: id}, err
}

func released(v *ent.ProcessVersion, field string) error {
	if v.State == processversion.StatePublished || v.State == processversion.StateRetired {
		return nil
	}
	return fault.E(fault.Precondition, "PROCESS_VERSION_STATE", fault.P("want", "published"), fault.P("have", string(v.State))).At("input", field)
}

// RebaseVariant brings a variant up to a later version of its parent: a new draft
// of the variant's region in which what the parent changed is merged with what the
// region had changed. Errors: PROCESS_NO_VARIANT, PROCESS_VERSION_STATE, and
// VARIANT_CONFLICT with an item MERGE_CONFLICT for each place that both changed
// differently; then nothing is made.
func (r *Room) RebaseVariant(ctx context.Context, in RebaseVariant) (Result, error) {
	m, err := r.merge(ctx, in)
	if err != nil {
		return Result{}, err
	}
	cmd := command.Command{Operation: "rebaseProcessVariant", Key: deref(in.IdempotencyKey), Input: in}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		own, err := r.version(ctx, u, in.VersionID, "versionID")
		if err != nil {
			return "", err
		}
		onto, err := r.version(ctx, u, in.OntoVersionID, "ontoVersionID")
		if err != nil {
			return "", err
		}
		if err := u.Require(access.DraftProcess, own.RegionPath); err != nil {
			return "", err
		}
		if err := tied(own, onto); err != nil {
			return "", err
		}
		if own.Revision != m.revision {
			return "", fault.E(fault.Conflict, "STALE_REVISION", fault.P("expected", m.revision), fault.P("actual", own.Revision)).At("input", "versionID")
		}
		if m.refused != nil {
			return "", m.refused
		}
		at := version{process: own.ProcessID, regionID: own.RegionID, regionPath: own.RegionPath, parent: &onto.ID}
		v, err := next(ctx, u, at, m.text, deref(in.Changelog))
		if err != nil {
			return "", err
		}
		return v.ID, nil
	})
	return Result{VersionID: id}, err
}

// tied reports whether a variant can be brought up to a version of its parent.
func tied(own, onto *ent.ProcessVersion) error {
	if own.ParentID == nil || onto.ProcessID != own.ProcessID || *own.ParentID == onto.ID || onto.ParentID != nil {
		return fault.E(fault.Precondition, "PROCESS_NO_VARIANT").At("input", "ontoVersionID")
	}
	return released(onto, "ontoVersionID")
}

// rebased is a variant after its merge, made outside the command; its refusal is
// told inside, where it is audited.
type rebased struct {
	revision int // of the variant, which may be a draft
	text     string
	refused  error
}

func (r *Room) merge(ctx context.Context, in RebaseVariant) (rebased, error) {
	read := func(ctx context.Context, ref, field string) (*ent.ProcessVersion, error) {
		v, err := r.door.Store.Client().ProcessVersion.Query().Where(versionRef(ref)).Only(ctx)
		if err != nil {
			return nil, withPath(notFound(err, "PROCESS_VERSION_NOT_FOUND", ref), "input", field)
		}
		return v, nil
	}
	own, err := read(ctx, in.VersionID, "versionID")
	if err != nil {
		return rebased{}, err
	}
	onto, err := read(ctx, in.OntoVersionID, "ontoVersionID")
	if err != nil {
		return rebased{}, err
	}
	out := rebased{revision: own.Revision, refused: tied(own, onto)}
	if out.refused == nil {
		parent, err := read(access.Elevated(ctx), *own.ParentID, "versionID")
		if err != nil {
			return rebased{}, err
		}
		if out.text, out.refused = merged(parent.Document, own.Document, onto.Document); fault.KindOf(out.refused) == fault.Internal && out.refused != nil {
			return rebased{}, out.refused
		}
	}
	return out, nil
}

// merged is the document of a variant with what its parent has changed since.
func merged(base, ours, theirs string) (string, error) {
	var docs [3]*bpmn.Document
	for i, text := range []string{base, ours, theirs} {
		d, err := bpmn.Parse(strings.NewReader(text), bpmn.Limits{})
		if err != nil {
			return "", err
		}
		docs[i] = d
	}
	out, conflicts, err := bpmn.Merge(docs[0], docs[1], docs[2])
	if err != nil {
		return "", err
	}
	if len(conflicts) == 0 {
		return string(out.Bytes()), nil
	}
	e := fault.E(fault.Conflict, "VARIANT_CONFLICT", fault.P("count", len(conflicts))).At("input", "versionID")
	for _, c := range conflicts {
		e = e.With(fault.E(fault.Conflict, "MERGE_CONFLICT", fault.P("element", c.Element), fault.P("property", c.Property),
			fault.P("base", c.Base), fault.P("ours", c.Ours), fault.P("theirs", c.Theirs)).At("input", c.Element, c.Property))
	}
	return "", e
}
