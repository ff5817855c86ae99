package soak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/server"
)

// answer is what a mutation answered.
type answer struct {
	body  string
	codes []string
}

// viaGraphQL is how many of a hundred mutations go through the whole door; the
// others go to the room that the door would call, which costs half as much.
const viaGraphQL = 10

// ask sends a mutation as a person, under a key. Sometimes the client goes away before the answer, the
// answer is lost, or the product is stopped and started; and what has become of a commit
// is not always told. The client then asks again with the same key until it knows.
func (w *world) ask(person, operation string, input map[string]any) answer {
	w.t.Helper()
	w.keys++
	w.outcome.asked++
	input["idempotencyKey"] = fmt.Sprintf("k%d", w.keys)
	send := w.call
	if rooms[operation] == nil || w.rand.IntN(100) < viaGraphQL {
		send = w.send
	}
	w.luck = rand.New(rand.NewPCG(w.faults.Uint64(), 0))
	var a answer
	insist := func() { a = w.insist(func() answer { return send(w.t.Context(), person, operation, input) }) }
	switch w.faults.IntN(100) {
	case 0: // the client goes away
		w.fault("client gone")
		w.interrupt(func(ctx context.Context) { send(ctx, person, operation, input) }, insist)
	case 1: // the answer is lost
		w.fault("answer lost")
		first := send(w.t.Context(), person, operation, input)
		insist()
		if !first.uncertain() && first.body != a.body {
			w.t.Fatalf("%s by %s %v was answered\n%s and, asked again,\n%s", operation, person, input, first.body, a.body)
		}
	case 2:
		if w.faults.IntN(20) == 0 {
			w.fault("restart")
			w.restart()
		}
		insist()
	default:
		insist()
	}
	for _, c := range a.codes {
		w.outcome.refused[c]++
	}
	if slices.Contains(a.codes, "INTERNAL") {
		w.t.Errorf("%s by %s %v = %s", operation, person, input, a.body)
	}
	return a
}

// uncertain reports whether an answer does not say what has become of the mutation.
func (a answer) uncertain() bool { return slices.Contains(a.codes, "DATABASE_UNAVAILABLE") }

// insist asks until the answer is certain; a product that was killed is started first.
func (w *world) insist(ask func() answer) answer {
	w.t.Helper()
	for range 20 {
		a := ask()
		if w.killed {
			w.restart()
		}
		if !a.uncertain() {
			return a
		}
	}
	w.t.Fatal("a mutation is never answered")
	return answer{}
}

// commit makes one of the product's commits, or what is left of it: it fails, it succeeds
// and is reported as failed, or the product is killed between it and what it tells.
func (w *world) commit(do func() error) error {
	switch {
	case w.calm:
		return do()
	case w.killed:
		return errPulled
	}
	switch n := w.luck.IntN(1000); {
	case n < 6:
		w.fault("commit failed")
		return errPulled
	case n < 14:
		w.fault("done but told failed")
		if err := do(); err != nil {
			return err
		}
		w.picture.miss()
		return errPulled
	case n < 15:
		w.fault("killed after commit")
		if err := do(); err != nil {
			return err
		}
		w.picture.miss()
		w.killed = true
		return errPulled
	}
	return do()
}

var errPulled = fault.E(fault.Unavailable, "DATABASE_UNAVAILABLE")

// rooms are the functions behind the mutations, by name.
var rooms = map[string]func(ctx context.Context, r *execution.Room, body []byte) (any, error){
	"startCase":        room((*execution.Room).StartCase),
	"claimTask":        room((*execution.Room).ClaimTask),
	"completeTask":     room((*execution.Room).CompleteTask),
	"beginTask":        room((*execution.Room).BeginTask),
	"releaseTask":      room((*execution.Room).ReleaseTask),
	"urgeTask":         room((*execution.Room).UrgeTask),
	"rejectTask":       room((*execution.Room).RejectTask),
	"returnTask":       room((*execution.Room).ReturnTask),
	"delegateTask":     room((*execution.Room).DelegateTask),
	"transferTask":     room((*execution.Room).TransferTask),
	"assignTask":       room((*execution.Room).AssignTask),
	"planTask":         room((*execution.Room).PlanTask),
	"addSigners":       room((*execution.Room).AddSigners),
	"signTask":         room((*execution.Room).SignTask),
	"withdrawTask":     room((*execution.Room).WithdrawTask),
	"sendMessage":      room((*execution.Room).SendMessage),
	"pauseClock":       room((*execution.Room).PauseClock),
	"resumeClock":      room((*execution.Room).ResumeClock),
	"setCaseVariables": room((*execution.Room).SetVariables),
	"moveToken":        room((*execution.Room).MoveToken),
	"cancelCase":       room((*execution.Room).CancelCase),
	"fetchTasks":       room((*execution.Room).FetchTasks),
	"failTask":         room((*execution.Room).FailTask),
	"parkTask":         room((*execution.Room).ParkTask),
	"divertTask":       room((*execution.Room).DivertTask),
	"retryFailure":     room((*execution.Room).RetryFailure),
	"skipFailure":      room((*execution.Room).SkipFailure),
}

func room[In, Out any](f func(*execution.Room, context.Context, In) (Out, error)) func(context.Context, *execution.Room, []byte) (any, error) {
	return func(ctx context.Context, r *execution.Room, body []byte) (any, error) {
		var in In
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		return f(r, ctx, in)
	}
}

// call asks the room.
func (w *world) call(ctx context.Context, person, operation string, input map[string]any) answer {
	w.t.Helper()
	body, err := json.Marshal(input)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := rooms[operation](access.With(ctx, w.viewer(person)), w.house.Cases, body)
	if err := store.Explain(err); err != nil {
		return answer{body: err.Error(), codes: codesOf(fault.From(err))}
	}
	if body, err = json.Marshal(out); err != nil {
		w.t.Fatal(err)
	}
	return answer{body: string(body)}
}

// codesOf are the codes of an error and of what it consists of.
func codesOf(e *fault.Error) []string {
	if len(e.Items) == 0 {
		return []string{e.Code}
	}
	var out []string
	for _, it := range e.Items {
		out = append(out, it.Code)
	}
	return out
}

// viewer is a person as the product knows him; the rights of these people do not change.
func (w *world) viewer(person string) *access.Viewer {
	w.t.Helper()
	if v := w.viewers[person]; v != nil {
		return v
	}
	v, err := w.house.Workforce.Viewer(w.t.Context(), person, w.house.Door.Clock.Now())
	if err != nil {
		w.t.Fatalf("Viewer(%q) = %v", person, err)
	}
	w.viewers[person] = v
	return v
}

// send asks over GraphQL.
func (w *world) send(ctx context.Context, person, operation string, input map[string]any) answer {
	w.t.Helper()
	kind := strings.ToUpper(operation[:1]) + operation[1:] + "Input"
	body, err := json.Marshal(map[string]any{
		"query":     fmt.Sprintf("mutation($in: %s!) { %s(input: $in) { userErrors { code path } } }", kind, operation),
		"variables": map[string]any{"in": input},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost:8080/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(server.PersonHeader, person)
	rec := httptest.NewRecorder()
	w.house.door.ServeHTTP(rec, r)
	text, _ := io.ReadAll(rec.Body)
	var reply struct {
		Data map[string]struct {
			UserErrors []struct{ Code string }
		}
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal(text, &reply); err != nil && ctx.Err() == nil {
		w.t.Fatalf("%s = %d %s", operation, rec.Code, text)
	}
	a := answer{body: string(text)}
	for _, e := range reply.Data[operation].UserErrors {
		a.codes = append(a.codes, e.Code)
	}
	for _, e := range reply.Errors {
		a.codes = append(a.codes, e.Extensions.Code)
	}
	return a
}

// must asks what nothing may refuse.
func (w *world) must(person, operation string, input map[string]any) {
	w.t.Helper()
	if a := w.ask(person, operation, input); len(a.codes) > 0 {
		w.t.Fatalf("%s by %s %v = %s", operation, person, input, a.body)
	}
}
