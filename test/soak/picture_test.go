package soak_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing/synctest"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/staff"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/token"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/test/scene"
)

// picture is what people see of the cases: it follows the changes that the product
// tells its subscribers, and reads again only the cases they name. Its order does not
// depend on ids, so that the same seed picks the same.
type picture struct {
	active  []*shown          // by name
	known   map[string]*shown // by id, ended ones too
	people  map[string]string // codes of staff by id
	touched map[string]bool   // since the last check of invariants
	heard   *ear
}

// shown is one case as people see it.
type shown struct {
	id, name string
	open     []*ent.Task  // by node and token
	tokens   []*ent.Token // by number
}

// ear collects what the product tells its subscribers.
type ear struct {
	mu     sync.Mutex
	cases  map[string]bool
	missed bool
}

func newPicture() *picture {
	return &picture{known: map[string]*shown{}, people: map[string]string{}, touched: map[string]bool{}}
}

// listen hears the changes of a store until ctx ends. What was told before is read
// again.
func (p *picture) listen(ctx context.Context, s *store.Store) {
	e := &ear{cases: map[string]bool{}, missed: true}
	p.heard = e
	changes := s.Subscribe(ctx)
	go func() {
		for c := range changes {
			e.mu.Lock()
			e.missed = e.missed || c.Kind == store.Lost
			if c.CaseID != "" {
				e.cases[c.CaseID] = true
			}
			e.mu.Unlock()
		}
	}()
}

// miss says that changes may not have been told: all running cases are read again.
func (p *picture) miss() {
	p.heard.mu.Lock()
	defer p.heard.mu.Unlock()
	p.heard.missed = true
}

// look reads again what has changed.
func (w *world) look() {
	w.t.Helper()
	synctest.Wait() // until all that was told is heard
	p := w.picture
	p.heard.mu.Lock()
	missed, named := p.heard.missed, p.heard.cases
	p.heard.missed, p.heard.cases = false, map[string]bool{}
	p.heard.mu.Unlock()
	if missed {
		for _, c := range p.active {
			named[c.id] = true
		}
		started, err := w.house.Store.Client().ServiceCase.Query().Where(servicecase.StateEQ(servicecase.StateActive)).IDs(w.inside())
		if err != nil {
			w.t.Fatal(err)
		}
		for _, id := range started {
			named[id] = true
		}
	}
	ids := slices.Sorted(maps.Keys(named))
	for len(ids) > 0 {
		n := min(len(ids), 100)
		w.read(ids[:n])
		ids = ids[n:]
	}
}

// read reads some cases again.
func (w *world) read(ids []string) {
	w.t.Helper()
	p, client, ctx := w.picture, w.house.Store.Client(), w.inside()
	var strange []string
	for _, id := range ids {
		p.touched[id] = true
		if p.known[id] == nil {
			strange = append(strange, id)
		}
	}
	w.meet(strange)
	tokens, err := client.Token.Query().Where(token.CaseIDIn(ids...)).Order(ent.Asc(token.FieldSeq)).All(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	tasks, err := client.Task.Query().Where(task.CaseIDIn(ids...), task.StateIn(execution.OpenStates...)).All(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	slices.SortFunc(tasks, func(a, b *ent.Task) int {
		return cmp.Or(cmp.Compare(a.NodeID, b.NodeID), cmp.Compare(a.TokenSeq, b.TokenSeq))
	})
	for _, id := range ids {
		p.known[id].tokens, p.known[id].open = nil, nil
	}
	for _, t := range tokens {
		p.known[t.CaseID].tokens = append(p.known[t.CaseID].tokens, t)
	}
	for _, t := range tasks {
		p.known[t.CaseID].open = append(p.known[t.CaseID].open, t)
	}
	for _, id := range ids {
		c := p.known[id]
		at, found := slices.BinarySearchFunc(p.active, c, func(a, b *shown) int { return cmp.Compare(a.name, b.name) })
		switch running := len(c.tokens) > 0; {
		case running && !found:
			p.active = slices.Insert(p.active, at, c)
		case !running && found:
			p.active = slices.Delete(p.active, at, at+1)
		}
	}
}

// meet gives names to cases that are new: their number, or, when the product has
// started them, who called them and when.
func (w *world) meet(ids []string) {
	w.t.Helper()
	if len(ids) == 0 {
		return
	}
	rows, err := w.house.Store.Client().ServiceCase.Query().Where(servicecase.IDIn(ids...)).
		Select(servicecase.FieldID, servicecase.FieldNumber, servicecase.FieldCallerID, servicecase.FieldCallerToken, servicecase.FieldCreatedAt).All(w.inside())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, row := range rows {
		c := &shown{id: row.ID, name: row.Number}
		if row.CallerID != nil {
			caller := w.picture.known[*row.CallerID]
			if caller == nil {
				w.meet([]string{*row.CallerID})
				caller = w.picture.known[*row.CallerID]
			}
			c.name = fmt.Sprintf("%s/%d@%d", caller.name, row.CallerToken, row.CreatedAt.UnixMicro())
		}
		w.picture.known[row.ID] = c
	}
}

// code is the code of a person, "" of nobody.
func (w *world) code(id *string) string {
	if id == nil {
		return ""
	}
	if c, ok := w.picture.people[*id]; ok {
		return c
	}
	c, err := w.house.Store.Client().Staff.Query().Where(staff.ID(*id)).Select(staff.FieldCode).String(w.inside())
	if err != nil {
		w.t.Fatal(err)
	}
	w.picture.people[*id] = c
	return c
}

// waits reports whether a token waits for a message that people send.
func waits(t *ent.Token) bool {
	return t.WaitName != "" && t.WaitName != scene.Message || t.NodeID == "m_slot" || t.NodeID == "m_slot2"
}

// waiting lists the tokens that wait for a message, over all cases.
func (p *picture) waiting() []*ent.Token {
	var out []*ent.Token
	for _, c := range p.active {
		for _, t := range c.tokens {
			if waits(t) {
				out = append(out, t)
			}
		}
	}
	return out
}
