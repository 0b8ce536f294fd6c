package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// program is a path, with an awkward name, under which the tests' binary acts as the program.
func program(t *testing.T) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "it's a program")
	if err := os.Symlink(binary, link); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip("this user may not make symbolic links")
		}
		t.Fatal(err)
	}
	return link
}

// tryCommit commits as a person does, and gives what was printed.
func tryCommit(t *testing.T, dir string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--message", "x"}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func TestInstallHook(t *testing.T) {
	t.Parallel()
	needsGit(t)
	dir, binary := t.TempDir(), program(t)
	git(t, dir, "init", "--quiet")
	for range 2 { // the second time it is written again
		name, err := installHook(t.Context(), dir, binary)
		if err != nil || !strings.HasSuffix(filepath.ToSlash(name), ".git/hooks/pre-commit") {
			t.Fatalf("%s, %v", name, err)
		}
	}
	writeFile(t, filepath.Join(dir, "README.md"), "x\n")
	git(t, dir, "add", ".")
	if out, ok := tryCommit(t, dir); !ok {
		t.Fatalf("a commit without a secret was blocked:\n%s", out)
	}

	writeFile(t, filepath.Join(dir, "sub", "a.env"), "# payments\nKEY="+stripeKey+"\n")
	git(t, dir, "add", ".")
	writeFile(t, filepath.Join(dir, "sub", "a.env"), "# payments\n") // what counts is what is staged
	out, ok := tryCommit(t, filepath.Join(dir, "sub"))
	if ok || strings.Contains(out, stripeKey[8:]) {
		t.Fatalf("committed %v:\n%s", ok, out)
	}
	for _, part := range []string{"sub/a.env:2:5: stripe-access-token (certain)", "flaresmith:allow <rule> <reason>", ".flaresmith-ignore.yml"} {
		if !strings.Contains(out, part) {
			t.Errorf("not told: %q:\n%s", part, out)
		}
	}
	if out, ok := tryCommit(t, dir, "--all"); !ok { // Git hands over an index of its own
		t.Errorf("a commit of the mended file was blocked:\n%s", out)
	}

	writeFile(t, filepath.Join(dir, "b.env"), "KEY="+stripeKey+" # flaresmith:allow stripe-access-token the documentation's\n")
	git(t, dir, "add", ".")
	if out, ok := tryCommit(t, dir); !ok {
		t.Errorf("an allowed value was blocked:\n%s", out)
	}
}

func TestInstallHookRefuses(t *testing.T) {
	t.Parallel()
	needsGit(t)
	dir := t.TempDir()
	if _, err := installHook(t.Context(), dir, "flaresmith"); err == nil || !strings.Contains(err.Error(), "no Git repository") {
		t.Errorf("no repository: %v", err)
	}
	git(t, dir, "init", "--quiet")
	if _, err := installHook(t.Context(), dir, filepath.Join(dir, "go-build", "a", "action")); err == nil || !strings.Contains(err.Error(), "go run") {
		t.Errorf("go run: %v", err)
	}
	git(t, dir, "config", "core.hooksPath", "my hooks")
	theirs := writeFile(t, filepath.Join(dir, "my hooks", "pre-commit"), "#!/bin/sh\nexit 0\n")
	if _, err := installHook(t.Context(), dir, "flaresmith"); err == nil || !strings.Contains(err.Error(), "'flaresmith' secret-scan --mode staged") {
		t.Errorf("a hook of somebody else's: %v", err)
	}
	if text := readFile(t, theirs); text != "#!/bin/sh\nexit 0\n" {
		t.Errorf("it is now %q", text)
	}

	git(t, dir, "config", "core.hooksPath", ".husky/_")
	writeFile(t, filepath.Join(dir, ".husky", "_", "pre-commit"), "#!/usr/bin/env sh\n. \"$(dirname \"$0\")/h\"\n")
	if _, err := installHook(t.Context(), dir, "flaresmith"); err == nil || !strings.Contains(err.Error(), filepath.Join(".husky", "pre-commit")) {
		t.Errorf("a hook that Husky makes anew: %v", err)
	}
}
