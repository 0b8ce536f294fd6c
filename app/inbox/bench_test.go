package inbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/klauspost/compress/s2"
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
	payload := benchPayload()
	var out []byte
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		out = s2.Encode(out, payload)
	}
}

func BenchmarkHMAC(b *testing.B) {
	payload := benchPayload()
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write(payload)
	signature := mac.Sum(nil)
	h := &Handler{secrets: [][]byte{[]byte("secret")}}
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if !h.signed(payload, signature) {
			b.Fatal("not signed")
		}
	}
}

// BenchmarkSchedule is the whole way into Postgres, from 128 requests at once, for 500 pull requests.
func BenchmarkSchedule(b *testing.B) {
	s := NewScheduler(storetest.New(b))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	b.Cleanup(func() {
		stop()
		<-ended
	})
	var payloads [500][]byte
	for i := range payloads {
		payloads[i] = bytes.Replace(benchPayload(), []byte(`"id":2,`), fmt.Appendf(nil, `"id":%d,`, 2+i), 1)
	}
	var next atomic.Int64
	b.SetParallelism(128 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			payload := payloads[next.Add(1)%int64(len(payloads))]
			if err := s.Schedule(b.Context(), githubapp.Dispatch{EventType: "pull_request", DeliveryID: uuid.NewString(), Payload: payload}); err != nil {
				b.Error(err)
			}
		}
	})
}
