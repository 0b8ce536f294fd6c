package ir

import "testing"

// TestWeighedOnce: a schema that operations share is not gone through again.
func TestWeighedOnce(t *testing.T) {
	t.Parallel()
	shared := &Schema{Types: Object, Properties: []Property{{Name: "a", Schema: &Schema{Types: String}}}}
	w := weigher{components: map[*Component]weight{}, inline: map[*Schema]weight{}, own: map[*Schema]int{}}
	first := w.weigh(shared)
	shared.Properties = nil
	if again := w.weigh(shared); again != first || first.schemas != 2 {
		t.Errorf("%+v, then %+v", first, again)
	}
}
