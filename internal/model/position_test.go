package model_test

import (
	"slices"
	"testing"

	"github.com/openspms/spms/internal/model"
)

// TestGoBack sends a token of the leased line back and wants to know which other
// tokens of the case stay.
func TestGoBack(t *testing.T) {
	t.Parallel()
	m := compiled(t, "leased-line")
	node := func(id string) int {
		i, ok := m.Node(id)
		if !ok {
			t.Fatalf("no node %s", id)
		}
		return i
	}
	at := func(ids ...string) []model.Stay {
		var out []model.Stay
		for _, id := range ids {
			s := model.Stay{Node: node("p_join"), Flow: model.None}
			for i, f := range m.Flows {
				if f.ID == id {
					s.Flow = i
				}
			}
			if s.Flow == model.None {
				s.Node = node(id)
			}
			out = append(out, s)
		}
		return out
	}
	for _, tc := range []struct {
		name   string
		target string
		others []model.Stay
		want   []bool
		ok     bool
	}{
		{"within its branch: the others stay", "t_pa", at("a_z", "a_core", "f-a_cpe-p_join"), []bool{true, true, true}, true},
		{"before the split: the others end", "a_plan", at("a_z", "a_core", "f-a_cpe-p_join"), []bool{false, false, false}, true},
		{"one after another", "a_contract", nil, []bool{}, true},
		{"into a branch of which the others are not there", "a_z", at("a_core"), nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, ok := m.GoBack(model.None, node(tc.target), tc.others)
			if ok != tc.ok || !slices.Equal(got, tc.want) {
				t.Errorf("GoBack(%s) = %v, %v, want %v, %v", tc.target, got, ok, tc.want, tc.ok)
			}
		})
	}
}
