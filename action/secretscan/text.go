package secretscan

import (
	"bytes"
	"encoding/binary"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// maxText is the size of the largest file that is searched as a whole.
const maxText = 64 << 20

// isPointer tells what Git LFS puts in a file's place.
func isPointer(raw []byte) bool {
	return len(raw) < 1024 && bytes.HasPrefix(raw, []byte("version https://git-lfs.github.com/spec/v1\n"))
}

// fromUTF16 gives UTF-8 for a text that is UTF-16; others are returned as they are.
func fromUTF16(raw []byte) []byte {
	order := utf16Order(raw)
	if order == nil {
		return raw
	}
	return bytes.TrimPrefix(decodeUTF16(raw, order), []byte("\ufeff"))
}

// utf16Order tells UTF-16 by its mark, or by every other byte of its start being zero; nil: it is something else.
func utf16Order(raw []byte) binary.ByteOrder {
	if len(raw) < 4 || bytes.IndexByte(raw[:min(len(raw), 512)], 0) < 0 && raw[0] < 0xfe {
		return nil
	}
	switch even, odd := zeros(raw); {
	case raw[0] == 0xff && raw[1] == 0xfe || odd > 3*even && odd*5 > min(len(raw), 512):
		return binary.LittleEndian
	case raw[0] == 0xfe && raw[1] == 0xff || even > 3*odd && even*5 > min(len(raw), 512):
		return binary.BigEndian
	}
	return nil
}

// decodeUTF16 makes UTF-8 of a text with nothing in between: it may be large.
func decodeUTF16(raw []byte, order binary.ByteOrder) []byte {
	text := make([]byte, 0, len(raw)/2)
	for ; len(raw) >= 2; raw = raw[2:] {
		r := rune(order.Uint16(raw))
		if utf16.IsSurrogate(r) {
			first := r
			if r = utf8.RuneError; len(raw) >= 4 {
				r = utf16.DecodeRune(first, rune(order.Uint16(raw[2:])))
			}
			if r != utf8.RuneError {
				raw = raw[2:]
			}
		}
		text = utf8.AppendRune(text, r)
	}
	return text
}

// utf16Reader gives UTF-8 for a text in UTF-16.
type utf16Reader struct {
	from  io.Reader
	order binary.ByteOrder
	begun bool
	rest  []byte // of the text that was decoded
	pair  []byte // the first half of a character, and an odd byte
}

func (u *utf16Reader) Read(into []byte) (int, error) {
	for len(u.rest) == 0 {
		raw := make([]byte, 1<<15)
		kept := copy(raw, u.pair)
		n, err := io.ReadAtLeast(u.from, raw[kept:], 4)
		if raw = raw[:kept+n]; n == 0 && kept < 2 {
			return 0, err
		}
		whole := len(raw) &^ 1
		if err == nil && u.order.Uint16(raw[whole-2:])>>10 == 0xd800>>10 {
			whole -= 2 // the first of two
		}
		u.pair = append(u.pair[:0], raw[whole:]...)
		u.rest = decodeUTF16(raw[:whole], u.order)
		if !u.begun {
			u.begun, u.rest = true, bytes.TrimPrefix(u.rest, []byte("\ufeff"))
		}
	}
	n := copy(into, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func zeros(raw []byte) (even, odd int) {
	for i, b := range raw[:min(len(raw), 512)] {
		if b == 0 && i%2 == 0 {
			even++
		} else if b == 0 {
			odd++
		}
	}
	return even, odd
}
