package standard

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/standardversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
)

// edit is one change of a draft: change gets a copy of its head and version and
// may replace, never alter, what lies behind their slices.
type edit struct {
	operation string
	key       *string
	input     any
	ref       string
	revision  int
	change    func(s *norm.Standard, v *norm.Version) error
}

// edited is a draft after its change.
type edited struct {
	revision int
	text     *norm.Standard
	before   *norm.Version
	after    *norm.Version
	document string
	refused  error // why the change cannot be made
}

// edit makes a change and writes the draft with one more revision.
func (r *Room) edit(ctx context.Context, e edit) (Result, error) {
	next, err := r.prepare(ctx, e)
	if err != nil {
		return Result{}, err
	}
	cmd := command.Command{Operation: e.operation, Key: deref(e.key), Input: e.input}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (Result, error) {
		row, err := inState(ctx, u, e.ref, e.revision, access.DraftStandard, standardversion.StateDraft)
		switch {
		case err != nil:
			return Result{}, err
		case next == nil || next.revision != row.Revision:
			return Result{}, fault.E(fault.Conflict, "STALE_REVISION", fault.P("expected", e.revision), fault.P("actual", row.Revision)).At("input", "revision")
		case next.refused != nil:
			return Result{}, next.refused
		}
		if err := rewrite(ctx, u, row, next); err != nil {
			return Result{}, err
		}
		return Result{StandardID: row.StandardID, VersionID: row.ID}, nil
	})
}

// prepare reads the draft and makes the change, outside the command; nil when the
// version is not the draft the change is based on, which the command will say.
func (r *Room) prepare(ctx context.Context, e edit) (*edited, error) {
	row, err := version(ctx, r.door.Store.Client(), e.ref, "input", "versionID")
	if err != nil {
		return nil, err
	}
	if row.State != standardversion.StateDraft || row.Revision != e.revision {
		return nil, nil
	}
	text, err := r.text(row)
	if err != nil {
		return nil, err
	}
	head, v := *text, text.Versions[0]
	out := &edited{revision: row.Revision, before: &text.Versions[0], text: &head}
	out.refused = e.change(&head, &v)
	if out.refused != nil {
		return out, nil //nolint:nilerr // the refusal is told inside the command, where it is audited
	}
	v.Digest = ""
	head.Versions = []norm.Version{v}
	out.after = &head.Versions[0]
	vocabulary, err := words()
	if err != nil {
		return nil, err
	}
	head.Normalise(vocabulary)
	if err := head.Validate(vocabulary); err != nil {
		out.refused = below(err, "input")
		return out, nil
	}
	out.document, err = encode(&head, out.after)
	return out, err
}

// rewrite writes a changed draft and the rows of its clauses and indicators.
func rewrite(ctx context.Context, u *command.Unit, row *ent.StandardVersion, next *edited) error {
	from, to := stored(next.after.EffectiveFrom.Time), stored(next.after.EffectiveTo.Time)
	upd := u.StandardVersion.UpdateOne(row).SetDocument(next.document).SetDigest(next.text.Digest(next.after)).
		SetChangelog(next.after.Changelog.In("zh")).SetNillableEffectiveFrom(from).SetNillableEffectiveTo(to).AddRevision(1).
		SetEditors(withEditor(row.Editors, u.Viewer.StaffID))
	if from == nil {
		upd.ClearEffectiveFrom()
	}
	if to == nil {
		upd.ClearEffectiveTo()
	}
	if err := upd.Exec(ctx); err != nil {
		return fmt.Errorf("write the draft: %w", err)
	}
	changed(u, row)
	return project(ctx, u, row, next.before, next.after)
}

// UpdateDraft replaces the document of a draft, which must keep code, authority,
// jurisdiction and number. Errors: those of norm.ParseStandard,
// STANDARD_VERSION_NOT_FOUND, STANDARD_STATE, STALE_REVISION,
// STANDARD_HEAD_CHANGED, STANDARD_NUMBER_CHANGED.
func (r *Room) UpdateDraft(ctx context.Context, in UpdateDraft) (Result, error) {
	text, err := r.read(in.Document)
	if err != nil {
		return Result{}, err
	}
	return r.edit(ctx, edit{
		operation: "updateStandardDraft", key: in.IdempotencyKey, input: in, ref: in.VersionID, revision: in.Revision,
		change: func(s *norm.Standard, v *norm.Version) error {
			if err := sameHead(s, text); err != nil {
				return err
			}
			if len(text.Versions) != 1 || text.Versions[0].Number != v.Number {
				return fault.E(fault.Invalid, "STANDARD_NUMBER_CHANGED", fault.P("number", v.Number)).At("input", "document", "versions")
			}
			*s, *v = *text, text.Versions[0]
			return nil
		},
	})
}

// SetClause adds the clause of a number to a draft, or replaces it in its place.
// Errors: STANDARD_VERSION_NOT_FOUND, STANDARD_STATE, STALE_REVISION,
// STANDARD_CLAUSE_NOT_FOUND, NORM_INVALID.
func (r *Room) SetClause(ctx context.Context, in SetClause) (Result, error) {
	clause := norm.Clause{
		Number: in.Number, Parent: deref(in.Parent), Title: textOf(deref(in.Title)), Text: textOf(in.Text),
		Recommended: in.Mandatory != nil && !*in.Mandatory, Roles: in.Roles, Policy: norm.Policy(deref(in.Policy)),
		Source: deref(in.Source), Address: deref(in.Address),
	}
	return r.edit(ctx, edit{
		operation: "setClause", key: in.IdempotencyKey, input: in, ref: in.VersionID, revision: in.Revision,
		change: func(_ *norm.Standard, v *norm.Version) error {
			v.Clauses = slices.Clone(v.Clauses)
			if c := v.Clause(in.Number); c != nil {
				*c = clause
				return nil
			}
			at := len(v.Clauses)
			if in.After != nil {
				at = slices.IndexFunc(v.Clauses, func(c norm.Clause) bool { return c.Number == *in.After }) + 1
				if at == 0 {
					return noClause(*in.After, "after")
				}
			}
			v.Clauses = slices.Insert(v.Clauses, at, clause)
			return nil
		},
	})
}

// RemoveClause takes a clause out of a draft; nothing may name it any more.
// Errors: STANDARD_VERSION_NOT_FOUND, STANDARD_STATE, STALE_REVISION,
// STANDARD_CLAUSE_NOT_FOUND, STANDARD_CLAUSE_IN_USE.
func (r *Room) RemoveClause(ctx context.Context, in RemoveClause) (Result, error) {
	return r.edit(ctx, edit{
		operation: "removeClause", key: in.IdempotencyKey, input: in, ref: in.VersionID, revision: in.Revision,
		change: func(_ *norm.Standard, v *norm.Version) error {
			if v.Clause(in.Number) == nil {
				return noClause(in.Number, "number")
			}
			if by := namedBy(v, in.Number); by != "" {
				return fault.E(fault.Precondition, "STANDARD_CLAUSE_IN_USE", fault.P("number", in.Number), fault.P("by", by)).At("input", "number")
			}
			v.Clauses = slices.DeleteFunc(slices.Clone(v.Clauses), func(c norm.Clause) bool { return c.Number == in.Number })
			return nil
		},
	})
}

func noClause(number, field string) error {
	return fault.E(fault.NotFound, "STANDARD_CLAUSE_NOT_FOUND", fault.P("number", number)).At("input", field)
}

// namedBy returns what names a clause: a clause below it, an indicator or a rule.
func namedBy(v *norm.Version, number string) string {
	for _, c := range v.Clauses {
		if c.Parent == number {
			return c.Number
		}
	}
	for _, i := range v.Indicators {
		if i.Clause == number {
			return i.Code
		}
	}
	for _, x := range v.Rules {
		if x.Clause == number {
			return x.Code
		}
	}
	return ""
}

// SetIndicator adds the indicator of a code to a draft, or replaces it in its
// place. Errors: STANDARD_VERSION_NOT_FOUND, STANDARD_STATE, STALE_REVISION,
// NORM_INVALID.
func (r *Room) SetIndicator(ctx context.Context, in SetIndicator) (Result, error) {
	vocabulary, err := words()
	if err != nil {
		return Result{}, err
	}
	ind := indicatorOf(in, vocabulary)
	return r.edit(ctx, edit{
		operation: "setIndicator", key: in.IdempotencyKey, input: in, ref: in.VersionID, revision: in.Revision,
		change: func(_ *norm.Standard, v *norm.Version) error {
			v.Indicators = slices.Clone(v.Indicators)
			if i := v.Indicator(in.Code); i != nil {
				*i = ind
				return nil
			}
			v.Indicators = append(v.Indicators, ind)
			return nil
		},
	})
}

// RemoveIndicator takes an indicator out of a draft. Errors:
// STANDARD_VERSION_NOT_FOUND, STANDARD_STATE, STALE_REVISION, INDICATOR_NOT_FOUND.
func (r *Room) RemoveIndicator(ctx context.Context, in RemoveIndicator) (Result, error) {
	return r.edit(ctx, edit{
		operation: "removeIndicator", key: in.IdempotencyKey, input: in, ref: in.VersionID, revision: in.Revision,
		change: func(s *norm.Standard, v *norm.Version) error {
			if v.Indicator(in.Code) == nil {
				return fault.E(fault.NotFound, "INDICATOR_NOT_FOUND", fault.P("standard", s.Code), fault.P("indicator", in.Code)).At("input", "code")
			}
			v.Indicators = slices.DeleteFunc(slices.Clone(v.Indicators), func(i norm.Indicator) bool { return i.Code == in.Code })
			return nil
		},
	})
}

// SetRule adds the rule of a code to a draft, or replaces it in its place. Errors:
// STANDARD_VERSION_NOT_FOUND, STANDARD_STATE, STALE_REVISION, NORM_INVALID, and
// those of an expression that does not compile or costs too much, with line and
// column.
func (r *Room) SetRule(ctx context.Context, in SetRule) (Result, error) {
	rule := norm.Rule{
		Code: in.Code, Name: textOf(in.Name), Clause: in.Clause, On: norm.RuleOn(in.On), Expression: in.Expression,
		Result: norm.Result(in.Result), Message: textOf(deref(in.Message)),
	}
	if err := checkRule(rule); err != nil {
		return Result{}, below(err, "input", "expression")
	}
	return r.edit(ctx, edit{
		operation: "setRule", key: in.IdempotencyKey, input: in, ref: in.VersionID, revision: in.Revision,
		change: func(_ *norm.Standard, v *norm.Version) error {
			v.Rules = slices.Clone(v.Rules)
			if i := slices.IndexFunc(v.Rules, func(x norm.Rule) bool { return x.Code == in.Code }); i >= 0 {
				v.Rules[i] = rule
				return nil
			}
			v.Rules = append(v.Rules, rule)
			return nil
		},
	})
}

// RemoveRule takes a rule out of a draft. Errors: STANDARD_VERSION_NOT_FOUND,
// STANDARD_STATE, STALE_REVISION, STANDARD_RULE_NOT_FOUND.
func (r *Room) RemoveRule(ctx context.Context, in RemoveRule) (Result, error) {
	return r.edit(ctx, edit{
		operation: "removeRule", key: in.IdempotencyKey, input: in, ref: in.VersionID, revision: in.Revision,
		change: func(_ *norm.Standard, v *norm.Version) error {
			kept := slices.DeleteFunc(slices.Clone(v.Rules), func(x norm.Rule) bool { return x.Code == in.Code })
			if len(kept) == len(v.Rules) {
				return fault.E(fault.NotFound, "STANDARD_RULE_NOT_FOUND", fault.P("code", in.Code)).At("input", "code")
			}
			v.Rules = kept
			return nil
		},
	})
}

func textOf(t Text) norm.Text { return norm.Text{ZH: t.Zh, EN: t.En} }

func instantOf(t *time.Time) norm.Instant {
	if t == nil {
		return norm.Instant{}
	}
	return norm.Instant{Time: t.UTC().Truncate(time.Microsecond)}
}

// indicatorOf reads the input's words, the product's or those of the published data.
func indicatorOf(in SetIndicator, v *norm.Vocabulary) norm.Indicator {
	out := norm.Indicator{
		Code: in.Code, Name: textOf(in.Name), Clause: in.Clause, Kind: norm.Kind(in.Kind), Statistic: norm.Statistic(in.Statistic),
		Comparator: norm.Comparator(in.Comparator), Value: in.Value, Unit: norm.Unit(in.Unit), Basis: norm.Basis(in.Basis),
		CutoffHour: deref(in.CutoffHour), Target: deref(in.Target), StartEvent: deref(in.StartEvent), StopEvent: deref(in.StopEvent),
		Services: spelled(in.Services, v.Service), Areas: spelled(in.Areas, v.Area), PauseReasons: in.PauseReasons,
		Definition: textOf(deref(in.Definition)), Adopts: deref(in.Adopts), ValidFrom: instantOf(in.ValidFrom), ValidTo: instantOf(in.ValidTo),
		Enabled: in.Enabled == nil || *in.Enabled, Verification: norm.Own, Source: deref(in.Source), Address: deref(in.Address),
	}
	if b, ok := norm.BasisWords[in.Basis]; ok {
		out.Basis = b
	}
	if s, ok := norm.StatisticWords[in.Statistic]; ok {
		out.Statistic = s
	}
	if in.Verification != nil {
		out.Verification = norm.Verification(*in.Verification)
	}
	if w := in.When; w != nil {
		out.When = &norm.Condition{Attribute: w.Attribute, In: w.In, Text: textOf(deref(w.Text))}
	}
	if c := in.Consequence; c != nil {
		out.Consequence = &norm.Consequence{Text: textOf(c.Text), CreditFen: int64(deref(c.CreditFen))}
	}
	for _, x := range in.Exclusions {
		out.Exclusions = append(out.Exclusions, textOf(x))
	}
	return out
}

// spelled replaces other spellings by the codes they stand for.
func spelled(list []string, code func(string) (string, bool)) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = w
		if c, ok := code(w); ok {
			out[i] = c
		}
	}
	return out
}
