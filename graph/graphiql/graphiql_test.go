package graphiql_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/graph/graphiql"
)

func get(t *testing.T, h http.Handler, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestPage(t *testing.T) {
	t.Parallel()
	o := graphiql.Options{
		Endpoint: "/api", Title: `开放 <SPMS>`,
		Query: "# </script><script>alert(1)</script>\n{ viewer { id } }", Headers: `{"X-Person":"dispatcher"}`,
	}
	h := graphiql.Handler(o)
	resp := get(t, h, "/")
	page := read(t, resp)
	m := regexp.MustCompile(`(?s)<script id="settings" type="application/json">(.*?)</script>`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("page has no settings: %s", page)
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(m[1]), &got); err != nil {
		t.Fatalf("settings %s: %v", m[1], err)
	}
	if diff := cmp.Diff(map[string]string{"endpoint": "/api", "query": o.Query, "headers": o.Headers}, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if !strings.Contains(page, "<title>开放 &lt;SPMS&gt;</title>") {
		t.Errorf("title is not escaped: %s", page)
	}
	// Every address of the page is a file of this handler.
	for _, ref := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if ref[1] == "data:," {
			continue
		}
		file := get(t, h, ref[1])
		if body := read(t, file); file.StatusCode != http.StatusOK || len(body) == 0 || file.Header.Get("Content-Type") == "" {
			t.Errorf("GET %s = %d, %d bytes, type %q", ref[1], file.StatusCode, len(body), file.Header.Get("Content-Type"))
		}
	}
	csp := resp.Header.Get("Content-Security-Policy")
	if strings.Contains(csp, "http") || strings.Contains(csp, "*") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "eval") {
		t.Errorf("Content-Security-Policy = %q, want no outside host", csp)
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	h := graphiql.Handler(graphiql.Options{})
	plain := get(t, h, "/graphiql/graphiql.min.js")
	body := read(t, plain)
	packed := get(t, h, "/graphiql/graphiql.min.js", "Accept-Encoding", "gzip, br")
	zip, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatalf("no gzip: %v", err)
	}
	if raw, err := io.ReadAll(zip); err != nil || string(raw) != body {
		t.Errorf("unpacked %d bytes, %v, want the %d of the plain file", len(raw), err, len(body))
	}
	if again := get(t, h, "/graphiql/graphiql.min.js", "If-None-Match", plain.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("GET with its ETag = %d, want 304", again.StatusCode)
	}
	if got := get(t, h, "/graphiql/nothing.js").StatusCode; got != http.StatusNotFound {
		t.Errorf("GET of an unknown file = %d, want 404", got)
	}
	if len(body) > 2<<20 {
		t.Errorf("graphiql.min.js has %d bytes, want at most 2 MiB", len(body))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST = %d, want 405", w.Code)
	}
}
