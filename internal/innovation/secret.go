package innovation

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/openspms/spms/ent/pluginassignment"
	"github.com/openspms/spms/internal/fault"
)

// A setting whose schema has "format": "password" is a secret: it is stored as
// {"$secret": "…"}, encrypted, and opened only for the plugin.

const secretMark = "$secret"

// seal returns the configuration with its secrets encrypted, as JSON.
func (r *Room) seal(schema string, config map[string]any) (string, error) {
	out := make(map[string]any, len(config))
	for name, value := range config {
		if !secret(schema, name) {
			out[name] = value
			continue
		}
		sealed, err := r.encrypt(name, value)
		if err != nil {
			return "", err
		}
		out[name] = map[string]any{secretMark: sealed}
	}
	return text(out), nil
}

// open returns the configuration as the plugin gets it.
func (r *Room) open(config string) (string, error) {
	var m map[string]any
	if err := json.Unmarshal([]byte(config), &m); err != nil {
		return "", fmt.Errorf("read a configuration: %w", err)
	}
	for name, value := range m {
		sealed, ok := value.(map[string]any)
		if !ok || len(sealed) != 1 || sealed[secretMark] == nil {
			continue
		}
		plain, err := r.decrypt(name, fmt.Sprint(sealed[secretMark]))
		if err != nil {
			return "", err
		}
		m[name] = plain
	}
	return text(m), nil
}

// secret tells whether a schema calls a setting a password.
func secret(schema, name string) bool {
	var s struct {
		Properties map[string]struct{ Format string }
	}
	return json.Unmarshal([]byte(schema), &s) == nil && s.Properties[name].Format == "password"
}

func (r *Room) encrypt(name string, value any) (string, error) {
	if r.o.Secrets == nil {
		return "", fault.E(fault.Precondition, "PLUGIN_SECRET_KEY_MISSING").At("input", "config")
	}
	plain, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("encrypt a setting: %w", err)
	}
	return r.o.Secrets.Seal(name, plain)
}

func (r *Room) decrypt(name, sealed string) (any, error) {
	if r.o.Secrets == nil {
		return nil, fault.E(fault.Precondition, "PLUGIN_SECRET_KEY_MISSING")
	}
	plain, err := r.o.Secrets.Open(name, sealed)
	if err != nil {
		return nil, err
	}
	var value any
	return value, json.Unmarshal(plain, &value)
}

// CheckSecrets opens the secrets of every assignment that is active, without showing
// them, and returns how many configurations have some. Errors: PLUGIN_SECRET_KEY_MISSING,
// SECRET_UNREADABLE.
func (r *Room) CheckSecrets(ctx context.Context) (int, error) {
	list, err := r.door.Store.Client().PluginAssignment.Query().Where(pluginassignment.StateEQ(pluginassignment.StateActive)).All(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the assignments: %w", err)
	}
	kept := 0
	for _, a := range list {
		if !strings.Contains(a.Config, secretMark) {
			continue
		}
		if _, err := r.open(a.Config); err != nil {
			return kept, err
		}
		kept++
	}
	return kept, nil
}
