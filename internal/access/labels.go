package access

// actionLabels are the names of the actions for people: Chinese, English.
var actionLabels = map[Action][2]string{
	ReadNorms:       {"查看规范", "Read standards"},
	ReadProcesses:   {"查看流程", "Read processes"},
	ReadStaff:       {"查看人员", "Read staff"},
	ReadCases:       {"查看服务单", "Read cases"},
	ReadAudit:       {"查看审计", "Read the audit trail"},
	ReadTokens:      {"查看令牌", "Read API tokens"},
	DraftStandard:   {"起草规范", "Draft standards"},
	ApproveStandard: {"审批规范", "Approve standards"},
	PublishStandard: {"发布规范", "Publish standards"},
	DraftProcess:    {"设计流程", "Draft processes"},
	PublishProcess:  {"发布流程", "Publish processes"},
	BindProcess:     {"绑定区域", "Bind processes to regions"},
	KeepCalendar:    {"维护日历", "Keep calendars"},
	KeepStaff:       {"维护人员", "Keep staff"},
	AssignRole:      {"分配角色", "Assign roles"},
	Qualify:         {"授予资质", "Grant qualifications"},
	KeepTokens:      {"维护接口令牌", "Keep API tokens"},
	ReadPlugins:     {"查看插件", "See plugins"},
	UploadPlugin:    {"上传插件", "Upload and test plugins"},
	ApprovePlugin:   {"批准插件", "Approve and revoke plugins"},
	AssignPlugin:    {"分配插件", "Assign plugins to regions"},
	Optimize:        {"发起流程优化", "Let strategies propose changes"},
	StartCase:       {"受理建单", "Start cases"},
	CancelCase:      {"撤销服务单", "Cancel cases"},
	SendMessage:     {"发送消息", "Send messages"},
	WorkTask:        {"处理任务", "Work on tasks"},
	AssignTask:      {"派单", "Assign tasks"},
	UrgeTask:        {"催办", "Urge tasks"},
	MigrateCases:    {"迁移服务单", "Migrate cases"},
	PauseClock:      {"暂停计时", "Pause clocks"},
	ResolveFailure:  {"处理技术异常", "Resolve failures"},
}

// Label returns the action's name in Chinese and English; an unknown action is
// named by its own word.
func (a Action) Label() (zh, en string) {
	if l, ok := actionLabels[a]; ok {
		return l[0], l[1]
	}
	return string(a), string(a)
}
