package definition

import (
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// supported finds elements that the engine can play but whose effects outside
// the case are not carried out: a call of another process, and messages and
// signals thrown to other cases. They are refused rather than lost.
func supported(m *model.Model) []model.Finding {
	var out []model.Finding
	for i := range m.Nodes {
		n := &m.Nodes[i]
		throws := (n.Type == bpmn.IntermediateThrowEvent || n.Type == bpmn.EndEvent) &&
			(n.Kind == bpmn.MessageEvent || n.Kind == bpmn.SignalEvent)
		if throws || n.Type == bpmn.CallActivity || n.Type == bpmn.SendTask {
			out = append(out, model.Finding{
				Code: "ELEMENT_NOT_CARRIED_OUT", Severity: model.SeverityError, Elements: []string{n.ID},
				Params: []fault.Param{fault.P("type", string(n.Type))},
			})
		}
	}
	return out
}
