package bpmn

import (
	"fmt"
	"strings"
)

// words of a comparison in Chinese and English.
var diffWords = map[string][2]string{
	string(Added): {"新增", "Added"}, string(Removed): {"删除", "Removed"}, string(Changed): {"修改", "Changed"}, string(Moved): {"移动", "Moved"},
	string(ProcessElement): {"流程", "process"}, string(LaneElement): {"泳道", "lane"}, string(VariableElement): {"变量", "variable"},
	string(RuleElement): {"规则", "rule"}, string(NodeElement): {"节点", "node"}, string(FlowElement): {"连线", "flow"},
	"none": {"两个版本没有差异。", "The two versions do not differ."}, "property": {"属性", "Property"}, "old": {"原值", "Before"}, "new": {"新值", "After"},
	"was": {"原标识", "formerly"}, "empty": {"（无）", "(none)"},
}

// Markdown writes the changes of Diff for people, in English for lang "en" and
// else in Chinese: one heading for each element, one row for each property.
func Markdown(changes []Change, lang string) string {
	at := 0
	if lang == "en" {
		at = 1
	}
	word := func(key string) string { return diffWords[key][at] }
	if len(changes) == 0 {
		return word("none") + "\n"
	}
	var b strings.Builder
	for _, c := range changes {
		name := c.Name
		if at == 1 && c.NameEn != "" {
			name = c.NameEn
		}
		fmt.Fprintf(&b, "### %s%s%s `%s`", word(string(c.Kind)), []string{"", " "}[at], word(string(c.Element)), code(c.ID))
		if name != "" {
			fmt.Fprintf(&b, " %s", plain(name))
		}
		if c.OldID != "" {
			fmt.Fprintf(&b, " (%s `%s`)", word("was"), code(c.OldID))
		}
		b.WriteString("\n\n")
		if len(c.Properties) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n|---|---|---|\n", word("property"), word("old"), word("new"))
		for _, p := range c.Properties {
			old, now := plain(p.Old), plain(p.New)
			if old == "" {
				old = word("empty")
			}
			if now == "" {
				now = word("empty")
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", code(p.Path), old, now)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// plain makes a text safe in a table of Markdown.
func plain(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", "&", "&amp;", "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`).Replace(s)
}

// code makes a text safe between backticks in a table.
func code(s string) string {
	return strings.NewReplacer("`", "'", "|", `\|`, "\n", " ").Replace(s)
}
