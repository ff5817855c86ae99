package transport

import (
	"mime"
	"strconv"
	"strings"
)

// The media types of an answer.
const (
	mediaJSON     = "application/json"
	mediaResponse = "application/graphql-response+json"
	mediaStream   = "text/event-stream"
)

// accepted is what a client takes: its favourite media type among ours, "" for
// none, and whether it takes event streams at all.
type accepted struct {
	media  string
	stream bool
}

// negotiate reads an Accept header by RFC 9110, 12.5.1: the highest quality
// wins, then the order. No header and wildcards mean application/json, as the
// GraphQL-over-HTTP specification asks for.
func negotiate(header string) accepted {
	if strings.TrimSpace(header) == "" {
		return accepted{media: mediaJSON}
	}
	var out accepted
	best := 0.0
	for part := range strings.SplitSeq(header, ",") {
		media, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		q := quality(params["q"])
		if err != nil || q == 0 {
			continue
		}
		switch media {
		case "*/*", "application/*":
			media = mediaJSON
		case mediaStream:
			out.stream = true
		case mediaJSON, mediaResponse:
		default:
			continue
		}
		if q > best {
			out.media, best = media, q
		}
	}
	return out
}

// quality reads a weight between 0 and 1; 1 when absent or wrong.
func quality(s string) float64 {
	q, err := strconv.ParseFloat(s, 64)
	if err != nil || q < 0 || q > 1 {
		return 1
	}
	return q
}
