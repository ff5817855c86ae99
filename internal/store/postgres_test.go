package store_test

import (
	"strings"
	"testing"

	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
)

// TestConnectionsAreSettled opens a database whose url names a setting and one whose url
// names none.
func TestConnectionsAreSettled(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t)
	with := "?"
	if strings.Contains(url, "?") {
		with = "&"
	}
	for _, tt := range []struct{ name, url, cost, jit string }{
		{"none named", url, "1.1", "off"},
		{"one named", url + with + "random_page_cost=3", "3", "off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(t.Context(), tt.url)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			for name, want := range map[string]string{"random_page_cost": tt.cost, "jit": tt.jit} {
				var got string
				if err := s.SQL().QueryRowContext(t.Context(), "show "+name).Scan(&got); err != nil || got != want {
					t.Errorf("%s = %q, %v, want %q", name, got, err, want)
				}
			}
		})
	}
}
