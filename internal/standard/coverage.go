package standard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/binding"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/store"
)

// Coverage says, for the clauses in force in a region, what makes them real.
type Coverage struct {
	RegionID string
	Rows     []CoverageRow
}

// Unbound lists the mandatory clauses that nothing makes real.
func (c *Coverage) Unbound() []CoverageRow {
	var out []CoverageRow
	for _, row := range c.Rows {
		if row.Mandatory && !row.Covered {
			out = append(out, row)
		}
	}
	return out
}

// Unmeasured lists the enabled indicators that no node of a bound process can
// measure.
func (c *Coverage) Unmeasured() []CoveredIndicator {
	var out []CoveredIndicator
	for _, row := range c.Rows {
		for _, i := range row.Indicators {
			if !i.Measured {
				out = append(out, i)
			}
		}
	}
	return out
}

// CoverageRow is one clause. It is covered by an indicator that a process
// measures, by a rule of the standard or by a guard of a process that names it.
type CoverageRow struct {
	StandardCode string
	StandardName norm.Text
	Number       int // of the version
	Clause       string
	Title        norm.Text
	Mandatory    bool
	Indicators   []CoveredIndicator
	Rules        []string // codes of the standard's rules
	Guards       []MeasuringNode
	Covered      bool
}

// CoveredIndicator is an enabled indicator and the nodes that raise its events.
type CoveredIndicator struct {
	StandardCode string
	Clause       string
	Code         string
	Name         norm.Text
	Nature       string
	StartEvent   string
	StopEvent    string
	Measured     bool // one process raises both events
	Starts       []MeasuringNode
	Stops        []MeasuringNode
}

// MeasuringNode is a node of a bound process version.
type MeasuringNode struct {
	ProcessKey string
	VersionID  string
	NodeID     string
	NodeName   string
}

// runningProcess is what a bound process version raises and guards.
type runningProcess struct {
	version  *ent.ProcessVersion
	bindings int // in and above and below the region asked about
	key      string
	service  string
	events   map[string][]MeasuringNode
	guards   map[string][]MeasuringNode // by clause reference
}

// Coverage compares the standards in force in a region now with the processes
// bound in it, above it and below it. Headings, clauses with nothing of their own
// but clauses below them, are left out. Errors: REGION_NOT_FOUND.
func (r *Room) Coverage(ctx context.Context, regionRef string) (*Coverage, error) {
	home, err := r.door.Store.Client().Region.Query().Where(store.RegionRef(regionRef)).Only(ctx)
	if err != nil {
		return nil, notFound(err, "REGION_NOT_FOUND", regionRef, "regionID")
	}
	set, err := r.InForce(ctx)
	if err != nil {
		return nil, err
	}
	now := r.door.Clock.Now()
	processes, err := r.processes(ctx, home.RegionPath, now)
	if err != nil {
		return nil, err
	}
	chain := strings.Split(strings.TrimSuffix(home.RegionPath, "/"), "/")
	out := &Coverage{RegionID: home.ID}
	for _, s := range set.Standards() {
		v := s.At(now)
		if v == nil || !slices.Contains(chain, s.Jurisdiction) {
			continue
		}
		for i := range v.Clauses {
			if row, ok := covered(s, v, &v.Clauses[i], processes, set.Vocabulary()); ok {
				out.Rows = append(out.Rows, row)
			}
		}
	}
	return out, nil
}

// covered is the row of a clause; false for a heading.
func covered(s *norm.Standard, v *norm.Version, c *norm.Clause, processes []*runningProcess, words *norm.Vocabulary) (CoverageRow, bool) {
	row := CoverageRow{StandardCode: s.Code, StandardName: s.Name, Number: v.Number, Clause: c.Number, Title: c.Title, Mandatory: c.Mandatory()}
	for i := range v.Indicators {
		ind := &v.Indicators[i]
		if ind.Clause != c.Number || !ind.Enabled {
			continue
		}
		one := measuredBy(s, ind, processes, words)
		row.Indicators = append(row.Indicators, one)
		row.Covered = row.Covered || one.Measured
	}
	for _, x := range v.Rules {
		if x.Clause == c.Number {
			row.Rules = append(row.Rules, x.Code)
		}
	}
	for _, p := range processes {
		row.Guards = append(row.Guards, p.guards[s.Code+" "+c.Number]...)
	}
	row.Covered = row.Covered || len(row.Rules) > 0 || len(row.Guards) > 0
	heading := slices.ContainsFunc(v.Clauses, func(x norm.Clause) bool { return x.Parent == c.Number }) &&
		!slices.ContainsFunc(v.Indicators, func(i norm.Indicator) bool { return i.Clause == c.Number })
	return row, !heading || row.Covered
}

// measuredBy finds the processes of an indicator's services that raise its events.
func measuredBy(s *norm.Standard, ind *norm.Indicator, processes []*runningProcess, words *norm.Vocabulary) CoveredIndicator {
	out := CoveredIndicator{
		StandardCode: s.Code, Clause: ind.Clause, Code: ind.Code, Name: ind.Name, Nature: string(ind.Nature()),
		StartEvent: ind.StartEvent, StopEvent: ind.StopEvent,
	}
	for _, p := range processes {
		if !serves(p.service, ind, words) {
			continue
		}
		starts, stops := p.events[ind.StartEvent], p.events[ind.StopEvent]
		out.Starts, out.Stops = append(out.Starts, starts...), append(out.Stops, stops...)
		out.Measured = out.Measured || (len(starts) > 0 && len(stops) > 0)
	}
	return out
}

// serves reports whether an indicator binds cases of a service: it names the
// service or something that it is a kind of.
func serves(service string, ind *norm.Indicator, words *norm.Vocabulary) bool {
	return slices.ContainsFunc(words.ServicePath(service), func(w string) bool { return slices.Contains(ind.Services, w) })
}

// processes reads the process versions bound at an instant in a region, above it
// and below it, each once.
func (r *Room) processes(ctx context.Context, path string, at time.Time) ([]*runningProcess, error) {
	rows, err := r.door.Store.Client().Binding.Query().
		Where(binding.EffectiveFromLTE(at), binding.Or(binding.EndedAtIsNil(), binding.EndedAtGT(at))).
		WithVersion(func(q *ent.ProcessVersionQuery) { q.WithProcess() }).Order(ent.Asc(binding.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the bindings: %w", err)
	}
	known := map[string]*runningProcess{}
	var out []*runningProcess
	for _, b := range rows {
		applies := strings.HasPrefix(b.RegionPath, path) || slices.Contains(access.Ancestors(path), b.RegionPath)
		if !applies || b.Edges.Version == nil {
			continue
		}
		if p := known[b.VersionID]; p != nil {
			p.bindings++
			continue
		}
		kept, err := r.process(b.Edges.Version)
		if err != nil {
			return nil, err
		}
		p := *kept
		p.bindings, known[b.VersionID] = 1, &p
		out = append(out, &p)
	}
	return out, nil
}

// process reads a frozen process version, once.
func (r *Room) process(row *ent.ProcessVersion) (*runningProcess, error) {
	if kept, ok := r.bound.Load(row.ID); ok {
		return kept.(*runningProcess), nil
	}
	doc, err := bpmn.Parse(strings.NewReader(row.Document), bpmn.Limits{})
	if err != nil {
		return nil, fmt.Errorf("read process version %s: %w", row.ID, err)
	}
	graphs, err := doc.Graphs()
	if err != nil {
		return nil, fmt.Errorf("read process version %s: %w", row.ID, err)
	}
	p := &runningProcess{version: row, events: map[string][]MeasuringNode{}, guards: map[string][]MeasuringNode{}}
	for _, g := range graphs {
		if g.Executable {
			p.take(g)
		}
	}
	r.bound.Store(row.ID, p)
	return p, nil
}

func (p *runningProcess) take(g *bpmn.Graph) {
	p.key, p.service = g.Extension.Key, g.Extension.ServiceType
	names := map[string]string{}
	for _, n := range g.Nodes {
		names[n.ID] = n.Name
		node := MeasuringNode{p.key, p.version.ID, n.ID, n.Name}
		for _, e := range n.Extension.Events {
			p.events[e.Name] = append(p.events[e.Name], node)
		}
	}
	for _, rule := range g.Extension.Rules {
		if code, number, ok := strings.Cut(rule.Clause, " "); ok {
			key := code + " " + strings.TrimSpace(number)
			p.guards[key] = append(p.guards[key], MeasuringNode{p.key, p.version.ID, rule.Node, names[rule.Node]})
		}
	}
}
