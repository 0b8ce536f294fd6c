package target

import (
	"cmp"
	"container/heap"
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
	setters, waiting := map[string]int{}, map[string][]int{} // by variable: how many folders are left that set it, and which use it
	for i, f := range folders {
		for key := range f.sets {
			setters[key]++
		}
		for _, key := range f.lacks {
			waiting[key] = append(waiting[key], i)
		}
	}
	var ready turns
	missing := make([]int, len(folders)) // how many variables others still set
	for i, f := range folders {
		for _, key := range f.lacks {
			if setters[key] > 0 {
				missing[i]++
			}
		}
		if missing[i] == 0 {
			heap.Push(&ready, i)
		}
	}
	sorted, placed := make([]*folder, 0, len(folders)), make([]bool, len(folders))
	for first := 0; len(sorted) < len(folders); {
		p.goOn()
		for placed[first] {
			first++
		}
		next := first
		if len(ready) > 0 {
			next = heap.Pop(&ready).(int)
		}
		if placed[next] { // it was the first one while others needed each other
			continue
		}
		placed[next], sorted = true, append(sorted, folders[next])
		for key := range folders[next].sets {
			if setters[key]--; setters[key] > 0 {
				continue
			}
			for _, i := range waiting[key] {
				if missing[i]--; missing[i] == 0 {
					heap.Push(&ready, i)
				}
			}
		}
	}
	return sorted
}

// turns is a heap of the places of folders.
type turns []int

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, j int) bool { return t[i] < t[j] }
func (t turns) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *turns) Push(x any)        { *t = append(*t, x.(int)) }
func (t *turns) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	*t = (*t)[:last]
	return x
}

// variables finds those that a folder sets, and those that it uses and does not set.
func (f *folder) variables() {
	f.sets = map[string]bool{}
	for _, r := range f.requests {
		for key := range r.sets {
			f.sets[key] = true
		}
	}
	listed := map[string]bool{}
	for _, r := range f.requests {
		for _, key := range r.uses() {
			if !f.sets[key] && !listed[key] {
				listed[key], f.lacks = true, append(f.lacks, key)
			}
		}
	}
}

// uses lists the variables that a request is made with.
func (r *request) uses() []string {
	return append(slices.Sorted(maps.Values(r.paths)), slices.Sorted(maps.Values(r.bears))...)
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
	users := usage{}
	for _, f := range p.folders {
		for _, r := range f.requests {
			users.add(f, r, 1)
		}
	}
	for _, f := range p.folders {
		f.requests = slices.DeleteFunc(f.requests, func(r *request) bool {
			p.goOn()
			move := r.Method == http.MethodDelete && users.elsewhere(f, r)
			if move {
				users.add(f, r, -1)
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

// usage counts the uses of a variable in the requests of each folder.
type usage map[string]map[*folder]int

func (u usage) add(f *folder, r *request, n int) {
	for _, key := range r.uses() {
		if u[key] == nil {
			u[key] = map[*folder]int{}
		}
		if u[key][f] += n; u[key][f] == 0 {
			delete(u[key], f)
		}
	}
}

// elsewhere tells whether other folders use what the path of a request ends with.
func (u usage) elsewhere(own *folder, r *request) bool {
	segments := r.Segments()
	name := segments[len(segments)-1].Param
	if name == "" {
		return false
	}
	users := len(u[r.paths[name]])
	if u[r.paths[name]][own] > 0 {
		users--
	}
	return users > 0
}
