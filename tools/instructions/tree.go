package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// A tree is a module whose benchmarks are run.
type tree struct {
	dir     string
	scratch string // a directory for what comes up
}

// checkOut makes the tree of a revision.
func (t *tree) checkOut(revision string) error {
	return command("git", "worktree", "add", "--detach", "--quiet", t.dir, revision)
}

// remove gives it up.
func (t *tree) remove() {
	if err := command("git", "worktree", "remove", "--force", t.dir); err != nil {
		fmt.Fprintln(os.Stderr, "instructions:", err)
	}
}

// count counts what one operation of w takes.
func (t *tree) count(w work) (counts, error) {
	binary := filepath.Join(t.scratch, "test")
	if err := command("go", "test", "-C", t.dir, "-c", "-o", binary, w.pkg); err != nil {
		return nil, err
	}
	few, err := t.profile(binary, w, w.few)
	if err != nil {
		return nil, err
	}
	many, err := t.profile(binary, w, w.many)
	if err != nil {
		return nil, err
	}
	per := counts{}
	for pkg, n := range many {
		per[pkg] = (n - few[pkg]) / float64((w.many-w.few)*w.ops)
	}
	return per, nil
}

// profile counts a whole run. On one processor and without preemption by signals,
// which valgrind does not always survive.
func (t *tree) profile(binary string, w work, iterations int) (counts, error) {
	out := filepath.Join(t.scratch, "callgrind.out")
	cmd := exec.Command("valgrind", "--tool=callgrind", "--callgrind-out-file="+out, binary,
		"-test.run", "^$", "-test.bench", w.benchmark, "-test.benchtime", fmt.Sprintf("%dx", iterations), "-test.cpu", "1")
	cmd.Dir = filepath.Join(t.dir, w.pkg)
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
	said, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%w: install the package valgrind", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w\n%s", w.benchmark, w.pkg, err, said)
	}
	f, err := os.Open(out)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was read
	return readProfile(f)
}

// command runs a command, whose output is told if it fails.
func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, args[0], err, out)
	}
	return nil
}
