package server

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/sim/cloudflare"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/neon"
	"github.com/flaresmith/flaresmith/app/telemetry/otlp/otlptest"
)

// slowClouds take about what people measure of the clouds from Europe, as the demo's do.
func slowClouds() atClouds {
	return atClouds{
		neon:       neon.Latency{Call: 120 * time.Millisecond, Branch: time.Second, Compute: 400 * time.Millisecond},
		cloudflare: cloudflare.Latency{Call: 250 * time.Millisecond, Host: time.Second},
		postman:    200 * time.Millisecond,
		branches:   20,
		calls:      limited,
	}
}

// limited keeps GitHub's published limits also at its stand-in, which is at an address where there are none.
func limited(p *outbound.Policy) {
	if p.Provider == "github" {
		p.Budgets = outbound.GitHub().Budgets
	}
}

// shopMain is a Worker that is written by hand and small: it compiles faster than the demo's, which spec apply makes, and that counts
// where the race detector watches each build. Beside it are two commits that change it.
const shopMain = "testdata/shop/main"

// reviews are what a pull request changes: a migration, code, a collection.
func reviews(t testing.TB) map[string]string { return shopCommit(t, "reviews") }

func shopCommit(t testing.TB, name string) map[string]string {
	t.Helper()
	changed := map[string]string{}
	for name, file := range filesIn(t, "testdata/shop/"+name) {
		changed[name] = string(file.Data)
	}
	return changed
}

// BenchmarkCloudConvergence is BenchmarkConvergence with the stand-ins of the clouds, whose branches are clusters and whose Workers run.
func BenchmarkCloudConvergence(b *testing.B) {
	receiver := otlptest.New(b)
	at := slowClouds()
	at.variables = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL, "OTEL_TRACES_SAMPLER_ARG": "1"}
	w := newCloudWorldWith(b, filesIn(b, shopMain), shopSQL(b), at)
	w.github.SetFaults(func(*http.Request) *fault.Fault { return &fault.Fault{Delay: gitHubTakes} })
	n := 0
	open := func() (branch string, pr int) {
		n++
		branch = fmt.Sprintf("feature/%d", n)
		pr, sha := w.openWith(branch, reviews(b))
		w.wantCheck(sha, "success")
		w.settle()
		return branch, pr
	}
	b.Run("create", func(b *testing.B) {
		measure(b, w.world, receiver, true, func() { open() })
	})
	b.Run("push", func(b *testing.B) {
		branch, _ := open()
		measure(b, w.world, receiver, true, func() {
			n++
			sha, err := w.github.CommitAs("octo-dev", testRepo, branch, map[string]string{"src/index.ts": sampleIndex(b) + fmt.Sprintf("// %d\n", n)}, "Again")
			if err != nil {
				b.Fatal(err)
			}
			w.wantCheck(sha, "success")
			w.settle()
		})
	})
	b.Run("unchanged", func(b *testing.B) {
		_, pr := open()
		measure(b, w.world, receiver, false, func() {
			if err := w.server.store.WantProject(b.Context(), w.environment(pr).ProjectID); err != nil {
				b.Fatal(err)
			}
			w.settle()
		})
	})
}

// sampleIndex is the entry of the sample's Worker.
func sampleIndex(t testing.TB) string {
	t.Helper()
	return string(filesIn(t, shopMain)["src/index.ts"].Data)
}

// openWith pushes files to a branch and opens a pull request for it.
func (w *world) openWith(branch string, files map[string]string) (number int, sha string) {
	w.t.Helper()
	sha, err := w.github.CommitAs("octo-dev", testRepo, branch, files, "Change "+branch)
	if err != nil {
		w.t.Fatal(err)
	}
	if number, err = w.github.OpenPR(testRepo, "Change "+branch, branch, "", "octo-dev"); err != nil {
		w.t.Fatal(err)
	}
	return number, sha
}

// BenchmarkFifteenAtOnce opens fifteen pull requests of one project at the same moment, with every published limit on.
func BenchmarkFifteenAtOnce(b *testing.B) {
	const previews = 15
	for b.Loop() {
		w := newCloudWorldWith(b, filesIn(b, shopMain), shopSQL(b), slowClouds())
		w.github.SetFaults(func(*http.Request) *fault.Fault { return &fault.Fault{Delay: gitHubTakes} })
		var shas []string
		for i := range previews {
			sha, err := w.github.CommitAs("octo-dev", testRepo, fmt.Sprintf("feature/%d", i), reviews(b), "Change")
			if err != nil {
				b.Fatal(err)
			}
			shas = append(shas, sha)
		}
		w.settle() // what the pushes alone ask for
		before := w.spent()
		began := time.Now()
		var serving time.Duration
		for i := range previews {
			if _, err := w.github.OpenPR(testRepo, fmt.Sprintf("Change %d", i), fmt.Sprintf("feature/%d", i), "", "octo-dev"); err != nil {
				b.Fatal(err)
			}
		}
		w.until("every preview serves", func() bool {
			n := w.states()[preview.StateActive]
			if n > 0 && serving == 0 {
				serving = time.Since(began)
			}
			return n == previews
		})
		active := time.Since(began)
		for _, sha := range shas {
			w.wantCheck(sha, "success")
		}
		checked := time.Since(began)
		w.until("comments and deployments say so too", func() bool { return w.toldReady(previews) })
		told := time.Since(began)
		b.Logf("first preview active after %s, all after %s, checks after %s, all told after %s", serving, active, checked, told)
		floor := w.floor(before)
		if n := w.refused(); n > 0 {
			b.Errorf("%d answers were 429", n)
		}
		b.ReportMetric(serving.Seconds(), "first-s")
		b.ReportMetric(active.Seconds(), "all-s")
		b.ReportMetric(floor.Seconds(), "floor-s")
		b.ReportMetric(checked.Seconds(), "checked-s")
		b.ReportMetric(told.Seconds(), "told-s")
		b.ReportMetric(told.Seconds()/floor.Seconds(), "told/floor")
		b.ReportMetric(float64(w.refused()), "429s")
		w.settle()
		w.stop()
	}
}

// toldReady reports whether the comments and the deployments of so many pull requests say that the preview is ready.
func (w *world) toldReady(previews int) bool {
	w.t.Helper()
	deployments, err := w.github.Deployments(testRepo)
	if err != nil {
		w.t.Fatal(err)
	}
	ready := 0
	for _, d := range deployments {
		if d.State() == "success" {
			ready++
		}
	}
	if ready < previews {
		return false
	}
	said := 0
	for _, pr := range query(w.t, w.config["DATABASE_URL"], `SELECT pr::text FROM environments WHERE kind = 'preview'`) {
		number, err := strconv.Atoi(pr)
		if err != nil {
			w.t.Fatal(err)
		}
		if list := comments(w.t, w, number); len(list) == 1 && strings.Contains(list[0].Body, "Flaresmith preview: ready") {
			said++
		}
	}
	return said == previews
}

// states are how many environments are in which.
func (w *world) states() map[preview.State]int {
	n := map[preview.State]int{}
	for _, state := range query(w.t, w.config["DATABASE_URL"], `SELECT state FROM environments WHERE kind = 'preview'`) {
		n[preview.State(state)]++
	}
	return n
}

// sums of a metric by the labels that the pattern's group matches.
func (w *world) sums(pattern string) map[string]float64 { return sumsIn(w.t, w.scraped(), pattern) }

func sumsIn(t testing.TB, scraped, pattern string) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for _, line := range strings.Split(scraped, "\n") {
		match := regexp.MustCompile(pattern).FindStringSubmatch(line)
		if match == nil {
			continue
		}
		_, value, _ := strings.Cut(line, "} ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		all[match[1]] += n
	}
	return all
}

// spent are the units that were taken from the published limits.
func (w *world) spent() map[string]float64 { return w.sums(spentUnits) }

// spentUnits are the units by budget.
const spentUnits = `^rate_limit_consumed_total\{scope="([^"]+)"`

// refused is how many answers said that a limit is reached.
func (w *world) refused() (n int) {
	for _, sum := range w.sums(`^outbound_attempts_total\{.*(result="limited")`) {
		n += int(sum)
	}
	return n
}

// floor is the least time in which the budgets of the published limits let pass what was spent since before: what is more than the bucket
// holds comes in as slowly as it is refilled.
func (w *world) floor(before map[string]float64) time.Duration {
	var longest time.Duration
	spent := w.spent()
	policies := maps.Values(cloudPolicies())
	for _, p := range append(slices.Collect(policies), outbound.GitHub()) {
		for _, budget := range p.Budgets {
			scope := p.Provider + "/" + budget.Name
			used := spent[scope] - before[scope]
			refill := float64(budget.Limit-budget.Burst) / budget.Window.Seconds()
			least := time.Duration(max(used-float64(budget.Burst), 0) / refill * float64(time.Second))
			w.t.Logf("%s: %.0f units, of which the budget lets the last pass after %s", scope, used, least.Round(time.Millisecond))
			longest = max(longest, least)
		}
	}
	for reason, sum := range w.sums(`^outbound_wait_seconds_sum\{(.*)\}`) {
		w.t.Logf("waited in all: %s %.1f s", reason, sum)
	}
	return longest
}
