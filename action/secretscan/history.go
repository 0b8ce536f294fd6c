package secretscan

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// past is what a log tells of a history.
type past struct {
	size    int // of an id
	commits []oid
	objects map[oid]int32 // index in files
	files   [][]sighting
	others  map[place]int32 // index in an object's sightings, of those after the first ones
	paths   []string
	numbers map[string]int32 // index in paths
	said    messages
	merged  merged
}

// sighting is a path at which an object was, with the newest and the oldest commit that put it there; the
// log goes from new to old.
type sighting struct{ path, newest, oldest int32 }

// place is an object at a path, both by number.
type place struct{ object, path int32 }

// fewSightings are looked through one by one: nearly all objects have no more.
const fewSightings = 16

// scanHistory scans every object that a commit of any branch or tag put anywhere, and the commits' messages, but for
// what can be reached from some commits.
func scanHistory(ctx context.Context, request Request, but []string) ([]Finding, error) {
	p, err := readPast(ctx, request, but)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	tasks := p.tasks(defaultMatcher())
	merge := func(id oid, found []Finding) { p.merge(id, found, request.more) }
	rest, faults := p.scanPacks(ctx, request, tasks, merge)
	left := &texts{ids: make([]oid, len(rest)), paths: map[oid][]string{}}
	for i, t := range rest {
		left.ids[i], left.paths[t.id] = t.id, t.paths
	}
	err = scanBlobs(ctx, request, p.size, left, merge)
	attributeErr := attribute(ctx, request.Dir, p.merged.list, func(i int) (first, last string) {
		return p.commits[p.merged.spans[i].oldest].text(p.size), p.commits[p.merged.spans[i].newest].text(p.size)
	})
	said, messagesErr := p.said.findings(ctx, request.Dir)
	request.notePointers() // so that the cache has it
	return append(p.merged.list, said...), errors.Join(faults, err, attributeErr, messagesErr)
}

func readPast(ctx context.Context, request Request, but []string) (*past, error) {
	p := &past{objects: map[oid]int32{}, numbers: map[string]int32{}, others: map[place]int32{}}
	var err error
	if p.size, err = hashSize(ctx, request.Dir); err != nil {
		return nil, err
	}
	p.said = messages{request: request}
	var input strings.Builder
	for _, id := range but {
		input.WriteString("^" + id + "\n")
	}
	err = feedLog(ctx, request.Dir, input.String(), func(c logged) {
		p.commits = append(p.commits, c.id)
		p.said.scan(c)
	}, p.see, logArgs("--all", "--stdin", "--")...)
	return p, err
}

// see notes a change of the newest commit read so far.
func (p *past) see(c change) {
	if c.now == (oid{}) {
		return
	}
	commit := count32(len(p.commits) - 1)
	number, ok := p.numbers[c.path]
	if !ok {
		number = count32(len(p.paths))
		p.numbers[c.path] = number
		p.paths = append(p.paths, c.path)
	}
	at, ok := p.objects[c.now]
	if !ok {
		at = count32(len(p.files))
		p.objects[c.now] = at
		p.files = append(p.files, nil)
	}
	seen := p.files[at]
	for i := range seen[:min(len(seen), fewSightings)] {
		if seen[i].path == number {
			seen[i].oldest = commit
			return
		}
	}
	if len(seen) >= fewSightings {
		if i, ok := p.others[place{at, number}]; ok {
			seen[i].oldest = commit
			return
		}
		p.others[place{at, number}] = count32(len(seen))
	}
	p.files[at] = append(seen, sighting{number, commit, commit})
}

// count32 is a number of things of which a repository has fewer than 1<<31.
func count32(n int) int32 { return int32(n) } //nolint:gosec // see above

// tasks are the objects that were at a path where something is reported.
func (p *past) tasks(m *matcher) []*task {
	allowed, kinds := make([]bool, len(p.paths)), make([]uint32, len(p.paths))
	for i, path := range p.paths {
		allowed[i] = m.allowsPath(path)
		if !allowed[i] {
			kinds[i] = m.kindsOf(path)
		}
	}
	var list []*task
	for id, at := range p.objects {
		t := &task{id: id}
		seen := p.files[at][:0]
		for _, s := range p.files[at] {
			if !allowed[s.path] {
				t.paths, t.kinds = append(t.paths, p.paths[s.path]), t.kinds|kinds[s.path]
				seen = append(seen, s)
			}
		}
		p.files[at] = seen // as many as paths, in the same order
		if len(t.paths) > 0 {
			t.number = len(list)
			list = append(list, t)
		}
	}
	return list
}

// kindsOf says which of the rules for certain paths are for this one.
func (m *matcher) kindsOf(path string) (kinds uint32) {
	bit := uint32(1)
	for i := range m.rules {
		if r := &m.rules[i]; r.path != nil {
			if r.path.matches(path) {
				kinds |= bit
			}
			bit <<= 1
		}
	}
	return kinds
}

// scanPacks scans what is in packs that can be read here and gives what is left for Git to read. done gets what was
// found, one call at a time.
func (p *past) scanPacks(ctx context.Context, request Request, tasks []*task, done func(id oid, found []Finding)) (rest []*task, faults error) {
	read := make([]bool, len(tasks))
	if p.size == idSize {
		names, err := packsOf(ctx, request.Dir)
		if err != nil {
			return tasks, nil // Git reads it all
		}
		for _, name := range names {
			faults = errors.Join(faults, p.scanPack(ctx, request, name, tasks, read, done))
		}
	}
	for i, t := range tasks {
		if !read[i] {
			rest = append(rest, t)
		}
	}
	return rest, faults
}

// packsOf lists the repository's own packs. Those of others that it borrows from are left to Git.
func packsOf(ctx context.Context, dir string) ([]string, error) {
	folder, err := git(ctx, dir, "rev-parse", "--path-format=absolute", "--git-path", "objects/pack")
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(escapeGlob(strings.TrimRight(string(folder), "\r\n")), "pack-*.idx"))
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".idx")
	}
	return names, err
}

func escapeGlob(name string) string {
	if filepath.Separator == '\\' {
		return name
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// scanPack scans the tasks of one pack on all processors. An object that can't be read stays unread.
func (p *past) scanPack(ctx context.Context, request Request, name string, tasks []*task, read []bool, done func(id oid, found []Finding)) error {
	byID := make(map[oid]*task, len(tasks))
	for _, t := range tasks {
		if !read[t.number] {
			byID[t.id] = t
		}
	}
	pack, err := openIndex(name)
	if err != nil || !pack.worthReading(byID) {
		return nil //nolint:nilerr // another form of pack, or there is little in it: Git reads it
	}
	if err := pack.open(name); err != nil {
		return nil //nolint:nilerr // as above
	}
	defer pack.close()
	here := map[int32]*task{}
	for i := range pack.entries {
		if t := byID[pack.id(pack.entries[i].number)]; t != nil && pack.need(count32(i)) {
			here[count32(i)] = t
		}
	}
	var mu sync.Mutex
	var faults []error
	next := make(chan int32)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(next)
		for _, root := range pack.roots() {
			select {
			case next <- root:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			w := walker{unpacker: unpacker{pack: pack}, searcher: request.searcher(), tasks: here}
			w.done = func(t *task, some []Finding, err error) {
				mu.Lock()
				defer mu.Unlock()
				read[t.number] = true
				done(t.id, some)
				if err != nil {
					faults = append(faults, err)
				}
			}
			for root := range next {
				w.walk(root)
			}
			return nil
		})
	}
	err = group.Wait()
	return errors.Join(append(faults, err)...)
}

// worthReading reports whether so much of a pack is wanted that reading the headers of all its entries pays.
func (p *pack) worthReading(wanted map[oid]*task) bool {
	const share = 64
	some := 0
	for id := range wanted {
		if _, ok := p.find(id[:]); ok {
			some++
		}
		if some*share >= p.count {
			return true
		}
	}
	return false
}

// merged are findings with the newest and the oldest commit that put them there.
type merged struct {
	list  []Finding
	spans []sighting
	at    map[string]int // by rule, fingerprint and path: index in list
}

// merge makes one finding of the same secret in all versions of a file, placed where it was first. Beyond twice what is
// kept others are counted: the surest of so many are kept in the end.
func (p *past) merge(id oid, found []Finding, more *more) {
	m := &p.merged
	if m.at == nil {
		m.at = map[string]int{}
	}
	for _, f := range found {
		s := p.files[p.objects[id]][f.place]
		key := f.Rule + f.Fingerprint + f.Path
		j, ok := m.at[key]
		switch {
		case !ok && more.fullScan(len(m.list)/2):
			more.count(f.Tier)
			continue
		case !ok:
			m.at[key] = len(m.list)
			m.list, m.spans = append(m.list, f), append(m.spans, s)
			continue
		}
		was := &m.spans[j]
		if s.oldest > was.oldest || s.oldest == was.oldest && (f.Line < m.list[j].Line || f.Line == m.list[j].Line && f.Column < m.list[j].Column) {
			m.list[j] = f
		}
		was.newest, was.oldest = min(was.newest, s.newest), max(was.oldest, s.oldest)
	}
}
