package cloudflare

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v4"
	"github.com/google/uuid"
)

type pagesClaims struct {
	jwt.RegisteredClaims
	MaxFiles int `json:"max_file_count_allowed"`
}

const pagesAudience = "pages"

func (s *Server) getUploadToken(r *http.Request) (answer, error) {
	return s.withPages(r, func(*pagesProject) (answer, error) {
		claims := pagesClaims{jwt.RegisteredClaims{Audience: jwt.ClaimStrings{pagesAudience}, ExpiresAt: jwt.NewNumericDate(time.Now().Add(sessionLife))}, maxAssets}
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(s.signing)
		return answer{result: object{"jwt": token}}, err
	})
}

func (s *Server) uploadAllowed(r *http.Request) error {
	var claims pagesClaims
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	_, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return s.signing, nil }, jwt.WithValidMethods([]string{"HS256"}))
	if err != nil || !claims.VerifyAudience(pagesAudience, true) {
		return fail(http.StatusUnauthorized, codePagesToken, "Authorization failed")
	}
	return nil
}

func (s *Server) hashes(r *http.Request) ([]string, error) {
	if err := s.uploadAllowed(r); err != nil {
		return nil, err
	}
	var wish struct {
		Hashes []string `json:"hashes"`
	}
	err := decode(r, &wish)
	return wish.Hashes, err
}

func (s *Server) checkMissing(r *http.Request) (answer, error) {
	asked, err := s.hashes(r)
	if err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	missing := []string{}
	for _, hash := range asked {
		if _, known := s.assets[hash]; !known {
			missing = append(missing, hash)
		}
	}
	return answer{result: missing}, nil
}

func (s *Server) uploadPagesAssets(r *http.Request) (answer, error) {
	if err := s.uploadAllowed(r); err != nil {
		return answer{}, err
	}
	var files []struct {
		Key      string `json:"key"`
		Value    string `json:"value"`
		Base64   bool   `json:"base64"`
		Metadata struct {
			ContentType string `json:"contentType"`
		} `json:"metadata"`
	}
	if err := decode(r, &files); err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range files {
		content, err := base64.StdEncoding.DecodeString(file.Value)
		if err != nil || !file.Base64 || !assetHash.MatchString(file.Key) || len(content) > maxAssetBytes {
			return answer{}, fail(http.StatusBadRequest, codePagesInvalid, "The file %q can't be taken.", file.Key)
		}
		s.assets[file.Key] = asset{contentType: file.Metadata.ContentType, content: content}
	}
	return answer{result: object{"successful_key_count": len(files), "unsuccessful_keys": []string{}}}, nil
}

func (s *Server) upsertHashes(r *http.Request) (answer, error) {
	_, err := s.hashes(r)
	return answer{}, err
}

// postPagesDeployment deploys a manifest of uploaded files and, where there is one, the code in front of them.
func (s *Server) postPagesDeployment(r *http.Request) (answer, error) {
	fields, err := readFields(r)
	if err != nil {
		return answer{}, err
	}
	for _, name := range []string{"_headers", "_redirects", "_routes.json"} {
		if fields[name] != "" {
			return answer{}, fail(http.StatusBadRequest, codePagesInvalid, "The stand-in knows nothing of %s.", name)
		}
	}
	files, err := s.manifestOf(fields["manifest"])
	if err != nil {
		return answer{}, err
	}
	name := r.PathValue("project_name")
	defer s.lock("pages/" + name)()
	d := &pagesDeployment{id: uuid.NewString(), project: name, environment: previewing, branch: fields["branch"], message: fields["commit_message"],
		commit: fields["commit_hash"], created: time.Now().UTC()}
	var config pagesConfig
	if _, err := s.withPages(r, func(p *pagesProject) (answer, error) {
		if d.branch == "" || d.branch == p.branch {
			d.branch, d.environment = p.branch, production
		}
		if len(d.message) > maxCommitBytes {
			return answer{}, fail(http.StatusBadRequest, codePagesInvalid, "The commit message is longer than %d bytes.", maxCommitBytes)
		}
		config = *p.configs[d.environment]
		config.Vars = maps.Clone(config.Vars)
		return answer{}, nil
	}); err != nil {
		return answer{}, err
	}
	if d.version, err = s.pagesVersion(fields["_worker.bundle"], config, files); err != nil {
		return answer{}, err
	}
	var no refusal
	if err := s.start(d.version); errors.As(err, &no) {
		d.failure = no.message
	} else if err != nil {
		return answer{}, err
	}
	d.seenFrom = s.seenFrom()
	got, err := s.withPages(r, func(p *pagesProject) (answer, error) {
		p.deployments = append([]*pagesDeployment{d}, p.deployments...)
		return answer{result: s.deploymentJSON(p, d)}, nil
	})
	if err != nil { // deleted meanwhile
		d.version.stop()
	}
	return got, err
}

func readFields(r *http.Request) (map[string]string, error) {
	bad := fail(http.StatusBadRequest, codePagesInvalid, "The multipart form can't be read.")
	reader, err := r.MultipartReader()
	if err != nil {
		return nil, bad
	}
	fields := map[string]string{}
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return fields, nil
		}
		if err != nil {
			return nil, bad
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return nil, bad
		}
		fields[part.FormName()] = string(text)
	}
}

// pagesVersion makes what a deployment runs: the bundle's own bindings, before those of the project.
func (s *Server) pagesVersion(bundle string, config pagesConfig, files map[string]asset) (*version, error) {
	v := &version{id: uuid.NewString(), number: 1, created: time.Now().UTC(), source: "pages", date: defaultDate, flags: config.Flags}
	if config.Date != "" {
		v.date = config.Date
	}
	if bundle != "" {
		u, err := readBundle(bundle)
		if err != nil {
			return nil, err
		}
		if u.metadata.Date == "" {
			u.metadata.Date, u.metadata.Flags = v.date, slices.Concat(u.metadata.Flags, v.flags)
		}
		if err := u.check(); err != nil {
			return nil, err
		}
		v.modules, v.bindings, v.date, v.flags = u.modules, u.metadata.Bindings, u.metadata.Date, u.metadata.Flags
		taken := func(name string) bool {
			return slices.ContainsFunc(v.bindings, func(b binding) bool { return b.Name == name })
		}
		for _, name := range slices.Sorted(maps.Keys(config.Vars)) {
			if !taken(name) {
				v.bindings = append(v.bindings, binding{Type: config.Vars[name].Type, Name: name, Text: config.Vars[name].Value})
			}
		}
		if !taken("ASSETS") {
			v.bindings = append(v.bindings, binding{Type: bindingAssets, Name: "ASSETS"})
		}
		if err := s.checkTargets("", v.bindings); err != nil {
			return nil, err
		}
	}
	how := assetConfig{HTML: "auto-trailing-slash", NotFound: "single-page-application", WorkerFirst: json.RawMessage("true")}
	if _, ok := files["/404.html"]; ok {
		how.NotFound = "404-page"
	}
	var err error
	v.site, err = newSite(files, how, bundle != "", v.date)
	return v, err
}

// readBundle reads the form within the form, whose boundary is its first line.
func readBundle(bundle string) (upload, error) {
	first, _, _ := strings.Cut(bundle, "\r\n")
	boundary, ok := strings.CutPrefix(first, "--")
	if !ok {
		return upload{}, fail(http.StatusBadRequest, codePagesInvalid, "The Worker bundle is no multipart form.")
	}
	return readParts(multipart.NewReader(bytes.NewReader([]byte(bundle)), boundary))
}
