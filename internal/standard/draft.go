package standard

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/ent/standard"
	"github.com/openspms/spms/ent/standardversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema/ids"
)

// maxOpenDrafts bounds how many drafts of one standard stand open at once.
const maxOpenDrafts = 20

// ImportStandard reads a standard file and makes a draft of each version that is
// not there yet, in the region of its jurisdiction; nothing of a refused file is
// kept. Errors: those of norm.ParseStandard, STANDARD_REGION_UNKNOWN,
// STANDARD_HEAD_CHANGED, STANDARD_VERSION_TAKEN, STANDARD_TOO_MANY_DRAFTS.
func (r *Room) ImportStandard(ctx context.Context, in ImportStandard) (Result, error) {
	text, err := r.read(in.Document)
	if err != nil {
		return Result{}, err
	}
	return r.importText(ctx, in, text)
}

// read parses a standard's file; its errors point at the input's document.
func (r *Room) read(document string) (*norm.Standard, error) {
	vocabulary, err := words()
	if err != nil {
		return nil, err
	}
	s, err := norm.ParseStandard([]byte(document), vocabulary)
	if err == nil {
		err = inDocument(checkRules(s.Versions), document)
	}
	if err != nil {
		return nil, below(err, "input", "document")
	}
	return s, nil
}

// inDocument adds to each finding where it stands in a document.
func inDocument(err error, document string) error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		for _, it := range e.Items {
			it.Params = append(it.Params, fault.P("document_line", norm.Line([]byte(document), it.Path...)))
		}
	}
	return err
}

// importText is ImportStandard of a file that has been read.
func (r *Room) importText(ctx context.Context, in ImportStandard, text *norm.Standard) (Result, error) {
	documents := make([]string, len(text.Versions))
	for i := range text.Versions {
		document, err := encode(text, &text.Versions[i])
		if err != nil {
			return Result{}, err
		}
		documents[i] = document
	}
	cmd := command.Command{Operation: "importStandard", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (Result, error) {
		row, err := standardFor(ctx, u, text)
		if err != nil {
			return Result{}, err
		}
		out := Result{StandardID: row.ID}
		for i := range text.Versions {
			v := &text.Versions[i]
			taken, err := u.StandardVersion.Query().Where(standardversion.StandardID(row.ID), standardversion.Number(v.Number)).Exist(access.Elevated(ctx))
			if err != nil {
				return Result{}, fmt.Errorf("look up a version: %w", err)
			}
			if taken {
				continue
			}
			made, err := r.draft(ctx, u, row, text, v, documents[i])
			if err != nil {
				return Result{}, err
			}
			out.VersionIDs = append(out.VersionIDs, made.ID)
		}
		if len(out.VersionIDs) == 0 {
			return Result{}, fault.E(fault.Conflict, "STANDARD_VERSION_TAKEN", fault.P("code", text.Code),
				fault.P("number", text.Versions[len(text.Versions)-1].Number)).At("input", "document")
		}
		out.VersionID = out.VersionIDs[len(out.VersionIDs)-1]
		u.On(out.VersionID, row.RegionPath)
		return out, nil
	})
}

// standardFor returns the row of a standard, locked; it makes one when there is
// none. Its code, authority and jurisdiction never change.
func standardFor(ctx context.Context, u *command.Unit, text *norm.Standard) (*ent.Standard, error) {
	row, err := u.Standard.Query().Where(standard.Code(text.Code)).Only(store.Locking(access.Elevated(ctx)))
	if err == nil {
		if err := u.Require(access.DraftStandard, row.RegionPath); err != nil {
			return nil, err
		}
		return row, sameHead(&norm.Standard{Code: row.Code, Authority: norm.Authority(row.Authority), Jurisdiction: row.Jurisdiction}, text)
	}
	if !ent.IsNotFound(err) {
		return nil, fmt.Errorf("look up a standard: %w", err)
	}
	home, err := u.Region.Query().Where(region.Code(text.Jurisdiction)).Only(ctx)
	if err != nil {
		return nil, notFound(err, "STANDARD_REGION_UNKNOWN", text.Jurisdiction, "input", "document", "jurisdiction")
	}
	if err := u.Require(access.DraftStandard, home.RegionPath); err != nil {
		return nil, err
	}
	row, err = u.Standard.Create().SetCode(text.Code).SetNameZh(text.Name.In("zh")).SetNameEn(text.Name.EN).
		SetAuthority(standard.Authority(text.Authority)).SetJurisdiction(text.Jurisdiction).SetSample(text.Sample).
		SetRegionID(home.ID).SetRegionPath(home.RegionPath).SetCreatedAt(u.Now).Save(ctx)
	if ent.IsConstraintError(err) {
		return nil, fault.E(fault.Conflict, "STANDARD_CODE_TAKEN", fault.P("code", text.Code)).At("input", "document", "code")
	}
	if err != nil {
		return nil, fmt.Errorf("create the standard: %w", err)
	}
	return row, nil
}

// sameHead refuses a text that is of another standard than was.
func sameHead(was, text *norm.Standard) error {
	for _, f := range []struct{ field, want, have string }{
		{"code", was.Code, text.Code},
		{"authority", string(was.Authority), string(text.Authority)},
		{"jurisdiction", was.Jurisdiction, text.Jurisdiction},
	} {
		if f.want != f.have {
			return fault.E(fault.Invalid, "STANDARD_HEAD_CHANGED", fault.P("field", f.field), fault.P("want", f.want),
				fault.P("have", f.have)).At("input", "document", f.field)
		}
	}
	return nil
}

// draft creates the draft of a version with its clauses and indicators.
func (r *Room) draft(ctx context.Context, u *command.Unit, s *ent.Standard, text *norm.Standard, v *norm.Version, document string) (*ent.StandardVersion, error) {
	open, err := u.StandardVersion.Query().Where(standardversion.StandardID(s.ID), standardversion.StateEQ(standardversion.StateDraft)).Count(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("count the drafts: %w", err)
	}
	if open >= maxOpenDrafts {
		return nil, fault.E(fault.Exhausted, "STANDARD_TOO_MANY_DRAFTS", fault.P("max", maxOpenDrafts)).At("input")
	}
	row, err := u.StandardVersion.Create().SetStandardID(s.ID).SetNumber(v.Number).SetAuthorID(u.Viewer.StaffID).
		SetNillableEffectiveFrom(stored(v.EffectiveFrom.Time)).SetNillableEffectiveTo(stored(v.EffectiveTo.Time)).
		SetDocument(document).SetDigest(text.Digest(v)).SetChangelog(v.Changelog.In("zh")).
		SetRegionID(s.RegionID).SetRegionPath(s.RegionPath).SetCreatedAt(u.Now).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("create the draft: %w", err)
	}
	if err := project(ctx, u, row, nil, v); err != nil {
		return nil, err
	}
	changed(u, row)
	return row, nil
}

// encode writes a standard with one of its versions as its document.
func encode(s *norm.Standard, v *norm.Version) (string, error) {
	one := *s
	one.Versions = []norm.Version{*v}
	text, err := one.Encode()
	if err != nil {
		return "", fmt.Errorf("write the document of %s: %w", s.Code, err)
	}
	return string(text), nil
}

// CreateDraft makes a draft from an earlier version of its standard, with the
// next free number and without its interval. Errors: STANDARD_VERSION_NOT_FOUND,
// STANDARD_TOO_MANY_DRAFTS.
func (r *Room) CreateDraft(ctx context.Context, in CreateDraft) (Result, error) {
	cmd := command.Command{Operation: "createStandardDraft", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (Result, error) {
		from, err := version(ctx, u.Client, in.FromVersionID, "input", "fromVersionID")
		if err != nil {
			return Result{}, err
		}
		if err := u.Require(access.DraftStandard, from.RegionPath); err != nil {
			return Result{}, err
		}
		s, err := u.Standard.Query().Where(standard.ID(from.StandardID)).Only(store.Locking(ctx))
		if err != nil {
			return Result{}, fmt.Errorf("read the standard: %w", err)
		}
		last, err := u.StandardVersion.Query().Where(standardversion.StandardID(s.ID)).
			Order(ent.Desc(standardversion.FieldNumber)).First(access.Elevated(ctx))
		if err != nil {
			return Result{}, fmt.Errorf("read the last version: %w", err)
		}
		text, err := r.text(from)
		if err != nil {
			return Result{}, err
		}
		v := text.Versions[0]
		v.Number, v.Digest, v.Changelog = last.Number+1, "", norm.Text{}
		v.EffectiveFrom, v.EffectiveTo, v.Ended = norm.Instant{}, norm.Instant{}, norm.Instant{}
		document, err := encode(text, &v)
		if err != nil {
			return Result{}, err
		}
		row, err := r.draft(ctx, u, s, text, &v, document)
		if err != nil {
			return Result{}, err
		}
		u.On(row.ID, row.RegionPath)
		return Result{StandardID: s.ID, VersionID: row.ID}, nil
	})
}

// numbered selects the version of a standard's code and number.
func numbered(code string, number int) predicate.StandardVersion {
	return standardversion.And(standardversion.Number(number), standardversion.HasStandardWith(standard.Code(code)))
}

// version reads a version under the viewer's limits by its id or as CODE@number.
func version(ctx context.Context, client *ent.Client, ref string, path ...string) (*ent.StandardVersion, error) {
	where := standardversion.ID(ref)
	if code, number, ok := strings.Cut(ref, "@"); ok && !strings.HasPrefix(ref, string(ids.StandardVer)+"_") {
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, fault.E(fault.NotFound, "STANDARD_VERSION_NOT_FOUND", fault.P("id", ref)).At(path...)
		}
		where = numbered(code, n)
	}
	row, err := client.StandardVersion.Query().Where(where).WithStandard().Only(ctx)
	if err != nil {
		return nil, notFound(err, "STANDARD_VERSION_NOT_FOUND", ref, path...)
	}
	return row, nil
}

// changed tells subscribers of a changed version.
func changed(u *command.Unit, row *ent.StandardVersion) {
	u.Changed(store.Change{Kind: "standard", ID: row.ID, RegionPath: row.RegionPath})
}

// Export writes a standard with every version that the viewer sees as one file,
// oldest first. Reading it back and exporting again gives the same bytes.
// Errors: STANDARD_NOT_FOUND.
func (r *Room) Export(ctx context.Context, code string) (string, error) {
	rows, err := r.door.Store.Client().StandardVersion.Query().Where(standardversion.HasStandardWith(standard.Code(code))).
		Order(ent.Asc(standardversion.FieldNumber)).All(ctx)
	if err != nil {
		return "", fmt.Errorf("read the versions of a standard: %w", err)
	}
	if len(rows) == 0 {
		return "", fault.E(fault.NotFound, "STANDARD_NOT_FOUND", fault.P("id", code)).At("code")
	}
	var out norm.Standard
	for _, row := range rows {
		text, err := r.text(row)
		if err != nil {
			return "", err
		}
		v := text.Versions[0]
		if end := stored(v.EffectiveTo.Time); row.EffectiveTo != nil && (end == nil || row.EffectiveTo.Before(*end)) {
			v.Ended.Time = row.EffectiveTo.UTC()
		}
		versions := append(out.Versions, v)
		events := merged(out.Events, text.Events)
		out = *text
		out.Versions, out.Events = versions, events
	}
	file, err := out.Encode()
	if err != nil {
		return "", fmt.Errorf("write the file of %s: %w", code, err)
	}
	return string(file), nil
}
