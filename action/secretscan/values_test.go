package secretscan

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
)

// Values that look like secrets are made when a test runs: none is in the source.

const (
	lower    = "abcdefghijklmnopqrstuvwxyz"
	digits   = "0123456789"
	alnum    = digits + lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	hexAlnum = digits + "abcdef"
)

// randomText gives n characters of an alphabet, the same for the same seed.
func randomText(seed uint64, alphabet string, n int) string {
	r := rand.New(rand.NewPCG(seed, 7))
	text := make([]byte, n)
	for i := range text {
		text[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(text)
}

// githubToken has the checksum that GitHub documents.
func githubToken(seed uint64) string {
	const base62 = digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + lower
	random := randomText(seed, alnum, 30)
	sum := crc32.ChecksumIEEE([]byte(random))
	var check [6]byte
	for i := len(check) - 1; i >= 0; i-- {
		check[i] = base62[sum%62]
		sum /= 62
	}
	return "ghp" + "_" + random + string(check[:])
}

func stripeKey(seed uint64) string { return "sk" + "_live_" + randomText(seed, alnum, 24) }

func databaseURI(seed uint64) (uri, password string) {
	password = randomText(seed, alnum, 18)
	return "postgres" + "://app:" + password + "@db.acme.dev:5432/shop", password
}

// leaks lists what of a value is in an output: a piece of eight characters, or the value encoded.
func leaks(output, value string) []string {
	var list []string
	for from := 0; from+8 <= len(value); from++ {
		if piece := value[from : from+8]; strings.Contains(output, piece) {
			list = append(list, "piece at "+fmt.Sprint(from))
		}
	}
	for name, form := range map[string]string{
		"base64": base64.StdEncoding.EncodeToString([]byte(value)), "base64url": base64.RawURLEncoding.EncodeToString([]byte(value)),
		"hex": hex.EncodeToString([]byte(value)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(value))),
	} {
		if strings.Contains(output, form[:len(form)-2]) {
			list = append(list, name)
		}
	}
	return list
}
