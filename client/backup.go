package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// BackupPiece is a part of one file of a backup.
type BackupPiece struct {
	// File is the file's name: it has no directory in it. A file's pieces come one
	// after the other; there is at least one.
	File string
	// FileBytes is the size of the whole file.
	FileBytes uint64
	// Offset is where in the file Data belongs.
	Offset uint64
	// Data are the next bytes. They may be kept.
	Data []byte
	// TotalBytes is the size of all files together.
	TotalBytes uint64
}

// errCopyCut says that a stream of a backup ended too early, or makes no sense.
func errCopyCut(format string, args ...any) error {
	return &Error{Code: codes.DataLoss, Message: "the backup is not whole: " + fmt.Sprintf(format, args...) + "; try again"}
}

// Backup reads a copy of the switch's data directory, as it was when the call
// came: what was answered before it is in it. The switch goes on meanwhile. Without
// an error at its end the copy is complete: every file is as long as it was said
// to be.
func (a *Admin) Backup(ctx context.Context) iter.Seq2[BackupPiece, error] {
	return func(yield func(BackupPiece, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := admin(ctx, a, &pb.BackupRequest{}, a.service.Backup)
		var c copied
		for err == nil {
			var res *pb.BackupResponse
			switch res, err = stream.Recv(); {
			case errors.Is(err, io.EOF):
				err = errCopyCut("the switch has not said that it is")
			case err != nil:
				err = fromCall(err, a.client.addr)
			case res.GetDone():
				if err = c.end(res); err == nil {
					return
				}
			default:
				var piece BackupPiece
				if piece, err = c.piece(res); err == nil && !yield(piece, nil) {
					return
				}
			}
		}
		yield(BackupPiece{}, err)
	}
}

// copied is how far a backup has come.
type copied struct {
	file        string
	size, have  uint64 // of the file
	total, seen uint64 // of all
}

// piece reads one part.
func (c *copied) piece(res *pb.BackupResponse) (BackupPiece, error) {
	if name := res.GetFile(); name != "" {
		if err := c.whole(); err != nil {
			return BackupPiece{}, err
		}
		if !plainName(name) {
			return BackupPiece{}, errCopyCut("a file is named %q", name)
		}
		c.file, c.size, c.have, c.total = name, res.GetFileBytes(), 0, res.GetTotalBytes()
	}
	p := BackupPiece{File: c.file, FileBytes: c.size, Offset: c.have, Data: res.GetData(), TotalBytes: c.total}
	c.have += uint64(len(p.Data))
	c.seen += uint64(len(p.Data))
	if c.file == "" || c.have > c.size {
		return BackupPiece{}, errCopyCut("file %q has more than its %d bytes", c.file, c.size)
	}
	return p, nil
}

// whole says whether the file is complete.
func (c *copied) whole() error {
	if c.have != c.size {
		return errCopyCut("file %q has %d of its %d bytes", c.file, c.have, c.size)
	}
	return nil
}

func (c *copied) end(res *pb.BackupResponse) error {
	if err := c.whole(); err != nil {
		return err
	}
	if c.seen != res.GetTotalBytes() {
		return errCopyCut("it has %d of %d bytes", c.seen, res.GetTotalBytes())
	}
	return nil
}

// plainName says whether a file's name leads nowhere else.
func plainName(name string) bool {
	for _, r := range name {
		if r == '/' || r == '\\' || r == 0 || r == ':' {
			return false
		}
	}
	return name != "" && name != "." && name != ".."
}
