package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/process"
	"github.com/openspms/spms/ent/processversion"
	"github.com/openspms/spms/ent/standardversion"
)

// demoVersion returns the published version of the demo's process.
func (h *House) demoVersion(ctx context.Context) (*ent.ProcessVersion, error) {
	client := h.Store.Client()
	p, err := client.Process.Query().Where(process.Key(demoProcess)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("find process %s: %w", demoProcess, err)
	}
	v, err := client.ProcessVersion.Query().
		Where(processversion.ProcessID(p.ID), processversion.StateEQ(processversion.StatePublished)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the published version of %s: %w", demoProcess, err)
	}
	return v, nil
}

// published tells what the story rests on.
func (v demoVoice) published(ctx context.Context, h *House) error {
	client := h.Store.Client()
	standards, err := client.StandardVersion.Query().Where(standardversion.StateEQ(standardversion.StatePublished)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count the standards: %w", err)
	}
	version, err := h.demoVersion(ctx)
	if err != nil {
		return err
	}
	bound, err := version.QueryBindings().Count(ctx)
	if err != nil {
		return fmt.Errorf("count the bindings: %w", err)
	}
	v.line("已发布:%d 份服务规范;流程 %s 第 %d 版经规范核查后发布,绑定 %d 个地区(摘要 %.12s)",
		"Published: %d service standards; process %s version %d, checked against them, bound to %d regions (digest %.12s)",
		standards, demoProcess, version.Number, bound, version.Digest)
	return nil
}

// measured sums the clocks of one indicator in one region.
type measured struct {
	region, code, name, clause string
	kept, breached, cancelled  int
}

// ended tells how the story ended: outcomes, satisfaction, clocks and proof.
func (v demoVoice) ended(ctx context.Context, h *House) error {
	if err := v.outcomes(ctx, h); err != nil {
		return err
	}
	rows, err := v.clocks(ctx, h)
	if err != nil {
		return err
	}
	v.line("\n各地区时限(依据条款):", "\nClocks by region, with the clause behind each:")
	w := tabwriter.NewWriter(v.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, v.of("地区\t达标\t超时\t取消\t达标率\t", "region\tkept\tbreached\tcancelled\tkept %\t")+
		v.of("  指标\t  依据", "  indicator\t  clause"))
	for _, m := range rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t  %s\t  %s %s\n", m.region, m.kept, m.breached, m.cancelled,
			percent(m.kept, m.kept+m.breached), m.code, m.clause, m.name)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the clocks: %w", err)
	}
	report, err := h.Cases.Verify(ctx, func(int, int) {})
	if err != nil {
		return err
	}
	v.line("\n核对:%d 件服务单、%d 条历史、%d 条审计,%d 处不一致", "\nVerified: %d cases, %d events, %d audit entries: %d violations",
		report.Cases, report.Events, report.Audits, len(report.Violations))
	return tally(len(report.Violations))
}

func percent(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", 100*float64(part)/float64(whole))
}

// outcomes tells how the cases ended and what customers said.
func (v demoVoice) outcomes(ctx context.Context, h *House) error {
	var counted []struct {
		Outcome string
		Count   int
	}
	client := h.Store.Client()
	if err := client.ServiceCase.Query().GroupBy("outcome").Aggregate(ent.Count()).Scan(ctx, &counted); err != nil {
		return fmt.Errorf("count the outcomes: %w", err)
	}
	var parts []string
	for _, c := range counted {
		parts = append(parts, fmt.Sprintf("%s %d", c.Outcome, c.Count))
	}
	slices.Sort(parts)
	var survey []struct {
		Mean  *float64
		Count int
	}
	err := client.SurveyResponse.Query().Aggregate(ent.As(ent.Mean("score"), "mean"), ent.Count()).Scan(ctx, &survey)
	if err != nil {
		return fmt.Errorf("read the survey: %w", err)
	}
	v.line("\n办结方式:%s", "\nOutcomes: %s", strings.Join(parts, ", "))
	if len(survey) == 1 && survey[0].Mean != nil {
		v.line("满意度:%d 份回复,均分 %.1f(0–10)", "Satisfaction: %d answers, mean %.1f of 10", survey[0].Count, *survey[0].Mean)
	}
	return nil
}

// clocks sums every clock by region and indicator.
func (v demoVoice) clocks(ctx context.Context, h *House) ([]*measured, error) {
	var counted []struct {
		RegionPath    string `json:"region_path"`
		IndicatorCode string `json:"indicator_code"`
		StandardCode  string `json:"standard_code"`
		ClauseNumber  string `json:"clause_number"`
		NameZh        string `json:"name_zh"`
		NameEn        string `json:"name_en"`
		State         clock.State
		Count         int
	}
	err := h.Store.Client().Clock.Query().
		GroupBy(clock.FieldRegionPath, clock.FieldIndicatorCode, clock.FieldStandardCode, clock.FieldClauseNumber,
			clock.FieldNameZh, clock.FieldNameEn, clock.FieldState).
		Aggregate(ent.Count()).Scan(ctx, &counted)
	if err != nil {
		return nil, fmt.Errorf("count the clocks: %w", err)
	}
	sums := map[string]*measured{}
	for _, c := range counted {
		region := path.Base(c.RegionPath)
		m := sums[region+" "+c.IndicatorCode]
		if m == nil {
			name := v.of(c.NameZh, c.NameEn)
			m = &measured{region: region, code: c.IndicatorCode, name: name, clause: c.StandardCode + " " + c.ClauseNumber}
			sums[region+" "+c.IndicatorCode] = m
		}
		switch c.State {
		case clock.StateMet:
			m.kept += c.Count
		case clock.StateBreached:
			m.breached += c.Count
		default:
			m.cancelled += c.Count
		}
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b *measured) int {
		return cmp.Or(cmp.Compare(a.region, b.region), cmp.Compare(a.code, b.code))
	}), nil
}
