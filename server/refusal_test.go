package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// send posts a body to the whole server and returns the answer and its status.
func (o *office) send(url, person, language, body string) (reply, int) {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, url+"/graphql", strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept-Language", language)
	req.Header.Set(server.PersonHeader, person)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatalf("send %.100s: %v", body, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	var r reply
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&r); err != nil {
		o.t.Fatalf("answer of %.100s: %.300s: %v", body, raw, err)
	}
	return r, res.StatusCode
}

// TestHostileBodies sends to the whole server what it must refuse before or
// while it reads the input: each with its status, code and path, and nothing
// written.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		shell := listening(t, server.ServeConfig{})
		shell.Open(server.Routes{GraphQL: o.house.Handler(server.AuthNone), Home: http.NotFoundHandler(), Ready: o.house.Store.Ping})
		o.must("yb-agent", "startCase", `processKey: "ftth-install", regionID: "CN-CQ-YB", number: "YB-1", channel: "hotline", variables: {case: {plan: "300M", planMbps: 300}}`)
		foreign := o.caseID("YB-1")
		good := processOf(t, "spoilt")
		spoil := func(old, with string) string {
			if !strings.Contains(good, old) {
				t.Fatalf("the shipped enquiry has no %q", old)
			}
			return strings.ReplaceAll(good, old, with)
		}
		body := func(query string) string {
			raw, err := json.Marshal(map[string]string{"query": query})
			if err != nil {
				t.Fatal(err)
			}
			return string(raw)
		}
		mutation := func(field, input string) string {
			return body(fmt.Sprintf("mutation { %s(input: {%s}) { userErrors { code path } } }", field, input))
		}
		tests := []struct {
			name, person, body string
			status             int
			code, path         string
		}{
			{"bytes that are no text", "zz-agent", "{\"query\":\"mutation{cancelCase(input:{caseID:\\\"x\\\",reason:\\\"\xff\\\"}){userErrors{code}}}\"}", 400, "INPUT_NOT_TEXT", "[]"},
			{"half a surrogate", "zz-agent", `{"query":"{serviceCase(number:\"\ud800\"){id}}"}`, 400, "INPUT_NOT_TEXT", "[]"},
			{"5 MB", "zz-agent", body("{viewer{name}}" + strings.Repeat(" ", 5<<20)), 413, "BODY_TOO_LARGE", "[]"},
			{"a rule of a process that is no CEL", "hq-standard", mutation("submitProcess", `versionID: "spoilt@1", revision: 1`), 200, "EXPR_SYNTAX", "[input bpmn a_callback]"},
			{"a rule of a standard that is no CEL", "hq-standard", mutation("importStandard", "document: "+literal(standardOf("CN", "ENT-SPOILT")+`    rules:
      - code: R1
        name: {zh: "规则", en: "A rule"}
        clause: "1"
        on: case
        expression: "stage == && channel"
        result: block
        message: {zh: "不行", en: "no"}
`)), 200, "EXPR_SYNTAX", "[input document versions 0 rules 0 expression]"},
			{"a node of a foreign region", "zz-agent", body(fmt.Sprintf("{ node(id: %q) { id } }", foreign)), 200, "NODE_NOT_FOUND", "[node]"},
			{"a node of no kind", "zz-agent", body(`{ node(id: "zzz_1") { id } }`), 200, "ID_UNREADABLE", "[node]"},
			{"a foreign case", "zz-agent", mutation("cancelCase", fmt.Sprintf(`caseID: %q, reason: "x"`, foreign)), 200, "CASE_NOT_FOUND", "[input caseID]"},
		}
		o.must("hq-standard", "createProcess", `regionID: "CN", bpmn: `+literal(spoil("has(enquiry.answered) &amp;&amp; enquiry.answered", "has(enquiry.answered &amp;&amp;")))
		before := o.rows()
		for _, tt := range tests {
			r, status := o.send(shell.URL(), tt.person, "en", tt.body)
			var code, path any
			if len(r.Errors) > 0 {
				code, path = r.Errors[0].Extensions["code"], fmt.Sprint(r.Errors[0].Path)
			}
			for _, payload := range r.Data {
				if e := dig(payload, "userErrors", 0); e != nil {
					code, path = dig(e, "code"), fmt.Sprint(dig(e, "path"))
				}
			}
			if status != tt.status || code != tt.code || path != tt.path {
				t.Errorf("%s = %d %v at %v, want %d %s at %s", tt.name, status, code, path, tt.status, tt.code, tt.path)
			}
		}
		if after := o.rows(); after != before {
			t.Errorf("rows after refusals = %s, want %s", after, before)
		}
	})
}

// TestRefusalsSpeakTheReadersLanguage reads the texts of refusals in both languages.
func TestRefusalsSpeakTheReadersLanguage(t *testing.T) {
	t.Parallel()
	o := openOffice(t, storetest.SQLiteURL(t), time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
	const number = "SO-1"
	o.must("zz-agent", "startCase", `processKey: "ftth-install", regionID: "CN-HA-ZZ", number: "SO-1", channel: "hotline", variables: {case: {plan: "300M", planMbps: 300}}`)
	o.work("zz-agent", number, "a_reg", `, variables: {identity: {verified: true}}, evidence: [{kind: "证件核验记录", content: "ok"}, {kind: "受理单", content: "SL"}]`)
	o.must("integration", "completeTask", `caseNumber: "SO-1", nodeID: "a_res", variables: {resource: {status: "ready"}}, evidence: [{kind: "资源核查结果", content: "ok"}]`)
	plan := `caseNumber: "SO-1", nodeID: "a_plan"`
	o.must("zz-agent", "claimTask", plan)
	for _, tt := range []struct{ person, field, input, zh, en string }{
		{"zz-agent", "claimTask", plan, "当前为已签收", "is Claimed"},
		{"auditor", "cancelCase", fmt.Sprintf(`caseID: %q, reason: "x"`, o.caseID(number)), "您在区域河南郑州城区没有“撤销服务单”权限", `you may not do "Cancel cases" in region Zhengzhou urban`},
		{"zz-agent", "completeTask", plan + `, variables: {offer: {tariffNoticeGiven: false}}`, "签约前须告知资费与退出规则", "Tariff and exit rules are explained"},
	} {
		query := literal(fmt.Sprintf("mutation { %s(input: {%s}) { userErrors { message } } }", tt.field, tt.input))
		for language, want := range map[string]string{"zh": tt.zh, "en": tt.en} {
			r, _ := o.send(o.http.URL, tt.person, language, `{"query":`+query+`}`)
			got := fmt.Sprint(dig(r.Data, tt.field, "userErrors", 0, "message"))
			if len(r.Errors) > 0 {
				got = r.Errors[0].Message
			}
			foreign := tt.en
			if language == "en" {
				foreign = tt.zh
			}
			if !strings.Contains(got, want) || strings.Contains(got, foreign) {
				t.Errorf("%s in %s = %q, want %q and no %q", tt.field, language, got, want, foreign)
			}
		}
	}
}

// TestEveryEnumValueHasLabels asks the server for its enums and for its labels.
// The fields that lists are ordered by are words of the schema alone.
func TestEveryEnumValueHasLabels(t *testing.T) {
	t.Parallel()
	o := openOffice(t, storetest.SQLiteURL(t), time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
	labelled := map[string]bool{}
	list, _ := o.get("demo-admin", "{ labels { list value label { zh en } } }", "labels").([]any)
	for _, l := range list {
		zh, _ := dig(l, "label", "zh").(string)
		en, _ := dig(l, "label", "en").(string)
		name := fmt.Sprint(dig(l, "list"), ".", dig(l, "value"))
		if zh == "" || en == "" || zh == en && strings.ToLower(en) == en && !strings.ContainsAny(en, "0123456789") {
			t.Errorf("%s has the labels %q and %q, want words in both languages", name, zh, en)
		}
		labelled[name] = true
	}
	seen := 0
	for name, d := range o.schema() {
		if d.Kind != "ENUM" || strings.HasPrefix(name, "__") || strings.HasSuffix(name, "OrderField") {
			continue
		}
		for _, v := range d.EnumValues {
			seen++
			if !labelled[name+"."+v.Name] {
				t.Errorf("%s.%s has no labels", name, v.Name)
			}
		}
	}
	if seen < 40 {
		t.Errorf("the schema has %d enum values, want those of every entity", seen)
	}
}
