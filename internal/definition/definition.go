// Package definition keeps process definitions: drafts, checks, publishing and
// the bindings of versions to regions. Its main type is Room. It does not run
// cases; execution does.
package definition
