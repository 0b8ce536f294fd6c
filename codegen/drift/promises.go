package drift

// Promises are what deployed code, data and other people rely on, by kind and name: each with a fact that they
// rely on, or "".
type Promises map[string]map[string]string

// The kinds of promises.
const (
	TablePromise     = "table"     // products, with its primary key
	ColumnPromise    = "column"    // products.name, with its type, NotNullFact and DefaultFact
	UniquePromise    = "unique"    // products (name)
	CheckPromise     = "check"     // products products_price_check, with its condition
	EnumPromise      = "enum"      // status: active, or products.status: active where a check lists them
	SchemaPromise    = "schema"    // Product, with InRequests and InResponses
	FieldPromise     = "field"     // Product.name, with types and RequiredFact
	ValuePromise     = "value"     // Product.status: active
	LimitPromise     = "limit"     // Product.name maxLength, with the limit
	ParameterPromise = "parameter" // GET /products query limit, with types and RequiredFact
	OperationPromise = "operation" // GET /products/{id}, with its id
)

// Parts of facts and names.
const (
	NotNullFact  = " not null" // behind the type of a column
	DefaultFact  = " default"  // behind that: new rows have a value without being given one
	RequiredFact = " required" // behind the types of a field
	InRequests   = "request"   // of a schema
	InResponses  = "response"
	ItemsOf      = "[]"  // behind a field that is a list
	AnyType      = "any" // of a field, in place of all types

	MoreThan = "more than " // before a minimum that is excluded
	LessThan = "less than " // before such a maximum
)

// Kind is the names of one kind, which is there from then on: promises without it are of an older generator, and say
// nothing of that kind.
func (p Promises) Kind(kind string) map[string]string {
	if p[kind] == nil {
		p[kind] = map[string]string{}
	}
	return p[kind]
}

// listed are the promises of older manifests, which give names without facts.
func listed(kinds map[string][]string) Promises {
	p := make(Promises, len(kinds))
	for kind, names := range kinds {
		p[kind] = make(map[string]string, len(names))
		for _, name := range names {
			p[kind][name] = ""
		}
	}
	return p
}
