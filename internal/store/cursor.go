package store

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// seen says which commands are committed as seen at a moment: those with a number
// below max that were not in flight. On PostgreSQL numbers are transactions and
// seen is what pg_current_snapshot says, since transactions do not commit in the
// order of their numbers; on SQLite, with its one writer, they are rows of the
// audit trail and none is ever in flight.
type seen struct {
	max      int64
	inFlight []int64 // below max, ascending
}

// maxInFlight bounds the numbers that a cursor names; beyond it the cursor goes
// back to the first of them, and what has been told since is told again.
const maxInFlight = 64

// has reports whether the command of a number is committed.
func (s seen) has(number int64) bool {
	_, open := slices.BinarySearch(s.inFlight, number)
	return number < s.max && !open
}

// first is the least number that s may not have.
func (s seen) first() int64 {
	if len(s.inFlight) > 0 {
		return s.inFlight[0]
	}
	return s.max
}

// upTo is what s has seen below a number.
func (s seen) upTo(number int64) seen {
	n, _ := slices.BinarySearch(s.inFlight, number)
	return seen{max: min(s.max, number), inFlight: s.inFlight[:n]}
}

// through is what has been seen once all that s adds to before has been read up to
// a number.
func (s seen) through(number int64, before seen) seen {
	if number+1 >= before.max {
		return s.upTo(number + 1)
	}
	open := slices.DeleteFunc(slices.Clone(before.inFlight), func(n int64) bool { return n <= number && s.has(n) })
	return seen{max: before.max, inFlight: open}
}

// later reports whether s was taken after o; of one database.
func (s seen) later(o seen) bool {
	return s.max > o.max || s.max == o.max && len(s.inFlight) < len(o.inFlight)
}

// String is max, and after colons what was in flight.
func (s seen) String() string {
	out := strconv.AppendInt(nil, s.max, 10)
	for _, n := range s.inFlight {
		out = strconv.AppendInt(append(out, ':'), n, 10)
	}
	return string(out)
}

// parseSeen reads what String has written.
func parseSeen(text string) (seen, error) {
	var s seen
	for i, part := range strings.Split(text, ":") {
		n, err := strconv.ParseInt(part, 10, 64)
		switch {
		case err != nil || n < 0:
			return s, fmt.Errorf("no number: %q", part)
		case i == 0:
			s.max = n
		case n >= s.max || len(s.inFlight) > 0 && n <= s.inFlight[len(s.inFlight)-1]:
			return s, fmt.Errorf("in flight out of order: %d", n)
		default:
			s.inFlight = append(s.inFlight, n)
		}
	}
	return s, nil
}

// parseSnapshot reads PostgreSQL's text of a pg_snapshot: xmin:xmax:xip,xip.
func parseSnapshot(text string) (seen, error) {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) != 3 {
		return seen{}, fmt.Errorf("no snapshot: %q", text)
	}
	list := parts[1]
	if parts[2] != "" {
		list += ":" + strings.ReplaceAll(parts[2], ",", ":")
	}
	return parseSeen(list)
}

// A cursor is, in base 64, what has been told, the id of an audit entry in it by
// which the database is known again, and a checksum that tells rubbish from a cursor
// of another database.

// nowhere stands for the audit entry where there is none to name.
const nowhere = "-"

// maxCursor is longer than any cursor, in bytes.
const maxCursor = 4 << 10

func encodeCursor(told seen, anchor string) string {
	if len(told.inFlight) > maxInFlight {
		told, anchor = seen{max: told.inFlight[0]}, nowhere // the entry would lie beyond
	}
	text := told.String() + " " + anchor
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32([]byte(text), crc32.ChecksumIEEE([]byte(text))))
}

// decodeCursor reads a cursor; what encodeCursor has not written is CURSOR_MALFORMED.
func decodeCursor(cursor string) (told seen, anchor string, err error) {
	malformed := fault.E(fault.Invalid, "CURSOR_MALFORMED").At("after")
	if len(cursor) > maxCursor {
		return told, "", malformed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < 4 {
		return told, "", malformed
	}
	text, sum := raw[:len(raw)-4], binary.BigEndian.Uint32(raw[len(raw)-4:])
	list, anchor, ok := strings.Cut(string(text), " ")
	if !ok || sum != crc32.ChecksumIEEE(text) {
		return told, "", malformed
	}
	if told, err = parseSeen(list); err != nil || len(told.inFlight) > maxInFlight {
		return told, "", malformed
	}
	return told, anchor, nil
}
