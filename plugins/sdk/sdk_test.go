package sdk_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/plugintest"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// TestMain makes the test binary a plugin when its host asks for one.
func TestMain(m *testing.M) {
	if os.Getenv("SDK_TEST_PLUGIN") != "" {
		sdk.Serve(echo)
		return
	}
	if os.Getenv("SDK_TEST_HOST") != "" {
		host()
	}
	os.Exit(m.Run())
}

// echo is a plugin of all kinds that does what its inputs say.
var echo = sdk.Plugin{
	Name: "echo", Version: "0.1.0-rc.1", Module: acting{}, Strategy: asking{}, Scorer: byAge{},
	Metrics: []sdk.Metric{{Name: "calls", Unit: "1"}},
	ConfigSchema: `{"type":"object","required":["size"],"properties":{
		"size":{"type":"integer","minimum":1,"maximum":5},"mode":{"type":"string","enum":["a","b"]},
		"name":{"type":"string","minLength":2,"maxLength":3},"on":{"type":"boolean"},"ratio":{"type":"number"},
		"list":{"type":"array","items":{"type":"object","properties":{"x":{"type":"string"}}}}}}`,
	CheckConfig: func(c json.RawMessage) []sdk.Diagnostic {
		if strings.Contains(string(c), `"b"`) {
			return []sdk.Diagnostic{{Path: "$.mode", Code: "MODE_OLD", Message: "b goes away", Warning: true}}
		}
		return nil
	},
}

type acting struct{}

func (acting) Execute(ctx context.Context, call *sdk.Call) (sdk.Outcome, error) {
	var in struct{ Do string }
	if err := call.Bind(&in, nil); err != nil {
		return sdk.Outcome{}, err
	}
	switch in.Do {
	case "wait":
		return sdk.Wait("paid", call.Case, call.Now.Add(time.Hour)), nil
	case "retry":
		return sdk.Retry("BUSY", "later"), nil
	case "fail":
		return sdk.Fail("NEVER", "no"), nil
	case "error":
		return sdk.Outcome{}, errors.New("broken pipe")
	case "panic":
		panic("on purpose")
	case "nothing":
		return sdk.Outcome{}, nil
	case "list":
		return sdk.Complete([]int{1}), nil
	case "undeclared":
		return sdk.Complete(nil).With("other", 1), nil
	case "sleep":
		<-ctx.Done()
		return sdk.Complete(nil), nil
	}
	return sdk.Complete(map[string]string{"config": string(call.Config)}).With("calls", 1), nil
}

type asking struct{}

// Propose reads one event, asks twice and proposes what is drawn by chance.
func (asking) Propose(ctx context.Context, run *sdk.Run) error {
	for _, err := range run.Events() {
		if err != nil {
			return err
		}
		if _, err := run.Evaluate(ctx, []sdk.Edit{{"op": "rename"}}); !errors.Is(err, sdk.ErrReading) {
			return errors.New("a question inside the loop was taken")
		}
		break
	}
	node := run.Rand().IntN(1000)
	edits := []sdk.Edit{{"op": "rename", "id": "fit", "value": node}}
	if err := run.Progress(2000, "asking"); err != nil {
		return err
	}
	for range 2 {
		if a, err := run.Evaluate(ctx, edits); err != nil || !a.Accepted {
			return err
		}
	}
	return run.Propose(sdk.Proposal{TitleEN: "Rename", Edits: edits})
}

type byAge struct{}

func (byAge) Score(_ context.Context, r *sdk.Ranking) ([]sdk.Score, error) {
	var out []sdk.Score
	for _, i := range r.Items {
		out = append(out, sdk.Score{ID: i.ID, Value: i.Values["age"]})
	}
	return out, nil
}

func TestEchoKeepsTheContract(t *testing.T) {
	t.Parallel()
	plugintest.Run(t, echo, plugintest.Sample{Config: `{"size":3,"mode":"a"}`, Inputs: []string{`{"do":"echo"}`, `{"do":"wait"}`}})
}

// connect serves echo in this process with configuration 1.
func connect(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, stop, err := sdk.InProcess(echo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return conn
}

func TestExecute(t *testing.T) {
	t.Parallel()
	client := pluginv1.NewModuleClient(connect(t))
	for _, test := range []struct {
		inputs, want string
		code         codes.Code
	}{
		{`{"do":"echo"}`, `{"config":"{}"}`, codes.OK},
		{`{"do":"wait"}`, `paid c 3600001000`, codes.OK},
		{`{"do":"retry"}`, `BUSY true`, codes.OK},
		{`{"do":"fail"}`, `NEVER false`, codes.OK},
		{`{"do":"error"}`, `PLUGIN_ERROR true`, codes.OK},
		{`{"do":7}`, `INPUT_INVALID false`, codes.OK},
		{`{"do":"panic"}`, ``, codes.Internal},
		{`{"do":"nothing"}`, ``, codes.Internal},
		{`{"do":"list"}`, ``, codes.Internal},
		{`{"do":"undeclared"}`, ``, codes.Internal},
		{`{"do":"sleep"}`, ``, codes.DeadlineExceeded},
		{`[]`, ``, codes.InvalidArgument},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		r, err := client.Execute(ctx, &pluginv1.ExecuteRequest{
			Case: "c", TaskId: "t", IdempotencyKey: "k", Attempt: 1, InputsJson: test.inputs, NowUs: 1000,
		})
		cancel()
		if got := outcome(r); got != test.want || status.Code(err) != test.code {
			t.Errorf("Execute(%s) = %q, %v, want %q, %v", test.inputs, got, err, test.want, test.code)
		}
	}
}

// outcome writes an outcome in short.
func outcome(r *pluginv1.ExecuteResponse) string {
	b := func(v any) string { text, _ := json.Marshal(v); return string(text) }
	switch o := r.GetOutcome().(type) {
	case *pluginv1.ExecuteResponse_Complete:
		return o.Complete.GetOutputsJson()
	case *pluginv1.ExecuteResponse_Wait:
		return o.Wait.GetMessageName() + " " + o.Wait.GetCorrelationKey() + " " + b(o.Wait.GetUntilUs())
	case *pluginv1.ExecuteResponse_Fail:
		return o.Fail.GetCode() + " " + b(o.Fail.GetRetryable())
	}
	return ""
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	client := pluginv1.NewBaseClient(connect(t))
	for i, test := range []struct{ config, want string }{
		{`{"size":3}`, ``},
		{``, `$.size CONFIG_MISSING`},
		{`{"size":2.5}`, `$.size CONFIG_TYPE`},
		{`{"size":6}`, `$.size CONFIG_RANGE`},
		{`{"size":1,"mode":"c","name":"四个字啊"}`, `$.mode CONFIG_ENUM, $.name CONFIG_LENGTH`},
		{`{"size":1,"mode":"b"}`, `$.mode MODE_OLD`},
		{`{"size":1,"siez":1}`, `$.siez CONFIG_UNKNOWN`},
		{`{"size":1,"list":[{"x":"a"},{"x":1}]}`, `$.list[1].x CONFIG_TYPE`},
		{`{"size":1,`, `$ CONFIG_JSON`},
		{`7`, `$ CONFIG_TYPE`},
	} {
		r, err := client.Configure(t.Context(), &pluginv1.ConfigureRequest{Generation: uint64(i + 1), ConfigJson: test.config})
		var got []string
		for _, d := range r.GetDiagnostics() {
			got = append(got, d.GetPath()+" "+d.GetCode())
		}
		if err != nil || strings.Join(got, ", ") != test.want {
			t.Errorf("Configure(%s) = %v, %v, want %s", test.config, got, err, test.want)
		}
	}
	again, err := client.Configure(t.Context(), &pluginv1.ConfigureRequest{Generation: 1, ConfigJson: `{"size":4}`})
	if err != nil || len(again.GetDiagnostics()) != 1 {
		t.Errorf("Configure(generation 1 anew) = %v, %v, want one diagnostic", again, err)
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	good := sdk.Plugin{Name: "x", Version: "1.0.0", Scorer: byAge{}}
	if err := good.Check(); err != nil {
		t.Fatalf("Check(%v) = %v, want nil", good, err)
	}
	for name, change := range map[string]func(*sdk.Plugin){
		"name":      func(p *sdk.Plugin) { p.Name = "Upper Case" },
		"version":   func(p *sdk.Plugin) { p.Version = "1" },
		"kinds":     func(p *sdk.Plugin) { p.Scorer = nil },
		"keyword":   func(p *sdk.Plugin) { p.ConfigSchema = `{"oneOf":[]}` },
		"type":      func(p *sdk.Plugin) { p.ConfigSchema = `{"properties":{"a":{"type":"date"}}}` },
		"null":      func(p *sdk.Plugin) { p.ConfigSchema = `{"properties":{"a":null}}` },
		"no object": func(p *sdk.Plugin) { p.ConfigSchema = `{"type":"array"}` },
		"required":  func(p *sdk.Plugin) { p.ConfigSchema = `{"required":["a"]}` },
		"attribute": func(p *sdk.Plugin) { p.Attributes = []string{"a", "a"} },
		"metric":    func(p *sdk.Plugin) { p.Metrics = []sdk.Metric{{Name: "No Name", Unit: "1"}} },
	} {
		p := good
		change(&p)
		if p.Check() == nil {
			t.Errorf("Check(%s) = nil, want an error", name)
		}
	}
}

func TestMessageCap(t *testing.T) {
	t.Parallel()
	big := `{"do":"` + strings.Repeat("x", sdk.MaxMessageBytes) + `"}`
	_, err := pluginv1.NewModuleClient(connect(t)).Execute(t.Context(), &pluginv1.ExecuteRequest{InputsJson: big})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("Execute(5 MB) = %v, want RESOURCE_EXHAUSTED", err)
	}
}

// TestProcess starts a plugin as a host does: as a process, with the handshake
// and with certificates of both sides, and holds it against the contract.
func TestProcess(t *testing.T) {
	t.Parallel()
	client, err := start()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := protocol.Dispense(sdk.SetName)
	if err != nil {
		t.Fatal(err)
	}
	report := plugintest.Check(t.Context(), raw.(*grpc.ClientConn), plugintest.Sample{Config: `{"size":3}`, Events: 20_000})
	if err := report.Err(); err != nil || !slices.Equal(ruleNames(report), plugintest.Rules()) {
		t.Errorf("Check = %v after rules %q, want all %d and nil", err, ruleNames(report), len(plugintest.Rules()))
	}
}

// start makes a host's client of the test binary as a plugin.
func start(inherited ...*os.File) (*goplugin.Client, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = []string{"SDK_TEST_PLUGIN=1", "TMPDIR=" + os.TempDir()}
	cmd.ExtraFiles = inherited
	return goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: sdk.Handshake, Plugins: sdk.HostSet(), Cmd: cmd, AutoMTLS: true, SkipHostEnv: true,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC}, GRPCDialOptions: sdk.DialOptions(),
	}), nil
}

// host starts a plugin that inherits file 3, says so on it and waits for death.
func host() {
	line := os.NewFile(3, "line")
	client, err := start(line)
	if err == nil {
		_, err = client.Client()
	}
	if err != nil {
		fmt.Fprintln(line, err)
		os.Exit(1)
	}
	fmt.Fprintln(line, "started")
	select {}
}

// TestPluginEndsWithItsHost kills a host without warning. Both processes hold
// one end of a pipe, which is at its end once both are gone.
func TestPluginEndsWithItsHost(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command(self)
	cmd.Env, cmd.ExtraFiles = append(os.Environ(), "SDK_TEST_HOST=1"), []*os.File{write}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	lines := bufio.NewReader(read)
	if text, err := lines.ReadString('\n'); text != "started\n" {
		t.Fatalf("the host says %q, %v", text, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if err := read.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(lines); err != nil {
		t.Errorf("the plugin outlives its host: %q, %v", rest, err)
	}
}

func ruleNames(r plugintest.Report) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.Rule)
	}
	return out
}
