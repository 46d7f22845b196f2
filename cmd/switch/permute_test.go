package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// testApp is the real command line, its actions replaced.
func testApp() *cli.App {
	sh := &shell{name: "switch", out: io.Discard, err: io.Discard}
	app := sh.app()
	app.Setup()
	return app
}

func TestPermute(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"", ""},
		{"list", "list --"},
		{"--help", "--help"},
		{"--version", "--version"},
		{"call foo --body hello", "call --body=hello -- foo"},
		{"call --body hello foo", "call --body=hello -- foo"},
		{"call foo -b hello", "call --body=hello -- foo"},
		{"call foo -bhello", "call --body=hello -- foo"},
		{"call foo --body=hello", "call --body=hello -- foo"},
		{"call foo -body=hello", "call --body=hello -- foo"},
		{"call foo --body=", "call --body= -- foo"},
		{"call foo --body a=b", "call --body=a=b -- foo"},
		{"call foo --body --timeout", "call --body=--timeout -- foo"},
		{"call foo --body -- --timeout 5s", "call --body=-- --timeout=5s -- foo"},
		{"call foo --file -", "call --file=- -- foo"},
		{"call foo -H a=1 -H b=2", "call --header=a=1 --header=b=2 -- foo"},
		{"call foo --fail-fast --timeout 5s", "call --fail-fast --timeout=5s -- foo"},
		{"call --fail-fast foo", "call --fail-fast -- foo"},
		{"call --fail-fast=false foo", "call --fail-fast=false -- foo"},
		{"call - --body x", "call --body=x -- -"},
		{"call -- -foo --body x", "call -- -- -foo --body x"},
		{"--addr h:1 list --all", "list --addr=h:1 --all --"},
		{"-o json list", "list --output=json --"},
		{"list -ojson -a", "list --output=json --all --"},
		{"list --help", "list --help --"},
		{"list -h", "list --help --"},
		{"--help list", "list --help --"},
		{"serve", "serve --"},
		{"serve --listen :1 --listen unix:///s", "serve --listen=:1 --listen=unix:///s --"},
		{"serve foo --program /bin/cat", "serve --program=/bin/cat -- foo"},
		{"serve foo -- /bin/cat -n --addr x", "serve -- foo -- /bin/cat -n --addr x"},
		{"serve --lease 5s foo --echo", "serve --lease=5s --echo -- foo"},
		{"serve foo -- a -- b", "serve -- foo -- a -- b"},
		{"recv foo -n5", "recv --count=5 -- foo"},
		{"help call", "help -- call"},
	} {
		line, err := permute(testApp(), append([]string{"switch"}, strings.Fields(c.typed)...))
		if err != nil {
			t.Errorf("%q: %v", c.typed, err)
			continue
		}
		if got := strings.Join(line.argv[1:], " "); got != c.want {
			t.Errorf("%q became %q, want %q", c.typed, got, c.want)
		}
	}
}

func TestPermuteRefuses(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"clal foo", "there is no verb \"clal\"\ndid you mean: switch call\nsee: switch help"},
		{"frobnicate", "there is no verb \"frobnicate\"\nsee: switch help"},
		{"diag", "there is no verb \"diag\"\ndid you mean: switch diagnostics\nsee: switch help"},
		{"call foo --bdoy x", "call has no flag --bdoy\ndid you mean --body?\nsee: switch call --help"},
		{"call foo --bdoy=x", "call has no flag --bdoy\ndid you mean --body?\nsee: switch call --help"},
		{"call foo --listen x", "call has no flag --listen\nsee: switch call --help"},
		{"list -x", "list has no flag -x\nsee: switch list --help"},
		{"call foo --body", "--body needs a value\nsee: switch call --help"},
		{"--adr x list", "there is no flag --adr\ndid you mean --addr?\nsee: switch help"},
		{"--addr", "--addr needs a value\nsee: switch help"},
		{"-- list", "no verb stands before \"--\""},
	} {
		_, err := permute(testApp(), append([]string{"switch"}, strings.Fields(c.typed)...))
		bad := (*usageError)(nil)
		if !errors.As(err, &bad) {
			t.Errorf("%q: %v, want a usage error", c.typed, err)
		} else if got := bad.Error(); got != c.want {
			t.Errorf("%q:\n%s\nwant:\n%s", c.typed, got, c.want)
		}
	}
}

// TestFlagsAgree holds up what findVerb relies on: of one name, all verbs make
// the same use.
func TestFlagsAgree(t *testing.T) {
	takes := map[string]bool{}
	for _, c := range testApp().Commands {
		for _, f := range c.Flags {
			for _, n := range f.Names() {
				if before, ok := takes[n]; ok && before != takesValue(f) {
					t.Errorf("%s takes a value with some verbs, and none with %s", dashed(n), c.Name)
				}
				takes[n] = takesValue(f)
			}
		}
	}
}

// FuzzPermute checks that whatever is typed is refused, or comes out in order
// with nothing lost, and stays the same when it is put in order again.
func FuzzPermute(f *testing.F) {
	for _, s := range []string{
		"call\nfoo\n--body\nhello", "--addr\nx\nlist\n-a", "serve\nfoo\n--\ncat\n-n", "-o\njson\nlist",
		"call\n-b\n--\n-H\na=b\n--\n-x", "list\n--all=x", "recv\n-n5\n-", "\n\n--\n",
	} {
		f.Add(s)
	}
	app := testApp()
	f.Fuzz(func(t *testing.T, typed string) {
		argv := append([]string{"switch"}, strings.Split(typed, "\n")...)
		before := slices.Clone(argv)
		line, err := permute(app, argv)
		if !slices.Equal(argv, before) {
			t.Fatalf("%q was changed", before)
		}
		if err != nil || len(line.argv) < 2 || app.Command(line.argv[1]) == nil {
			return
		}
		words := slices.Index(line.argv, "--")
		if words != 2+len(line.flags) {
			t.Fatalf("%q became %q: flags end at %d, and there are %d", argv, line.argv, words, len(line.flags))
		}
		for i, fl := range line.flags {
			if line.argv[2+i] != fl.String() || findFlag(app.Command(line.argv[1]).Flags, fl.name) == nil {
				t.Fatalf("%q became %q: flag %v", argv, line.argv, fl)
			}
		}
		checkOrder(t, argv[1:], line)
		again, err := permute(app, line.argv)
		if err != nil {
			t.Fatalf("%q became %q, which is refused: %v", argv, line.argv, err)
		}
		// The second time round the "--" before the words is one that was typed.
		want := slices.Insert(slices.Clone(line.argv), words, "--")
		if !slices.Equal(again.argv, want) {
			t.Fatalf("%q became %q and then %q", argv, line.argv, again.argv)
		}
	})
}

// checkOrder checks that the words are those that were typed, in their order.
func checkOrder(t *testing.T, typed []string, line commandLine) {
	t.Helper()
	at := 0
	for _, w := range line.argv[3+len(line.flags):] {
		i := slices.Index(typed[at:], w)
		if i < 0 {
			t.Fatalf("%q became %q: the word %q was moved or made up", typed, line.argv, w)
		}
		at += i + 1
	}
}
