package server

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openspms/spms/internal/pluginhost"
)

// pluginMetrics are the figures of plugins at /metrics, by plugin and version.
type pluginMetrics struct {
	host *pluginhost.Host // for what is asked when the figures are read

	took        *prometheus.HistogramVec
	calls       *prometheus.CounterVec
	starts      *prometheus.CounterVec
	crashes     *prometheus.CounterVec
	quarantines *prometheus.CounterVec
	breaks      *prometheus.CounterVec
	throttles   *prometheus.CounterVec
	dropped     *prometheus.CounterVec
	outcomes    *prometheus.CounterVec
	inFlight    *prometheus.Desc
	memory      *prometheus.Desc
	state       *prometheus.Desc

	mu    sync.Mutex
	known map[[2]string]bool
}

// maxObserved bounds how many versions have figures of their own; those that come
// later are counted together as "other", so that uploads cannot fill the memory.
const maxObserved = 200

// other stands for what has no figures of its own.
const other = "other"

func newPluginMetrics() *pluginMetrics {
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"plugin", "version"}, more...))
	}
	desc := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"plugin", "version"}, more...), nil)
	}
	return &pluginMetrics{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "spms_plugin_call_duration_seconds", Help: "Time of a call of a plugin, with the start of its process where it had to be started.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"plugin", "version"}),
		calls:       counter("spms_plugin_calls_total", "Calls of plugins by what came of them: ok, or the code of the failure.", "code"),
		starts:      counter("spms_plugin_starts_total", "Processes of plugins that were started and said who they are."),
		crashes:     counter("spms_plugin_crashes_total", "Processes of plugins that ended by themselves, would not start or had to be killed."),
		quarantines: counter("spms_plugin_quarantines_total", "Crashes that led into quarantine."),
		breaks:      counter("spms_plugin_breaker_openings_total", "How often calls were refused for a pause because the latest failed one after the other."),
		throttles:   counter("spms_plugin_throttlings_total", "How often a process was stopped most of the time because it had used up its time of the processor."),
		dropped:     counter("spms_plugin_log_lines_dropped_total", "Lines that plugins logged and nobody kept because they were too many."),
		outcomes:    counter("spms_module_runs_total", "Runs of modules inside cases, by mode and by what came of them.", "mode", "outcome"),
		inFlight:    desc("spms_plugin_calls_in_flight", "Calls that a plugin works on now."),
		memory:      desc("spms_plugin_memory_bytes", "Resident memory of the process of a plugin; 0 when it does not run."),
		state:       desc("spms_plugin_state", "1 for the state that a plugin is in: stopped, ready, backoff, open or quarantined.", "state"),
		known:       map[[2]string]bool{},
	}
}

// Describe implements prometheus.Collector.
func (m *pluginMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, c := range m.vectors() {
		c.Describe(out)
	}
	for _, d := range []*prometheus.Desc{m.inFlight, m.memory, m.state} {
		out <- d
	}
}

// Collect implements prometheus.Collector: what is counted, and what the host says now.
func (m *pluginMetrics) Collect(out chan<- prometheus.Metric) {
	for _, c := range m.vectors() {
		c.Collect(out)
	}
	if m.host == nil {
		return
	}
	type sums struct{ calls, memory float64 }
	rest, restAny := sums{}, false
	seen := map[[2]string]bool{}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, s := range m.host.Status() {
		plugin, version := m.labels(s.Artifact)
		if plugin == other || seen[[2]string{plugin, version}] { // a version that was replaced under its number
			rest.calls, rest.memory, restAny = rest.calls+float64(s.InFlight), rest.memory+float64(s.MemoryBytes), true
			continue
		}
		seen[[2]string{plugin, version}] = true
		gauge(m.inFlight, float64(s.InFlight), plugin, version)
		gauge(m.memory, float64(s.MemoryBytes), plugin, version)
		gauge(m.state, 1, plugin, version, string(s.State))
	}
	if restAny {
		gauge(m.inFlight, rest.calls, other, other)
		gauge(m.memory, rest.memory, other, other)
	}
}

func (m *pluginMetrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{m.took, m.calls, m.starts, m.crashes, m.quarantines, m.breaks, m.throttles, m.dropped, m.outcomes}
}

// labels name a plugin and its version, for as many as there may be.
func (m *pluginMetrics) labels(a pluginhost.Artifact) (plugin, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := [2]string{a.Name, a.Version}
	if !m.known[key] && len(m.known) >= maxObserved {
		return other, other
	}
	m.known[key] = true
	return a.Name, a.Version
}

// Called implements pluginhost.Observer.
func (m *pluginMetrics) Called(a pluginhost.Artifact, code string, took time.Duration) {
	plugin, version := m.labels(a)
	if code == "" {
		code = "ok"
	}
	m.calls.WithLabelValues(plugin, version, code).Inc()
	m.took.WithLabelValues(plugin, version).Observe(took.Seconds())
}

// Started implements pluginhost.Observer.
func (m *pluginMetrics) Started(a pluginhost.Artifact, _ time.Duration) { m.count(m.starts, a, 1) }

// Crashed implements pluginhost.Observer.
func (m *pluginMetrics) Crashed(a pluginhost.Artifact, quarantined bool) {
	m.count(m.crashes, a, 1)
	if quarantined {
		m.count(m.quarantines, a, 1)
	}
}

// Refusing implements pluginhost.Observer.
func (m *pluginMetrics) Refusing(a pluginhost.Artifact) { m.count(m.breaks, a, 1) }

// Throttled implements pluginhost.Observer.
func (m *pluginMetrics) Throttled(a pluginhost.Artifact) { m.count(m.throttles, a, 1) }

// Dropped implements pluginhost.Observer.
func (m *pluginMetrics) Dropped(a pluginhost.Artifact, lines int) { m.count(m.dropped, a, lines) }

func (m *pluginMetrics) count(v *prometheus.CounterVec, a pluginhost.Artifact, n int) {
	plugin, version := m.labels(a)
	v.WithLabelValues(plugin, version).Add(float64(n))
}

// ran counts a run of a module inside a case.
func (m *pluginMetrics) ran(a pluginhost.Artifact, mode, outcome string) {
	plugin, version := m.labels(a)
	m.outcomes.WithLabelValues(plugin, version, mode, outcome).Inc()
}
