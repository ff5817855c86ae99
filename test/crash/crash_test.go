// Package crash_test kills the real program at random moments and looks for
// lost or doubled work. Clients write each acknowledgement to a file of their
// own before they go on; TestCrash starts the server, lets the clients work
// cases over GraphQL, ends it as kill -9 does, starts it again, and at last
// compares the journals with the database (check) and lets spms verify replay
// every case. TestCrashFindsEarlyAcknowledgement shows that the comparison sees
// what it is for: it runs a program whose commit acknowledges too early.
package crash_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/openspms/spms/internal/store/storetest"
)

// killsVariable says how often the server of each database is killed; without
// it shortKills does, which is enough for several kills during a start.
const killsVariable = "SPMS_CRASH_KILLS"

var shortKills = map[string]int{"sqlite": 15, "postgres": 10}

// sideBySide is how many tests run at a time where nothing else is said: they wait more
// than they work, for a disk, a lease or a server that comes back.
const sideBySide = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) && runtime.GOMAXPROCS(0) < 4 {
		if err := parallel.Value.Set(sideBySide); err != nil {
			panic(err)
		}
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "spms-crash-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		defer storetest.DropTemplate()
		scratch = dir
		return m.Run()
	}())
}

func TestCrash(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		sample(t, url)
		r := newRun(t, whole(t), url, 20260303)
		r.crash(blows(t, shortKills[filepath.Base(t.Name())]))
		r.settled()
	})
}

// The patched program, built once, breaks its promise when the environment says so.
const (
	breakEarly = "CRASH_EARLY=1"     // an acknowledgement overtakes its commit: the answer leaves first, the commit follows a little later
	breakSync  = "CRASH_SYNC=NORMAL" // SQLite acknowledges what the disk may not have yet
)

// patches are the places where it would.
var patches = []patch{
	{
		"internal/store/sqlite.go",
		`	if err := w.commits.do(`,
		`	if os.Getenv("CRASH_EARLY") != "" {
		for _, p := range batch {
			p.reply <- p.err
		}
		<-time.After(20 * time.Millisecond)
	}
	if err := w.commits.do(`,
	},
	{"internal/store/sqlite.go", `import (`, "import (\n\t\"time\""},
	{"internal/store/sqlite.go", `"synchronous(FULL)"`, `"synchronous(" + map[bool]string{true: "NORMAL", false: "FULL"}[os.Getenv("CRASH_SYNC") == "NORMAL"] + ")"`},
	{
		"internal/store/postgres.go",
		`		again, err := w.once(ctx, work)`,
		`		if os.Getenv("CRASH_EARLY") != "" {
			early := make(chan error, 2)
			go func() {
				// The request's context ends with the answer and would undo the late commit.
				_, err := w.once(context.WithoutCancel(ctx), func(ctx context.Context, tx *Tx) error {
					err := work(ctx, tx)
					if early <- err; err == nil {
						<-time.After(20 * time.Millisecond)
					}
					return err
				})
				early <- err
			}()
			return <-early
		}
		again, err := w.once(ctx, work)`,
	},
	{"internal/store/postgres.go", `import (`, "import (\n\t\"os\""},
}

// patch replaces the one place of a text in a source file.
type patch struct{ file, now, patched string }

// patched is the program that can break its promises.
var patched = sync.OnceValues(func() (string, error) {
	texts := map[string]string{}
	for _, e := range patches {
		text, ok := texts[e.file]
		if !ok {
			body, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return "", err
			}
			text = string(body)
		}
		if n := strings.Count(text, e.now); n != 1 {
			return "", fmt.Errorf("%s has %d places like\n%s\nwant 1: bring the patch up to date", e.file, n, e.now)
		}
		texts[e.file] = strings.Replace(text, e.now, e.patched, 1)
	}
	return build("spms-patched", texts)
})

func unfaithful(t *testing.T) string {
	t.Helper()
	binary, err := patched()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// TestCrashFindsEarlyAcknowledgement builds the program with a commit that
// acknowledges too early and expects check to find lost work.
func TestCrashFindsEarlyAcknowledgement(t *testing.T) {
	t.Parallel()
	binary := unfaithful(t)
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		sample(t, url)
		r := newRun(t, binary, url, 1)
		r.program.env = []string{breakEarly}
		r.crash(5)
		kinds := map[string]int{}
		for _, f := range r.compare() {
			kinds[f.kind]++
		}
		t.Logf("found %v", kinds)
		if kinds["lost"] == 0 {
			t.Errorf("check() finds %v after crashes of a program that acknowledges before it commits, want lost work", kinds)
		}
	})
}
