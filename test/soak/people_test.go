package soak_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/failure"
	"github.com/openspms/spms/ent/staff"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/tasksigner"
	"github.com/openspms/spms/internal/engine"
)

type values = map[string]any

// The processes of the soak beside those that ship.
const (
	watchProcess = "soak-watch"
	askProcess   = "soak-ask"
	serveProcess = "soak-serve"
	serveTopic   = "soak.serve"
)

// verb is something that somebody does to a task or a case that was chosen.
type verb struct {
	name   string
	weight int
	do     func(w *world, t *ent.Task) answer
}

// who works on the tasks of a role; a service task has none.
var who = map[string]string{
	"": "integration", "agent": "zz-agent", "dispatcher": "zz-dispatcher", "technician": "zz-tech", "storekeeper": "zz-store",
	"line_crew": "zz-line", "construction": "ha-builder", "quality": "ha-quality", "l2": "second-l2",
}

var firstPeople = []string{"zz-agent", "zz-dispatcher", "zz-tech", "zz-trainee", "zz-store", "zz-line", "zz-lead", "ha-supervisor", "ha-quality", "cq-admin"}

// owner is who should act on a task; sometimes somebody else tries.
func (w *world) owner(t *ent.Task) string {
	if t.Kind == task.KindService {
		return who[""]
	}
	if code := w.code(t.AssigneeID); code != "" && w.rand.IntN(30) > 0 {
		return code
	}
	if p := who[t.Role]; p != "" && w.rand.IntN(30) > 0 {
		return pick(w, p, "second-"+t.Role)
	}
	return pick(w, w.people...)
}

// onTask is a verb that takes nothing but the task and why.
func onTask(reason bool) func(name string) func(w *world, t *ent.Task) answer {
	return func(name string) func(w *world, t *ent.Task) answer {
		return func(w *world, t *ent.Task) answer {
			in := values{"taskID": t.ID}
			if reason {
				in["reason"] = "测试"
			}
			return w.ask(w.owner(t), name, in)
		}
	}
}

// toPerson is a verb that hands a task to somebody.
func toPerson(name string) func(w *world, t *ent.Task) answer {
	return func(w *world, t *ent.Task) answer {
		by := w.owner(t)
		if name == "assignTask" {
			by = pick(w, "zz-dispatcher", "zz-lead", "ha-supervisor")
		}
		to := pick(w, w.people...)
		if list, err := w.house.Cases.Candidates(w.inside(), t.ID); err == nil && len(list) > 0 && w.rand.IntN(8) > 0 {
			slices.SortFunc(list, func(a, b *ent.Staff) int { return cmp.Compare(a.Code, b.Code) })
			to = pick(w, list...).Code
		}
		return w.ask(by, name, values{"taskID": t.ID, "staffID": to, "reason": "测试"})
	}
}

// verbs are what people do, by weight.
var verbs = []verb{
	{"claimTask", 10, onTask(false)("claimTask")},
	{"completeTask", 20, complete},
	{"beginTask", 6, onTask(false)("beginTask")},
	{"releaseTask", 2, onTask(false)("releaseTask")},
	{"urgeTask", 2, func(w *world, t *ent.Task) answer {
		return w.ask("ha-supervisor", "urgeTask", values{"taskID": t.ID, "reason": "请尽快"})
	}},
	{"rejectTask", 2, onTask(true)("rejectTask")},
	{"returnTask", 8, onTask(true)("returnTask")},
	{"delegateTask", 2, toPerson("delegateTask")},
	{"transferTask", 2, toPerson("transferTask")},
	{"assignTask", 4, toPerson("assignTask")},
	{"planTask", 1, func(w *world, t *ent.Task) answer {
		return w.ask(w.owner(t), "planTask", values{"taskID": t.ID, "priority": w.rand.IntN(101)})
	}},
	{"addSigners", 12, func(w *world, t *ent.Task) answer {
		return w.ask(w.owner(t), "addSigners", values{
			"taskID": t.ID, "staffIDs": []string{pick(w, w.people...)}, "place": pick(w, "before", "beside", "after"), "mode": pick(w, "all", "any"),
		})
	}},
	{"signTask", 8, func(w *world, t *ent.Task) answer {
		return w.ask(w.signer(t), "signTask", values{"taskID": t.ID, "agree": w.rand.IntN(4) > 0, "comment": "意见"})
	}},
	{"withdrawTask", 3, func(w *world, t *ent.Task) answer {
		last, err := w.house.Store.Client().Task.Query().Where(task.CaseID(t.CaseID), task.StateEQ(task.StateCompleted)).
			Order(ent.Desc(task.FieldCompletedAt), ent.Desc(task.FieldID)).First(w.inside())
		if err != nil {
			return answer{codes: []string{"NONE"}}
		}
		return w.ask(cmp.Or(who[last.Role], "integration"), "withdrawTask", values{"taskID": last.ID, "reason": "填错了"})
	}},
	{"sendMessage", 10, message},
	{"pauseClock", 2, func(w *world, t *ent.Task) answer { return w.clock(t, "pauseClock") }},
	{"resumeClock", 4, func(w *world, t *ent.Task) answer { return w.clock(t, "resumeClock") }},
	{"setCaseVariables", 1, func(w *world, t *ent.Task) answer {
		return w.ask("ha-supervisor", "setCaseVariables", values{"caseID": t.CaseID, "reason": "更正", "variables": values{"case": values{"area": pick(w, "urban", "rural")}}})
	}},
	{"moveToken", 1, func(w *world, t *ent.Task) answer {
		to := t.NodeID
		if earlier, err := w.house.Store.Client().Task.Query().Where(task.CaseID(t.CaseID)).Order(ent.Asc(task.FieldCreatedAt, task.FieldID)).First(w.inside()); err == nil {
			to = earlier.NodeID
		}
		return w.ask("ha-supervisor", "moveToken", values{"caseID": t.CaseID, "token": t.TokenSeq, "toNodeID": to, "reason": "重做"})
	}},
	{"cancelCase", 1, func(w *world, t *ent.Task) answer {
		return w.ask("ha-admin", "cancelCase", values{"caseID": t.CaseID, "reason": "用户撤单"})
	}},
}

// fail are the verbs on what has failed.
var fail = []string{"retryFailure", "skipFailure"}

// load is how many cases want something of people at a time; others wait for time.
const load = 24

// act lets somebody do something.
func (w *world) act() {
	busy := slices.DeleteFunc(slices.Clone(w.picture.active), func(c *shown) bool {
		return len(c.open) == 0 && !slices.ContainsFunc(c.tokens, waits)
	})
	if len(busy) < load/2 || len(busy) < load && w.rand.IntN(6) == 0 {
		w.order()
		return
	}
	if w.rand.IntN(30) == 0 {
		w.shift()
		return
	}
	c := pick(w, busy...)
	if len(c.open) == 0 {
		w.done("sendMessage", message(w, &ent.Task{CaseID: c.id}))
		return
	}
	t := pick(w, c.open...)
	v := w.choose(t)
	if signing := w.signing(); w.outcome.done["signTask"] == 0 && len(signing) > 0 {
		t, v = pick(w, signing...), named("signTask")
	}
	w.done(v.name, v.do(w, t))
}

// signing are the tasks that wait for signatures.
func (w *world) signing() (out []*ent.Task) {
	for _, c := range w.picture.active {
		for _, t := range c.open {
			if t.State == task.StateSigning {
				out = append(out, t)
			}
		}
	}
	return out
}

// done counts what was not refused.
func (w *world) done(name string, a answer) {
	if len(a.codes) == 0 {
		w.outcome.done[name]++
	}
}

// choose picks what to do with a task, mostly something that its state admits, and now
// and then what has never been done yet, so that a short run reaches everything.
func (w *world) choose(t *ent.Task) verb {
	never := slices.DeleteFunc(slices.Clone(verbs), func(v verb) bool { return w.outcome.done[v.name] > 0 })
	if len(never) > 0 && w.rand.IntN(4) == 0 {
		return pick(w, never...)
	}
	if w.rand.IntN(6) > 0 {
		switch {
		case t.Kind == task.KindService:
			return named("completeTask")
		case t.State == task.StateCreated && w.rand.IntN(8) > 0:
			return named("claimTask")
		case t.State == task.StateSigning:
			return named("signTask")
		case t.State == task.StateClaimed || t.State == task.StateStarted:
			return named("completeTask")
		}
	}
	n := w.rand.IntN(allWeights)
	for _, v := range verbs {
		if n -= v.weight; n < 0 {
			return v
		}
	}
	panic("no verb")
}

var allWeights int

func init() { // verbs refer to functions that refer to verbs
	for _, v := range verbs {
		allWeights += v.weight
	}
}

func named(name string) verb {
	return verbs[slices.IndexFunc(verbs, func(v verb) bool { return v.name == name })]
}

// shift lets a worker fetch what there is of a topic and do it, task by task: most it
// completes, some it gives back, lets wait for a message or hands to people.
func (w *world) shift() {
	w.t.Helper()
	topic := pick(w, serveTopic, serveTopic, "resource.check", "service.activate")
	wants := func(t *ent.Task) bool { return t.Topic == topic && t.Kind == task.KindService }
	if !slices.ContainsFunc(w.picture.active, func(c *shown) bool { return slices.ContainsFunc(c.open, wants) }) && w.rand.IntN(10) > 0 {
		return
	}
	w.done("fetchTasks", w.ask("integration", "fetchTasks", values{"topic": topic, "worker": "w1", "max": 200, "leaseSeconds": 600}))
	for _, c := range slices.Clone(w.picture.active) {
		for _, t := range c.open {
			if !wants(t) {
				continue
			}
			in := values{"taskID": t.ID, "worker": "w1", "reason": "测试"}
			switch w.workersChoice() {
			case 0:
				in["retrySeconds"] = 600
				w.done("failTask", w.ask("integration", "failTask", in))
			case 1:
				w.done("failTask", w.ask("integration", "failTask", in))
			case 2:
				delete(in, "reason")
				in["message"], in["until"] = "soak.ready", time.Now().Add(time.Hour).Format(time.RFC3339)
				w.done("parkTask", w.ask("integration", "parkTask", in))
			case 3:
				in["role"] = "agent"
				w.done("divertTask", w.ask("integration", "divertTask", in))
			case 4: // the worker dies
			default:
				w.done("completeTask", w.complete(t, "integration", "w1"))
			}
		}
	}
}

// workersChoice is what a worker does with a task: what none has done yet, else mostly
// to complete it. See shift.
func (w *world) workersChoice() int {
	for i, name := range []string{1: "failTask", "parkTask", "divertTask"} {
		if name != "" && w.outcome.done[name] == 0 {
			return i
		}
	}
	return w.rand.IntN(16)
}

// order starts a case of one of the processes.
func (w *world) order() {
	w.cases++
	number := fmt.Sprintf("N%06d", w.cases)
	in := values{"regionID": "CN-HA-ZZ", "number": number, "channel": "app"}
	switch w.rand.IntN(8) {
	case 0:
		in["processKey"], in["variables"] = "ftth-install", values{"case": values{"plan": "1000M", "planMbps": 1000}}
	case 1:
		in["processKey"], in["variables"] = "ftth-install", values{"case": values{"plan": "300M", "planMbps": 300}}
		in["channel"] = "hotline"
	case 2:
		in["processKey"] = watchProcess
		delete(in, "channel")
	case 3, 4:
		in["processKey"], in["variables"] = "enquiry", values{"calc": values{"divisor": w.rand.IntN(3)}}
	default:
		in["processKey"], in["variables"] = askProcess, values{"case": values{"ref": number}}
		delete(in, "channel")
	}
	w.must("zz-agent", "startCase", in)
	w.outcome.done["startCase"]++
}

// attend looks after what has failed.
func (w *world) attend() {
	w.t.Helper()
	for _, c := range slices.Clone(w.picture.active) {
		if !slices.ContainsFunc(c.tokens, func(t *ent.Token) bool { return t.State == string(engine.AtFailure) }) {
			continue
		}
		open, err := w.house.Store.Client().Failure.Query().Where(failure.CaseID(c.id), failure.StateEQ(failure.StateOpen)).
			Order(ent.Asc(failure.FieldTokenSeq)).All(w.inside())
		if err != nil {
			w.t.Fatal(err)
		}
		for _, f := range open {
			in := values{"failureID": f.ID, "reason": "处理"}
			name := pick(w, fail...)
			if name == "retryFailure" {
				switch f.NodeID {
				case "calc":
					in["variables"] = values{"calc": values{"divisor": w.rand.IntN(2)}}
				case "g_act": // whoever did the task in the worker's place has left it out
					in["variables"] = values{"test": values{"downMbps": 100.0 + float64(w.rand.IntN(1000))}}
				}
				if w.rand.IntN(3) == 0 {
					in["backOffSeconds"] = 600
				}
			}
			w.done(name, w.ask("ha-supervisor", name, in))
		}
	}
	w.look()
}

// complete fills in the form at random and attaches what is asked for.
func complete(w *world, t *ent.Task) answer { return w.complete(t, w.owner(t), "") }

func (w *world) complete(t *ent.Task, by, worker string) answer {
	w.t.Helper()
	ctx := w.inside()
	form, err := w.house.Cases.Form(ctx, t)
	if err != nil {
		w.t.Fatalf("Form() = %v", err)
	}
	in, filled := values{"taskID": t.ID}, values{}
	for _, f := range form.Fields {
		if f.ReadOnly {
			continue
		}
		switch {
		case len(f.Enum) > 0:
			filled[f.Variable] = pick(w, f.Enum...)
		case f.Type == "bool":
			filled[f.Variable] = w.rand.IntN(10) > 0
		case f.Type == "int":
			filled[f.Variable] = w.rand.IntN(11)
		case f.Type == "double":
			filled[f.Variable] = float64(w.rand.IntN(1500))
		case f.Type == "timestamp":
			filled[f.Variable] = time.Now().Add(-time.Hour).Format(time.RFC3339)
		case f.Type == "string":
			filled[f.Variable] = pick(w, "好", "", "换模块", "\u2028")
		}
	}
	if len(filled) > 0 {
		in["variables"] = filled
	}
	needed, err := w.house.Cases.EvidenceNeeded(ctx, t, nil)
	if err != nil {
		w.t.Fatalf("EvidenceNeeded() = %v", err)
	}
	var attached []values
	for _, n := range needed {
		if w.rand.IntN(40) > 0 {
			attached = append(attached, values{"kind": n.Kind, "content": "1"})
		}
	}
	if len(attached) > 0 {
		in["evidence"] = attached
	}
	if worker != "" {
		in["worker"] = worker
	}
	return w.ask(by, "completeTask", in)
}

// payloads are the contents of messages; what a case waits for under another name
// gets none.
var payloads = map[string]func(w *world) values{
	"contract.confirmed": func(w *world) values { return values{"signed": w.rand.IntN(5) > 0} },
	"slot.chosen": func(w *world) values {
		return values{"slotStart": time.Now().Add(time.Duration(w.rand.IntN(96)) * time.Hour).Format(time.RFC3339)}
	},
	"survey.response": func(w *world) values { return values{"score": w.rand.IntN(11)} },
}

// message sends one of the messages to a case, mostly to one that waits for it.
func message(w *world, t *ent.Task) answer {
	name, to := pick(w, "contract.confirmed", "survey.response"), t.CaseID
	waiting := w.picture.waiting()
	if len(waiting) > 0 && w.rand.IntN(8) > 0 {
		one := pick(w, waiting...)
		name, to = cmp.Or(one.WaitName, "slot.chosen"), one.CaseID
	}
	in := values{"caseID": to, "name": name}
	if payload := payloads[name]; payload != nil {
		in["payload"] = payload(w)
	}
	return w.ask("zz-agent", "sendMessage", in)
}

// clock pauses or resumes a clock of the case.
func (w *world) clock(t *ent.Task, name string) answer {
	rows := w.house.Store.Client().Clock.Query().Where(clock.CaseID(t.CaseID), clock.StoppedAtIsNil()).Order(ent.Asc(clock.FieldStartedAt, clock.FieldIndicatorCode)).AllX(w.inside())
	rows = slices.DeleteFunc(rows, func(c *ent.Clock) bool {
		return len(c.PauseReasons) == 0 || (name == "resumeClock") != (c.PausedAt != nil)
	})
	if len(rows) == 0 {
		return answer{codes: []string{"NONE"}}
	}
	row := pick(w, rows...)
	in := values{"clockID": row.ID}
	if name == "pauseClock" {
		in["reason"], in["party"], in["note"] = pick(w, row.PauseReasons...), "customer", "短信确认"
	}
	return w.ask("ha-supervisor", name, in)
}

// signer is somebody who is asked to sign a task, if anybody is.
func (w *world) signer(t *ent.Task) string {
	signers := w.house.Store.Client().TaskSigner.Query().Where(tasksigner.TaskID(t.ID), tasksigner.StateEQ(tasksigner.StateAsked)).
		Order(ent.Asc(tasksigner.FieldSeq)).AllX(w.inside())
	if len(signers) == 0 {
		return pick(w, w.people...)
	}
	return pick(w, signers...).StaffCode
}

// hire gives each role a second person, and certificates that outlast the run.
func (w *world) hire() {
	for _, role := range slices.Sorted(maps.Keys(who)) {
		if role == "" {
			continue
		}
		code := "second-" + role
		w.must("ha-admin", "createStaff", values{"code": code, "name": "替补", "regionID": "CN-HA-ZZ"})
		w.must("ha-admin", "assignRole", values{"staffID": w.staff(code), "role": role, "regionID": "CN-HA-ZZ"})
		w.people = append(w.people, code)
	}
	for _, code := range []string{"zz-tech", "second-technician"} {
		for _, kind := range []string{"光纤熔接证", "登高作业证"} {
			w.must("ha-admin", "grantQualification", values{
				"staffID": w.staff(code), "kind": kind, "number": code, "validFrom": w.began.Format(time.RFC3339), "validTo": w.until.AddDate(100, 0, 0).Format(time.RFC3339),
			})
		}
	}
}

func (w *world) staff(code string) string {
	return w.house.Store.Client().Staff.Query().Where(staff.Code(code)).OnlyIDX(w.inside())
}

// divide publishes an enquiry whose script divides by what the case brings: by 0 it
// fails.
func (w *world) divide() {
	w.must("hq-standard", "createProcessDraft", values{"fromVersionID": "enquiry@1"})
	w.must("hq-standard", "editProcessDraft", values{"versionID": "enquiry@2", "revision": 1, "edits": []values{
		{"op": "setVariable", "variable": values{"name": "calc.divisor", "type": "int", "input": true, "required": true}},
		{"op": "setVariable", "variable": values{"name": "calc.result", "type": "int"}},
		{"op": "insertNode", "flow": "f-s_call-a_call", "id": "calc", "type": "scriptTask", "name": "计算", "nameEn": "Calculate"},
		{"op": "setStage", "id": "calc", "value": "demand"},
		{"op": "setScript", "id": "calc", "value": "10 / calc.divisor"},
		{"op": "setResult", "id": "calc", "value": "calc.result"},
	}})
	w.release("enquiry@2", 2)
}

// correct lets an order that breaches its 48 hours open a case that watches.
func (w *world) correct() {
	w.must("hq-standard", "createProcessDraft", values{"fromVersionID": "ftth-install@1"})
	w.must("hq-standard", "editProcessDraft", values{"versionID": "ftth-install@2", "revision": 1, "edits": []values{
		{"op": "setBreach", "breach": values{"id": "watch", "indicator": "ENT-FTTH-48H", "do": "open", "process": watchProcess}},
		{"op": "setBreach", "breach": values{"id": "look", "do": "escalate", "role": "supervisor"}},
	}})
	w.release("ftth-install@2", 2)
}

// create publishes a process made from a document.
func (w *world) create(key, document string) {
	w.must("hq-standard", "createProcess", values{"regionID": "CN", "bpmn": document})
	w.release(key+"@1", 1)
}

// release publishes the draft of a process and binds it in Zhengzhou.
func (w *world) release(version string, revision int) {
	w.must("hq-standard", "submitProcess", values{"versionID": version, "revision": revision})
	w.must("demo-admin", "publishProcess", values{"versionID": version, "revision": revision + 1})
	w.must("demo-admin", "bindProcess", values{"versionID": version, "regionID": "CN-HA-ZZ"})
}
