package server

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/openspms/spms/internal/execution"
)

// demand is the orders per day of a region: those of the fibre scenario.
var demand = []struct {
	region, area string
	perDay       float64
}{{"CN-HA-ZZ", "urban", 38}, {"CN-HA-NY", "rural", 10}, {"CN-CQ-YB", "urban", 28}}

// channels and plans are drawn by these shares.
var (
	channels = []struct {
		name  string
		share float64
	}{{"app", 0.45}, {"hotline", 0.2}, {"store", 0.25}, {"grid", 0.1}}
	fastShare    = 0.61 // orders of 1000 Mbps; the others take 300
	answerShare  = 0.28 // customers who answer the survey
	consentShare = 0.4
)

// opening and closing of the channels through which orders come.
const (
	ordersOpen  = 8 * time.Hour
	ordersClose = 22 * time.Hour
)

// arrivals plans the orders: each region's come one after the other, evenly at
// random over the opening hours of the channels.
func (p *play) arrivals() error {
	var perDay float64
	for _, d := range demand {
		perDay += d.perDay
	}
	at := demoStart.Add(ordersOpen)
	for n := range p.cfg.Cases {
		at = at.Add(time.Duration(p.rng.ExpFloat64() * float64(ordersClose-ordersOpen) / perDay).Truncate(time.Second))
		for p.days.BeginOf(p.days.DateOf(at)).Add(ordersClose).Before(at) {
			late := at.Sub(p.days.BeginOf(p.days.DateOf(at)).Add(ordersClose))
			at = p.days.BeginOf(p.days.DateOf(at) + 1).Add(ordersOpen + late)
		}
		from, u := demand[0], p.rng.Float64()*perDay
		for _, d := range demand {
			if from = d; u < d.perDay {
				break
			}
			u -= d.perDay
		}
		o := &order{region: from.region, area: from.area, number: fmt.Sprintf("DEMO-%06d", n+1), seen: map[string]bool{}}
		p.at(at, func(ctx context.Context) error { return p.arrive(ctx, o) })
	}
	return nil
}

// arrive starts an order.
func (p *play) arrive(ctx context.Context, o *order) error {
	channel, u := "", p.rng.Float64()
	for _, c := range channels {
		if channel = c.name; u < c.share {
			break
		}
		u -= c.share
	}
	plan := "300M"
	if o.mbps = 300; p.rng.Float64() < fastShare {
		plan, o.mbps = "1000M", 1000
	}
	agent, err := p.crew.as(ctx, "integration")
	if err != nil {
		return err
	}
	o.begun = p.now.Now()
	made, err := p.house.Cases.StartCase(agent, execution.StartCase{
		ProcessKey: demoProcess, RegionID: o.region, Number: &o.number, Channel: &channel, Area: &o.area,
		Variables: map[string]any{"case": map[string]any{"plan": plan, "planMbps": o.mbps}},
	})
	if err != nil {
		return fmt.Errorf("start order %s: %w", o.number, err)
	}
	o.id = made.CaseID
	p.cases[o.id] = o
	p.started++
	return p.look(ctx, o)
}

// takes decides by its share whether an order takes a flow of the process.
func (p *play) takes(o *order, flow string) bool {
	share, _ := p.flows[flow].Share(o.attr)
	return p.rng.Float64() < share
}

// answers is what a worker fills in at a node; the branch shares of the process
// decide between the outcomes.
func (p *play) answers(o *order, node string) map[string]any {
	now := p.now.Now().Format(time.RFC3339)
	switch node {
	case "a_reg", "a_reg_auto":
		return named("identity", "verified", true, "verifiedAt", now)
	case "a_res":
		return named("resource", "status", p.resources(o))
	case "a_expl":
		return named("waiting", "reason", "端口待扩容 / no free port")
	case "a_plan", "a_plan_auto":
		return named("offer", "tariffNoticeGiven", true)
	case "a_build":
		return named("build", "portsAdded", 16)
	case "a_stock":
		return named("stock", "ontSerial", "ONT"+o.number)
	case "a_visit":
		o.visits++
		return named("visit", "result", p.visit(o), "opticalPowerDbm", -math.Round(180+80*p.rng.Float64())/10)
	case "a_line":
		return named("line", "cause", "接头损耗 / splice loss")
	case "a_act":
		rate := 0.95 + 0.1*p.rng.Float64()
		if !p.takes(o, "f-g_act-a_accept") {
			rate = 0.7 + 0.15*p.rng.Float64()
		}
		return named("test", "downMbps", math.Round(rate*o.mbps))
	case "a_reappt":
		return named("appointment", "slotStart", p.after(o, "m_slot2").Format(time.RFC3339))
	case "a_accept":
		return named("acceptance", "remark", "满意 / fine")
	case "a_care":
		return named("care", "note", "远程重启光猫 / ONT restarted")
	case "a_repair":
		return named("recovery", "note", "已致歉并回访 / apologised, called back")
	}
	return nil
}

// resources draws whether a port is there, can be built, or neither.
func (p *play) resources(o *order) string {
	switch {
	case !p.takes(o, "f-g_res-g_ch2"):
		return "none"
	case p.takes(o, "f-g_build-t_permit"):
		return "expandable"
	}
	return "ready"
}

// visit draws the result of a visit.
func (p *play) visit(o *order) string {
	absent, _ := p.flows["f-g_visit-a_reappt"].Share(o.attr)
	fault, _ := p.flows["f-g_visit-a_line"].Share(o.attr)
	switch u := p.rng.Float64(); {
	case u < absent:
		return "customer_absent"
	case u < absent+fault:
		return "line_fault"
	}
	return "installed"
}

// customer is what comes from outside while an order waits at a node.
var customer = map[string]func(p *play, o *order, node string){
	"m_sign": func(p *play, o *order, node string) {
		p.send(o, p.after(o, node), "contract.confirmed", map[string]any{
			"signed": p.takes(o, "f-g_sign-g_build"), "marketingConsent": p.rng.Float64() < consentShare,
		})
	},
	"t_permit": func(p *play, o *order, node string) {
		p.send(o, p.now.Now(), "permit.granted", map[string]any{"expectedAt": p.after(o, node).Format(time.RFC3339)})
	},
	"m_slot": func(p *play, o *order, node string) {
		p.send(o, p.now.Now(), "slot.chosen", map[string]any{"slotStart": p.after(o, node).Format(time.RFC3339)})
	},
	"t_24": func(p *play, o *order, _ string) {
		if p.takes(o, "f-g_mon-a_care") {
			p.send(o, p.now.Now().Add(time.Hour), "monitor.report", map[string]any{"alarms": 2})
		}
	},
	"m_resp": func(p *play, o *order, node string) {
		if p.rng.Float64() >= answerShare {
			return
		}
		days := p.now.Now().Sub(o.begun).Hours() / 24
		score := 9.3 - 0.35*float64(o.visits-1) - 0.25*max(0, days-2) + 1.2*p.rng.NormFloat64()
		p.send(o, p.after(o, node), "survey.response", map[string]any{"score": int(min(max(math.Round(score), 0), 10)), "comment": ""})
	},
}

// send plans a message; an order that has ended by then does not take it.
func (p *play) send(o *order, at time.Time, message string, payload map[string]any) {
	p.at(at, func(ctx context.Context) error {
		if o.over {
			return nil
		}
		return p.tell(ctx, o, message, payload)
	})
}

// named returns the variables of one name space from name, value pairs.
func named(space string, pairs ...any) map[string]any {
	inner := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		inner[pairs[i].(string)] = pairs[i+1]
	}
	return map[string]any{space: inner}
}

// sampleEvidence is the content of an item of evidence in the story.
func sampleEvidence(media string) string {
	switch media {
	case "number":
		return "-21.4"
	case "location":
		return "34.7466,113.6254"
	case "photo":
		return "photo:sample"
	}
	return "样例 / sample"
}
