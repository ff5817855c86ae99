// Package scene writes the BPMN documents of small processes that the tests of the
// whole let run beside those that ship: cases that call each other, that a timer
// looks at again and again, and that fail. It knows nothing of how they are run.
package scene

import (
	"fmt"
	"strings"
)

// Nodes of the processes.
const (
	AskNode   = "a_ask"   // of Ask: the call
	CloseNode = "a_close" // of Ask and Broken: the agent's last task
	ServeNode = "a_serve" // of Serve: the worker's task
	BrokenAt  = "n_break" // of Broken: the script that fails
)

// Message is what a case of Serve tells the case of Ask that has called it.
const Message = "scene.done"

// document is a BPMN document of a process that begins with s, goes on by the flow
// first and as body says, and ends with e.
func document(key, declared, first, body string) string {
	head := fmt.Sprintf(`<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:spms="https://openspms.org/schema/bpmn/1.0"
		xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="d" targetNamespace="scene">
		<bpmn:message id="m.done" name="scene.done"><bpmn:extensionElements><spms:correlation>case.ref</spms:correlation></bpmn:extensionElements></bpmn:message>
		<bpmn:process id=%[1]q name=%[1]q isExecutable="true">
		<bpmn:extensionElements><spms:process key=%[1]q nameEn=%[1]q serviceType="telecom" calendar="cn-statutory"/>%[2]s</bpmn:extensionElements>`, key, declared)
	return head + node("startEvent", "s", "", `<spms:event name="agent.requested" on="enter"/>`, "", first) + body +
		node("endEvent", "e", "", `<spms:event name="agent.answered" on="enter"/>`, "") + `</bpmn:process></bpmn:definitions>`
}

// node is an element with its extensions and content, and the flows out of it, each
// ID:TARGET. Tasks of people are for agents.
func node(kind, id, attributes, extensions, content string, out ...string) string {
	task := ""
	var outgoing, flows strings.Builder
	if kind == "userTask" {
		task = ` role="agent"`
	}
	if topic, ok := strings.CutPrefix(attributes, "topic="); ok {
		task, attributes = fmt.Sprintf(` topic=%q`, topic), ""
	}
	for _, f := range out {
		name, to, _ := strings.Cut(f, ":")
		fmt.Fprintf(&outgoing, `<bpmn:outgoing>%s</bpmn:outgoing>`, name)
		fmt.Fprintf(&flows, `<bpmn:sequenceFlow id=%q sourceRef=%q targetRef=%q/>`, name, id, to)
	}
	return fmt.Sprintf(`<bpmn:%[1]s id=%[2]q name=%[2]q %[3]s><bpmn:extensionElements><spms:task nameEn=%[2]q stage="demand"%[4]s/>%[5]s</bpmn:extensionElements>%[6]s%[7]s</bpmn:%[1]s>%[8]s`,
		kind, id, attributes, task, extensions, outgoing.String(), content, flows.String())
}

const (
	countVariable    = `<spms:variable name="n.count" type="int" labelZh="计数" labelEn="Count" default="0"/>`
	refVariable      = `<spms:variable name="case.ref" type="string" labelZh="编号" labelEn="Reference" input="true" required="true"/>`
	divisorVariables = `<spms:variable name="calc.divisor" type="int" labelZh="除数" labelEn="Divisor" input="true" required="true"/>` +
		`<spms:variable name="calc.result" type="int" labelZh="结果" labelEn="Result"/>`
	record      = `<spms:evidence kind="记录" media="text" required="false"/>`
	doneMessage = `<bpmn:messageEventDefinition messageRef="m.done"/>`
)

// Watch counts by a timer, every two hours for a day, while a person has a task.
func Watch(key string) string {
	return document(key, countVariable, "f0:a_watch",
		node("userTask", "a_watch", "", record, "", "f1:e")+
			node("boundaryEvent", "b_look", `attachedToRef="a_watch" cancelActivity="false"`, "", timer("timeCycle", "R12/PT2H"), "f2:n_look")+
			node("scriptTask", "n_look", `scriptFormat="CEL"`, `<spms:result variable="n.count"/>`, `<bpmn:script>n.count + 1</bpmn:script>`, "f3:e_look")+
			node("endEvent", "e_look", "", "", ""))
}

// Ask calls a case of another process, beside waiting for its message, and calls again
// when there is no answer in ten days; then an agent closes it. Its variable case.ref is
// what the message is known by.
func Ask(key, called string) string {
	return document(key, refVariable, "f0:g_both",
		node("parallelGateway", "g_both", "", "", "", "f1:g_again", "f2:m_done")+
			node("exclusiveGateway", "g_again", "", "", "", "f3:"+AskNode)+
			node("callActivity", AskNode, fmt.Sprintf("calledElement=%q", called), "", "", "f4:g_all")+
			node("boundaryEvent", "b_late", fmt.Sprintf(`attachedToRef=%q cancelActivity="true"`, AskNode), "", timer("timeDuration", "P10D"), "f5:g_again")+
			node("intermediateCatchEvent", "m_done", "", "", doneMessage, "f6:g_all")+
			node("parallelGateway", "g_all", "", "", "", "f7:"+CloseNode)+
			node("userTask", CloseNode, "", record, "", "f8:e"))
}

// Serve is what Ask calls: a task for a worker of a topic, then the message.
func Serve(key, topic string) string {
	return document(key, refVariable, "f0:"+ServeNode,
		node("serviceTask", ServeNode, "topic="+topic, "", "", "f1:m_told")+
			node("intermediateThrowEvent", "m_told", "", "", doneMessage, "f2:e"))
}

// Broken divides by its variable calc.divisor, which fails while it is 0, before an agent
// closes it.
func Broken(key string) string {
	return document(key, divisorVariables, "f0:"+BrokenAt,
		node("scriptTask", BrokenAt, `scriptFormat="CEL"`, `<spms:result variable="calc.result"/>`, `<bpmn:script>10 / calc.divisor</bpmn:script>`, "f1:"+CloseNode)+
			node("userTask", CloseNode, "", record, "", "f2:e"))
}

func timer(kind, text string) string {
	return fmt.Sprintf(`<bpmn:timerEventDefinition><bpmn:%[1]s xsi:type="bpmn:tFormalExpression">%[2]s</bpmn:%[1]s></bpmn:timerEventDefinition>`, kind, text)
}
