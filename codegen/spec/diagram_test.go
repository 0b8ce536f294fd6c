package spec

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDiagramKeys finds what fields refer to that a diagram only marks FK, and says what it found.
func TestDiagramKeys(t *testing.T) {
	t.Parallel()
	m, problems := ParseDataModel("data-model.md", []byte("# Data model\n\n```mermaid\nerDiagram\n"+
		"  CUSTOMER ||--o{ ORDER : places\n  USER ||--o{ POST : writes\n  A ||--o{ C : has\n  B ||--o{ C : has\n"+
		"  CUSTOMER {\n    uuid id PK\n  }\n  ORDER {\n    uuid id PK\n    uuid customer_id FK\n  }\n"+
		"  POST {\n    uuid author_id FK\n  }\n  C {\n    uuid left FK\n    uuid customerId FK\n    uuid up FK \"→ A.id\"\n  }\n```\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, e := range m.Entities {
		for _, f := range e.Fields {
			if f.Ref != nil {
				got = append(got, e.Name+"."+f.Name+" "+f.Ref.Entity)
			}
		}
	}
	for _, note := range m.Notes {
		got = append(got, note.Message)
	}
	want := []string{
		"ORDER.customer_id CUSTOMER", "POST.author_id USER", "C.customerId CUSTOMER", "C.up A",
		"inferred: ORDER.customer_id refers to CUSTOMER", "inferred: POST.author_id refers to USER",
		"C.left is marked FK, and nothing says of what: no foreign key is generated", "inferred: C.customerId refers to CUSTOMER",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
