package npm

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// integrity is what a tarball must hash to: one algorithm and every digest that is acceptable under it.
type integrity struct {
	algorithm algorithm
	digests   [][]byte
}

// algorithm is a hash that we accept. SHA-1 and MD5 are not: a second tarball with the same sum can be made.
type algorithm struct {
	name string
	size int
	hash func() hash.Hash
}

// algorithms lists what is accepted, strongest first.
func algorithms() []algorithm {
	return []algorithm{
		{"sha512", sha512.Size, sha512.New},
		{"sha384", sha512.Size384, sha512.New384},
		{"sha256", sha256.Size, sha256.New},
	}
}

// parseIntegrity reads a Subresource Integrity string, "sha512-<base64> sha256-<base64>?options": the
// strongest algorithm in it counts, and of several digests under that one any may match.
func parseIntegrity(text string) (integrity, error) {
	if len(text) > 4096 {
		return integrity{}, fmt.Errorf("%w: the integrity is too long", ErrInvalid)
	}
	for _, candidate := range algorithms() {
		var digests [][]byte
		for entry := range strings.FieldsSeq(text) {
			entry, _, _ = strings.Cut(entry, "?")
			encoded, found := strings.CutPrefix(entry, candidate.name+"-")
			if !found {
				continue
			}
			digest, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil || len(digest) != candidate.size {
				return integrity{}, fmt.Errorf("%w: the integrity is no %s digest", ErrInvalid, candidate.name)
			}
			digests = append(digests, digest)
		}
		if len(digests) > 0 {
			return integrity{algorithm: candidate, digests: digests}, nil
		}
	}
	return integrity{}, fmt.Errorf("%w: it needs a sha512, sha384 or sha256 integrity; make the lock file anew with a current npm", ErrInvalid)
}

// accepts reports whether sum is one of the digests.
func (i integrity) accepts(sum []byte) bool {
	for _, digest := range i.digests {
		if string(digest) == string(sum) {
			return true
		}
	}
	return false
}

// files are the names in the cache that can hold an acceptable tarball.
func (i integrity) files() []string {
	names := make([]string, len(i.digests))
	for n, digest := range i.digests {
		names[n] = i.algorithm.name + "-" + hex.EncodeToString(digest) + ".tgz"
	}
	return names
}
