package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const backupDescription = `
Copies the data directory of a running switch, as it is when the call comes, to this machine. The
switch goes on meanwhile; it keeps the space of what it deletes until the copy is read.

FILE is a tar, and - is standard output. A directory that exists, or a name that ends in /, gets the
files as they are: it is a data directory then. Nothing is overwritten; the copy stands under its
name once it is complete and on disk. What it holds is secret: the messages, and the key that
signs the sessions. To make use of it, see restore; to look into it, check and dump.`

func (sh *shell) backupCommand() *cli.Command {
	return &cli.Command{
		Name: "backup", Category: groupKeep, Usage: "copy the data directory of a running switch",
		ArgsUsage:   "FILE\nDIR/",
		Description: backupDescription,
		Flags:       flags(sh.outputFlag(formatTable, formatJSON, formatJSONL), addrFlag()),
		Action:      sh.backup,
	}
}

// backedUp is what backup did, as a document.
type backedUp struct {
	Backup string `json:"backup"`
	Files  int    `json:"files"`
	Bytes  uint64 `json:"bytes"`
}

func (sh *shell) backup(c *cli.Context) error {
	words, err := sh.words(c, "FILE")
	if err != nil {
		return err
	}
	to, err := sh.backupTo(words[0])
	if err != nil {
		return err
	}
	err = sh.withAdmin(c, func(a *client.Admin) error {
		done, err := sh.copyBackup(c.Context, a, to)
		if err != nil {
			return err
		}
		done.Backup = words[0]
		if words[0] == "-" {
			return nil // standard output is the backup
		}
		return sh.done(done, "%s: %s in %s", words[0], byteSize(done.Bytes), plural(done.Files, "file"))
	})
	return errors.Join(err, to.abandon())
}

// copyBackup reads a backup to its end.
func (sh *shell) copyBackup(ctx context.Context, a *client.Admin, to backupSink) (backedUp, error) {
	var done backedUp
	p := &progress{sh: sh, what: "copied"}
	defer p.end()
	for piece, err := range a.Backup(ctx) {
		if err != nil {
			return done, err
		}
		if piece.Offset == 0 {
			done.Files++
			if err := to.begin(piece.File, piece.FileBytes); err != nil {
				return done, err
			}
		}
		if err := to.write(piece.Data); err != nil {
			return done, err
		}
		done.Bytes += uint64(len(piece.Data))
		p.update(done.Bytes, piece.TotalBytes)
	}
	return done, to.finish(done)
}

// backupTo says where a backup goes, and refuses what is there.
func (sh *shell) backupTo(word string) (backupSink, error) {
	if word == "-" {
		if sh.outTerm {
			return nil, usage("a backup is no text for a terminal; give a FILE, or send standard output to one")
		}
		return newTarSink(sh.out), nil
	}
	info, err := os.Stat(word)
	switch {
	case err == nil && info.IsDir():
		entries, err := os.ReadDir(word)
		if err != nil {
			return nil, err
		}
		if len(entries) > 0 {
			return nil, usage("%s is there and holds something, and nothing is overwritten; give another name", word)
		}
		return newDirSink(word)
	case err == nil:
		return nil, usage("%s is there, and nothing is overwritten; give another name", word)
	case strings.HasSuffix(word, "/"):
		return newDirSink(word)
	}
	return newFileSink(word)
}
