package norm

// The closed word lists of the pack files. Every word has its labels in Labels,
// and the table in docs/standards.md says where it comes from.

// Authority says who gave a norm its force.
type Authority string

// The values of Authority.
const (
	Law                      Authority = "law"
	AdministrativeRegulation Authority = "administrative_regulation"
	MinistryRule             Authority = "ministry_rule"
	LocalRegulation          Authority = "local_regulation"
	Industry                 Authority = "industry"
	Enterprise               Authority = "enterprise"
)

// Policy is what running cases do when a clause changes.
type Policy string

// The values of Policy.
const (
	Pinned    Policy = "pinned"
	Immediate Policy = "immediate"
)

// Kind is the subject of an indicator.
type Kind string

// The values of Kind.
const (
	ServiceQuality       Kind = "service_quality"
	CommunicationQuality Kind = "communication_quality"
	ComplaintDeadline    Kind = "complaint_deadline"
	Notice               Kind = "notice"
	Guard                Kind = "guard"
	TariffGuard          Kind = "tariff_guard"
	Compensation         Kind = "compensation"
	Retention            Kind = "retention"
	EnterprisePledge     Kind = "enterprise_pledge"
)

// Nature says what object an indicator is: a clock on each case, or a figure.
type Nature string

// The values of Nature.
const (
	NatureLimit        Nature = "limit"
	NaturePledge       Nature = "pledge"
	NatureFloor        Nature = "floor"
	NatureTarget       Nature = "target"
	NatureMeasurement  Nature = "measurement"
	NatureThreshold    Nature = "threshold"
	NatureCompensation Nature = "compensation"
	NatureDuty         Nature = "duty"
)

// Statistic says over what an indicator is judged.
type Statistic string

// The values of Statistic.
const (
	Max        Statistic = "max"
	Min        Statistic = "min"
	Mean       Statistic = "mean"
	Rate       Statistic = "rate"
	Percentile Statistic = "percentile"
	Threshold  Statistic = "threshold"
	PerDay     Statistic = "per_day"
	PerEvent   Statistic = "per_event"
)

// Comparator compares a figure with an indicator's value.
type Comparator string

// The values of Comparator.
const (
	AtMost  Comparator = "<="
	Below   Comparator = "<"
	AtLeast Comparator = ">="
	Above   Comparator = ">"
	Exactly Comparator = "="
)

// Unit is the unit of an indicator's value.
type Unit string

// The values of Unit.
const (
	Second             Unit = "s"
	Minute             Unit = "min"
	Hour               Unit = "h"
	Day                Unit = "day"
	Week               Unit = "week"
	WorkingDay         Unit = "working_day"
	Month              Unit = "month"
	Ratio              Unit = "ratio"
	TimesMean3Months   Unit = "times_3_month_average"
	OfInstallFeePerDay Unit = "of_install_fee_per_day"
	OfArrearsPerDay    Unit = "of_arrears_per_day"
	CNY                Unit = "CNY"
	GBP                Unit = "GBP"
	EUR                Unit = "EUR"
)

// Basis is how time is counted, or why it is not.
type Basis string

// The values of Basis.
const (
	Elapsed            Basis = "elapsed"
	CalendarDays       Basis = "calendar_days"
	WorkingDays        Basis = "working_days"
	CalendarMonths     Basis = "calendar_months"
	SameDay            Basis = "same_day"
	NextHour           Basis = "next_hour"
	WithoutDelay       Basis = "without_delay"
	NetworkMeasurement Basis = "network_measurement"
	NoCount            Basis = "none"
)

// Verification says how well a value is known.
type Verification string

// The values of Verification.
const (
	OfficialText Verification = "official_text"
	Page         Verification = "page"
	Secondary    Verification = "secondary"
	Own          Verification = "own"
)

// RuleOn is what a rule looks at.
type RuleOn string

// The values of RuleOn.
const (
	OnDefinition RuleOn = "definition"
	OnCase       RuleOn = "case"
)

// Result is what follows when a rule does not hold.
type Result string

// The values of Result.
const (
	Allow Result = "allow"
	Block Result = "block"
	Flag  Result = "flag"
)

// Label is one word of a list and its text.
type Label struct {
	Word string
	Text Text
}

// Labels lists every word of every closed list with its texts, keyed by the
// name of the type, in the order of the constants. Callers must not change it.
var Labels = map[string][]Label{
	"Authority": {
		{string(Law), Text{"法律", "Law"}},
		{string(AdministrativeRegulation), Text{"行政法规", "Administrative regulation"}},
		{string(MinistryRule), Text{"部门规章", "Ministry rule"}},
		{string(LocalRegulation), Text{"地方性法规", "Local regulation"}},
		{string(Industry), Text{"行业规范", "Industry standard"}},
		{string(Enterprise), Text{"企业标准", "Enterprise standard"}},
	},
	"Policy": {
		{string(Pinned), Text{"在途沿用旧版", "Running cases keep the old text"}},
		{string(Immediate), Text{"立即适用", "Applies at once"}},
	},
	"Kind": {
		{string(ServiceQuality), Text{"服务质量", "Service quality"}},
		{string(CommunicationQuality), Text{"通信质量", "Communication quality"}},
		{string(ComplaintDeadline), Text{"投诉申诉时限", "Complaint deadline"}},
		{string(Notice), Text{"告知义务", "Notice"}},
		{string(Guard), Text{"权利保障", "Guard"}},
		{string(TariffGuard), Text{"资费保障", "Tariff guard"}},
		{string(Compensation), Text{"赔偿", "Compensation"}},
		{string(Retention), Text{"保存期限", "Retention"}},
		{string(EnterprisePledge), Text{"企业承诺", "Enterprise pledge"}},
	},
	"Nature": {
		{string(NatureLimit), Text{"时限", "Limit"}},
		{string(NaturePledge), Text{"承诺", "Pledge"}},
		{string(NatureFloor), Text{"最早期限", "Not before"}},
		{string(NatureTarget), Text{"目标", "Target"}},
		{string(NatureMeasurement), Text{"网络测量", "Network measurement"}},
		{string(NatureThreshold), Text{"触发门槛", "Threshold"}},
		{string(NatureCompensation), Text{"赔偿标准", "Compensation rate"}},
		{string(NatureDuty), Text{"即时义务", "Duty without delay"}},
	},
	"Statistic": {
		{string(Max), Text{"最长/最大", "Every case at most"}},
		{string(Min), Text{"最短/最小", "Every case at least"}},
		{string(Mean), Text{"平均", "Mean"}},
		{string(Rate), Text{"比率", "Rate"}},
		{string(Percentile), Text{"百分位", "Percentile"}},
		{string(Threshold), Text{"门槛", "Threshold"}},
		{string(PerDay), Text{"按日", "Per day"}},
		{string(PerEvent), Text{"按次", "Per event"}},
	},
	"Comparator": {
		{string(AtMost), Text{"不超过", "At most"}},
		{string(Below), Text{"小于", "Below"}},
		{string(AtLeast), Text{"不低于", "At least"}},
		{string(Above), Text{"大于", "Above"}},
		{string(Exactly), Text{"等于", "Exactly"}},
	},
	"Unit": {
		{string(Second), Text{"秒", "seconds"}},
		{string(Minute), Text{"分钟", "minutes"}},
		{string(Hour), Text{"小时", "hours"}},
		{string(Day), Text{"日", "days"}},
		{string(Week), Text{"周", "weeks"}},
		{string(WorkingDay), Text{"工作日", "working days"}},
		{string(Month), Text{"个月", "months"}},
		{string(Ratio), Text{"比率", "ratio"}},
		{string(TimesMean3Months), Text{"前三个月平均值的倍数", "times the mean of three months"}},
		{string(OfInstallFeePerDay), Text{"装机费/日", "of the installation fee per day"}},
		{string(OfArrearsPerDay), Text{"欠费额/日", "of the arrears per day"}},
		{string(CNY), Text{"元", "CNY"}},
		{string(GBP), Text{"英镑", "GBP"}},
		{string(EUR), Text{"欧元", "EUR"}},
	},
	"Basis": {
		{string(Elapsed), Text{"连续计时", "Elapsed time"}},
		{string(CalendarDays), Text{"自然日", "Calendar days"}},
		{string(WorkingDays), Text{"工作日", "Working days"}},
		{string(CalendarMonths), Text{"自然月", "Calendar months"}},
		{string(SameDay), Text{"当日", "Same day"}},
		{string(NextHour), Text{"下一整点", "Next whole hour"}},
		{string(WithoutDelay), Text{"立即", "Without delay"}},
		{string(NetworkMeasurement), Text{"网络测量", "Network measurement"}},
		{string(NoCount), Text{"不计时", "Not counted"}},
	},
	"Verification": {
		{string(OfficialText), Text{"官方文本", "Official text"}},
		{string(Page), Text{"网页", "Page"}},
		{string(Secondary), Text{"二手来源,待核实", "Secondary, to be verified"}},
		{string(Own), Text{"本企业制定", "Own decision"}},
	},
	"RuleOn": {
		{string(OnDefinition), Text{"流程定义", "Process definition"}},
		{string(OnCase), Text{"服务单", "Case"}},
	},
	"Result": {
		{string(Allow), Text{"放行", "Allow"}},
		{string(Block), Text{"阻止", "Block"}},
		{string(Flag), Text{"标记", "Flag"}},
	},
}

// LabelOf returns the text of a word of a list, the word itself when it is unknown.
func LabelOf(list, word string) Text {
	for _, l := range Labels[list] {
		if l.Word == word {
			return l.Text
		}
	}
	return Text{word, word}
}

// known reports whether word belongs to a list.
func known[T ~string](list string, word T) bool {
	for _, l := range Labels[list] {
		if l.Word == string(word) {
			return true
		}
	}
	return false
}

// Clock reports whether due instants can be counted on the basis.
func (b Basis) Clock() bool {
	switch b {
	case Elapsed, CalendarDays, WorkingDays, CalendarMonths, SameDay, NextHour:
		return true
	}
	return false
}

// Time reports whether the unit measures time.
func (u Unit) Time() bool {
	switch u {
	case Second, Minute, Hour, Day, Week, WorkingDay, Month:
		return true
	}
	return false
}

// rank orders authorities from the highest, 0, down.
func (a Authority) rank() int {
	switch a {
	case Law:
		return 0
	case AdministrativeRegulation:
		return 1
	case MinistryRule:
		return 2
	case LocalRegulation:
		return 3
	case Industry:
		return 4
	}
	return 5
}
