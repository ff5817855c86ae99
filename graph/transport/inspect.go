package transport

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/openspms/spms/graph/guard"
	"github.com/openspms/spms/internal/fault"
)

// inspect looks at JSON before it is decoded. It refuses what decoding would
// let pass in silence (bytes that are no UTF-8, half surrogates, NUL) and what
// would cost more memory than the body shows (too many or too deeply nested
// values). Syntax is the decoder's to judge. Cost: one pass, no allocation.
func inspect(raw []byte, l *guard.Limits) *fault.Error {
	if !utf8.Valid(raw) {
		return notText()
	}
	values, nesting := 1, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case 0:
			return notText()
		case '"':
			end, ok := stringEnd(raw, i+1)
			if !ok {
				return notText()
			}
			i = end
		case '{', '[':
			values++
			nesting++
		case '}', ']':
			nesting--
		case ',', ':':
			values++
		}
		if nesting > l.Nesting {
			return fault.E(fault.Exhausted, "JSON_TOO_DEEP", fault.P("limit", l.Nesting))
		}
		if values > l.JSONValues {
			return fault.E(fault.Exhausted, "JSON_TOO_MANY_VALUES", fault.P("limit", l.JSONValues))
		}
	}
	return nil
}

func notText() *fault.Error { return fault.E(fault.Invalid, "INPUT_NOT_TEXT") }

// stringEnd returns the place of the quote that ends the string whose content
// starts at i, and whether its escapes stand for text.
func stringEnd(raw []byte, i int) (end int, ok bool) {
	for ; i < len(raw); i++ {
		switch raw[i] {
		case 0:
			return i, false
		case '"':
			return i, true
		case '\\':
			i++
			if i >= len(raw) || raw[i] != 'u' {
				continue
			}
			r, known := escaped(raw, i)
			if !known {
				continue // the decoder refuses it
			}
			i += 4
			if r == 0 {
				return i, false
			}
			if !utf16.IsSurrogate(r) {
				continue
			}
			if i+2 >= len(raw) || raw[i+1] != '\\' || raw[i+2] != 'u' {
				return i, false
			}
			low, _ := escaped(raw, i+2)
			if utf16.DecodeRune(r, low) == utf8.RuneError {
				return i, false
			}
			i += 6
		}
	}
	return i, true
}

// escaped reads the four hexadecimal digits after the u at i.
func escaped(raw []byte, i int) (r rune, ok bool) {
	if i+5 > len(raw) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[i+1:i+5]), 16, 16)
	return rune(n), err == nil
}
