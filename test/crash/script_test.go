package crash_test

import "github.com/openspms/spms/test/scene"

// step is one mutation of a case's life; PLACE in the person stands for the
// client's own place. The client adds key, case and, at the start, the region.
type step struct {
	person, operation string
	input             map[string]any
	await             ready // what the product does first, if anything
}

// values is short for the objects of an input.
type values = map[string]any

// evidence is the evidence of a task, of these kinds.
func evidence(kinds ...string) []values {
	var out []values
	for _, k := range kinds {
		out = append(out, values{"kind": k, "content": "ok"})
	}
	return out
}

// onNode returns claim and completion of a task by the person of its role.
func onNode(person, node string, rest values) []step {
	complete := values{"nodeID": node}
	for k, v := range rest {
		complete[k] = v
	}
	return []step{{person, "claimTask", values{"nodeID": node}, nil}, {person, "completeTask", complete, nil}}
}

func joined(parts ...[]step) []step {
	var out []step
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// enquiry is answered at once and ends.
var enquiry = joined(
	[]step{{"PLACE-agent", "startCase", values{"processKey": "enquiry", "channel": "hotline"}, nil}},
	onNode("PLACE-agent", "a_call", values{"variables": values{"enquiry": values{"topic": "tariff", "answered": true}}}),
)

// fibre goes from the order to a slot that lies in the past, so that its timer
// is due at once and the server goes on to the visit by itself, without
// anybody asking.
var fibre = joined(
	[]step{{"PLACE-agent", "startCase", values{"processKey": "ftth-install", "channel": "hotline", "variables": values{"case": values{"plan": "1000M", "planMbps": 1000}}}, nil}},
	onNode("PLACE-agent", "a_reg", values{"variables": values{"identity": values{"verified": true}}, "evidence": evidence("证件核验记录", "受理单")}),
	[]step{{"integration", "completeTask", values{"nodeID": "a_res", "variables": values{"resource": values{"status": "ready"}}, "evidence": evidence("资源核查结果")}, nil}},
	onNode("PLACE-agent", "a_plan", values{"variables": values{"offer": values{"tariffNoticeGiven": true}}}),
	[]step{{"integration", "sendMessage", values{"name": "contract.confirmed", "payload": values{"signed": true}}, nil}},
	onNode("PLACE-dispatcher", "a_disp", nil),
	onNode("PLACE-store", "a_stock", nil),
	[]step{{"PLACE-agent", "sendMessage", values{"name": slotMessage, "payload": values{"slotStart": "2026-01-05T09:00:00+08:00"}}, nil}},
)

// slotMessage sets a timer, and visitNode is where the timer leads.
const (
	slotMessage = "slot.chosen"
	visitNode   = "a_visit"
)

// The processes of the scripts beside those that ship.
const (
	askProcess    = "crash-ask"
	serveProcess  = "crash-serve"
	brokenProcess = "crash-broken"
	serveTopic    = "crash.serve"
)

// asking calls a case, which a worker does; its answer and its message come back
// through the outbox. Then the agent closes it.
var asking = joined(
	[]step{{"PLACE-agent", "startCase", values{"processKey": askProcess, "variables": values{"case": values{"ref": ""}}}, nil}},
	once(reached(scene.CloseNode), onNode("PLACE-agent", scene.CloseNode, nil)),
)

// broken fails, is tried again by the product with pauses in between, and goes on
// when what it reads has been corrected.
var broken = joined(
	[]step{{"PLACE-agent", "startCase", values{"processKey": brokenProcess, "variables": values{"calc": values{"divisor": 0}}}, nil}},
	[]step{
		{"demo-admin", "retryFailure", values{"backOffSeconds": 1, "attempts": 20, "reason": retryReason}, nil},
		{"demo-admin", "setCaseVariables", values{"variables": values{"calc": values{"divisor": 2}}, "reason": "更正除数"}, nil},
	},
	once(reached(scene.CloseNode), onNode("PLACE-agent", scene.CloseNode, nil)),
)

const retryReason = "再试"

// once lets the first of some steps wait.
func once(is ready, steps []step) []step {
	steps[0].await = is
	return steps
}

// reached is a case that has a task at a node.
func reached(node string) ready {
	return func(answer map[string]any) bool {
		for _, t := range nodes(answer, "tasks") {
			if t["nodeID"] == node {
				return true
			}
		}
		return false
	}
}
