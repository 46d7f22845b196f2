package client_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/d3b0a776/switch/client"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// A teller is an AdminService whose backups are what a test says.
type teller struct {
	pb.UnimplementedAdminServiceServer
	pieces []*pb.BackupResponse
	err    error
}

func (s *teller) Backup(_ *pb.BackupRequest, stream grpc.ServerStreamingServer[pb.BackupResponse]) error {
	for _, p := range s.pieces {
		if err := stream.Send(p); err != nil {
			return err
		}
	}
	return s.err
}

// tells is a client of a teller.
func tells(t *testing.T, s *teller) *client.Admin {
	listener := bufconn.Listen(1 << 16)
	g := grpc.NewServer()
	pb.RegisterAdminServiceServer(g, s)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }() // the cleanup waits for it
	conn, err := grpc.NewClient("passthrough:///teller", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		_ = conn.Close()
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return c.Admin()
}

// A backup without an error is whole.
func TestBackupIsWholeOrAnError(t *testing.T) {
	first := &pb.BackupResponse{File: "a", FileBytes: 4, TotalBytes: 6, Data: []byte("ab")}
	rest := &pb.BackupResponse{Data: []byte("cd"), TotalBytes: 6}
	other := &pb.BackupResponse{File: "b", FileBytes: 2, TotalBytes: 6, Data: []byte("ef")}
	done := &pb.BackupResponse{Done: true, TotalBytes: 6}
	for _, c := range []struct {
		name   string
		pieces []*pb.BackupResponse
		err    error
		says   string // empty: it is whole
	}{
		{name: "whole", pieces: []*pb.BackupResponse{first, rest, other, done}},
		{name: "an empty file", pieces: []*pb.BackupResponse{{File: "a"}, done6(0)}},
		{name: "cut", pieces: []*pb.BackupResponse{first, rest, other}, says: "has not said that it is"},
		{name: "cut by an error", pieces: []*pb.BackupResponse{first}, err: status.Error(codes.Internal, "boom"), says: "boom"},
		{name: "a short file", pieces: []*pb.BackupResponse{first, other, done}, says: `"a" has 2 of its 4 bytes`},
		{name: "a short last file", pieces: []*pb.BackupResponse{first, done}, says: `"a" has 2 of its 4 bytes`},
		{name: "a long file", pieces: []*pb.BackupResponse{first, rest, rest, done}, says: `"a" has more than its 4 bytes`},
		{name: "a missing file", pieces: []*pb.BackupResponse{first, rest, done}, says: "4 of 6 bytes"},
		{name: "no file", pieces: []*pb.BackupResponse{rest, done}, says: "more than its"},
		{name: "a way out", pieces: []*pb.BackupResponse{{File: "../a", FileBytes: 1, Data: []byte("x")}}, says: `a file is named "../a"`},
		{name: "the directory", pieces: []*pb.BackupResponse{{File: ".."}}, says: `a file is named ".."`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got bytes.Buffer
			var last error
			for p, err := range tells(t, &teller{pieces: c.pieces, err: c.err}).Backup(t.Context()) {
				if last = err; err == nil {
					got.Write(p.Data)
				}
			}
			switch {
			case c.says == "" && last != nil:
				t.Error(last)
			case c.says != "" && (last == nil || !strings.Contains(last.Error(), c.says)):
				t.Errorf("got %v, want %q", last, c.says)
			case c.name == "whole" && got.String() != "abcdef":
				t.Errorf("got %q", got.String())
			}
		})
	}
}

func done6(total uint64) *pb.BackupResponse { return &pb.BackupResponse{Done: true, TotalBytes: total} }

// Whoever has enough stops.
func TestBackupStops(t *testing.T) {
	a := tells(t, &teller{pieces: []*pb.BackupResponse{{File: "a", FileBytes: 9, Data: []byte("a")}, {Data: []byte("b")}}})
	for p, err := range a.Backup(t.Context()) {
		if err != nil || p.File != "a" || p.Offset != 0 {
			t.Errorf("%+v, %v", p, err)
		}
		break
	}
}

func TestReplay(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		worker, _ := w.dial(client.Config{Name: "worker"})
		sub := w.subscribe(worker, "q", client.ConsumeOptions{Credit: 1})
		for _, body := range []string{"one", "two"} {
			w.send("q", body)
			if err := sub.next(t).Reject(t.Context(), "bad"); err != nil {
				t.Fatal(err)
			}
		}
		a := w.c.Admin()
		ms, err := a.PeekBrief(t.Context(), "q.dead", 10, 1)
		if err != nil || len(ms) != 2 || string(ms[0].Body) != "o" || ms[0].BodyBytes != 3 {
			t.Fatalf("peek: %+v, %v", ms, err)
		}
		if r, err := a.Replay(t.Context(), "q.dead", client.ReplayQuery{IDs: []string{ms[1].MessageID, ms[1].MessageID}}); err != nil || r.Replayed != 1 || r.Left != 1 || r.Why == nil || r.Why.Reason != "MESSAGE_NOT_FOUND" {
			t.Errorf("%+v, %v", r, err)
		}
		if d := sub.next(t); string(d.Body) != "two" || d.Attempt != 1 {
			t.Errorf("%+v", d)
		}
		w.create("elsewhere")
		if r, err := a.Replay(t.Context(), "q.dead", client.ReplayQuery{To: "elsewhere"}); err != nil || r.Replayed != 1 || r.Why != nil {
			t.Errorf("%+v, %v", r, err)
		}
		_, err = a.Replay(t.Context(), "nowhere", client.ReplayQuery{})
		wantError(t, err, client.ErrQueueNotFound, codes.NotFound)
	})
}
