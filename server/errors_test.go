package server_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// sentinels are the errors that a Go file declares with errors.New.
func sentinels(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.VAR {
			continue
		}
		for _, spec := range decl.Specs {
			v := spec.(*ast.ValueSpec)
			for i, value := range v.Values {
				if call, ok := value.(*ast.CallExpr); ok && exprText(call.Fun) == "errors.New" {
					names = append(names, v.Names[i].Name)
				}
			}
		}
	}
	return names
}

func exprText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return exprText(e.X) + "." + e.Sel.Name
	}
	return ""
}

// tableErrors are the names in the first column of errorTable.
func tableErrors(t *testing.T) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == "errorTable" {
			for _, row := range v.Values[0].(*ast.CompositeLit).Elts {
				name := exprText(row.(*ast.CompositeLit).Elts[0])
				names = append(names, name[strings.Index(name, ".")+1:])
			}
		}
		return true
	})
	return names
}

// Every error that the core, the engine or the server declares has one row in
// the table, and no row is for anything else.
func TestEveryError(t *testing.T) {
	want := slices.Concat(sentinels(t, "internal/queue/errors.go"), sentinels(t, "internal/engine/token.go"), sentinels(t, "errors.go"), []string{"ErrMalformed"})
	got := tableErrors(t)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the table has %q, want %q", got, want)
	}
	reasons := map[pb.Reason]bool{}
	for _, row := range server.ErrorTable() {
		reasons[row.Reason] = true
	}
	for n, name := range pb.Reason_name {
		if r := pb.Reason(n); r != pb.Reason_REASON_UNSPECIFIED && !reasons[r] {
			t.Errorf("no error has the reason %s", name)
		}
	}
}

// Every error reaches a client with its code, its reason and its advice, as a
// status and as a frame.
func TestErrorTranslation(t *testing.T) {
	sw := server.New(server.Config{})
	defer func() { _ = sw.Close() }()
	for _, row := range server.ErrorTable() {
		err := fmt.Errorf("do this: %w", row.Err)
		f, st := sw.Failure(err), status.Convert(sw.Status(err))
		if codes.Code(f.GetCode()) != row.Code || f.GetReason() != row.Reason || f.GetMessage() != err.Error() || f.GetRetryAfterMs() != row.Retry.Milliseconds() {
			t.Errorf("%v is the failure %v", row.Err, f)
		}
		if st.Code() != row.Code || st.Message() != err.Error() {
			t.Errorf("%v is the status %v", row.Err, st)
		}
		var info *errdetails.ErrorInfo
		var retry time.Duration
		for _, d := range st.Details() {
			switch d := d.(type) {
			case *errdetails.ErrorInfo:
				info = d
			case *errdetails.RetryInfo:
				retry = d.GetRetryDelay().AsDuration()
			}
		}
		if "REASON_"+info.GetReason() != row.Reason.String() || info.GetDomain() != "messageswitch.v1" || retry != row.Retry {
			t.Errorf("%v has the details %v", row.Err, st.Details())
		}
	}
}

// What nobody has thought of stays inside.
func TestUnknownError(t *testing.T) {
	sw := server.New(server.Config{})
	defer func() { _ = sw.Close() }()
	st := status.Convert(sw.Status(errors.New("the password is sesame")))
	if st.Code() != codes.Internal || strings.Contains(st.Message(), "sesame") || len(st.Details()) != 0 {
		t.Errorf("the status is %v", st)
	}
	passed := status.Convert(sw.Status(status.Error(codes.PermissionDenied, "not on Sundays")))
	if passed.Code() != codes.PermissionDenied || passed.Message() != "not on Sundays" {
		t.Errorf("the status is %v", passed)
	}
	if sw.Status(nil) != nil {
		t.Error("no error is an error")
	}
}

// The two halves of G1's error split: each code of the table says whether a
// Send may be retried under the same key.
func TestErrorSplit(t *testing.T) {
	certain := []codes.Code{codes.NotFound, codes.InvalidArgument, codes.PermissionDenied, codes.ResourceExhausted, codes.FailedPrecondition,
		codes.AlreadyExists, codes.Unauthenticated}
	unknown := []codes.Code{codes.Canceled, codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.Internal}
	for _, row := range server.ErrorTable() {
		if !slices.Contains(certain, row.Code) && !slices.Contains(unknown, row.Code) {
			t.Errorf("%v is %v, which says nothing about a retry", row.Err, row.Code)
		}
	}
}
