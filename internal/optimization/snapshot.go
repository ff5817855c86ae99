package optimization

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	entcalendar "github.com/openspms/spms/ent/calendar"
	entpool "github.com/openspms/spms/ent/pool"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// What a strategy is given beside process and log. None of it names a person or a case;
// docs/plugins.md lists the fields.

// pool is a pool of resources that serves the region of a run.
type pool struct {
	ID               string                             `json:"id"` // its code
	Name             string                             `json:"name"`
	NameEn           string                             `json:"nameEn,omitempty"`
	Role             string                             `json:"role"`
	Region           string                             `json:"region"` // path
	Capacity         int                                `json:"capacity"`
	CostPerHourFen   int                                `json:"costPerHourFen,omitempty"`
	FinishOver       bool                               `json:"finishOver,omitempty"` // begun work is finished after closing time
	Changeable       bool                               `json:"changeable"`           // it lies in the region of the run: setCapacity is allowed
	UTCOffsetMinutes int                                `json:"utcOffsetMinutes"`     // at the instant of the run
	Hours            map[calendar.Day][]calendar.Window `json:"hours,omitempty"`      // absent: always open
	ClosedOnHolidays bool                               `json:"closedOnHolidays,omitempty"`
}

// standardInForce is a standard with what of it binds cases of the process in the region.
type standardInForce struct {
	ID         string          `json:"id"` // its code
	Name       string          `json:"name"`
	NameEn     string          `json:"nameEn,omitempty"`
	Version    int             `json:"version"`
	Clauses    []clauseInForce `json:"clauses"`
	Indicators []indicator     `json:"indicators"`
}

type clauseInForce struct {
	Number    string `json:"number"`
	Mandatory bool   `json:"mandatory"`
}

// indicator is one requirement: what it starts and stops with, and its limit.
type indicator struct {
	Code         string   `json:"code"`
	Name         string   `json:"name"`
	NameEn       string   `json:"nameEn,omitempty"`
	Clause       string   `json:"clause"`
	Clock        bool     `json:"clock"` // it puts a clock on cases
	Statistic    string   `json:"statistic"`
	Comparator   string   `json:"comparator"`
	Value        float64  `json:"value"`
	Unit         string   `json:"unit"`
	Basis        string   `json:"basis"`
	Target       float64  `json:"target,omitempty"`
	StartEvent   string   `json:"startEvent,omitempty"`
	StopEvent    string   `json:"stopEvent,omitempty"`
	PauseReasons []string `json:"pauseReasons,omitempty"`
}

// statistics are counts over the whole log.
type statistics struct {
	Events int                   `json:"events"`
	Tasks  int                   `json:"tasks"`
	Cases  int                   `json:"cases"`
	FromUs int64                 `json:"fromUs,omitempty"` // first and last event
	ToUs   int64                 `json:"toUs,omitempty"`
	Nodes  []nodeCount           `json:"nodes"`
	Others map[string]*otherWork `json:"others"` // by role: its work on other processes and versions in the region meanwhile
}

type nodeCount struct {
	ID          string  `json:"id"`
	Tasks       int     `json:"tasks"`
	Begun       int     `json:"begun"`
	Completed   int     `json:"completed"`
	Cancelled   int     `json:"cancelled"`
	WaitSeconds float64 `json:"waitSeconds"` // sum, of those begun
	WorkSeconds float64 `json:"workSeconds"` // sum, of those completed
}

type otherWork struct {
	Tasks       int     `json:"tasks"`
	WorkSeconds float64 `json:"workSeconds"`
}

// readPools reads the pools that serve the region: its own and those below, which a
// proposal may change, and those above.
func (t *talk) readPools(ctx context.Context) error {
	client := t.room.door.Store.Client()
	rows, err := client.Pool.Query().Where(entpool.Or(entpool.RegionPathIn(prefixes(t.region.RegionPath)...), store.Within([]string{t.region.RegionPath}))).
		Order(ent.Asc(entpool.FieldCode)).All(ctx)
	if err != nil {
		return fmt.Errorf("read the pools: %w", err)
	}
	var codes []string
	for _, row := range rows {
		codes = append(codes, row.CalendarCode)
	}
	hours, err := client.Calendar.Query().Where(entcalendar.CodeIn(codes...)).All(ctx)
	if err != nil {
		return fmt.Errorf("read the opening hours: %w", err)
	}
	docs := map[string]calendar.Document{}
	for _, row := range hours {
		if docs[row.Code], err = calendar.ParseDocument([]byte(row.Document)); err != nil {
			return fmt.Errorf("read calendar %s: %w", row.Code, err)
		}
	}
	for _, row := range rows {
		d := docs[row.CalendarCode]
		p := pool{
			ID: row.Code, Name: row.NameZh, NameEn: row.NameEn, Role: row.Role, Region: row.RegionPath, Capacity: row.Size, CostPerHourFen: row.CostPerHourFen,
			FinishOver: row.FinishOver, Changeable: strings.HasPrefix(row.RegionPath, t.region.RegionPath), Hours: d.Weekly, ClosedOnHolidays: d.Statutory == calendar.ClosedOnHolidays,
		}
		if zone, err := time.LoadLocation(cmp.Or(d.Timezone, t.region.Timezone)); err == nil {
			_, seconds := t.run.AsOf.In(zone).Zone()
			p.UTCOffsetMinutes = seconds / 60
		}
		t.pools = append(t.pools, p)
	}
	return nil
}

// prefixes are the paths of the regions above one.
func prefixes(path string) []string {
	var out []string
	for i, c := range path {
		if c == '/' && i+1 < len(path) {
			out = append(out, path[:i+1])
		}
	}
	return out
}

// poolOf names the pool that does the tasks of a role in a region: the nearest; the
// role itself where there is none.
func (t *talk) poolOf(role, path string) string {
	best, found := role, -1
	for _, p := range t.pools {
		if p.Role == role && strings.HasPrefix(path, p.Region) && len(p.Region) > found {
			best, found = p.ID, len(p.Region)
		}
	}
	return best
}

// readStandards resolves what is in force for the process in the region, and which steps
// it protects.
func (t *talk) readStandards(ctx context.Context) error {
	set, err := t.room.standards.InForce(ctx)
	if err != nil {
		return err
	}
	c, err := t.room.definitions.Compiled(ctx, t.room.door.Store.Client(), t.base.ID)
	if err != nil {
		return err
	}
	where := model.Where{Regions: codes(t.region.RegionPath), Area: string(t.region.Area), At: t.run.AsOf}
	if t.protected, err = model.Protect(c.Model, set, where); err != nil {
		return err
	}
	found, err := set.Resolve(norm.Query{Regions: where.Regions, Service: c.Model.Service, Area: where.Area, At: where.At, Figures: true}, nil)
	if err != nil {
		return err
	}
	for _, a := range found {
		n := len(t.standards)
		if n == 0 || t.standards[n-1].ID != a.Standard.Code {
			t.standards = append(t.standards, standardInForce{ID: a.Standard.Code, Name: a.Standard.Name.ZH, NameEn: a.Standard.Name.EN, Version: a.Version.Number})
			n++
		}
		t.standards[n-1].add(a)
	}
	return nil
}

// codes are the codes of a region and of all above it.
func codes(path string) []string {
	out := strings.Split(strings.TrimSuffix(path, "/"), "/")
	slices.Reverse(out)
	return out
}

func (s *standardInForce) add(a norm.Applicable) {
	i := a.Indicator
	mandatory := a.Clause == nil || a.Clause.Mandatory()
	if !slices.ContainsFunc(s.Clauses, func(c clauseInForce) bool { return c.Number == i.Clause }) {
		s.Clauses = append(s.Clauses, clauseInForce{i.Clause, mandatory})
	}
	s.Indicators = append(s.Indicators, indicator{
		Code: i.Code, Name: i.Name.ZH, NameEn: i.Name.EN, Clause: i.Clause, Clock: i.PutsClock(), Statistic: string(i.Statistic), Comparator: string(i.Comparator),
		Value: i.Value, Unit: string(i.Unit), Basis: string(i.Basis), Target: i.Target, StartEvent: i.StartEvent, StopEvent: i.StopEvent, PauseReasons: i.PauseReasons,
	})
}

// count counts one task of the log.
func (t *talk) count(row *ent.Task, begun *time.Time, completed bool) {
	s := &t.statistics
	s.Tasks++
	i := slices.IndexFunc(s.Nodes, func(n nodeCount) bool { return n.ID == row.NodeID })
	if i < 0 {
		i = len(s.Nodes)
		s.Nodes = append(s.Nodes, nodeCount{ID: row.NodeID})
	}
	n := &s.Nodes[i]
	n.Tasks++
	if begun != nil && !begun.After(t.run.AsOf) {
		n.Begun++
		n.WaitSeconds += begun.Sub(row.CreatedAt).Seconds()
	}
	switch {
	case completed && row.State == task.StateCancelled:
		n.Cancelled++
	case completed:
		n.Completed++
		if begun != nil {
			n.WorkSeconds += row.CompletedAt.Sub(*begun).Seconds()
		}
	}
}

// countOthers counts what the roles of the log did meanwhile on other versions and
// processes in the region.
func (t *talk) countOthers(ctx context.Context, roles []string) error {
	t.statistics.Others = map[string]*otherWork{}
	if len(t.events) == 0 || len(roles) == 0 {
		return nil
	}
	first := time.UnixMicro(t.events[0].GetTimeUs())
	rows, err := t.room.door.Store.Client().Task.Query().Where(
		task.VersionIDNEQ(t.base.ID), store.Within([]string{t.region.RegionPath}), task.RoleIn(roles...), task.KindEQ(task.KindHuman),
		task.CreatedAtGTE(first), task.CreatedAtLTE(t.run.AsOf)).
		Order(ent.Asc(task.FieldID)).Limit(maxTasks).
		Select(task.FieldRole, task.FieldState, task.FieldClaimedAt, task.FieldStartedAt, task.FieldCompletedAt).All(ctx)
	if err != nil {
		return fmt.Errorf("read other work: %w", err)
	}
	for _, row := range rows {
		w := t.statistics.Others[row.Role]
		if w == nil {
			w = &otherWork{}
			t.statistics.Others[row.Role] = w
		}
		w.Tasks++
		if begun, ended := t.span(row); begun != nil && ended && row.State == task.StateCompleted {
			w.WorkSeconds += row.CompletedAt.Sub(*begun).Seconds()
		}
	}
	return nil
}

// snapshot is the message, made once.
func (t *talk) makeSnapshot() error {
	list := func(v any, empty bool, otherwise string) (string, error) {
		if empty {
			return otherwise, nil
		}
		text, err := json.Marshal(v)
		return string(text), err
	}
	pools, err1 := list(t.pools, len(t.pools) == 0, "[]")
	standards, err2 := list(t.standards, len(t.standards) == 0, "[]")
	counts, err3 := list(t.statistics, false, "")
	t.snapshot = &pluginv1.Snapshot{BpmnXml: []byte(t.base.Document), ProcessId: t.process, PoolsJson: pools, StandardsJson: standards, StatisticsJson: counts}
	return errors.Join(err1, err2, err3)
}

// processIn is the id of the process in a document that has one.
func processIn(document string) (string, error) {
	d, err := bpmn.Parse(strings.NewReader(document), bpmn.Limits{})
	if err != nil {
		return "", err
	}
	g, err := d.Graph("")
	if err != nil {
		return "", err
	}
	return g.ID, nil
}
