package secretbox

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	version   = 1
	keySize   = 32
	idSize    = 8
	overhead  = 12 + 16 // nonce and tag
	headSize  = 1 + idSize
	wrapEnd   = headSize + keySize + overhead
	sealedMin = wrapEnd + overhead
)

// ErrUnknownKey is returned when a text was sealed under a master key that is not given.
var ErrUnknownKey = errors.New("secretbox: sealed under a master key that is not given")

// ErrNotSealed is returned when a text was not sealed here for that purpose, or was changed since.
var ErrNotSealed = errors.New("secretbox: not what was sealed here")

// Box seals under the first of its master keys and opens under any of them. It is safe for concurrent use.
type Box struct {
	keys []masterKey
}

type masterKey struct {
	id   [idSize]byte
	aead cipher.AEAD
}

// New reads master keys: 32 random bytes in base64 each, comma separated, the current one first. Errors hold no key.
func New(masterKeys string) (*Box, error) {
	b := &Box{}
	for i, text := range strings.Split(masterKeys, ",") {
		key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(text))
		if err != nil || len(key) != keySize {
			return nil, fmt.Errorf("secretbox: master key %d is not %d bytes in base64", i+1, keySize)
		}
		if bytes.Count(key, key[:1]) == keySize {
			return nil, fmt.Errorf("secretbox: master key %d is one byte repeated", i+1)
		}
		m, err := newMasterKey(key)
		if err != nil {
			return nil, fmt.Errorf("secretbox: master key %d: %w", i+1, err)
		}
		if slices.ContainsFunc(b.keys, func(other masterKey) bool { return other.id == m.id }) {
			return nil, fmt.Errorf("secretbox: master key %d is there twice", i+1)
		}
		b.keys = append(b.keys, m)
	}
	return b, nil
}

// newMasterKey derives the id and the wrapping key from a master key, so that neither tells of the other.
func newMasterKey(key []byte) (m masterKey, err error) {
	id, err := hkdf.Key(sha256.New, key, nil, "flaresmith secretbox key id", idSize)
	if err != nil {
		return m, err
	}
	wrapping, err := hkdf.Key(sha256.New, key, nil, "flaresmith secretbox wrapping key", keySize)
	if err != nil {
		return m, err
	}
	copy(m.id[:], id)
	m.aead, err = newAEAD(wrapping)
	return m, err
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// String keeps the keys out of logs.
func (b *Box) String() string { return "***" }

// GoString implements fmt.GoStringer, for %#v.
func (b *Box) GoString() string { return b.String() }

// KeyID is the id of the current master key.
func (b *Box) KeyID() string { return hex.EncodeToString(b.keys[0].id[:]) }

// KeyIDOf is the id of the master key that a text was sealed under; empty: it is no sealed text.
func KeyIDOf(sealed []byte) string {
	if len(sealed) < sealedMin || sealed[0] != version {
		return ""
	}
	return hex.EncodeToString(sealed[1:headSize])
}

// Seal encrypts a secret under a data key of its own. Purpose says what it is, and Open must say the same.
func (b *Box) Seal(secret []byte, purpose string) ([]byte, error) {
	dataKey := make([]byte, keySize)
	_, _ = rand.Read(dataKey) // never fails
	data, err := newAEAD(dataKey)
	if err != nil {
		return nil, fmt.Errorf("secretbox: %w", err)
	}
	sealed := make([]byte, 0, sealedMin+len(secret))
	sealed = b.keys[0].wrap(sealed, dataKey, purpose)
	return data.Seal(sealed, nil, secret, about("data", nil, purpose)), nil //nolint:gosec // the AEAD makes its nonces itself
}

// wrap appends the head and the wrapped data key.
func (m masterKey) wrap(to, dataKey []byte, purpose string) []byte {
	to = append(append(to, version), m.id[:]...)
	return m.aead.Seal(to, nil, dataKey, about("key", m.id[:], purpose)) //nolint:gosec // the AEAD makes its nonces itself
}

// about is what an encryption is bound to, without two ways to read it.
func about(what string, id []byte, purpose string) []byte {
	return slices.Concat([]byte{version}, []byte(what), []byte{0}, id, []byte(purpose))
}

// Open gives the secret back.
func (b *Box) Open(sealed []byte, purpose string) ([]byte, error) {
	dataKey, err := b.unwrap(sealed, purpose)
	if err != nil {
		return nil, err
	}
	data, err := newAEAD(dataKey)
	if err != nil {
		return nil, fmt.Errorf("secretbox: %w", err)
	}
	secret, err := data.Open(nil, nil, sealed[wrapEnd:], about("data", nil, purpose))
	if err != nil {
		return nil, ErrNotSealed
	}
	return secret, nil
}

func (b *Box) unwrap(sealed []byte, purpose string) ([]byte, error) {
	if KeyIDOf(sealed) == "" {
		return nil, ErrNotSealed
	}
	at := slices.IndexFunc(b.keys, func(m masterKey) bool { return bytes.Equal(m.id[:], sealed[1:headSize]) })
	if at < 0 {
		return nil, ErrUnknownKey
	}
	m := b.keys[at]
	dataKey, err := m.aead.Open(nil, nil, sealed[headSize:wrapEnd], about("key", m.id[:], purpose))
	if err != nil {
		return nil, ErrNotSealed
	}
	return dataKey, nil
}

// Rewrap seals under the current master key what was sealed under another one. The secret itself is not decrypted. It is not
// changed when it is under the current one already.
func (b *Box) Rewrap(sealed []byte, purpose string) (rewrapped []byte, changed bool, err error) {
	dataKey, err := b.unwrap(sealed, purpose)
	if err != nil {
		return nil, false, err
	}
	if KeyIDOf(sealed) == b.KeyID() {
		return sealed, false, nil
	}
	rewrapped = b.keys[0].wrap(make([]byte, 0, len(sealed)), dataKey, purpose)
	return append(rewrapped, sealed[wrapEnd:]...), true, nil
}
