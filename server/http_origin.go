package server

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// PersonHeader names the sample person a request acts as while nobody has to
// sign in.
const PersonHeader = "X-SPMS-Person"

// originGuard keeps web pages of other origins from speaking for the person at
// the browser. Without authentication it also insists that the request names a
// loopback host: a page whose name was re-pointed to this machine (DNS
// rebinding) sends its own name as Host.
type originGuard struct {
	loopbackOnly bool
	origins      []string
}

func newOriginGuard(cfg ServeConfig) originGuard {
	return originGuard{loopbackOnly: cfg.Auth == AuthNone, origins: cfg.Origins}
}

// check returns the refusal, nil when r may pass.
func (g originGuard) check(r *http.Request) *fault.Error {
	if g.loopbackOnly && !isLoopback(hostname(r.Host)) {
		return fault.E(fault.Forbidden, "HOST_FORBIDDEN")
	}
	origin := r.Header.Get("Origin")
	switch {
	case origin == "":
		// No browser, a navigation, or an element such as an image. What a page
		// of another origin embeds is refused; its links may open our pages.
		site := r.Header.Get("Sec-Fetch-Site")
		if (site == "cross-site" || site == "same-site") && !isLink(r) {
			return fault.E(fault.Forbidden, "ORIGIN_FORBIDDEN")
		}
	case !sameHost(origin, r.Host) && !slices.Contains(g.origins, strings.ToLower(origin)):
		return fault.E(fault.Forbidden, "ORIGIN_FORBIDDEN")
	}
	return nil
}

// allow tells every browser to keep our pages out of foreign frames and lets
// pages of listed origins read the answer. It reports whether the request was
// only the browser's question about that, which is then answered.
func (g originGuard) allow(w http.ResponseWriter, r *http.Request) (answered bool) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h.Add("Vary", "Origin")
	if !slices.Contains(g.origins, strings.ToLower(origin)) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Accept, Accept-Language, Authorization, Content-Type, "+PersonHeader)
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// isLink reports whether the browser opens a page of ours; /graphql is none.
func isLink(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path != "/graphql" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// hostname is a Host header without its port and brackets.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}
