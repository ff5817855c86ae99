// Package graphiql serves the GraphiQL page from the binary: an editor for
// GraphQL in the browser that asks no other address than its own server.
//
// Its main function is Handler; page.html, page.css and start.js are ours, the
// rest is in dist. The package must not know GraphQL's schema or execution.
package graphiql

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// Options say what the page shows and asks.
type Options struct {
	// Endpoint is the address of GraphQL on this server; the default is /graphql.
	Endpoint string
	// Assets is the path the page's files are served under, with a slash at
	// its end; the default is /graphiql/.
	Assets string
	// Title is the page's title; the default is GraphiQL.
	Title string
	// Query is the text a new editor starts with.
	Query string
	// Headers is the JSON object the header editor starts with, such as one
	// that names the person to act as; empty keeps the editor closed.
	Headers string
}

// policy is the page's Content-Security-Policy: nothing from anywhere else.
// GraphiQL sets inline styles, hence style-src.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; font-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed page.html
var pageText string

//go:embed page.css start.js dist
var files embed.FS

// asset is one file, ready to be sent.
type asset struct {
	media   string
	tag     string // ETag
	plain   []byte
	gzipped []byte
}

// Handler serves the files below o.Assets and the page at every other path:
// mount it at both. It panics when the page does not render, which only a
// programmer can cause.
func Handler(o Options) http.Handler {
	o = o.withDefaults()
	assets := map[string]asset{}
	for _, dir := range []string{".", "dist"} {
		entries, err := fs.ReadDir(files, dir)
		if err != nil {
			panic(err)
		}
		for _, e := range entries {
			if raw, err := fs.ReadFile(files, path.Join(dir, e.Name())); err == nil {
				assets[e.Name()] = newAsset(e.Name(), raw)
			}
		}
	}
	page := newAsset("page.html", render(o))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		name, below := strings.CutPrefix(r.URL.Path, o.Assets)
		if !below {
			page.serve(w, r)
			return
		}
		a, ok := assets[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		a.serve(w, r)
	})
}

func (o Options) withDefaults() Options {
	if o.Endpoint == "" {
		o.Endpoint = "/graphql"
	}
	if o.Assets == "" {
		o.Assets = "/graphiql/"
	}
	if o.Title == "" {
		o.Title = "GraphiQL"
	}
	return o
}

// render fills the page in.
func render(o Options) []byte {
	var b bytes.Buffer
	err := template.Must(template.New("page").Parse(pageText)).Execute(&b, map[string]any{
		"Title": o.Title, "Assets": o.Assets,
		"Settings": map[string]string{"endpoint": o.Endpoint, "query": o.Query, "headers": o.Headers},
	})
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

// mediaTypes are those of the page's files, by extension.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".md":   "text/plain; charset=utf-8",
	".txt":  "text/plain; charset=utf-8",
}

func newAsset(name string, raw []byte) asset {
	sum := sha256.Sum256(raw)
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, _ = zip.Write(raw) // a buffer takes all
	_ = zip.Close()
	return asset{media: mediaTypes[path.Ext(name)], tag: `"` + hex.EncodeToString(sum[:8]) + `"`, plain: raw, gzipped: b.Bytes()}
}

// serve sends the file, compressed where the browser takes that, or 304 when
// the browser has it.
func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", a.tag)
	h.Set("Content-Type", a.media)
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.gzipped
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
