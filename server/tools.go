package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/apitoken"
	"github.com/openspms/spms/ent/staff"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/workforce"
	"github.com/openspms/spms/packs"
)

// withHouse opens the house of a database for one command of the server's own.
func withHouse(ctx context.Context, c Console, db Database, do func(ctx context.Context, h *House) error) error {
	h, err := prepare(ctx, c, db, false)
	if err != nil {
		return err
	}
	return errors.Join(do(access.With(ctx, access.System("cli")), h), h.Close())
}

// personOf finds a person by code.
func personOf(ctx context.Context, h *House, code string) (*ent.Staff, error) {
	row, err := h.Store.Client().Staff.Query().Where(staff.Code(code)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, fault.E(fault.NotFound, "STAFF_NOT_FOUND", fault.P("id", code)).At("staff")
	}
	return row, err
}

// tokenCreate makes an API token and prints its secret, which is shown only now.
func tokenCreate(ctx context.Context, c Console, cfg TokenConfig) error {
	return withHouse(ctx, c, cfg.Database, func(ctx context.Context, h *House) error {
		who, err := personOf(ctx, h, cfg.Staff)
		if err != nil {
			return err
		}
		in := workforce.CreateToken{StaffID: who.ID, Label: cfg.Label}
		if cfg.ValidFor > 0 {
			until := h.Door.Clock.Now().Add(cfg.ValidFor)
			in.ExpiresAt = &until
		}
		made, err := h.Workforce.CreateToken(ctx, in)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.Out, "%s\n", made.Secret)
		return nil
	})
}

// tokenList prints the tokens of a person, or all: id, person, label, state.
func tokenList(ctx context.Context, c Console, cfg TokenConfig) error {
	return withHouse(ctx, c, cfg.Database, func(ctx context.Context, h *House) error {
		q := h.Store.Client().APIToken.Query().WithStaff().Order(ent.Asc(apitoken.FieldID))
		if cfg.Staff != "" {
			who, err := personOf(ctx, h, cfg.Staff)
			if err != nil {
				return err
			}
			q.Where(apitoken.StaffID(who.ID))
		}
		rows, err := q.All(ctx)
		if err != nil {
			return err
		}
		now := h.Door.Clock.Now()
		for _, r := range rows {
			state := "valid"
			switch {
			case r.RevokedAt != nil:
				state = "revoked " + r.RevokedAt.Format(time.RFC3339)
			case r.ExpiresAt != nil && !r.ExpiresAt.After(now):
				state = "expired " + r.ExpiresAt.Format(time.RFC3339)
			case r.ExpiresAt != nil:
				state = "valid until " + r.ExpiresAt.Format(time.RFC3339)
			}
			fmt.Fprintf(c.Out, "%s\t%s\t%s\t%s\n", r.ID, r.Edges.Staff.Code, r.Label, state)
		}
		return nil
	})
}

// tokenRevoke ends a token now.
func tokenRevoke(ctx context.Context, c Console, cfg TokenConfig) error {
	return withHouse(ctx, c, cfg.Database, func(ctx context.Context, h *House) error {
		id, err := h.Workforce.RevokeToken(ctx, workforce.RevokeToken{TokenID: cfg.ID})
		if err == nil {
			fmt.Fprintf(c.Out, "%s revoked\n", id)
		}
		return err
	})
}

// readInput reads a file named on the command line.
func readInput(path string) ([]byte, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.E(fault.NotFound, "FILE_UNREADABLE", fault.P("file", path)).Because(err)
	}
	return body, nil
}

// standardVectors runs a file of due-date vectors against the shipped packs: a
// line for each, then the sums; it fails when one fails.
func standardVectors(_ context.Context, c Console, file string) error {
	body, err := readInput(file)
	if err != nil {
		return err
	}
	results, err := packs.Vectors(body)
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		fmt.Fprintln(c.Out, r)
		if !r.OK {
			failed++
		}
	}
	fmt.Fprintf(c.Out, "%d passed, %d failed\n", len(results)-failed, failed)
	return tally(failed)
}

// tally is the error of a check in which some failed.
func tally(failed int) error {
	if failed == 0 {
		return nil
	}
	return fault.E(fault.Precondition, "CHECK_FAILED", fault.P("count", failed))
}

// processCheck prints what the checks find in process files, a line for each:
// severity, code, element, message. A file passes when it parses, survives a
// round trip and, if a process in it is executable, has no error.
func processCheck(_ context.Context, c Console, files []string) error {
	failed := 0
	for _, path := range files {
		found, err := checkFile(path)
		if err != nil {
			e := fault.From(err)
			fmt.Fprintf(c.Out, "error %s %s %s\n", e.Code, path, fault.Text(c.Lang, e))
			failed++
			continue
		}
		for _, f := range found {
			fmt.Fprintf(c.Out, "%s %s %s %s\n", f.Severity, f.Code, strings.Join(f.Elements, ","), fault.Text(c.Lang, f.Fault()))
		}
		if len(model.Errors(found)) > 0 {
			failed++
		}
	}
	fmt.Fprintf(c.Out, "%d passed, %d failed\n", len(files)-failed, failed)
	return tally(failed)
}

// checkFile parses a file, proves its round trip and checks its executable processes.
func checkFile(path string) ([]model.Finding, error) {
	body, err := readInput(path)
	if err != nil {
		return nil, err
	}
	doc, out, err := normalised(body)
	if err != nil {
		return nil, err
	}
	if _, again, err := normalised(out); err != nil || !bytes.Equal(out, again) {
		return nil, fault.E(fault.Internal, "BPMN_ROUND_TRIP", fault.P("file", path)).Because(err)
	}
	graphs, err := doc.Graphs()
	if err != nil {
		return nil, err
	}
	var found []model.Finding
	for _, g := range graphs {
		if g.Executable {
			_, fs := model.Compile(g, model.Options{})
			found = append(found, fs...)
		}
	}
	return found, nil
}

// normalised parses a document and writes it again.
func normalised(body []byte) (*bpmn.Document, []byte, error) {
	doc, err := bpmn.Parse(bytes.NewReader(body), bpmn.Limits{})
	if err != nil {
		return nil, nil, err
	}
	var out bytes.Buffer
	if _, err := doc.WriteTo(&out); err != nil {
		return nil, nil, err
	}
	return doc, out.Bytes(), nil
}

// processConvert reads a process file and writes it normalised.
func processConvert(_ context.Context, c Console, in, out string) error {
	body, err := readInput(in)
	if err != nil {
		return err
	}
	_, text, err := normalised(body)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, text, 0o644); err != nil {
		return fault.E(fault.Unavailable, "FILE_UNWRITABLE", fault.P("file", out)).Because(err)
	}
	fmt.Fprintln(c.Out, out)
	return nil
}

// restPause is how long something may have been due and not done at rest: a server
// looks every second, and one that is being started again needs a few.
const restPause = time.Minute

// verify checks every invariant of a database and prints what it found.
func verify(ctx context.Context, c Console, cfg VerifyConfig) error {
	h, err := OpenHouse(ctx, cfg.Database.URL, systemClock, c.Log)
	if err != nil {
		return err
	}
	defer h.Close()
	var how []execution.Check
	began, said := systemClock.Now(), systemClock.Now()
	if cfg.AtRest {
		how = append(how, execution.AtRest(began.Add(-restPause)))
	}
	report, err := h.Cases.Verify(access.With(ctx, access.System("verify")), func(done, all int) {
		if now := systemClock.Now(); now.Sub(said) >= progressPause {
			said = now
			c.Log.Info("verifying", "cases", done, "of", all, "cases_per_second", int(float64(done)/now.Sub(began).Seconds()))
		}
	}, how...)
	if err != nil {
		return err
	}
	for _, v := range report.Violations {
		fmt.Fprintf(c.Out, "FAIL %s %s: %s\n", v.Rule, v.Subject, v.Detail)
	}
	fmt.Fprintf(c.Out, "%d cases, %d events, %d keys, %d audit entries: %d violations\n",
		report.Cases, report.Events, report.Keys, report.Audits, len(report.Violations))
	return tally(len(report.Violations))
}

// progressPause is how often a long command says how far it is.
const progressPause = time.Second

// copyDatabase copies a whole database into another one and prints a line for
// each table: its rows and their digest, which are the same in both.
func copyDatabase(ctx context.Context, c Console, cfg CopyConfig) error {
	from, err := store.Open(ctx, cfg.From.URL, store.WithLogger(c.Log))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := store.Open(ctx, cfg.To.URL, store.WithLogger(c.Log))
	if err != nil {
		return err
	}
	began, said := systemClock.Now(), systemClock.Now()
	tables, err := store.Copy(ctx, from, to, began, func(table string, done, all int) {
		if now := systemClock.Now(); now.Sub(said) >= progressPause {
			said = now
			c.Log.Info("copying", "table", table, "rows", done, "of", all, "rows_per_second", int(float64(done)/now.Sub(began).Seconds()))
		}
	})
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	rows := 0
	for _, t := range tables {
		rows += t.Rows
		fmt.Fprintf(c.Out, "%-20s %9d  %s\n", t.Table, t.Rows, t.Digest)
	}
	fmt.Fprintf(c.Out, "%d tables, %d rows copied and compared\n", len(tables), rows)
	return nil
}
