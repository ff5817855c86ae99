package server_test

import (
	"testing"

	"github.com/openspms/spms/internal/store/storetest"
)

func TestAccessMatrix(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openWorld(t, url)
		s := o.schema()
		l := o.ledger()
		for typ, rows := range l {
			provinces := map[string]int{}
			for _, c := range rows {
				provinces[c["region_path"]]++
			}
			t.Log(typ, len(rows), provinces, len(s.edges(typ)))
		}
		t.Log(len(l.people()))
	})
}
