package sdk

import "embed"

// Source is the SDK itself, from which a new plugin is given its own copy: it builds
// at once, without a network and before any release.
//
//go:embed *.go go.mod go.sum pluginv1/*.go plugintest/*.go
var Source embed.FS
