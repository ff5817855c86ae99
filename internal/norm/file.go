package norm

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/openspms/spms/internal/fault"
)

// The formats of the pack files this package reads.
const (
	StandardFormat   = "openspms-standard/1"
	VocabularyFormat = "openspms-vocabulary/1"
)

// The bounds of a pack file; the YAML reader's time is quadratic in nesting.
const (
	maxFile    = 1 << 20 // bytes
	maxNesting = 32      // brackets within brackets
	maxInLine  = 16      // block dashes or keys in one line
	maxIndent  = 200     // columns
)

// unreadable scans a file for what is refused before it is parsed: a wrong
// encoding, too much nesting, anchors, aliases, tags, complex keys and numbers
// that would not survive being read as text. It returns the line and what is wrong, "" when nothing is. Cost: linear.
func unreadable(file []byte) (line int, detail string) {
	if len(file) > maxFile || !utf8.Valid(file) {
		return 1, "longer than 1 MiB or not UTF-8"
	}
	depth, inLine := 0, 0
	for _, t := range lexer.Tokenize(string(file)) {
		if t.Position.Line != line {
			line, inLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType, token.MappingKeyType:
			return line, "anchors, aliases, tags and complex keys are not read"
		case token.IntegerType, token.FloatType, token.HexIntegerType, token.OctetIntegerType, token.BinaryIntegerType:
			if !faithful(t) {
				return line, "write " + t.Value + " in quotes"
			}
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingValueType:
			if depth <= 0 {
				inLine++
			}
		}
		if depth > maxNesting || inLine > maxInLine || (depth <= 0 && t.Position.Column > maxIndent && t.Prev != nil && t.Prev.Position.Line < line) {
			return line, "nested too deeply"
		}
	}
	return 0, ""
}

// faithful reports whether a bare number may be written as it is: as a figure
// (value, target), or in the one way in which it keeps its text - the clause
// number 1.10 would become 1.1.
func faithful(t *token.Token) bool {
	if c := t.Prev; c != nil && c.Type == token.MappingValueType && c.Prev != nil && (c.Prev.Value == "value" || c.Prev.Value == "target") {
		return true
	}
	n, err := strconv.ParseInt(t.Value, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == t.Value
}

// ParseStandard reads a standard's file, YAML or JSON, and checks it against
// the vocabulary. Unknown and repeated fields, aliases and unmapped words are
// refused; nothing of a refused file is returned. Words of the published data
// (BasisWords, StatisticWords, aliases of services and areas) are read as the
// product's. A version that names its digest must have it. Errors are
// fault.Invalid: NORM_SYNTAX with the line, NORM_INVALID with one item per
// finding, each with path and line.
func ParseStandard(file []byte, vocabulary *Vocabulary) (*Standard, error) {
	var s Standard
	tree, err := decode(file, &s)
	if err != nil {
		return nil, err
	}
	s.Normalise(vocabulary)
	if e := s.check(vocabulary); e != nil {
		return nil, withLines(e, tree)
	}
	return &s, nil
}

// ParseVocabulary reads a vocabulary file. Errors are fault.Invalid:
// NORM_SYNTAX, or NORM_INVALID with one item per finding.
func ParseVocabulary(file []byte) (*Vocabulary, error) {
	var v Vocabulary
	tree, err := decode(file, &v)
	if err != nil {
		return nil, err
	}
	if e := v.check(); e != nil {
		return nil, withLines(e, tree)
	}
	return &v, nil
}

// withLines adds its line to every finding.
func withLines(e *fault.Error, tree ast.Node) *fault.Error {
	for _, it := range e.Items {
		it.Params = append(it.Params, fault.P("line", lineOf(tree, it.Path)))
	}
	return e
}

// Line returns the line, from 1, at which a path stands in a file that can be
// read; 0 where the file has no such place.
func Line(file []byte, path ...string) int {
	tree, err := parser.ParseBytes(file, 0)
	if err != nil || len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return 0
	}
	return lineOf(tree.Docs[0].Body, path)
}

// decode reads one strict YAML (or JSON) document into v.
func decode(file []byte, v any) (ast.Node, error) {
	if line, detail := unreadable(file); detail != "" {
		return nil, syntaxAt(line, detail)
	}
	tree, err := parser.ParseBytes(file, 0)
	if err != nil {
		return nil, syntax(err)
	}
	if len(tree.Docs) != 1 || tree.Docs[0].Body == nil {
		return nil, syntaxAt(1, "one document is expected")
	}
	if err := yaml.NodeToValue(tree.Docs[0].Body, v, yaml.Strict()); err != nil {
		return nil, syntax(err)
	}
	return tree.Docs[0].Body, nil
}

func syntaxAt(line int, detail string) *fault.Error {
	return fault.E(fault.Invalid, "NORM_SYNTAX", fault.P("line", line), fault.P("detail", detail))
}

// syntax turns an error of the YAML reader into NORM_SYNTAX with its line.
func syntax(err error) *fault.Error {
	if y, ok := errors.AsType[yaml.Error](err); ok {
		line := 1
		if t := y.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
		return syntaxAt(line, y.GetMessage()).Because(err)
	}
	return syntaxAt(1, err.Error()).Because(err)
}

// lineOf returns the line of the deepest node of path that exists.
func lineOf(n ast.Node, path []string) int {
	line := n.GetToken().Position.Line
	for _, step := range path {
		next := child(n, step)
		if next == nil {
			return line
		}
		n = next
		line = n.GetToken().Position.Line
		if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
			line = m.Values[0].Key.GetToken().Position.Line
		}
	}
	return line
}

// child returns the value of a key or the element of an index.
func child(n ast.Node, step string) ast.Node {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if v.Key.String() == step || v.Key.GetToken().Value == step {
				return v.Value
			}
		}
	case *ast.MappingValueNode:
		if n.Key.GetToken().Value == step {
			return n.Value
		}
	case *ast.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Values) {
			return n.Values[i]
		}
	}
	return nil
}

// Normalise replaces words of the published data by the product's, and the
// aliases of services and areas by their codes, as reading a file does; what is
// normal already is not written to.
func (s *Standard) Normalise(v *Vocabulary) {
	for i := range s.Versions {
		for j := range s.Versions[i].Clauses {
			if c := &s.Versions[i].Clauses[j]; c.Policy == Pinned {
				c.Policy = ""
			}
		}
		for j := range s.Versions[i].Indicators {
			ind := &s.Versions[i].Indicators[j]
			if b, ok := BasisWords[string(ind.Basis)]; ok {
				ind.Basis = b
			}
			if w, ok := StatisticWords[string(ind.Statistic)]; ok {
				ind.Statistic = w
			}
			for k, w := range ind.Services {
				if code, ok := v.Service(w); ok && code != w {
					ind.Services[k] = code
				}
			}
			for k, w := range ind.Areas {
				if code, ok := v.Area(w); ok && code != w {
					ind.Areas[k] = code
				}
			}
		}
	}
}

// Encode writes the standard as YAML with the digest of each version; reading
// it back gives an equal standard and writing that the same bytes.
func (s *Standard) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s.sealed()); err != nil {
		return nil, err
	}
	return blockStyle(b.Bytes())
}

// EncodeJSON writes the standard as indented JSON; otherwise as Encode.
func (s *Standard) EncodeJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(s.sealed())
	return b.Bytes(), err
}

// sealed returns a copy whose versions carry their digests.
func (s *Standard) sealed() *Standard {
	c := *s
	c.Versions = append([]Version(nil), s.Versions...)
	for i := range c.Versions {
		c.Versions[i].Digest = s.Digest(&s.Versions[i])
	}
	return &c
}

// Canonical returns the one byte form of a version: compact JSON of the
// standard's head and this version alone, fields in the order of the types,
// instants in UTC, without the digest and without what ended it before its time.
func (s *Standard) Canonical(v *Version) []byte {
	c := *s
	one := *v
	one.Digest, one.Ended = "", Instant{}
	c.Versions = []Version{one}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(&c); err != nil {
		panic(err) // only a NaN or infinite value, which check refuses
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Digest returns "sha256:" and the hash of the version's canonical form in hexadecimal.
func (s *Standard) Digest(v *Version) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(s.Canonical(v)))
}

// UnmarshalYAML reads an instant; see UnmarshalText. The YAML reader's own way
// to a TextUnmarshaler walks the whole file for every value.
func (i *Instant) UnmarshalYAML(n ast.Node) error {
	text := n.GetToken()
	if _, ok := n.(ast.ScalarNode); !ok {
		return &yaml.SyntaxError{Message: "an instant is expected", Token: text}
	}
	if n.Type() == ast.NullType {
		return nil
	}
	if err := i.UnmarshalText([]byte(text.Value)); err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: text}
	}
	return nil
}
