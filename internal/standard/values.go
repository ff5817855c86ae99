package standard

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/indicator"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema/ids"
)

// IndicatorValues asks what an indicator measured over region × service × period.
type IndicatorValues struct {
	IndicatorID string // id, or the code of an indicator in force just before To
	RegionID    string // id or code
	Service     *string
	From        time.Time
	To          time.Time // exclusive
}

// IndicatorValue is the figure of an indicator over a population.
type IndicatorValue struct {
	IndicatorID string
	RegionID    string
	Value       float64 // share of cases that kept it, or mean, maximum or minimum in seconds
	N           int
	MetCount    int // cases that kept it
	Low         float64
	High        float64
	Known       bool // false without cases
	Met         bool // the figure keeps the requirement
}

// Values evaluates an indicator over the cases whose measurement ended in
// [From, To): all for who keeps standards in the region, else those that the
// viewer may see. Limits, pledges and floors are judged by their
// own clocks, rates and percentiles with events by whether any clock between
// the events was breached, the others by durations without pauses. Errors:
// INDICATOR_NOT_FOUND, REGION_NOT_FOUND, INDICATOR_WITHOUT_EVENTS,
// PERIOD_EMPTY.
func (r *Room) Values(ctx context.Context, q IndicatorValues) (*IndicatorValue, error) {
	client := r.door.Store.Client()
	if !q.From.Before(q.To) {
		return nil, fault.E(fault.Invalid, "PERIOD_EMPTY").At("to")
	}
	home, err := client.Region.Query().Where(store.RegionRef(q.RegionID)).Only(ctx)
	if err != nil {
		return nil, notFound(err, "REGION_NOT_FOUND", q.RegionID, "regionID")
	}
	asked := q.IndicatorID
	if !strings.HasPrefix(asked, string(ids.Indicator)+"_") {
		if err := r.byCode(ctx, &q); err != nil {
			return nil, err
		}
	}
	row, err := client.Indicator.Query().Where(indicator.ID(q.IndicatorID)).WithVersion().Only(ctx)
	if err != nil {
		return nil, notFound(err, "INDICATOR_ID_UNKNOWN", asked, "indicatorID")
	}
	text, err := r.text(row.Edges.Version)
	if err != nil {
		return nil, err
	}
	ind := text.Versions[0].Indicator(row.Code)
	if ind == nil {
		return nil, fmt.Errorf("indicator %s is not in its document", row.ID)
	}
	if ind.StartEvent == "" || ind.StopEvent == "" {
		return nil, fault.E(fault.Precondition, "INDICATOR_WITHOUT_EVENTS", fault.P("indicator", ind.Code)).At("indicatorID")
	}
	laps, err := r.laps(counting(ctx, home.RegionPath), population{path: home.RegionPath, indicator: ind, service: deref(q.Service)}, q.From, q.To)
	if err != nil {
		return nil, err
	}
	t := tally(ind, laps)
	f := ind.Judge(t)
	return &IndicatorValue{
		IndicatorID: row.ID, RegionID: home.ID, Value: f.Value, N: int(f.N), MetCount: int(t.Met),
		Low: f.Low, High: f.High, Known: f.Known, Met: f.Met,
	}, nil
}

// byCode finds the indicator that a question names by its code.
func (r *Room) byCode(ctx context.Context, q *IndicatorValues) error {
	set, err := r.InForce(ctx)
	if err != nil {
		return err
	}
	a, ok := set.Find(q.IndicatorID, q.To.Add(-time.Microsecond))
	if !ok {
		return fault.E(fault.NotFound, "INDICATOR_ID_UNKNOWN", fault.P("id", q.IndicatorID)).At("indicatorID")
	}
	q.IndicatorID, err = r.IndicatorID(ctx, a)
	return err
}

func tally(ind *norm.Indicator, laps []*lap) norm.Tally {
	var t norm.Tally
	for _, l := range laps {
		met := !l.breached
		if ind.PutsClock() {
			if l.own == nil {
				continue // another indicator's measurement
			}
			met = l.own.State == clock.StateMet
		}
		t.Add((l.to.Sub(l.from) - l.paused).Seconds(), met)
	}
	return t
}
