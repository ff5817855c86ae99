package server

import (
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openspms/spms/internal/fault"
)

// Auth says how the server learns who is asking.
type Auth string

// The ways of authentication.
const (
	// AuthNone lets every request act as the demo administrator or, by a
	// header, as a sample person; it is bound to loopback addresses only.
	AuthNone Auth = "none"
	// AuthToken asks every request for an API token.
	AuthToken Auth = "token"
)

// Database says where the rows are kept.
type Database struct {
	Dir string // folder of the embedded database and of other local files
	URL string // sqlite:PATH or postgres://…; never empty
}

// Embedded reports whether the database is the embedded SQLite.
func (d Database) Embedded() bool { return strings.HasPrefix(d.URL, "sqlite:") }

// VerifyConfig is all that `spms verify` is told.
type VerifyConfig struct {
	Database Database
	AtRest   bool // what has been due for a minute must be done
}

// ServeConfig is all that `spms serve` is told.
type ServeConfig struct {
	Database        Database
	Addr            string // host:port to listen on; port 0 takes a free one
	Auth            Auth
	Origins         []string      // further web origins that may call, scheme://host[:port]
	Sample          bool          // load the sample data into an empty database
	DrainWait       time.Duration // between "not ready" and closing the listener
	ShutdownTimeout time.Duration // for requests that are still running
	MemoryLimit     int64         // soft limit of the process in bytes; 0: none
	Plugins         PluginConfig
	Notices         NoticeConfig
}

// TuneMemory tells the collector to run less often below the memory limit: with
// room to spare that more than doubles the requests per second. Without a limit
// it leaves GOGC and GOMEMLIMIT as they are.
func (c ServeConfig) TuneMemory() {
	if c.MemoryLimit > 0 {
		debug.SetMemoryLimit(c.MemoryLimit)
		debug.SetGCPercent(400)
	}
}

// DemoConfig is all that `spms demo` is told.
type DemoConfig struct {
	Database Database // scratch: an empty URL asks for a database that is thrown away
	Cases    int      // how many cases are started, at least 1
	Seed     uint64   // of the scripted crew's random numbers
	Progress bool     // show progress while it runs
}

// CopyConfig is all that `spms copy` is told.
type CopyConfig struct {
	From, To Database // different ones
}

// TokenConfig is all that the `spms token` commands are told; each uses a part.
type TokenConfig struct {
	Database Database
	Staff    string        // create, list: code of the person the token acts as
	Label    string        // create: what the token is for
	ValidFor time.Duration // create: 0 never expires
	ID       string        // revoke
}

// refuse is the refusal of a setting's value. want says in words or as a
// pattern what would be accepted; secret values are passed redacted.
func refuse(setting, value, want string) *fault.Error {
	return fault.E(fault.Invalid, "SETTING_INVALID",
		fault.P("setting", setting), fault.P("value", value), fault.P("want", want)).At(setting)
}

// parseAddr checks a listening address. Without authentication only loopback
// hosts pass, so that nobody else on the network can act as the administrator.
func parseAddr(addr string, auth Auth) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", refuse("addr", addr, "HOST:PORT").Because(err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", refuse("addr", addr, "HOST:PORT, PORT 0…65535")
	}
	if auth == AuthNone && !isLoopback(host) {
		return "", fault.E(fault.Invalid, "SETTING_NEEDS_AUTH",
			fault.P("setting", "addr"), fault.P("value", addr)).At("addr")
	}
	return addr, nil
}

// isLoopback reports whether host names this machine for itself alone. Other
// names than localhost are not looked up: what they resolve to may change.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func parseAuth(s string) (Auth, error) {
	if a := Auth(s); a == AuthNone || a == AuthToken {
		return a, nil
	}
	return "", refuse("auth", s, "none | token")
}

// parseDatabase checks where the rows are to be kept; an empty address means
// the file spms.db in dir. A refused address is shown without its password.
func parseDatabase(dir, address string) (Database, error) {
	if strings.TrimSpace(dir) == "" {
		return Database{}, refuse("data", dir, "DIR")
	}
	d := Database{Dir: filepath.Clean(dir), URL: address}
	const want = "sqlite:PATH | postgres://USER:PASSWORD@HOST:PORT/DATABASE"
	switch {
	case address == "":
		d.URL = "sqlite:" + filepath.Join(d.Dir, "spms.db")
	case strings.HasPrefix(address, "sqlite:") && len(address) > len("sqlite:") && !strings.HasPrefix(address, "sqlite://"):
	case strings.HasPrefix(address, "postgres://"), strings.HasPrefix(address, "postgresql://"):
		if _, err := url.Parse(address); err != nil { // the error repeats the address, so it is dropped
			return Database{}, refuse("database-url", redact(address), want)
		}
	default:
		return Database{}, refuse("database-url", redact(address), want)
	}
	return d, nil
}

// redact leaves out of a database address whatever may be a password.
func redact(address string) string {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return "…"
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = "…" + rest[i:]
	}
	rest, _, _ = strings.Cut(rest, "?")
	return scheme + "://" + rest
}

func parseOrigins(list []string) ([]string, error) {
	var out []string
	for _, o := range list {
		o = strings.TrimSpace(o)
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.Scheme+"://"+u.Host != o {
			return nil, refuse("origins", o, "http(s)://HOST[:PORT]")
		}
		out = append(out, strings.ToLower(o))
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// parseDuration checks a duration between 0 and limit, such as 90s or 12h; it
// also takes whole days, such as 90d.
func parseDuration(setting, s string, limit time.Duration) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			s = strconv.FormatUint(24*n, 10) + "h"
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > limit {
		return 0, refuse(setting, s, "0s…"+limit.String())
	}
	return d, nil
}

// parseBytes checks an amount of memory such as 512MiB; the result is in bytes.
func parseBytes(setting, s string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	for _, u := range []struct {
		suffix string
		size   int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}} {
		if n, ok := strings.CutSuffix(s, u.suffix); ok {
			v, err := strconv.ParseInt(n, 10, 32)
			if err == nil && v > 0 && v*u.size >= 64<<20 {
				return v * u.size, nil
			}
		}
	}
	return 0, refuse(setting, s, "0 | 64MiB… | 1GiB…")
}

func parseLevel(s string) (slog.Level, error) {
	var l slog.Level
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, s) {
		return l, refuse("log", s, "debug | info | warn | error")
	}
	return l, l.UnmarshalText([]byte(s))
}
