package reconcile

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	mark := preview.Mark{Project: "p", Environment: "e"}
	const own = `{"flaresmith":1,"mark":{"project":"p","environment":"e"},"digest":"x"}`
	tests := []struct {
		name, answer string
		unmarked     bool // the database has no mark, or there is none
		want         preview.Class
	}{
		{"its own", `{"environment":"e","database":{"name":"d","comment":` + quoted(own) + `}}`, false, ""},
		{"another environment's database", `{"environment":"e","database":{"name":"d","comment":` + quoted(`{"mark":{"project":"p","environment":"f"}}`) + `}}`, false, preview.ClassInvalid},
		{"another project's", `{"environment":"e","database":{"name":"d","comment":` + quoted(`{"mark":{"project":"q","environment":"e"}}`) + `}}`, false, preview.ClassInvalid},
		{"nobody's database", `{"environment":"e","database":{"name":"production","comment":null}}`, false, preview.ClassInvalid},
		{"a comment that is no mark", `{"environment":"e","database":{"name":"d","comment":"production"}}`, false, preview.ClassInvalid},
		{"no database", `{"environment":"e"}`, false, preview.ClassInvalid},
		{"another environment", `{"environment":"f","database":{"name":"d","comment":` + quoted(own) + `}}`, false, preview.ClassInvalid},
		{"a password of yesterday", `{"environment":"e","failure":"28P01"}`, false, preview.ClassInvalid},
		{"a database that is gone", `{"environment":"e","failure":"3D000"}`, false, preview.ClassInvalid},
		{"a database that starts", `{"environment":"e","failure":"57P03"}`, false, preview.ClassTransient},
		{"out of reach", `{"environment":"e","failure":"unreachable"}`, false, preview.ClassTransient},
		{"an odd failure", `{"environment":"e","failure":"2"}`, false, preview.ClassTransient},
		{"without a database", `{"environment":"e"}`, true, ""},
		{"another environment without one", `{"environment":"f"}`, true, preview.ClassInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var answer said
			if err := json.Unmarshal([]byte(tt.answer), &answer); err != nil {
				t.Fatal(err)
			}
			about := told{Environment: "e", Database: "DATABASE_URL"}
			if tt.unmarked {
				about.Database = ""
			}
			err := judge(answer, mark, about)
			if err == nil && tt.want == "" {
				return
			}
			if got := preview.Classify(err); got != tt.want {
				t.Errorf("%v is %q", err, got)
			}
		})
	}
}

func quoted(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// What a Worker is told lets it check the question and says nothing secret; its digest goes with it.
func TestIdentified(t *testing.T) {
	t.Parallel()
	r := New(Config{})
	worker := preview.Resource{Kind: preview.KindWorker, Mark: preview.Mark{Project: "p", Environment: "e"}}
	bundle := &preview.Bundle{Modules: []preview.Module{{Name: "a"}}, Digest: "d", DatabaseBinding: "PG", Vars: map[string]string{"A": "1"},
		JSONVars: map[string]string{identityVariable: "{}"}}
	in, err := r.identified(worker, preview.Inputs{Bundle: bundle, Outputs: preview.Outputs{DatabaseURL: "postgres://hunter2", DatabaseMarked: true}})
	if err != nil {
		t.Fatal(err)
	}
	var about told
	if err := json.Unmarshal([]byte(in.Bundle.Vars[identityVariable]), &about); err != nil {
		t.Fatal(err)
	}
	if about.Environment != "e" || about.Database != "PG" || about.Deployment != in.Bundle.Digest || in.Bundle.Digest == "d" || len(in.Bundle.JSONVars) != 0 {
		t.Errorf("it is told %+v in the bundle %s", about, in.Bundle.Digest)
	}
	if diff := cmp.Diff(map[string]string{"A": "1"}, bundle.Vars); diff != "" || bundle.Digest != "d" {
		t.Errorf("the bundle itself changed: %s", diff)
	}
	key, _ := base64.StdEncoding.DecodeString(about.Key)
	var status int
	answer := func(change func(*said)) preview.Ask {
		return func(_ context.Context, path string, headers map[string]string) (int, []byte, error) {
			signature, _ := base64.StdEncoding.DecodeString(headers["Flaresmith-Signature"])
			if path != identityPath || !ed25519.Verify(key, []byte(about.Deployment+"\n"+headers["Flaresmith-Nonce"]), signature) {
				t.Error("the question is not signed")
			}
			a := said{Environment: "e", Deployment: about.Deployment, Nonce: headers["Flaresmith-Nonce"]}
			a.Database.Comment = `{"mark":{"project":"p","environment":"e"}}`
			change(&a)
			text, err := json.Marshal(a)
			return status, text, err
		}
	}
	status = 200
	if err := in.Verify(t.Context(), answer(func(*said) {})); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, ask := range map[string]preview.Ask{
		"an earlier deployment": answer(func(a *said) { a.Deployment = "old" }),
		"another nonce":         answer(func(a *said) { a.Nonce = "old" }),
		"no answer": func(context.Context, string, map[string]string) (int, []byte, error) {
			return 0, nil, errors.New("refused")
		},
		"another page": func(context.Context, string, map[string]string) (int, []byte, error) {
			return 200, []byte("<html>"), nil
		},
	} {
		if err := in.Verify(ended, ask); preview.Classify(err) != preview.ClassTransient {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, other := range map[string]preview.Inputs{"static files": {Bundle: &preview.Bundle{Assets: &preview.Assets{}}}, "nothing": {}} {
		if got, err := r.identified(worker, other); err != nil || got.Verify != nil || got.Bundle != other.Bundle {
			t.Errorf("%s: is asked who it is: %v", name, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := in.Verify(t.Context(), func(ctx context.Context, _ string, _ map[string]string) (int, []byte, error) {
			<-ctx.Done()
			return 0, nil, ctx.Err()
		})
		if preview.Classify(err) != preview.ClassInvalid || time.Since(began) > 2*identityTimeout {
			t.Errorf("a Worker that hangs: %v after %s", err, time.Since(began))
		}
	})
}
