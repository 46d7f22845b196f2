package server

import (
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
)

// pieceBytes is how much of a file one stream message carries.
const pieceBytes = 256 << 10

// Backup streams a copy of the data directory. The copy is one of links, and
// lasts as long as the stream: what is merged or deleted meanwhile takes its
// space until then.
func (a *adminService) Backup(_ *pb.BackupRequest, stream grpc.ServerStreamingServer[pb.BackupResponse]) error {
	if _, err := a.s.principal(stream.Context()); err != nil {
		return a.s.status(err)
	}
	began := time.Now()
	c, err := a.s.engine.Backup(stream.Context())
	if err != nil {
		return a.s.status(err)
	}
	err = sendCopy(stream, c)
	if bad := c.Close(); bad != nil {
		a.s.log.Warn("a backup's copy can't be removed; it goes with the next start", "err", bad)
	}
	if err != nil {
		return a.s.status(err)
	}
	a.s.log.Info("backed up", "files", len(c.Files), "bytes", c.Bytes, "took", time.Since(began))
	return nil
}

func sendCopy(stream grpc.ServerStreamingServer[pb.BackupResponse], c *engine.Copy) error {
	buf := make([]byte, pieceBytes)
	for _, f := range c.Files {
		if err := sendFile(stream, c, f, buf); err != nil {
			return err
		}
	}
	return stream.Send(&pb.BackupResponse{TotalBytes: uint64(c.Bytes), Done: true})
}

// sendFile sends the pieces of one file; at least one.
func sendFile(stream grpc.ServerStreamingServer[pb.BackupResponse], c *engine.Copy, f engine.CopyFile, buf []byte) (err error) {
	in, err := c.Open(f.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	piece := &pb.BackupResponse{File: f.Name, FileBytes: uint64(f.Bytes), TotalBytes: uint64(c.Bytes)}
	for rest := f.Bytes; ; {
		part := buf[:min(rest, int64(len(buf)))]
		if _, err := io.ReadFull(in, part); err != nil {
			return err
		}
		piece.Data = part
		if err := stream.Send(piece); err != nil {
			return err
		}
		if rest -= int64(len(part)); rest == 0 {
			return nil
		}
		piece = &pb.BackupResponse{TotalBytes: uint64(c.Bytes)}
	}
}
