// Package process carries the service processes that ship with the product as
// BPMN 2.0 files with diagrams, embedded in the binary. Its main function is
// Files. It must not know how processes are read, published or run: that is
// the business of the rooms above.
package process

import (
	"embed"
	"fmt"
	"path"
	"regexp"
	"strings"
)

//go:embed *.bpmn
var files embed.FS

// processName finds the name of the process in a shipped file.
var processName = regexp.MustCompile(`<bpmn:process id="[^"]*" name="([^"]*)"`)

// File is one shipped process.
type File struct {
	Key  string // process key and file name, such as ftth-install
	Name string // name of the process in Chinese
	Text string // BPMN 2.0 XML
}

// Files returns the shipped processes in order of their keys. An error means
// that the program was built from broken files.
func Files() ([]File, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("list shipped processes: %w", err)
	}
	out := make([]File, 0, len(entries))
	for _, e := range entries {
		text, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, fmt.Errorf("read shipped process: %w", err)
		}
		name := processName.FindSubmatch(text)
		if name == nil {
			return nil, fmt.Errorf("shipped process %s has no name", e.Name())
		}
		out = append(out, File{
			Key:  strings.TrimSuffix(e.Name(), path.Ext(e.Name())),
			Name: string(name[1]),
			Text: string(text),
		})
	}
	return out, nil
}
