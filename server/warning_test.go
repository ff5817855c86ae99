package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// TestClocksWarn lets the 48 hours and the 16 working days of orders pass, with a pause
// before the warning, after it, over it, and without: a clock warns once, when 80 % of
// what it counts is used up.
func TestClocksWarn(t *testing.T) {
	t.Parallel()
	const hours, days = "ENT-FTTH-48H", "ENT-ACTIVATE-URBAN-16WD"
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		begin := time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)
		o := openOffice(t, url, begin)
		orders := []string{"none", "before", "over", "after"}
		ids := map[string]string{}
		warned := func(number, code string) any {
			list, _ := o.get("ha-supervisor", fmt.Sprintf(`{ serviceCase(number: %q) { clocks { edges { node { id indicatorCode warnedAt } } } } }`, number),
				"serviceCase", "clocks", "edges").([]any)
			for _, e := range list {
				if dig(e, "node", "indicatorCode") == code {
					ids[number+code] = fmt.Sprint(dig(e, "node", "id"))
					return dig(e, "node", "warnedAt")
				}
			}
			t.Fatalf("order %s has no clock %s", number, code)
			return nil
		}
		for _, n := range orders {
			o.order(n)
			warned(n, hours)
			warned(n, days)
		}
		after := func(d time.Duration, act func()) {
			o.clock.Set(begin.Add(d))
			o.tick()
			act()
		}
		pause := func(number string) func() {
			return func() {
				for _, code := range []string{hours, days} {
					o.must("ha-supervisor", "pauseClock", fmt.Sprintf(`clockID: %q, reason: "customer_slot", party: "customer", note: "x"`, ids[number+code]))
				}
			}
		}
		resume := func(number string) func() {
			return func() {
				for _, code := range []string{hours, days} {
					o.must("ha-supervisor", "resumeClock", fmt.Sprintf(`clockID: %q`, ids[number+code]))
				}
			}
		}
		// want says at which time after the begin each order has warned, 0 for not yet.
		want := func(code string, at ...time.Duration) func() {
			return func() {
				for i, n := range orders {
					got := warned(n, code)
					if at[i] == 0 && got != nil || at[i] != 0 && (got == nil || !instantOf(t, got).Equal(begin.Add(at[i]))) {
						t.Errorf("after %v the clock %s of %q has warned at %v, want %v after the begin", o.clock.Now().Sub(begin), code, n, got, at[i])
					}
				}
			}
		}
		const h, m, eighty = time.Hour, time.Minute, 38*time.Hour + 24*time.Minute
		after(2*h, pause("before"))
		after(12*h, resume("before")) // before the midnight: the working days stay
		after(38*h, pause("over"))
		after(eighty-m, want(hours, 0, 0, 0, 0))
		after(eighty, want(hours, eighty, 0, 0, eighty))
		after(39*h, pause("after"))
		after(47*h, resume("after"))
		after(eighty+10*h-m, want(hours, eighty, 0, 0, eighty))
		after(eighty+10*h, want(hours, eighty, eighty+10*h, 0, eighty))
		after(63*h, resume("over")) // over the midnight after 5 March
		after(eighty+25*h-m, want(hours, eighty, eighty+10*h, 0, eighty))
		after(eighty+25*h, want(hours, eighty, eighty+10*h, eighty+25*h, eighty))
		// 12.8 of 16 working days after 3 March: at 19:12 of the 13th that counts, 20 March;
		// one later where a midnight was paused.
		friday := time.Date(2026, 3, 20, 19, 12, 0, 0, shanghai).Sub(begin)
		after(friday-m, want(days, 0, 0, 0, 0))
		after(friday, want(days, friday, friday, 0, friday))
		after(friday+72*h, want(days, friday, friday, friday+72*h, friday))
		o.verified()
	})
}
