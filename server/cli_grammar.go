package server

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/privacy"
)

// grammar is the command line. Values stay strings until config.go has checked
// them, so that a wrong one is refused under the name of its setting whether it
// came from a flag or from the environment. The tag setting names the
// environment variables of a flag; the first that is not empty counts.
type grammar struct {
	Log       string `default:"info" setting:"SPMS_LOG" placeholder:"LEVEL" help:"What is logged: debug, info, warn or error. 日志级别。"`
	LogFormat string `default:"text" setting:"SPMS_LOG_FORMAT" placeholder:"FORMAT" help:"How it is logged: text or json. 日志格式。"`

	Serve    serveCmd    `cmd:"" help:"Start the server. 启动服务。"`
	Migrate  migrateCmd  `cmd:"" help:"Create or update the tables of the database. 建表或升级数据库。"`
	Seed     seedCmd     `cmd:"" help:"Load the sample data: regions, staff, standards, processes. 装入示例数据。"`
	Demo     demoCmd     `cmd:"" help:"Play the fibre order story on a scratch database and print what happened. 演示宽带装机全流程。"`
	Verify   verifyCmd   `cmd:"" help:"Check that every case and the audit log of the database are consistent. 校验数据一致性与审计。"`
	Copy     copyCmd     `cmd:"" help:"Copy a whole database into another, empty one, and compare them. 复制整库并核对。"`
	Doctor   doctorCmd   `cmd:"" help:"Examine the installation: database, keys, disk, how far plugins are kept apart here. 检查安装与插件隔离能力。"`
	Token    tokenCmd    `cmd:"" help:"API tokens: create, list, revoke. 接口令牌。"`
	Standard standardCmd `cmd:"" help:"Tools for standards. 规范工具。"`
	Process  processCmd  `cmd:"" help:"Tools for process files. 流程文件工具。"`
	Plugin   pluginCmd   `cmd:"" help:"Tools for authors of plugins. 插件工具。"`
	Version  versionCmd  `cmd:"" help:"Print the version. 显示版本。"`
}

type databaseFlags struct {
	Data        string `default:"./data" setting:"SPMS_DATA" placeholder:"DIR" help:"Folder of the embedded database. 内嵌数据库所在目录。"`
	DatabaseURL string `name:"database-url" setting:"SPMS_DATABASE_URL,DATABASE_URL" placeholder:"URL" help:"Database: sqlite:PATH or postgres://…; without it, the file spms.db in the data folder. 数据库地址。"`
}

func (f databaseFlags) config() (Database, error) { return parseDatabase(f.Data, f.DatabaseURL) }

// keyFlags are the keys of plugins.
type keyFlags struct {
	PluginTrust []string `setting:"SPMS_PLUGIN_TRUST" placeholder:"FILE" help:"Files with the minisign public keys whose plugins are taken, separated by commas. 受信任的插件签名公钥文件。"`
	SecretKey   string   `setting:"SPMS_SECRET_KEY" placeholder:"KEY" help:"Key that encrypts secrets of plugin configurations: 32 bytes in base64. 加密插件机密配置的密钥。"`
}

type serveCmd struct {
	databaseFlags
	keyFlags
	Addr            string   `default:"localhost:8080" setting:"SPMS_ADDR" placeholder:"HOST:PORT" help:"Address to listen on; without authentication, loopback only. 监听地址。"`
	Auth            string   `default:"none" setting:"SPMS_AUTH" placeholder:"MODE" help:"Who is asking: none (sample people, loopback only) or token (API tokens). 认证方式。"`
	Origins         []string `setting:"SPMS_ORIGINS" placeholder:"ORIGIN" help:"Further web origins that may call the API, separated by commas. 允许的跨域来源。"`
	Sample          string   `default:"on" setting:"SPMS_SAMPLE" placeholder:"on|off" help:"Load the sample data into an empty database. 空库时装入示例数据。"`
	DrainWait       string   `default:"0s" setting:"SPMS_DRAIN_WAIT" placeholder:"DURATION" help:"At a stop, how long to answer 'not ready' before the listener closes. 停机前排空等待。"`
	ShutdownTimeout string   `default:"20s" setting:"SPMS_SHUTDOWN_TIMEOUT" placeholder:"DURATION" help:"At a stop, how long running requests may take to finish. 停机时限。"`
	PluginDev       []string `setting:"SPMS_PLUGIN_DEV" placeholder:"REGION" help:"Codes of regions open to development: plugins signed by a key of plugin-dev-trust may be assigned there without test and approval; loopback addresses only. 开发地区。"`
	PluginDevTrust  []string `setting:"SPMS_PLUGIN_DEV_TRUST" placeholder:"FILE" help:"Files with the public keys of developers, which spms plugin dev makes. 开发者公钥文件。"`
	NoticeURL       string   `setting:"SPMS_NOTICE_URL" placeholder:"URL" help:"Gateway that takes the notices of cases by POST, one JSON letter each; without it they are written into the folder notices of the data. 通知网关地址。"`
	NoticeToken     string   `setting:"SPMS_NOTICE_TOKEN" placeholder:"TOKEN" help:"Bearer token for the gateway of notices. 通知网关令牌。"`
	MemoryLimit     string   `default:"2GiB" setting:"SPMS_MEMORY_LIMIT" placeholder:"SIZE" help:"Soft memory limit, such as 512MiB or 2GiB; the collector runs less often below it; 0 for none. 内存软上限。"`
}

func (f *serveCmd) config() (cfg ServeConfig, err error) {
	if cfg.Database, err = f.databaseFlags.config(); err != nil {
		return cfg, err
	}
	if cfg.Auth, err = parseAuth(f.Auth); err != nil {
		return cfg, err
	}
	if cfg.Addr, err = parseAddr(f.Addr, cfg.Auth); err != nil {
		return cfg, err
	}
	if cfg.Origins, err = parseOrigins(f.Origins); err != nil {
		return cfg, err
	}
	if cfg.Sample = f.Sample == "on"; !cfg.Sample && f.Sample != "off" {
		return cfg, refuse("sample", f.Sample, "on | off")
	}
	if cfg.DrainWait, err = parseDuration("drain-wait", f.DrainWait, 5*time.Minute); err != nil {
		return cfg, err
	}
	if cfg.ShutdownTimeout, err = parseDuration("shutdown-timeout", f.ShutdownTimeout, 5*time.Minute); err != nil {
		return cfg, err
	}
	if cfg.Notices, err = f.notices(cfg.Database); err != nil {
		return cfg, err
	}
	if cfg.Plugins, err = f.plugins(cfg.Database); err != nil {
		return cfg, err
	}
	cfg.MemoryLimit, err = parseBytes("memory-limit", f.MemoryLimit)
	return cfg, err
}

// notices says where the notices of cases go.
func (f *serveCmd) notices(db Database) (NoticeConfig, error) {
	if f.NoticeURL != "" {
		u, err := url.Parse(f.NoticeURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			return NoticeConfig{}, refuse("notice-url", f.NoticeURL, "http://… or https://… without a user")
		}
	}
	return NoticeConfig{Dir: filepath.Join(db.Dir, "notices"), URL: f.NoticeURL, Token: f.NoticeToken}, nil
}

// plugins says how plugins are run: beside the database, on this machine.
func (f *serveCmd) plugins(db Database) (PluginConfig, error) {
	c := PluginConfig{Dir: filepath.Join(db.Dir, "plugins"), Trust: f.PluginTrust, Dev: f.PluginDev, DevTrust: f.PluginDevTrust}
	if host, _, err := net.SplitHostPort(f.Addr); len(c.Dev) > 0 && (err != nil || !isLoopback(host)) {
		return c, refuse("plugin-dev", strings.Join(c.Dev, ","), "a loopback address (addr): nobody but the developer's machine may reach a server that is open to development")
	}
	if len(c.Dev) > 0 != (len(c.DevTrust) > 0) {
		return c, refuse("plugin-dev", strings.Join(c.Dev, ","), "both plugin-dev and plugin-dev-trust, or neither")
	}
	if f.SecretKey == "" {
		return c, nil
	}
	key, err := base64.StdEncoding.DecodeString(f.SecretKey)
	if err != nil || len(key) != privacy.KeyBytes {
		return c, refuse("secret-key", "…", "32 bytes in base64")
	}
	c.Secret = key
	return c, nil
}

// Run of serve.
func (f *serveCmd) Run(c call) error {
	cfg, err := f.config()
	return run(c, "serve", c.commands.Serve, cfg, err)
}

type migrateCmd struct{ databaseFlags }

// Run of migrate.
func (f *migrateCmd) Run(c call) error {
	db, err := f.config()
	return run(c, "migrate", c.commands.Migrate, db, err)
}

type seedCmd struct{ databaseFlags }

// Run of seed.
func (f *seedCmd) Run(c call) error {
	db, err := f.config()
	return run(c, "seed", c.commands.Seed, db, err)
}

type verifyCmd struct {
	databaseFlags
	AtRest bool `help:"Also refuse what has been due for a minute and is not done; for a database whose server has run until now. 同时检查到期未执行的事项。"`
}

// Run of verify.
func (f *verifyCmd) Run(c call) error {
	db, err := f.config()
	return run(c, "verify", c.commands.Verify, VerifyConfig{db, f.AtRest}, err)
}

type doctorCmd struct {
	databaseFlags
	keyFlags
	JSON bool `help:"Print JSON, in both languages. 以 JSON 输出。"`
}

// Run of doctor.
func (f *doctorCmd) Run(c call) error {
	db, err := f.config()
	return run(c, "doctor", c.commands.Doctor, DoctorConfig{Database: db, PluginTrust: f.PluginTrust, SecretKey: f.SecretKey, JSON: f.JSON}, err)
}

type copyCmd struct {
	From string `required:"" placeholder:"URL" help:"Database to read: sqlite:PATH or postgres://…; stop its servers first. 源数据库。"`
	To   string `required:"" placeholder:"URL" help:"Empty database to fill; its tables are made when they are missing. 目标空库。"`
}

// Run of copy.
func (f *copyCmd) Run(c call) error {
	var cfg CopyConfig
	var err error
	if cfg.From, err = parseDatabase(".", f.From); err == nil {
		cfg.To, err = parseDatabase(".", f.To)
	}
	if err == nil && cfg.From.URL == cfg.To.URL {
		err = refuse("to", f.To, "another database than --from")
	}
	return run(c, "copy", c.commands.Copy, cfg, err)
}

type demoCmd struct {
	DatabaseURL string `name:"database-url" setting:"SPMS_DEMO_DATABASE_URL" placeholder:"URL" help:"Empty database to play on; without it, a file that is deleted afterwards. 演示用空库。"`
	Cases       int    `default:"200" placeholder:"N" help:"How many orders are started. 单量。"`
	Seed        uint64 `default:"1" placeholder:"N" help:"Seed of the crew's random numbers: same seed, same story. 随机种子。"`
	Progress    bool   `default:"true" negatable:"" help:"Show progress while it runs. 显示进度。"`
}

// Run of demo.
func (f *demoCmd) Run(c call) error {
	cfg := DemoConfig{Cases: f.Cases, Seed: f.Seed, Progress: f.Progress}
	var err error
	if f.DatabaseURL != "" {
		cfg.Database, err = parseDatabase(".", f.DatabaseURL)
	}
	if f.Cases < 1 || f.Cases > 1_000_000 {
		err = refuse("cases", strconv.Itoa(f.Cases), "1…1000000")
	}
	return run(c, "demo", c.commands.Demo, cfg, err)
}

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token that acts as a person; its secret is printed once. 新建令牌。"`
	List   tokenListCmd   `cmd:"" help:"List the tokens, without their secrets. 列出令牌。"`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token at once. 吊销令牌。"`
}

type tokenCreateCmd struct {
	databaseFlags
	Staff    string `required:"" placeholder:"CODE" help:"Code of the person it acts as. 员工编号。"`
	Label    string `required:"" placeholder:"TEXT" help:"What it is for. 用途。"`
	ValidFor string `default:"90d" placeholder:"DURATION" help:"How long it is valid, such as 90d or 12h; 0s for ever. 有效期。"`
}

// Run of token create.
func (f *tokenCreateCmd) Run(c call) error {
	cfg := TokenConfig{Staff: f.Staff, Label: f.Label}
	var err error
	if cfg.ValidFor, err = parseDuration("valid-for", f.ValidFor, 10*365*24*time.Hour); err == nil {
		cfg.Database, err = f.config()
	}
	return run(c, "token create", c.commands.TokenCreate, cfg, err)
}

type tokenListCmd struct {
	databaseFlags
	Staff string `placeholder:"CODE" help:"Only the tokens of this person. 员工编号。"`
}

// Run of token list.
func (f *tokenListCmd) Run(c call) error {
	db, err := f.config()
	return run(c, "token list", c.commands.TokenList, TokenConfig{Database: db, Staff: f.Staff}, err)
}

type tokenRevokeCmd struct {
	databaseFlags
	ID string `arg:"" help:"Id of the token, as list shows it. 令牌编号。"`
}

// Run of token revoke.
func (f *tokenRevokeCmd) Run(c call) error {
	db, err := f.config()
	return run(c, "token revoke", c.commands.TokenRevoke, TokenConfig{Database: db, ID: f.ID}, err)
}

type standardCmd struct {
	Vectors vectorsCmd `cmd:"" help:"Compute the due instants of a file of test vectors and compare. 核对期限测试向量。"`
}

type vectorsCmd struct {
	File string `arg:"" help:"JSON file with vectors. 向量文件。"`
}

// Run of standard vectors.
func (f *vectorsCmd) Run(c call) error {
	return run(c, "standard vectors", c.commands.StandardVectors, f.File, nil)
}

type processCmd struct {
	Check   processCheckCmd   `cmd:"" help:"Check BPMN files: structure, soundness, compliance. 检查流程文件。"`
	Convert processConvertCmd `cmd:"" help:"Convert a process file into another format, chosen by the file endings. 转换流程文件。"`
}

type processCheckCmd struct {
	Files []string `arg:"" name:"file" help:"Files to check. 文件。"`
}

// Run of process check.
func (f *processCheckCmd) Run(c call) error {
	return run(c, "process check", c.commands.ProcessCheck, f.Files, nil)
}

type processConvertCmd struct {
	In  string `arg:"" help:"File to read. 输入。"`
	Out string `arg:"" help:"File to write. 输出。"`
}

// Run of process convert.
func (f *processConvertCmd) Run(c call) error {
	convert := c.commands.ProcessConvert
	if convert == nil {
		return run[string](c, "process convert", nil, f.In, nil)
	}
	return convert(c.ctx, c.console, f.In, f.Out)
}

type versionCmd struct{}

// Run of version.
func (*versionCmd) Run(c call) error {
	return run(c, "version", func(_ context.Context, c Console, v string) error {
		_, err := fmt.Fprintf(c.Out, "spms %s %s %s/%s\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	}, Version(), nil)
}

func (g *grammar) logger(w io.Writer) (*slog.Logger, error) {
	level, err := parseLevel(g.Log)
	if err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: level}
	switch g.LogFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, refuse("log-format", g.LogFormat, "text | json")
}

// newParser builds the parser of g; exit is called after help was printed.
func newParser(g *grammar, vars environment, stdout, stderr io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(g,
		kong.Name("spms"),
		kong.Description("OpenSPMS, service process management for telecom operators. 开放的电信服务流程管理系统。"),
		kong.Writers(stdout, stderr),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Resolvers(vars),
		kong.ValueFormatter(describe),
	)
}

// describe is the help of a flag with its default and environment variables.
func describe(v *kong.Value) string {
	help := v.Help
	if v.HasDefault {
		help += " [" + v.Default + "]"
	}
	if names := settingNames(v); len(names) > 0 {
		help += " ($" + strings.Join(names, ", $") + ")"
	}
	return help
}

// settingNames returns the environment variables of a flag.
func settingNames(v *kong.Value) []string {
	if s := v.Tag.Get("setting"); s != "" {
		return strings.Split(s, ",")
	}
	return nil
}

// environment is a set of environment variables.
type environment map[string]string

func environ(env []string) environment {
	e := environment{}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		e[name] = value
	}
	return e
}

// Validate implements kong.Resolver.
func (environment) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver: the first variable of the flag that is set
// and not empty.
func (e environment) Resolve(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
	for _, name := range settingNames(f.Value) {
		if v := e[name]; v != "" {
			return v, nil
		}
	}
	return nil, nil
}

// lang returns the language of the person at the terminal.
func (e environment) lang() fault.Lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := e[name]; v != "" {
			if strings.HasPrefix(strings.ToLower(v), "zh") {
				return fault.ZH
			}
			return fault.EN
		}
	}
	return fault.EN
}

// unknown returns the variables that look like settings and are none, sorted.
func (e environment) unknown(app *kong.Application) []string {
	known := map[string]bool{}
	_ = kong.Visit(app, func(n kong.Visitable, next kong.Next) error {
		if f, ok := n.(*kong.Flag); ok {
			for _, name := range settingNames(f.Value) {
				known[name] = true
			}
		}
		return next(nil)
	})
	var out []string
	for name := range e {
		if strings.HasPrefix(name, "SPMS_") && !strings.HasPrefix(name, "SPMS_TEST_") && !known[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
