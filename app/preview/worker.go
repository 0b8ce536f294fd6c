package preview

import (
	"regexp"
	"strings"
	"sync"
)

// WorkerLayout says where one Worker of a repository is, and how it gets its database.
type WorkerLayout struct {
	Name            string // what the repository calls it; empty: it is the only one and has no name
	WranglerConfig  string // e.g. "wrangler.jsonc"
	Entry           string // empty: "main" of the Wrangler configuration
	DatabaseBinding string // name of the text binding that carries the connection string, e.g. "DATABASE_URL"; empty: none
}

// MaxWorkerName is how long the name of a Worker can be: with an environment's name and a hyphen in front it
// still fits NamePattern, and a DNS label, which has 63 characters.
const MaxWorkerName = 20

var workerPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`) })

// ValidWorkerName reports whether a Worker may be called that. A name begins with a letter: the names of
// environments end with a number, so that none of them is another one's with a Worker's behind it.
func ValidWorkerName(name string) bool {
	return len(name) <= MaxWorkerName && workerPattern().MatchString(name)
}

// Key tells the resources of one environment apart. The first of several Workers has no name in its
// key, as the only one of an environment has none: both answer at the environment's own name. So a
// key and the environment's name give the provider-side name, and two keys of a kind never share one.
type Key struct {
	Kind   Kind
	Worker string // KindWorker: the name of any but the first Worker
}

// String names the resource in a plan and for a person: "worker", "worker admin".
func (k Key) String() string { return strings.TrimSpace(string(k.Kind) + " " + k.Worker) }

// WorkerName is the provider-side name of an environment's Worker, whose name is that of its key.
func WorkerName(environment, worker string) string {
	if worker == "" {
		return environment
	}
	return environment + "-" + worker
}

var ownName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(preview-[a-z2-7]{8}-pr-[1-9][0-9]{0,9}|(?:dev|staging|prod)-[a-z2-7]{8})(?:-([a-z][a-z0-9-]*))?$`)
})

// SplitWorkerName undoes WorkerName. It is not ok for a text that is no name of ours.
func SplitWorkerName(name string) (environment, worker string, ok bool) {
	parts := ownName().FindStringSubmatch(name)
	if parts == nil || parts[2] != "" && !ValidWorkerName(parts[2]) {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// WorkerURL is where one of several Workers answers.
type WorkerURL struct {
	Name string // as the repository calls it
	URL  string
}
