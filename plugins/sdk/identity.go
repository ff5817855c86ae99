package sdk

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"

	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

var (
	names    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	versions = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)
	metrics  = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
)

// development follows the version of a plugin that is being written: the tool that
// builds it again at each save sets it, so that every save is a version of its own.
var development string // -ldflags -X

// Check tells what is wrong with the plugin as it is declared.
func (p Plugin) Check() error { return CheckIdentity(p.describe()) }

// CheckIdentity tells what is wrong with an identity, all of it at once. A host
// asks it of what a plugin answers.
func CheckIdentity(d *pluginv1.DescribeResponse) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !names.MatchString(d.GetName()) {
		wrong("name %q is not of lower-case letters, digits and hyphens, or is longer than 64", d.GetName())
	}
	if !versions.MatchString(d.GetVersion()) {
		wrong("version %q is not three numbers joined by dots", d.GetVersion())
	}
	if d.GetContractVersion() != ContractVersion {
		wrong("contract version %d is not %d", d.GetContractVersion(), ContractVersion)
	}
	if _, err := ParseSchema(d.GetConfigSchemaJson()); err != nil {
		wrong("configuration schema: %w", err)
	}
	errs = append(errs, checkKinds(d.GetKinds()), checkLists(slices.Concat(d.GetAttributes(), d.GetAddresses()), d.GetMetrics()))
	return errors.Join(errs...)
}

func checkKinds(kinds []pluginv1.Kind) error {
	seen := map[pluginv1.Kind]bool{}
	for _, k := range kinds {
		if seen[k] || k == pluginv1.Kind_KIND_UNSPECIFIED {
			return fmt.Errorf("kind %v is there twice or means nothing", k)
		}
		seen[k] = true
	}
	if len(kinds) == 0 {
		return errors.New("neither a module nor a strategy nor a scorer")
	}
	return nil
}

func checkLists(attributes []string, declared []*pluginv1.Metric) error {
	seen := map[string]bool{}
	for _, a := range attributes {
		if a == "" || seen[a] {
			return fmt.Errorf("attribute %q is empty or there twice", a)
		}
		seen[a] = true
	}
	clear(seen)
	for _, m := range declared {
		if !metrics.MatchString(m.GetName()) || seen[m.GetName()] || m.GetUnit() == "" {
			return fmt.Errorf("metric %q has no lower-case name of its own with a unit", m.GetName())
		}
		for _, end := range []*float64{m.Min, m.Max} {
			if end != nil && (math.IsNaN(*end) || math.IsInf(*end, 0)) {
				return fmt.Errorf("metric %q has a bound that is not finite", m.GetName())
			}
		}
		if m.Min != nil && m.Max != nil && *m.Min > *m.Max {
			return fmt.Errorf("metric %q has no value between its bounds", m.GetName())
		}
		seen[m.GetName()] = true
	}
	return nil
}

// describe is the identity as the contract says it.
func (p Plugin) describe() *pluginv1.DescribeResponse {
	d := &pluginv1.DescribeResponse{
		Name: p.Name, Version: p.Version + development, ContractVersion: ContractVersion,
		ConfigSchemaJson: p.ConfigSchema, Attributes: p.Attributes, Addresses: p.Addresses,
	}
	if p.Strategy != nil {
		d.Kinds = append(d.Kinds, pluginv1.Kind_KIND_STRATEGY)
	}
	if p.Module != nil {
		d.Kinds = append(d.Kinds, pluginv1.Kind_KIND_MODULE)
	}
	if p.Scorer != nil {
		d.Kinds = append(d.Kinds, pluginv1.Kind_KIND_SCORER)
	}
	for _, m := range p.Metrics {
		d.Metrics = append(d.Metrics, &pluginv1.Metric{Name: m.Name, Unit: m.Unit, Description: m.Description, Min: m.Min, Max: m.Max})
	}
	return d
}
