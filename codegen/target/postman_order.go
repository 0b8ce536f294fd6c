package target

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// byNeed puts a folder behind those that set variables which it uses. Where they need each other, the
// document's order stays.
func (p *postman) byNeed(folders []*folder) []*folder {
	for _, f := range folders {
		p.goOn()
		f.variables()
	}
	var sorted []*folder
	for rest := slices.Clone(folders); len(rest) > 0; {
		p.goOn()
		next := max(0, slices.IndexFunc(rest, func(f *folder) bool { return !slices.ContainsFunc(rest, f.needs) }))
		sorted = append(sorted, rest[next])
		rest = slices.Delete(rest, next, next+1)
	}
	return sorted
}

// variables finds those that a folder sets, and those that it uses and does not set.
func (f *folder) variables() {
	f.sets = map[string]bool{}
	for _, r := range f.requests {
		for key := range r.sets {
			f.sets[key] = true
		}
	}
	for _, r := range f.requests {
		for _, key := range r.uses() {
			if !f.sets[key] && !slices.Contains(f.lacks, key) {
				f.lacks = append(f.lacks, key)
			}
		}
	}
}

// needs tells whether a folder uses a variable that another sets and it does not.
func (f *folder) needs(other *folder) bool {
	return slices.ContainsFunc(f.lacks, func(key string) bool { return other.sets[key] })
}

// uses lists the variables that a request is made with.
func (r *request) uses() []string {
	return append(slices.Sorted(maps.Values(r.paths)), slices.Sorted(maps.Values(r.bears))...)
}

// needs tells whether a request is made with a variable.
func (r *request) needs(key string) bool {
	for _, variables := range []map[string]string{r.paths, r.bears} {
		for _, used := range variables {
			if used == key {
				return true
			}
		}
	}
	return false
}

// byTurn orders the requests of a folder.
func byTurn(a, b *request) int {
	turn := func(r *request) int {
		switch {
		case len(r.sets) > 0:
			return 0
		case r.Method == http.MethodDelete:
			return 2
		}
		return 1
	}
	x, y := turn(a), turn(b)
	if x != y {
		return cmp.Compare(x, y)
	}
	long, longer := strings.Count(a.Path, "/"), strings.Count(b.Path, "/")
	switch x {
	case 0:
		return cmp.Compare(long, longer)
	case 2:
		return cmp.Compare(longer, long)
	}
	return 0
}

// cleanUp moves what removes a thing that other folders use to a last folder.
func (p *postman) cleanUp() {
	last := &folder{name: "Clean up", last: true}
	for _, f := range p.folders {
		f.requests = slices.DeleteFunc(f.requests, func(r *request) bool {
			p.goOn()
			move := r.Method == http.MethodDelete && p.usedElsewhere(f, r)
			if move {
				last.requests = append(last.requests, r)
			}
			return move
		})
	}
	p.folders = slices.DeleteFunc(p.folders, func(f *folder) bool { return len(f.requests) == 0 })
	if len(last.requests) > 0 {
		slices.Reverse(last.requests) // what needs others goes before them
		slices.SortStableFunc(last.requests, byTurn)
		p.folders = append(p.folders, last)
	}
}

func (p *postman) usedElsewhere(own *folder, r *request) bool {
	segments := r.Segments()
	name := segments[len(segments)-1].Param
	if name == "" {
		return false
	}
	for _, f := range p.folders {
		if f == own {
			continue
		}
		for _, other := range f.requests {
			if other.needs(r.paths[name]) {
				return true
			}
		}
	}
	return false
}
