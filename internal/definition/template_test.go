package definition

import (
	"slices"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/packs/process"
)

// TestParametersAreSound breaks a parameter of a shipped process in one way and
// wants exactly that finding.
func TestParametersAreSound(t *testing.T) {
	t.Parallel()
	files, err := process.Files()
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, f := range files {
		text[f.Key] = f.Text
	}
	for _, tc := range []struct{ name, process, old, new, want string }{
		{"enquiry as shipped", "enquiry", "", "", ""},
		{"fibre as shipped", "ftth-install", "", "", ""},
		{"leased line as shipped", "leased-line", "", "", ""},
		{"complaint as shipped", "mobile-complaint", "", "", ""},
		{"a default out of bounds", "ftth-install", `maximum="P7D"`, `maximum="PT12H"`, "PARAMETER_MALFORMED"},
		{"a default that is no role", "enquiry", `default="l2"`, `default="oracle"`, "PARAMETER_MALFORMED"},
		{"an edit of nothing", "enquiry", `"id": "a_expert", "value": "{value}"`, `"id": "a_sage", "value": "{value}"`, "PARAMETER_MALFORMED"},
		{"a default that changes the process", "ftth-install", `default="0.9"`, `default="0.8"`, "PARAMETER_CHANGES"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(text[tc.process], tc.old, tc.new, 1)
			if tc.old != "" && changed == text[tc.process] {
				t.Fatalf("%s has no %q", tc.process, tc.old)
			}
			c, _, err := compile(changed)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range askedWell(c) {
				got = append(got, f.Code)
				if said := fault.Text(fault.EN, f.Fault()); strings.Contains(said, "{") {
					t.Errorf("the text of %s has a gap: %s", f.Code, said)
				}
			}
			if want := slices.DeleteFunc([]string{tc.want}, func(s string) bool { return s == "" }); !slices.Equal(got, want) {
				t.Errorf("askedWell() = %v, want %v", got, want)
			}
		})
	}
}
