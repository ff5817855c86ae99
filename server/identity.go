package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// demoAdmin is the sample person that a request acts as while nobody has to
// sign in and it names no other.
const demoAdmin = "demo-admin"

// identity finds out who is asking: with tokens the person of the bearer token,
// else the sample person that the request names.
type identity struct {
	house *House
	auth  Auth
}

// viewer returns who a request with these credentials acts as.
func (i identity) viewer(ctx context.Context, person, authorization string) (*access.Viewer, error) {
	now := i.house.Door.Clock.Now()
	if i.auth == AuthToken {
		secret, ok := strings.CutPrefix(authorization, "Bearer ")
		if !ok || secret == "" {
			return nil, fault.E(fault.Unauthenticated, "TOKEN_REQUIRED")
		}
		return i.house.Workforce.ViewerByToken(ctx, secret, now)
	}
	if person == "" {
		person = demoAdmin
	}
	return i.house.Workforce.Viewer(ctx, person, now)
}

// wrap puts the viewer into the request's context; a request from nobody known
// is answered 401. A WebSocket says who it is when it opens, see socket.
func (i identity) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			next.ServeHTTP(w, r)
			return
		}
		v, err := i.viewer(r.Context(), r.Header.Get(PersonHeader), r.Header.Get("Authorization"))
		if err != nil {
			e := fault.From(store.Explain(err))
			status := http.StatusUnauthorized
			if e.Kind == fault.Unavailable || e.Kind == fault.Internal {
				status = http.StatusServiceUnavailable
				i.house.Log.Log(r.Context(), levelOf(e), "find out who is asking", "err", err)
			}
			refuseRequest(w, r, status, e)
			return
		}
		next.ServeHTTP(w, r.WithContext(i.known(r.Context(), v, r.Header.Get(PersonHeader), r.Header.Get("Authorization"))))
	})
}

// socket reads the credentials of a WebSocket from its connection_init.
func (i identity) socket(ctx context.Context, payload map[string]any) (context.Context, error) {
	person, _ := payload["person"].(string)
	authorization, _ := payload["authorization"].(string)
	v, err := i.viewer(ctx, person, authorization)
	if err != nil {
		return nil, err
	}
	return i.known(ctx, v, person, authorization), nil
}

// known puts the viewer into a context, with the way to ask again later.
func (i identity) known(ctx context.Context, v *access.Viewer, person, authorization string) context.Context {
	return access.WithRenewal(ctx, v, func(ctx context.Context) (*access.Viewer, error) {
		return i.viewer(ctx, person, authorization)
	})
}
