// Command longest-wait is a strategy in Python, packed into one file: this program brings
// an interpreter and payload/plugin.py along, unpacks them into the folder of the plugin
// and becomes the interpreter. README.md tells how it is built and what it needs.
package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

//go:embed payload
var payload embed.FS

func main() {
	err := run()
	fmt.Fprintln(os.Stderr, "longest-wait:", err)
	os.Exit(1)
}

// run returns only with an error.
func run() error {
	dir, err := os.MkdirTemp("", "python") // TMPDIR is the plugin's own folder, the only one that it may write to
	if err != nil {
		return err
	}
	files, err := fs.Sub(payload, "payload")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}
	interpreter := filepath.Join(dir, "python3")
	if err := os.Chmod(interpreter, 0o700); err != nil { //nolint:gosec // it is executed
		interpreter = "/usr/bin/python3" // none was packed: where nothing forbids it, that of the machine will do
	}
	env := append(os.Environ(), "PYTHONHOME=/usr", "OPENSSL_CONF=/dev/null", "PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1")
	return syscall.Exec(interpreter, []string{interpreter, "-s", filepath.Join(dir, "plugin.py")}, env) //nolint:gosec // it was packed, hashed and signed with this program
}
