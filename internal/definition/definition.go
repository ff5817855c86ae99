// Package definition keeps process definitions: drafts, their checks, review,
// publication and the bindings of versions to regions. Its main type is Room.
// It does not run cases; execution asks it for compiled models.
package definition

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/binding"
	"github.com/openspms/spms/ent/process"
	"github.com/openspms/spms/ent/processversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
)

// Norms tells which standards are in force; room standard does.
type Norms interface {
	// InForce returns the published standards, indexed.
	InForce(ctx context.Context) (*norm.Set, error)
	// Rules returns the rules in force in a region given with all above it.
	Rules(ctx context.Context, regions []string, on norm.RuleOn, at time.Time) ([]*standard.Rule, error)
}

// Room keeps process definitions. It is safe for concurrent use.
type Room struct {
	door   *command.Door
	norms  Norms
	models sync.Map // version id → *Compiled, of frozen versions only
	asked  remembered
}

// New returns the room.
func New(door *command.Door, norms Norms) *Room { return &Room{door: door, norms: norms} }

// Compiled is a version made ready to run and to show.
type Compiled struct {
	Document *bpmn.Document
	Graph    *bpmn.Graph
	Model    *model.Model
}

// Checked is a document with what the checks found in it.
type Checked struct {
	Compiled
	Text     string // the document as it came
	Findings []model.Finding
}

// OK reports whether nothing found refuses publication.
func (c *Checked) OK() bool { return len(model.Errors(c.Findings)) == 0 }

// Result is the answer of a change of a version.
type Result struct {
	VersionID string
	Findings  []model.Finding
}

// Compiled returns the version of an id ready to run, cached when it can no
// longer change; client is the reading client or that of the running command.
// Whether the viewer may see the version is for the caller to check: execution
// runs it for everyone.
func (r *Room) Compiled(ctx context.Context, client *ent.Client, versionID string) (*Compiled, error) {
	if c, ok := r.models.Load(versionID); ok {
		return c.(*Compiled), nil
	}
	row, err := client.ProcessVersion.Get(access.Elevated(ctx), versionID)
	if err != nil {
		return nil, notFound(err, "PROCESS_VERSION_NOT_FOUND", versionID)
	}
	c, findings, err := compile(row.Document)
	if err != nil {
		return nil, err
	}
	if c.Model == nil {
		return nil, fault.E(fault.Precondition, "PROCESS_NOT_EXECUTABLE", fault.P("findings", summary(findings)))
	}
	if !settled(row.State) {
		return c, nil
	}
	// A command may see what another has published in the same commit, which may yet fail.
	kept, err := r.door.Store.Client().ProcessVersion.Query().Where(processversion.ID(versionID), processversion.StateIn(settledStates...)).Exist(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("read a version: %w", err)
	}
	if kept {
		r.models.Store(versionID, c)
	}
	return c, nil
}

// settledStates are those of a version that no longer changes.
var settledStates = []processversion.State{processversion.StatePublished, processversion.StateRetired}

func settled(s processversion.State) bool { return slices.Contains(settledStates, s) }

// compile parses a document and compiles its one executable process.
func compile(text string) (*Compiled, []model.Finding, error) {
	doc, err := bpmn.Parse(strings.NewReader(text), bpmn.Limits{})
	if err != nil {
		return nil, nil, err
	}
	graphs, err := doc.Graphs()
	if err != nil {
		return nil, nil, err
	}
	var executable []*bpmn.Graph
	for _, g := range graphs {
		if g.Executable {
			executable = append(executable, g)
		}
	}
	if len(executable) != 1 {
		return nil, nil, fault.E(fault.Invalid, "PROCESS_NOT_ONE_EXECUTABLE", fault.P("count", len(executable))).At("input", "bpmn")
	}
	m, findings := model.Compile(executable[0], model.Options{})
	return &Compiled{Document: doc, Graph: executable[0], Model: m}, findings, nil
}

// Check parses a document and checks it against structure and the standards in
// force in a region and above it, without keeping anything.
func (r *Room) Check(ctx context.Context, text, regionID string) (*Checked, error) {
	reg, err := r.door.Store.Client().Region.Query().Where(store.RegionRef(regionID)).Only(ctx)
	if err != nil {
		return nil, notFound(err, "REGION_NOT_FOUND", regionID)
	}
	return r.check(ctx, text, reg)
}

func (r *Room) check(ctx context.Context, text string, reg *ent.Region) (*Checked, error) {
	c, findings, err := compile(text)
	if err != nil {
		return nil, err
	}
	out := &Checked{Compiled: *c, Text: text, Findings: findings}
	out.Findings = append(out.Findings, namedWell(c.Graph)...)
	out.Findings = append(out.Findings, r.asked.of(text, func() []model.Finding { return askedWell(c) })...)
	if c.Model == nil {
		return out, nil
	}
	uncalled, err := r.called(ctx, c.Model)
	if err != nil {
		return nil, err
	}
	out.Findings = append(out.Findings, uncalled...)
	set, err := r.norms.InForce(ctx)
	if err != nil {
		return nil, err
	}
	area := string(reg.Area)
	more, err := model.Comply(c.Model, set, model.Where{
		Regions: codes(reg.RegionPath), Area: area, At: r.door.Clock.Now(), KnownRole: knownRole,
	})
	if err != nil {
		return nil, err
	}
	out.Findings = append(out.Findings, more...)
	broken, err := r.lawful(ctx, c.Model, reg)
	if err != nil {
		return nil, err
	}
	out.Findings = append(out.Findings, broken...)
	return out, nil
}

// called finds call activities, and breaches that open a case, whose process does
// not exist.
func (r *Room) called(ctx context.Context, m *model.Model) ([]model.Finding, error) {
	var out []model.Finding
	look := func(key, element string) error {
		exists, err := r.door.Store.Client().Process.Query().Where(process.Key(key)).Exist(access.Elevated(ctx))
		if err != nil {
			return fmt.Errorf("look up a called process: %w", err)
		}
		if !exists && key != m.Key {
			out = append(out, model.Finding{
				Code: "CALLED_PROCESS_UNKNOWN", Severity: model.SeverityError, Elements: []string{element},
				Params: []fault.Param{fault.P("process", key)},
			})
		}
		return nil
	}
	for i := range m.Nodes {
		if n := &m.Nodes[i]; n.Type == bpmn.CallActivity {
			if err := look(n.Called, n.ID); err != nil {
				return nil, err
			}
		}
	}
	for _, b := range m.Breaches {
		if b.Do == "open" {
			if err := look(b.Process, m.Key); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func knownRole(role string) bool {
	_, ok := access.Lookup(access.Role(role))
	return ok
}

// codes returns the region codes of a path from the region itself up to the root.
func codes(path string) []string {
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	out := make([]string, 0, len(parts))
	for i := len(parts) - 1; i >= 0; i-- {
		out = append(out, parts[i])
	}
	return out
}

// keyForm is what a process key looks like: KEY@number names a version.
var keyForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// namedWell finds what a shipped process must say of itself.
func namedWell(g *bpmn.Graph) []model.Finding {
	var out []model.Finding
	missing := func(what string) {
		out = append(out, model.Finding{
			Code: "PROCESS_UNNAMED", Severity: model.SeverityError, Elements: []string{g.ID},
			Params: []fault.Param{fault.P("what", what)},
		})
	}
	if g.Extension.Key == "" {
		missing("key")
	}
	if key := g.Extension.Key; key != "" && !keyForm.MatchString(key) {
		out = append(out, model.Finding{
			Code: "PROCESS_KEY_MALFORMED", Severity: model.SeverityError, Elements: []string{g.ID},
			Params: []fault.Param{fault.P("key", key)},
		})
	}
	if g.Name == "" {
		missing("name")
	}
	if g.Extension.ServiceType == "" {
		missing("serviceType")
	}
	return out
}

func notFound(err error, code, id string) error {
	if ent.IsNotFound(err) {
		return fault.E(fault.NotFound, code, fault.P("id", id))
	}
	return fmt.Errorf("read a row: %w", err)
}

func summary(findings []model.Finding) string {
	var words []string
	for _, f := range model.Errors(findings) {
		words = append(words, f.Code+" "+strings.Join(f.Elements, " "))
	}
	return strings.Join(words, "; ")
}

// refusal makes the error of a refused publication, one item for each finding.
func refusal(code string, findings []model.Finding) error {
	errs := model.Errors(findings)
	e := fault.E(fault.Precondition, code, fault.P("count", len(errs)))
	for _, f := range errs {
		e = e.With(f.Fault().At(append([]string{"input", "bpmn"}, f.Elements...)...))
	}
	return e
}

// regionOf reads a region under the viewer's limits inside a command.
func regionOf(ctx context.Context, u *command.Unit, id string) (*ent.Region, error) {
	row, err := u.Region.Query().Where(store.RegionRef(id)).Only(ctx)
	if err != nil {
		return nil, withPath(notFound(err, "REGION_NOT_FOUND", id), "input", "regionID")
	}
	return row, nil
}

func withPath(err error, path ...string) error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.At(path...)
	}
	return err
}

// changed tells subscribers of a changed version.
func changed(u *command.Unit, v *ent.ProcessVersion) {
	u.Changed(store.Change{Kind: "process", ID: v.ID, RegionPath: v.RegionPath})
}

// Bound returns the binding by which a region runs new cases of a process at the
// unit's instant: its own, or that of the nearest region above. A process that the
// viewer does not see is not found; PROCESS_NOT_BOUND when there is no binding.
func (r *Room) Bound(ctx context.Context, u *command.Unit, key string, reg *ent.Region) (*ent.Binding, error) {
	var rows []*ent.Binding
	err := u.Together(ctx, func(ctx context.Context) error {
		if _, err := u.Process.Query().Where(process.Key(key)).OnlyID(ctx); err != nil {
			return withPath(notFound(err, "PROCESS_NOT_FOUND", key), "input", "processKey")
		}
		return nil
	}, func(ctx context.Context) (err error) {
		rows, err = bindings(access.Elevated(ctx), u, binding.HasProcessWith(process.Key(key)), reg)
		return err
	})
	if err != nil {
		return nil, err
	}
	return nearest(rows, key, reg)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
