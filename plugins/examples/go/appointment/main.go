// Command appointment is a module that books a visit: the first working slot
// after the wish of the customer. It shows how a module is written and stands
// apart from the house; the slots come from the configuration alone.
package main

import (
	"context"
	"time"

	"github.com/openspms/spms/plugins/sdk"
)

var plugin = sdk.Plugin{
	Name: "appointment", Version: "1.0.0", Module: booking{},
	ConfigSchema: `{"type":"object","properties":{
		"openHour":{"type":"integer","minimum":0,"maximum":23},
		"slots":{"type":"integer","minimum":1,"maximum":12},
		"slotMinutes":{"type":"integer","minimum":15,"maximum":120}}}`,
	Metrics: []sdk.Metric{{Name: "wait_minutes", Unit: "min", Description: "from the wish to the visit"}},
}

type booking struct{}

// Execute books the first slot that is not before the wish.
func (booking) Execute(_ context.Context, call *sdk.Call) (sdk.Outcome, error) {
	in := struct{ Wish time.Time }{Wish: call.Now}
	config := struct{ OpenHour, Slots, SlotMinutes int }{9, 8, 60}
	if err := call.Bind(&in, &config); err != nil {
		return sdk.Outcome{}, err
	}
	if in.Wish.Before(call.Now) {
		return sdk.Fail("WISH_PAST", "the wish lies in the past"), nil
	}
	for day := range 2 {
		open := time.Date(in.Wish.Year(), in.Wish.Month(), in.Wish.Day()+day, config.OpenHour, 0, 0, 0, in.Wish.Location())
		for slot := range config.Slots {
			at := open.Add(time.Duration(slot*config.SlotMinutes) * time.Minute)
			if !at.Before(in.Wish) {
				return sdk.Complete(map[string]any{"visit": at}).With("wait_minutes", at.Sub(in.Wish).Minutes()), nil
			}
		}
	}
	return sdk.Retry("NO_SLOT", "no slot is free on either day"), nil
}

func main() { sdk.Serve(plugin) }
