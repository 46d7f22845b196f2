package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A log of Pebble (a write-ahead log or a MANIFEST) is blocks of 32 KiB of
// chunks. Where a chunk is bad, Pebble takes the log to end there, as it does
// after a crash. It suspects damage only in a write-ahead log, and only when a
// later block says how far the log had been synced, which it notes a batch late: a
// bad byte near the end, or in the MANIFEST, would take everything behind it along
// without a word. So before Pebble opens a store we look for a record behind the
// bad chunk: each record is written only after the one before was synced.
const logBlock = 32 << 10

// A logForm is what the chunks of a log look like: a checksum of 4 bytes, the
// length of the payload in 2, a type, and in a write-ahead log its number in 4
// bytes and the offset up to which it had been synced in 8.
type logForm struct {
	header      int  // bytes
	first, last byte // types
	numbered    bool // chunks have number and offset
	number      uint32
}

// walForm is that of logs since Pebble's FormatWALSyncChunks. The file of an
// earlier log may be used again, so chunks of other numbers are not part of it.
func walForm(number uint32) logForm {
	return logForm{header: 19, first: 9, last: 12, number: number, numbered: true}
}

var manifestForm = logForm{header: 7, first: 1, last: 4}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunk is the size of the chunk that b begins with, or 0 if that is none.
func (f logForm) chunk(b []byte) int {
	if len(b) < f.header || b[6] < f.first || b[6] > f.last {
		return 0
	}
	if f.numbered && binary.LittleEndian.Uint32(b[7:]) != f.number {
		return 0
	}
	size := f.header + int(binary.LittleEndian.Uint16(b[4:]))
	if size > len(b) {
		return 0
	}
	sum := crc32.Checksum(b[6:size], castagnoli)
	if bits.RotateLeft32(sum, 17)+0xa282ead8 != binary.LittleEndian.Uint32(b) {
		return 0 // the rotation and the number are part of the format
	}
	return size
}

// begins says whether b begins with the first chunk of a record: whatever is
// before it had been synced then.
func (f logForm) begins(b []byte) bool {
	return f.chunk(b) > 0 && (b[6] == f.first || b[6] == f.first+1)
}

// intact is the offset up to which a log consists of good chunks.
func (f logForm) intact(log []byte) int {
	at := 0
	for at < len(log) {
		block := log[at:min(at-at%logBlock+logBlock, len(log))]
		if size := f.chunk(block); size > 0 {
			at += size
		} else if len(block) < f.header && len(block) < len(log)-at {
			at += len(block) // the rest of a block that has no room for a chunk
		} else {
			return at
		}
	}
	return at
}

// damage is the offset of a bad chunk with proof behind it that it was good.
func (f logForm) damage(log []byte) (at int, found bool) {
	bad := f.intact(log)
	for i := bad + 1; i < len(log); i++ {
		block := log[i:min(i-i%logBlock+logBlock, len(log))]
		if f.begins(block) {
			return bad, true
		}
	}
	return 0, false
}

// checkLogs refuses a store whose MANIFEST or newest write-ahead log is damaged
// where Pebble would take that for its end. In the older logs Pebble takes none.
func checkLogs(vf vfs.FS, dir string) error {
	names, err := vf.List(dir)
	if err != nil {
		return err
	}
	manifest, wal, newest := "", "", uint64(0)
	for _, name := range names {
		if strings.HasPrefix(name, manifestMarker) {
			manifest = name[strings.LastIndexByte(name, '.')+1:]
		}
		number, err := strconv.ParseUint(strings.TrimSuffix(name, ".log"), 10, 64)
		if strings.HasSuffix(name, ".log") && err == nil && number >= newest {
			wal, newest = name, number
		}
	}
	if err := manifestForm.check(vf, dir, manifest); err != nil {
		return err
	}
	return walForm(uint32(newest)).check(vf, dir, wal)
}

func (f logForm) check(vf vfs.FS, dir, name string) error {
	if name == "" {
		return nil
	}
	file, err := vf.Open(vf.PathJoin(dir, name))
	if err != nil {
		return nil // Pebble says it better
	}
	log, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if at, found := f.damage(log); found {
		return fmt.Errorf("file %s is %w at byte %d: what follows was written after that had been synced; "+
			"restore the store from a copy", name, ErrCorrupt, at)
	}
	return nil
}
