package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A backupSink is where the files of a backup go. Under its name stands nothing
// until finish.
type backupSink interface {
	begin(file string, bytes uint64) error
	write(part []byte) error
	finish(done backedUp) error
	abandon() error // removes what is not finished; does nothing after finish
}

// completeName is the last entry of a backup's tar: without it, it was cut short.
const completeName = "backup-complete"

// A tarSink writes a tar.
type tarSink struct {
	w    *tar.Writer
	made time.Time
}

func newTarSink(w io.Writer) *tarSink { return &tarSink{tar.NewWriter(w), time.Now()} }

func (s *tarSink) begin(file string, bytes uint64) error {
	return s.w.WriteHeader(&tar.Header{Name: file, Size: int64(bytes), Mode: 0o600, ModTime: s.made, Typeflag: tar.TypeReg})
}

func (s *tarSink) write(part []byte) error {
	_, err := s.w.Write(part)
	return err
}

func (s *tarSink) finish(done backedUp) error {
	text := fmt.Sprintf("%d files, %d bytes, %s\n", done.Files, done.Bytes, s.made.UTC().Format(time.RFC3339))
	return errors.Join(s.begin(completeName, uint64(len(text))), s.write([]byte(text)), s.w.Close())
}

func (s *tarSink) abandon() error { return nil }

// A fileSink is a tar in a file.
type fileSink struct {
	*tarSink
	part *os.File // nil after finish
	name string
}

func newFileSink(name string) (*fileSink, error) {
	part, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".partial-*") // mode 0600
	if err != nil {
		return nil, err
	}
	return &fileSink{newTarSink(part), part, name}, nil
}

func (s *fileSink) finish(done backedUp) error {
	if err := errors.Join(s.tarSink.finish(done), s.part.Sync()); err != nil {
		return err
	}
	if err := moveTo(s.part.Name(), s.name); err != nil {
		return err
	}
	err := s.part.Close()
	s.part = nil
	return err
}

func (s *fileSink) abandon() error {
	if s.part == nil {
		return nil
	}
	_ = s.part.Close() // it is removed
	return os.Remove(s.part.Name())
}

// A dirSink unpacks into a directory.
type dirSink struct {
	part string // empty after finish
	name string
	file *os.File
}

func newDirSink(name string) (*dirSink, error) {
	name = filepath.Clean(name)
	part, err := os.MkdirTemp(filepath.Dir(name), filepath.Base(name)+".partial-*") // mode 0700
	if err != nil {
		return nil, err
	}
	return &dirSink{part: part, name: name}, nil
}

func (s *dirSink) begin(file string, _ uint64) (err error) {
	if err := s.closeFile(); err != nil {
		return err
	}
	s.file, err = os.OpenFile(filepath.Join(s.part, file), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return err
}

func (s *dirSink) write(part []byte) error {
	_, err := s.file.Write(part)
	return err
}

func (s *dirSink) closeFile() error {
	f := s.file
	if s.file = nil; f == nil {
		return nil
	}
	return errors.Join(f.Sync(), f.Close())
}

func (s *dirSink) finish(backedUp) error {
	if err := errors.Join(s.closeFile(), syncDir(s.part)); err != nil {
		return err
	}
	if err := os.Remove(s.name); err != nil && !errors.Is(err, os.ErrNotExist) { // it is empty, or was
		return err
	}
	if err := moveTo(s.part, s.name); err != nil {
		return err
	}
	s.part = ""
	return nil
}

func (s *dirSink) abandon() error {
	if s.part == "" {
		return nil
	}
	_ = s.closeFile() // it is removed
	return os.RemoveAll(s.part)
}

// moveTo gives a finished copy its name, durably, unless something came there
// meanwhile.
func moveTo(part, name string) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s is there by now, and nothing is overwritten; give another name", name)
	}
	if err := os.Rename(part, name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
