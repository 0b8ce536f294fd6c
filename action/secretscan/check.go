package secretscan

import (
	"bytes"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
)

// passes applies the further test of a rule, and what holds for all: a placeholder is no secret.
func (m *match) passes() bool {
	named := m.rule.follow == "assignment" && len(m.secret) >= longName && !bytes.ContainsAny(m.secret, "0123456789")
	if named || len(m.secret) >= longToken && containsAny(m.secret, []string{"0123456789", "1234567890", "9876543210", "abcdefghij"}) {
		m.tier = Generic // worth a look, no more
	}
	return !isPlaceholder(m.secret) && (m.rule.check == nil || m.rule.check(m))
}

const (
	longName  = 30 // characters from which on a random value has a digit: without one it is mostly what code calls something
	longToken = 20 // from which on nobody's password is that holds the alphabet
)

func isPlaceholder(secret []byte) bool {
	return containsAny(secret, []string{
		"example", "placeholder", "changeme", "change_me", "change-me", "replaceme", "replace_me", "replace-me",
		"your_", "your-", "redacted", "xxxxxx", "******", "......",
	})
}

// crcMatches verifies what GitHub documents for its tokens, and npm uses, too: after the prefix come 30
// random characters, then the CRC-32 of these in base 62, six digits. How long refresh tokens are is shown, but
// not how they are made.
func crcMatches(m *match) bool {
	const digits, random, refresh = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 30, 76
	prefix, rest, ok := bytes.Cut(m.secret, []byte("_"))
	if ok && string(prefix) == "ghr" && len(rest) == refresh {
		return true
	}
	if !ok || len(rest) != random+6 {
		return false
	}
	sum := crc32.ChecksumIEEE(rest[:random])
	for i := len(rest) - 1; i >= random; i-- {
		if rest[i] != digits[sum%62] {
			return false
		}
		sum /= 62
	}
	return sum == 0
}

// uriIsReal tells a URI that opens something from the many in documentation and test set-ups. What
// listens on the same machine only is worth a look, no more.
func uriIsReal(m *match) bool {
	_, rest, _ := strings.Cut(string(m.whole), "://")
	userinfo, host := rest, ""
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		userinfo, host = rest[:i], strings.ToLower(rest[i+1:])
	}
	user, password, _ := strings.Cut(userinfo, ":")
	if strings.ContainsAny(password, "${}[]()*") && strings.ContainsAny(password, "$*{[(") && isTemplate(password) {
		return false
	}
	folded, name := strings.ToLower(password), strings.ToLower(user)
	if folded == name || isWellKnown(folded) {
		return false
	}
	at := strings.LastIndexAny(folded, "-_") + 1 // as in "github-user:github-token"
	if at > 0 && strings.HasPrefix(name, folded[:at]) && isWellKnown(folded[at:]) {
		return false
	}
	for _, reserved := range []string{"example.com", "example.org", "example.net", ".example", ".test", ".invalid"} {
		if strings.HasSuffix(host, reserved) {
			return false
		}
	}
	if isLocal(host) {
		m.tier = Generic
	}
	return true
}

// isTemplate reports whether a password is filled in later.
func isTemplate(password string) bool {
	return strings.HasPrefix(password, "$") || strings.HasPrefix(password, "%") || strings.Contains(password, "${") || strings.Contains(password, "{{") ||
		strings.Contains(password, "$(") || strings.HasPrefix(password, "{") && strings.HasSuffix(password, "}") ||
		strings.HasPrefix(password, "[") && strings.HasSuffix(password, "]") || strings.Trim(password, "*") == ""
}

func isWellKnown(folded string) bool {
	return slices.Contains(wellKnown(), strings.TrimRight(folded, "0123456789!_-"))
}

// wellKnown are passwords that protect nothing.
func wellKnown() []string {
	return []string{
		"", "password", "passwd", "passwort", "pass", "pw", "pwd", "secret", "mysecret", "mypassword", "root", "admin", "test", "testing",
		"user", "username", "guest", "default", "postgres", "postgresql", "mysql", "mariadb", "mongo", "mongodb", "redis", "rabbitmq", "foo", "bar", "foobar",
		"baz", "abc", "token", "demo", "dev", "local", "sample", "hunter", "letmein", "qwerty", "toor", "dummy", "fake", "foopass", "pass_word", "p", "x", "s3cr3t",
		"public", "private",
	}
}

func isLocal(host string) bool {
	if address, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return address.IsLoopback() || address.IsUnspecified() || address.IsPrivate()
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".localhost") || host == "host.docker.internal"
}
