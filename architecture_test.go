// Package architecture_test holds the import rules of the module and the test
// that enforces them. Only tests may import what they like.
package architecture_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/d3b0a776/switch/"

// Patterns are those of the go command: x/... is x and everything below it.
var (
	grpc     = []string{"google.golang.org/grpc/...", "google.golang.org/genproto/googleapis/rpc/..."}
	protobuf = []string{"google.golang.org/protobuf/..."}
	ownProto = []string{module + "proto/messageswitch/v1", module + "proto/frames"}
	wire     = slices.Concat(grpc, protobuf, ownProto)
)

// A rule says what a package, and those below it that have no rule of their
// own, may import. The standard library is open to all unless banned.
type rule struct {
	pkg   string   // path within the module
	may   []string // patterns, beyond the standard library and what the same rule governs
	why   string   // why it may import no more
	never []ban
}

// A ban holds by way of the module's other packages too, and says why. It does
// not look into foreign modules: how Pebble is made is no concern of ours.
type ban struct {
	patterns []string
	why      string
}

var rules = []rule{
	{
		pkg: "proto/messageswitch/v1",
		may: slices.Concat(grpc, protobuf),
		why: "the contract is the same for every language, and owes nothing to our Go code",
	},
	{
		pkg: "proto/frames",
		may: slices.Concat(protobuf, []string{
			module + "proto/messageswitch/v1", "google.golang.org/grpc/encoding/...", "google.golang.org/grpc/mem",
		}),
		why: "the codec serves both sides of the wire and knows neither",
	},
	{
		pkg: "server/internal/queue",
		why: "the core is a plain state machine: it runs a million steps in a test, and may one day sit behind a replicated log",
		never: []ban{
			{[]string{"context"}, "the core never waits, so there is nothing to cancel"},
			{[]string{"sync/..."}, "the core has one caller at a time, which holds the lock"},
			{[]string{"os/...", "syscall", "net/...", "io/fs"}, "the core does no I/O: it answers effects, and others carry them out"},
			{[]string{"log/..."}, "the core does not log: what happened is in its effects"},
			{[]string{"math/rand/...", "crypto/rand"}, "the same operations give the same state everywhere: new ids come in with the operation"},
			{wire, "the core has its own words, and the wire may change without it"},
		},
	},
	{
		pkg: "server/internal/store",
		may: []string{"github.com/cockroachdb/pebble/v2/..."},
		why: "the store keeps records; what they mean is not its business",
		never: []ban{
			{[]string{module + "server/internal/queue/..."}, "the store keeps records; what they mean is the core's business"},
			{wire, "what is on disk must not change when the wire does"},
		},
	},
	{
		pkg: "server/internal/engine",
		may: []string{module + "server/internal/queue", module + "server/internal/store"},
		why: "the engine joins the core to the store, and is all that does",
		never: []ban{
			{wire, "the engine takes operations and releases effects; how they travel is the server's business"},
		},
	},
	{
		pkg: "server",
		may: slices.Concat(wire, []string{module + "server/internal/engine", module + "server/internal/queue"}),
		why: "the server puts the engine on the wire, and reaches the store through the engine only",
		never: []ban{
			{[]string{module + "client/...", module + "rpc/..."}, "a switch is dialled and never dials; one side's mistakes must not hide behind the other's code"},
		},
	},
	{
		pkg: "server/datadir",
		may: []string{module + "server/internal/store", module + "server/internal/queue"},
		why: "the directory of a switch that does not run is the store's files, and the core's names for what is in them",
		never: []ban{
			{wire, "nobody is dialled to look at a directory"},
			{[]string{module + "server/internal/engine", module + "client/...", module + "rpc/..."}, "what looks at a directory must not run a switch in it"},
		},
	},
	{
		pkg: "server/servertest",
		may: slices.Concat(grpc, []string{module + "server"}),
		why: "the switch of the tests is the real server on a listener in memory",
		never: []ban{
			{[]string{module + "client/...", module + "rpc/..."}, "the tests of client and rpc use this package"},
		},
	},
	{
		pkg: "client",
		may: wire,
		why: "a client shares the wire contract with the switch, and nothing else",
		never: []ban{
			{[]string{module + "server/..."}, "a program that calls must not carry a switch and its store"},
		},
	},
	{
		pkg: "rpc",
		may: slices.Concat(grpc, protobuf, []string{module + "client"}),
		why: "the RPC pattern is made of what every user of the client has",
		never: []ban{
			{[]string{module + "server/..."}, "a program that calls must not carry a switch and its store"},
		},
	},
	{
		pkg: "rpc/otelrpc",
		may: slices.Concat(grpc, []string{module + "rpc", "go.opentelemetry.io/otel/..."}),
		why: "spans are interceptors as everybody may write them, and what becomes of them is the program's choice",
		never: []ban{
			{[]string{module + "server/..."}, "a program that calls must not carry a switch and its store"},
			{[]string{"go.opentelemetry.io/otel/sdk/...", "go.opentelemetry.io/otel/exporters/..."}, "a library uses the API; who collects spans brings the SDK"},
		},
	},
	{
		pkg: "cmd/switch",
		may: slices.Concat(grpc, []string{module + "server", module + "server/datadir", module + "client", module + "rpc", module + "rpc/grpcqueue", module + "rpc/upstream", "github.com/urfave/cli/v2", "golang.org/x/term", "github.com/HdrHistogram/hdrhistogram-go"}),
		why: "the command is flags, signals, output and wiring: what it can do, every Go program can, so nothing of server/internal",
	},
	{
		pkg: "examples",
		may: slices.Concat(wire, []string{module + "client", module + "rpc", module + "server"}),
		why: "an example shows what every user can do",
	},
}

// clock is what in package time reads the clock or waits for it.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// core is where there is no clock and no goroutine.
const core = "server/internal/queue"

func TestImports(t *testing.T) {
	pkgs := load(t)
	for _, r := range rules {
		if pkgs[module+r.pkg] == nil && r.pkg != "examples" { // examples lie below
			t.Errorf("there is a rule for %s, but no such package", r.pkg)
		}
	}
	for _, v := range violations(pkgs) {
		t.Error(v)
	}
}

// TestRulesBite plants one import at a time that must not be.
func TestRulesBite(t *testing.T) {
	for _, c := range []struct{ from, to, by string }{
		{"proto/messageswitch/v1", module + "client", ""},
		{"proto/frames", module + "server", ""},
		{"server/internal/queue", "context", ""},
		{"server/internal/queue", "sync/atomic", ""},
		{"server/internal/queue", "os", ""},
		{"server/internal/queue", "net/netip", ""},
		{"server/internal/queue", "log/slog", ""},
		{"server/internal/queue", "math/rand/v2", ""},
		{"server/internal/queue", "google.golang.org/protobuf/proto", ""},
		{"server/internal/queue", "google.golang.org/grpc/codes", ""},
		{"server/internal/queue", "sync", "server/internal/queue/part"},
		{"server/internal/store", module + "server/internal/queue", ""},
		{"server/internal/store", module + "proto/frames", ""},
		{"server/internal/engine", "google.golang.org/grpc", "server/internal/store"},
		{"server/internal/engine", module + "server", ""},
		{"server", module + "rpc", ""},
		{"server", module + "client", "server/internal/engine"},
		{"server", module + "server/internal/store", ""},
		{"server/datadir", module + "server/internal/engine", ""},
		{"server/datadir", module + "proto/frames", ""},
		{"server/servertest", module + "client", ""},
		{"client", module + "server", ""},
		{"client", module + "server/servertest", "proto/frames"},
		{"rpc", module + "server", "client"},
		{"rpc", module + "proto/messageswitch/v1", ""},
		{"rpc", "go.opentelemetry.io/otel", ""},
		{"rpc/otelrpc", "go.opentelemetry.io/otel/sdk/trace", ""},
		{"rpc/otelrpc", module + "server", "rpc"},
		{"cmd/switch", module + "rpc/otelrpc", ""},
		{"cmd/switch", module + "server/internal/queue", ""},
		{"cmd/switch", module + "server/servertest", ""},
		{"client", "example.com/foreign", ""},
		{"new", "fmt", ""},
	} {
		from, by := module+c.from, module+c.by
		pkgs := map[string]*pkg{c.to: {ImportPath: c.to, Standard: !strings.Contains(c.to, ".")}}
		pkgs[from] = &pkg{ImportPath: from, Imports: []string{c.to}}
		if c.by != "" {
			pkgs[from].Imports = []string{by}
			pkgs[by] = &pkg{ImportPath: by, Imports: []string{c.to}}
		}
		blamed := func(v string) bool { return strings.HasPrefix(v, c.from+" ") }
		if !slices.ContainsFunc(violations(pkgs), blamed) {
			t.Errorf("no rule keeps %s from importing %s %s", c.from, c.to, c.by)
		}
	}
}

func TestCoreHasNeitherClockNorGoroutine(t *testing.T) {
	for name, p := range load(t) {
		if r := ruleFor(name); r == nil || r.pkg != core {
			continue
		}
		for _, name := range p.GoFiles {
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for pos, what := range impure(file) {
				t.Errorf("%s:%d: %s", name, files.Position(pos).Line, what)
			}
		}
	}
}

// TestImpureBites plants what the core must not do.
func TestImpureBites(t *testing.T) {
	for source, want := range map[string]int{
		`package p; import "time"; func f() { _ = time.Now(); _ = time.Second }`:         1,
		`package p; import "time"; var now = time.Now`:                                   1,
		`package p; import clock "time"; func f() { clock.Sleep(clock.Since(nil)) }`:     2,
		`package p; import . "time"; func f() { _ = Now() }`:                             1,
		`package p; func f() { go f() }`:                                                 1,
		`package p; import "time"; func f(now time.Time) bool { return now.After(now) }`: 0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := impure(file); len(got) != want {
			t.Errorf("%s: found %v, want %d", source, slices.Collect(maps.Values(got)), want)
		}
	}
}

// A pkg is what the go command says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Standard   bool
}

// load lists the packages of the module and all that they depend on.
func load(t *testing.T) map[string]*pkg {
	t.Helper()
	// A test's cached result stands until a file changes that the test opened;
	// what go list opens does not count. So open every directory here.
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && name != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,Imports,Standard", "./...")
	out, err := list.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("%v: %v\n%s", list, err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	pkgs := make(map[string]*pkg)
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		p := new(pkg)
		if err := dec.Decode(p); err != nil {
			t.Fatal(err)
		}
		pkgs[p.ImportPath] = p
	}
	return pkgs
}

// violations holds the rules against every package of the module.
func violations(pkgs map[string]*pkg) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(pkgs)) {
		short, ours := strings.CutPrefix(name, module)
		if !ours {
			continue
		}
		r := ruleFor(name)
		if r == nil {
			found = append(found, fmt.Sprintf("%s has no rule: say in architecture_test.go what it may import, and why no more", short))
			continue
		}
		for _, b := range r.never {
			for _, trail := range trails(pkgs, name, b.patterns) {
				found = append(found, fmt.Sprintf("%s imports %s: %s", short, trail, b.why))
			}
		}
		for _, imp := range pkgs[name].Imports {
			if !r.allows(pkgs, imp) {
				found = append(found, fmt.Sprintf("%s imports %s, which its rule does not name: %s", short, imp, r.why))
			}
		}
	}
	return found
}

// allows says whether the rule names the import, or a ban of it speaks anyway.
func (r *rule) allows(pkgs map[string]*pkg, imp string) bool {
	if p := pkgs[imp]; p != nil && p.Standard || ruleFor(imp) == r || matchAny(r.may, imp) {
		return true
	}
	return slices.ContainsFunc(r.never, func(b ban) bool { return matchAny(b.patterns, imp) })
}

// trails finds the imports that match, of the package and of those of the
// module that it reaches, each with the shortest way there.
func trails(pkgs map[string]*pkg, from string, patterns []string) []string {
	type step struct{ name, way string }
	var found []string
	seen := map[string]bool{from: true}
	for next := []step{{name: from}}; len(next) > 0; next = next[1:] {
		at := next[0]
		if pkgs[at.name] == nil {
			continue
		}
		for _, imp := range pkgs[at.name].Imports {
			if seen[imp] {
				continue
			}
			seen[imp] = true
			if matchAny(patterns, imp) {
				found = append(found, imp+at.way)
			} else if short, ours := strings.CutPrefix(imp, module); ours {
				next = append(next, step{imp, " by way of " + short + at.way})
			}
		}
	}
	return found
}

// ruleFor finds the rule of the longest path that the package is at or below.
func ruleFor(name string) *rule {
	var best *rule
	for i := range rules {
		r := &rules[i]
		if match(module+r.pkg+"/...", name) && (best == nil || len(r.pkg) > len(best.pkg)) {
			best = r
		}
	}
	return best
}

func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, name) })
}

func match(pattern, name string) bool {
	root, below := strings.CutSuffix(pattern, "/...")
	return name == root || below && strings.HasPrefix(name, root+"/")
}

// impure finds what makes a file more than a function of its input.
func impure(file *ast.File) map[token.Pos]string {
	found := make(map[token.Pos]string)
	timeName := ""
	for _, spec := range file.Imports {
		if p, _ := strconv.Unquote(spec.Path.Value); p != "time" {
			continue
		}
		timeName = "time"
		if spec.Name != nil {
			timeName = spec.Name.Name
		}
		if timeName == "." {
			found[spec.Pos()] = "a dot import of time hides who reads the clock"
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found[n.Pos()] = "the core starts no goroutine: its one caller decides what runs when"
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == timeName && slices.Contains(clock, n.Sel.Name) {
				found[n.Pos()] = "the core has no clock: time comes in with each operation, not from time." + n.Sel.Name
			}
		}
		return true
	})
	return found
}
