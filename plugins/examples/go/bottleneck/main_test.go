package main

import (
	"testing"

	"github.com/openspms/spms/plugins/sdk/plugintest"
)

func TestContract(t *testing.T) {
	plugintest.Run(t, plugin)
}
