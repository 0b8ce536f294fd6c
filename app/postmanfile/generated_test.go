package postmanfile

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

// What spec apply generates is taken as it is: every id is there already, and environments for other places do
// not become the preview's.
func TestGeneratedFiles(t *testing.T) {
	t.Parallel()
	r := preview.Resource{Name: "preview-1", Layout: preview.Layout{Collections: "out/postman"}}
	source := os.DirFS("../../codegen/testdata/golden/features")
	set, err := Render(t.Context(), r, preview.Inputs{Source: source, Outputs: preview.Outputs{URL: "https://preview.example.dev"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Collections) != 1 {
		t.Fatalf("%d collections", len(set.Collections))
	}
	for _, c := range set.Collections {
		content, err := os.ReadFile("../../codegen/testdata/golden/features/" + c.Path)
		if err != nil {
			t.Fatal(err)
		}
		if string(content) != string(c.Content) {
			t.Errorf("%s was changed", c.Path)
		}
	}
	if diff := cmp.Diff([]Variable{{"baseUrl", "https://preview.example.dev", "default", true}}, set.Variables); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}
