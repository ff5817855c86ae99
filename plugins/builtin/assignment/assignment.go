// Package assignment is the strategy that lets what is due first go first, and the scorer
// that ranks a worklist so. The strategy looks for tasks that waited while later ones were
// begun, plays the queue of each pool as it was, first come first served and by due
// instants, and proposes priorities of nodes and the roles that the operator allows. Its
// main variable is Plugin. It keeps nothing.
package assignment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/openspms/spms/plugins/builtin/flow"
	"github.com/openspms/spms/plugins/sdk"
)

// Plugin is the strategy and the scorer.
var Plugin = sdk.Plugin{
	Name: "assignment", Version: "1.0.0", Strategy: routing{}, Scorer: urgency{}, Attributes: []string{"task.dueAt"}, CheckConfig: checkConfig,
	ConfigSchema: `{"type":"object","properties":{
		"minTasks":{"type":"integer","minimum":10,"maximum":1000000,"default":100,"title":"至少多少任务才下结论 · Tasks below which nothing is concluded"},
		"minInversionsPercent":{"type":"integer","minimum":0,"maximum":100,"default":1,"title":"倒置低于此比例不提出 · Share of overtaken tasks below which nothing is proposed"},
		"routes":{"type":"array","title":"允许改由其他角色完成的环节 · Nodes that another role may do","items":{"type":"object","required":["node","role"],"properties":{
			"node":{"type":"string","minLength":1,"maxLength":200},"role":{"type":"string","minLength":1,"maxLength":32}}}},
		"agingHours":{"type":"integer","minimum":1,"maximum":8760,"default":72,"title":"等待满此时长视为到期 · Wait after which a task counts as due, whatever its clock"},
		"priorityMinutes":{"type":"integer","minimum":0,"maximum":10000,"default":0,"title":"每点优先级提前的分钟 · Minutes that a point of priority is worth"},
		"urgeMinutes":{"type":"integer","minimum":0,"maximum":10000,"default":30,"title":"每次催办提前的分钟 · Minutes that an urge is worth"},
		"remaining":{"type":"array","title":"环节之后到时限尚需的工作 · Work that is left from a node to the end of the clock","items":{"type":"object","required":["node","minutes"],"properties":{
			"node":{"type":"string","minLength":1,"maxLength":200},"minutes":{"type":"integer","minimum":0,"maximum":1000000}}}}}}`,
}

type settings struct {
	MinTasks, MinInversionsPercent int
	Routes                         []struct{ Node, Role string }

	AgingHours, PriorityMinutes, UrgeMinutes int
	Remaining                                []struct {
		Node    string
		Minutes int
	}
}

func usual() settings {
	return settings{MinTasks: 100, MinInversionsPercent: 1, AgingHours: 72, UrgeMinutes: 30}
}

func checkConfig(raw json.RawMessage) []sdk.Diagnostic {
	s := usual()
	if err := json.Unmarshal(raw, &s); err != nil {
		return []sdk.Diagnostic{{Path: "$", Code: "CONFIG_TYPE", Message: err.Error()}}
	}
	seen := map[string]bool{}
	for i, r := range s.Remaining {
		if seen[r.Node] {
			return []sdk.Diagnostic{{Path: fmt.Sprintf("$.remaining[%d].node", i), Code: "CONFIG_TWICE", Message: "a node is named twice"}}
		}
		seen[r.Node] = true
	}
	return nil
}

type routing struct{}

// Propose proposes priorities for each pool in which tasks were overtaken, and the routes
// that would have kept more instants.
func (routing) Propose(ctx context.Context, run *sdk.Run) error {
	s := usual()
	if err := run.Bind(&s); err != nil {
		return err
	}
	p, err := flow.Read(run.Snapshot().BPMN, run.Snapshot().Process)
	if err != nil {
		return err
	}
	q, err := read(ctx, run)
	if err != nil {
		return err
	}
	told := false
	for _, l := range q.lines {
		text, err := s.prioritise(ctx, run, p, l)
		if err == nil && text != "" {
			told = true
			err = run.Progress(900, text)
		}
		if err != nil {
			return ended(err)
		}
	}
	for _, r := range s.Routes {
		if err := s.route(ctx, run, p, q, r.Node, r.Role); err != nil {
			return ended(err)
		}
	}
	if !told {
		return run.Progress(1000, "日志太短或任务没有时限 · The log is too short, or no task has an instant due")
	}
	return nil
}

// ended takes the end of what a run may use for the end of the run.
func ended(err error) error {
	if errors.Is(err, sdk.ErrLimit) {
		return nil
	}
	return err
}
