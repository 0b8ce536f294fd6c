package secretscan

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// scanText gives "rule line:column tier how" of each finding in a file.
func scanText(t *testing.T, path, text string) []string {
	t.Helper()
	found, err := newSearcher(defaultMatcher()).file(path, []byte(text), []string{path})
	if err != nil {
		t.Fatal(err)
	}
	sortFindings(found)
	var list []string
	for _, f := range found {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s %d:%d %s %s", f.Rule, f.Line, f.Column, f.Tier, f.Decoded)))
	}
	return list
}

// localStackKey is what Supabase's CLI gives to every stack that it starts.
const localStackKey = "sb" + "_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz"

func TestFindings(t *testing.T) {
	t.Parallel()
	token, uri := githubToken(1), ""
	uri, _ = databaseURI(2)
	wrong := token[:len(token)-1] + "!"
	wrong = strings.Replace(wrong, "!", map[bool]string{true: "a", false: "b"}[token[len(token)-1] == 'b'], 1)
	named := randomText(3, hexAlnum, 32)
	tests := []struct {
		name, path, text string
		want             []string
	}{
		{"a token with its checksum", "a.env", "x\n  TOKEN=" + token + "\n", []string{"github-pat 2:9 certain"}},
		{"a wrong checksum is no token", "a.env", "T=" + wrong + "\n", nil},
		{"columns count characters", "a.txt", "ä€ " + token, []string{"github-pat 1:4 certain"}},
		{"a database URI", "a.go", `url := "` + uri + `"`, []string{"database-uri 1:24 certain"}},
		{"a database on this machine", "a.go", strings.Replace(uri, "db.acme.dev", "localhost", 1), []string{"database-uri 1:16 generic"}},
		{"a password that protects nothing", "a.go", "postgres" + "://app:postgres@db.acme.dev/shop", nil},
		{"a template", "a.go", "postgres" + "://app:${PASSWORD}@db.acme.dev/shop " + "mysql" + "://u:{{ .Password }}@h.acme.dev/ redis" + "://:$PASS_WORD@h.acme.dev", nil},
		{"a documentation host", "a.md", strings.Replace(uri, "db.acme.dev", "db.example.com", 1), nil},
		{"a redis URI without a user", "a.env", "REDIS_URL=" + "redis" + "://:" + randomText(4, alnum, 20) + "@cache.acme.dev:6379", []string{"database-uri 1:20 certain"}},
		{"a URL with a password", "a.sh", "curl " + "https" + "://bob:" + randomText(5, alnum, 14) + "@acme.dev/x", []string{"basic-auth-url 1:18 likely"}},
		{"a name, an operator, a value", "a.yml", "datadog_key: " + randomText(6, lower+digits, 40) + "\n", []string{"datadog-access-token 1:14 likely"}},
		{"only a name that says secret", "a.yml", "secret: " + named + "\n", []string{"generic-api-key 1:9 generic"}},
		{"placeholders", "a.env", "STRIPE=sk" + "_live_xxxxxxxxxxxxxxxxxxxxxxxx\nKEY=your_api_key_1234567890\n", nil},
		{"digits and letters in a row", "a.ts", `validate("sbp` + "_abcdef0123456789abcdef0123456789abcdef01" + `")`, []string{"supabase-access-token 1:11 generic"}},
		{"a name where a value could be", "a.ts", `vi.spyOn(AcmeCloudflare, 'setAsyncLocalStorage` + `AsyncContextStrategy')`, []string{"cloudflare-api-key 1:27 generic"}},
		{"a user and a password that are called so", "a.go", "https" + "://github-user:github-token@github.com/o/r " + "https" + "://public:private@acme.dev/1", nil},
		{"words as a signing secret", "a.go", "whsec" + "_" + base64.StdEncoding.EncodeToString([]byte("ilikeacmeverymuchandhopeyoudotoo")), nil},
		{"a key of every local stack", "a.env", "KEY=" + jsonWebToken(`{"alg":"HS256","typ":"JWT"}`, `{"iss":"supabase-demo","role":"service_role","exp":1983812996}`), []string{"jwt 1:5 generic"}},
		{"that key in a command", "a.sh", "curl -H 'Authorization: Bearer " + jsonWebToken(`{"alg":"HS256","typ":"JWT"}`, `{"iss":"supabase-demo","role":"anon","exp":1983812996}`) + "' " + "https" + "://acme.dev",
			[]string{"jwt 1:32 generic"}},
		{"a token in a command", "a.sh", "curl -H 'Authorization: Bearer " + randomText(8, alnum, 40) + "' " + "https" + "://acme.dev", []string{"curl-auth-header 1:32 likely"}},
		{"that key in a command, allowed by one name", "a.sh", "curl -H 'Authorization: Bearer " + jsonWebToken(`{"alg":"HS256","typ":"JWT"}`, `{"iss":"supabase-demo","role":"anon","exp":1983812996}`) + "' " + "https" + "://acme.dev # flaresmith:allow jwt it is every stack's", nil},
		{"the secret key of every local stack", "a.env", "SUPABASE_SECRET_KEY=" + localStackKey + "\n", nil},
		{"that key in a command", "a.sh", "curl -H 'Authorization: Bearer " + localStackKey + "' -H \"apikey: " + localStackKey + "\" " + "http" + "://127.0.0.1:54321/rest/v1", nil},
		{"nearly that key", "a.env", "SUPABASE_SECRET_KEY=" + localStackKey[:len(localStackKey)-1] + "y\n", []string{"supabase-secret-key 1:21 certain"}},
		{"a file that no rule looks at", "go.sum", "TOKEN=" + token, nil},
		{"a key file by its name", "certs/server.p12", "\x00\x01", []string{"pkcs12-file 1:1 generic"}},
		{"two on a line", "a.txt", token + " " + githubToken(9), []string{"github-pat 1:1 certain", "github-pat 1:42 certain"}},
		{"base64", "a.yml", "data: " + base64.StdEncoding.EncodeToString([]byte("TOKEN="+token+"\n")), []string{"github-pat 1:7 certain base64"}},
		{"two values in one base64", "a.yml", "data: " + base64.StdEncoding.EncodeToString([]byte("STRIPE_BILLING_API_KEY="+randomText(10, lower+digits, 32)+"\nAPI_KEY="+randomText(11, lower+digits, 32)+"\n")), []string{"generic-api-key 1:7 generic base64", "generic-api-key 1:7 generic base64"}},
		{"two values between percent signs", "a.txt", percent(" ") + "stripe_billing_api_key=" + randomText(10, lower+digits, 32) + percent(" ") + "api_key=" + randomText(11, lower+digits, 32) + percent(" "), []string{"generic-api-key 1:1 generic percent", "generic-api-key 1:1 generic percent"}},
		{"two values of two rules in one base64", "a.yml", "data: " + base64.StdEncoding.EncodeToString([]byte("STRIPE_BILLING_API_KEY="+randomText(10, lower+digits, 32)+"\nAuthorization: Bearer "+randomText(11, lower+digits, 32)+"\n")), []string{"bearer-token 1:7 generic base64", "generic-api-key 1:7 generic base64"}},
		{"one value of two rules, twice in one base64", "a.yml", "data: " + base64.StdEncoding.EncodeToString([]byte("stripe_billing_api_key="+randomText(10, lower+digits, 32)+"\nAuthorization: Bearer "+randomText(10, lower+digits, 32)+"\nkey="+randomText(10, lower+digits, 32)+"\n")), []string{"bearer-token 1:7 generic base64"}},
		{"hexadecimal", "a.yml", "data: " + hex.EncodeToString([]byte("T="+token+"\n")), []string{"github-pat 1:7 certain hex"}},
		{"percent-encoding", "a.yml", "u=" + percent("= "+token), []string{"github-pat 1:3 certain percent"}},
		{"a name behind an encoding", "a.md", `"?a%26datadog%3D` + randomText(6, lower+digits, 40) + `" x`, []string{"datadog-access-token 1:4 likely percent"}},
		{"a name beside an encoding", "a.md", "my%2Ddatadog=" + randomText(6, lower+digits, 40), []string{"datadog-access-token 1:14 likely"}},
		{"base64 in base64", "a.yml", base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte("TOKEN=" + token)))), []string{"github-pat 1:1 certain base64"}},
		{"base64 in base64, behind other base64", "a.txt", strings.Repeat(base64.StdEncoding.EncodeToString([]byte("hello wo1ld!"))+strings.Repeat(" ", 350), 2) +
			base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte("TOKEN="+token)))), []string{"github-pat 1:733 certain base64"}},
		{"escapes between percent signs", "a.js", "a = '%41 " + escaped("x"+token) + " %42'", []string{"github-pat 1:6 certain unicode"}},
		{"percent signs beside escapes", "a.js", "'%41' + " + escaped("= "+token) + " +\n '%42'", []string{"github-pat 1:9 certain unicode"}},
		{"bytes that are no text", "a.dat", "\x00\xff\x00" + token + "\x00\x00", []string{"github-pat 1:4 certain"}},
		{"UTF-16", "a.reg", utf16Text("x\r\nTOKEN=" + token), []string{"github-pat 2:7 certain"}},
		{"a long line", "a.js", strings.Repeat("function(){};", 100_000) + token, []string{"github-pat 1:1300001 certain"}},
		{"an archive", "a.zip", zipped(t, "conf/x.env", "TOKEN="+token), []string{"github-pat 1:7 certain"}},
		{"a compressed file", "a.gz", gzipped(t, "TOKEN="+token), []string{"github-pat 1:7 certain"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, scanText(t, test.path, test.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// jsonWebToken is a JSON Web Token with a made-up signature.
func jsonWebToken(header, payload string) string {
	form := base64.RawURLEncoding
	return form.EncodeToString([]byte(header)) + "." + form.EncodeToString([]byte(payload)) + "." + randomText(8, alnum, 43)
}

func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

func percent(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

func utf16Text(text string) string {
	raw := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		raw = binary.LittleEndian.AppendUint16(raw, unit)
	}
	return string(raw)
}

// TestChecksum pins the checksum to a token that GitHub's users published as an example of the format.
func TestChecksum(t *testing.T) {
	t.Parallel()
	published := "ghp" + "_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ" + "0mLq17"
	if !crcMatches(&match{secret: []byte(published)}) {
		t.Error("the published token does not pass")
	}
	if crcMatches(&match{secret: []byte(strings.Replace(published, "zQ", "zR", 1))}) {
		t.Error("a changed token passes")
	}
}

// TestMuchEncoded has a secret behind more encoded text than fits any buffer of a decoder.
func TestMuchEncoded(t *testing.T) {
	t.Parallel()
	line := base64.StdEncoding.EncodeToString([]byte("Lorem ipsum dolor sit amet, 0123456789")) + "\n"
	text := strings.Repeat(line, 2<<20/len(line)) + strings.Repeat("plain text\n", 100) + base64.StdEncoding.EncodeToString([]byte("TOKEN="+githubToken(1))) + "\n"
	if list := scanText(t, "a.txt", text); len(list) != 1 || !strings.Contains(list[0], "github-pat") {
		t.Errorf("found %q", list)
	}
}

// TestFingerprint holds fingerprints to surviving what moves a secret, and to not naming a short one.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	print := func(path, text string) string {
		found, err := newSearcher(defaultMatcher()).file(path, []byte(text), []string{path})
		if err != nil || len(found) != 1 {
			t.Fatalf("found %d, %v", len(found), err)
		}
		return found[0].Fingerprint
	}
	token := githubToken(1)
	if print("a.env", "T="+token) != print("b/c.yml", "\n\nother: "+token+"\n") {
		t.Error("the same token has two fingerprints")
	}
	if print("a.env", "T="+token) == print("a.env", "T="+githubToken(2)) {
		t.Error("two tokens have one fingerprint")
	}
	short := func(password string) string { return "x = mysql" + "://app:" + password + "@db.acme.dev/x" }
	if print("a.go", short("hunter2a")) != print("b.go", "\t"+short("gatherer7")) {
		t.Error("the fingerprint of a short password depends on it, and can be found by trying")
	}
}

// TestNothingLeaks plants values everywhere, also in a file's name and where a matcher panics, and looks
// for them, for pieces and for encodings of them in everything that comes out.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token, key := githubToken(11), stripeKey(12)
	uri, password := databaseURI(13)
	values := []string{token, key, password}
	broken := gzipped(t, token)
	files := map[string]string{
		"a.env":                "TOKEN=" + token + "\nKEY=" + key + "\nURL=" + uri + "\n",
		"b.yml":                "data: " + base64.StdEncoding.EncodeToString([]byte("TOKEN="+token+"\n")) + "\nhex: " + hex.EncodeToString([]byte("k="+key+" \n")),
		"c/" + token + ".txt":  "see " + token,
		"utf16.txt":            utf16Text(token),
		"bin":                  "\x00" + key + "\x00",
		"archive.zip":          zipped(t, token+".env", "TOKEN="+token),
		"one/line.js":          strings.Repeat("x;", 5000) + "'" + key + "'" + token,
		"generic.properties":   "password=" + randomText(14, alnum, 24),
		"short.txt":            uri + " " + uri,
		"nested/" + key + "/x": token,
		"cut/" + token[6:22]:   broken[:len(broken)-4],
		"part/" + token[4:20]:  token + " " + key,
		"hex/" + hex.EncodeToString([]byte(password)):                      uri,
		"hex/T=" + hex.EncodeToString([]byte(token)):                       "see " + key,
		"base64/" + base64.RawURLEncoding.EncodeToString([]byte(password)): uri,
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var output bytes.Buffer
	found, err := Scan(t.Context(), Request{Mode: Tree, Dir: dir, Note: func(text string) { output.WriteString(text) }})
	if err != nil || len(found) < len(files) {
		t.Fatalf("found %d in %d files, %v", len(found), len(files), err)
	}
	output.WriteString(printed(t, found))
	fmt.Fprintf(&output, "%v %+v %#v", found, found, found)

	// A matcher that panics with the value, formatted in every way.
	s := newSearcher(newMatcher([]rule{{
		id: "boom", tier: Certain, expr: pattern(`ghp_\w{36}`), literals: []string{"ghp_"}, after: 36, check: func(m *match) bool { panic(string(m.secret)) },
	}}, allowance{}))
	for _, text := range files {
		_, err := s.file("some file", []byte(text), []string{"some file"})
		if strings.Contains(text, token) && err == nil {
			t.Error("no panic was forced")
		}
		fmt.Fprintf(&output, "%v %+v %#v", err, err, err)
	}
	for _, value := range values {
		if list := leaks(output.String(), value); len(list) > 0 {
			t.Errorf("an output holds a value: %v", list)
		}
	}
	if list := leaks("a "+token+" b "+hex.EncodeToString([]byte(key)), key); len(list) == 0 {
		t.Error("the test would not notice a leak")
	}
}

func printed(t *testing.T, found []Finding) string {
	t.Helper()
	var b bytes.Buffer
	if err := errors.Join(Report{Complete: true, Findings: found}.WriteText(&b), Report{Complete: true, Findings: found}.WriteJSON(&b), Report{Complete: false, Findings: found}.WriteSARIF(&b)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestSARIF validates what is written against OASIS's schema.
func TestSARIF(t *testing.T) {
	t.Parallel()
	packed, err := os.ReadFile("testdata/sarif-schema-2.1.0.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("sarif.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	text := "A=" + githubToken(1) + "\nB=" + stripeKey(2) + "\nsecret = " + randomText(3, hexAlnum, 32)
	found, err := newSearcher(defaultMatcher()).file("a b/ü%.env", []byte(text), []string{"a b/ü%.env"})
	if err != nil || len(found) != 3 {
		t.Fatalf("found %d, %v", len(found), err)
	}
	said := found[0]
	said.Path, said.Text, said.First = "", "the message of commit 0123456789", &Commit{ID: strings.Repeat("0123456789", 4), Author: "Ann"}
	for uri, list := range map[string][]Finding{"": nil, "a%20b/%C3%BC%25.env": found, "commit-messages/" + said.First.ID: {said}} {
		var b bytes.Buffer
		if err := (Report{Complete: true, Findings: list}).WriteSARIF(&b); err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Error(err)
		}
		var log sarifLog
		if err := json.Unmarshal(b.Bytes(), &log); err != nil {
			t.Fatal(err)
		}
		for _, result := range log.Runs[0].Results {
			if got := result.Locations[0].Physical.Artifact.URI; got != uri {
				t.Errorf("URI %s, want %s", got, uri)
			}
		}
	}
}

func TestInput(t *testing.T) {
	t.Parallel()
	found, err := Scan(t.Context(), Request{Mode: Stdin, Input: strings.NewReader("\n T=" + githubToken(1))})
	if err != nil || len(found) != 1 || found[0].Path != "stdin" || found[0].Line != 2 {
		t.Errorf("found %v, %v", found, err)
	}
	if _, err := Scan(t.Context(), Request{Mode: Tree, Dir: filepath.Join(t.TempDir(), "missing")}); !errors.Is(err, ErrNotScanned) {
		t.Errorf("a missing folder: %v", err)
	}
	if _, err := Scan(t.Context(), Request{Mode: "other"}); err == nil {
		t.Error("an unknown mode is accepted")
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"a b/ü.env": "a b/ü.env", "a\x1b[2J": `a\x1b[2J`, "a\x9b2J": `a\x9b2J`, "a\u009b": `a\u009b`, "a\n\"": `a\n\"`} {
		if got := printable(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}

// TestHiddenInNames hides the secrets of a text in the names of its files with those alone that may be in one, and with all.
func TestHiddenInNames(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	some := 0
	for round := range 60 {
		var list []placed
		for range 90 {
			secret := randomText(random.Uint64(), alnum+"*~?>", 1+random.IntN(60))
			switch random.IntN(6) {
			case 0:
				secret = strings.Repeat(secret[:1], len(secret)) // not random
			case 1:
				secret = secret[:len(secret)/2] + "***" + secret[len(secret)/2:]
			}
			if round%2 == 0 {
				secret = "0123456789" + secret // longer than what a name holds by chance
			}
			list = append(list, placed{match: match{secret: []byte(secret)}})
		}
		names := make([]string, 90)
		for i := range names {
			names[i] = fmt.Sprintf("folder/%d.txt", i)
			for range random.IntN(3) {
				secret := list[random.IntN(len(list))].secret
				from := random.IntN(len(secret))
				part := secret[from : from+random.IntN(len(secret)-from+1)]
				names[i] += []string{string(secret), string(part), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
					base64.RawURLEncoding.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret)}[random.IntN(6)]
			}
		}
		few := inNames(list, names)
		if len(few) > 0 && len(few) < len(list) {
			some++
		}
		for _, name := range names {
			want, got := name, name
			for i := range list {
				want = veil(want, list[i].secret)
			}
			for _, secret := range few {
				got = veil(got, secret)
			}
			if got != want {
				t.Fatalf("%q: %q, want %q", name, got, want)
			}
		}
	}
	if some == 0 {
		t.Error("in each round all of the secrets or none may be in names")
	}
	var list []placed
	var names []string
	for i := range 1000 {
		list = append(list, placed{match: match{secret: []byte(githubToken(uint64(i)))}})
		names = append(names, fmt.Sprintf("folder/%d.txt", i))
	}
	if few := inNames(list, names); len(few) > 0 {
		t.Errorf("%d of the secrets may be in names that hold none", len(few))
	}
}
