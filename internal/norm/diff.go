package norm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Action is what happened to a part of a version.
type Action string

// The actions of a change.
const (
	Added   Action = "added"
	Removed Action = "removed"
	Changed Action = "changed"
)

// Part is the kind of thing that changed.
type Part string

// The parts of a version that a diff names.
const (
	PartClause    Part = "clause"
	PartIndicator Part = "indicator"
	PartRule      Part = "rule"
)

// Change is one difference between two versions: a part added or removed, or
// one of its fields changed.
type Change struct {
	Part   Part
	Key    string // clause number, indicator or rule code
	Name   Text   // its title or name, of the newer version where it has one
	Action Action
	Field  string // of changed parts: the field's name in the pack file, a dot before the language
	Before string
	After  string
	Number bool // the field is a figure rather than words
}

// field is one comparable property of a part.
type field struct {
	name   string
	value  string
	number bool
}

// item is one part with its fields.
type item struct {
	key    string
	name   Text
	fields []field
}

// Diff compares two versions of a standard by clause, indicator and rule, words
// and numbers, in the order of the newer version with removed parts last.
func Diff(before, after *Version) []Change {
	out := diffItems(PartClause, clauseItems(before), clauseItems(after))
	out = append(out, diffItems(PartIndicator, indicatorItems(before), indicatorItems(after))...)
	return append(out, diffItems(PartRule, ruleItems(before), ruleItems(after))...)
}

// diffItems compares the parts of one kind.
func diffItems(part Part, before, after []item) []Change {
	var out []Change
	for _, a := range after {
		i := slices.IndexFunc(before, func(b item) bool { return b.key == a.key })
		if i < 0 {
			out = append(out, Change{Part: part, Key: a.key, Name: a.name, Action: Added})
			continue
		}
		for j, f := range a.fields {
			if old := before[i].fields[j]; old.value != f.value {
				out = append(out, Change{part, a.key, a.name, Changed, f.name, old.value, f.value, f.number})
			}
		}
	}
	for _, b := range before {
		if !slices.ContainsFunc(after, func(a item) bool { return a.key == b.key }) {
			out = append(out, Change{Part: part, Key: b.key, Name: b.name, Action: Removed})
		}
	}
	return out
}

func clauseItems(v *Version) []item {
	var out []item
	for i := range v.Clauses {
		c := &v.Clauses[i]
		policy := c.Policy
		if policy == "" {
			policy = Pinned
		}
		out = append(out, item{c.Number, c.Title, []field{
			{"parent", c.Parent, false},
			{"title.zh", c.Title.ZH, false},
			{"title.en", c.Title.EN, false},
			{"text.zh", c.Text.ZH, false},
			{"text.en", c.Text.EN, false},
			{"recommended", strconv.FormatBool(c.Recommended), false},
			{"roles", strings.Join(c.Roles, ", "), false},
			{"policy", string(policy), false},
			{"source", c.Source, false},
			{"address", c.Address, false},
		}})
	}
	return out
}

func indicatorItems(v *Version) []item {
	var out []item
	for i := range v.Indicators {
		ind := &v.Indicators[i]
		f := []field{
			{"name.zh", ind.Name.ZH, false},
			{"name.en", ind.Name.EN, false},
			{"clause", ind.Clause, false},
			{"kind", string(ind.Kind), false},
			{"statistic", string(ind.Statistic), false},
			{"value", fmt.Sprintf("%s %s %s", ind.Comparator, number(ind.Value), ind.Unit), true},
			{"basis", string(ind.Basis), false},
			{"cutoff_hour", strconv.Itoa(ind.CutoffHour), true},
			{"target", number(ind.Target), true},
			{"start_event", ind.StartEvent, false},
			{"stop_event", ind.StopEvent, false},
			{"services", strings.Join(ind.Services, ", "), false},
			{"areas", strings.Join(ind.Areas, ", "), false},
			{"pause_reasons", strings.Join(ind.PauseReasons, ", "), false},
			{"enabled", strconv.FormatBool(ind.Enabled), false},
			{"adopts", ind.Adopts, false},
			{"verification", string(ind.Verification), false},
			{"definition.zh", ind.Definition.ZH, false},
			{"definition.en", ind.Definition.EN, false},
			{"source", ind.Source, false},
			{"address", ind.Address, false},
		}
		out = append(out, item{ind.Code, ind.Name, append(f, indicatorExtras(ind)...)})
	}
	return out
}

// indicatorExtras are the fields that are structures themselves.
func indicatorExtras(ind *Indicator) []field {
	when, consequence, credit := "", Text{}, ""
	if w := ind.When; w != nil {
		when = fmt.Sprintf("%s in [%s]", w.Attribute, strings.Join(w.In, ", "))
	}
	if c := ind.Consequence; c != nil {
		consequence, credit = c.Text, strconv.FormatInt(c.CreditFen, 10)
	}
	var zh, en []string
	for _, e := range ind.Exclusions {
		zh, en = append(zh, e.ZH), append(en, e.EN)
	}
	from, _ := ind.ValidFrom.MarshalText()
	to, _ := ind.ValidTo.MarshalText()
	return []field{
		{"when", when, false},
		{"consequence.zh", consequence.ZH, false},
		{"consequence.en", consequence.EN, false},
		{"credit_fen", credit, true},
		{"exclusions.zh", strings.Join(zh, "; "), false},
		{"exclusions.en", strings.Join(en, "; "), false},
		{"valid_from", string(from), true},
		{"valid_to", string(to), true},
	}
}

func ruleItems(v *Version) []item {
	var out []item
	for i := range v.Rules {
		r := &v.Rules[i]
		out = append(out, item{r.Code, r.Name, []field{
			{"name.zh", r.Name.ZH, false},
			{"name.en", r.Name.EN, false},
			{"clause", r.Clause, false},
			{"on", string(r.On), false},
			{"expression", r.Expression, false},
			{"result", string(r.Result), false},
			{"message.zh", r.Message.ZH, false},
			{"message.en", r.Message.EN, false},
		}})
	}
	return out
}

// number writes a figure without needless zeros.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

var diffWords = map[string]map[string]string{
	"zh": {"clause": "条款", "indicator": "指标", "rule": "规则", "added": "新增", "removed": "删除", "changed": "修改", "none": "两个版本内容相同。"},
	"en": {"clause": "Clause", "indicator": "Indicator", "rule": "Rule", "added": "added", "removed": "removed", "changed": "changed", "none": "The two versions are equal."},
}

// DiffMarkdown writes changes as Markdown in "zh" or "en": a heading per part,
// a line per change, the differing words struck out and in bold.
func DiffMarkdown(changes []Change, lang string) string {
	words, ok := diffWords[lang]
	if !ok {
		words = diffWords["en"]
	}
	if len(changes) == 0 {
		return words["none"] + "\n"
	}
	var b strings.Builder
	last := ""
	for _, c := range changes {
		head := fmt.Sprintf("### %s %s %s (%s)\n\n", words[string(c.Part)], escape(c.Key), escape(c.Name.In(lang)), words[string(c.Action)])
		if head != last {
			if last != "" {
				b.WriteString("\n")
			}
			b.WriteString(head)
			last = head
		}
		switch {
		case c.Action != Changed:
		case c.Number:
			fmt.Fprintf(&b, "- `%s`: %s → **%s**\n", c.Field, escape(c.Before), escape(c.After))
		default:
			fmt.Fprintf(&b, "- `%s`: %s\n", c.Field, marked(c.Before, c.After))
		}
	}
	return b.String()
}

// marked writes the common beginning and end of two texts plainly, the old
// middle struck out and the new one in bold.
func marked(before, after string) string {
	x, y := []rune(before), []rune(after)
	p := 0
	for p < len(x) && p < len(y) && x[p] == y[p] {
		p++
	}
	s := 0
	for s < len(x)-p && s < len(y)-p && x[len(x)-1-s] == y[len(y)-1-s] {
		s++
	}
	out := escape(string(x[:p]))
	if old := string(x[p : len(x)-s]); old != "" {
		out += "~~" + escape(old) + "~~"
	}
	if fresh := string(y[p : len(y)-s]); fresh != "" {
		out += "**" + escape(fresh) + "**"
	}
	return out + escape(string(x[len(x)-s:]))
}

// escape keeps Markdown's own signs from taking effect and a text on one line.
var escape = strings.NewReplacer("\\", `\\`, "*", `\*`, "_", `\_`, "~", `\~`, "`", "\\`", "<", "&lt;", "\r", "", "\n", " ").Replace
