package server

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// PluginCommands are the commands of a plugin's author; each gets what it was told.
type PluginCommands struct {
	New    func(ctx context.Context, c Console, name, dir string) error
	Test   func(ctx context.Context, c Console, dir string) error
	Pack   func(ctx context.Context, c Console, dir, out string, targets []string) error
	Keygen func(ctx context.Context, c Console, prefix, password string) error
	Sign   func(ctx context.Context, c Console, bundle, key, password string) error
	Verify func(ctx context.Context, c Console, bundle string, trust []string) error
	Push   func(ctx context.Context, c Console, to PluginPush) error
	Dev    func(ctx context.Context, c Console, d PluginDev) error
}

// PluginPush says where a bundle goes.
type PluginPush struct {
	Bundle, Server, Region string
	Token, Person          string // one of them, or neither
}

// PluginDev says what is developed, and where its versions go to work at each save.
type PluginDev struct {
	PluginPush // Bundle is not used
	Dir        string
	Topic      string // of a module; the first of the manifest when empty
	Mode       string
	Inputs     map[string]string // input → variable of the case
	Outputs    map[string]string // output → variable of the case
	Config     string            // file with the configuration, JSON; "" for {}
	Role       string            // that does what the module cannot; "": it becomes a failure
}

type pluginCmd struct {
	New    pluginNewCmd    `cmd:"" help:"Write a plugin that builds and passes its test at once. 新建插件。"`
	Dev    pluginDevCmd    `cmd:"" help:"Build, check, sign, bring in and assign a plugin at each save, in a region that is open to development. 开发插件：保存即生效。"`
	Test   pluginTestCmd   `cmd:"" help:"Build a plugin, start it in the sandbox and hold it against the contract. 检验插件。"`
	Pack   pluginPackCmd   `cmd:"" help:"Build a plugin and pack it into a bundle. 打包插件。"`
	Keygen pluginKeygenCmd `cmd:"" help:"Make a pair of minisign keys. 生成签名密钥。"`
	Sign   pluginSignCmd   `cmd:"" help:"Sign a bundle. 签名插件包。"`
	Verify pluginVerifyCmd `cmd:"" help:"Check a bundle whole and its signature. 校验插件包。"`
	Push   pluginPushCmd   `cmd:"" help:"Bring a signed bundle into the catalog of a server. 上传插件包。"`
}

type passwordFlags struct {
	Password string `setting:"SPMS_PLUGIN_KEY_PASSWORD" placeholder:"TEXT" help:"Password of the private key; none when empty. 私钥口令。"`
}

type pluginNewCmd struct {
	Name string `arg:"" help:"Name: lower-case letters, digits and hyphens. 名称。"`
	Dir  string `placeholder:"DIR" help:"Folder to make; the name when absent. 目录。"`
}

// Run of plugin new.
func (f *pluginNewCmd) Run(c call) error {
	do := c.commands.Plugin.New
	if f.Dir == "" {
		f.Dir = f.Name
	}
	return act(c, "plugin new", do != nil, func(ctx context.Context, k Console) error { return do(ctx, k, f.Name, f.Dir) })
}

type pluginTestCmd struct {
	Dir string `arg:"" default:"." help:"Folder of the plugin. 目录。"`
}

// Run of plugin test.
func (f *pluginTestCmd) Run(c call) error {
	do := c.commands.Plugin.Test
	return act(c, "plugin test", do != nil, func(ctx context.Context, k Console) error { return do(ctx, k, f.Dir) })
}

type pluginPackCmd struct {
	Dir    string   `arg:"" default:"." help:"Folder of the plugin. 目录。"`
	Out    string   `short:"o" required:"" placeholder:"FILE" help:"Bundle to write. 输出。"`
	Target []string `placeholder:"OS/ARCH" help:"Platforms to build for, such as linux/amd64; this machine's when absent. 目标平台。"`
}

// Run of plugin pack.
func (f *pluginPackCmd) Run(c call) error {
	do := c.commands.Plugin.Pack
	wrong := slices.ContainsFunc(f.Target, func(t string) bool {
		return strings.Count(t, "/") != 1 || strings.HasPrefix(t, "/") || strings.HasSuffix(t, "/")
	})
	if wrong {
		return run[string](c, "plugin pack", nil, "", refuse("target", strings.Join(f.Target, ","), "OS/ARCH, such as linux/amd64"))
	}
	return act(c, "plugin pack", do != nil, func(ctx context.Context, k Console) error { return do(ctx, k, f.Dir, f.Out, f.Target) })
}

type pluginKeygenCmd struct {
	passwordFlags
	Out string `short:"o" required:"" placeholder:"PREFIX" help:"PREFIX.pub and PREFIX.key are written. 输出前缀。"`
}

// Run of plugin keygen.
func (f *pluginKeygenCmd) Run(c call) error {
	do := c.commands.Plugin.Keygen
	return act(c, "plugin keygen", do != nil, func(ctx context.Context, k Console) error { return do(ctx, k, f.Out, f.Password) })
}

type pluginSignCmd struct {
	passwordFlags
	Bundle string `arg:"" help:"Bundle; it is signed in its place. 插件包。"`
	Key    string `required:"" placeholder:"FILE" help:"Private key. 私钥文件。"`
}

// Run of plugin sign.
func (f *pluginSignCmd) Run(c call) error {
	do := c.commands.Plugin.Sign
	return act(c, "plugin sign", do != nil, func(ctx context.Context, k Console) error { return do(ctx, k, f.Bundle, f.Key, f.Password) })
}

type pluginVerifyCmd struct {
	Bundle string   `arg:"" help:"Bundle. 插件包。"`
	Trust  []string `required:"" placeholder:"FILE" help:"Public keys that are trusted. 受信任的公钥文件。"`
}

// Run of plugin verify.
func (f *pluginVerifyCmd) Run(c call) error {
	do := c.commands.Plugin.Verify
	return act(c, "plugin verify", do != nil, func(ctx context.Context, k Console) error { return do(ctx, k, f.Bundle, f.Trust) })
}

// serverFlags say which server is asked, and as whom.
type serverFlags struct {
	Server string `default:"http://localhost:8080" setting:"SPMS_SERVER" placeholder:"URL" help:"Server. 服务器地址。"`
	Token  string `setting:"SPMS_TOKEN" placeholder:"TOKEN" help:"API token, where the server asks for one. API 令牌。"`
	Person string `placeholder:"CODE" help:"Sample person to act as, where the server asks for no token. 示例人员。"`
}

func (f serverFlags) push(region string) PluginPush {
	return PluginPush{Server: strings.TrimRight(f.Server, "/"), Region: region, Token: f.Token, Person: f.Person}
}

type pluginPushCmd struct {
	serverFlags
	Bundle string `arg:"" help:"Signed bundle. 已签名的插件包。"`
	Region string `required:"" placeholder:"CODE" help:"Region that the plugin belongs to. 所属地区。"`
}

// Run of plugin push.
func (f *pluginPushCmd) Run(c call) error {
	do := c.commands.Plugin.Push
	return act(c, "plugin push", do != nil, func(ctx context.Context, k Console) error {
		to := f.push(f.Region)
		to.Bundle = f.Bundle
		return do(ctx, k, to)
	})
}

type pluginDevCmd struct {
	serverFlags
	Dir    string            `arg:"" default:"." help:"Folder of the plugin. 目录。"`
	Region string            `required:"" placeholder:"CODE" help:"Region that is open to development. 开发地区。"`
	Topic  string            `placeholder:"TOPIC" help:"Topic of the service tasks; the manifest's first when absent. 任务主题。"`
	Mode   string            `default:"full" enum:"shadow,pilot,full" help:"shadow, pilot or full. 方式。"`
	Input  map[string]string `placeholder:"INPUT=VARIABLE" help:"Variable of the case that an input is, where the names differ. 输入映射。"`
	Output map[string]string `placeholder:"OUTPUT=VARIABLE" help:"Variable of the case that an output becomes, where the names differ. 输出映射。"`
	Config string            `placeholder:"FILE" help:"Configuration, JSON, read anew at each save. 配置文件。"`
	Role   string            `placeholder:"ROLE" help:"Role that does what the plugin cannot; without it such a task becomes a failure. 转人工角色。"`
}

// Run of plugin dev.
func (f *pluginDevCmd) Run(c call) error {
	do := c.commands.Plugin.Dev
	return act(c, "plugin dev", do != nil, func(ctx context.Context, k Console) error {
		return do(ctx, k, PluginDev{PluginPush: f.push(f.Region), Dir: f.Dir, Topic: f.Topic, Mode: f.Mode, Inputs: f.Input, Outputs: f.Output, Config: f.Config, Role: f.Role})
	})
}

// act runs a command that has its arguments already, if the program has it.
func act(c call, name string, has bool, do func(context.Context, Console) error) error {
	if !has {
		return run[string](c, name, nil, "", nil)
	}
	return run(c, name, func(ctx context.Context, k Console, _ string) error { return do(ctx, k) }, "", nil)
}

// failed is the error of a tool that has said what is wrong already.
func failed(what string) error {
	return fault.E(fault.Precondition, "PLUGIN_TOOL_FAILED", fault.P("what", what)).Because(errors.New(what))
}
