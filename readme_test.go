package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// The Go code of the README is the code of Examples, which run with their own
// packages' tests: what stands there compiles and does what it says.
func TestReadmeCode(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, part := range strings.Split(string(readme), "```go\n")[1:] {
		code, _, ok := strings.Cut(part, "```")
		if !ok {
			t.Fatal("a block of code has no end")
		}
		blocks = append(blocks, strings.TrimSpace(code))
	}
	sources := []string{"rpc/example_test.go", "server/example_test.go"}
	if len(blocks) != len(sources) {
		t.Fatalf("README has %d blocks of Go, and %d Examples are known", len(blocks), len(sources))
	}
	for i, file := range sources {
		if want := exampleBody(t, file); blocks[i] != want {
			t.Errorf("README differs from Example in %s, which is:\n\n%s", file, want)
		}
	}
}

// exampleBody is the body of func Example in a file, without the Output comment
// and one indentation less.
func exampleBody(t *testing.T, file string) string {
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "Example" {
			continue
		}
		body := string(src[set.Position(f.Body.Lbrace).Offset+1 : set.Position(f.Body.Rbrace).Offset])
		body, _, _ = strings.Cut(body, "\t// Output:")
		return strings.TrimSpace(strings.ReplaceAll("\n"+strings.TrimSpace(body), "\n\t", "\n"))
	}
	t.Fatalf("%s has no func Example", file)
	return ""
}
