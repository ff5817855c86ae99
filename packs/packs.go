// Package packs carries the norm packs and calendars that ship with the
// product as documented files, embedded in the binary, and reads them into
// values. Its main functions are Norms and Calendars. It must not know
// databases: loading packs into one is the business of the rooms above.
package packs

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/norm"
)

// FS holds norm/ (vocabulary.yaml, one file per standard, vectors/) and
// calendar/ (one file per calendar); docs/standards.md describes the formats.
//
//go:embed norm calendar
var FS embed.FS

// Norm is what the shipped norm packs say.
type Norm struct {
	Vocabulary *norm.Vocabulary
	Standards  []*norm.Standard // in order of file names
	Set        *norm.Set        // the index over all of them
}

// Calendar is what the shipped calendar files say, by code.
type Calendar struct {
	Statutory map[string]*calendar.Calendar
	Hours     map[string]*calendar.Hours
}

var (
	norms     = sync.OnceValues(readNorms)
	calendars = sync.OnceValues(readCalendars)
)

// Norms returns the shipped standards, read once. The caller must not change
// them. Errors name the file.
func Norms() (*Norm, error) { return norms() }

// Calendars returns the shipped calendars, read once. The caller must not
// change them. Errors name the file.
func Calendars() (*Calendar, error) { return calendars() }

// Vectors checks a vector file against the shipped packs; see norm.Vectors.
func Vectors(file []byte) ([]norm.VectorResult, error) {
	n, err := Norms()
	if err != nil {
		return nil, err
	}
	c, err := Calendars()
	if err != nil {
		return nil, err
	}
	find := func(code string) (*norm.Indicator, bool) {
		a, ok := n.Set.Find(code, time.Time{})
		return a.Indicator, ok
	}
	return norm.Vectors(file, n.Vocabulary, find, c.Counter)
}

// Counter returns the statutory calendar that a vector file names by code, or
// else the first one of the zone; without either an error.
func (c *Calendar) Counter(code, zone string) (norm.Counter, error) {
	if cal, ok := c.Statutory[code]; ok && (zone == "" || zone == cal.Location().String()) {
		return cal, nil
	}
	best := ""
	for k, cal := range c.Statutory {
		if cal.Location().String() == zone && (best == "" || k < best) {
			best = k
		}
	}
	if best == "" {
		return nil, fmt.Errorf("find a calendar %q in zone %q", code, zone)
	}
	return c.Statutory[best], nil
}

func readNorms() (*Norm, error) {
	text, err := FS.ReadFile("norm/vocabulary.yaml")
	if err != nil {
		return nil, err
	}
	n := &Norm{}
	if n.Vocabulary, err = norm.ParseVocabulary(text); err != nil {
		return nil, fmt.Errorf("read norm/vocabulary.yaml: %w", err)
	}
	err = each("norm", func(name string, text []byte) error {
		if name == "norm/vocabulary.yaml" {
			return nil
		}
		s, err := norm.ParseStandard(text, n.Vocabulary)
		n.Standards = append(n.Standards, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	n.Set, err = norm.NewSet(*n.Vocabulary, n.Standards...)
	return n, err
}

func readCalendars() (*Calendar, error) {
	c := &Calendar{Statutory: map[string]*calendar.Calendar{}, Hours: map[string]*calendar.Hours{}}
	var hours []calendar.Document
	err := each("calendar", func(_ string, text []byte) error {
		doc, err := calendar.ParseDocument(text)
		if err != nil {
			return err
		}
		if doc.Kind == calendar.OpeningHours {
			hours = append(hours, doc)
			return nil
		}
		c.Statutory[doc.Code], err = calendar.New(doc)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, doc := range hours {
		h, err := calendar.NewHours(doc, c.Statutory["cn-statutory"])
		if err != nil {
			return nil, fmt.Errorf("read calendar %s: %w", doc.Code, err)
		}
		c.Hours[doc.Code] = h
	}
	return c, nil
}

// each calls read with every YAML file directly in a folder, in order of names.
func each(dir string, read func(name string, text []byte) error) error {
	entries, err := fs.ReadDir(FS, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() || !strings.HasSuffix(name, ".yaml") {
			continue
		}
		text, err := FS.ReadFile(name)
		if err != nil {
			return err
		}
		if err := read(name, text); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	return nil
}
