package crash_test

// step is one mutation of a case's life; PLACE in the person stands for the
// client's own place. The client adds key, case and, at the start, the region.
type step struct {
	person, operation string
	input             map[string]any
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
	return []step{{person, "claimTask", values{"nodeID": node}}, {person, "completeTask", complete}}
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
	[]step{{"PLACE-agent", "startCase", values{"processKey": "enquiry", "channel": "hotline"}}},
	onNode("PLACE-agent", "a_call", values{"variables": values{"enquiry": values{"topic": "tariff", "answered": true}}}),
)

// fibre goes from the order to a slot that lies in the past, so that its timer
// is due at once and the server goes on to the visit by itself, without
// anybody asking.
var fibre = joined(
	[]step{{"PLACE-agent", "startCase", values{"processKey": "ftth-install", "channel": "hotline", "variables": values{"case": values{"plan": "1000M", "planMbps": 1000}}}}},
	onNode("PLACE-agent", "a_reg", values{"variables": values{"identity": values{"verified": true}}, "evidence": evidence("证件核验记录", "受理单")}),
	[]step{{"integration", "completeTask", values{"nodeID": "a_res", "variables": values{"resource": values{"status": "ready"}}, "evidence": evidence("资源核查结果")}}},
	onNode("PLACE-agent", "a_plan", values{"variables": values{"offer": values{"tariffNoticeGiven": true}}}),
	[]step{{"integration", "sendMessage", values{"name": "contract.confirmed", "payload": values{"signed": true}}}},
	onNode("PLACE-dispatcher", "a_disp", nil),
	onNode("PLACE-store", "a_stock", nil),
	[]step{{"PLACE-agent", "sendMessage", values{"name": slotMessage, "payload": values{"slotStart": "2026-01-05T09:00:00+08:00"}}}},
)

// slotMessage sets a timer, and visitNode is where the timer leads.
const (
	slotMessage = "slot.chosen"
	visitNode   = "a_visit"
)
