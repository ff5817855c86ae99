package access

import "slices"

// The actions. Reads select rows, the others guard mutations.
const (
	ReadNorms     Action = "norm.read"    // regions, calendars, standards, clauses, indicators
	ReadProcesses Action = "process.read" // processes, versions, bindings
	ReadStaff     Action = "staff.read"   // people, roles, qualifications, units, pools
	ReadCases     Action = "case.read"    // cases and all that belongs to them
	ReadAudit     Action = "audit.read"
	ReadTokens    Action = "token.read"
	ReadPlugins   Action = "plugin.read" // plugins, their versions, assignments and runs

	DraftStandard   Action = "standard.draft"
	ApproveStandard Action = "standard.approve"
	PublishStandard Action = "standard.publish"
	DraftProcess    Action = "process.draft"
	PublishProcess  Action = "process.publish"
	BindProcess     Action = "process.bind"
	KeepCalendar    Action = "calendar.write"
	KeepStaff       Action = "staff.write"
	AssignRole      Action = "role.assign"
	Qualify         Action = "qualification.grant"
	KeepTokens      Action = "token.write"

	UploadPlugin  Action = "plugin.upload"    // upload and test
	ApprovePlugin Action = "plugin.approve"   // approve, deprecate and revoke
	AssignPlugin  Action = "plugin.assign"    // assign to regions, roll back, end
	Optimize      Action = "process.optimize" // let strategies propose changes of processes

	StartCase      Action = "case.start"
	CancelCase     Action = "case.cancel"
	SendMessage    Action = "message.send"
	WorkTask       Action = "task.work" // claim, start, release, complete tasks of a role one holds
	AssignTask     Action = "task.assign"
	UrgeTask       Action = "task.urge"
	MigrateCases   Action = "case.migrate" // move running cases to another version
	PauseClock     Action = "clock.pause"
	ResolveFailure Action = "failure.resolve"
)

// Actions lists every action, reads first.
var Actions = []Action{
	ReadNorms, ReadProcesses, ReadStaff, ReadCases, ReadAudit, ReadTokens, ReadPlugins,
	DraftStandard, ApproveStandard, PublishStandard, DraftProcess, PublishProcess, BindProcess, KeepCalendar,
	KeepStaff, AssignRole, Qualify, KeepTokens, UploadPlugin, ApprovePlugin, AssignPlugin, Optimize,
	StartCase, CancelCase, SendMessage, WorkTask, AssignTask, UrgeTask, PauseClock, ResolveFailure, MigrateCases,
}

// The roles. Administration first, then those who work in cases.
const (
	SystemAdmin   Role = "system_admin"
	StandardAdmin Role = "standard_admin"
	ProvinceAdmin Role = "province_admin"
	Dispatcher    Role = "dispatcher"
	TeamLead      Role = "team_lead"
	Agent         Role = "agent"
	Technician    Role = "technician"
	Quality       Role = "quality"
	Supervisor    Role = "supervisor"
	Auditor       Role = "auditor"
	Integration   Role = "integration"
)

// Definition is one role of the fixed table.
type Definition struct {
	Role   Role
	Zh, En string
	May    []Action
}

var (
	reader = []Action{ReadNorms, ReadProcesses}
	worker = append(slices.Clone(reader), ReadCases, WorkTask, SendMessage)
)

func and(base []Action, more ...Action) []Action { return append(slices.Clone(base), more...) }

// crew are the roles that only work on tasks: code, Chinese, English.
var crew = [][3]string{
	{"storekeeper", "仓管员", "Storekeeper"},
	{"line_crew", "线路整治班", "Line crew"},
	{"construction", "扩容施工队", "Construction crew"},
	{"net_engineer", "网优工程师", "Network engineer"},
	{"field_crew", "基站维护队", "Field crew"},
	{"billing", "账务专员", "Billing clerk"},
	{"l2", "省公司投诉督办", "Second-line complaint handler"},
	{"appeal", "申诉协调专员", "Appeal coordinator"},
	{"improve", "服务改进经理", "Service improvement manager"},
	{"account", "客户经理", "Account manager"},
	{"solution", "解决方案工程师", "Solution engineer"},
	{"approver", "审批经理", "Approver"},
	{"pm", "交付项目经理", "Delivery project manager"},
	{"access", "接入施工队", "Access crew"},
	{"core", "传输/IP工程师", "Transport and IP engineer"},
	{"procure", "物资采购", "Procurement"},
	{"assure", "服务保障经理", "Service assurance manager"},
}

// Definitions is the table of roles and what each may do. It is fixed: a region
// gives people roles, it does not invent rights.
var Definitions = define()

func define() []Definition {
	defs := []Definition{
		{SystemAdmin, "系统管理员", "System administrator", slices.Clone(Actions)},
		{StandardAdmin, "总部规范管理员", "Headquarters standard administrator", and(reader,
			ReadAudit, DraftStandard, ApproveStandard, PublishStandard, DraftProcess, PublishProcess, BindProcess, KeepCalendar)},
		{ProvinceAdmin, "省管理员", "Province administrator", and(reader, ReadStaff, ReadCases, ReadAudit, ReadPlugins, UploadPlugin, ApprovePlugin, AssignPlugin, Optimize,
			DraftStandard, ApproveStandard, PublishStandard, DraftProcess, PublishProcess, BindProcess,
			KeepStaff, AssignRole, Qualify, CancelCase, ResolveFailure, AssignTask, UrgeTask, PauseClock, MigrateCases)},
		{Dispatcher, "调度", "Dispatcher", and(worker, ReadStaff, AssignTask, UrgeTask, PauseClock)},
		{TeamLead, "班长", "Team leader", and(worker, ReadStaff, AssignTask, UrgeTask, PauseClock, Qualify, ResolveFailure)},
		{Agent, "客服", "Agent", and(worker, StartCase, CancelCase, UrgeTask)},
		{Technician, "装维工程师", "Field technician", slices.Clone(worker)},
		{Quality, "质检", "Quality specialist", and(worker, ReadStaff, UrgeTask)},
		{Supervisor, "督办", "Supervisor", and(reader, ReadCases, ReadStaff, ReadAudit, ReadPlugins, UrgeTask, PauseClock, ResolveFailure, SendMessage)},
		{Auditor, "只读审计", "Read-only auditor", and(reader, ReadStaff, ReadCases, ReadAudit, ReadPlugins)},
		{Integration, "系统接口", "System interface", and(worker, StartCase)},
	}
	for _, c := range crew {
		defs = append(defs, Definition{Role(c[0]), c[1], c[2], slices.Clone(worker)})
	}
	return defs
}

var byRole = func() map[Role]Definition {
	m := make(map[Role]Definition, len(Definitions))
	for _, d := range Definitions {
		m[d.Role] = d
	}
	return m
}()

// Lookup returns the definition of a role, and false for an unknown one.
func Lookup(r Role) (Definition, bool) {
	d, ok := byRole[r]
	return d, ok
}

// Allows reports whether the role may do a; an unknown role may do nothing.
func (r Role) Allows(a Action) bool { return slices.Contains(byRole[r].May, a) }
