package definition

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/binding"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/process"
	"github.com/openspms/spms/ent/processversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/store"
)

// maxOpenDrafts bounds how many drafts of one process stand open at once.
const maxOpenDrafts = 20

// CreateProcess creates a process, named by its document, with its first draft.
// Errors: those of parsing, REGION_NOT_FOUND, PROCESS_KEY_TAKEN.
func (r *Room) CreateProcess(ctx context.Context, in CreateProcess) (Result, error) {
	c, err := r.Check(ctx, in.BPMN, in.RegionID)
	if err != nil {
		return Result{}, err
	}
	cmd := command.Command{Operation: "createProcess", Key: deref(in.IdempotencyKey), Input: in}
	return r.create(ctx, cmd, newProcess{region: in.RegionID, text: in.BPMN, changelog: deref(in.Changelog), keyField: "bpmn"}, c)
}

// newProcess is a process to be created.
type newProcess struct {
	region, text, changelog string
	keyField                string // of the input: where the key stands
	from                    string // version that was its template, if any
}

// create writes a process, whose document has been checked, with its first draft.
func (r *Room) create(ctx context.Context, cmd command.Command, in newProcess, c *Checked) (Result, error) {
	if unnamed := model.Errors(namedWell(c.Graph)); len(unnamed) > 0 {
		return Result{}, refusal("PROCESS_INCOMPLETE", unnamed)
	}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		reg, err := regionOf(ctx, u, in.region)
		if err != nil {
			return "", err
		}
		if err := u.Require(access.DraftProcess, reg.RegionPath); err != nil {
			return "", err
		}
		ext := c.Graph.Extension
		taken, err := u.Process.Query().Where(process.Key(ext.Key)).Exist(access.Elevated(ctx))
		if err != nil {
			return "", fmt.Errorf("look up the process key: %w", err)
		}
		if taken {
			return "", fault.E(fault.Conflict, "PROCESS_KEY_TAKEN", fault.P("key", ext.Key)).At("input", in.keyField)
		}
		p, err := u.Process.Create().SetKey(ext.Key).SetNameZh(c.Graph.Name).SetNameEn(ext.NameEn).SetServiceType(ext.ServiceType).
			SetRegionID(reg.ID).SetRegionPath(reg.RegionPath).SetCreatedAt(u.Now).Save(ctx)
		if err != nil {
			return "", fmt.Errorf("create the process: %w", err)
		}
		v, err := draft(ctx, u, version{process: p.ID, number: 1, regionID: p.RegionID, regionPath: p.RegionPath}, in.text, in.changelog)
		if err != nil {
			return "", err
		}
		if in.from != "" {
			u.Note("template", in.from)
		}
		return v.ID, nil
	})
	return Result{id, c.Findings}, err
}

// version is where a new draft stands.
type version struct {
	process    string
	number     int
	regionID   string
	regionPath string
	parent     *string // of a variant
}

func draft(ctx context.Context, u *command.Unit, at version, text, changelog string) (*ent.ProcessVersion, error) {
	v, err := u.ProcessVersion.Create().SetProcessID(at.process).SetNumber(at.number).SetDocument(text).SetChangelog(changelog).SetNillableParentID(at.parent).
		SetAuthorID(u.Viewer.StaffID).SetRegionID(at.regionID).SetRegionPath(at.regionPath).SetCreatedAt(u.Now).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("create the draft: %w", err)
	}
	u.On(v.ID, v.RegionPath)
	changed(u, v)
	return v, nil
}

// CreateDraft creates a draft from an earlier version of its process.
func (r *Room) CreateDraft(ctx context.Context, in CreateDraft) (Result, error) {
	cmd := command.Command{Operation: "createProcessDraft", Key: deref(in.IdempotencyKey), Input: in}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		from, err := r.version(ctx, u, in.FromVersionID, "fromVersionID")
		if err != nil {
			return "", err
		}
		if err := u.Require(access.DraftProcess, from.RegionPath); err != nil {
			return "", err
		}
		v, err := next(ctx, u, version{process: from.ProcessID, regionID: from.RegionID, regionPath: from.RegionPath, parent: from.ParentID}, from.Document, deref(in.Changelog))
		if err != nil {
			return "", err
		}
		return v.ID, nil
	})
	return Result{VersionID: id}, err
}

// next makes a draft with the next free number of its process.
func next(ctx context.Context, u *command.Unit, at version, text, changelog string) (*ent.ProcessVersion, error) {
	if _, err := u.Process.Query().Where(process.ID(at.process)).Only(store.Locking(access.Elevated(ctx))); err != nil {
		return nil, fmt.Errorf("read the process: %w", err)
	}
	all := u.ProcessVersion.Query().Where(processversion.ProcessID(at.process))
	open, err := all.Clone().Where(processversion.StateEQ(processversion.StateDraft), processversion.RegionID(at.regionID)).Count(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("count the drafts: %w", err)
	}
	if open >= maxOpenDrafts {
		return nil, fault.E(fault.Exhausted, "PROCESS_TOO_MANY_DRAFTS", fault.P("max", maxOpenDrafts)).At("input", "fromVersionID")
	}
	last, err := all.Order(ent.Desc(processversion.FieldNumber)).First(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the last version: %w", err)
	}
	at.number = last.Number + 1
	return draft(ctx, u, at, text, changelog)
}

// UpdateDraft replaces the document of a draft. The document must parse and keep
// its process key; findings are answered, not refused, since drafts may be unfinished.
func (r *Room) UpdateDraft(ctx context.Context, in UpdateDraft) (Result, error) {
	c, findings, err := compile(in.BPMN)
	if err != nil {
		return Result{}, err
	}
	cmd := command.Command{Operation: "updateProcessDraft", Key: deref(in.IdempotencyKey), Input: in}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		v, err := r.inState(ctx, u, in.VersionID, in.Revision, access.DraftProcess, processversion.StateDraft)
		if err != nil {
			return "", err
		}
		if key := v.Edges.Process.Key; c.Graph.Extension.Key != key {
			return "", fault.E(fault.Invalid, "PROCESS_KEY_CHANGED", fault.P("want", key), fault.P("have", c.Graph.Extension.Key)).At("input", "bpmn")
		}
		upd := redraft(u, v, in.BPMN)
		if in.Changelog != nil {
			upd.SetChangelog(*in.Changelog)
		}
		if err := forget(ctx, u, v); err != nil {
			return "", err
		}
		return r.save(ctx, u, upd)
	})
	return Result{id, findings}, err
}

// redraft gives a draft another document, one more revision, and the viewer as
// one who has changed it.
func redraft(u *command.Unit, v *ent.ProcessVersion, text string) *ent.ProcessVersionUpdateOne {
	upd := u.ProcessVersion.UpdateOne(v).SetDocument(text).AddRevision(1)
	if !slices.Contains(v.Editors, u.Viewer.StaffID) {
		upd.SetEditors(append(slices.Clone(v.Editors), u.Viewer.StaffID))
	}
	return upd
}

// Submit hands a draft in for review; it must be free of errors by then.
func (r *Room) Submit(ctx context.Context, in Submit) (Result, error) {
	c, err := r.checkVersion(ctx, in.VersionID, "")
	if err != nil {
		return Result{}, err
	}
	if !c.OK() {
		return Result{Findings: c.Findings}, refusal("PROCESS_NOT_PUBLISHABLE", c.Findings)
	}
	cmd := command.Command{Operation: "submitProcess", Key: deref(in.IdempotencyKey), Input: in}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		v, err := r.inState(ctx, u, in.VersionID, in.Revision, access.DraftProcess, processversion.StateDraft)
		if err != nil {
			return "", err
		}
		return r.save(ctx, u, u.ProcessVersion.UpdateOne(v).SetState(processversion.StateInReview).AddRevision(1))
	})
	return Result{id, c.Findings}, err
}

// Return gives a version under review back to its author.
func (r *Room) Return(ctx context.Context, in Return) (Result, error) {
	cmd := command.Command{Operation: "returnProcess", Key: deref(in.IdempotencyKey), Input: in}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		v, err := r.inState(ctx, u, in.VersionID, 0, access.PublishProcess, processversion.StateInReview)
		if err != nil {
			return "", err
		}
		u.Note("reason", in.Reason)
		return r.save(ctx, u, u.ProcessVersion.UpdateOne(v).SetState(processversion.StateDraft).AddRevision(1))
	})
	return Result{VersionID: id}, err
}

// Publish checks a version under review and freezes it with its digest. The
// publisher must not have written or changed it. A refusal names code, node and clause.
func (r *Room) Publish(ctx context.Context, in Publish) (Result, error) {
	c, err := r.checkVersion(ctx, in.VersionID, "")
	if err != nil {
		return Result{}, err
	}
	if !c.OK() {
		return Result{Findings: c.Findings}, refusal("PROCESS_NOT_PUBLISHABLE", c.Findings)
	}
	cmd := command.Command{Operation: "publishProcess", Key: deref(in.IdempotencyKey), Input: in}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		v, err := r.inState(ctx, u, in.VersionID, in.Revision, access.PublishProcess, processversion.StateInReview)
		if err != nil {
			return "", err
		}
		if v.AuthorID == u.Viewer.StaffID || slices.Contains(v.Editors, u.Viewer.StaffID) {
			return "", fault.E(fault.Precondition, "PROCESS_SAME_PERSON").At("input", "versionID")
		}
		if v.Document != c.Text {
			return "", fault.E(fault.Conflict, "STALE_REVISION", fault.P("expected", in.Revision), fault.P("actual", v.Revision)).At("input", "revision")
		}
		return r.save(ctx, u, u.ProcessVersion.UpdateOne(v).SetState(processversion.StatePublished).
			SetApproverID(u.Viewer.StaffID).SetPublishedAt(u.Now).SetDigest(digest(v.Document)).AddRevision(1))
	})
	return Result{id, c.Findings}, err
}

// Retire ends a published version that no region is bound to.
func (r *Room) Retire(ctx context.Context, in Retire) (Result, error) {
	cmd := command.Command{Operation: "retireProcess", Key: deref(in.IdempotencyKey), Input: in}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		v, err := r.inState(ctx, u, in.VersionID, 0, access.PublishProcess, processversion.StatePublished)
		if err != nil {
			return "", err
		}
		inUse, err := u.Binding.Query().Where(binding.VersionID(v.ID), binding.EndedAtIsNil()).Count(access.Elevated(ctx))
		if err != nil {
			return "", fmt.Errorf("count the bindings: %w", err)
		}
		if inUse > 0 {
			return "", fault.E(fault.Precondition, "PROCESS_BOUND", fault.P("count", inUse)).At("input", "versionID")
		}
		return r.save(ctx, u, u.ProcessVersion.UpdateOne(v).SetState(processversion.StateRetired))
	})
	return Result{VersionID: id}, err
}

// checkVersion checks a stored version for a region, the owner's when "".
func (r *Room) checkVersion(ctx context.Context, versionID, regionID string) (*Checked, error) {
	v, err := r.door.Store.Client().ProcessVersion.Query().Where(versionRef(versionID)).Only(ctx)
	if err != nil {
		return nil, withPath(notFound(err, "PROCESS_VERSION_NOT_FOUND", versionID), "input", "versionID")
	}
	if regionID == "" {
		regionID = v.RegionID
	}
	return r.Check(ctx, v.Document, regionID)
}

// Findings checks a stored version against the standards in force in a region
// today, the owner's region when regionID is "".
func (r *Room) Findings(ctx context.Context, versionID, regionID string) ([]model.Finding, error) {
	c, err := r.checkVersion(ctx, versionID, regionID)
	if err != nil {
		return nil, err
	}
	return c.Findings, nil
}

// versionRef selects a version by its id, or by its process's key and its
// number, such as ftth-install@2.
func versionRef(ref string) predicate.ProcessVersion {
	key, number, ok := strings.Cut(ref, "@")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return processversion.ID(ref)
	}
	return processversion.And(processversion.Number(n), processversion.HasProcessWith(process.Key(key)))
}

func (r *Room) version(ctx context.Context, u *command.Unit, id, field string) (*ent.ProcessVersion, error) {
	v, err := u.ProcessVersion.Query().Where(versionRef(id)).WithProcess().Only(store.Locking(ctx))
	if err != nil {
		return nil, withPath(notFound(err, "PROCESS_VERSION_NOT_FOUND", id), "input", field)
	}
	return v, nil
}

// inState reads a version for a change: it must be visible, the viewer may act,
// the revision (0: any) must be the present one, and the state must be want.
func (r *Room) inState(ctx context.Context, u *command.Unit, id string, revision int, a access.Action, want processversion.State) (*ent.ProcessVersion, error) {
	v, err := r.version(ctx, u, id, "versionID")
	if err != nil {
		return nil, err
	}
	u.On(v.ID, v.RegionPath)
	if err := u.Require(a, v.RegionPath); err != nil {
		return nil, err
	}
	if revision != 0 && revision != v.Revision {
		return nil, fault.E(fault.Conflict, "STALE_REVISION", fault.P("expected", revision), fault.P("actual", v.Revision)).At("input", "revision")
	}
	if v.State != want {
		return nil, fault.E(fault.Precondition, "PROCESS_VERSION_STATE", fault.P("want", string(want)), fault.P("have", string(v.State))).At("input", "versionID")
	}
	return v, nil
}

func (r *Room) save(ctx context.Context, u *command.Unit, upd *ent.ProcessVersionUpdateOne) (string, error) {
	v, err := upd.Save(ctx)
	if err != nil {
		return "", fmt.Errorf("write the version: %w", err)
	}
	changed(u, v)
	return v.ID, nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
