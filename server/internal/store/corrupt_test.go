package store_test

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/d3b0a776/switch/server/internal/store"
)

// files are the contents of a store's directory.
func files(t *testing.T, fs vfs.FS) map[string][]byte {
	t.Helper()
	names, err := fs.List("store")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		f, err := fs.Open("store/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if all[name], err = io.ReadAll(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return all
}

// disk is a file system that holds files.
func disk(t *testing.T, all map[string][]byte) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	if err := fs.MkdirAll("store", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range all {
		f, err := fs.Create("store/"+name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(slices.Clone(content)); err != nil { // a Write may change what it is given
			t.Fatal(err)
		}
		f.Close()
	}
	return fs
}

// outcome says what a store on a damaged disk does: nothing (it is as it was),
// an error, or an earlier state.
func (h *history) outcome(fs vfs.FS) (state int, err error) {
	d, err := store.Open("store", store.Options{FS: fs, MemTableBytes: smallTables, Failed: func(error) {}})
	if err != nil {
		return 0, err
	}
	defer d.Close()
	m, err := recovered(d)
	if err != nil {
		return 0, err
	}
	return slices.Index(h.states, m.state()), nil
}

// Bytes of every file are damaged, or the file is cut. The store then is as it
// was, or refuses to open, or fails a read. What is lost without a word is said
// in docs/on-disk-format.md: the last batch of the newest log, all behind a cut
// of that, and what a cut or the last record of the MANIFEST take along.
func TestDamage(t *testing.T) {
	s := seed(t)
	mem := vfs.NewCrashableMem()
	h := newHistory(s)
	d, err := store.Open("store", store.Options{FS: mem, MemTableBytes: smallTables})
	if err != nil {
		t.Fatal(err)
	}
	begin(t, d)
	if err := h.run(d, 100); err != nil {
		t.Fatal(err)
	}
	all := files(t, mem.CrashClone(vfs.CrashCloneCfg{})) // the log has its last batches
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	samples := 25
	if slow() {
		samples = 3000
	}
	rng := random(s, 5)
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names {
		content := all[name]
		same, refused, lost := 0, 0, 0
		for range min(samples, 2*len(content)) {
			at, cut := rng.IntN(len(content)), rng.IntN(4) == 0
			damaged := slices.Clone(content)
			if damaged[at] ^= 1 << rng.IntN(8); cut {
				damaged = damaged[:at]
			}
			all[name] = damaged
			state, err := h.outcome(disk(t, all))
			switch {
			case cut && strings.HasPrefix(name, "MANIFEST"):
				lost++ // or refused; or what is left doesn't fit together
			case err != nil:
				refused++
				if !strings.Contains(err.Error(), name) && !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrFormat) {
					t.Errorf("%s, byte %d, cut %v: the error does not name it: %v", name, at, cut, err)
				}
			case state == len(h.states)-1:
				same++
			case strings.HasSuffix(name, ".log") && (cut && state >= 0 || state == len(h.states)-2):
				lost++
			case strings.HasPrefix(name, "MANIFEST") && at > len(content)-200:
				lost++
			default:
				t.Errorf("%s, byte %d of %d, cut %v: state %d of %d", name, at, len(content), cut, state, len(h.states)-1)
			}
		}
		all[name] = content
		t.Logf("%-40s %7d bytes: %3d the same, %3d refused, %3d lost", name, len(content), same, refused, lost)
	}
}

// Check finds damage in each table, and names the table.
func TestCheckFindsDamage(t *testing.T) {
	s := seed(t)
	mem := vfs.NewMem()
	h := newHistory(s)
	d, err := store.Open("store", store.Options{FS: mem, MemTableBytes: smallTables})
	if err != nil {
		t.Fatal(err)
	}
	begin(t, d)
	if err := errors.Join(h.run(d, 60), d.Flush(), d.Close()); err != nil {
		t.Fatal(err)
	}
	all := files(t, mem)
	rng := random(s, 6)
	tables := 0
	for name, content := range all {
		if ext(name) != "sst" {
			continue
		}
		damaged := slices.Clone(content)
		damaged[rng.IntN(len(damaged))] ^= 1 << rng.IntN(8)
		all[name] = damaged
		r, err := store.Check("store", store.Options{FS: disk(t, all)}, nil)
		var said string
		if r != nil {
			said = strings.Join(r.Problems, " ")
		} else {
			said = err.Error()
		}
		if strings.Contains(said, strings.TrimSuffix(name, ".sst")) {
			tables++
		} else if said != "" { // nothing: an obsolete table, which is not read
			t.Errorf("%s is damaged, and Check says %s", name, said)
		}
		all[name] = content
	}
	if tables == 0 {
		t.Error("no damage was found")
	}
}
