package main

import (
	"testing"

	"github.com/openspms/spms/plugins/sdk/plugintest"
)

func TestContract(t *testing.T) {
	plugintest.Run(t, plugin, plugintest.Sample{
		Config: `{"openHour":8,"slots":6,"slotMinutes":90}`,
		Inputs: []string{`{"wish":"2026-01-06T10:00:00+08:00"}`, `{}`},
	})
}
