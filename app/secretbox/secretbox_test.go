package secretbox_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/app/secretbox"
)

// masterKey is the n-th of some keys.
func masterKey(n byte) string {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i) * n
	}
	return base64.StdEncoding.EncodeToString(key)
}

func box(t testing.TB, keys ...string) *secretbox.Box {
	t.Helper()
	b, err := secretbox.New(strings.Join(keys, ","))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const purpose = "accounts/1/neon"

func seal(t testing.TB, b *secretbox.Box, secret string) []byte {
	t.Helper()
	sealed, err := b.Seal([]byte(secret), purpose)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	b := box(t, masterKey(1))
	for _, secret := range []string{"", "x", strings.Repeat("napi_", 1000)} {
		sealed := seal(t, b, secret)
		opened, err := b.Open(sealed, purpose)
		if err != nil || string(opened) != secret {
			t.Errorf("opened %d bytes, %v", len(opened), err)
		}
		if len(secret) > 3 && bytes.Contains(sealed, []byte(secret[:4])) {
			t.Error("the secret is in the sealed text")
		}
		if again := seal(t, b, secret); bytes.Equal(again, sealed) || bytes.Equal(again[9:], sealed[9:]) {
			t.Error("two sealings are alike")
		}
		if _, err := b.Open(sealed, "accounts/2/neon"); !errors.Is(err, secretbox.ErrNotSealed) {
			t.Errorf("opened for another purpose: %v", err)
		}
	}
}

// No byte can be changed, added or taken away.
func TestTampering(t *testing.T) {
	t.Parallel()
	b := box(t, masterKey(1))
	sealed := seal(t, b, "secret")
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := b.Open(changed, purpose); !errors.Is(err, secretbox.ErrNotSealed) && !errors.Is(err, secretbox.ErrUnknownKey) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, err := b.Open(sealed[:i], purpose); !errors.Is(err, secretbox.ErrNotSealed) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	if _, err := b.Open(append(bytes.Clone(sealed), 0), purpose); !errors.Is(err, secretbox.ErrNotSealed) {
		t.Errorf("a byte more: %v", err)
	}
	other := seal(t, b, "another")
	if _, err := b.Open(append(bytes.Clone(sealed[:69]), other[69:]...), purpose); !errors.Is(err, secretbox.ErrNotSealed) {
		t.Errorf("another's ciphertext: %v", err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	before, during, after := box(t, masterKey(1)), box(t, masterKey(3), masterKey(1)), box(t, masterKey(3))
	sealed := seal(t, before, "secret")
	if secretbox.KeyIDOf(sealed) != before.KeyID() || before.KeyID() == after.KeyID() || during.KeyID() != after.KeyID() {
		t.Errorf("key ids %s, %s, %s", secretbox.KeyIDOf(sealed), before.KeyID(), after.KeyID())
	}
	if opened, err := during.Open(sealed, purpose); err != nil || string(opened) != "secret" {
		t.Errorf("during the rotation: %q, %v", opened, err)
	}
	if _, err := after.Open(sealed, purpose); !errors.Is(err, secretbox.ErrUnknownKey) {
		t.Errorf("without the old key: %v", err)
	}
	if _, _, err := during.Rewrap(sealed, "another purpose"); !errors.Is(err, secretbox.ErrNotSealed) {
		t.Errorf("rewrapped for another purpose: %v", err)
	}
	rewrapped, changed, err := during.Rewrap(sealed, purpose)
	if err != nil || !changed || secretbox.KeyIDOf(rewrapped) != after.KeyID() {
		t.Fatalf("rewrapped: %t %v", changed, err)
	}
	if opened, err := after.Open(rewrapped, purpose); err != nil || string(opened) != "secret" {
		t.Errorf("after the rotation: %q, %v", opened, err)
	}
	if again, changed, err := during.Rewrap(rewrapped, purpose); err != nil || changed || !bytes.Equal(again, rewrapped) {
		t.Errorf("rewrapped again: %t %v", changed, err)
	}
}

func TestMasterKeys(t *testing.T) {
	t.Parallel()
	short := base64.StdEncoding.EncodeToString(make([]byte, 16))
	tests := []struct{ name, keys, want string }{
		{"none", "", "master key 1 is not 32 bytes"},
		{"short", short, "master key 1 is not 32 bytes"},
		{"no base64", "hunter2!", "master key 1 is not 32 bytes"},
		{"zero", base64.StdEncoding.EncodeToString(make([]byte, 32)), "one byte repeated"},
		{"second", masterKey(1) + ", ", "master key 2 is not 32 bytes"},
		{"twice", masterKey(1) + "," + masterKey(1), "master key 2 is there twice"},
	}
	for _, tt := range tests {
		_, err := secretbox.New(tt.keys)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && tt.keys != "" && strings.Contains(err.Error(), tt.keys) {
			t.Errorf("%s: the key is in %v", tt.name, err)
		}
	}
	b := box(t, masterKey(1)+" , "+masterKey(3))
	if printed := fmt.Sprintf("%v %+v %#v %s", b, b, b, b); strings.Trim(printed, "* ") != "" {
		t.Errorf("printed %q", printed)
	}
}

// What was sealed by an older program opens.
func TestFormat(t *testing.T) {
	t.Parallel()
	sealed, err := hex.DecodeString(sealedOnce)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := box(t, masterKey(1)).Open(sealed, purpose); err != nil || string(opened) != "format 1" {
		t.Errorf("opened %q, %v", opened, err)
	}
}

const sealedOnce = "0162278e0087d455f8f2d84c3e86ecd52c0568e1dde0de46ad79ba2195b5e47c7fc23f3e1ff8f7ada07071e0b86c8e48a15f43d1db1223747dc4aa25125685cadaaff55b5e8c13d8b2d5da93dfb6f1af160bf25bf9c4197a8b496e6cf2192afb110c0d48ce15d6059a"

func FuzzOpen(f *testing.F) {
	b := box(f, masterKey(1))
	sealed, err := hex.DecodeString(sealedOnce) // the same in every process of the fuzzer
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed, purpose)
	f.Add(sealed[:69], "")
	f.Add([]byte{1}, purpose)
	f.Fuzz(func(t *testing.T, text []byte, about string) {
		opened, err := b.Open(text, about)
		if err == nil && (!bytes.Equal(text, sealed) || about != purpose || string(opened) != "format 1") {
			t.Errorf("opened %q from %x for %q", opened, text, about)
		}
		if err != nil && !errors.Is(err, secretbox.ErrNotSealed) && !errors.Is(err, secretbox.ErrUnknownKey) {
			t.Errorf("error %v", err)
		}
		if _, changed, err := b.Rewrap(text, about); changed || err == nil && !bytes.Equal(text[:69], sealed[:69]) {
			t.Errorf("rewrapped %x: %v", text, err)
		}
	})
}
