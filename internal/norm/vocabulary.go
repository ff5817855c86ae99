package norm

// Term is one word of the vocabulary: an event, service, area or pause reason.
type Term struct {
	Code    string   `yaml:"code" json:"code"`
	Name    Text     `yaml:"name" json:"name"`
	Parent  string   `yaml:"parent,omitempty" json:"parent,omitempty"`   // of services and areas: what this is a kind of
	Aliases []string `yaml:"aliases,omitempty" json:"aliases,omitempty"` // other spellings that are read as Code
	Party   string   `yaml:"party,omitempty" json:"party,omitempty"`     // of pause reasons: customer, operator, authority, third_party
}

// Vocabulary is the open word lists that standards are written in. Services and
// areas are trees: an indicator for a node applies to everything below it.
type Vocabulary struct {
	Format       string `yaml:"format" json:"format"`
	Events       []Term `yaml:"events" json:"events"`
	Services     []Term `yaml:"services" json:"services"`
	Areas        []Term `yaml:"areas" json:"areas"`
	PauseReasons []Term `yaml:"pause_reasons" json:"pause_reasons"`
}

// Service returns the code that a spelling of a service stands for.
func (v *Vocabulary) Service(word string) (string, bool) { return find(v.Services, word) }

// Area returns the code that a spelling of an area stands for.
func (v *Vocabulary) Area(word string) (string, bool) { return find(v.Areas, word) }

// Event reports whether an event is declared.
func (v *Vocabulary) Event(code string) bool {
	_, ok := find(v.Events, code)
	return ok
}

// ServicePath returns the service and everything it is a kind of, nearest first.
func (v *Vocabulary) ServicePath(word string) []string { return path(v.Services, word) }

// AreaPath returns the area and everything it is a part of, nearest first.
func (v *Vocabulary) AreaPath(word string) []string { return path(v.Areas, word) }

// find returns the code of a term by code or alias.
func find(terms []Term, word string) (string, bool) {
	for _, t := range terms {
		if t.Code == word {
			return t.Code, true
		}
		for _, a := range t.Aliases {
			if a == word {
				return t.Code, true
			}
		}
	}
	return "", false
}

// path walks from a word up to its root; a cycle ends it.
func path(terms []Term, word string) []string {
	code, ok := find(terms, word)
	if !ok {
		return nil
	}
	var out []string
	for len(out) <= len(terms) && code != "" {
		out = append(out, code)
		parent := ""
		for _, t := range terms {
			if t.Code == code {
				parent = t.Parent
			}
		}
		code = parent
	}
	return out
}

// related reports whether one of two words of a tree lies on the path of the other.
func related(terms []Term, a, b string) bool {
	return contains(path(terms, a), b) || contains(path(terms, b), a)
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}
