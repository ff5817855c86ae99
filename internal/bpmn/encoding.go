package bpmn

import (
	"bytes"
	"regexp"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// declared finds the encoding in an XML declaration.
var declared = regexp.MustCompile(`^<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']`)

// encodings are those that are read, by the name of their declaration in lower
// case; nil stands for UTF-8 and what is part of it.
var encodings = map[string]encoding.Encoding{
	"": nil, "utf-8": nil, "utf8": nil, "us-ascii": nil, "ascii": nil,
	"iso-8859-1": charmap.ISO8859_1, "latin1": charmap.ISO8859_1, "windows-1252": charmap.Windows1252,
}

// decode returns a document in UTF-8 without its byte order mark; false when
// its encoding is not read. A byte order mark wins over the declaration.
func decode(src []byte) ([]byte, bool) {
	switch {
	case bytes.HasPrefix(src, []byte("\xEF\xBB\xBF")):
		return src[3:], true
	case bytes.HasPrefix(src, []byte("\xFF\xFE")), bytes.HasPrefix(src, []byte("\xFE\xFF")):
		return convert(src, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM))
	}
	name := ""
	if m := declared.FindSubmatch(src); m != nil {
		name = strings.ToLower(string(m[1]))
	}
	from, ok := encodings[name]
	if !ok || from == nil {
		return src, ok
	}
	return convert(src, from)
}

// convert decodes from an encoding; false when bytes do not fit it.
func convert(src []byte, from encoding.Encoding) ([]byte, bool) {
	out, err := from.NewDecoder().Bytes(src)
	return out, err == nil && !bytes.ContainsRune(out, '\uFFFD')
}
