package secretscan

import (
	"slices"
)

// task is an object of a history that is to be scanned.
type task struct {
	id     oid
	paths  []string
	kinds  uint32 // which rules for certain paths apply
	number int    // in the history
}

// walker scans the objects of a pack that are built from one another: each is unpacked once, and of one
// that a delta makes from a text without findings only what is new.
type walker struct {
	unpacker
	*searcher
	tasks map[int32]*task // by entry
	done  func(t *task, found []Finding, err error)
	stack []*layer
	live  int // bytes of texts on the stack
	free  [][]byte
}

// layer is a text from which others are still to be built.
type layer struct {
	at    int32
	next  int32 // the next entry to build
	text  []byte
	known bool   // it was scanned, and nothing in it needs another look
	kinds uint32 // by the rules for these kinds of paths
}

// maxLive bounds the memory of a walker. Texts that do not fit are built again when they are needed.
const maxLive = 32 << 20

// walk scans what is built from a root. Entries that can't be read are left out; done does not hear of them.
func (w *walker) walk(root int32) {
	w.push(root, nil)
	for len(w.stack) > 0 {
		top := w.stack[len(w.stack)-1]
		if top.next == none {
			w.pop()
			continue
		}
		at := top.next
		top.next = w.pack.entries[at].sibling
		w.push(at, top)
	}
}

// push builds and scans an entry.
func (w *walker) push(at int32, on *layer) {
	e := &w.pack.entries[at]
	text, fresh, err := w.build(at, on)
	if err != nil {
		return
	}
	l := &layer{at: at, next: e.child, text: text}
	if t := w.tasks[at]; t != nil {
		var regions []span // all of it
		if on != nil && on.known && t.kinds&^on.kinds == 0 {
			regions = w.widened(text, fresh)
		}
		found, err := w.part(nameOf(t.id.text(idSize), t.paths), text, regions, t.paths)
		l.known, l.kinds = !w.again && err == nil, t.kinds
		w.done(t, found, err)
	}
	if on != nil && on.next == none {
		w.release(on) // it was the last that is built from it
	}
	w.stack = append(w.stack, l)
	w.live += len(text)
	for i := 0; w.live > maxLive && i < len(w.stack)-1; i++ {
		w.release(w.stack[i])
	}
}

func (w *walker) pop() {
	last := len(w.stack) - 1
	w.release(w.stack[last])
	w.stack = w.stack[:last]
}

// release takes back the memory of a layer's text.
func (w *walker) release(l *layer) {
	if l.text == nil {
		return
	}
	w.live -= len(l.text)
	if len(w.free) < 4 && cap(l.text) < 1<<20 {
		w.free = append(w.free, l.text)
	}
	l.text = nil
}

func (w *walker) memory() []byte {
	if n := len(w.free); n > 0 {
		text := w.free[n-1]
		w.free = w.free[:n-1]
		return text
	}
	return nil
}

// build gives an entry's text, and where it differs from the one below it.
func (w *walker) build(at int32, on *layer) (text []byte, fresh []span, err error) {
	e := &w.pack.entries[at]
	if on == nil {
		text, err = w.inflate(e, w.memory())
		return text, nil, err
	}
	if on.text == nil {
		if on.text, err = w.rebuild(on.at); err != nil {
			return nil, nil, err
		}
		w.live += len(on.text)
	}
	delta, err := w.inflate(e, w.memory())
	if err != nil {
		return nil, nil, err
	}
	text, fresh, err = applyDelta(on.text, delta, w.memory())
	if len(w.free) < 4 {
		w.free = append(w.free, delta)
	}
	return text, fresh, err
}

// rebuild gives an entry's text from the start of its chain.
func (w *walker) rebuild(at int32) ([]byte, error) {
	var chain []int32
	for i := at; i >= 0; i = w.pack.entries[i].base {
		chain = append(chain, i)
	}
	var text []byte
	for _, i := range slices.Backward(chain) {
		raw, err := w.inflate(&w.pack.entries[i], nil)
		if err != nil {
			return nil, err
		}
		if text == nil {
			text = raw
			continue
		}
		if text, _, err = applyDelta(text, raw, nil); err != nil {
			return nil, err
		}
	}
	return text, nil
}
