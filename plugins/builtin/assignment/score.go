package assignment

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/openspms/spms/plugins/sdk"
)

type urgency struct{}

// Score ranks by slack: what is left to the earliest binding clock less the work that the
// task's node still has before it. A task that has waited for agingHours has no slack
// left whatever its clock, so that none starves; one without a clock has only that. The
// score is the negative slack in hours, at most some millions.
func (urgency) Score(ctx context.Context, r *sdk.Ranking) ([]sdk.Score, error) {
	s := usual()
	if err := json.Unmarshal(r.Config, &s); err != nil {
		return nil, err
	}
	left := map[string]float64{}
	for _, n := range s.Remaining {
		left[n.Node] = float64(n.Minutes) / 60
	}
	out := make([]sdk.Score, len(r.Items))
	for i, item := range r.Items {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		slack, reason := s.slack(item, left[item.Attributes["node"]])
		out[i] = sdk.Score{ID: item.ID, Value: min(max(-slack, -1e9), 1e9), Reason: reason}
	}
	return out, nil
}

// slack is that of one task, in hours, with the reason for a person.
func (s settings) slack(item sdk.Item, remaining float64) (slack float64, reason string) {
	aging := float64(s.AgingHours) - item.Values["ageSeconds"]/3600
	due, clocked := item.Values["dueInSeconds"]
	slack = due/3600 - remaining
	switch {
	case !clocked:
		slack, reason = aging, fmt.Sprintf("无时限，已等待 %.1f 小时 · no clock, waited %.1f h", item.Values["ageSeconds"]/3600, item.Values["ageSeconds"]/3600)
	case aging < slack:
		slack, reason = aging, fmt.Sprintf("等待过久：%.1f 小时 · waited long: %.1f h", item.Values["ageSeconds"]/3600, item.Values["ageSeconds"]/3600)
	case due < 0:
		reason = fmt.Sprintf("已超时 %.1f 小时 · overdue by %.1f h", -due/3600, -due/3600)
	default:
		reason = fmt.Sprintf("距时限 %.1f 小时 · due in %.1f h", due/3600, due/3600)
	}
	return slack - (item.Values["priority"]*float64(s.PriorityMinutes)+item.Values["urged"]*float64(s.UrgeMinutes))/60, reason
}
