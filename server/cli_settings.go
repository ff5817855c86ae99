package server

import (
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Setting is one thing the command line can be told.
type Setting struct {
	Flag        string   // --addr
	Environment []string // the variables that set it; the first that is not empty counts
	Default     string   // "" when there is none
	Value       string   // what stands for the value in help texts
	Help        string   // English, then a short gloss in Chinese
	Commands    []string // which commands take it; none: all
}

// Settings lists the settings of all commands: those of every command first,
// then in the order of the commands, each once.
func Settings() []Setting {
	k, err := newParser(&grammar{}, environment{}, io.Discard, io.Discard, func(int) {})
	if err != nil {
		panic(err)
	}
	var out []Setting
	add := func(f *kong.Flag, command string) {
		s := Setting{
			Flag: "--" + f.Name, Environment: settingNames(f.Value), Default: f.Default,
			Value: f.PlaceHolder, Help: f.Help,
		}
		if f.Tag.Negatable != "" {
			s.Flag = "--[no-]" + f.Name
		}
		if i := slices.IndexFunc(out, func(o Setting) bool { return o.Flag == s.Flag && o.Help == s.Help }); i >= 0 {
			out[i].Commands = append(out[i].Commands, command)
			return
		}
		if command != "" {
			s.Commands = []string{command}
		}
		out = append(out, s)
	}
	for _, f := range k.Model.Flags {
		if f.Name != "help" {
			add(f, "")
		}
	}
	for _, leaf := range k.Model.Leaves(true) {
		for _, f := range leaf.Flags {
			add(f, strings.TrimPrefix(leaf.Path(), k.Model.Name+" "))
		}
	}
	return out
}
