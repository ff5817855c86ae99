package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	fresh     sync.Map // addresses that nobody has opened yet
	templates sync.Map // *template by kind and what
)

// template is a filled database to copy: of SQLite its bytes, of PostgreSQL its name.
type template struct {
	once  sync.Once
	bytes []byte
	name  string
	err   error
}

// Fill makes the database of url hold what fill writes into one: fill is called for the
// first database of each kind and what, the others are copies of it, so that they begin
// with the same rows and ids. fill gets the address of a migrated database, which it has
// to close again. A database that was filled before, or made by PostgresURL, is filled
// by itself.
func Fill(t testing.TB, url, what string, fill func(url string) error) {
	t.Helper()
	if _, is := fresh.LoadAndDelete(url); !is {
		if err := fill(url); err != nil {
			t.Fatalf("fill a database: %v", err)
		}
		return
	}
	path, sqlite := strings.CutPrefix(url, "sqlite:")
	made, _ := templates.LoadOrStore(fmt.Sprintf("%v %s", sqlite, what), &template{})
	of, _ := made.(*template)
	of.once.Do(func() {
		if sqlite {
			of.err = of.sqlite(fill)
		} else {
			of.err = of.postgres(fill)
		}
	})
	err := of.err
	switch {
	case err != nil:
	case sqlite:
		err = os.WriteFile(path, of.bytes, 0o600)
	default:
		err = admin(os.Getenv(URLVariable), fmt.Sprintf("create database %s template %s", databaseOf(url), of.name))
	}
	if err != nil {
		t.Fatalf("make a filled database: %v", err)
	}
}

func (of *template) sqlite(fill func(url string) error) error {
	bare, err := sqliteTemplate()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "spms-template-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "filled.db")
	if err := os.WriteFile(path, bare, 0o600); err != nil {
		return err
	}
	if err := fill("sqlite:" + path); err != nil {
		return err
	}
	of.bytes, err = os.ReadFile(path)
	return err
}

func (of *template) postgres(fill func(url string) error) error {
	server := os.Getenv(URLVariable)
	bare, err := postgresTemplate(server)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("spms_filled_%d_%d", os.Getpid(), time.Now().UnixNano())
	if err := admin(server, fmt.Sprintf("create database %s template %s", name, bare)); err != nil {
		return err
	}
	of.name = name
	return fill(withDatabase(server, name))
}
