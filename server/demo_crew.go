package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	entcalendar "github.com/openspms/spms/ent/calendar"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/packs/sample"
)

// crew is everybody who works in the story. People of one role and region form
// a pool of the size that the sample organisation gives; they act under the name
// of the sample person of that role.
type crew struct {
	house  *House
	people []sample.Person
	paths  map[string]string // region code → path
	pools  []*workers
}

// workers is a pool: first come, first served, while it is open.
type workers struct {
	role, region string // region code; the pool serves it and what is below
	size, busy   int
	finishOver   bool // work that has begun is finished after closing time
	hours        *calendar.Hours
	waiting      []*job
	woken        time.Time // when the pool looks again, if it is planned
}

// job is a task in a queue.
type job struct {
	order *order
	task  *ent.Task
}

// hire reads pools, calendars and people.
func hire(ctx context.Context, p *play) (*crew, error) {
	org, err := sample.Load()
	if err != nil {
		return nil, err
	}
	c := &crew{house: p.house, people: org.People, paths: map[string]string{}}
	for _, r := range org.Regions {
		c.paths[r.Code] = c.paths[r.Parent] + r.Code + "/"
	}
	client := p.house.Store.Client()
	for _, s := range org.Pools {
		row, err := client.Calendar.Query().Where(entcalendar.Code(s.Calendar)).Only(ctx)
		if err != nil {
			return nil, fmt.Errorf("calendar of pool %s: %w", s.Code, err)
		}
		doc, err := calendar.ParseDocument([]byte(row.Document))
		if err != nil {
			return nil, err
		}
		hours, err := calendar.NewHours(doc, p.days)
		if err != nil {
			return nil, err
		}
		c.pools = append(c.pools, &workers{role: s.Role, region: s.Region, size: s.Size, finishOver: s.FinishOver, hours: hours})
	}
	return c, nil
}

// queue puts a task at the end of its pool's queue.
func (c *crew) queue(p *play, o *order, t *ent.Task) error {
	for _, w := range c.pools {
		if w.role == t.Role && strings.HasPrefix(t.RegionPath, c.paths[w.region]) {
			w.waiting = append(w.waiting, &job{o, t})
			c.serve(p, w)
			return nil
		}
	}
	return fmt.Errorf("no pool of role %s serves %s", t.Role, t.RegionPath)
}

// serve gives waiting tasks to free people, now or when the pool opens.
func (c *crew) serve(p *play, w *workers) {
	now := p.now.Now()
	if len(w.waiting) == 0 || w.busy == w.size {
		return
	}
	if open := w.hours.NextOpen(now); open.After(now) {
		if !w.woken.Equal(open) {
			w.woken = open
			p.at(open, func(context.Context) error { c.serve(p, w); return nil })
		}
		return
	}
	for len(w.waiting) > 0 && w.busy < w.size {
		j := w.waiting[0]
		w.waiting = w.waiting[1:]
		w.busy++
		p.at(now, func(ctx context.Context) error { return c.begin(ctx, p, w, j) })
	}
}

// begin claims and begins a task and plans its end.
func (c *crew) begin(ctx context.Context, p *play, w *workers, j *job) error {
	person, err := c.person(w.role, j)
	if err != nil {
		return err
	}
	as, err := c.as(ctx, person)
	if err != nil {
		return err
	}
	ref := execution.TaskRef{TaskID: &j.task.ID}
	if _, err := p.house.Cases.ClaimTask(as, ref); err != nil {
		return fmt.Errorf("%s claims %s of order %s: %w", person, j.task.NodeID, j.order.number, err)
	}
	if _, err := p.house.Cases.BeginTask(as, ref); err != nil {
		return fmt.Errorf("%s begins %s of order %s: %w", person, j.task.NodeID, j.order.number, err)
	}
	now, long := p.now.Now(), p.draw(j.order, j.task.NodeID).Exact
	done := now.Add(long)
	if !w.finishOver {
		done = w.hours.Add(now, long)
	}
	p.at(done, func(ctx context.Context) error {
		w.busy--
		c.serve(p, w)
		return p.complete(ctx, person, j.order, j.task)
	})
	return nil
}

// person returns who works a task: of its role in or above its region, with the
// qualifications it needs.
func (c *crew) person(role string, j *job) (string, error) {
	for _, who := range c.people {
		holds := slices.ContainsFunc(who.Roles, func(r sample.Role) bool {
			return r.Role == role && strings.HasPrefix(j.task.RegionPath, c.paths[r.Region])
		})
		fit := !slices.ContainsFunc(j.task.RequiredQualifications, func(kind string) bool {
			return !slices.ContainsFunc(who.Qualifications, func(q sample.Qualification) bool { return q.Kind == kind })
		})
		if holds && fit {
			return who.Code, nil
		}
	}
	return "", fmt.Errorf("nobody can do %s in %s", j.task.NodeID, j.task.RegionPath)
}

// as lets a sample person act.
func (c *crew) as(ctx context.Context, code string) (context.Context, error) {
	v, err := c.house.Workforce.Viewer(ctx, code, c.house.Door.Clock.Now())
	if err != nil {
		return nil, err
	}
	return access.With(ctx, v), nil
}

// inOrder returns the keys of a set, sorted, so that equal seeds tell equal stories.
func inOrder(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
