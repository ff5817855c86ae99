package norm

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// blockStyle rewrites a JSON document as YAML in block style, keys in their
// order. Strings are bare where no reader could take them for anything else and
// in JSON's double quotes otherwise, which YAML shares: the text always
// survives.
func blockStyle(document []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	w := &blockWriter{in: d}
	if err := w.value(0, true); err != nil {
		return nil, err
	}
	return w.out.Bytes(), nil
}

type blockWriter struct {
	in  *json.Decoder
	out bytes.Buffer
}

// value writes the next value: a scalar on the line begun, a mapping or
// sequence on lines of its own, indented; inline says that the first line of a
// mapping continues the line begun.
func (w *blockWriter) value(indent int, inline bool) error {
	t, err := w.in.Token()
	if err != nil {
		return err
	}
	open, ok := t.(json.Delim)
	if !ok {
		w.out.WriteString(scalarText(t) + "\n")
		return nil
	}
	if !w.in.More() {
		w.out.WriteString(map[json.Delim]string{'{': "{}\n", '[': "[]\n"}[open])
		_, err = w.in.Token()
		return err
	}
	if !inline {
		w.out.WriteString("\n")
	}
	for first := true; w.in.More(); first = false {
		if !first || !inline {
			w.out.WriteString(strings.Repeat("  ", indent))
		}
		if err := w.member(open, indent); err != nil {
			return err
		}
	}
	_, err = w.in.Token()
	return err
}

// member writes one element of a sequence or one key and value of a mapping.
func (w *blockWriter) member(open json.Delim, indent int) error {
	if open == '[' {
		w.out.WriteString("- ")
		return w.value(indent+1, true)
	}
	key, err := w.in.Token()
	if err != nil {
		return err
	}
	w.out.WriteString(scalarText(key) + ":")
	// A scalar follows a blank; a block begins on the next line.
	mark := w.out.Len()
	w.out.WriteString(" ")
	if err := w.value(indent+1, false); err != nil {
		return err
	}
	if rest := w.out.Bytes()[mark:]; len(rest) > 1 && rest[1] == '\n' {
		tail := append([]byte(nil), rest[1:]...)
		w.out.Truncate(mark)
		w.out.Write(tail)
	}
	return nil
}

// bare matches strings that need no quotes: words of letters, digits, dots,
// hyphens and slashes that begin with a letter, and Chinese text.
var bare = regexp.MustCompile(`^[A-Za-z\p{Han}][A-Za-z0-9_./\p{Han}，。；（）、-]*$`)

// scalarText writes a scalar.
func scalarText(t json.Token) string {
	switch v := t.(type) {
	case nil:
		return "null"
	case bool:
		if v {
			return "true"
		}
		return "false"
	case json.Number:
		return v.String()
	case string:
		switch strings.ToLower(v) {
		case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		default:
			if bare.MatchString(v) {
				return v
			}
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(v) // a string always encodes
		return strings.TrimSuffix(b.String(), "\n")
	}
	return ""
}
