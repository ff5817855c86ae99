package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// streams says what is asked of each subscription; one that is missing fails
// the test.
var streams = map[string]string{
	"caseChanged":     "{ kind lost cursor serviceCase { __typename id region { __typename id } owner { __typename id } } }",
	"worklistChanged": "{ kind lost cursor task { __typename id assignee { __typename id } case { __typename id } } }",
	"clockChanged":    "{ kind lost cursor clock { __typename id case { __typename id } } }",
	"batchChanged":    "{ lost cursor batch { __typename id region { __typename id } items(first: 5) { edges { node { __typename id case { __typename id } } } } } }",
	counts:            "{ total mine toSign unclaimed overdue dueSoon roles { role total } }",
}

// counts is the subscription that tells numbers and no rows.
const counts = "worklistCounts"

// streams subscribes as people of Zhengzhou, Nanyang and all Henan to all there
// is, while people of Chongqing and of Zhengzhou work: each hears of his own
// region and of nothing else. A foreign region or case cannot be listened to.
func (m *matrix) streams() {
	for _, name := range sortedKeys(streams) {
		m.refusedStream(m.person("zz-agent"), name, `(regionID: "CN-CQ-YB")`)
		if name == counts {
			m.countStream(m.person("zz-agent"), cities[0])
			m.countStream(m.person("ny-store"), cities[1])
			continue
		}
		for _, who := range []struct{ code, works, region string }{
			{"zz-agent", "zz", "CN-HA-ZZ"}, {"ha-supervisor", "zz", "CN-HA-ZZ"}, {"ny-store", "ny", "CN-HA-NY"},
		} {
			m.stream(m.person(who.code), name, "", city{who.works, who.region})
		}
	}
	m.stream(m.person("cq-quality"), "caseChanged", `(regionID: "CN-CQ")`, cities[2])
}

// listen opens an event stream; the channel closes with it.
func (m *matrix) listen(ctx context.Context, p person, query string) <-chan map[string]any {
	m.o.t.Helper()
	told, err := listen(ctx, m.o.http.URL, p.code, query)
	if err != nil {
		m.o.t.Fatalf("%s: %v", query, err)
	}
	return told
}

// countStream counts while others work, which changes nothing, and then one's own
// people, until what is told is what the query says and the rows do.
func (m *matrix) countStream(p person, own city) {
	m.o.t.Helper()
	l, _ := m.o.subscribe(p.code, counts, "")
	defer l.end()
	before := fmt.Sprint(l.hear()["total"])
	m.orders++
	m.o.orderIn(cities[2], fmt.Sprintf("yb-S%04d", m.orders))
	m.o.orderIn(own, fmt.Sprintf("%s-S%04d", own.people, m.orders))
	m.l = m.o.ledger()
	want := fmt.Sprint(m.openTasks(p))
	if before == want {
		m.report("%s: an order of his own does not change his %s tasks", p, want)
	}
	for got := before; got != want; got = fmt.Sprint(l.hear()["total"]) {
	}
}

// openTasks is how many open tasks a person sees.
func (m *matrix) openTasks(p person) int {
	seen, _ := m.l.visible(p, "Task")
	n := 0
	for _, id := range seen {
		if slices.Contains([]string{"created", "claimed", "started", "signing"}, m.l["Task"][id]["state"]) {
			n++
		}
	}
	return n
}

// stream listens while others work and then one's own people do. It hears the
// own work, since all changes come in the order in which they were made, and
// until then nothing of the others.
func (m *matrix) stream(p person, name, args string, own city) {
	m.o.t.Helper()
	ctx, stop := context.WithCancel(m.o.t.Context())
	defer stop()
	told := m.listen(ctx, p, fmt.Sprintf("subscription { %s%s %s }", name, args, streams[name]))
	m.begun(p, name, own, told)
	foreign := cities[2]
	if own == foreign {
		foreign = cities[0]
	}
	m.busy(foreign)
	last, end := m.order(own)
	if name == "worklistChanged" {
		defer end() // a task that comes and goes may be told as neither
	} else {
		end()
	}
	if batch := m.batch(own); name == "batchChanged" {
		last = batch
	}
	m.l = m.o.ledger()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for {
		select {
		case v, more := <-told:
			if !more {
				m.report("%s: %s ended by itself", p, name)
				return
			}
			m.walk(p, v)
			raw, _ := json.Marshal(v)
			if strings.Contains(string(raw), last) {
				return
			}
		case <-deadline.C:
			m.report("%s: %s heard nothing of %s", p, name, last)
			return
		}
	}
}

// begun works until the stream says something, so that it listens from now on.
func (m *matrix) begun(p person, name string, own city, told <-chan map[string]any) {
	m.o.t.Helper()
	for range 50 {
		m.busy(own)
		again := time.NewTimer(200 * time.Millisecond)
		select {
		case v := <-told:
			again.Stop()
			m.l = m.o.ledger()
			m.walk(p, v)
			return
		case <-again.C:
		}
	}
	m.o.t.Fatalf("%s: %s says nothing", p, name)
}

// busy works an order of a city and ends it, and starts a batch.
func (m *matrix) busy(c city) {
	m.o.t.Helper()
	_, end := m.order(c)
	end()
	m.batch(c)
}

// order works an order of a city until its clocks run, and returns the id of its case
// and how to end it.
func (m *matrix) order(c city) (id string, end func()) {
	m.o.t.Helper()
	m.orders++
	number := fmt.Sprintf("%s-S%04d", c.people, m.orders)
	m.o.orderIn(c, number)
	id = m.o.caseID(number)
	return id, func() {
		m.o.t.Helper()
		m.o.must(c.people+"-agent", "cancelCase", fmt.Sprintf(`caseID: %q, reason: "x"`, id))
	}
}

// batch starts a batch of a city that has nothing to do and returns its id.
func (m *matrix) batch(c city) string {
	m.o.t.Helper()
	return m.o.batch("demo-admin", "startFailureBatch", fmt.Sprintf(`action: "retry", regionID: %q, code: "NONE", reason: "x"`, c.region))
}

// refusedStream subscribes to what is not the person's: an error comes at once.
func (m *matrix) refusedStream(p person, name, args string) {
	m.o.t.Helper()
	ctx, stop := context.WithCancel(m.o.t.Context())
	defer stop()
	told := m.listen(ctx, p, fmt.Sprintf("subscription { %s%s %s }", name, args, streams[name]))
	v, more := <-told
	if code := fmt.Sprint(dig(v, "errors", 0, "extensions", "code")); !more || !hides(code) {
		m.report("%s: %s%s is answered with %v, want a refusal", p, name, args, v)
	}
}
