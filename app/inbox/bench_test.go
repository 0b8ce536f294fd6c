package inbox

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/palantir/go-githubapp/githubapp"

	"github.com/flaresmith/flaresmith/app/store/storetest"
)

// benchPayload is a pull_request event of GitHub's usual size.
func benchPayload() []byte {
	var links strings.Builder
	for links.Len() < 23<<10 {
		links.WriteString(`"link_url":"https://api.example.test/repos/octo-org/sample/pulls/7{/number}",`)
	}
	return []byte(`{"action":"synchronize","number":7,"pull_request":{` + links.String() + `"number":7},"repository":{` +
		`"id":2,"name":"sample"},"installation":{"id":1}}`)
}

func BenchmarkRoute(b *testing.B) {
	payload := benchPayload()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if route(payload).pr != 7 {
			b.Fatal("not routed")
		}
	}
}

func BenchmarkCompress(b *testing.B) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		b.Fatal(err)
	}
	payload := benchPayload()
	for b.Loop() {
		encoder.EncodeAll(payload, make([]byte, 0, len(payload)/4))
	}
}

// BenchmarkSchedule is the whole way into Postgres, from several connections: one delivery a
// transaction, all for one pull request, which is the worst case for its row.
func BenchmarkSchedule(b *testing.B) {
	s, err := NewScheduler(storetest.New(b))
	if err != nil {
		b.Fatal(err)
	}
	payload := benchPayload()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := s.Schedule(b.Context(), githubapp.Dispatch{EventType: "pull_request", DeliveryID: uuid.NewString(), Payload: payload}); err != nil {
				b.Error(err)
			}
		}
	})
}
