package main

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

var update = flag.Bool("update", false, "write payload/contract.binpb anew")

// TestContractIsCurrent compares the contract that the plugin reads with that of the SDK.
func TestContractIsCurrent(t *testing.T) {
	t.Parallel()
	set := &descriptorpb.FileDescriptorSet{}
	for _, f := range []protoreflect.FileDescriptor{pluginv1.File_spms_plugin_v1_base_proto, pluginv1.File_spms_plugin_v1_module_proto, pluginv1.File_spms_plugin_v1_strategy_proto, pluginv1.File_spms_plugin_v1_scorer_proto} {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("payload/contract.binpb", want, 0o644); err != nil { //nolint:gosec // source
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("payload/contract.binpb")
	if err != nil || !bytes.Equal(have, want) {
		t.Errorf("payload/contract.binpb is not that of the SDK (%v): go test ./plugins/examples/python -update", err)
	}
}
