// Command mutate plants mistakes in a copy of the module, one at a time, and
// reports whether the tests notice. A mistake that nobody notices is a hole in
// the tests: then it exits 1.
//
//	mutate [-only TEXT] [-v] LIST
//
// A list has one block for each mistake:
//
//	# what it breaks
//	file PATH
//	< the text as it stands; \n and \t are what they are in Go
//	> the text instead; may be empty
//	test go test's arguments
//
// A file and its < and > may come several times. A < must be in the file exactly
// once, so that the list grows old loudly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience bounds one run of the tests. A mistake that makes them hang is
// noticed, too.
const patience = 100 * time.Second

type mistake struct {
	name  string
	edits []edit
	test  []string
}

type edit struct{ file, before, after string }

func main() {
	only := flag.String("only", "", "plant only mistakes whose name has this `text` in it")
	verbose := flag.Bool("v", false, "show what the tests said")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *only, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(list, only string, verbose bool) error {
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	mistakes, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := copyModule(dir); err != nil {
		return err
	}
	var unnoticed []string
	n := 0
	for _, m := range mistakes {
		if !strings.Contains(m.name, only) {
			continue
		}
		n++
		began := time.Now()
		how, err := m.plant(dir, verbose)
		switch {
		case err != nil: // of the list: the others are planted all the same
			unnoticed = append(unnoticed, m.name)
			how = "NOT PLANTED: " + err.Error()
		case how == "":
			unnoticed = append(unnoticed, m.name)
			how = "NOT NOTICED"
		}
		fmt.Printf("%-60s %s (%.1f s)\n", m.name, how, time.Since(began).Seconds())
	}
	if len(unnoticed) > 0 {
		return fmt.Errorf("%d of %d mistakes were not noticed: %s", len(unnoticed), n, strings.Join(unnoticed, "; "))
	}
	fmt.Printf("all %d mistakes were noticed\n", n)
	return nil
}

func parse(text string) (ms []mistake, err error) {
	var m *mistake
	file, before := "", ""
	for i, line := range strings.Split(text, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "":
		case word == "#":
			ms = append(ms, mistake{name: rest})
			m = &ms[len(ms)-1]
		case m == nil:
			return nil, fmt.Errorf("line %d stands before the first #", i+1)
		case word == "file":
			file = rest
		case word == "<":
			before = unescape(rest)
		case word == ">":
			m.edits = append(m.edits, edit{file, before, unescape(rest)})
		case word == "test":
			m.test = strings.Fields(rest)
		default:
			return nil, fmt.Errorf("line %d begins with none of # file < > test", i+1)
		}
	}
	for _, m := range ms {
		if len(m.edits) == 0 || len(m.test) == 0 {
			return nil, fmt.Errorf("%q has no edit, or no test", m.name)
		}
	}
	return ms, nil
}

// copyModule copies the module of the working directory, without what is hidden.
func copyModule(dir string) error {
	return filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case strings.HasPrefix(d.Name(), ".") && d.IsDir():
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), b, 0o644)
	})
}

// plant makes the mistake, runs the tests, and takes it back. It says how it was
// noticed; empty: it was not.
func (m *mistake) plant(dir string, verbose bool) (how string, err error) {
	for _, e := range m.edits {
		path := filepath.Join(dir, e.file)
		sound, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		defer func() { _ = os.WriteFile(path, sound, 0o644) }()
		broken, err := e.apply(string(sound))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(broken), 0o644); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "./...")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not compile: %s", out)
	}
	test := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1"}, m.test...)...)
	test.Dir = dir
	// What the tests started ends with them, also when they hang.
	test.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	test.Cancel = func() error { return syscall.Kill(-test.Process.Pid, syscall.SIGKILL) }
	out, err := test.CombinedOutput()
	if verbose {
		fmt.Printf("%s\n", out)
	}
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "the tests hung", nil
	case errors.As(err, new(*exec.ExitError)) && strings.Contains(string(out), "--- FAIL"):
		return "noticed", nil
	case strings.Contains(string(out), "panic:") || strings.Contains(string(out), "FAIL"):
		return "the tests broke off", nil
	default:
		return "", fmt.Errorf("the tests did not run: %w\n%s", err, out)
	}
}

func (e *edit) apply(text string) (string, error) {
	if n := strings.Count(text, e.before); n != 1 {
		return "", fmt.Errorf("%s has %q %d times", e.file, e.before, n)
	}
	return strings.Replace(text, e.before, e.after, 1), nil
}

// unescape reads \n and \t.
func unescape(s string) string { return strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(s) }
