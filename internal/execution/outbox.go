package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/job"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/token"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/store"
)

// What one case does to another - it calls it, answers its caller, sends it a
// message or a signal - is written down in the transaction of the step and carried
// out in one of its own, once, in which the note is crossed out. So no command
// locks two cases in an order that another one has the other way round, and
// nothing is lost when the process dies in between.

// The kinds of notes.
const (
	callNote    = "case.call"    // a call activity began
	answerNote  = "case.answer"  // a called case has ended
	uncallNote  = "case.uncall"  // a call activity was interrupted
	messageNote = "case.message" // a message was thrown
	correctNote = "case.correct" // a corrective case is to follow the breach To
	signalNote  = "case.signal"  // a signal was thrown, or is for the case named To
	startNote   = "case.start"   // a signal starts a case of the process Key in the region To
	riseNote    = "case.rise"    // an escalation that the called case does not catch
)

// note is what one case asks of another.
type note struct {
	CaseID    string         `json:"caseID"` // who asks; of an answer the case that ended
	To        string         `json:"to,omitempty"`
	Token     int            `json:"token,omitempty"`
	Name      string         `json:"name,omitempty"` // process key, message or signal
	Key       string         `json:"key,omitempty"`
	Variables map[string]any `json:"variables,omitempty"`
	Starts    int            `json:"starts,omitempty"` // how many cases have started one another, by notes, up to who asks

	path string // of the region of who asks
}

// Errors that a called case brings its caller, which an error event can catch.
const (
	callCancelled = "CALL_CANCELLED"
	callTooDeep   = "CALL_TOO_DEEP"
)

// Bounds of what notes can bring about.
const (
	maxCallDepth = 16             // how deep cases call each other
	maxStarts    = 8              // how many cases start one another by messages and signals with nobody in between
	maxDelivered = 16 * tickBatch // notes that one Deliver carries out: what goes round in a circle stops no clock
	maxHeld      = 6              // attempts for which a note that fails holds up the later ones of its sender: a minute
)

// leave writes a note.
func (f *file) leave(ctx context.Context, kind string, n note) error {
	n.Starts = f.starts
	args, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("write a note: %w", err)
	}
	if err := f.rooted(ctx); err != nil {
		return err
	}
	row, err := f.unit.Job.Create().SetKind(kind).SetArgs(args).SetRunAt(f.unit.Now).SetCreatedAt(f.unit.Now).Save(store.Later(access.Elevated(ctx)))
	if err != nil {
		return fmt.Errorf("write a note: %w", err)
	}
	f.unit.Changed(store.Change{Kind: "job", ID: row.ID, CaseID: f.row.ID, RegionPath: f.row.RegionPath})
	return nil
}

// Deliver carries out the notes that are due, the oldest first, a command for each,
// and returns how many; it leaves what is more than some thousands for the next time.
// One that fails is tried again later, each time after twice as long. Meanwhile those
// that its sender has left after it wait, for a minute at most; it holds up no others.
// Several nodes may deliver at once.
func (r *Room) Deliver(ctx context.Context) (int, error) {
	ctx = access.With(ctx, access.System("outbox"))
	done, o := 0, &order{waiting: map[string][]string{}}
	var failed []error
	for done < maxDelivered {
		rows, err := r.door.Store.Client().Job.Query().Where(job.StateEQ(job.StateReady), job.RunAtLTE(r.door.Clock.Now()), job.IDNotIn(o.left()...)).
			Order(job.ByRunAt(), job.ByID()).Limit(tickBatch).All(access.Elevated(ctx))
		if err == nil {
			err = o.look(ctx, r.door.Store.Client())
		}
		if err != nil {
			return done, fmt.Errorf("list notes: %w", errors.Join(append(failed, err)...))
		}
		before := done
		for _, row := range rows {
			if err := ctx.Err(); err != nil {
				return done, err
			}
			if o.holds(row) {
				continue
			}
			if err := r.deliver(ctx, row.ID); err != nil {
				if stopped := ctx.Err(); stopped != nil {
					return done, stopped // this node stops: another one carries it out now, not later
				}
				failed = append(failed, fmt.Errorf("carry out %s %s: %w", row.Kind, row.ID, err))
				r.postpone(ctx, row, err)
				o.failed(row)
				continue
			}
			o.done(row)
			done++
		}
		if len(rows) == 0 || done == before && len(rows) < tickBatch || len(o.left()) >= tickBatch {
			return done, errors.Join(failed...)
		}
	}
	return done, errors.Join(failed...)
}

// postpone lets a note that failed wait: 1 s, then twice as long each time, at most
// an hour.
func (r *Room) postpone(ctx context.Context, row *ent.Job, why error) {
	pause := min(time.Second<<min(row.Attempt, 12), time.Hour)
	cmd := command.Command{Operation: "postpone", Input: row.ID}
	_, err := command.Run(context.WithoutCancel(ctx), r.door, cmd, func(ctx context.Context, u *command.Unit) (int, error) {
		return u.Job.Update().Where(job.ID(row.ID), job.StateEQ(job.StateReady)).AddAttempt(1).SetRunAt(u.Now.Add(pause)).
			SetLastError(fault.CodeOf(why)).Save(access.Elevated(ctx))
	})
	if err == nil || r.door.Log == nil {
		return
	}
	level := slog.LevelError
	if fault.KindOf(err) == fault.Unavailable { // it stays due, and is tried again
		level = slog.LevelWarn
	}
	r.door.Log.Log(ctx, level, "postpone a note", "note", row.ID, "err", err)
}

// deliver carries one note out and crosses it out in the same transaction.
func (r *Room) deliver(ctx context.Context, id string) error {
	_, err := command.Run(ctx, r.door, command.Command{Operation: "deliver", Input: id}, func(ctx context.Context, u *command.Unit) (int, error) {
		row, err := u.Job.Query().Where(job.ID(id), job.StateEQ(job.StateReady)).Only(store.Locking(access.Elevated(ctx)))
		if ent.IsNotFound(err) {
			return 0, nil // another node was faster
		}
		if err != nil {
			return 0, fmt.Errorf("read a note: %w", err)
		}
		var n note
		if err := json.Unmarshal(row.Args, &n); err != nil {
			return 0, fmt.Errorf("read a note: %w", err)
		}
		path, err := u.ServiceCase.Query().Where(servicecase.ID(n.CaseID)).Select(servicecase.FieldRegionPath).String(access.Elevated(ctx))
		if err != nil {
			return 0, fmt.Errorf("read who left a note: %w", err)
		}
		u.On(n.CaseID, path)
		n.path = path
		do := map[string]func(context.Context, *command.Unit, note) error{
			callNote: r.call, answerNote: r.answer, uncallNote: r.uncall, messageNote: r.message, signalNote: r.signal, correctNote: r.correct,
			startNote: r.startBySignal, riseNote: r.rise,
		}[row.Kind]
		if do == nil {
			return 0, fault.E(fault.Internal, "INTERNAL").Because(fmt.Errorf("a note of kind %q", row.Kind))
		}
		if err := do(ctx, u, n); err != nil {
			return 0, err
		}
		if err := u.Job.DeleteOneID(id).Exec(access.Elevated(ctx)); err != nil {
			return 0, fmt.Errorf("cross a note out: %w", err)
		}
		return 1, nil
	})
	return err
}

// heed opens a case that a note is about: what it does then follows from the note.
func (r *Room) heed(ctx context.Context, u *command.Unit, n note, caseID string) (*file, error) {
	f, err := r.open(ctx, u, caseID, "caseID")
	if err == nil {
		f.starts = n.Starts
	}
	return f, err
}

// asking opens a case by a note if its token still waits for the called case; ok is
// false when it does not any more.
func (r *Room) asking(ctx context.Context, u *command.Unit, n note, caseID string, seq int) (f *file, ok bool, err error) {
	f, err = r.heed(ctx, u, n, caseID)
	if err != nil || f.row.State != servicecase.StateActive {
		return f, false, err
	}
	for _, t := range f.state.Tokens {
		if t.Seq == seq && t.Status == engine.Calling {
			return f, true, nil
		}
	}
	return f, false, nil
}

// call starts the case that a call activity asks for, with those of the caller's
// variables that it takes as input. What cannot be started is an error of the
// activity.
func (r *Room) call(ctx context.Context, u *command.Unit, n note) error {
	f, ok, err := r.asking(ctx, u, n, n.CaseID, n.Token)
	if err != nil || !ok {
		return err
	}
	_, err = r.startCalled(ctx, u, f, n)
	if err == nil {
		return nil
	}
	e := fault.From(err)
	if e.Kind == fault.Internal || e.Kind == fault.Unavailable {
		return err
	}
	if err := f.step(ctx, engine.Event{Kind: engine.ErrorThrown, Token: n.Token, Name: e.Code, Reason: e.Error()}); err != nil {
		return err
	}
	return f.save(ctx)
}

// startCalled starts a case for another one and returns its id.
func (r *Room) startCalled(ctx context.Context, u *command.Unit, f *file, n note) (string, error) {
	depth := 0
	for at := f.row; at.CallerID != nil; depth++ {
		if depth >= maxCallDepth {
			return "", fault.E(fault.Precondition, callTooDeep, fault.P("max", maxCallDepth))
		}
		var err error
		if at, err = u.ServiceCase.Get(access.Elevated(ctx), *at.CallerID); err != nil {
			return "", fmt.Errorf("read the caller: %w", err)
		}
	}
	by, err := r.definitions.Bound(ctx, u, n.Name, f.place)
	if err != nil {
		return "", err
	}
	in := StartCase{ProcessKey: n.Name, RegionID: f.row.RegionID, Title: &f.row.Title, Area: &f.row.Area, Channel: &f.row.Channel}
	g, err := r.newFile(ctx, u, in, f.place, by)
	if err != nil {
		return "", err
	}
	g.starts = n.Starts
	g.row.CallerID, g.row.CallerToken, g.row.OwnerID = &f.row.ID, n.Token, f.row.OwnerID
	in.Variables = g.taken(n.Variables)
	if err := g.launch(ctx, in, ""); err != nil {
		return "", err
	}
	u.Note("caller", f.row.ID)
	return g.row.ID, nil
}

// answer lets a caller go on whose called case has ended: with the values of the
// variables that both declare alike, or with an error: its own, or that the caller does
// not admit one of the values.
func (r *Room) answer(ctx context.Context, u *command.Unit, n note) error {
	called, err := u.ServiceCase.Get(access.Elevated(ctx), n.CaseID)
	if err != nil || called.CallerID == nil {
		return err
	}
	f, ok, err := r.asking(ctx, u, n, *called.CallerID, called.CallerToken)
	if err != nil || !ok {
		return err
	}
	if again, err := r.askedAgain(ctx, u, called); err != nil || again {
		return err
	}
	c, err := r.definitions.Compiled(ctx, u.Client, called.VersionID)
	if err != nil {
		return err
	}
	ev := engine.Event{Kind: engine.TaskCompleted, Token: called.CallerToken}
	if code, failed := errorOf(c.Model, called); failed {
		ev.Kind, ev.Name = engine.ErrorThrown, code
	}
	ev.Variables, err = f.model.CheckVariables(shared(c.Model, f.model, called.Variables), nil)
	if err != nil && ev.Kind == engine.TaskCompleted { // what the caller does not admit is an error of the activity
		e := fault.From(err)
		ev.Kind, ev.Name, ev.Reason = engine.ErrorThrown, e.Code, e.Error()
	}
	u.Note("called", called.ID)
	if err := f.step(ctx, ev); err != nil {
		return err
	}
	return f.save(ctx)
}

// rise brings an escalation that a called case does not catch to the activity that
// called it: its boundary event, or what encloses it, may.
func (r *Room) rise(ctx context.Context, u *command.Unit, n note) error {
	called, err := u.ServiceCase.Get(access.Elevated(ctx), n.CaseID)
	if err != nil || called.CallerID == nil {
		return err
	}
	f, ok, err := r.asking(ctx, u, n, *called.CallerID, called.CallerToken)
	if err != nil || !ok {
		return err
	}
	if again, err := r.askedAgain(ctx, u, called); err != nil || again {
		return err
	}
	u.Note("called", called.ID)
	if err := f.step(ctx, engine.Event{Kind: engine.Escalated, Token: called.CallerToken, Name: n.Name}); err != nil {
		return err
	}
	return f.save(ctx)
}

// askedAgain reports whether the token that called a case has called another one since,
// so that it does not wait for this one any more: that one runs, or is about to. Cost:
// linear in the calls that wait to be carried out, for a note keeps whom it is from among
// its arguments; they are few unless very many cases call at once.
func (r *Room) askedAgain(ctx context.Context, u *command.Unit, called *ent.ServiceCase) (bool, error) {
	ctx = access.Elevated(ctx)
	runs, err := u.ServiceCase.Query().Where(servicecase.CallerID(*called.CallerID), servicecase.CallerToken(called.CallerToken),
		servicecase.StateEQ(servicecase.StateActive), servicecase.IDNEQ(called.ID)).Exist(ctx)
	if err != nil || runs {
		return runs, err
	}
	rows, err := u.Job.Query().Where(job.Kind(callNote), job.StateEQ(job.StateReady)).All(ctx)
	if err != nil {
		return false, fmt.Errorf("read the notes of calls: %w", err)
	}
	for _, row := range rows {
		var n note
		if err := json.Unmarshal(row.Args, &n); err != nil {
			return false, fmt.Errorf("read a note: %w", err)
		}
		if n.CaseID == *called.CallerID && n.Token == called.CallerToken {
			return true, nil
		}
	}
	return false, nil
}

// errorOf is the error that a case has ended with, if it has.
func errorOf(m *model.Model, row *ent.ServiceCase) (code string, failed bool) {
	if row.State == servicecase.StateCancelled {
		return callCancelled, true
	}
	if i, ok := m.Node(row.Outcome); ok && m.Nodes[i].Type == bpmn.EndEvent && m.Nodes[i].Kind == bpmn.ErrorEvent {
		return m.Nodes[i].Code, true
	}
	return "", false
}

// shared are the values of the variables that two processes declare alike, nested.
func shared(from, to *model.Model, vars map[string]any) map[string]any {
	out := map[string]any{}
	for _, v := range from.Variables {
		at, ok := to.Variable(v.Name)
		if value := model.Get(vars, v.Name); ok && at.Type == v.Type && value != nil {
			model.Set(out, v.Name, value)
		}
	}
	return out
}

// uncall cancels the case that an interrupted call activity had started. Nobody waits
// for it, so that its end is told to nobody.
func (r *Room) uncall(ctx context.Context, u *command.Unit, n note) error {
	id, err := u.ServiceCase.Query().Where(servicecase.CallerID(n.CaseID), servicecase.CallerToken(n.Token), servicecase.StateEQ(servicecase.StateActive)).
		Order(servicecase.ByCreatedAt(), servicecase.ByID()).FirstID(access.Elevated(ctx)) // the longest running: a later one may be there already
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the called case: %w", err)
	}
	f, err := r.heed(ctx, u, n, id)
	if err != nil || f.row.State != servicecase.StateActive {
		return err
	}
	f.unasked = true
	if err := f.step(ctx, engine.Event{Kind: engine.Cancel, Reason: "call interrupted"}); err != nil {
		return err
	}
	return f.save(ctx)
}

// message brings a thrown message to the case that waits for it with its key, the
// longest waiting first; else it starts a case in the sender's region. What neither
// is so is noted and gone, as BPMN has it.
func (r *Room) message(ctx context.Context, u *command.Unit, n note) error {
	if n.Key == "" {
		return r.startByNote(ctx, u, n)
	}
	t, err := u.Token.Query().Where(token.WaitName(n.Name), token.WaitKey(n.Key), token.CaseIDNEQ(n.CaseID)).
		Order(ent.Asc(token.FieldEnteredAt, token.FieldID)).First(access.Elevated(ctx))
	if ent.IsNotFound(err) {
		return r.startByNote(ctx, u, n)
	}
	if err != nil {
		return fmt.Errorf("find who waits for message %s: %w", n.Name, err)
	}
	return r.tell(ctx, u, n, t.CaseID, engine.Event{Kind: engine.MessageReceived, Name: n.Name, Key: n.Key})
}

// signal brings a thrown signal to every case that waits for it in the region of
// the case that throws it and below, and starts a case of each process that begins with
// it, in that region and in those below that have a binding of their own: each by a
// note of its own.
func (r *Room) signal(ctx context.Context, u *command.Unit, n note) error {
	if n.To != "" {
		return r.tell(ctx, u, n, n.To, engine.Event{Kind: engine.SignalReceived, Name: n.Name})
	}
	to, err := u.Token.Query().Where(token.WaitName(n.Name), token.CaseIDNEQ(n.CaseID), store.Within([]string{n.path})).
		Unique(true).Select(token.FieldCaseID).Strings(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("find who waits for signal %s: %w", n.Name, err)
	}
	u.Note("cases", len(to))
	for _, id := range to {
		if err := pass(ctx, u, signalNote, note{CaseID: n.CaseID, To: id, Name: n.Name, Starts: n.Starts}); err != nil {
			return err
		}
	}
	return r.spread(ctx, u, n)
}

// pass writes a note that follows from another.
func pass(ctx context.Context, u *command.Unit, kind string, n note) error {
	args, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("write a note: %w", err)
	}
	if err := u.Job.Create().SetKind(kind).SetArgs(args).SetRunAt(u.Now).SetCreatedAt(u.Now).Exec(access.Elevated(ctx)); err != nil {
		return fmt.Errorf("write a note: %w", err)
	}
	return nil
}

// tell lets a case hear an event by a note; of the variables of who sends it gets what
// its waiting node takes. What it does not take is noted and gone, like what nobody
// waits for.
func (r *Room) tell(ctx context.Context, u *command.Unit, n note, caseID string, ev engine.Event) error {
	f, err := r.heed(ctx, u, n, caseID)
	if err != nil || f.row.State != servicecase.StateActive {
		return err
	}
	if variable, _, ok := engine.Target(f.model, &f.state, ev.Name, ev.Key); ok && variable != "" && ev.Kind == engine.MessageReceived {
		switch value := model.Get(n.Variables, variable).(type) {
		case nil:
		case map[string]any:
			ev.Variables = value
		default:
			ev.Variables = map[string]any{"value": value}
		}
	}
	err = f.step(ctx, ev)
	if f.declined(err) {
		u.Note("undelivered", ev.Name)
		if code := fault.CodeOf(err); code != "MESSAGE_NOT_EXPECTED" { // that waited a moment ago
			u.Note("refused", code)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return f.save(ctx)
}

// declined reports whether the error of a step says that the case does not take the
// event, before anything has come of it.
func (f *file) declined(err error) bool {
	return refuses(err) && len(f.steps) == 0 && len(f.effects) == 0
}
