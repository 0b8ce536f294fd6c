package preview

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// BindingKind is a kind of thing of an account that a Worker can be bound to, as bindings.allow names it.
type BindingKind string

// The kinds of thing that a preview can be bound to at Cloudflare.
const (
	BindKV         BindingKind = "kv"         // a KV namespace, by its id
	BindD1         BindingKind = "d1"         // a D1 database, by its id
	BindR2         BindingKind = "r2"         // an R2 bucket, by its name
	BindHyperdrive BindingKind = "hyperdrive" // a Hyperdrive configuration, by its id
	BindQueue      BindingKind = "queue"      // the producer's end of a queue, by its name
	BindVectorize  BindingKind = "vectorize"  // a Vectorize index, by its name
	BindDataset    BindingKind = "dataset"    // an Analytics Engine dataset, by its name
	BindService    BindingKind = "service"    // another Worker of the account, by its name
)

// BindingKinds lists every kind.
func BindingKinds() []BindingKind {
	return []BindingKind{BindKV, BindD1, BindR2, BindHyperdrive, BindQueue, BindVectorize, BindDataset, BindService}
}

// PreviewSection is the "env" section of a Wrangler configuration that describes previews.
const PreviewSection = "preview"

// Binding is one thing of the account that a Worker finds in its environment.
type Binding struct {
	Name   string // in the Worker's environment
	Kind   BindingKind
	Target string // id or name in the account
}

// Allowance says what Workers may be bound to beyond what a preview makes itself. The zero value is nothing,
// and means a provider that has nothing to bind to.
type Allowance struct {
	// Account says that the provider has an account whose things can be bound.
	Account bool `json:",omitempty"`
	// Allow is bindings.allow of the default branch: entries that ValidAllow accepts.
	Allow []string `json:",omitempty"`
	// Withheld is what bindings.allow lists, and the operator does not offer.
	Withheld []string `json:",omitempty"`
	// Section is the "env" section of the Wrangler configuration that is deployed where it exists, in place of the
	// top level; empty: none.
	Section string `json:",omitempty"`
}

// Allows reports whether the target is listed, letter by letter.
func (a Allowance) Allows(kind BindingKind, target string) bool {
	return a.Account && ValidTarget(target) && slices.Contains(a.Allow, AllowEntry(kind, target))
}

// Withholds reports whether the target is listed and not offered.
func (a Allowance) Withholds(kind BindingKind, target string) bool {
	return slices.Contains(a.Withheld, AllowEntry(kind, target))
}

// AllowEntry is how bindings.allow names a target.
func AllowEntry(kind BindingKind, target string) string { return string(kind) + ":" + target }

var targetPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`) })

// ValidTarget reports whether a text can be an id or a name in an account.
func ValidTarget(target string) bool { return targetPattern().MatchString(target) }

// ValidAllow reports whether an entry of bindings.allow has the form "kind:target".
func ValidAllow(entry string) bool {
	kind, target, _ := strings.Cut(entry, ":")
	return slices.Contains(BindingKinds(), BindingKind(kind)) && ValidTarget(target)
}
