package secretscan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"
	"strconv"
	"strings"
)

// gitlabSumMatches verifies the end of a routable token of GitLab's: a CRC-32 of all before it in base 36, seven
// digits. An instance may put a prefix of its own before GitLab's, which counts; what else is before a token does
// not belong to it.
func gitlabSumMatches(m *match) bool {
	const digits, sizeDigits = 7, 2
	end := len(m.secret) - digits
	dot := bytes.LastIndexByte(m.secret, '.')
	if dot < 0 || dot+1+sizeDigits != end {
		return false
	}
	sum, err := strconv.ParseUint(string(m.secret[end:]), 36, 32)
	if err != nil {
		return false
	}
	for from := range bytes.IndexByte(m.secret, '.') {
		if crc32.ChecksumIEEE(m.secret[from:end]) == uint32(sum) {
			m.secret, m.from = m.secret[from:], m.from+from
			return true
		}
	}
	return false
}

// grafanaSumMatches verifies a service account's token: after the last "_" is the CRC-32 of what is before it, the
// lowest byte first.
func grafanaSumMatches(m *match) bool {
	at := bytes.LastIndexByte(m.secret, '_')
	if at < 0 {
		return false
	}
	sum := crc32.ChecksumIEEE(m.secret[:at])
	little := []byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24)} //nolint:gosec // its bytes
	return strings.EqualFold(hex.EncodeToString(little), string(m.secret[at+1:]))
}

// unpadded decodes base64 of either alphabet.
func unpadded(text []byte) ([]byte, bool) {
	plain := bytes.NewBuffer(nil)
	for _, b := range bytes.TrimRight(text, "=") {
		switch b {
		case '-':
			b = '+'
		case '_':
			b = '/'
		}
		plain.WriteByte(b)
	}
	decoded, err := base64.RawStdEncoding.DecodeString(plain.String())
	return decoded, err == nil
}

// jwtGrants looks at whom a JSON Web Token is for. Supabase's anonymous key is in every page that uses it; its
// service key opens everything, but for the one of its local stack, which is the same for everybody.
func jwtGrants(m *match) bool {
	parts := bytes.Split(m.secret, []byte("."))
	if len(parts) < 2 {
		return true
	}
	payload, ok := unpadded(parts[1])
	var claims struct {
		Issuer string `json:"iss"`
		Role   string `json:"role"`
	}
	if !ok || json.Unmarshal(payload, &claims) != nil {
		return true
	}
	switch {
	case claims.Issuer == "supabase" && claims.Role == "anon", claims.Issuer == "supabase-demo": // every local stack has the latter
		m.tier = Generic
	case claims.Role == "service_role":
		m.tier = Certain
	}
	return true
}

// isTunnelToken tells a token of a tunnel, which is JSON with its account, id and secret, from other JSON.
func isTunnelToken(m *match) bool {
	plain, ok := unpadded(m.secret)
	var token struct {
		Account string `json:"a"`
		ID      string `json:"t"`
		Secret  string `json:"s"`
	}
	return ok && json.Unmarshal(plain, &token) == nil && len(token.Account) == 32 && token.ID != "" && token.Secret != ""
}

// isDiscordToken tells a bot's token by its first part, the bot's number in base64.
func isDiscordToken(m *match) bool {
	first, _, _ := bytes.Cut(m.secret, []byte("."))
	number, ok := unpadded(first)
	return ok && len(number) >= 17 && strings.Trim(string(number), "0123456789") == ""
}

// isSigningSecret tells random bytes in base64 from words that somebody wrote for a test.
func isSigningSecret(m *match) bool {
	_, encoded, _ := bytes.Cut(m.secret, []byte("_"))
	plain, ok := unpadded(encoded)
	return !ok || !isPlain(plain)
}
