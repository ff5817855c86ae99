package bundle

import (
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

var kinds = map[string]pluginv1.Kind{
	"module": pluginv1.Kind_KIND_MODULE, "strategy": pluginv1.Kind_KIND_STRATEGY, "scorer": pluginv1.Kind_KIND_SCORER,
}

var hexHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Check tells what is wrong with a manifest, as BUNDLE_MANIFEST with the cause.
func (m Manifest) Check() error {
	d := &pluginv1.DescribeResponse{
		Name: m.Name, Version: m.Version, ContractVersion: uint32(max(m.Contract, 0)), //nolint:gosec // small, compared below
		ConfigSchemaJson: string(m.ConfigSchema), Attributes: m.Attributes, Addresses: m.Addresses,
	}
	for _, k := range m.Kinds {
		d.Kinds = append(d.Kinds, kinds[k])
	}
	for _, x := range m.Metrics {
		d.Metrics = append(d.Metrics, &pluginv1.Metric{Name: x.Name, Unit: x.Unit, Description: x.Description, Min: x.Min, Max: x.Max})
	}
	if err := sdk.CheckIdentity(d); err != nil {
		return wrong("BUNDLE_MANIFEST", fault.P("cause", err.Error()))
	}
	if len(m.Outputs) > 0 {
		if _, err := sdk.ParseSchema(string(m.Outputs)); err != nil {
			return wrong("BUNDLE_MANIFEST", fault.P("cause", "outputs: "+err.Error()))
		}
	}
	if why := m.lists(); why != "" {
		return wrong("BUNDLE_MANIFEST", fault.P("cause", why))
	}
	return nil
}

// lists tells what is wrong with title, topics, targets and files; "" for nothing.
func (m Manifest) lists() string {
	module := slices.Contains(m.Kinds, "module")
	switch {
	case m.Title.Zh == "" && m.Title.En == "":
		return "a title is missing"
	case module && len(m.Topics) == 0, !module && len(m.Topics) > 0:
		return "a module, and no other plugin, names the topics of its tasks"
	case len(m.Targets) == 0:
		return "no target"
	}
	for _, t := range m.Topics {
		if strings.TrimSpace(t) != t || t == "" || len(t) > 128 {
			return "a topic is malformed"
		}
	}
	seen := map[string]bool{}
	for _, f := range m.Files {
		if !clean(f.Path) || f.Path == ManifestName || f.Path == SignatureName || seen[f.Path] || !hexHash.MatchString(f.SHA256) || f.Size < 0 {
			return "the file " + f.Path + " is malformed"
		}
		seen[f.Path] = true
	}
	platforms := map[string]bool{}
	for _, t := range m.Targets {
		p := t.OS + "/" + t.Arch
		if t.OS == "" || t.Arch == "" || platforms[p] || !seen[t.Entry] {
			return "the target " + p + " is malformed or its entry is not among the files"
		}
		platforms[p] = true
	}
	return ""
}

// Flaw names what is wrong with a value that a plugin reports of a metric:
// METRIC_UNDECLARED, METRIC_NOT_FINITE or METRIC_OUT_OF_BOUNDS; "" for nothing.
func (m Manifest) Flaw(metric string, value float64) string {
	i := slices.IndexFunc(m.Metrics, func(d Metric) bool { return d.Name == metric })
	switch {
	case i < 0:
		return "METRIC_UNDECLARED"
	case math.IsNaN(value) || math.IsInf(value, 0):
		return "METRIC_NOT_FINITE"
	case m.Metrics[i].Min != nil && value < *m.Metrics[i].Min, m.Metrics[i].Max != nil && value > *m.Metrics[i].Max:
		return "METRIC_OUT_OF_BOUNDS"
	}
	return ""
}
