package graph

import (
	"context"
	"maps"
	"slices"

	"github.com/openspms/spms/graph/model"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
)

// term is one value of a list with its labels.
type term struct{ value, zh, en string }

// vocabulary is the labels of every enum of GraphQL that this room states, by
// the enum's name; the lists of roles, actions and norm words are added to it.
var vocabulary = map[string][]term{
	"RegionLevel":                  {{"headquarters", "总部", "Headquarters"}, {"province", "省", "Province"}, {"city", "市", "City"}, {"county", "县", "County"}},
	"RegionArea":                   {{"any", "不限", "Any"}, {"urban", "城镇", "Urban"}, {"rural", "农村", "Rural"}},
	"CalendarKind":                 {{"statutory", "法定日历", "Statutory calendar"}, {"hours", "营业时间", "Opening hours"}},
	"ClausePolicy":                 {{"pinned", "沿用旧版", "Pinned"}, {"immediate", "立即适用", "Immediate"}},
	"StandardAuthority":            {{"law", "法律", "Law"}, {"administrative_regulation", "行政法规", "Administrative regulation"}, {"ministry_rule", "部门规章", "Ministry rule"}, {"local_regulation", "地方性法规", "Local regulation"}, {"industry", "行业标准", "Industry standard"}, {"enterprise", "企业标准", "Enterprise standard"}},
	"StandardVersionState":         {{"draft", "草稿", "Draft"}, {"in_review", "审核中", "In review"}, {"approved", "已批准", "Approved"}, {"published", "已发布", "Published"}, {"superseded", "已替代", "Superseded"}, {"withdrawn", "已废止", "Withdrawn"}},
	"ProcessVersionState":          {{"draft", "草稿", "Draft"}, {"in_review", "审核中", "In review"}, {"published", "已发布", "Published"}, {"retired", "已停用", "Retired"}},
	"ServiceCaseState":             {{"active", "进行中", "Active"}, {"completed", "已办结", "Completed"}, {"cancelled", "已撤销", "Cancelled"}},
	"TaskKind":                     {{"human", "人工任务", "Human task"}, {"service", "系统任务", "Service task"}},
	"ClockState":                   {{"running", "计时中", "Running"}, {"paused", "已暂停", "Paused"}, {"met", "已达标", "Met"}, {"breached", "已超时", "Breached"}, {"cancelled", "已取消", "Cancelled"}},
	"TimerRowState":                {{"waiting", "等待中", "Waiting"}, {"fired", "已触发", "Fired"}, {"cancelled", "已取消", "Cancelled"}},
	"FailureState":                 {{"open", "未处理", "Open"}, {"retried", "已重试", "Retried"}, {"skipped", "已跳过", "Skipped"}, {"moved", "已移动", "Moved"}, {"ended", "已终止", "Ended"}},
	"PluginVersionState":           {{"verified", "已验签", "Verified"}, {"tested", "已测试", "Tested"}, {"approved", "已批准", "Approved"}, {"deprecated", "不再新用", "Deprecated"}, {"revoked", "已吊销", "Revoked"}},
	"PluginVersionTestState":       {{"none", "未测试", "Not tested"}, {"queued", "排队中", "Queued"}, {"running", "测试中", "Running"}, {"done", "已完成", "Done"}, {"lost", "未完成", "Lost"}},
	"PluginAssignmentState":        {{"active", "生效中", "Active"}, {"ended", "已结束", "Ended"}},
	"PluginAssignmentMode":         {{"shadow", "旁路", "Shadow"}, {"pilot", "试点", "Pilot"}, {"full", "全量", "Full"}},
	"PluginAssignmentPreviousMode": {{"none", "无", "None"}, {"shadow", "旁路", "Shadow"}, {"pilot", "试点", "Pilot"}, {"full", "全量", "Full"}},
	"PluginAssignmentFallback":     {{"human", "转人工", "People do it"}, {"previous", "用上一版本", "The version before does it"}, {"fail", "转异常处理", "It fails"}},
	"PluginRunMode":                {{"shadow", "旁路", "Shadow"}, {"pilot", "试点", "Pilot"}, {"full", "全量", "Full"}},
	"PluginRunOutcome":             {{"running", "运行中", "Running"}, {"completed", "已完成", "Completed"}, {"waiting", "等待消息", "Waiting"}, {"retry", "将重试", "To be tried again"}, {"failed", "失败", "Failed"}, {"violated", "违反约定", "Broke the contract"}, {"lost", "结果丢失", "Lost"}},
	"BatchState":                   {{"queued", "排队中", "Queued"}, {"running", "执行中", "Running"}, {"done", "已完成", "Done"}, {"cancelled", "已取消", "Cancelled"}, {"failed", "失败", "Failed"}},
	"BatchAction":                  {{"retry", "重试", "Retry"}, {"skip", "跳过", "Skip"}, {"move", "移动令牌", "Move the token"}, {"set_variables", "修改变量", "Set variables"}, {"cancel", "撤销服务单", "Cancel the case"}, {"migrate", "迁移服务单", "Migrate the case"}},
	"BatchItemOutcome":             {{"waiting", "待处理", "Waiting"}, {"succeeded", "成功", "Succeeded"}, {"refused", "已拒绝", "Refused"}},
	"NoticeState":                  {{"queued", "待发送", "Queued"}, {"sent", "已发送", "Sent"}, {"failed", "发送失败", "Failed"}, {"cancelled", "已取消", "Cancelled"}},
	"OptimizationRunReplay":        {{"none", "非重放", "No repetition"}, {"pending", "重放中", "Pending"}, {"same", "一致", "Same"}, {"log_differs", "日志不同", "Another log"}, {"result_differs", "结果不同", "Another result"}},
	"OptimizationRunState":         {{"queued", "排队中", "Queued"}, {"running", "运行中", "Running"}, {"done", "已完成", "Done"}, {"failed", "失败", "Failed"}},
	"ProposalState":                {{"open", "待决定", "Open"}, {"adopted", "已采纳", "Adopted"}, {"declined", "已搁置", "Declined"}},
	"TaskSigningMode":              {{"all", "会签", "All sign"}, {"any", "或签", "Any one signs"}},
	"TaskSignerPlace":              {{"before", "前加签", "Before the assignee"}, {"beside", "并加签", "Beside the assignee"}, {"after", "后加签", "After the assignee"}},
	"TaskSignerState":              {{"asked", "待签核", "Asked"}, {"agreed", "同意", "Agreed"}, {"refused", "不同意", "Refused"}, {"removed", "已减签", "Removed"}},
	"taskAction": {
		{"assign", "派单", "Dispatched"},
		{"delegate", "委派", "Delegated"},
		{"delegate_done", "委派办结", "Delegated work done"},
		{"transfer", "转办", "Transferred"},
		{"return", "退回", "Returned"},
		{"reject", "退单", "Rejected"},
		{"withdraw", "撤回", "Withdrawn"},
		{"urge", "催办", "Urged"},
		{"escalate", "超时升级", "Escalated"},
		{"divert", "转人工", "Given to people"},
		{"add_signer", "加签", "Signer added"},
		{"remove_signer", "减签", "Signer removed"},
		{"submit", "提交签核", "Handed in for signatures"},
		{"agree", "同意", "Agreed"},
		{"refuse", "不同意", "Refused"},
	},
	"AuditEntryOutcome": {{"applied", "已执行", "Applied"}, {"refused", "已拒绝", "Refused"}},
	"OrderDirection":    {{"ASC", "升序", "Ascending"}, {"DESC", "降序", "Descending"}},
	"stage":             {{"demand", "需求识别与评估", "Demand"}, {"design", "服务方案设计", "Design"}, {"delivery", "服务交付与实施", "Delivery"}, {"followup", "服务后续管理", "Follow-up"}, {"satisfaction", "客户满意度评估与反馈", "Satisfaction"}},
	"severity":          {{"error", "错误", "Error"}, {"warning", "警告", "Warning"}, {"note", "提示", "Note"}},
	"party":             {{"customer", "用户侧", "Customer"}, {"operator", "企业侧", "Operator"}, {"third_party", "第三方", "Third party"}},
	"clockMove":         {{execution.ByStandard, "标准立即适用", "A clause that applies at once"}, {execution.ByCalendar, "日历公布", "A year that was announced"}},
	"media":             {{"text", "文字", "Text"}, {"number", "数值", "Number"}, {"photo", "照片", "Photo"}, {"location", "定位", "Location"}, {"document", "文件", "Document"}},
}

// lists returns every list of labelled values in a fixed order of their names.
func lists() map[string][]term {
	out := make(map[string][]term, len(vocabulary)+8)
	for name, terms := range vocabulary {
		out[name] = terms
	}
	for _, a := range access.Actions {
		zh, en := a.Label()
		out["action"] = append(out["action"], term{string(a), zh, en})
	}
	for _, state := range execution.TaskStates {
		l := execution.StateLabel(state)
		out["TaskState"] = append(out["TaskState"], term{string(state), l.ZH, l.EN})
	}
	for _, d := range access.Definitions {
		out["role"] = append(out["role"], term{string(d.Role), d.Zh, d.En})
	}
	for name, labels := range norm.Labels {
		for _, l := range labels {
			out[name] = append(out[name], term{l.Word, l.Text.ZH, l.Text.EN})
		}
	}
	return out
}

// labelsOf lists labelled values; only names one list.
func labelsOf(ctx context.Context, only *string) []*model.CodeLabel {
	all := lists()
	var out []*model.CodeLabel
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if only != nil && *only != name {
			continue
		}
		for _, t := range all[name] {
			out = append(out, &model.CodeLabel{List: name, Value: t.value, Label: label(ctx, t.zh, t.en)})
		}
	}
	return out
}

// errorCodes lists the catalogue of error codes.
func errorCodes() []*model.ErrorCode {
	codes := fault.Codes()
	out := make([]*model.ErrorCode, 0, len(codes))
	for _, c := range codes {
		out = append(out, &model.ErrorCode{Code: c.Code, Zh: c.ZH, En: c.EN})
	}
	return out
}

// roleDefinitions lists the fixed table of roles.
func roleDefinitions(ctx context.Context) []*model.RoleDefinition {
	out := make([]*model.RoleDefinition, 0, len(access.Definitions))
	for _, d := range access.Definitions {
		actions := make([]string, 0, len(d.May))
		for _, a := range d.May {
			actions = append(actions, string(a))
		}
		out = append(out, &model.RoleDefinition{Role: string(d.Role), Zh: d.Zh, En: d.En, Label: label(ctx, d.Zh, d.En), Actions: actions})
	}
	return out
}
