package expr

import (
	"encoding/json"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/openspms/spms/internal/fault"
)

// maxInt is the largest integer that JSON readers of every language keep exact.
const maxInt = 1<<53 - 1

// MaxValueBytes bounds the text of one value.
const MaxValueBytes = 64 << 10

// maxItems bounds how long a list is.
const maxItems = 10_000

// CheckValue returns v in the one form that a variable of type t has in rows:
// bool, int64 (at most 2^53-1 in magnitude), float64, string, an RFC 3339 text
// in UTC for a timestamp, an ISO 8601 text for a duration, []any, map[string]any.
// It takes what JSON decoding yields as well as Go's own numbers, time.Time and
// time.Duration; nil stays nil and means unset. The form survives a round trip
// through JSON: CheckValue of the decoded value is the value. The error is
// fault.Invalid VARIABLE_TYPE, VARIABLE_TOO_LARGE or VARIABLE_ENUM.
func CheckValue(t Type, enum []string, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	out, ok := coerce(t, v)
	if !ok && tooLarge(t, v) {
		return nil, fault.E(fault.Invalid, "VARIABLE_TOO_LARGE", fault.P("bytes", MaxValueBytes), fault.P("items", maxItems))
	}
	if !ok {
		return nil, fault.E(fault.Invalid, "VARIABLE_TYPE", fault.P("want", string(t)), fault.P("got", kindOf(v)))
	}
	if len(enum) == 0 {
		return out, nil
	}
	items, list := out.([]any)
	if !list {
		items = []any{out}
	}
	for _, it := range items {
		if s, ok := it.(string); ok && !slices.Contains(enum, s) {
			return nil, fault.E(fault.Invalid, "VARIABLE_ENUM", fault.P("value", s), fault.P("allowed", enum))
		}
	}
	return out, nil
}

// tooLarge reports whether v is of type t and only larger than a value may be.
func tooLarge(t Type, v any) bool {
	switch v := v.(type) {
	case string:
		return t == String && len(v) > MaxValueBytes
	case map[string]any:
		raw, err := json.Marshal(v)
		return t == Map && err == nil && len(raw) > MaxValueBytes
	case []any:
		e, list := t.Element()
		return list && (len(v) > maxItems || slices.ContainsFunc(v, func(it any) bool { return tooLarge(e, it) }))
	}
	return false
}

// coerce brings v into the form of t and reports whether that is possible.
func coerce(t Type, v any) (any, bool) {
	switch t {
	case Bool:
		b, ok := v.(bool)
		return b, ok
	case Int:
		return asInt(v)
	case Double:
		f, ok := number(v)
		return f, ok && !math.IsNaN(f) && !math.IsInf(f, 0)
	case String:
		s, ok := v.(string)
		return s, ok && utf8.ValidString(s) && len(s) <= MaxValueBytes
	case Timestamp:
		at, ok := asTime(v)
		if !ok {
			return nil, false
		}
		return at.UTC().Format(time.RFC3339Nano), true
	case Duration:
		return asPeriod(v)
	case Map:
		return asMap(v)
	}
	e, ok := t.Element()
	items, list := v.([]any)
	if !list {
		if texts, is := v.([]string); is {
			for _, s := range texts {
				items = append(items, s)
			}
			list = true
		}
	}
	if !ok || !list || len(items) > maxItems {
		return nil, false
	}
	out := make([]any, len(items))
	for i, it := range items {
		if out[i], ok = coerce(e, it); !ok {
			return nil, false
		}
	}
	return out, true
}

// number reads every kind of number.
func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case float32:
		return float64(n), true
	case int:
		return float64(n), true
	case int32:
		return float64(n), true
	case int64:
		return float64(n), true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}

func asInt(v any) (any, bool) {
	switch n := v.(type) {
	case int64:
		return n, n <= maxInt && n >= -maxInt
	case int:
		return int64(n), n <= maxInt && n >= -maxInt
	}
	f, ok := number(v)
	return int64(f), ok && f == math.Trunc(f) && math.Abs(f) <= maxInt
}

func asTime(v any) (time.Time, bool) {
	switch t := v.(type) {
	case time.Time:
		return t, t.Year() >= 1 && t.Year() <= 9999
	case string:
		at, err := time.Parse(time.RFC3339, t)
		return at, err == nil && at.UTC().Year() >= 1 && at.UTC().Year() <= 9999
	}
	return time.Time{}, false
}

func asPeriod(v any) (any, bool) {
	switch d := v.(type) {
	case time.Duration:
		return Format(d), d >= 0
	case string:
		_, err := ParsePeriod(d)
		return d, err == nil
	}
	return nil, false
}

// asMap takes a JSON object whose text is not too long.
func asMap(v any) (any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	raw, err := json.Marshal(m)
	if err != nil || len(raw) > MaxValueBytes {
		return nil, false
	}
	var out map[string]any
	if json.Unmarshal(raw, &out) != nil {
		return nil, false
	}
	return out, true
}

// kindOf names the kind of a value as people who send JSON know it.
func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return "bool"
	case string:
		return "string"
	case []any, []string:
		return "list"
	case map[string]any:
		return "map"
	case time.Time:
		return "timestamp"
	case time.Duration:
		return "duration"
	}
	if _, ok := number(v); ok {
		return "number"
	}
	return "unknown"
}
