package transport_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openspms/spms/graph/transport"
	"github.com/openspms/spms/graph/transport/internal/testdoor"
)

// hostile is a request meant to cost the server far more than its sender.
type hostile struct {
	name string
	body string
	code string // of the first error; "" when the request is merely odd and is answered
}

// hostiles returns every request of that kind that the door is tested with.
func hostiles() []hostile {
	query := func(document string) string {
		raw, _ := json.Marshal(map[string]string{"query": document})
		return string(raw)
	}
	repeat := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format+" ", i)
		}
		return b.String()
	}
	nested := func(n int, open string) string {
		return "{" + strings.Repeat(open+"{", n) + "id" + strings.Repeat("}", n) + "}"
	}
	var doubling strings.Builder
	for i := range 60 {
		fmt.Fprintf(&doubling, "fragment f%d on Region{...f%d ...f%d}", i, i+1, i+1)
	}
	return []hostile{
		{"deep nesting", query(nested(20_000, "parent")), "QUERY_TOO_DEEP"},
		{"deep nesting within the tokens", query("{region(id:1)" + nested(30, "parent") + "}"), "QUERY_TOO_DEEP"},
		{"alias bomb", query("{" + repeat(30_000, "a%d:regions{totalCount}") + "}"), "QUERY_TOO_LONG"},
		{"alias bomb within the tokens", query("{region(id:1){" + repeat(300, "a%d:id") + "}}"), "QUERY_TOO_MANY_ALIASES"},
		{"fragment bomb", query("{region(id:1){...f0}}" + doubling.String() + "fragment f60 on Region{id}"), "QUERY_TOO_MANY_FIELDS"},
		{"circular fragments", query("{region(id:1){...a}}fragment a on Region{parent{...b}}fragment b on Region{parent{...a}}"), "QUERY_FRAGMENT_CYCLE"},
		{"huge pages five levels deep", query("{regions(first:200){" +
			strings.Repeat("edges{node{children(first:200){", 4) + "totalCount" + strings.Repeat("}}}", 4) + "}}"), "QUERY_TOO_COMPLEX"},
		{"a page beyond the largest", query("{regions(first:2000000000){edges{cursor}}}"), "PAGE_SIZE_TOO_LARGE"},
		{"400,000 root fields", query("{" + strings.Repeat("a ", 400_000) + "}"), "QUERY_TOO_LONG"},
		{"root fields within the tokens", query("{" + repeat(900, "f%d") + "}"), "QUERY_TOO_MANY_ROOT_FIELDS"},
		{"one field 900 times", query("{region(id:1){" + strings.Repeat("id ", 900) + "}}"), "QUERY_TOO_MANY_MERGES"},
		{"as many repeated fields as the guard lets pass", query("{region(id:1){" + strings.Repeat("parent{parent{id}}", 57) + "}}"), ""},
		{"900 unknown fields", query("{region(id:1){" + repeat(900, "f%d") + "}}"), "GRAPHQL_VALIDATION_FAILED"},
		{"a long string", query(`{region(id:"` + strings.Repeat("x", 900_000) + `"){name}}`), ""},
		{"a long name", query("{" + strings.Repeat("x", 900_000) + "}"), "QUERY_NAME_TOO_LONG"},
		{"a long comment", query("#" + strings.Repeat("x", 900_000) + "\n{__typename}"), ""},
		{"only comments", query(strings.Repeat("#\n", 300_000)), "QUERY_TOO_LONG"},
		{"directives overload", query("{region(id:1){id " + strings.Repeat("@include(if:true)", 100) + "}}"), "QUERY_TOO_MANY_DIRECTIVES"},
		{"unknown directives overload", query("{region(id:1){id " + strings.Repeat("@x", 450) + "}}"), "QUERY_TOO_MANY_DIRECTIVES"},
		{"introspection bomb", query("{__schema{types" + strings.Repeat("{fields{type", 6) + "{name}" + strings.Repeat("}}", 6) + "}}"), "GRAPHQL_VALIDATION_FAILED"},
		{"introspection many times", query("{" + repeat(15, "m%d:__schema{types{fields{args{type{name}}type{name}}}}") + "}"), "INTROSPECTION_TOO_COMPLEX"},
		{"many operations", query(repeat(190, "query q%d{a}")), "GRAPHQL_VALIDATION_FAILED"},
		{"many fragments nobody uses", query("{region(id:1){id}}" + repeat(130, "fragment f%d on Region{id}")), "GRAPHQL_VALIDATION_FAILED"},
		{"a filter of great depth", query("{regions(where:" + strings.Repeat("{not:", 200) + "{}" + strings.Repeat("}", 200) + "){totalCount}}"), "QUERY_TOO_DEEP"},
		{"many variables", query("query q(" + repeat(230, "$v%d:Int") + "){region(id:1){id}}"), "GRAPHQL_VALIDATION_FAILED"},
		{"variables of great depth", `{"query":"{__typename}","variables":{"a":` + strings.Repeat("[", 400_000) + `}}`, "JSON_TOO_DEEP"},
		{"variables without end", `{"query":"{__typename}","variables":{"a":[` + strings.Repeat("{},", 300_000) + `{}]}}`, "JSON_TOO_MANY_VALUES"},
		{"batch", "[" + strings.Repeat(`{"query":"{__typename}"},`, 3_000) + `{"query":"{__typename}"}]`, "BATCH_NOT_SUPPORTED"},
		{"10 MB", query(strings.Repeat(" ", 10<<20)), "BODY_TOO_LARGE"},
	}
}

// post sends a hostile request and returns the code of its first error.
func (h hostile) post(t testing.TB, door http.Handler) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(h.body))
	r.Header.Set("Content-Type", jsonType)
	w := httptest.NewRecorder()
	door.ServeHTTP(w, r)
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s: answer %.200q: %v", h.name, w.Body, err)
	}
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code
}

func hostileDoor() http.Handler { return transport.New(testdoor.New(), transport.Options{}) }
