package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/datadir"
)

// A kept is a switch with a data directory, as an operator and one client see it.
type kept struct {
	*testing.T
	pb.AdminServiceClient
	data    pb.DataServiceClient
	session string
}

func openKept(t *testing.T, cfg server.Config) *kept {
	t.Helper()
	s, err := server.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		_ = s.Close()
	})
	k := &kept{T: t, AdminServiceClient: pb.NewAdminServiceClient(s.InProcess()), data: pb.NewDataServiceClient(s.InProcess())}
	res, err := k.data.Login(t.Context(), &pb.LoginRequest{Name: "k"})
	if err != nil {
		t.Fatal(err)
	}
	k.session = res.GetSession()
	return k
}

// send makes messages of a KiB in a new queue or an old one.
func (k *kept) send(queue string, n int) (ids []string) {
	k.Helper()
	for i := range n {
		res, err := k.data.Send(k.Context(), &pb.SendRequest{Session: k.session, Queue: queue, Create: &pb.QueueOptions{},
			Body: fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", 1000))})
		if err != nil {
			k.Fatal(err)
		}
		ids = append(ids, res.GetMessageId())
	}
	return ids
}

func (k *kept) waiting(queue string) int {
	k.Helper()
	res, err := k.Describe(k.Context(), &pb.DescribeRequest{Queue: queue})
	if err != nil {
		k.Fatal(err)
	}
	return int(res.GetSummary().GetWaiting())
}

func (k *kept) peek(queue string, limit uint32) (ids []string) {
	k.Helper()
	res, err := k.Peek(k.Context(), &pb.PeekRequest{Queue: queue, Limit: limit, MaxBodyBytes: 10})
	if err != nil {
		k.Fatal(err)
	}
	for _, m := range res.GetMessages() {
		if m.GetBodyBytes() < 1000 || m.GetState() != pb.MessageState_MESSAGE_STATE_WAITING {
			k.Fatalf("%v", m)
		}
		ids = append(ids, m.GetMessageId())
	}
	return ids
}

// small is a switch most of whose messages are on disk alone.
func small(t *testing.T) server.Config {
	return server.Config{DataDir: filepath.Join(t.TempDir(), "data"), MemoryBudget: 2 << 20}
}

// An operator sees, purges and replays messages that are on disk alone as those
// in memory.
func TestMessagesOnDiskAlone(t *testing.T) {
	k := openKept(t, small(t))
	const n = 1100
	ids := k.send("q", n)
	if got := k.peek("q", 1000); !slices.Equal(got, ids[:1000]) {
		t.Errorf("peek shows %d messages, want the first 1000 of %d", len(got), n)
	}
	purge := func(ids ...string) uint64 {
		res, err := k.Purge(t.Context(), &pb.PurgeRequest{Queue: "q", MessageIds: ids})
		if err != nil {
			t.Errorf("purge: %v", err)
		}
		return res.GetPurged()
	}
	if got := purge(ids[n-1], ids[0], ids[n-100]); got != 3 || k.waiting("q") != n-3 {
		t.Errorf("purged %d, %d are left", got, k.waiting("q"))
	}
	if _, err := k.Purge(t.Context(), &pb.PurgeRequest{Queue: "q", MessageIds: []string{ids[n-1]}}); !isReason(refusalOf(err), pb.Reason_REASON_MESSAGE_NOT_FOUND) {
		t.Errorf("purged twice: %v", err)
	}
	k.send("other", 1)
	res, err := k.Replay(t.Context(), &pb.ReplayRequest{Queue: "q", To: "other", MessageIds: []string{ids[n-2], ids[1], ids[n-1], ids[n-3]}})
	if err != nil || res.GetReplayed() != 3 || res.GetLeft() != 1 || res.GetFailure().GetReason() != pb.Reason_REASON_MESSAGE_NOT_FOUND || k.waiting("other") != 4 {
		t.Errorf("replayed: %v, %v", res, err)
	}
	moved, calls, cursor := uint64(0), 0, ""
	for more := true; more; more = cursor != "" {
		res, err := k.Replay(t.Context(), &pb.ReplayRequest{Queue: "q", To: "other", Limit: 400, Cursor: cursor})
		if err != nil || res.GetReplayed() > 400 {
			t.Fatalf("%v, %v", res, err)
		}
		moved += res.GetReplayed()
		cursor = res.GetCursor()
		calls++
	}
	if moved != n-6 || k.waiting("q") != 0 || k.waiting("other") != 4+n-6 || calls > 6 {
		t.Errorf("%d were moved in %d calls, %d are left, %d are there", moved, calls, k.waiting("q"), k.waiting("other"))
	}
	if got := purge(); got != 0 {
		t.Errorf("purged %d of none", got)
	}
	if _, err := k.Replay(t.Context(), &pb.ReplayRequest{Queue: "q", Cursor: "x"}); !isReason(refusalOf(err), pb.Reason_REASON_INVALID) {
		t.Errorf("a bad cursor: %v", err)
	}
}

// failureIn is what a gRPC status tells.
func failureIn(err error) *pb.Failure {
	var r refusal
	_ = errors.As(refusalOf(err), &r)
	return r.Failure
}

// copyTo reads a backup into a directory.
func (k *kept) copyTo(ctx context.Context, dir string) error {
	stream, err := k.Backup(ctx, &pb.BackupRequest{})
	if err != nil {
		return err
	}
	file, left, total := "", uint64(0), uint64(0)
	for {
		p, err := stream.Recv()
		if err != nil {
			return err
		}
		if p.GetDone() {
			if left != 0 || total != p.GetTotalBytes() {
				return fmt.Errorf("%d of %d bytes came", total, p.GetTotalBytes())
			}
			if _, err = stream.Recv(); !errors.Is(err, io.EOF) {
				return err
			}
			return nil
		}
		if p.GetFile() != "" {
			file, left = filepath.Join(dir, p.GetFile()), p.GetFileBytes()
		}
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(p.GetData())
		left -= uint64(len(p.GetData()))
		total += uint64(len(p.GetData()))
		if err = errors.Join(err, f.Close()); err != nil || len(p.GetData()) > 256<<10 {
			return fmt.Errorf("a piece of %d bytes: %w", len(p.GetData()), err)
		}
	}
}

// A switch goes on from a backup where it was when the backup was taken.
func TestBackup(t *testing.T) {
	cfg := small(t)
	k := openKept(t, cfg)
	ids := k.send("q", 400)
	dir := t.TempDir()
	if err := k.copyTo(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	k.send("q", 1)
	if _, err := k.Purge(t.Context(), &pb.PurgeRequest{Queue: "q"}); err != nil {
		t.Error(err)
	}
	if r, err := datadir.Check(dir, nil); err != nil || !r.Good() || r.Messages != 400 {
		t.Errorf("the copy: %+v, %v", r, err)
	}
	if _, err := datadir.Check(cfg.DataDir, nil); err == nil {
		t.Error("a directory in use is checked")
	}
	again := openKept(t, server.Config{DataDir: dir})
	if got := again.peek("q", 1000); !slices.Equal(got, ids) {
		t.Errorf("%d messages are there", len(got))
	}
}

// Nobody reads on: the copy goes, and another backup may begin.
func TestBackupGivenUp(t *testing.T) {
	cfg := small(t)
	k := openKept(t, cfg)
	k.send("q", 300)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := k.Backup(ctx, &pb.BackupRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := k.copyTo(t.Context(), t.TempDir()); !isReason(refusalOf(err), pb.Reason_REASON_LIMIT_REACHED) {
		t.Logf("the first one was over already: %v", err) // its buffers took it all
	}
	cancel()
	for {
		err := k.copyTo(t.Context(), t.TempDir())
		if err == nil {
			break
		}
		if !isReason(refusalOf(err), pb.Reason_REASON_LIMIT_REACHED) {
			t.Fatal(err)
		}
	}
}

// In memory there is nothing to back up, and no disk to diagnose.
func TestBackupInMemory(t *testing.T) {
	k := openKept(t, server.Config{})
	err := k.copyTo(t.Context(), t.TempDir())
	f := failureIn(err)
	if codes.Code(f.GetCode()) != codes.FailedPrecondition || f.GetReason() != pb.Reason_REASON_DURABILITY_UNAVAILABLE || !strings.Contains(f.GetMessage(), "--data-dir") {
		t.Errorf("%v", err)
	}
	if d, err := k.Diagnostics(t.Context(), &pb.DiagnosticsRequest{}); err != nil || d.GetStore() != nil {
		t.Errorf("%v, %v", d, err)
	}
}

// Diagnostics say how the disk is doing; a reserve that no disk has refuses all
// that is new, and nothing else.
func TestDiskReserve(t *testing.T) {
	cfg := small(t)
	k := openKept(t, cfg)
	k.send("q", 1)
	d, err := k.Diagnostics(t.Context(), &pb.DiagnosticsRequest{})
	if s := d.GetStore(); err != nil || s.GetDataDir() != cfg.DataDir || s.GetReserveBytes() != server.DefaultDiskReserve || s.GetFreeBytes() == 0 ||
		s.GetTotalBytes() < s.GetFreeBytes() || s.GetRefusing() {
		t.Errorf("%v, %v", s, err)
	}
	full := small(t)
	full.DiskReserve = 1 << 60
	k = openKept(t, full)
	_, err = k.data.Send(t.Context(), &pb.SendRequest{Session: k.session, Queue: "q", Create: &pb.QueueOptions{}})
	f := failureIn(err)
	if codes.Code(f.GetCode()) != codes.ResourceExhausted || f.GetReason() != pb.Reason_REASON_LIMIT_REACHED || f.GetMetadata()["limit"] != "disk" ||
		f.GetRetryAfterMs() == 0 || !strings.Contains(f.GetMessage(), full.DataDir) {
		t.Errorf("%v", f)
	}
	if _, err := k.data.Create(t.Context(), &pb.CreateRequest{Session: k.session, Queue: "m", Options: &pb.QueueOptions{Durability: pb.Durability_DURABILITY_MEMORY}}); err != nil {
		t.Error(err)
	}
	if d, err := k.Diagnostics(t.Context(), &pb.DiagnosticsRequest{}); err != nil || !d.GetStore().GetRefusing() {
		t.Errorf("%v, %v", d.GetStore(), err)
	}
}
