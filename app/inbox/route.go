package inbox

import (
	"math"
	"unsafe"

	"github.com/tidwall/gjson"
)

// keys are what a delivery is queued by; 0: the payload does not say.
type keys struct {
	installation int64
	repo         int64
	pr           int
}

// route scans the keys out of a JSON object without parsing all of it. A wrong key costs order
// between deliveries and nothing else, since handlers read their own ids; so does JSON that is
// broken inside, which the handler refuses.
func route(payload []byte) keys {
	var k keys
	var pr, issue, check gjson.Result
	// The text is the payload's own bytes: a copy would cost as much as the scan. Nothing keeps it.
	text := unsafe.String(unsafe.SliceData(payload), len(payload)) // #nosec G103 -- read only, and not beyond this function
	gjson.Parse(text).ForEach(func(name, value gjson.Result) bool {
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
