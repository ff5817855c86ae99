package bpmn_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
)

const definitions = `<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL">`

// parse reads a document that must be good.
func parse(t testing.TB, src []byte) *bpmn.Document {
	t.Helper()
	d, err := bpmn.Parse(bytes.NewReader(src), bpmn.Limits{})
	if err != nil {
		t.Fatalf("Parse = %v, want no error", err)
	}
	return d
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	deep := definitions + strings.Repeat("<a>", 300) + strings.Repeat("</a>", 300) + "</definitions>"
	tests := []struct {
		name, src, code string
		line, column    int
	}{
		{"empty", "", "BPMN_SYNTAX", 1, 1},
		{"text only", "hello", "BPMN_SYNTAX", 1, 1},
		{"unclosed", definitions + "\n<a>", "BPMN_SYNTAX", 2, 4},
		{"crossed", definitions + "\n <a><b></a></b></definitions>", "BPMN_SYNTAX", 2, 8},
		{"closed twice", definitions + "</definitions></definitions>", "BPMN_SYNTAX", 1, 80},
		{"two roots", definitions + "</definitions>\n<a/>", "BPMN_SYNTAX", 2, 1},
		{"text after", definitions + "</definitions>\nx", "BPMN_SYNTAX", 1, 80},
		{"prefix unknown", definitions + "\n<x:a/></definitions>", "BPMN_SYNTAX", 2, 1},
		{"attribute prefix unknown", definitions + "\n<a x:y='1'/></definitions>", "BPMN_SYNTAX", 2, 1},
		{"attribute twice", definitions + "\n<a y='1' y='2'/></definitions>", "BPMN_SYNTAX", 2, 1},
		{"attribute twice by namespace", definitions + "\n<a xmlns:p='u' xmlns:q='u' p:y='1' q:y='2'/></definitions>", "BPMN_SYNTAX", 2, 1},
		{"prefix undeclared", definitions + "\n<a xmlns:p=''/></definitions>", "BPMN_SYNTAX", 2, 1},
		{"entity", definitions + "&boom;</definitions>", "BPMN_SYNTAX", 1, 72},
		{"doctype", "<!DOCTYPE d [<!ENTITY a 'b'>]>" + definitions + "</definitions>", "BPMN_DTD", 1, 1},
		{"deep", deep, "BPMN_TOO_DEEP", 1, 663},
		{"another encoding", `<?xml version="1.0" encoding="Shift_JIS"?>` + definitions + "</definitions>", "BPMN_NOT_UTF8", 1, 1},
		{"bytes of latin-1", definitions + "\n\xe9</definitions>", "BPMN_NOT_UTF8", 2, 1},
		{"half a letter of utf-16", "\xff\xfe\x00\xd8", "BPMN_NOT_UTF8", 1, 1},
		{"another vocabulary", "\n<definitions xmlns='http://schemas.xmlsoap.org/wsdl/'/>", "BPMN_NOT_BPMN", 2, 1},
		{"another root", `<process xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"/>`, "BPMN_NOT_BPMN", 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := bpmn.Parse(strings.NewReader(tt.src), bpmn.Limits{})
			e := fault.From(err)
			if e == nil || e.Code != tt.code || e.Kind != fault.Invalid || e.Param("line") != tt.line || e.Param("column") != tt.column {
				t.Errorf("Parse(%q) = %v, want %s at %d:%d", tt.src[:min(len(tt.src), 200)], err, tt.code, tt.line, tt.column)
			}
			if text := fault.Text(fault.EN, err); strings.ContainsAny(text, "{}") || text == tt.code {
				t.Errorf("Text(%v) = %q, want a text without placeholders", err, text)
			}
		})
	}
}

func TestParseDecodes(t *testing.T) {
	t.Parallel()
	wide := "\xff\xfe"
	for _, r := range definitions + "<!--é--></definitions>" {
		wide += string([]byte{byte(r), byte(r >> 8)})
	}
	for name, src := range map[string]string{
		"utf-8 with mark": "\xEF\xBB\xBF" + definitions + "<!--é--></definitions>",
		"utf-16":          wide,
		"iso-8859-1":      `<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>` + definitions + "<!--\xe9--></definitions>",
		"windows-1252":    `<?xml version='1.0' encoding='windows-1252'?>` + definitions + "<!--\xe9--></definitions>",
	} {
		want := definitions + "<!--é--></definitions>"
		if got := string(parse(t, []byte(src)).Canonical()); got != want {
			t.Errorf("%s: Canonical = %s, want %s", name, got, want)
		}
	}
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	src := definitions + "<a/><a/><a b='1'/></definitions>"
	many := definitions + "<a" + " xmlns:p='u'/>"
	for i := range 300 {
		many += "<x xmlns:p" + strings.Repeat("p", i) + "='u'>"
	}
	attributes := definitions + "<a"
	for i := range 300 {
		attributes += " " + strings.Repeat("a", i+1) + "=''"
	}
	tests := []struct {
		name   string
		src    string
		limits bpmn.Limits
		code   string
		what   string
	}{
		{"within", src, bpmn.Limits{Bytes: len(src), Depth: 2, Elements: 4}, "", ""},
		{"bytes", src, bpmn.Limits{Bytes: len(src) - 1}, "BPMN_TOO_LARGE", "bytes"},
		{"elements", src, bpmn.Limits{Elements: 3}, "BPMN_TOO_LARGE", "elements"},
		{"depth", src, bpmn.Limits{Depth: 1}, "BPMN_TOO_DEEP", ""},
		{"namespaces", many, bpmn.Limits{Depth: 1000}, "BPMN_TOO_LARGE", "namespaces"},
		{"attributes", attributes + "/></definitions>", bpmn.Limits{}, "BPMN_TOO_LARGE", "attributes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := bpmn.Parse(strings.NewReader(tt.src), tt.limits)
			if fault.CodeOf(err) != tt.code {
				t.Fatalf("Parse = %v, want code %q", err, tt.code)
			}
			if err != nil && tt.what != "" && fault.From(err).Param("what") != tt.what {
				t.Errorf("Parse = %v, want more %s", err, tt.what)
			}
		})
	}
}

func TestParseGivesReaderErrorsOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	if _, err := bpmn.Parse(iotest.ErrReader(broken), bpmn.Limits{}); !errors.Is(err, broken) {
		t.Errorf("Parse = %v, want %v", err, broken)
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	src := "\xEF\xBB\xBF<?xml version='1.0'?>\r\n<?p  q ?>\n<definitions xmlns=\"http://www.omg.org/spec/BPMN/20100524/MODEL\" xmlns:z=\"uz\" xmlns:a=\"ua\" z:k='1' a:k='2' id='x'>\r\n" +
		"<b xmlns=\"http://www.omg.org/spec/BPMN/20100524/MODEL\" v='a\r\nb&#10;c\td&quot;'><![CDATA[<&]]>&gt;&#13;</b><!--c--></definitions>"
	want := "<?p q ?>\n<definitions xmlns=\"http://www.omg.org/spec/BPMN/20100524/MODEL\" xmlns:a=\"ua\" xmlns:z=\"uz\" id=\"x\" a:k=\"2\" z:k=\"1\">\n" +
		"<b v=\"a b&#xA;c d&quot;\">&lt;&amp;&gt;&#xD;</b><!--c--></definitions>"
	got := string(parse(t, []byte(src)).Canonical())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Canonical differs (-want +got):\n%s", diff)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.bpmn")
	more, _ := filepath.Glob("testdata/interchange/*.bpmn")
	files = append(files, more...)
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob = %v, %v, want files", files, err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			checkRoundTrip(t, src)
		})
	}
}

// checkRoundTrip checks that writing a document loses nothing and that writing
// it again changes no byte.
func checkRoundTrip(t *testing.T, src []byte) {
	t.Helper()
	d := parse(t, src)
	out := d.Bytes()
	again := parse(t, out)
	if diff := cmp.Diff(string(d.Canonical()), string(again.Canonical())); diff != "" {
		t.Errorf("round trip differs (-read +written):\n%s", diff)
	}
	if !bytes.Equal(out, again.Bytes()) {
		t.Errorf("Bytes of what Bytes gave = %q, want %q", again.Bytes(), out)
	}
	g1, err1 := d.Graphs()
	g2, err2 := again.Graphs()
	if err1 != nil || err2 != nil {
		t.Fatalf("Graphs = %v and %v, want no errors", err1, err2)
	}
	if diff := cmp.Diff(g1, g2); diff != "" {
		t.Errorf("graphs of the round trip differ:\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/order.bpmn"} {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte(definitions + "<process id='p'><task id='a'/><sequenceFlow sourceRef='a' targetRef='a' id='b'/></process></definitions>"))
	f.Add([]byte("<!DOCTYPE a>"))
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := bpmn.Parse(bytes.NewReader(src), bpmn.Limits{Bytes: 1 << 16, Depth: 50, Elements: 1000})
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("Parse = %v, want an invalid fault", err)
			}
			return
		}
		if _, err := d.Graphs(); err != nil && fault.KindOf(err) != fault.Invalid {
			t.Fatalf("Graphs = %v, want an invalid fault", err)
		}
		again, err := bpmn.Parse(bytes.NewReader(d.Bytes()), bpmn.Limits{Depth: 50, Elements: 1000})
		if err != nil {
			t.Fatalf("Parse of what was written = %v\n%s", err, d.Bytes())
		}
		if !bytes.Equal(d.Canonical(), again.Canonical()) {
			t.Fatalf("canonical form changed:\n%s\n%s", d.Canonical(), again.Canonical())
		}
	})
}
