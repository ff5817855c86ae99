package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/sandbox"
	"github.com/openspms/spms/internal/privacy"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/plugins/builtin"
)

// DoctorConfig is all that `spms doctor` is told: the settings of the server that is
// examined, unchecked, for what is wrong with them is a finding.
type DoctorConfig struct {
	Database    Database
	PluginTrust []string
	SecretKey   string
	JSON        bool
}

// The levels of a finding: warn is something that works, but less well than it could.
const (
	levelOK   = "ok"
	levelWarn = "warn"
	levelFail = "fail"
)

// finding is what one check of the installation found.
type finding struct {
	Check string `json:"check"`
	Level string `json:"level"`
	Zh    string `json:"zh"`
	En    string `json:"en"`
}

// examination collects findings.
type examination struct {
	log  Console
	cfg  DoctorConfig
	list []finding
}

func (x *examination) say(check, level, zh, en string) {
	x.list = append(x.list, finding{check, level, zh, en})
}

// told says an error of the house in both languages.
func (x *examination) told(check string, err error) {
	e := fault.From(store.Explain(err))
	cause := ""
	if inner := e.Unwrap(); inner != nil {
		cause = " (" + inner.Error() + ")"
	}
	x.say(check, levelFail, e.Code+"："+fault.Text(fault.ZH, e)+cause, e.Code+": "+fault.Text(fault.EN, e)+cause)
}

// doctor examines the installation: what it needs, and how far plugins can be kept
// apart on this machine, by starting one. Nothing is changed; a database that does not
// exist yet is not made. It fails when something is found that keeps a server from
// working.
func doctor(ctx context.Context, c Console, cfg DoctorConfig) error {
	x := &examination{log: c, cfg: cfg}
	x.say("program", levelOK, fmt.Sprintf("%s，%s/%s，%s", Version(), runtime.GOOS, runtime.GOARCH, runtime.Version()), fmt.Sprintf("%s, %s/%s, %s", Version(), runtime.GOOS, runtime.GOARCH, runtime.Version()))
	x.clock()
	x.folder("data", cfg.Database.Dir, cfg.Database.Embedded())
	x.folder("temp", os.TempDir(), true)
	x.keys()
	x.database(ctx)
	x.isolation(ctx)
	return x.tell(c)
}

// tell prints the findings, worst last counted, and returns the error of the command.
func (x *examination) tell(c Console) error {
	failed := 0
	for _, f := range x.list {
		if f.Level == levelFail {
			failed++
		}
	}
	if x.cfg.JSON {
		e := json.NewEncoder(c.Out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(map[string]any{"ok": failed == 0, "checks": x.list}); err != nil {
			return err
		}
		return tally(failed)
	}
	for _, f := range x.list {
		text := f.En
		if c.Lang == fault.ZH {
			text = f.Zh
		}
		fmt.Fprintf(c.Out, "%-4s  %-20s %s\n", f.Level, f.Check, text)
	}
	return tally(failed)
}

// clock looks at the machine's clock and at the data of time zones.
func (x *examination) clock() {
	now := systemClock.Now()
	if y := now.Year(); y < 2024 || y > 2100 {
		x.say("clock", levelFail, "系统时间不可信："+now.Format(time.RFC3339), "the clock of this machine cannot be right: "+now.Format(time.RFC3339))
	} else {
		x.say("clock", levelOK, "系统时间 "+now.Format(time.RFC3339), "it is "+now.Format(time.RFC3339))
	}
	if _, err := time.LoadLocation("Asia/Shanghai"); err != nil {
		x.say("zones", levelFail, "没有时区数据（tzdata），无法计算期限："+err.Error(), "there are no data of time zones (tzdata), so no due instant can be counted: "+err.Error())
		return
	}
	x.say("zones", levelOK, "时区数据可用", "data of time zones are there")
}

const (
	diskLow   = 1 << 30
	diskEmpty = 64 << 20
)

// folder looks whether a folder can be written to and how much room it has.
func (x *examination) folder(name, dir string, needed bool) {
	level := levelFail
	if !needed {
		level = levelWarn
	}
	at := dir
	for { // the data folder is made when the server starts
		if s, err := os.Stat(at); err == nil && s.IsDir() {
			break
		}
		if up := filepath.Dir(at); up != at {
			at = up
			continue
		}
		break
	}
	f, err := os.CreateTemp(at, ".spms-doctor-")
	if err != nil {
		x.say(name, level, fmt.Sprintf("目录 %s 不可写：%v", dir, err), fmt.Sprintf("the folder %s cannot be written to: %v", dir, err))
		return
	}
	_ = errors.Join(f.Close(), os.Remove(f.Name())) // it was only a trial
	free, ok := freeBytes(at)
	switch {
	case !ok:
		x.say(name, levelOK, "目录 "+dir+" 可写", "the folder "+dir+" can be written to")
	case free < diskEmpty:
		x.say(name, level, fmt.Sprintf("目录 %s 几乎没有空间：%s", dir, megabytes(free)), fmt.Sprintf("the folder %s has hardly any room: %s", dir, megabytes(free)))
	case free < diskLow:
		x.say(name, levelWarn, fmt.Sprintf("目录 %s 空间不多：%s", dir, megabytes(free)), fmt.Sprintf("the folder %s has little room: %s", dir, megabytes(free)))
	default:
		x.say(name, levelOK, fmt.Sprintf("目录 %s 可写，剩余 %s", dir, megabytes(free)), fmt.Sprintf("the folder %s can be written to and has %s", dir, megabytes(free)))
	}
}

func megabytes(n uint64) string { return fmt.Sprintf("%d MiB", n>>20) }

// keys looks at the keys that the server is given.
func (x *examination) keys() {
	for _, file := range x.cfg.PluginTrust {
		list, err := trusted([]string{file})
		if err != nil {
			x.told("trust", err)
			continue
		}
		x.say("trust", levelOK, fmt.Sprintf("信任插件签名密钥 %s（%s）", list[0].ID(), file), fmt.Sprintf("plugins signed by the key %s are taken (%s)", list[0].ID(), file))
	}
	if len(x.cfg.PluginTrust) == 0 {
		x.say("trust", levelWarn, "未设置信任的签名密钥（--plugin-trust）：只能使用随产品提供的插件", "no key is trusted (--plugin-trust): only the plugins of the product can be used")
	}
	key, err := base64.StdEncoding.DecodeString(x.cfg.SecretKey)
	switch {
	case x.cfg.SecretKey == "":
		x.say("secret", levelWarn, "未设置机密密钥（--secret-key）：插件配置不能含机密", "there is no secret key (--secret-key): configurations of plugins cannot have secrets")
	case err != nil || len(key) != privacy.KeyBytes:
		x.say("secret", levelFail, "机密密钥应为 base64 编码的 32 字节", "the secret key must be 32 bytes in base64")
	default:
		x.say("secret", levelOK, "机密密钥可用", "the secret key is well formed")
	}
}

// database looks at the database, its tables and, with the secret key, its secrets.
func (x *examination) database(ctx context.Context) {
	if path := strings.TrimPrefix(x.cfg.Database.URL, "sqlite:"); x.cfg.Database.Embedded() {
		if _, err := os.Stat(path); err != nil {
			x.say("database", levelWarn, "还没有数据库 "+path+"，首次启动时建立", "there is no database "+path+" yet; the first start makes it")
			return
		}
	}
	h, err := OpenHouse(ctx, x.cfg.Database.URL, systemClock, x.log.Log)
	if err != nil {
		x.told("database", err)
		return
	}
	defer func() { _ = h.Close() }()
	about, err := h.Store.About(ctx)
	if err != nil {
		x.told("database", err)
		return
	}
	x.say("database", levelOK, fmt.Sprintf("%s %s，可连接", about.Dialect, about.Version), fmt.Sprintf("%s %s answers", about.Dialect, about.Version))
	for _, s := range about.Settings {
		if !s.Holds() {
			x.say("database setting", levelWarn, fmt.Sprintf("%s 为 %s，应为 %s，否则有数据丢失或损坏的风险", s.Name, s.Value, s.Want), fmt.Sprintf("%s is %s and should be %s: %s", s.Name, s.Value, s.Want, s.Why))
			continue
		}
		x.say("database setting", levelOK, s.Name+" = "+s.Value, s.Name+" = "+s.Value)
	}
	if !about.Now.IsZero() {
		x.apart(about.Now.Sub(systemClock.Now()))
	}
	if x.tables(ctx, h) {
		x.secrets(ctx, h)
	}
}

// apart judges how far the clocks of database and machine are apart.
func (x *examination) apart(d time.Duration) {
	level := levelOK
	if d.Abs() > 2*time.Second {
		level = levelWarn
	}
	x.say("database clock", level, fmt.Sprintf("与本机相差 %v", d.Round(time.Millisecond)), fmt.Sprintf("%v from the clock of this machine", d.Round(time.Millisecond)))
}

// tables looks whether the tables are those of this program, and reports it.
func (x *examination) tables(ctx context.Context, h *House) bool {
	pending, err := h.Store.Pending(ctx)
	switch {
	case err != nil:
		x.told("tables", err)
	case len(pending) > 0:
		x.say("tables", levelWarn, "有待执行的升级（spms migrate，或启动时自动执行）："+strings.Join(pending, " "), "there is something to bring up to date (spms migrate, or the next start): "+strings.Join(pending, " "))
	default:
		x.say("tables", levelOK, "已是最新", "up to date")
		return true
	}
	return false
}

// secrets looks whether the key opens what is kept.
func (x *examination) secrets(ctx context.Context, h *House) {
	c := PluginConfig{Dir: filepath.Join(x.cfg.Database.Dir, "plugins")}
	if key, err := base64.StdEncoding.DecodeString(x.cfg.SecretKey); err == nil && len(key) == privacy.KeyBytes {
		c.Secret = key
	}
	if err := h.OpenPlugins(c); err != nil {
		x.told("secrets", err)
		return
	}
	kept, err := h.Innovation.CheckSecrets(access.With(ctx, access.System("doctor")))
	switch {
	case err != nil:
		x.told("secrets", err)
	case kept > 0:
		x.say("secrets", levelOK, fmt.Sprintf("密钥能解开 %d 份配置的机密", kept), fmt.Sprintf("the key opens the secrets of %d configurations", kept))
	}
}

// layers are what keeps plugins apart, with what each is good for.
var layers = []struct{ name, zh, en string }{
	{sandbox.Environment, "独立的环境、目录和进程组", "an environment, folder and process group of its own"},
	{sandbox.Limits, "内存、文件数和文件大小上限", "limits of memory, open files and file size"},
	{sandbox.NoNewRights, "不能获得新的权限", "nothing that it executes gains rights"},
	{sandbox.Landlock, "只能读写自己的文件", "it reaches its own files only"},
	{sandbox.Seccomp, "不能建立进程和网络连接", "no processes, no network sockets"},
	{sandbox.OwnUser, "以无权限的用户运行", "a user that owns nothing"},
	{sandbox.NoNetwork, "没有网络接口的网络", "a network without interfaces"},
	{sandbox.OwnGroup, "独立的控制组：内存、进程数、磁盘份额", "a control group: memory, processes, share of the disk"},
	{sandbox.LowPriority, "低优先级", "a low priority"},
}

// isolation starts a plugin of the product in the sandbox and tells what kept it apart.
func (x *examination) isolation(ctx context.Context) {
	host, err := pluginhost.Open(pluginhost.Options{Log: x.log.Log, Limits: pluginhost.DefaultLimits()})
	if err != nil {
		x.told("plugins", err)
		return
	}
	defer func() { _ = host.Close() }()
	p := builtin.All()[0]
	s, err := host.Probe(ctx, pluginhost.Artifact{Digest: "probe", Name: p.Name, Version: p.Version, Inside: builtin.Variable + "=" + p.Name})
	if err != nil {
		x.told("plugins", err)
		return
	}
	x.say("plugins", levelOK, fmt.Sprintf("试启动的插件可用，占用内存 %d KiB", s.MemoryBytes>>10), fmt.Sprintf("a plugin was started and answers; it takes %d KiB of memory", s.MemoryBytes>>10))
	for _, l := range layers {
		if slices.Contains(s.Isolation, l.name) {
			x.say("isolation "+l.name, levelOK, l.zh, l.en)
			continue
		}
		why := "?"
		for _, m := range s.Missing {
			if cause, ok := strings.CutPrefix(m, l.name+": "); ok {
				why = cause
			}
		}
		x.say("isolation "+l.name, levelWarn, fmt.Sprintf("缺少：%s（%s）", l.zh, why), fmt.Sprintf("missing: %s (%s)", l.en, why))
	}
}
