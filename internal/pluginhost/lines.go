package pluginhost

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

// lines keeps the last lines that a process writes to its standard error: at most so
// many of a second, the others are counted.
type lines struct {
	mu      sync.Mutex
	now     func() time.Time
	rate    int
	kept    []string
	part    []byte
	second  int64
	in      int // lines of this second
	dropped int
	tell    func(int) // of lines that are not kept
}

const (
	keptLines  = 50
	lineBytes  = 500
	floodLines = 200 // lines that nobody keeps, after which no more are taken for
	floodPause = 20 * time.Millisecond
)

func newLines(rate int, now func() time.Time, dropped func(int)) *lines {
	return &lines{rate: rate, now: now, tell: dropped}
}

// Write implements io.Writer; it never fails, and takes its time when it is flooded.
func (l *lines) Write(p []byte) (int, error) {
	if l.add(p) {
		time.Sleep(floodPause) // the pipe fills and whoever floods it waits, not the host
	}
	return len(p), nil
}

// add takes what is written and reports whether it is a flood.
func (l *lines) add(p []byte) (flood bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		line, after, found := bytes.Cut(p, []byte("\n"))
		if room := lineBytes - len(l.part); room > 0 {
			l.part = append(l.part, line[:min(room, len(line))]...)
		}
		if !found {
			return flood
		}
		before := l.dropped
		l.take()
		flood = flood || l.dropped > before && l.dropped%floodLines == 0
		p = after
	}
}

// take keeps the line that is whole.
func (l *lines) take() {
	if bytes.HasPrefix(l.part, []byte(`{"@level":"debug"`)) { // go-plugin's own, of no use to anybody
		l.part = l.part[:0]
		return
	}
	text := strings.ToValidUTF8(strings.ReplaceAll(string(l.part), "\x00", ""), "")
	l.part = l.part[:0]
	if s := l.now().Unix(); s != l.second {
		if l.dropped > 0 {
			l.keep(fmt.Sprintf("(%d more lines)", l.dropped))
		}
		l.second, l.in, l.dropped = s, 0, 0
	}
	if l.in++; l.in > l.rate {
		l.dropped++
		l.tell(1)
		return
	}
	l.keep(text)
}

func (l *lines) keep(text string) {
	l.kept = append(l.kept, text)
	if len(l.kept) > keptLines {
		l.kept = append([]string(nil), l.kept[len(l.kept)-keptLines:]...)
	}
}

// last are the lines kept.
func (l *lines) last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := append([]string(nil), l.kept...)
	if l.dropped > 0 {
		out = append(out, fmt.Sprintf("(%d more lines)", l.dropped))
	}
	return out
}

// tail is the line that tells most of how a process ended, as the end of a sentence:
// that of a fatal error or panic, else the last; "" when there is none.
func (l *lines) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.kept {
		if strings.HasPrefix(line, "fatal error:") || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "sandbox:") {
			return "; it said: " + line
		}
	}
	if len(l.kept) == 0 {
		return ""
	}
	return "; it said: " + l.kept[len(l.kept)-1]
}
