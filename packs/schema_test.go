package packs_test

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/norm"
)

// object is the part of a JSON schema that the test compares.
type object struct {
	Properties map[string]struct {
		Enum []string `json:"enum"`
	} `json:"properties"`
	Defs map[string]object `json:"$defs"`
}

func readSchema(t *testing.T, name string) object {
	t.Helper()
	text, err := os.ReadFile("../schema/json/" + name + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var o object
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// tags returns the field names of a struct in files.
func tags(v any) []string {
	var out []string
	for f := range reflect.TypeOf(v).Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func TestSchemasNameTheFieldsThatAreRead(t *testing.T) {
	t.Parallel()
	standard, vocabulary, cal := readSchema(t, "standard"), readSchema(t, "vocabulary"), readSchema(t, "calendar")
	tests := []struct {
		name   string
		schema object
		value  any
	}{
		{"standard", standard, norm.Standard{}},
		{"version", standard.Defs["version"], norm.Version{}},
		{"clause", standard.Defs["clause"], norm.Clause{}},
		{"indicator", standard.Defs["indicator"], norm.Indicator{}},
		{"rule", standard.Defs["rule"], norm.Rule{}},
		{"vocabulary", vocabulary, norm.Vocabulary{}},
		{"term", vocabulary.Defs["term"], norm.Term{}},
		{"calendar", cal, calendar.Document{}},
		{"year", cal.Defs["year"], calendar.Year{}},
		{"day off", cal.Defs["dayOff"], calendar.DayOff{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var names []string
			for n := range tt.schema.Properties {
				names = append(names, n)
			}
			slices.Sort(names)
			if d := cmp.Diff(tags(tt.value), names); d != "" {
				t.Errorf("fields (-read +schema):\n%s", d)
			}
		})
	}
}

func TestSchemasNameTheWordsThatAreRead(t *testing.T) {
	t.Parallel()
	standard := readSchema(t, "standard")
	words := func(list string) []string {
		var out []string
		for _, l := range norm.Labels[list] {
			out = append(out, l.Word)
		}
		return out
	}
	basis, statistic := words("Basis"), words("Statistic")
	for w := range norm.BasisWords {
		basis = append(basis, w)
	}
	for w := range norm.StatisticWords {
		statistic = append(statistic, w)
	}
	ind, clause, rule := standard.Defs["indicator"].Properties, standard.Defs["clause"].Properties, standard.Defs["rule"].Properties
	tests := []struct {
		name string
		want []string
		got  []string
	}{
		{"authority", words("Authority"), standard.Properties["authority"].Enum},
		{"kind", words("Kind"), ind["kind"].Enum},
		{"statistic", statistic, ind["statistic"].Enum},
		{"comparator", words("Comparator"), ind["comparator"].Enum},
		{"unit", words("Unit"), ind["unit"].Enum},
		{"basis", basis, ind["basis"].Enum},
		{"verification", words("Verification"), ind["verification"].Enum},
		{"policy", words("Policy"), clause["policy"].Enum},
		{"on", words("RuleOn"), rule["on"].Enum},
		{"result", words("Result"), rule["result"].Enum},
	}
	for _, tt := range tests {
		slices.Sort(tt.want)
		slices.Sort(tt.got)
		if d := cmp.Diff(slices.Compact(tt.want), tt.got); d != "" {
			t.Errorf("words of %s (-read +schema):\n%s", tt.name, d)
		}
	}
}

func TestDocumentationMapsEveryWord(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/standards.md")
	if err != nil {
		t.Fatal(err)
	}
	for w, to := range norm.BasisWords {
		if !strings.Contains(string(text), "| `"+w+"` | `"+string(to)+"` |") {
			t.Errorf("docs/standards.md does not map basis %s to %s", w, to)
		}
	}
	for w, to := range norm.StatisticWords {
		if !strings.Contains(string(text), "| `"+w+"` | `"+string(to)+"` |") {
			t.Errorf("docs/standards.md does not map statistic %s to %s", w, to)
		}
	}
}
