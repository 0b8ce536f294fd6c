package secretscan

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
)

// Bounds of a text that is larger than maxText, of which a window at a time is in memory.
const (
	maxLarge  = 1 << 30 // bytes
	maxWindow = 8 << 20
	maxAround = 4 * maxReach // seen on each side of a window: no rule looks further from where it starts
)

// large finds the secrets of a text that is too large to be held. It is read once; name is what errors call it.
func (s *searcher) large(name string, from io.Reader, paths []string, note func(string)) (found []Finding, err error) {
	defer s.recovered(&found, &err)
	s.kept, s.called = 0, name
	source := &faithful{from: from}
	text, inner, layers, packed := unwrapped(source)
	eachWindow(text, maxWindow, maxAround, func(text []byte, own span, line, column int) {
		list := slices.DeleteFunc(s.matches(text, everything(text), paths), func(m placed) bool {
			return m.from < own.from || m.from >= own.to // it is another window's
		})
		s.hide(list)
		for _, f := range s.sealed(list, piece{inner, text}, paths) {
			f.move(line, column)
			found = append(found, f)
		}
	})
	if packed {
		note(fmt.Sprintf("%s is an archive larger than %d MiB, or within others, and was scanned as it is, not unpacked", s.shown(s.called), maxText>>20))
	}
	switch {
	case slices.ContainsFunc(layers, func(l *faithful) bool { return l.size == maxLarge }):
		note(fmt.Sprintf("%s is larger than %d GiB when it is unpacked and was scanned up to there", s.shown(s.called), maxLarge>>30))
	case slices.ContainsFunc(layers, func(l *faithful) bool { return l.err != nil }):
		note(fmt.Sprintf("%s can't be unpacked to its end and was scanned up to there", s.shown(s.called)))
	}
	if source.err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrNotScanned, s.shown(s.called), source.err)
	}
	return append(found, s.byPath(paths)...), err
}

// move puts a finding to where it is in the whole text, from where it is in a window of it.
func (f *Finding) move(lines, columns int) {
	if f.Line == 1 {
		f.Column += columns
	}
	if f.EndLine == 1 {
		f.EndColumn += columns
	}
	f.Line += lines
	f.EndLine += lines
}

// eachWindow gives a text in pieces that overlap. The own parts of the pieces, of the given size, are the whole text
// once; a piece begins with a line where that is near enough, and always with half of what is around it at least: what is
// found may have begun lines before. line and column are what is before it.
func eachWindow(text io.Reader, size, around int, do func(text []byte, own span, line, column int)) {
	buffer := make([]byte, 0, size+2*around)
	for own, line, column := 0, 0, 0; ; {
		n, err := io.ReadFull(text, buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if err != nil {
			do(buffer, span{own, len(buffer)}, line, column)
			return
		}
		to := len(buffer) - around
		do(buffer, span{own, to}, line, column)
		start := to - around
		if i := bytes.IndexByte(buffer[start:to-around/2], '\n'); i >= 0 {
			start += i + 1
		}
		for start < to && !utf8.RuneStart(buffer[start]) {
			start++
		}
		if i := bytes.LastIndexByte(buffer[:start], '\n'); i >= 0 {
			line += bytes.Count(buffer[:start], []byte("\n"))
			column = utf8.RuneCount(buffer[i+1 : start])
		} else {
			column += utf8.RuneCount(buffer[:start])
		}
		own = to - start
		buffer = append(buffer[:0], buffer[start:]...)
	}
}

// faithful remembers why a source ended early, which what unpacks it may hide, and how much it gave.
type faithful struct {
	from io.Reader
	size int64
	err  error
}

func (f *faithful) Read(into []byte) (int, error) {
	n, err := f.from.Read(into)
	f.size += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// unwrapped gives a text as eachPiece does, but for zip archives, whose list is at their end: compressed ones are
// unpacked, each up to maxLarge, and UTF-16 becomes UTF-8. layers are what was unpacked; packed says that what is left
// is an archive still.
func unwrapped(from io.Reader) (text io.Reader, name string, layers []*faithful, packed bool) {
	const start = 512
	in := bufio.NewReaderSize(from, 1<<16)
	head, _ := in.Peek(start)
	for isGzip(head) && len(layers) < maxLevels {
		if _, err := gzip.NewReader(bytes.NewReader(head)); err != nil {
			break
		}
		content, err := gunzipped(in)
		if err != nil {
			break
		}
		layer := &faithful{from: io.LimitReader(content, maxLarge)}
		layers, name = append(layers, layer), inside(name, "gzip")
		in = bufio.NewReaderSize(layer, 1<<16)
		head, _ = in.Peek(start)
	}
	if order := utf16Order(head); order != nil {
		return &utf16Reader{from: in, order: order}, name, layers, false
	}
	return in, name, layers, isZip(head) || isGzip(head) || isTar(head) || isPacked(head)
}
