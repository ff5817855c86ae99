package optimization

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// maxEditsBytes bounds the edits of a proposal, in bytes of JSON.
const maxEditsBytes = 256 << 10

// malformed tells by a code what is wrong with a proposal before its edits are looked
// at; "" for nothing.
func malformed(p *pluginv1.Proposal, base string) string {
	switch {
	case p.GetBaseDigest() != base:
		return "BASE_DIFFERENT"
	case strings.TrimSpace(p.GetTitleZh()) == "" && strings.TrimSpace(p.GetTitleEn()) == "":
		return "TITLE_MISSING"
	case len(p.GetClaims()) > 100:
		return "TOO_MANY_CLAIMS"
	}
	for _, f := range p.GetClaims() {
		for _, x := range []float64{f.GetBefore(), f.GetAfter(), f.GetLow(), f.GetHigh()} {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return "CLAIM_NOT_FINITE"
			}
		}
	}
	return ""
}

// try applies edits to a copy of the base and checks the result as the designer does:
// structure, soundness, the standards in force in the region; beyond that it must keep
// the protected steps. Capacities of pools are judged by themselves. What is wrong is
// returned as diagnostics; an error is one of the house.
func (t *talk) try(ctx context.Context, text string) (warnings int, found []*pluginv1.Diagnostic, err error) {
	all, code := parse(text)
	if code != "" {
		return 0, []*pluginv1.Diagnostic{flaw("$", code, "")}, nil
	}
	found = t.sizes(all)
	edits, _ := split(all)
	if len(edits) == 0 {
		return 0, found, nil
	}
	warnings, more, err := t.tryDocument(ctx, edits)
	return warnings, append(found, more...), err
}

// tryDocument is try for the edits of the document.
func (t *talk) tryDocument(ctx context.Context, edits []bpmn.Edit) (warnings int, found []*pluginv1.Diagnostic, err error) {
	doc, err := bpmn.Parse(strings.NewReader(t.base.Document), bpmn.Limits{})
	if err != nil {
		return 0, nil, err
	}
	if _, err := doc.Apply("", edits...); err != nil {
		f := fault.From(err)
		if f.Kind == fault.Internal {
			return 0, nil, err
		}
		return 0, []*pluginv1.Diagnostic{flaw("$."+strings.Join(f.Path, "."), f.Code, f.Error())}, nil
	}
	c, err := t.room.definitions.Check(ctx, string(doc.Bytes()), t.region.ID)
	if err != nil {
		f := fault.From(err)
		if f.Kind == fault.Internal || f.Kind == fault.Unavailable {
			return 0, nil, err
		}
		return 0, []*pluginv1.Diagnostic{flaw("$", f.Code, f.Error())}, nil
	}
	for _, f := range c.Findings {
		d := flaw(element(f.Elements), f.Code, f.Clause)
		if f.Severity != model.SeverityError {
			d.Severity = pluginv1.Severity_SEVERITY_WARNING
			warnings++
		}
		found = append(found, d)
	}
	if c.Model != nil {
		for _, f := range t.protected.Violated(c.Model) {
			found = append(found, flaw(element(f.Elements), f.Code, fault.Text(fault.EN, f.Fault())))
		}
	}
	return warnings, found, nil
}

func flaw(path, code, message string) *pluginv1.Diagnostic {
	d := &pluginv1.Diagnostic{Path: path, Message: message, Severity: pluginv1.Severity_SEVERITY_ERROR}
	d.Code = code // of the contract, where it is shown as it is
	return d
}

// parse decodes edits strictly: unknown fields, too many and the product's own edit
// are refused by a code.
func parse(text string) ([]bpmn.Edit, string) {
	if len(text) > maxEditsBytes {
		return nil, "EDITS_TOO_LARGE"
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	var edits []bpmn.Edit
	if err := d.Decode(&edits); err != nil || d.More() {
		return nil, "EDITS_MALFORMED"
	}
	switch {
	case len(edits) == 0:
		return nil, "EDITS_MISSING"
	case len(edits) > maxEdits:
		return nil, "TOO_MANY_EDITS"
	}
	for _, e := range edits {
		if e.Op == bpmn.Restore {
			return nil, "EDIT_NOT_ALLOWED"
		}
	}
	return edits, ""
}
