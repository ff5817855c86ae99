// Package staffing is the strategy that sizes pools: seats and technicians against a
// service level. It counts arrivals and services of each pool over the log, computes by
// formula and by playing random weeks how many people begin enough tasks in time, and
// proposes the new size of a pool. Its main variable is Plugin; the method is told in
// plan.go. It keeps nothing.
package staffing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/openspms/spms/plugins/sdk"
)

// Plugin is the strategy.
var Plugin = sdk.Plugin{
	Name: "staffing", Version: "1.0.0", Strategy: sizing{}, CheckConfig: checkConfig,
	ConfigSchema: `{"type":"object","properties":{
		"targetPercent":{"type":"integer","minimum":1,"maximum":99,"default":90,"title":"按时开始的任务占比 · Share of tasks begun in time"},
		"withinMinutes":{"type":"integer","minimum":0,"maximum":100000,"default":60,"title":"须在多少营业分钟内开始 · Open minutes within which a task is to be begun"},
		"growthPercent":{"type":"integer","minimum":-90,"maximum":500,"default":0,"title":"预计业务量变化 · Expected change of demand"},
		"shrinkagePercent":{"type":"integer","minimum":0,"maximum":80,"default":0,"title":"在班但不可用时间占比 · Paid time that is no work time"},
		"horizonWeeks":{"type":"integer","minimum":1,"maximum":52,"default":4,"title":"模拟周数 · Weeks played"},
		"replications":{"type":"integer","minimum":5,"maximum":100,"default":20,"title":"模拟次数 · How often they are played"},
		"minSize":{"type":"integer","minimum":1,"maximum":10000,"default":1,"title":"最少人数 · Smallest size"},
		"maxIncrease":{"type":"integer","minimum":0,"maximum":1000,"default":20,"title":"一次最多增加 · Most people more"},
		"maxDecrease":{"type":"integer","minimum":0,"maximum":1000,"default":5,"title":"一次最多减少 · Most people fewer"},
		"costPerHourFen":{"type":"integer","minimum":0,"maximum":10000000,"title":"每席每小时成本（分），默认取资源池 · Cost of a seat and hour in fen, of the pool when absent"},
		"minTasks":{"type":"integer","minimum":10,"maximum":1000000,"default":100,"title":"至少多少任务才下结论 · Tasks below which nothing is concluded"},
		"pools":{"type":"array","items":{"type":"string","minLength":1,"maxLength":64},"title":"只看这些资源池 · These pools only"}}}`,
}

// settings are the configuration.
type settings struct {
	TargetPercent, WithinMinutes, GrowthPercent, ShrinkagePercent int
	HorizonWeeks, Replications                                    int
	MinSize, MaxIncrease, MaxDecrease, MinTasks                   int
	CostPerHourFen                                                *int
	Pools                                                         []string
}

func usual() settings {
	return settings{TargetPercent: 90, WithinMinutes: 60, HorizonWeeks: 4, Replications: 20, MinSize: 1, MaxIncrease: 20, MaxDecrease: 5, MinTasks: 100}
}

func checkConfig(raw json.RawMessage) []sdk.Diagnostic {
	s := usual()
	if err := json.Unmarshal(raw, &s); err != nil {
		return []sdk.Diagnostic{{Path: "$", Code: "CONFIG_TYPE", Message: err.Error()}}
	}
	if s.MaxIncrease == 0 && s.MaxDecrease == 0 {
		return []sdk.Diagnostic{{Path: "$.maxIncrease", Code: "CONFIG_NO_CHANGE", Message: "neither more nor fewer people are allowed: nothing could be proposed"}}
	}
	return nil
}

// effective is the number of people of a pool who can work at a time.
func (s settings) effective(size int) int { return max(1, size*(100-s.ShrinkagePercent)/100) }

type sizing struct{}

// Propose proposes one change for each pool that is too small or too large.
func (sizing) Propose(ctx context.Context, run *sdk.Run) error {
	s := usual()
	if err := run.Bind(&s); err != nil {
		return err
	}
	loads, err := measure(ctx, run, float64(s.WithinMinutes))
	if err != nil {
		return err
	}
	tell, enough := "", false
	for i, l := range loads {
		text, concluded, err := s.consider(ctx, run, loads, l)
		if errors.Is(err, sdk.ErrLimit) {
			break
		}
		if err != nil {
			return err
		}
		enough = enough || concluded
		if text != "" {
			tell = text
			if err := run.Progress(1000*(i+1)/len(loads), text); err != nil {
				return err
			}
		}
	}
	if !enough && tell == "" {
		return run.Progress(1000, "日志太短，未提出建议 · The log is too short: nothing is proposed")
	}
	return nil
}

// consider plans one pool; it returns what is to be told, and whether there was enough to
// conclude from.
func (s settings) consider(ctx context.Context, run *sdk.Run, loads []*load, l *load) (text string, enough bool, err error) {
	p := l.pool
	switch {
	case p.Capacity == nil || *p.Capacity < 1 || p.Changeable != nil && !*p.Changeable, len(s.Pools) > 0 && !slices.Contains(s.Pools, p.ID), l.week.Open() == 0:
		return "", false, nil
	case l.n < s.MinTasks:
		if l.begun == 0 {
			return "", false, nil
		}
		return fmt.Sprintf("%s：只有 %d 项办结任务，少于 %d 项，日志太短 · %s: %d tasks done, fewer than %d, the log is too short", p.Title(), l.n, s.MinTasks, p.English(), l.n, s.MinTasks), false, nil
	}
	more, longer := besides(run, loads, l)
	d := demandOf(l, more*(1+float64(s.GrowthPercent)/100), longer)
	t, err := d.prepare(ctx, run.Rand(), s.HorizonWeeks, s.Replications, float64(s.WithinMinutes))
	if err != nil {
		return "", true, err
	}
	size, err := s.size(ctx, d, t, *p.Capacity)
	if err != nil {
		return "", true, err
	}
	if size == *p.Capacity {
		return fmt.Sprintf("%s：现有 %d 人合适 · %s: the present size of %d is right", p.Title(), size, p.English(), size), true, nil
	}
	edits := []sdk.Edit{{"op": "setCapacity", "id": p.ID, "from": strconv.Itoa(*p.Capacity), "value": strconv.Itoa(size)}}
	answer, err := run.Evaluate(ctx, edits)
	if err != nil || !answer.Accepted {
		return "", true, err
	}
	return "", true, run.Propose(s.proposal(l, d, t, *p.Capacity, size, edits))
}

// size is the smallest one that begins enough tasks in time, as far from the present one
// as is allowed: the formula says where to begin, the played weeks decide.
func (s settings) size(ctx context.Context, d *demand, t *trial, present int) (int, error) {
	target := float64(s.TargetPercent) / 100
	low, high := max(s.MinSize, present-s.MaxDecrease), present+s.MaxIncrease
	if low > high {
		return present, nil
	}
	at := low
	for at < high && d.formula(s.effective(at), t.within) < target {
		at++
	}
	for at > low && t.level(s.effective(at-1)) >= target && ctx.Err() == nil {
		at--
	}
	for at < high && t.level(s.effective(at)) < target && ctx.Err() == nil {
		at++
	}
	if at > present && t.level(s.effective(at)) <= t.level(s.effective(present)) {
		at = present
	}
	return at, ctx.Err()
}

// proposal is the change of one pool with what it is expected to bring.
func (s settings) proposal(l *load, d *demand, t *trial, from, to int, edits []sdk.Edit) sdk.Proposal {
	p, before, after := l.pool, t.with(s.effective(from)), t.with(s.effective(to))
	cost := p.CostPerHourFen
	if s.CostPerHourFen != nil {
		cost = *s.CostPerHourFen
	}
	weekly := func(size int) float64 { return float64(size) * float64(l.week.Open()) / 60 * float64(cost) }
	level, levelAfter, levelLow, levelHigh := gain(before, after, levelOf)
	wait, waitAfter, waitLow, waitHigh := gain(before, after, waitOf)
	busy, busyAfter, busyLow, busyHigh := gain(before, after, occupancyOf)
	out := sdk.Proposal{
		TitleZH: fmt.Sprintf("%s：由 %d 人调整为 %d 人", p.Title(), from, to), TitleEN: fmt.Sprintf("%s: from %d to %d people", p.English(), from, to), Edits: edits,
		Claims: []sdk.Figure{
			{Indicator: "service_level:" + p.ID, Unit: "permille", Before: 1000 * level, After: 1000 * levelAfter, Low: 1000 * levelLow, High: 1000 * levelHigh},
			{Indicator: "occupancy:" + p.ID, Unit: "permille", Before: 1000 * busy, After: 1000 * busyAfter, Low: 1000 * busyLow, High: 1000 * busyHigh},
			{Indicator: "mean_wait:" + p.ID, Unit: "s", Before: 60 * wait, After: 60 * waitAfter, Low: 60 * waitLow, High: 60 * waitHigh},
		},
	}
	if cost > 0 {
		delta := weekly(to) - weekly(from)
		out.Claims = append(out.Claims, sdk.Figure{Indicator: "staff_cost_week:" + p.ID, Unit: "fen", Before: weekly(from), After: weekly(to), Low: delta, High: delta})
	}
	short := ""
	if levelAfter < float64(s.TargetPercent)/100 {
		short = "允许的变动范围内达不到目标。 The target is not reached within the allowed change. "
	}
	formula, formulaAfter := d.formula(s.effective(from), t.within), d.formula(s.effective(to), t.within)
	law := "Erlang C"
	if d.patience > 0 {
		law = "Erlang A"
	}
	out.Rationale = fmt.Sprintf("目标：%d%% 的任务在 %d 个营业分钟内开始。日志中 %d 项任务，实际按时 %.1f%%；预计每周 %.0f 项，每项平均 %.1f 分钟。"+
		"模拟 %d 次：%d 人时按时 %.1f%%、忙闲率 %.0f%%，%d 人时 %.1f%%、%.0f%%。%s 分时段公式：%.1f%% 与 %.1f%%（公式假设每段时间内到达率不变，超载时段按零计）。%s\n"+
		"Target: %d%% of tasks begun within %d open minutes. In the log %d tasks, of which %.1f%% were in time; expected are %.0f a week of %.1f minutes each. "+
		"Played %d times: with %d people %.1f%% in time and %.0f%% busy, with %d %.1f%% and %.0f%%. %s by periods: %.1f%% and %.1f%% (it takes rates as constant within a period, and overloaded periods as zero).",
		s.TargetPercent, s.WithinMinutes, l.begun, share(l.inTime, l.begun), d.weekly, d.service,
		len(before), from, 100*level, 100*busy, to, 100*levelAfter, 100*busyAfter, law, 100*formula, 100*formulaAfter, short,
		s.TargetPercent, s.WithinMinutes, l.begun, share(l.inTime, l.begun), d.weekly, d.service,
		len(before), from, 100*level, 100*busy, to, 100*levelAfter, 100*busyAfter, law, 100*formula, 100*formulaAfter)
	return out
}

// share is n of all in percent.
func share(n, all int) float64 { return 100 * float64(n) / float64(max(all, 1)) }
