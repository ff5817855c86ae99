package transport

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/fault"
)

// Access says from where a server may be asked. It keeps a web page of another
// site from acting through the visitor's browser: by DNS rebinding (a foreign
// name that suddenly means 127.0.0.1), by a foreign origin, or by a request
// that carries no origin at all.
type Access struct {
	// Loopback allows only the names of this machine (localhost, 127.0.0.1,
	// [::1]) with the port the request came in on, and Hosts.
	Loopback bool
	// Hosts are further allowed values of the Host header, with their port.
	// Without Loopback, an empty list allows every host.
	Hosts []string
	// Origins are the allowed foreign origins, such as https://ui.example.com;
	// a page of the server itself is always allowed.
	Origins []string
	// Presenter writes refusals; nil means one with slog's default logger.
	Presenter *problem.Presenter
}

// Wrap returns next behind the check. A refusal is 403 with a coded error:
// HOST_NOT_ALLOWED or ORIGIN_NOT_ALLOWED. For the allowed foreign origins it
// adds the headers by which browsers let their pages read the answer.
func (a Access) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.check(r); err != nil {
			a.refuse(w, r, err)
			return
		}
		if o := r.Header.Get("Origin"); slices.Contains(a.Origins, o) {
			allowOrigin(w.Header(), o)
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func allowOrigin(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Accept-Language, Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "600")
}

// check returns why r may not ask, nil when it may.
func (a Access) check(r *http.Request) *fault.Error {
	if !a.hostAllowed(r) {
		return fault.E(fault.Forbidden, "HOST_NOT_ALLOWED", fault.P("host", clip(r.Host)))
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if !a.originAllowed(r, origin) {
			return fault.E(fault.Forbidden, "ORIGIN_NOT_ALLOWED", fault.P("origin", clip(origin)))
		}
		return nil
	}
	// Browsers send no Origin with images, scripts and links, but say where
	// they come from; only following a link to a page is innocent.
	site, mode := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Sec-Fetch-Mode")
	if (site == "cross-site" || site == "same-site") && mode != "navigate" {
		return fault.E(fault.Forbidden, "ORIGIN_NOT_ALLOWED", fault.P("origin", site))
	}
	return nil
}

func (a Access) hostAllowed(r *http.Request) bool {
	if containsFold(a.Hosts, r.Host) {
		return true
	}
	if !a.Loopback {
		return len(a.Hosts) == 0
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	_, port, err := net.SplitHostPort(local.String())
	if err != nil {
		return false
	}
	for _, name := range [...]string{"localhost:", "127.0.0.1:", "[::1]:"} {
		if strings.EqualFold(r.Host, name+port) || port == "80" && strings.EqualFold(r.Host+":", name) {
			return true
		}
	}
	return false
}

func (a Access) originAllowed(r *http.Request, origin string) bool {
	if slices.Contains(a.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, r.Host)
}

func (a Access) refuse(w http.ResponseWriter, r *http.Request, e *fault.Error) {
	p := problem.Presenter{}
	if a.Presenter != nil {
		p = *a.Presenter
	}
	ctx := problem.WithLang(r.Context(), fault.MatchLang(r.Header.Get("Accept-Language")))
	writeErrors(w, http.StatusForbidden, mediaJSON, p.Present(ctx, e))
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, s) })
}

// clip shortens a header's value for an error's text.
func clip(s string) string {
	if len(s) > 100 {
		s = s[:100]
	}
	return strings.ToValidUTF8(s, "?")
}
