package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/server/datadir"
)

const restoreDescription = `
Makes a data directory from a backup: a file as the verb backup writes it, standard input if it is
-, or an unpacked one. The directory must be empty or missing. The backup is checked, all of it,
before it is moved to its place; then a switch can be started on it.

What was sent or acked after the backup was taken is not in it: messages that were acked since
will be delivered again.`

func (sh *shell) restoreCommand() *cli.Command {
	return &cli.Command{
		Name: "restore", Category: groupKeep, Usage: "make a data directory from a backup",
		ArgsUsage:   "FILE --data-dir DIR\nDIR --data-dir DIR",
		Description: restoreDescription,
		Flags: flags(
			&cli.StringFlag{Name: "data-dir", EnvVars: []string{"SWITCH_DATA_DIR"}, Usage: "`DIR`: the directory to make; empty or missing"},
			sh.outputFlag(formatTable, formatJSON, formatJSONL)),
		Action: sh.restore,
	}
}

func (sh *shell) restore(c *cli.Context) error {
	words, err := sh.words(c, "FILE")
	if err != nil {
		return err
	}
	dir := c.String("data-dir")
	if dir == "" {
		return usage("--data-dir is missing: where shall the data directory be?").hint("type: %s restore %s --data-dir DIR", sh.name, quoteWord(words[0]))
	}
	files, err := sh.backupFiles(words[0])
	if err != nil {
		return err
	}
	p := &progress{sh: sh, what: "checked"}
	r, err := datadir.Restore(dir, files, p.update)
	p.end()
	switch {
	case err != nil:
		return err
	case !r.Good():
		return fmt.Errorf("nothing was restored: %w", sh.printReport(words[0], r))
	case sh.wantsJSON():
		return sh.json(r)
	}
	sh.notice("%s is restored and checked: %s in %s; to start a switch on it, type: %s serve --data-dir %s", dir,
		plural(r.Messages, "message"), plural(r.Queues, "queue"), sh.name, quoteWord(dir))
	return nil
}

// backupFiles are the files of a backup in any of its forms.
func (sh *shell) backupFiles(from string) (iter.Seq2[datadir.File, error], error) {
	if from == "-" {
		if sh.inTerm {
			return nil, usage("a backup is no text to type; give a FILE, or send one to standard input")
		}
		return tarFiles(sh.in, "standard input"), nil
	}
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return datadir.Files(from), nil
	}
	return func(yield func(datadir.File, error) bool) {
		f, err := os.Open(from)
		if err != nil {
			yield(datadir.File{}, err)
			return
		}
		defer func() { _ = f.Close() }() // it was read only
		tarFiles(f, from)(yield)
	}, nil
}

// tarFiles are those that the verb backup has put into a tar.
func tarFiles(r io.Reader, name string) iter.Seq2[datadir.File, error] {
	return func(yield func(datadir.File, error) bool) {
		in, whole := tar.NewReader(r), false
		for {
			h, err := in.Next()
			switch {
			case errors.Is(err, io.EOF) && whole:
				return
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				err = errCutShort(name)
			case errors.Is(err, tar.ErrHeader):
				err = fmt.Errorf("%s is no backup: it is not a tar as the verb backup writes it", name)
			case err == nil && h.Name == completeName:
				whole = true
				continue
			case err == nil && h.Typeflag != tar.TypeReg:
				err = fmt.Errorf("%s is no backup: it holds %q, which is no file", name, h.Name)
			}
			if err != nil {
				yield(datadir.File{}, err)
				return
			}
			if !yield(datadir.File{Name: h.Name, Reader: cutShort{in, name}}, nil) {
				return
			}
		}
	}
}

// cutShort is a file in a tar, which tells that the tar ends within it.
type cutShort struct {
	in   io.Reader
	name string
}

// Read is part of io.Reader.
func (c cutShort) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCutShort(c.name)
	}
	return n, err
}

func errCutShort(name string) error {
	return fmt.Errorf("the backup %s was cut short: its end is missing; use another one", name)
}
