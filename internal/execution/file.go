package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/failure"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/token"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema"
)

// file is one case during one command: its rows, its model and the engine's
// state, loaded once under a lock and written once.
type file struct {
	room  *Room
	db    *ent.Client   // what is read: the unit's client inside a command
	unit  *command.Unit // nil when the case is only read
	row   *ent.ServiceCase
	was   ent.ServiceCase // the row as it is written
	place *ent.Region
	model *model.Model
	state engine.State
	fresh bool // the case starts in this command

	inserted bool // its row has been written
	still    bool // opened without its tokens: it cannot step

	tokens  map[int]string        // seq → stored form, as loaded
	loaded  map[int]*ent.Token    // seq → row, as loaded
	entered map[int]bool          // tokens that have entered a node in this command
	timers  map[int]*ent.TimerRow // seq → waiting timer
	desk    desk                  // the open tasks
	book    book                  // the clocks
	given   []expr.Evidence       // evidence at hand, for the process's expressions
	norms   *standard.Current     // what is in force, as the command sees it; nil: not asked yet

	evidence []*ent.Evidence   // of the case, and the signers of the task, when it is
	signed   []*ent.TaskSigner // opened to be completed

	effects []engine.Effect        // scratch
	stages  []stageMove            // stage changes, in order
	steps   []*ent.CaseEventCreate // history of this command
	failed  []*ent.FailureCreate   // failures raised
	actions []*ent.TaskActionCreate
	reason  string // why the case goes back a stage
	starts  int    // how many cases have started one another, by notes, up to this one
	unasked bool   // nobody waits for the case any more: its end is told to nobody

	resolved map[int]bool // tokens whose failures someone has dealt with in this command
	retrying backOff      // of the failure that is tried again in this command

	attributes map[string]ent.CaseAttribute // as they are kept for lists
}

// stored is what the case row keeps of the engine's state beside its tokens.
type stored struct {
	NextToken int                 `json:"nextToken"`
	NextScope int                 `json:"nextScope"`
	NextTimer int                 `json:"nextTimer"`
	NextDone  int                 `json:"nextDone,omitempty"`
	Done      []engine.Completion `json:"done,omitempty"`
	Scopes    []engine.Scope      `json:"scopes,omitempty"`
	Outcome   string              `json:"outcome,omitempty"` // the last end event reached, while other tokens go on
}

// attach puts a case row together with its region and model.
func (r *Room) attach(ctx context.Context, client *ent.Client, u *command.Unit, row *ent.ServiceCase) (*file, error) {
	place, err := r.region(ctx, client, row.RegionID)
	if err != nil {
		return nil, err
	}
	c, err := r.definitions.Compiled(ctx, client, row.VersionID)
	if err != nil {
		return nil, err
	}
	f := &file{
		room: r, db: client, unit: u, row: row, was: *row, place: place, model: c.Model,
		tokens: map[int]string{}, entered: map[int]bool{}, timers: map[int]*ent.TimerRow{},
	}
	f.book.file = f
	f.desk = desk{file: f, open: map[int]*ent.Task{}, was: map[string]ent.Task{}}
	return f, nil
}

// active refuses a case that has ended.
func (f *file) active(field string) error {
	if f.row.State != servicecase.StateActive {
		return fault.E(fault.Precondition, "CASE_ENDED", fault.P("case", f.row.Number), fault.P("state", caseLabel(f.row.State))).At("input", field)
	}
	return nil
}

// caseLabel is a case's state as people read it.
func caseLabel(s servicecase.State) fault.Label {
	switch s {
	case servicecase.StateActive:
		return fault.Label{ZH: "进行中", EN: "active"}
	case servicecase.StateCompleted:
		return fault.Label{ZH: "已办结", EN: "completed"}
	case servicecase.StateCancelled:
		return fault.Label{ZH: "已撤销", EN: "cancelled"}
	}
	return fault.Label{ZH: string(s)}
}

// restore builds the engine's state from rows. Node positions are found anew by
// id, so that a later build of the product may order them otherwise.
func (f *file) restore(tokens []*ent.Token, timers []*ent.TimerRow) error {
	var kept stored
	if len(f.row.Engine) > 0 {
		if err := json.Unmarshal(f.row.Engine, &kept); err != nil {
			return fmt.Errorf("read the engine's counters: %w", err)
		}
	}
	f.state = engine.State{
		NextToken: kept.NextToken, NextScope: kept.NextScope, NextTimer: kept.NextTimer, Scopes: kept.Scopes,
		NextDone: kept.NextDone, Done: kept.Done, Outcome: kept.Outcome,
		Variables: f.row.Variables,
	}
	f.attributes = f.indexed(f.row.Variables)
	byToken := map[int][]engine.Timer{}
	f.loaded = make(map[int]*ent.Token, len(tokens))
	for _, t := range timers {
		node, ok := f.model.Node(t.NodeID)
		if !ok {
			return lostNode(t.NodeID)
		}
		f.timers[t.Seq] = t
		et := engine.Timer{Seq: t.Seq, Node: node}
		if t.DueAt != nil {
			et.Due, et.Set = *t.DueAt, true
		}
		byToken[t.TokenSeq] = append(byToken[t.TokenSeq], et)
	}
	for _, row := range tokens {
		var t engine.Token
		if err := json.Unmarshal(row.Engine, &t); err != nil {
			return fmt.Errorf("read token %d: %w", row.Seq, err)
		}
		node, ok := f.model.Node(row.NodeID)
		if !ok {
			return lostNode(row.NodeID)
		}
		t.Node, t.Timers = node, byToken[row.Seq]
		body, err := tokenForm(t)
		if err != nil {
			return fmt.Errorf("read token %d: %w", row.Seq, err)
		}
		f.tokens[row.Seq], f.loaded[row.Seq] = row.NodeID+string(body), row
		f.state.Tokens = append(f.state.Tokens, t)
	}
	return nil
}

func lostNode(id string) error {
	return fault.E(fault.Internal, "INTERNAL").Because(fmt.Errorf("a row stands at node %q, which the version does not have", id))
}

// regionCodes returns the codes from the case's region up to the root.
func (f *file) regionCodes() []string {
	parts := strings.Split(strings.TrimSuffix(f.row.RegionPath, "/"), "/")
	slices.Reverse(parts)
	return parts
}

func (f *file) service() string { return f.model.Service }

// attribute returns a case attribute (case.NAME) as text, for the conditions of
// indicators.
func (f *file) attribute(name string) (string, bool) {
	values, _ := f.state.Variables["case"].(map[string]any)
	v, ok := values[name]
	if !ok {
		return "", false
	}
	return fmt.Sprint(v), true
}

// calendar returns the statutory calendar of the case's region.
func (f *file) calendar(ctx context.Context) (*calendar.Calendar, error) {
	now, err := f.inForce(ctx)
	if err != nil {
		return nil, err
	}
	return now.Calendar(ctx, f.place.CalendarCode)
}

// inForce returns the standards that are in force; a command asks once.
func (f *file) inForce(ctx context.Context) (*standard.Current, error) {
	var err error
	if f.norms == nil {
		f.norms, err = f.room.norms.Current(ctx, f.unit.Tx)
	}
	return f.norms, err
}

// save writes what the command has changed. The timers are written already.
func (f *file) save(ctx context.Context) error {
	if len(f.steps) == 0 {
		return f.saveStill(ctx)
	}
	ctx = store.Later(access.Elevated(ctx))
	known := !f.fresh || f.inserted
	for _, m := range f.stages {
		if m.to != "" {
			f.row.Stage = m.to
		}
	}
	if err := f.rooted(ctx); err != nil {
		return err
	}
	if err := f.book.save(ctx); err != nil {
		return err
	}
	if err := f.saveTokens(ctx); err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	if err := f.saveStages(ctx); err != nil {
		return fmt.Errorf("write stages: %w", err)
	}
	if err := f.saveFailures(ctx); err != nil {
		return err
	}
	if err := f.unit.CaseEvent.CreateBulk(f.steps...).Exec(ctx); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	if known {
		if err := f.saveCase(ctx); err != nil {
			return fmt.Errorf("write the case: %w", err)
		}
	}
	if err := f.saveAttributes(ctx); err != nil {
		return err
	}
	if err := f.saveTasks(ctx); err != nil {
		return err
	}
	if err := f.saveActions(ctx); err != nil {
		return err
	}
	f.changed()
	return nil
}

// saveFailures writes the failures raised in this command, and leaves one open for each
// token that has failed in the end and no other: what was raised of a token that has gone on in the same
// command, or has ended, is ended, and so is what was open before.
func (f *file) saveFailures(ctx context.Context) error {
	failed := map[int]bool{}
	for _, t := range f.state.Tokens {
		failed[t.Seq] = t.Status == engine.AtFailure
	}
	for _, raised := range slices.Backward(f.failed) {
		seq, _ := raised.Mutation().TokenSeq()
		if !failed[seq] {
			raised.SetState(failure.StateEnded).SetEndedAt(f.unit.Now).SetRetryAt(schema.Far)
		}
		failed[seq] = false
	}
	var before []int
	for seq, form := range f.tokens {
		if strings.Contains(form, atFailure) && !failed[seq] && !f.resolved[seq] {
			before = append(before, seq)
		}
	}
	if len(before) > 0 {
		slices.Sort(before)
		if err := f.endFailures(ctx, failure.StateEnded, "", before...); err != nil {
			return err
		}
	}
	if len(f.failed) == 0 {
		return nil
	}
	if err := f.unit.Failure.CreateBulk(f.failed...).Exec(ctx); err != nil {
		return fmt.Errorf("write failures: %w", err)
	}
	return nil
}

// saveActions writes what people did with the tasks of the case.
func (f *file) saveActions(ctx context.Context) error {
	if len(f.actions) == 0 {
		return nil
	}
	if err := f.unit.TaskAction.CreateBulk(f.actions...).Exec(ctx); err != nil {
		return fmt.Errorf("write what was done with tasks: %w", err)
	}
	return nil
}

// stay is where a token of the case rests, as the model counts positions.
func (f *file) stay(t engine.Token) model.Stay {
	out := model.Stay{Node: t.Node, Flow: model.None}
	for i := range f.model.Flows {
		if t.Flow != "" && f.model.Flows[i].ID == t.Flow {
			out.Flow = i
		}
	}
	return out
}

// counters are what the case row keeps of the engine's state.
func (f *file) counters() (json.RawMessage, error) {
	return json.Marshal(stored{
		NextToken: f.state.NextToken, NextScope: f.state.NextScope, NextTimer: f.state.NextTimer, NextDone: f.state.NextDone,
		Done: f.state.Done, Scopes: f.state.Scopes, Outcome: f.state.Outcome,
	})
}

func (f *file) saveCase(ctx context.Context) error {
	kept, err := f.counters()
	if err != nil {
		return err
	}
	upd := f.unit.ServiceCase.Update().Where(servicecase.ID(f.row.ID))
	if f.row.StartKey != nil && f.row.State != servicecase.StateActive {
		upd.ClearStartKey() // the next message of the key may start another
	}
	put(f.was.VersionID, f.row.VersionID, upd.SetVersionID, false)
	put(f.was.State, f.row.State, upd.SetState, false)
	put(f.was.Stage, f.row.Stage, upd.SetStage, false)
	put(f.was.Outcome, f.row.Outcome, upd.SetOutcome, false)
	if len(f.was.Flags) != len(f.row.Flags) {
		upd.SetFlags(append([]schema.Flag{}, f.row.Flags...))
	}
	putOr(f.was.EndedAt, f.row.EndedAt, upd.SetEndedAt, upd.ClearEndedAt, false)
	putOr(f.was.OwnerID, f.row.OwnerID, upd.SetOwnerID, upd.ClearOwnerID, false)
	f.was = *f.row
	return upd.SetVariables(f.state.Variables).SetEngine(kept).SetRevision(f.row.Revision).Exec(ctx)
}

// saveTokens writes the difference between the tokens as loaded and as they are.
func (f *file) saveTokens(ctx context.Context) error {
	gone := maps.Clone(f.tokens)
	var fresh []*ent.TokenCreate
	for _, t := range f.state.Tokens {
		before, known := f.tokens[t.Seq]
		delete(gone, t.Seq)
		body, err := tokenForm(t)
		if err != nil {
			return err
		}
		n := f.model.Nodes[t.Node]
		if known && before == n.ID+string(body) {
			continue
		}
		if !known {
			fresh = append(fresh, f.unit.Token.Create().SetCaseID(f.row.ID).SetRegionID(f.row.RegionID).SetRegionPath(f.row.RegionPath).
				SetSeq(t.Seq).SetNodeID(n.ID).SetState(string(t.Status)).SetScope(t.Scope).SetWaitName(t.WaitName).SetWaitKey(t.WaitKey).
				SetEngine(body).SetEnteredAt(f.unit.Now))
			continue
		}
		upd, was := f.unit.Token.Update().Where(token.CaseID(f.row.ID), token.Seq(t.Seq)).SetEngine(body), f.loaded[t.Seq]
		put(was.NodeID, n.ID, upd.SetNodeID, false)
		put(was.State, string(t.Status), upd.SetState, false)
		put(was.Scope, t.Scope, upd.SetScope, false)
		put(was.WaitName, t.WaitName, upd.SetWaitName, false)
		put(was.WaitKey, t.WaitKey, upd.SetWaitKey, false)
		if f.entered[t.Seq] {
			upd.SetEnteredAt(f.unit.Now)
		}
		if err := upd.Exec(ctx); err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		if _, err := f.unit.Token.Delete().Where(token.CaseID(f.row.ID), token.SeqIn(slices.Collect(maps.Keys(gone))...)).Exec(ctx); err != nil {
			return err
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return f.unit.Token.CreateBulk(fresh...).Exec(ctx)
}

// atFailure stands in the stored form of a token that has failed.
const atFailure = `"status":"` + string(engine.AtFailure) + `"`

// tokenForm is the stored form of a token; its timers are rows of their own.
func tokenForm(t engine.Token) (json.RawMessage, error) {
	t.Timers, t.Node = nil, 0
	return json.Marshal(t)
}

// saveTasks writes the tasks; while the case runs they are due when the earliest
// of its binding clocks is.
func (f *file) saveTasks(ctx context.Context) error {
	if f.book.loaded && f.row.State == servicecase.StateActive {
		f.desk.due(f.book.nextDue())
	}
	return f.desk.save(ctx)
}

// at returns the unit's instant as a pointer.
func (f *file) at() *time.Time { return &f.unit.Now }
