package arch

// floors lists the rooms from the ground up: a room imports only rooms above
// which it stands, and rooms of one floor do not import each other. A room
// includes its sub-folders. The numbers are those of ARCHITECTURE.md; what has
// no number there stands between its neighbours.
var floors = []struct {
	floor string
	rooms []string
}{
	{"0", []string{"internal/fault", "internal/clock", "plugins/sdk"}},
	{"1", []string{"internal/bpmn", "internal/expr", "internal/calendar", "internal/norm", "internal/access", "plugins/builtin"}},
	{"1, shipped files", []string{"packs"}},
	{"2", []string{"internal/model", "internal/mining"}},
	{"3", []string{"internal/engine"}},
	{"3, data model", []string{"schema"}},
	{"3, generated", []string{"ent"}},
	{"4", []string{"internal/store", "internal/simulation"}},
	{"5", []string{"internal/jobs", "internal/audit", "internal/pluginhost", "internal/privacy"}},
	{"6", []string{"internal/command"}},
	{"7", []string{"internal/standard", "internal/workforce"}},
	{"8", []string{"internal/definition"}},
	{"9", []string{"internal/execution"}},
	{"10", []string{"internal/evaluation", "internal/intake", "internal/worklist"}},
	{"11", []string{"internal/optimization", "internal/innovation"}},
	{"12", []string{"graph"}},
	{"13", []string{"server"}},
	{"13, program", []string{"server/spms"}},
	{"tests of the whole", []string{"test"}},
}

// apart are folders outside the house: they import no room and no room
// imports them.
var apart = []string{"internal/arch", "tools", "plugins/examples"}

// floorOf is the index in floors of every room.
var floorOf = func() map[string]int {
	m := map[string]int{}
	for i, f := range floors {
		for _, r := range f.rooms {
			m[r] = i
		}
	}
	return m
}()

// owners says which rooms may import a module or package outside the house. A
// path covers all below it; the longest that fits counts. What is not listed
// here has no owner and may not be imported: a new dependency begins with a
// line in this table. Tests import what they like.
var owners = []struct {
	path  string
	rooms []string
}{
	{"github.com/google/cel-go", []string{"internal/expr"}},
	{"google.golang.org/protobuf", []string{"internal/expr", "plugins/sdk", "internal/pluginhost"}},
	{"google.golang.org/grpc", []string{"plugins/sdk", "internal/pluginhost"}},
	{"github.com/hashicorp/go-plugin", []string{"plugins/sdk", "internal/pluginhost"}},
	{"github.com/hashicorp/go-hclog", []string{"internal/pluginhost"}},
	{"aead.dev/minisign", []string{"internal/pluginhost"}},
	{"github.com/landlock-lsm/go-landlock", []string{"internal/pluginhost"}},
	{"github.com/elastic/go-seccomp-bpf", []string{"internal/pluginhost"}},
	{"golang.org/x/sys", []string{"internal/pluginhost"}},

	{"github.com/99designs/gqlgen", []string{"graph", "ent"}},
	{"github.com/vektah/gqlparser/v2", []string{"graph", "ent"}},
	{"github.com/go-playground/validator/v10", []string{"graph"}},
	{"github.com/gorilla/websocket", []string{"graph"}},
	{"github.com/coder/websocket", []string{"graph"}},

	{"entgo.io/ent", []string{"schema", "ent", "internal/store", "internal/jobs", "internal/audit", "internal/privacy", "internal/command", "internal/standard", "internal/workforce", "internal/definition", "internal/execution", "internal/evaluation", "internal/intake", "internal/worklist", "internal/optimization", "internal/innovation", "graph"}},
	{"entgo.io/contrib/entgql", []string{"schema", "ent", "graph"}},
	{"ariga.io/atlas", []string{"internal/store"}},
	{"modernc.org/sqlite", []string{"internal/store"}},
	{"github.com/jackc/pgx/v5", []string{"internal/store", "internal/jobs"}},
	{"github.com/riverqueue/river", []string{"internal/jobs"}},
	{"github.com/hashicorp/go-multierror", []string{"ent"}},
	{"github.com/vmihailenco/msgpack/v5", []string{"ent"}},

	{"github.com/goccy/go-yaml", []string{"internal/norm", "internal/calendar", "packs", "internal/fault"}},
	{"gopkg.in/yaml.v3", []string{"internal/fault"}},
	{"golang.org/x/text", []string{"internal/fault", "internal/bpmn", "graph"}},
	{"github.com/google/uuid", []string{"schema/ids", "internal/store"}},
	{"golang.org/x/sync", []string{"internal/store", "internal/jobs", "internal/simulation", "internal/pluginhost", "internal/optimization", "graph", "server"}},
	{"golang.org/x/mod", []string{"internal/audit"}},
	{"golang.org/x/sys", []string{"internal/pluginhost"}},
	{"golang.org/x/crypto", []string{"internal/privacy", "internal/audit", "internal/pluginhost", "internal/workforce"}},

	{"github.com/alecthomas/kong", []string{"server"}},
	{"github.com/prometheus/client_golang", []string{"server"}},

	{"crypto/rand", []string{"schema/ids", "graph/problem", "internal/audit", "internal/privacy", "internal/pluginhost", "internal/workforce"}},
	{"math/rand", []string{"internal/store/storetest", "server", "test", "plugins/sdk"}}, // server: the seeded crew of the demo; plugins/sdk: seeded by the host
	{"net/http", []string{"graph", "server", "internal/pluginhost", "test"}},
	{"net/http/pprof", nil},
	{"database/sql", []string{"ent", "internal/store", "internal/jobs", "graph", "test"}},
	{"unsafe", []string{"plugins/sdk/pluginv1"}},          // what protoc-gen-go writes
	{"log", []string{"ent", "internal/store/migrations"}}, // log/slog is free
}

// free are packages below an owned path that everyone may import.
var free = []string{"log/slog"}

// pure are the rooms that compute: no time source, no chance, no outside world,
// no rows. Time and seeds are arguments.
var pure = []string{
	"internal/bpmn", "internal/expr", "internal/calendar", "internal/norm", "internal/access",
	"internal/model", "internal/mining", "internal/engine", "internal/simulation",
}

// impure are the imports that pure rooms do without; the paths below them too.
var impure = []string{
	"math/rand", "crypto/rand", "os", "net", "net/http", "database/sql", "syscall", "io/ioutil", "log",
	Module + "/ent", Module + "/schema", Module + "/internal/store", "entgo.io",
}

// clockOwners are the rooms that may ask the operating system for the time;
// deadlines of connections are instants of its clock.
var clockOwners = []string{"internal/clock", "graph/transport", "internal/store/migrations", "internal/store/storetest", "test", "tools", "internal/arch"}

// timeSources are the functions of package time that read or follow the
// system's clock. Timers may be used where goroutines live.
var (
	timeSources  = []string{"Now", "Since", "Until"}
	timerSources = []string{"After", "AfterFunc", "NewTicker", "NewTimer", "Sleep", "Tick"}
)

// writers are the rooms that begin write transactions.
var writers = []string{"internal/store", "internal/command"}

// transactions are the methods that begin one, with the numbers of arguments
// they take in ent, database/sql and pgx.
var transactions = map[string][]int{"Tx": {1}, "BeginTx": {2}, "Begin": {0, 1}}

// entWrites are the methods by which ent changes rows, with the number of
// arguments that tells them from a room's own verbs; -1 for any number.
var entWrites = map[string]int{
	"Create": 0, "Update": 0, "Delete": 0, "CreateBulk": -1, "MapCreateBulk": -1,
	"UpdateOne": -1, "UpdateOneID": -1, "DeleteOne": -1, "DeleteOneID": -1,
	"Save": 1, "SaveX": 1, "OnConflict": -1, "OnConflictColumns": -1,
}

// readers are the rooms that read ent and must not change it.
var readers = []string{"graph", "server"}

// fieldRules say what the declaration of an ent field must contain, by the
// class of the field ("" for every field).
var fieldRules = []struct {
	class string
	call  string // a method in the field's chain
	arg   string // an argument of it, as written; package.* for any name of it
}{
	{"", "Annotations", "class.*"},
	{"Secret", "Sensitive", ""},
	{"Secret", "Annotations", "hidden"},
}

// banned are names that say nothing about what a package does.
var banned = []string{"util", "utils", "common", "base", "manager", "helper", "helpers", "data", "info", "processor"}
