package bpmn

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sizes of text in diagrams, in pixels.
const (
	fontSize   = 12.0
	labelSize  = 11.0
	lineFactor = 1.3 // of the font size, from line to line
)

// textWidth returns about how wide a line is: an ideograph is as wide as the
// font is high, other letters a little over half of that.
func textWidth(s string, size float64) float64 {
	w := 0.0
	for _, r := range s {
		w += runeWidth(r)
	}
	return w * size
}

// runeWidth returns the width of a letter as a share of the font size.
func runeWidth(r rune) float64 {
	switch {
	case unicode.Is(unicode.Han, r), r >= 0x3000 && r <= 0x30FF, r >= 0xFF00 && r <= 0xFF60, r >= 0xAC00 && r <= 0xD7A3:
		return 1
	case r == ' ' || strings.ContainsRune("iIljt.,:;'|!()[]", r):
		return 0.34
	case r >= 'A' && r <= 'Z' || r == 'm' || r == 'w' || r == '%' || r == '@':
		return 0.72
	}
	return 0.56
}

// closing are the marks that may not begin a line.
const closing = "，。、；：？！）》」』】%,.;:?!)]}"

// opening are the marks that may not end a line.
const opening = "（《「『【([{"

// wrap breaks a text into lines no wider than width: between words, and
// between ideographs where no closing mark would begin a line. What does not
// fit into the lines allowed ends with an ellipsis. O(letters).
func wrap(s string, width, size float64, lines int) []string {
	full := fill(s, width, size, lines)
	if n := len(full); n > 1 { // of even length, when that needs no further line
		for w := textWidth(strings.Join(full, ""), size) / float64(n); w < width; w += size / 2 {
			even := fill(s, w, size, lines+1)
			if len(even) == n && even[n-1] == strings.TrimRight(even[n-1], "…") {
				return even
			}
		}
	}
	return full
}

// fill packs a text into lines from the first on.
func fill(s string, width, size float64, lines int) []string {
	var out []string
	line := ""
	words := pieces(s)
	for i, w := range words {
		next := line + w
		if line == "" {
			next = strings.TrimLeft(w, " ")
		}
		if line != "" && textWidth(strings.TrimRight(next, " "), size) > width {
			if len(out)+1 == lines {
				rest := strings.TrimRight(line+strings.Join(words[i:], ""), " ")
				return append(out, shorten(rest, width, size))
			}
			out = append(out, strings.TrimRight(line, " "))
			next = strings.TrimLeft(w, " ")
		}
		line = next
	}
	if line = strings.TrimRight(line, " "); line != "" {
		out = append(out, shorten(line, width, size))
	}
	return out
}

// pieces cuts a text where lines may break. A Latin word longer than 24 letters
// is cut too.
func pieces(s string) []string {
	var out []string
	var b strings.Builder
	cut := func() {
		if b.Len() > 0 {
			out = append(out, b.String())
			b.Reset()
		}
	}
	n := 0
	for _, r := range strings.Join(strings.Fields(s), " ") {
		switch wide := runeWidth(r) == 1; {
		case strings.ContainsRune(closing, r):
			b.WriteRune(r)
			continue
		case strings.ContainsRune(opening, lastRune(b.String())):
		case wide || r == ' ' || n > 24 || strings.ContainsRune(opening, r) || runeWidth(lastRune(b.String())) == 1:
			cut()
			n = 0
		}
		b.WriteRune(r)
		n++
	}
	cut()
	return out
}

// lastRune returns the last letter, utf8.RuneError of an empty text.
func lastRune(s string) rune {
	r, _ := utf8.DecodeLastRuneInString(s)
	return r
}

// shorten cuts a line that is too wide and marks that with an ellipsis.
func shorten(s string, width, size float64) string {
	if textWidth(s, size) <= width*1.12 {
		return s
	}
	runes := []rune(s)
	for len(runes) > 1 && textWidth(string(runes), size)+size > width {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " ") + "…"
}

// textBox returns the width and height of a label wrapped to a width; zero for
// no text.
func textBox(s string, width float64, lines int) (w, h float64) {
	all := wrap(s, width, labelSize, lines)
	for _, l := range all {
		w = max(w, textWidth(l, labelSize)+2)
	}
	return w, float64(len(all)) * labelSize * lineFactor
}

// nameBox is the size of a label that shows either of two names.
func nameBox(name, en string, width float64, lines int) (w, h float64) {
	w, h = textBox(name, width, lines)
	w2, h2 := textBox(en, width, lines)
	if name == "" {
		return 0, 0
	}
	return max(w, w2), max(h, h2)
}
