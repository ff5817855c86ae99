package fault_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/fault"
)

func catalogue(t *testing.T, yaml string) *fault.Catalogue {
	t.Helper()
	c, err := fault.Load(fstest.MapFS{"texts/a.yaml": {Data: []byte(yaml)}}, "texts")
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func TestMatchLang(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]fault.Lang{
		"":                        fault.ZH,
		"zh-CN,zh;q=0.9,en;q=0.8": fault.ZH,
		"zh-TW":                   fault.ZH,
		"en":                      fault.EN,
		"en-GB,en;q=0.7":          fault.EN,
		"fr,en;q=0.5":             fault.EN,
		"fr":                      fault.ZH,
		"de-DE, zh;q=0.4":         fault.ZH,
		"*":                       fault.ZH,
		"???;;;":                  fault.ZH,
	} {
		if got := fault.MatchLang(header); got != want {
			t.Errorf("MatchLang(%q) = %v, want %v", header, got, want)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	c := catalogue(t, `
LATE: {zh: "须在 {due} 前办结，缺 {missing}", en: "due by {due}, missing {missing}"}
INTERNAL: {zh: "内部错误 {id}", en: "internal {id}"}
`)
	due := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	late := fault.E(fault.Precondition, "LATE", fault.P("due", due), fault.P("missing", []string{"照片", "签字"}))
	for _, tc := range []struct {
		name string
		lang fault.Lang
		err  error
		want string
	}{
		{"Chinese with a list", fault.ZH, late, "须在 2026-03-01T08:00:00Z 前办结，缺 照片、签字"},
		{"English with a list", fault.EN, late, "due by 2026-03-01T08:00:00Z, missing 照片, 签字"},
		{"a parameter not given", fault.EN, fault.E(fault.Internal, "LATE"), "due by —, missing —"},
		{"a foreign error shows nothing of itself", fault.EN, errTable, "internal —"},
		{"a code without text", fault.EN, fault.E(fault.Internal, "NEW"), "NEW"},
		{"no error", fault.EN, nil, ""},
	} {
		if got := c.Text(tc.lang, tc.err); got != tc.want {
			t.Errorf("%s: Text = %q, want %q", tc.name, got, tc.want)
		}
	}
}

var errTable = fstestError("no such table: staff")

type fstestError string

func (e fstestError) Error() string { return string(e) }

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a missing language":     {map[string]string{"texts/a.yaml": `A: {zh: "甲"}`}, "A has no en text"},
		"other placeholders":     {map[string]string{"texts/a.yaml": `A: {zh: "甲 {x}", en: "a {y}"}`}, "placeholders [x] in zh and [y] in en"},
		"a code in two files":    {map[string]string{"texts/a.yaml": `A: {zh: 甲, en: a}`, "texts/b.yaml": `A: {zh: 甲, en: a}`}, "another file"},
		"a code in lower case":   {map[string]string{"texts/a.yaml": `late: {zh: 甲, en: a}`}, "upper-case"},
		"a file that is no YAML": {map[string]string{"texts/a.yaml": "A: {"}, "a.yaml"},
	} {
		fsys := fstest.MapFS{}
		for f, text := range tc.files {
			fsys[f] = &fstest.MapFile{Data: []byte(text)}
		}
		_, err := fault.Load(fsys, "texts")
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Load of %s = %v, want an error with %q", name, err, tc.want)
		}
	}
}

func TestShippedTexts(t *testing.T) {
	t.Parallel()
	if err := fault.CheckTexts(); err != nil {
		t.Fatal(err)
	}
	codes := fault.Codes()
	var names []string
	for _, c := range codes {
		names = append(names, c.Code)
	}
	if diff := cmp.Diff(len(names), len(fault.Codes())); diff != "" || len(names) == 0 {
		t.Errorf("Codes() holds %d codes: %s", len(names), diff)
	}
	if got := fault.Text(fault.EN, fault.E(fault.Internal, "INTERNAL", fault.P("id", "x7"))); !strings.Contains(got, "x7") {
		t.Errorf("Text(INTERNAL) = %q, want the number x7 in it", got)
	}
}
