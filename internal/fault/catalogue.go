package fault

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"
	"gopkg.in/yaml.v3"
)

// Lang is a language the product speaks.
type Lang string

// The languages, the preferred one first.
const (
	ZH Lang = "zh"
	EN Lang = "en"
)

// CodeText is one entry of the catalogue: a stable code, its text in each
// language and the names of the parameters that both texts use.
type CodeText struct {
	Code   string
	ZH     string
	EN     string
	Params []string
}

// In returns the entry's text in lang, with its placeholders unfilled.
func (c CodeText) In(lang Lang) string {
	if lang == EN {
		return c.EN
	}
	return c.ZH
}

// Catalogue holds the texts of all codes. It is immutable and safe for
// concurrent use.
type Catalogue struct{ byCode map[string]CodeText }

//go:embed texts/*.yaml
var texts embed.FS

var (
	shipped     = sync.OnceValues(func() (*Catalogue, error) { return Load(texts, "texts") })
	matcher     = language.NewMatcher([]language.Tag{language.Chinese, language.English})
	placeholder = regexp.MustCompile(`\{([a-zA-Z][a-zA-Z0-9_]*)\}`)
	codeShape   = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)
)

// MatchLang picks the language that suits an Accept-Language header best;
// Chinese when the header is empty, broken or asks for neither.
func MatchLang(acceptLanguage string) Lang {
	tags, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil || len(tags) == 0 {
		return ZH
	}
	_, i, confidence := matcher.Match(tags...)
	if i == 1 && confidence > language.No {
		return EN
	}
	return ZH
}

// Text says err in lang: the catalogue's text of its code with the parameters
// filled in. A foreign error is said as INTERNAL, a code without a text as
// itself; causes are never shown.
func Text(lang Lang, err error) string {
	c, loadErr := shipped()
	if loadErr != nil {
		return CodeOf(err)
	}
	return c.Text(lang, err)
}

// Codes returns every entry of the catalogue in order of code.
func Codes() []CodeText {
	c, err := shipped()
	if err != nil {
		return nil
	}
	return c.Codes()
}

// CheckTexts reports what is wrong with the shipped texts: a code twice, a
// language missing, placeholders that differ. The server calls it at start.
func CheckTexts() error {
	_, err := shipped()
	return err
}

// Load reads every *.yaml file of dir, each a map from code to
// {zh: text, en: text}, and checks them: codes are upper-case words, no code
// appears twice, both languages are there and use the same placeholders.
func Load(fsys fs.FS, dir string) (*Catalogue, error) {
	files, err := fs.Glob(fsys, path.Join(dir, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list texts: %w", err)
	}
	c := &Catalogue{byCode: map[string]CodeText{}}
	var faults []error
	for _, f := range files {
		raw, err := fs.ReadFile(fsys, f)
		if err != nil {
			return nil, fmt.Errorf("read texts: %w", err)
		}
		faults = append(faults, c.add(f, raw))
	}
	return c, errors.Join(faults...)
}

// add takes the entries of one file into c and reports those that are wrong.
func (c *Catalogue) add(file string, raw []byte) error {
	var entries map[string]struct{ ZH, EN string }
	if err := yaml.Unmarshal(raw, &entries); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var faults []error
	for code, t := range entries {
		e := CodeText{Code: code, ZH: t.ZH, EN: t.EN, Params: placeholders(t.ZH)}
		if _, twice := c.byCode[code]; twice {
			faults = append(faults, fmt.Errorf("%s: code %s has a text in another file", file, code))
			continue
		}
		faults = append(faults, e.check(file))
		c.byCode[code] = e
	}
	return errors.Join(faults...)
}

// check reports what is wrong with one entry, nil when nothing is.
func (c CodeText) check(file string) error {
	switch {
	case !codeShape.MatchString(c.Code):
		return fmt.Errorf("%s: code %q is not an upper-case word", file, c.Code)
	case c.ZH == "":
		return fmt.Errorf("%s: code %s has no zh text", file, c.Code)
	case c.EN == "":
		return fmt.Errorf("%s: code %s has no en text", file, c.Code)
	case !slices.Equal(c.Params, placeholders(c.EN)):
		return fmt.Errorf("%s: code %s has placeholders %v in zh and %v in en", file, c.Code, c.Params, placeholders(c.EN))
	}
	return nil
}

// placeholders returns the distinct names in braces of a text, sorted.
func placeholders(text string) []string {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Find returns the entry of a code and whether there is one.
func (c *Catalogue) Find(code string) (CodeText, bool) {
	e, ok := c.byCode[code]
	return e, ok
}

// Codes returns every entry in order of code.
func (c *Catalogue) Codes() []CodeText {
	out := make([]CodeText, 0, len(c.byCode))
	for _, e := range c.byCode {
		out = append(out, e)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Code < out[j].Code })
	return out
}

// Text says err in lang from this catalogue; see the package's Text.
func (c *Catalogue) Text(lang Lang, err error) string {
	if err == nil {
		return ""
	}
	e := From(err)
	entry, ok := c.byCode[e.Code]
	if !ok {
		return e.Code
	}
	return placeholder.ReplaceAllStringFunc(entry.In(lang), func(m string) string {
		return say(lang, e.Param(m[1:len(m)-1]))
	})
}

// say writes one parameter for people: a list with separators, an instant in
// RFC 3339, an absent value as a dash.
func say(lang Lang, v any) string {
	switch v := v.(type) {
	case nil:
		return "—"
	case []string:
		if lang == EN {
			return strings.Join(v, ", ")
		}
		return strings.Join(v, "、")
	case Label:
		return v.In(lang)
	case time.Time:
		return v.Format(time.RFC3339)
	default:
		return fmt.Sprint(v)
	}
}
