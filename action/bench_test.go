package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkSmallChanges runs the program in the clone that FLARESMITH_BENCH_REPOSITORY names, on what is staged there
// and on its last commit, and gives the CPU of the process and of what it started: the median and the least. Programs
// that FLARESMITH_BENCH_PROGRAMS lists, such as one of an earlier commit, are run in turn with it: of a load on the
// machine all have the same share.
func BenchmarkSmallChanges(b *testing.B) {
	clone := os.Getenv("FLARESMITH_BENCH_REPOSITORY")
	if clone == "" {
		b.Skip("FLARESMITH_BENCH_REPOSITORY names no clone")
	}
	programs := []string{filepath.Join(b.TempDir(), "this")}
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", programs[0], ".") // as released
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	programs = append(programs, filepath.SplitList(os.Getenv("FLARESMITH_BENCH_PROGRAMS"))...)
	for _, args := range [][]string{{"--mode", "staged"}, {"--mode", "range", "--range", "HEAD~1..HEAD"}} {
		b.Run(args[1], func(b *testing.B) {
			spent := make([][]time.Duration, len(programs))
			for b.Loop() {
				for i, program := range programs {
					cmd := exec.CommandContext(b.Context(), program, append([]string{"secret-scan", "--dir", clone}, args...)...)
					if out, err := cmd.CombinedOutput(); err != nil {
						b.Fatalf("%v\n%s", err, out)
					}
					spent[i] = append(spent[i], cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
				}
			}
			for i, program := range programs {
				slices.SortFunc(spent[i], cmp.Compare)
				for what, d := range map[string]time.Duration{"median": spent[i][len(spent[i])/2], "least": spent[i][0]} {
					b.ReportMetric(float64(d.Microseconds())/1000, fmt.Sprintf("ms-%s-%s", filepath.Base(program), what))
				}
			}
		})
	}
}
