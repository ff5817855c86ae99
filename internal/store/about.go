package store

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
)

// About is what a database says of itself.
type About struct {
	Dialect  string // sqlite3 or postgres
	Version  string
	Settings []Setting
	Now      time.Time // of the database's clock; zero for the embedded one, which has ours
}

// Setting is one setting of a database on which the house relies.
type Setting struct {
	Name, Value string
	Want        string // "" when any will do
	Why         string // what is at stake when it is another
}

// Holds reports whether the setting is as the house relies on.
func (s Setting) Holds() bool { return s.Want == "" || s.Value == s.Want }

// the settings of each database; those of SQLite are set at each connection, those of
// PostgreSQL are its administrator's.
var settings = map[string][]Setting{
	dialect.SQLite: {
		{Name: "journal_mode", Want: "wal", Why: "readers and the writer wait for each other"},
		{Name: "synchronous", Want: "2", Why: "what was acknowledged is lost when the power fails"},
		{Name: "foreign_keys", Want: "1", Why: "rows may point nowhere"},
	},
	dialect.Postgres: {
		{Name: "fsync", Want: "on", Why: "what was acknowledged is lost when the power fails"},
		{Name: "full_page_writes", Want: "on", Why: "a page that was half written cannot be mended"},
		{Name: "synchronous_commit", Why: "what was acknowledged is lost when the power fails"},
		{Name: "server_encoding", Want: "UTF8", Why: "Chinese text cannot be kept"},
		{Name: "max_connections"},
	},
}

// About asks the database what it is and how it is set. A setting that cannot be asked
// has the value "?".
func (s *Store) About(ctx context.Context) (About, error) {
	a := About{Dialect: s.dialect}
	query, ask := "select sqlite_version()", "pragma %s"
	if s.dialect == dialect.Postgres {
		query, ask = "show server_version", "show %s"
	}
	if err := s.read.QueryRowContext(ctx, query).Scan(&a.Version); err != nil {
		return a, unavailable(err)
	}
	for _, x := range settings[s.dialect] {
		if err := s.read.QueryRowContext(ctx, fmt.Sprintf(ask, x.Name)).Scan(&x.Value); err != nil {
			x.Value = "?"
		}
		if x.Name == "synchronous_commit" && x.Value != "off" {
			x.Want = x.Value // local, remote_write, on and remote_apply all reach our disk
		} else if x.Name == "synchronous_commit" {
			x.Want = "on"
		}
		a.Settings = append(a.Settings, x)
	}
	if s.dialect == dialect.Postgres {
		if err := s.read.QueryRowContext(ctx, "select clock_timestamp()").Scan(&a.Now); err != nil {
			return a, unavailable(err)
		}
	}
	return a, nil
}
