package workerd

import (
	"encoding/json"
	"strconv"
	"testing"
)

func decode(t *testing.T, body string) map[string]string {
	t.Helper()
	var values map[string]string
	if err := json.Unmarshal([]byte(body), &values); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return values
}

func itoa(n int) string { return strconv.Itoa(n) }
