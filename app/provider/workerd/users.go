package workerd

import (
	"errors"
	"hash/fnv"
	"os/user"
	"strconv"
	"sync"
)

// users hands out user ids, one to a preview.
type users struct {
	first, count int

	mu    sync.Mutex
	taken map[int]bool
}

// take returns an id that no other preview has and no account of the machine uses. A name gets
// the same one again as long as it is free. It returns 0 when ids are not switched.
func (u *users) take(name string) (int, error) {
	if u == nil {
		return 0, nil
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(name))
	u.mu.Lock()
	defer u.mu.Unlock()
	start := int(hash.Sum32() % uint32(u.count)) //nolint:gosec // checked to be positive by Config
	for n := range u.count {
		id := u.first + (start+n)%u.count
		if u.taken[id] {
			continue
		}
		if _, err := user.LookupId(strconv.Itoa(id)); err == nil {
			continue
		}
		u.taken[id] = true
		return id, nil
	}
	return 0, errors.New("every user id for previews is taken")
}

func (u *users) release(id int) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.taken, id)
}
