package transport_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/graph/guard"
	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/graph/transport"
	"github.com/openspms/spms/graph/transport/internal/testdoor"
)

const (
	jsonType  = "application/json"
	graphType = "application/graphql-response+json"
)

// counts notes the codes a door reports.
type counts struct {
	sync.Mutex
	of map[string]int
}

func (c *counts) add(code string) {
	c.Lock()
	defer c.Unlock()
	c.of[code]++
}

// open serves a door and returns its address; change may set options.
func open(t testing.TB, change func(*transport.Options)) (address string, log *bytes.Buffer, seen *counts) {
	t.Helper()
	log, seen = &bytes.Buffer{}, &counts{of: map[string]int{}}
	o := transport.Options{Presenter: problem.Presenter{
		Logger: slog.New(slog.NewTextHandler(log, nil)), Count: seen.add,
	}}
	if change != nil {
		change(&o)
	}
	srv := httptest.NewServer(transport.New(testdoor.New(), o))
	t.Cleanup(srv.Close)
	return srv.URL, log, seen
}

// answer is what a client reads.
type answer struct {
	Status int `json:"-"`
	Header http.Header
	Raw    string
	Data   map[string]any
	Errors []struct {
		Message    string
		Path       []any
		Locations  []any
		Extensions struct {
			Code, Kind string
			Params     map[string]any
			Path       []string
		}
	}
}

func (a answer) codes() []string {
	var out []string
	for _, e := range a.Errors {
		out = append(out, e.Extensions.Code)
	}
	return out
}

// send makes a request; header pairs override the JSON default.
func send(t testing.TB, method, target, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", jsonType)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(raw, &a); err != nil {
			t.Fatalf("answer %.200q is no JSON: %v", raw, err)
		}
	}
	a.Status, a.Header, a.Raw = resp.StatusCode, resp.Header, string(raw)
	return a
}

// ask posts a document.
func ask(t testing.TB, target, document string, header ...string) answer {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"query": document})
	return send(t, http.MethodPost, target, string(body), header...)
}

func TestStatusAndCode(t *testing.T) {
	t.Parallel()
	u, _, _ := open(t, func(o *transport.Options) {
		l := guard.DefaultLimits()
		l.Time = 50 * time.Millisecond
		o.Limits = &l
	})
	get := func(doc string) string { return u + "?query=" + url.QueryEscape(doc) }
	for _, tc := range []struct {
		name, method, target, body string
		header                     []string
		status                     int
		code                       string
	}{
		{"a query", "POST", u, `{"query":"{__typename}"}`, nil, 200, ""},
		{"a query by GET", "GET", get("{__typename}"), "", nil, 200, ""},
		{"nothing", "POST", u, "", []string{"Content-Type", jsonType}, 400, "JSON_INVALID"},
		{"half a JSON", "POST", u, `{"query":"{__typename}`, nil, 400, "JSON_INVALID"},
		{"two JSONs", "POST", u, `{"query":"{__typename}"} {}`, nil, 400, "JSON_INVALID"},
		{"no query", "POST", u, `{}`, nil, 400, "QUERY_MISSING"},
		{"no query by GET", "GET", u, "", nil, 400, "QUERY_MISSING"},
		{"a query of the wrong type", "POST", u, `{"query":7}`, nil, 400, "JSON_TYPE_WRONG"},
		{"variables of the wrong type", "POST", u, `{"query":"{__typename}","variables":[]}`, nil, 400, "JSON_TYPE_WRONG"},
		{"variables by GET of the wrong type", "GET", get("{__typename}") + "&variables=7", "", nil, 400, "JSON_TYPE_WRONG"},
		{"a batch", "POST", u, ` [{"query":"{__typename}"}]`, nil, 400, "BATCH_NOT_SUPPORTED"},
		{"5 MB", "POST", u, `{"query":"` + strings.Repeat(" ", 5<<20) + `"}`, nil, 413, "BODY_TOO_LARGE"},
		{"bytes that are no UTF-8", "POST", u, "{\"query\":\"{__typename} #\xff\"}", nil, 400, "INPUT_NOT_TEXT"},
		{"half a surrogate", "POST", u, `{"query":"{__typename}","variables":{"a":"\ud83d x"}}`, nil, 400, "INPUT_NOT_TEXT"},
		{"a NUL", "POST", u, `{"query":"{__typename}","variables":{"a":"\u0000"}}`, nil, 400, "INPUT_NOT_TEXT"},
		{"an escaped backslash is no NUL", "POST", u, `{"query":"{__typename}","variables":{"a":"\\u0000 \ud83d\ude00"}}`, nil, 200, ""},
		{"very deep JSON", "POST", u, `{"query":"{__typename}","variables":{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`, nil, 400, "JSON_TOO_DEEP"},
		{"very many values", "POST", u, `{"query":"{__typename}","variables":{"a":[` + strings.Repeat("0,", 30000) + `0]}}`, nil, 400, "JSON_TOO_MANY_VALUES"},
		{"a form", "POST", u, "query={__typename}", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "CONTENT_TYPE_NOT_SUPPORTED"},
		{"plain text", "POST", u, `{"query":"{__typename}"}`, []string{"Content-Type", "text/plain"}, 415, "CONTENT_TYPE_NOT_SUPPORTED"},
		{"another charset", "POST", u, `{"query":"{__typename}"}`, []string{"Content-Type", "application/json; charset=gbk"}, 415, "CONTENT_TYPE_NOT_SUPPORTED"},
		{"compressed", "POST", u, `{"query":"{__typename}"}`, []string{"Content-Encoding", "gzip"}, 415, "CONTENT_TYPE_NOT_SUPPORTED"},
		{"a method of its own", "PUT", u, `{"query":"{__typename}"}`, nil, 405, "METHOD_NOT_ALLOWED"},
		{"a mutation by GET", "GET", get(`mutation{__typename}`), "", nil, 405, "METHOD_NOT_ALLOWED"},
		{"a picture", "POST", u, `{"query":"{__typename}"}`, []string{"Accept", "image/png"}, 406, "NOT_ACCEPTABLE"},
		{"a subscription without a stream", "POST", u, `{"query":"subscription{count(to:1)}"}`, nil, 406, "SUBSCRIPTION_NEEDS_STREAM"},
		{"a wrong document, JSON", "POST", u, `{"query":"{"}`, nil, 200, "GRAPHQL_PARSE_FAILED"},
		{"a wrong document", "POST", u, `{"query":"{"}`, []string{"Accept", graphType}, 400, "GRAPHQL_PARSE_FAILED"},
		{"an unknown field", "POST", u, `{"query":"{nope}"}`, []string{"Accept", graphType}, 400, "GRAPHQL_VALIDATION_FAILED"},
		{"an unknown operation", "POST", u, `{"query":"{__typename}","operationName":"x"}`, []string{"Accept", graphType}, 400, "GRAPHQL_VALIDATION_FAILED"},
		{"a wrong variable", "POST", u, `{"query":"query q($i:ID!){region(id:$i){id}}"}`, []string{"Accept", graphType}, 400, "GRAPHQL_VALIDATION_FAILED"},
		{"a guarded document", "POST", u, `{"query":"{regions(first:201){totalCount pageInfo{hasNextPage}}}"}`, []string{"Accept", graphType}, 400, "PAGE_SIZE_TOO_LARGE"},
		{"an argument its scalar refuses", "POST", u, `{"query":"{at(time:\"gestern\")}"}`, []string{"Accept", graphType}, 200, "INPUT_UNREADABLE"},
		{"an operation that takes too long", "POST", u, `{"query":"{fail(how:\"slow\")}"}`, []string{"Accept", graphType}, 200, "OPERATION_TIMEOUT"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := send(t, tc.method, tc.target, tc.body, tc.header...)
			if a.Status != tc.status {
				t.Errorf("status = %d, want %d: %.300s", a.Status, tc.status, a.Raw)
			}
			var want []string
			if tc.code != "" {
				want = []string{tc.code}
			}
			if diff := cmp.Diff(want, a.codes()); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
			for _, e := range a.Errors {
				if e.Message == "" || e.Message == e.Extensions.Code || e.Extensions.Kind == "" {
					t.Errorf("error without text or kind: %+v", e)
				}
			}
			if a.Status == 405 && a.Header.Get("Allow") == "" {
				t.Errorf("405 without an Allow header")
			}
		})
	}
}

func TestMediaType(t *testing.T) {
	t.Parallel()
	u, _, _ := open(t, nil)
	for accept, want := range map[string]string{
		"":        jsonType,
		"*/*":     jsonType,
		graphType: graphType,
		"text/html, " + graphType + ";q=0.8, application/json;q=0.2": graphType,
		graphType + ", application/json":                             graphType,
		"application/json, " + graphType:                             jsonType,
		"application/json;q=0, " + graphType:                         graphType,
	} {
		a := ask(t, u, "{__typename}", "Accept", accept)
		if got, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";"); got != want {
			t.Errorf("Accept %q: content type = %q, want %q", accept, got, want)
		}
	}
}

// TestPresenting: what a client may read of an error, and what it may not.
func TestPresenting(t *testing.T) {
	t.Parallel()
	u, log, seen := open(t, nil)
	t.Run("a fault keeps its code in the reader's language", func(t *testing.T) {
		a := ask(t, u, `{fail(how:"fault")}`, "Accept-Language", "en-GB")
		e := a.Errors[0]
		if e.Message != "a page size must not be negative: -3" || e.Extensions.Code != "PAGE_SIZE_INVALID" ||
			e.Extensions.Kind != "not_found" || e.Extensions.Params["got"] != -3.0 {
			t.Errorf("error = %+v", e)
		}
		if diff := cmp.Diff([]string{"input", "first"}, e.Extensions.Path); diff != "" {
			t.Errorf("input path (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]any{"fail"}, e.Path); diff != "" || len(e.Locations) != 1 {
			t.Errorf("path (-want +got):\n%s locations %v", diff, e.Locations)
		}
		if zh := ask(t, u, `{fail(how:"fault")}`).Errors[0].Message; zh != "每页条数不得为负：-3" {
			t.Errorf("message = %q, want the Chinese one", zh)
		}
	})
	for _, how := range []string{"internal", "foreign", "panic"} {
		t.Run(how+" is masked", func(t *testing.T) {
			for _, field := range []string{"fail", "failHard"} {
				a := ask(t, u, `{`+field+`(how:"`+how+`")}`)
				if diff := cmp.Diff([]string{"INTERNAL"}, a.codes()); diff != "" {
					t.Fatalf("codes (-want +got):\n%s", diff)
				}
				id, _ := a.Errors[0].Extensions.Params["id"].(string)
				if id == "" || !strings.Contains(log.String(), "id="+id) || !strings.Contains(a.Errors[0].Message, id) {
					t.Errorf("number %q is not in the log or the message %q", id, a.Errors[0].Message)
				}
				if strings.Contains(a.Raw, "secret") || !strings.Contains(log.String(), "secret") {
					t.Errorf("answer %s shows the cause, or the log does not", a.Raw)
				}
			}
		})
	}
	if seen.of["PANIC"] != 2 || seen.of["INTERNAL"] != 6 {
		t.Errorf("counted %v, want 2 PANIC and 6 INTERNAL", seen.of)
	}
	a := ask(t, u, `{at(time:"gestern")}`, "Accept-Language", "en")
	if e := a.Errors[0]; !strings.Contains(e.Message, "cannot read time") || cmp.Diff([]string{"time"}, e.Extensions.Path) != "" {
		t.Errorf("unreadable argument: %+v", e)
	}
	if a := ask(t, u, `{failHard(how:"fault")}`, "Accept", graphType); a.Status != 200 || !strings.Contains(a.Raw, `"data":null`) {
		t.Errorf("a null at the root: %d %s, want 200 with data null", a.Status, a.Raw)
	}
	if a := ask(t, u, `{nope}`); strings.Contains(a.Raw, `"data"`) {
		t.Errorf("a refused document has a data entry: %s", a.Raw)
	}
	long := ask(t, u, "{"+strings.Repeat("a ", 90)+"}", "Accept", graphType)
	if len(long.Errors) > 20 || len(long.Raw) > 20_000 {
		t.Errorf("%d errors in %d bytes, want few", len(long.Errors), len(long.Raw))
	}
}

func TestUserErrorsInPayload(t *testing.T) {
	t.Parallel()
	u, _, _ := open(t, nil)
	a := ask(t, u, `mutation{createStaff(input:{name:"a very long name",role:FOREMAN,skills:[{code:"fibre"},{code:"glass"}]}){staff{id} userErrors{code message path}}}`, "Accept-Language", "en")
	want := map[string]any{"createStaff": map[string]any{"staff": nil, "userErrors": []any{
		map[string]any{"code": "FIELD_TOO_LONG", "message": "input.name must have at most 5 characters", "path": []any{"input", "name"}},
		map[string]any{"code": "FIELD_NOT_ONE_OF", "message": "input.skills[1].code must be one of: fibre, copper", "path": []any{"input", "skills", "1", "code"}},
	}}}
	if diff := cmp.Diff(want, a.Data); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
}

func TestEventStream(t *testing.T) {
	t.Parallel()
	u, _, _ := open(t, nil)
	for name, tc := range map[string]struct{ doc, accept, want string }{
		"a subscription": {
			`subscription{count(to:2)}`, "text/event-stream",
			":\n\nevent: next\ndata: {\"data\":{\"count\":1}}\n\nevent: next\ndata: {\"data\":{\"count\":2}}\n\nevent: complete\ndata:\n\n",
		},
		"a query": {`{__typename}`, "text/event-stream", ":\n\nevent: next\ndata: {\"data\":{\"__typename\":\"Query\"}}\n\nevent: complete\ndata:\n\n"},
		"a subscription of a client that prefers JSON": {
			`subscription{count(to:1)}`, "application/json, text/event-stream",
			":\n\nevent: next\ndata: {\"data\":{\"count\":1}}\n\nevent: complete\ndata:\n\n",
		},
	} {
		if a := ask(t, u, tc.doc, "Accept", tc.accept); a.Raw != tc.want || a.Status != 200 {
			t.Errorf("%s: %d %q, want %q", name, a.Status, a.Raw, tc.want)
		}
	}
	if a := ask(t, u, `subscription{nope}`, "Accept", "text/event-stream"); !strings.Contains(a.Raw, "GRAPHQL_VALIDATION_FAILED") || !strings.HasSuffix(a.Raw, "event: complete\ndata:\n\n") {
		t.Errorf("a wrong subscription: %q", a.Raw)
	}
	if a := ask(t, u, `subscription{count(to:-1)}`, "Accept", "text/event-stream"); !strings.Contains(a.Raw, "PAGE_SIZE_INVALID") || !strings.HasSuffix(a.Raw, "event: complete\ndata:\n\n") {
		t.Errorf("a subscription that fails at its start: %q", a.Raw)
	}
	a := ask(t, u, `subscription{count(to:99)}`, "Accept", "text/event-stream")
	if _, end, _ := strings.Cut(a.Raw, `{"data":{"count":9}}`); !strings.Contains(end, "PAGE_SIZE_INVALID") || !strings.HasSuffix(end, "event: complete\ndata:\n\n") {
		t.Errorf("a subscription that ends with an error: %q", a.Raw)
	}
}

// TestStreamsEnd: a stream over the limit is refused, and Stop ends the others.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	u, _, _ := open(t, func(o *transport.Options) { o.Streams, o.Stop, o.Ping = 1, stop, 5*time.Millisecond })
	body := strings.NewReader(`{"query":"subscription{wait}"}`)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, u, body)
	r.Header.Set("Content-Type", jsonType)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	two := make([]byte, 6)
	if _, err := io.ReadFull(resp.Body, two); err != nil || string(two) != ":\n\n:\n\n" {
		t.Errorf("first bytes = %q, %v, want two signs of life", two, err)
	}
	if a := ask(t, u, "{__typename}", "Accept", "text/event-stream"); a.Status != 503 || cmp.Diff([]string{"STREAMS_EXHAUSTED"}, a.codes()) != "" {
		t.Errorf("a second stream: %d %s, want 503", a.Status, a.Raw)
	}
	close(stop)
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasSuffix(string(rest), "event: complete\ndata:\n\n") {
		t.Errorf("after Stop: %q, %v, want complete", rest, err)
	}
}
