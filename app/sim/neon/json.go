package neon

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/flaresmith/flaresmith/app/embedded"
)

// clusterOf is a branch's cluster.
type clusterOf = *embedded.Postgres

// optional tells a member that is null from one that is missing.
type optional[T any] struct {
	given bool
	value *T
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *optional[T]) UnmarshalJSON(text []byte) error {
	o.given = true
	return json.Unmarshal(text, &o.value)
}

// paged is one page of a list and where the next one begins; the cursor is a number here, and a client must not care.
func paged(list []object, r *http.Request, most int) (page []object, next string) {
	size, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || size < 1 || size > most {
		size = most
	}
	from, err := strconv.Atoi(r.URL.Query().Get("cursor"))
	if err != nil || from < 0 || from > len(list) {
		from = 0
	}
	to := min(from+size, len(list))
	if to < len(list) {
		next = strconv.Itoa(to)
	}
	return list[from:to], next
}
