package access_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/access"
)

func TestViewerMay(t *testing.T) {
	t.Parallel()
	henan := &access.Viewer{Grants: []access.Grant{{Role: access.Dispatcher, RegionPath: "CN/CN-HA/"}}}
	tests := []struct {
		name   string
		viewer *access.Viewer
		action access.Action
		path   string
		want   bool
	}{
		{"own region", henan, access.ReadCases, "CN/CN-HA/", true},
		{"region below", henan, access.AssignTask, "CN/CN-HA/CN-HA-ZZ/", true},
		{"region above", henan, access.ReadCases, "CN/", false},
		{"sibling", henan, access.ReadCases, "CN/CN-CQ/", false},
		{"sibling with the same beginning", henan, access.ReadCases, "CN/CN-HAX/", false},
		{"action of another role", henan, access.PublishStandard, "CN/CN-HA/", false},
		{"nobody", nil, access.ReadNorms, "CN/", false},
		{"empty viewer", &access.Viewer{}, access.ReadNorms, "CN/", false},
		{"unknown role", &access.Viewer{Grants: []access.Grant{{Role: "king", RegionPath: "CN/"}}}, access.ReadNorms, "CN/", false},
		{"the server", access.System("timer"), access.PublishStandard, "CN/", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.viewer.May(tt.action, tt.path); got != tt.want {
				t.Errorf("May(%v, %v) = %v, want %v", tt.action, tt.path, got, tt.want)
			}
		})
	}
}

func TestRegionsLeavesOutWhatLiesInside(t *testing.T) {
	t.Parallel()
	v := &access.Viewer{Grants: []access.Grant{
		{Role: access.Agent, RegionPath: "CN/CN-HA/CN-HA-ZZ/"},
		{Role: access.Auditor, RegionPath: "CN/CN-HA/"},
		{Role: access.Agent, RegionPath: "CN/CN-CQ/"},
		{Role: access.StandardAdmin, RegionPath: "CN/"},
	}}
	if diff := cmp.Diff([]string{"CN/CN-CQ/", "CN/CN-HA/"}, v.Regions(access.ReadCases)); diff != "" {
		t.Errorf("Regions(%v) (-want +got):\n%s", access.ReadCases, diff)
	}
	if diff := cmp.Diff([]string{"CN/", "CN/CN-HA/"}, v.Above()); diff != "" {
		t.Errorf("Above() (-want +got):\n%s", diff)
	}
}

func TestEveryRoleIsNamedAndReadsNorms(t *testing.T) {
	t.Parallel()
	seen := map[access.Role]bool{}
	for _, d := range access.Definitions {
		if d.Zh == "" || d.En == "" || seen[d.Role] {
			t.Errorf("Definitions: role %q is unnamed or doubled", d.Role)
		}
		seen[d.Role] = true
		if !d.Role.Allows(access.ReadNorms) {
			t.Errorf("%s.Allows(%v) = false, want true: everyone may read the norms", d.Role, access.ReadNorms)
		}
	}
	for _, a := range []access.Action{access.WorkTask, access.KeepStaff, access.StartCase, access.PauseClock} {
		if access.Auditor.Allows(a) {
			t.Errorf("auditor.Allows(%v) = true, want false: an auditor only reads", a)
		}
	}
}

func TestEveryActionHasLabels(t *testing.T) {
	for _, a := range access.Actions {
		if zh, en := a.Label(); zh == string(a) || zh == "" || en == string(a) || en == "" {
			t.Errorf("Label(%s) = %q, %q, want names in both languages", a, zh, en)
		}
	}
	if zh, en := access.Action("x.y").Label(); zh != "x.y" || en != "x.y" {
		t.Errorf("Label(x.y) = %q, %q, want the word itself", zh, en)
	}
}

// TestRenew lets rights change and end under one context.
func TestRenew(t *testing.T) {
	t.Parallel()
	agent := &access.Viewer{StaffID: "stf_1", Grants: []access.Grant{{Role: access.Agent, RegionPath: "CN/A/"}}}
	other := &access.Viewer{StaffID: "stf_1", Grants: []access.Grant{{Role: access.Agent, RegionPath: "CN/B/"}}}
	now, gone := agent, errors.New("gone")
	ctx := access.WithRenewal(t.Context(), agent, func(context.Context) (*access.Viewer, error) {
		if now == nil {
			return nil, gone
		}
		return now, nil
	})
	for _, v := range []*access.Viewer{agent, other} {
		if now = v; access.Renew(ctx) != nil || access.From(ctx) != v {
			t.Errorf("From() after Renew() = %v, want %v", access.From(ctx), v)
		}
	}
	if now = nil; !errors.Is(access.Renew(ctx), gone) || access.From(ctx) != other {
		t.Errorf("From() after a Renew() that fails = %v, want %v still", access.From(ctx), other)
	}
	fixed := access.With(ctx, agent)
	if now = other; access.Renew(fixed) != nil || access.From(fixed) != agent {
		t.Errorf("From() of a context without renewal = %v, want %v", access.From(fixed), agent)
	}
	if agent.SameRights(other) || !agent.SameRights(&access.Viewer{StaffID: "stf_1", Name: "x", Grants: agent.Grants}) {
		t.Error("SameRights() does not compare roles and regions alone")
	}
}
