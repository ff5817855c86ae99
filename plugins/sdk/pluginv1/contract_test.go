// Package pluginv1_test keeps the contract: what was once in it stays, with its
// number and type. The golden file lists every element; TestContract compares,
// and -update adds new elements but takes none away.
package pluginv1_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

var update = flag.Bool("update", false, "add new elements to the golden file")

// golden lists the elements of the contract, one a line.
var golden = filepath.Join("testdata", "contract.txt")

func TestContract(t *testing.T) {
	t.Parallel()
	now := elements(contract()...)
	text, err := os.ReadFile(golden)
	if err != nil && !*update {
		t.Fatal(err)
	}
	old := strings.Split(strings.TrimSpace(string(text)), "\n")
	if broken := missing(old, now); len(broken) > 0 && len(text) > 0 {
		t.Fatalf("the contract lost or changed:\n\t%s", strings.Join(broken, "\n\t"))
	}
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(now, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if added := missing(now, old); len(added) > 0 {
		t.Logf("new in the contract, to be kept with -update once released:\n\t%s", strings.Join(added, "\n\t"))
	}
}

// TestContractSeesBreaks breaks a copy of the contract in every way that
// matters and shows that each is found; additions are not.
func TestContractSeesBreaks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		seed func(f map[string]*descriptorpb.FileDescriptorProto)
		want string // a part of what is found missing; "" = nothing
	}{
		"field removed":    {func(f files) { m := message(f, "Proposal"); m.Field = m.GetField()[:5] }, "Proposal.rationale"},
		"field renumbered": {func(f files) { field(f, "Header", "seed").Number = proto.Int32(99) }, "Header.seed = 2"},
		"field retyped": {func(f files) {
			field(f, "Header", "seed").Type = descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
		}, "Header.seed = 2 uint64"},
		"field renamed": {func(f files) { field(f, "Wait", "until_us").Name = proto.String("until") }, "Wait.until_us"},
		"field repeated": {func(f files) {
			field(f, "Header", "region").Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}, "Header.region"},
		"field out of its oneof": {func(f files) { field(f, "ExecuteResponse", "fail").OneofIndex = nil }, "ExecuteResponse.fail"},
		"message of a field": {func(f files) {
			field(f, "ExecuteResponse", "fail").TypeName = proto.String(".spms.plugin.v1.Wait")
		}, "ExecuteResponse.fail"},
		"enum value removed":    {func(f files) { e := f["base"].GetEnumType()[0]; e.Value = e.GetValue()[:3] }, "KIND_SCORER"},
		"enum value renumbered": {func(f files) { f["base"].GetEnumType()[0].GetValue()[3].Number = proto.Int32(9) }, "KIND_SCORER = 3"},
		"method removed":        {func(f files) { s := f["base"].GetService()[0]; s.Method = s.GetMethod()[:2] }, "Base.Health"},
		"method no stream": {func(f files) {
			f["strategy"].GetService()[0].GetMethod()[0].ClientStreaming = proto.Bool(false)
		}, "Strategy.Propose"},
		"service removed": {func(f files) { f["scorer"].Service = nil }, "service spms.plugin.v1.Scorer"},
		"message removed": {func(f files) { f["scorer"].Service = nil; f["scorer"].MessageType = nil }, "ScoreResponse"},
		"field added": {func(f files) {
			m := message(f, "Done")
			x := proto.Clone(m.GetField()[0]).(*descriptorpb.FieldDescriptorProto)
			x.Name, x.JsonName, x.Number = proto.String("events"), proto.String("events"), proto.Int32(3)
			m.Field = append(m.Field, x)
		}, ""},
		"message added": {func(f files) {
			f["base"].MessageType = append(f["base"].MessageType, &descriptorpb.DescriptorProto{Name: proto.String("Note")})
		}, ""},
		"enum value added": {func(f files) {
			e := f["base"].GetEnumType()[0]
			e.Value = append(e.Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String("KIND_X"), Number: proto.Int32(4)})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := missing(elements(contract()...), elements(seeded(t, test.seed)...))
			if got := strings.Join(broken, "\n"); !strings.Contains(got, test.want) || (test.want == "") != (got == "") {
				t.Errorf("missing(%s) = %q, want %q", name, got, test.want)
			}
		})
	}
}

// files are the descriptors of the contract by the names of their files.
type files = map[string]*descriptorpb.FileDescriptorProto

// contract is the contract as the generated code has it.
func contract() []protoreflect.FileDescriptor {
	return []protoreflect.FileDescriptor{
		pluginv1.File_spms_plugin_v1_base_proto, pluginv1.File_spms_plugin_v1_module_proto,
		pluginv1.File_spms_plugin_v1_scorer_proto, pluginv1.File_spms_plugin_v1_strategy_proto,
	}
}

// seeded is a copy of the contract with a change.
func seeded(t *testing.T, change func(files)) []protoreflect.FileDescriptor {
	t.Helper()
	copies := files{}
	for _, f := range contract() {
		copies[strings.TrimSuffix(filepath.Base(f.Path()), ".proto")] = protodesc.ToFileDescriptorProto(f)
	}
	change(copies)
	var out []protoreflect.FileDescriptor
	registry := &protoregistry.Files{}
	for _, name := range []string{"base", "module", "scorer", "strategy"} {
		f, err := protodesc.NewFile(copies[name], registry)
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.RegisterFile(f); err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

func message(f files, name string) *descriptorpb.DescriptorProto {
	for _, file := range f {
		for _, m := range file.GetMessageType() {
			if m.GetName() == name {
				return m
			}
		}
	}
	panic("no message " + name)
}

func field(f files, of, name string) *descriptorpb.FieldDescriptorProto {
	for _, x := range message(f, of).GetField() {
		if x.GetName() == name {
			return x
		}
	}
	panic("no field " + name)
}

// missing are the lines of old that now lacks.
func missing(old, now []string) []string {
	return slices.DeleteFunc(slices.Clone(old), func(line string) bool { return slices.Contains(now, line) })
}

// elements describes all that a peer relies on, one element a line, in order.
func elements(files ...protoreflect.FileDescriptor) []string {
	var out []string
	for _, f := range files {
		for i := range f.Enums().Len() {
			out = append(out, enum(f.Enums().Get(i))...)
		}
		for i := range f.Messages().Len() {
			out = append(out, fields(f.Messages().Get(i))...)
		}
		for i := range f.Services().Len() {
			out = append(out, methods(f.Services().Get(i))...)
		}
	}
	slices.Sort(out)
	return out
}

func enum(e protoreflect.EnumDescriptor) []string {
	out := []string{"enum " + string(e.FullName())}
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		out = append(out, fmt.Sprintf("value %s.%s = %d", e.FullName(), v.Name(), v.Number()))
	}
	return out
}

func fields(m protoreflect.MessageDescriptor) []string {
	out := []string{"message " + string(m.FullName())}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		line := fmt.Sprintf("field %s = %d %s %s", f.FullName(), f.Number(), f.Kind(), f.Cardinality())
		if f.Message() != nil {
			line += " " + string(f.Message().FullName())
		}
		if f.Enum() != nil {
			line += " " + string(f.Enum().FullName())
		}
		if f.ContainingOneof() != nil {
			line += " in " + string(f.ContainingOneof().Name())
		}
		out = append(out, line)
	}
	for i := range m.Messages().Len() {
		out = append(out, fields(m.Messages().Get(i))...)
	}
	return out
}

func methods(s protoreflect.ServiceDescriptor) []string {
	out := []string{"service " + string(s.FullName())}
	for i := range s.Methods().Len() {
		m := s.Methods().Get(i)
		out = append(out, fmt.Sprintf("method %s (%s stream=%t) (%s stream=%t)",
			m.FullName(), m.Input().FullName(), m.IsStreamingClient(), m.Output().FullName(), m.IsStreamingServer()))
	}
	return out
}
