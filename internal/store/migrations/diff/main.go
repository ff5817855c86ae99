// Command diff writes the next versioned migration of a database: the
// difference between the migrations that exist and the data model.
//
//	go run ./internal/store/migrations/diff -name add_surveys
//	go run ./internal/store/migrations/diff -name add_surveys -postgres postgres://…/empty
//
// PostgreSQL needs an empty database to replay the migrations in.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"

	atlas "ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	_ "github.com/jackc/pgx/v5/stdlib" // the PostgreSQL driver
	_ "modernc.org/sqlite"             // the embedded database driver

	"github.com/openspms/spms/ent/migrate"
)

func main() {
	name := flag.String("name", "change", "what the migration does, as a word of its file name")
	postgres := flag.String("postgres", "", "address of an empty PostgreSQL database; SQLite when empty")
	dir := flag.String("dir", "internal/store/migrations", "folder of the migrations")
	flag.Parse()
	if err := run(*name, *postgres, *dir); err != nil {
		log.Fatal(err)
	}
}

func run(name, postgres, root string) error {
	driver, dsn, dial, sub := "sqlite", "file:diff?mode=memory&cache=shared&_pragma=foreign_keys(1)", dialect.SQLite, "sqlite"
	if postgres != "" {
		driver, dsn, dial, sub = "pgx", postgres, dialect.Postgres, "postgres"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return fmt.Errorf("open the scratch database: %w", err)
	}
	defer db.Close()
	path := filepath.Join(root, sub)
	dir, err := atlas.NewLocalDir(path)
	if err != nil {
		return fmt.Errorf("open the folder of migrations: %w", err)
	}
	sum, err := dir.Checksum()
	if err != nil {
		return fmt.Errorf("sum the migrations: %w", err)
	}
	if err := atlas.WriteSumFile(dir, sum); err != nil {
		return fmt.Errorf("write the sum: %w", err)
	}
	defer os.Remove(filepath.Join(path, "atlas.sum"))
	m, err := schema.NewMigrate(entsql.OpenDB(dial, db), schema.WithDir(dir), schema.WithMigrationMode(schema.ModeReplay),
		schema.WithFormatter(atlas.DefaultFormatter), schema.WithDropColumn(true), schema.WithDropIndex(true))
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return m.NamedDiff(context.Background(), name, migrate.Tables...)
}
