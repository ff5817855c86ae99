// Command protogen writes the Go code of the plugin contract. It compiles the
// .proto files in Go, hands them to the pinned protoc-gen-go and
// protoc-gen-go-grpc, and refuses an element without a comment; it needs no
// protoc and knows nothing of what the contract says.
//
//	protogen FOLDER-OF-PROTOS FOLDER-OF-THE-GO-MODULE ITS-PATH
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: protogen FOLDER-OF-PROTOS FOLDER-OF-THE-GO-MODULE ITS-PATH")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, protos, out, module string) error {
	names, err := find(protos)
	if err != nil {
		return err
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{protos}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, names...)
	if err != nil {
		return err
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: names, Parameter: proto.String("module=" + module)}
	seen := map[string]bool{}
	for _, f := range files {
		if err := commented(f); err != nil {
			return err
		}
		add(request, f, seen)
	}
	for _, tool := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		if err := generate(ctx, tool, request, out); err != nil {
			return fmt.Errorf("%s: %w", tool, err)
		}
	}
	return nil
}

// find lists the .proto files below root in order.
func find(root string) ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(root), ".", func(p string, _ fs.DirEntry, err error) error {
		if filepath.Ext(p) == ".proto" {
			names = append(names, p)
		}
		return err
	})
	slices.Sort(names)
	return names, err
}

// add appends a file to the request, what it imports first.
func add(request *pluginpb.CodeGeneratorRequest, f protoreflect.FileDescriptor, seen map[string]bool) {
	if seen[f.Path()] {
		return
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		add(request, f.Imports().Get(i).FileDescriptor, seen)
	}
	request.ProtoFile = append(request.ProtoFile, protodesc.ToFileDescriptorProto(f))
}

// generate runs one generator and writes its files below out.
func generate(ctx context.Context, tool string, request *pluginpb.CodeGeneratorRequest, out string) error {
	in, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", tool)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(answer, &response); err != nil {
		return err
	}
	if response.Error != nil {
		return errors.New(response.GetError())
	}
	for _, f := range response.GetFile() {
		name := filepath.Join(out, filepath.FromSlash(f.GetName()))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// commented refuses a file with an element that has no comment before it.
func commented(f protoreflect.FileDescriptor) error {
	var missing []string
	paths := map[string]*descriptorpb.SourceCodeInfo_Location{}
	for _, l := range protodesc.ToFileDescriptorProto(f).GetSourceCodeInfo().GetLocation() {
		paths[fmt.Sprint(l.GetPath())] = l
	}
	for p, name := range elements(protodesc.ToFileDescriptorProto(f)) {
		if strings.TrimSpace(paths[p].GetLeadingComments()) == "" {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		return fmt.Errorf("%s: without a comment: %s", f.Path(), strings.Join(missing, ", "))
	}
	return nil
}

// elements names what must be commented by its path in the descriptor: 4 are
// messages, 5 enums, 6 services; below them 2 are fields, values and methods,
// and 8 the oneofs, except those that stand for an optional field.
func elements(f *descriptorpb.FileDescriptorProto) map[string]string {
	out := map[string]string{}
	put := func(name string, path ...int) { out[fmt.Sprint(path)] = name }
	for i, m := range f.GetMessageType() {
		put(m.GetName(), 4, i)
		made := map[int32]bool{}
		for j, x := range m.GetField() {
			if x.GetProto3Optional() {
				made[x.GetOneofIndex()] = true
			}
			put(m.GetName()+"."+x.GetName(), 4, i, 2, j)
		}
		for j, x := range m.GetOneofDecl() {
			if made[int32(j)] { //nolint:gosec // few
				continue
			}
			put(m.GetName()+"."+x.GetName(), 4, i, 8, j)
		}
	}
	for i, e := range f.GetEnumType() {
		put(e.GetName(), 5, i)
		for j, x := range e.GetValue() {
			put(x.GetName(), 5, i, 2, j)
		}
	}
	for i, s := range f.GetService() {
		put(s.GetName(), 6, i)
		for j, x := range s.GetMethod() {
			put(s.GetName()+"."+x.GetName(), 6, i, 2, j)
		}
	}
	return out
}
