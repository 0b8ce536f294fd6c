package inbox

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/klauspost/compress/zstd"
	"github.com/palantir/go-githubapp/githubapp"
	"github.com/tidwall/gjson"

	"github.com/flaresmith/flaresmith/app/store"
)

// deliveries is the subset of the store that the scheduler uses.
type deliveries interface {
	// InsertDeliveries commits all of them, each once by its GUID, before it returns nil.
	InsertDeliveries(ctx context.Context, list []store.Delivery) (stored int, err error)
}

// Scheduler stores deliveries. It is a githubapp.Scheduler that runs nothing itself.
type Scheduler struct {
	store   deliveries
	encoder *zstd.Encoder
}

var _ githubapp.Scheduler = (*Scheduler)(nil)

// NewScheduler makes a scheduler on the store.
func NewScheduler(s deliveries) (*Scheduler, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("make compressor: %w", err)
	}
	return &Scheduler{store: s, encoder: encoder}, nil
}

// Schedule stores one delivery; its payload is a JSON object, its Handler is not used. When it
// returns nil the delivery is committed. A known delivery id is no error and changes nothing.
func (s *Scheduler) Schedule(ctx context.Context, d githubapp.Dispatch) error {
	if d.EventType == "" || d.DeliveryID == "" {
		return errors.New("delivery without event or id")
	}
	keys := route(d.Payload)
	_, err := s.store.InsertDeliveries(ctx, []store.Delivery{{
		GUID:           d.DeliveryID,
		Event:          d.EventType,
		InstallationID: keys.installation,
		RepoID:         keys.repo,
		PR:             keys.pr,
		Payload:        s.encoder.EncodeAll(d.Payload, make([]byte, 0, len(d.Payload)/4)),
	}})
	return err
}

// keys are what a delivery is queued by; 0: the payload does not say.
type keys struct {
	installation int64
	repo         int64
	pr           int
}

// route scans the keys out of a valid JSON object without parsing all of it. A wrong key costs
// order between deliveries and nothing else, since handlers read their own ids.
func route(payload []byte) keys {
	var k keys
	var pr, issue, check gjson.Result
	gjson.ParseBytes(payload).ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "installation":
			k.installation = positive(value.Get("id"), math.MaxInt64)
		case "repository":
			k.repo = positive(value.Get("id"), math.MaxInt64)
		case "pull_request":
			pr = value.Get("number")
		case "issue":
			if value.Get("pull_request").IsObject() {
				issue = value.Get("number")
			}
		case "check_run", "check_suite":
			check = value.Get("pull_requests.0.number")
		}
		return true
	})
	if k.repo == 0 {
		return k // a pull request's number means nothing without its repository
	}
	for _, number := range []gjson.Result{pr, issue, check} {
		if k.pr = int(positive(number, math.MaxInt32)); k.pr != 0 {
			break
		}
	}
	return k
}

// positive is the number if it is one from 1 to limit, else 0.
func positive(r gjson.Result, limit int64) int64 {
	if r.Type != gjson.Number || r.Int() < 1 || r.Int() > limit {
		return 0
	}
	return r.Int()
}
