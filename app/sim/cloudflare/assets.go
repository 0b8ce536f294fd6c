package cloudflare

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

const (
	maxAssets     = 20_000
	maxAssetBytes = 25 << 20
	bucketFiles   = 100 // of one upload
	sessionLife   = time.Hour
)

var assetHash = regexp.MustCompile(`^[0-9a-f]{32}$`)

// asset is one static file's content. The account keeps each content once.
type asset struct {
	contentType string // empty: none is sent
	content     []byte
}

// session is an upload of static files for one script.
type session struct {
	script   string
	manifest map[string]string // hash by path
	missing  map[string]bool   // hashes
}

// assetConfig is how static files are served.
type assetConfig struct {
	HTML        string          `json:"html_handling"`
	NotFound    string          `json:"not_found_handling"`
	WorkerFirst json.RawMessage `json:"run_worker_first"` // a boolean, or a list of patterns
}

func randomKey() []byte { return []byte(rand.Text()) }

type assetClaims struct {
	jwt.RegisteredClaims
	Complete bool `json:"complete"`
}

// token is for one step of a session.
func (s *Server) token(session string, complete bool) (string, error) {
	claims := assetClaims{jwt.RegisteredClaims{ID: session, ExpiresAt: jwt.NewNumericDate(time.Now().Add(sessionLife))}, complete}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(s.signing)
}

// session is the one that a token is for. The caller holds the lock.
func (s *Server) session(token string, complete bool) (id string, found *session, err error) {
	var claims assetClaims
	_, err = jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return s.signing, nil }, jwt.WithValidMethods([]string{"HS256"}))
	if err != nil || claims.Complete != complete || s.sessions[claims.ID] == nil {
		return "", nil, fail(http.StatusUnauthorized, codeAuthentication, "The token of the static files is not valid.")
	}
	return claims.ID, s.sessions[claims.ID], nil
}

// postAssetSession says which of a manifest's files are to be uploaded.
func (s *Server) postAssetSession(r *http.Request) (answer, error) {
	var wish struct {
		Manifest map[string]struct {
			Hash string `json:"hash"`
			Size int64  `json:"size"`
		} `json:"manifest"`
	}
	if err := decode(r, &wish); err != nil {
		return answer{}, err
	}
	if len(wish.Manifest) > maxAssets {
		return answer{}, fail(http.StatusBadRequest, codeUpload, "There are more than %d static files.", maxAssets)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &session{script: r.PathValue("script_name"), manifest: map[string]string{}, missing: map[string]bool{}}
	for _, path := range slices.Sorted(maps.Keys(wish.Manifest)) {
		file := wish.Manifest[path]
		if !strings.HasPrefix(path, "/") || !assetHash.MatchString(file.Hash) || file.Size < 0 || file.Size > maxAssetBytes {
			return answer{}, fail(http.StatusBadRequest, codeUpload, "The manifest's entry %q is not valid.", path)
		}
		one.manifest[path] = file.Hash
		if _, known := s.assets[file.Hash]; !known {
			one.missing[file.Hash] = true
		}
	}
	id := hexID()
	s.sessions[id] = one
	token, err := s.token(id, len(one.missing) == 0)
	if err != nil {
		return answer{}, err
	}
	buckets := slices.Collect(slices.Chunk(slices.Sorted(maps.Keys(one.missing)), bucketFiles))
	if buckets == nil {
		buckets = [][]string{}
	}
	return answer{result: object{"jwt": token, "buckets": buckets}}, nil
}

// postAssets takes the files of one bucket; the last one is answered with the token that the script is uploaded with.
func (s *Server) postAssets(r *http.Request) (answer, error) {
	if r.URL.Query().Get("base64") != "true" {
		return answer{}, fail(http.StatusBadRequest, codeUpload, "base64 must be true.")
	}
	s.mu.Lock()
	id, one, err := s.session(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), false)
	s.mu.Unlock()
	if err != nil {
		return answer{}, err
	}
	files, err := readAssets(r)
	if err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, file := range files {
		if !slices.Contains(slices.Collect(maps.Values(one.manifest)), hash) {
			return answer{}, fail(http.StatusBadRequest, codeUpload, "The file %s is not of the manifest.", hash)
		}
		s.assets[hash] = file
		delete(one.missing, hash)
	}
	if len(one.missing) > 0 {
		return answer{status: http.StatusAccepted, result: object{}}, nil
	}
	token, err := s.token(id, true)
	return answer{status: http.StatusCreated, result: object{"jwt": token}}, err
}

// readAssets reads a form whose parts are called by hash.
func readAssets(r *http.Request) (map[string]asset, error) {
	bad := fail(http.StatusBadRequest, codeUpload, "The form of static files can't be read.")
	reader, err := r.MultipartReader()
	if err != nil {
		return nil, bad
	}
	files := map[string]asset{}
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, bad
		}
		content, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
		if err != nil {
			return nil, bad
		}
		file := asset{contentType: part.Header.Get("Content-Type"), content: content}
		if file.contentType == "application/null" {
			file.contentType = ""
		}
		files[part.FormName()] = file
	}
}

// siteOf are the static files of an upload; nil: none.
func (s *Server) siteOf(name string, u upload, before *version) (*site, error) {
	switch {
	case u.metadata.Assets == nil && u.metadata.KeepAssets && before != nil:
		return before.site, nil
	case u.metadata.Assets == nil:
		return nil, nil //nolint:nilnil // no static files is the usual case
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, one, err := s.session(u.metadata.Assets.JWT, true)
	if err != nil {
		return nil, err
	}
	if one.script != name {
		return nil, fail(http.StatusBadRequest, codeUpload, "The static files were uploaded for another Worker.")
	}
	files := map[string]asset{}
	for path, hash := range one.manifest {
		files[path] = s.assets[hash]
	}
	return newSite(files, u.metadata.Assets.Config, u.metadata.MainModule != "", u.metadata.Date)
}
