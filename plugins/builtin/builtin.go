// Package builtin holds the plugins that ship with the product: strategies, modules
// and a scorer, written with the same SDK as any other and run like any other, each in
// a process of its own that the host starts from this very program. Its main type is
// Shipped. It knows the contract and nothing of the house.
package builtin

import (
	"fmt"
	"os"

	"github.com/openspms/spms/plugins/builtin/appointment"
	"github.com/openspms/spms/plugins/builtin/assignment"
	"github.com/openspms/spms/plugins/builtin/precheck"
	"github.com/openspms/spms/plugins/builtin/resequence"
	"github.com/openspms/spms/plugins/builtin/smsnotice"
	"github.com/openspms/spms/plugins/builtin/staffing"
	"github.com/openspms/spms/plugins/sdk"
)

// Shipped is one plugin of the product with what a manifest says beside its identity.
type Shipped struct {
	sdk.Plugin
	TitleZh, TitleEn string
	Topics           []string // of the service tasks that a module carries out
	Outputs          string   // JSON Schema of a module's outputs
}

// All are the plugins of this program.
func All() []Shipped {
	return []Shipped{
		{Plugin: appointment.Plugin, TitleZh: "预约时段", TitleEn: "Appointment slots", Topics: []string{"appointment.slots"}, Outputs: appointment.Outputs},
		{Plugin: precheck.Plugin, TitleZh: "远程预检", TitleEn: "Remote pre-check", Topics: []string{"line.precheck"}, Outputs: precheck.Outputs},
		{Plugin: smsnotice.Plugin, TitleZh: "短信通知", TitleEn: "SMS notice", Topics: []string{"notice.send", "survey.send"}, Outputs: smsnotice.Outputs},
		{Plugin: staffing.Plugin, TitleZh: "人员配置", TitleEn: "Staffing"},
		{Plugin: resequence.Plugin, TitleZh: "步骤顺序优化", TitleEn: "Order of steps"},
		{Plugin: assignment.Plugin, TitleZh: "按时限派单与排序", TitleEn: "Earliest clock first"},
	}
}

// Variable makes the program serve the plugin that it names instead of being the product.
const Variable = "SPMS_SHIPPED_PLUGIN"

// Main serves a plugin of the program, and does not return then, when a host has
// started the process for that. Otherwise it returns at once.
func Main() {
	name := os.Getenv(Variable)
	if name == "" {
		return
	}
	for _, p := range All() {
		if p.Name == name {
			sdk.Serve(p.Plugin)
			os.Exit(0)
		}
	}
	fmt.Fprintln(os.Stderr, "plugin:", name, "is not part of this program")
	os.Exit(2)
}
