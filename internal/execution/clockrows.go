package execution

import (
	"context"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clock"
	entpause "github.com/openspms/spms/ent/pause"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema/ids"
)

// save writes the clocks, pauses and breaches that changed. Clocks are written
// before what refers to them, shadowing ones before the shadowed.
func (b *book) save(ctx context.Context) error {
	if err := b.create(ctx); err != nil {
		return err
	}
	for _, m := range b.clocks {
		if !m.dirty {
			continue
		}
		if err := b.update(ctx, m); err != nil {
			return fmt.Errorf("write clock %s: %w", m.row.IndicatorCode, err)
		}
		if err := b.savePauses(ctx, m); err != nil {
			return fmt.Errorf("write the pauses of clock %s: %w", m.row.IndicatorCode, err)
		}
		if err := b.saveBreach(ctx, m); err != nil {
			return fmt.Errorf("write the breach of clock %s: %w", m.row.IndicatorCode, err)
		}
		b.file.unit.Changed(store.Change{Kind: "clock", ID: m.row.ID, CaseID: m.row.CaseID, RegionPath: m.row.RegionPath})
		m.fresh, m.dirty, m.breach, m.moved = false, false, false, false
	}
	return nil
}

func (b *book) create(ctx context.Context) error {
	var rows []*ent.ClockCreate
	for _, m := range b.clocks {
		if r := m.row; m.fresh {
			rows = append(rows, b.file.unit.Clock.Create().SetID(r.ID).SetRegionID(r.RegionID).SetRegionPath(r.RegionPath).
				SetCaseID(r.CaseID).SetIndicatorID(r.IndicatorID).SetIndicatorCode(r.IndicatorCode).
				SetStandardCode(r.StandardCode).SetClauseNumber(r.ClauseNumber).SetNameZh(r.NameZh).SetNameEn(r.NameEn).
				SetNature(r.Nature).SetStartEvent(r.StartEvent).SetStopEvent(r.StopEvent).SetBasis(r.Basis).
				SetValue(r.Value).SetUnit(r.Unit).SetCutoffHour(r.CutoffHour).SetCreditFen(r.CreditFen).
				SetStartedAt(r.StartedAt).SetPauseReasons(r.PauseReasons).
				SetDueAt(r.DueAt).SetWarnAt(r.WarnAt).SetNextAt(r.NextAt).SetLastDay(r.LastDay).
				SetState(r.State).SetProvisional(r.Provisional).SetNillableStoppedAt(r.StoppedAt).SetNillablePausedAt(r.PausedAt).
				SetNillableBreachedAt(r.BreachedAt).SetPausedMicros(r.PausedMicros).SetBinding(r.ShadowedByID == nil))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := b.file.unit.Clock.CreateBulk(rows...).Exec(ctx); err != nil {
		return fmt.Errorf("create clocks: %w", err)
	}
	return nil
}

func (b *book) update(ctx context.Context, m *measure) error {
	r := m.row
	if m.fresh && r.ShadowedByID == nil {
		return nil
	}
	u := b.file.unit.Clock.Update().Where(clock.ID(r.ID)).SetState(r.State).SetDueAt(r.DueAt).SetWarnAt(r.WarnAt).SetNextAt(r.NextAt).
		SetLastDay(r.LastDay).SetProvisional(r.Provisional).SetBinding(r.Binding).SetPausedMicros(r.PausedMicros).
		SetNillableWarnedAt(r.WarnedAt).SetNillableBreachedAt(r.BreachedAt).SetNillableStoppedAt(r.StoppedAt)
	if m.moved {
		u.SetIndicatorID(r.IndicatorID).SetClauseNumber(r.ClauseNumber).SetNature(r.Nature).SetStopEvent(r.StopEvent).
			SetNameZh(r.NameZh).SetNameEn(r.NameEn).SetBasis(r.Basis).SetValue(r.Value).SetUnit(r.Unit).
			SetCutoffHour(r.CutoffHour).SetCreditFen(r.CreditFen).SetPauseReasons(r.PauseReasons)
	}
	if r.PausedAt == nil {
		u.ClearPausedAt()
	} else {
		u.SetPausedAt(*r.PausedAt)
	}
	if r.ShadowedByID == nil {
		u.ClearShadowedByID()
	} else {
		u.SetShadowedByID(*r.ShadowedByID)
	}
	return u.Exec(ctx)
}

func (b *book) savePauses(ctx context.Context, m *measure) error {
	for _, p := range m.pauses {
		var err error
		switch r := p.row; {
		case p.fresh:
			err = b.file.unit.Pause.Create().SetID(r.ID).SetRegionID(r.RegionID).SetRegionPath(r.RegionPath).SetClockID(r.ClockID).
				SetReason(r.Reason).SetParty(r.Party).SetNote(r.Note).SetNodeID(r.NodeID).SetStartedAt(r.StartedAt).
				SetNillableEndedAt(r.EndedAt).SetBy(r.By).Exec(ctx)
		case p.dirty:
			err = b.file.unit.Pause.Update().Where(entpause.ID(r.ID)).SetNillableEndedAt(r.EndedAt).Exec(ctx)
		}
		if err != nil {
			return err
		}
		p.fresh, p.dirty = false, false
	}
	return nil
}

func (b *book) saveBreach(ctx context.Context, m *measure) error {
	if !m.breach {
		return nil
	}
	r := m.row
	id := ids.New(ids.Breach)
	role, process, err := b.file.breached(ctx, r, id)
	if err != nil {
		return err
	}
	return b.file.unit.Breach.Create().SetID(id).SetEscalatedTo(role).SetCorrectiveProcess(process).SetRegionID(r.RegionID).SetRegionPath(r.RegionPath).
		SetCaseID(r.CaseID).SetClockID(r.ID).SetIndicatorCode(r.IndicatorCode).SetStandardCode(r.StandardCode).
		SetClauseNumber(r.ClauseNumber).SetBinding(r.Binding).SetCreditFen(r.CreditFen).SetAt(*r.BreachedAt).Exec(ctx)
}
