package store_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

// BenchmarkInsertDeliveries is one transaction of the inbox, of 128 rows with 3 KB each. In "armed" every
// pull request has its job already, in "idle" each row wakes one.
func BenchmarkInsertDeliveries(b *testing.B) {
	const rows = 128
	payload := make([]byte, 3<<10)
	_, _ = rand.Read(payload)
	for _, fresh := range []bool{false, true} {
		b.Run(map[bool]string{false: "armed", true: "idle"}[fresh], func(b *testing.B) {
			s := storetest.New(b)
			repo := int64(1)
			for b.Loop() {
				if fresh {
					repo++
				}
				list := make([]store.Delivery, rows)
				for i := range list {
					list[i] = delivery(uuid.NewString(), repo, 1+i)
					list[i].Payload = payload
				}
				if n, err := s.InsertDeliveries(b.Context(), list); err != nil || n != rows {
					b.Fatal(fmt.Sprint(n, " stored: "), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*rows), "us/delivery")
		})
	}
}
