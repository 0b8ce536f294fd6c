package codegen_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

const promisedContract = `openapi: 3.0.3
info: { title: Shop, version: "1" }
paths:
  /items:
    get:
      operationId: listItems
      parameters: [{ name: limit, in: query, schema: { type: number, maximum: 100 } }]
      responses: { "200": { description: x, content: { application/json: { schema: { type: array, items: { $ref: "#/components/schemas/Item" } } } } } }
    post:
      operationId: createItem
      requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/NewItem" } } } }
      responses: { "201": { description: x, content: { application/json: { schema: { $ref: "#/components/schemas/Item" } } } } }
components:
  schemas:
    Item: { type: object, required: [id, kind], properties: { id: { type: string }, kind: { $ref: "#/components/schemas/Kind" }, size: { type: object, required: [w], properties: { w: { type: integer } } } } }
    NewItem: { type: object, required: [kind], properties: { kind: { $ref: "#/components/schemas/Kind" }, note: { type: string, nullable: true, maxLength: 80 }, tags: { type: array, items: { type: string } } } }
    Kind: { type: string, enum: [small, large] }
`

const promisedModel = "# Data model\n\n```sql\n" + `CREATE TYPE kind AS ENUM ('small', 'large');
CREATE TABLE items (
  id uuid PRIMARY KEY,
  kind kind NOT NULL,
  name varchar(80),
  code text NOT NULL UNIQUE,
  state text NOT NULL CHECK (state IN ('on', 'off', 'idle')),
  shop integer NOT NULL,
  price numeric(8, 2) CHECK (price >= 0)
);
` + "```\n"

// TestBreakingSpecs changes specs and finds what breaks whom.
func TestBreakingSpecs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name            string
		contract, model []string // replacements
		want            []string
	}{
		{"a type that widens in requests and answers", []string{"w: { type: integer }", "w: { type: number }"}, []string{"varchar(80)", "varchar(90)"}, []string{"field Item.size.w"}},
		{"types", []string{"id: { type: string }", "id: { type: integer }", "type: string, nullable: true", "type: string", "schema: { type: number,", "schema: { type: integer,", "items: { type: string }", "items: { type: string, format: uuid }"},
			[]string{"varchar(80)", "varchar(20)", "shop integer", "shop text"},
			[]string{"column items.name", "column items.shop", "field Item.id", "field NewItem.note", "field NewItem.tags[]", "parameter GET /items query limit"}},
		{"not null", nil, []string{"name varchar(80)", "name varchar(80) NOT NULL", "shop integer NOT NULL", "shop integer NOT NULL,\n  a text NOT NULL,\n  b text NOT NULL DEFAULT 'x',\n  c text"}, []string{"column items.a", "column items.name"}},
		{"required", []string{"[kind], properties", "[kind, note, more], properties", "note:", "more: { type: string }, note:", "limit, in", "limit, required: true, in", "requestBody: {", "requestBody: { required: true,", "required: [id, kind]", "required: [kind, size]"}, nil,
			[]string{"field NewItem.more", "field Item.id", "field NewItem.note", "parameter GET /items query limit", "parameter POST /items body"}},
		{"values", []string{"[small, large]", "[small, huge]"}, []string{"('small', 'large')", "('small')", "('on', 'off', 'idle')", "('on', 'idle')"}, []string{"enum items.state: off", "enum kind: large", "value Kind: large"}},
		{"keys", nil, []string{"id uuid PRIMARY KEY", "id uuid UNIQUE", "text NOT NULL UNIQUE", "text NOT NULL", "shop integer NOT NULL", "shop integer NOT NULL,\n  PRIMARY KEY (id, shop),\n  UNIQUE (name, shop)"},
			[]string{"table items", "unique items (code)", "unique items (id)", "unique items (name, shop)"}},
		{"limits", []string{"maximum: 100", "maximum: 50", "maxLength: 80", "maxLength: 20", "tags: { type: array,", "tags: { type: array, maxItems: 5, uniqueItems: true,", "w: { type: integer }", "w: { type: integer, minimum: 1 }"},
			[]string{"price >= 0", "price > 0", "(8, 2)", "(6, 2)", "code text NOT NULL UNIQUE", "code text NOT NULL UNIQUE CHECK (code ~ '^[a-z]+$')", "('on', 'off', 'idle')", "('on', 'off', 'idle', 'new')"},
			[]string{"column items.price", "check items items_code_pattern_check", "check items items_price_check", "limit GET /items query limit maximum", "limit NewItem.note maxLength", "limit NewItem.tags maxItems", "limit NewItem.tags uniqueItems"}},
		{"another path and method", []string{"    post:", "  /things:\n    put:"}, nil, []string{"operation POST /items"}},
		{"all of it", []string{promisedContract, "openapi: 3.0.3\ninfo: { title: Shop, version: \"1\" }\npaths: {}\n"}, nil, []string{"field Item.id", "field Item.kind", "field NewItem.kind", "operation GET /items", "operation POST /items"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			generate := func(contract, model string) codegen.Files {
				files, err := codegen.Generate(t.Context(), fstest.MapFS{"specs/001-shop/contracts/openapi.yaml": {Data: []byte(contract)}, "specs/001-shop/data-model.md": {Data: []byte(model)}}, codegen.Options{})
				if err != nil {
					t.Fatal(err)
				}
				return files
			}
			_, manifest, err := codegen.Plan(fstest.MapFS{}, generate(promisedContract, promisedModel), drift.Manifest{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			data := manifest.Bytes()
			if manifest, err = drift.ReadManifest(fstest.MapFS{drift.ManifestPath: {Data: data}}); err != nil {
				t.Fatal(err)
			}
			contract, model := promisedContract, promisedModel
			for i := 0; i < len(tt.contract); i += 2 {
				contract = strings.Replace(contract, tt.contract[i], tt.contract[i+1], 1)
			}
			for i := 0; i < len(tt.model); i += 2 {
				model = strings.Replace(model, tt.model[i], tt.model[i+1], 1)
			}
			report, next, err := codegen.Plan(fstest.MapFS{}, generate(contract, model), manifest, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, b := range report.BreakingChanges {
				got = append(got, b.Kind+" "+b.Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("breaking changes (-want +got):\n%s", diff)
			}
			if again, _, err := codegen.Plan(fstest.MapFS{}, generate(contract, model), next, nil); err != nil || len(again.BreakingChanges) > 0 {
				t.Errorf("told again: %v, %+v", err, again.BreakingChanges)
			}
		})
	}
}
