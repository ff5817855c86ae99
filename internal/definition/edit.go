package definition

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/processedit"
	"github.com/openspms/spms/ent/processversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// maxUndo is how many changes of a draft can be taken back.
const maxUndo = 200

// EditDraft changes a draft by typed edits, all or none, and keeps what takes
// them back. Errors: those of bpmn.Document.Apply with the path edits[i].field,
// STALE_REVISION with the present revision, PROCESS_KEY_CHANGED.
func (r *Room) EditDraft(ctx context.Context, in EditDraft) (Result, error) {
	next, err := r.prepare(ctx, in.VersionID, in.Revision, func(context.Context, *ent.ProcessVersion) ([]bpmn.Edit, *ent.ProcessEdit, error) {
		edits := make([]bpmn.Edit, 0, len(in.Edits))
		for i, e := range in.Edits {
			if e.Op == bpmn.Restore {
				return nil, nil, fault.E(fault.Invalid, "EDIT_MALFORMED", fault.P("field", "op"), fault.P("value", string(e.Op))).At(fmt.Sprintf("edits[%d]", i), "op")
			}
			edits = append(edits, *e)
		}
		return edits, nil, nil
	})
	if err != nil {
		return Result{}, err
	}
	cmd := command.Command{Operation: "editProcessDraft", Key: deref(in.IdempotencyKey), Input: in}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		v, err := r.rewrite(ctx, u, in.VersionID, in.Revision, next)
		if err != nil {
			return "", err
		}
		u.Note("edits", len(in.Edits))
		return v.ID, next.keep(access.Elevated(ctx), u, v)
	})
	return Result{id, next.findings}, err
}

// UndoEdit takes the last change of a draft back that is not taken back yet, by
// whomever and whenever it was made. Errors: EDIT_NOTHING_TO_UNDO, STALE_REVISION.
func (r *Room) UndoEdit(ctx context.Context, in StepEdit) (Result, error) {
	return r.turn(ctx, "undoProcessEdit", in, false)
}

// RedoEdit does the change again that was taken back last. Errors:
// EDIT_NOTHING_TO_REDO, STALE_REVISION.
func (r *Room) RedoEdit(ctx context.Context, in StepEdit) (Result, error) {
	return r.turn(ctx, "redoProcessEdit", in, true)
}

func (r *Room) turn(ctx context.Context, operation string, in StepEdit, undone bool) (Result, error) {
	next, err := r.prepare(ctx, in.VersionID, in.Revision, func(ctx context.Context, v *ent.ProcessVersion) ([]bpmn.Edit, *ent.ProcessEdit, error) {
		return r.kept(ctx, v, undone)
	})
	if err != nil {
		return Result{}, err
	}
	cmd := command.Command{Operation: operation, Key: deref(in.IdempotencyKey), Input: in}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		v, err := r.rewrite(ctx, u, in.VersionID, in.Revision, next)
		if err != nil {
			return "", err
		}
		back, err := json.Marshal(next.inverse)
		if err != nil {
			return "", fmt.Errorf("keep an edit: %w", err)
		}
		err = u.ProcessEdit.Update().Where(processedit.ID(next.row.ID), processedit.Undone(undone)).SetUndone(!undone).SetBack(back).Exec(access.Elevated(ctx))
		if err != nil {
			return "", fmt.Errorf("keep an edit: %w", err)
		}
		return v.ID, nil
	})
	return Result{id, next.findings}, err
}

// kept reads the change to take back or, when undone, to do again.
func (r *Room) kept(ctx context.Context, v *ent.ProcessVersion, undone bool) ([]bpmn.Edit, *ent.ProcessEdit, error) {
	order, code := ent.Desc(processedit.FieldSeq), "EDIT_NOTHING_TO_UNDO"
	if undone {
		order, code = ent.Asc(processedit.FieldSeq), "EDIT_NOTHING_TO_REDO"
	}
	row, err := r.door.Store.Client().ProcessEdit.Query().Where(processedit.VersionID(v.ID), processedit.Undone(undone)).
		Order(order).First(access.Elevated(ctx))
	if ent.IsNotFound(err) {
		return nil, nil, fault.E(fault.Precondition, code).At("versionID")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the kept edits: %w", err)
	}
	var back bpmn.Edit
	if err := json.Unmarshal(row.Back, &back); err != nil {
		return nil, nil, fmt.Errorf("read a kept edit: %w", err)
	}
	return []bpmn.Edit{back}, row, nil
}

// edited is a draft after a change, made outside the command.
type edited struct {
	revision int
	text     string
	inverse  bpmn.Edit
	row      *ent.ProcessEdit // undo and redo: the change concerned
	findings []model.Finding
	refused  error // why the change cannot be made
}

// prepare makes a change outside the command; its refusal is told inside, where
// it is audited.
func (r *Room) prepare(ctx context.Context, ref string, revision int,
	choose func(ctx context.Context, v *ent.ProcessVersion) ([]bpmn.Edit, *ent.ProcessEdit, error),
) (*edited, error) {
	v, err := r.door.Store.Client().ProcessVersion.Query().Where(versionRef(ref)).WithProcess().Only(ctx)
	if err != nil {
		return nil, withPath(notFound(err, "PROCESS_VERSION_NOT_FOUND", ref), "input", "versionID")
	}
	out := &edited{revision: v.Revision}
	if v.State != processversion.StateDraft || v.Revision != revision {
		return out, nil // the command says what is wrong
	}
	edits, row, err := choose(ctx, v)
	if err == nil {
		out.row = row
		err = out.apply(v, edits)
	}
	if err != nil {
		e := fault.From(err)
		if e.Kind == fault.Internal {
			return nil, err
		}
		out.refused = e.At(append([]string{"input"}, e.Path...)...)
	}
	return out, nil
}

func (n *edited) apply(v *ent.ProcessVersion, edits []bpmn.Edit) error {
	doc, err := bpmn.Parse(strings.NewReader(v.Document), bpmn.Limits{})
	if err != nil {
		return err
	}
	if n.inverse, err = doc.Apply("", edits...); err != nil {
		return err
	}
	n.text = string(doc.Bytes())
	c, findings, err := compile(n.text)
	if err != nil {
		return err
	}
	if key := v.Edges.Process.Key; c.Graph.Extension.Key != key {
		return fault.E(fault.Invalid, "PROCESS_KEY_CHANGED", fault.P("want", key), fault.P("have", c.Graph.Extension.Key)).At("edits")
	}
	n.findings = findings
	return nil
}

// rewrite writes a changed draft with one more revision.
func (r *Room) rewrite(ctx context.Context, u *command.Unit, ref string, revision int, next *edited) (*ent.ProcessVersion, error) {
	v, err := r.inState(ctx, u, ref, revision, access.DraftProcess, processversion.StateDraft)
	switch {
	case err != nil:
		return nil, err
	case next.revision != v.Revision:
		return nil, fault.E(fault.Conflict, "STALE_REVISION", fault.P("expected", revision), fault.P("actual", v.Revision)).At("input", "revision")
	case next.refused != nil:
		return nil, next.refused
	}
	_, err = r.save(ctx, u, redraft(u, v, next.text))
	return v, err
}

// keep stores what takes a change back; changes that were taken back before it
// cannot be done again, and the oldest beyond maxUndo are forgotten.
func (n *edited) keep(ctx context.Context, u *command.Unit, v *ent.ProcessVersion) error {
	back, err := json.Marshal(n.inverse)
	if err != nil {
		return fmt.Errorf("keep an edit: %w", err)
	}
	if _, err := u.ProcessEdit.Delete().Where(processedit.VersionID(v.ID), processedit.Undone(true)).Exec(ctx); err != nil {
		return fmt.Errorf("forget undone edits: %w", err)
	}
	seq := 1
	last, err := u.ProcessEdit.Query().Where(processedit.VersionID(v.ID)).Order(ent.Desc(processedit.FieldSeq)).First(ctx)
	switch {
	case err == nil:
		seq = last.Seq + 1
	case !ent.IsNotFound(err):
		return fmt.Errorf("read the kept edits: %w", err)
	}
	if _, err := u.ProcessEdit.Delete().Where(processedit.VersionID(v.ID), processedit.SeqLTE(seq-maxUndo)).Exec(ctx); err != nil {
		return fmt.Errorf("forget old edits: %w", err)
	}
	return u.ProcessEdit.Create().SetVersionID(v.ID).SetSeq(seq).SetBack(back).SetBy(u.Viewer.StaffID).SetCreatedAt(u.Now).Exec(ctx)
}

// forget drops what would take changes back, when a document replaces the draft.
func forget(ctx context.Context, u *command.Unit, v *ent.ProcessVersion) error {
	if _, err := u.ProcessEdit.Delete().Where(processedit.VersionID(v.ID)).Exec(access.Elevated(ctx)); err != nil {
		return fmt.Errorf("forget the edits of a draft: %w", err)
	}
	return nil
}
