package soak_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// choices lets a text choose what the soak leaves to chance: each byte is one choice.
// When it is used up, chance goes on.
type choices struct {
	text   []byte
	chance rand.Source
}

// Uint64 puts the byte first, where rand.IntN looks.
func (c *choices) Uint64() uint64 {
	if len(c.text) == 0 {
		return c.chance.Uint64()
	}
	b := c.text[0]
	c.text = c.text[1:]
	return uint64(b) << 56
}

// FuzzCommands lets people do what a text says, with time and faults in between, and finds
// every invariant kept, whatever that was. go test -fuzz looks for other texts.
func FuzzCommands(f *testing.F) {
	for _, text := range []string{
		"", "\x00", "\x01\x80\xff", "orders and enquiries", "\xff\xfe\xfd\xfc\xfb\xfa", "\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0",
	} {
		f.Add([]byte(text), uint16(len(text)))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint16) {
		dir := folder(t)
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(begin))
			said := &choices{text, rand.NewPCG(uint64(seed), 1)}
			w := open(t, dir, plan{seed: int(seed), years: 1}, said)
			defer func() { w.house.close(t) }()
			for range 40 + len(text)/2 {
				w.act()
				w.look()
				w.attend()
				if w.rand.IntN(4) == 0 {
					w.pass(time.Duration(w.rand.IntN(96)) * time.Hour)
				}
			}
			w.rest()
		})
	})
}
