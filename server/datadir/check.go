package datadir

import (
	"errors"
	"strings"

	"github.com/d3b0a776/switch/server/internal/store"
)

// A Report is what Check has found.
type Report struct {
	Tables   int `json:"tables"` // files that were read
	Queues   int `json:"queues"`
	Messages int `json:"messages"`
	Bytes    int `json:"bytes"`    // of the messages' bodies
	Requests int `json:"requests"` // messages that somebody waited for in person
	Sessions int `json:"sessions"`
	Keyed    int `json:"keyed"` // calls with a key, running or answered
	// Problems say what is wrong, in the order in which it was found. None: all is
	// well.
	Problems []string `json:"problems"`
}

// Good reports whether nothing is wrong.
func (r *Report) Good() bool { return len(r.Problems) == 0 }

// Check reads all of a data directory, down to the checksum of each block, and
// says whether the records are whole and fit together. A directory that is in use,
// or is none of a switch, is an error. Progress, if not nil, is told how many bytes of the
// work are done; the total is an estimate, and grows.
func Check(dir string, progress func(done, total uint64)) (*Report, error) {
	r, err := store.Check(dir, store.Options{}, progress)
	if errors.Is(err, store.ErrCorrupt) {
		text, _, _ := strings.Cut(err.Error(), "\n") // what follows says it again
		return &Report{Problems: []string{text}}, nil
	}
	if err != nil {
		return nil, err
	}
	return &Report{Tables: r.Tables, Queues: r.Queues, Messages: r.Messages, Bytes: r.Bytes, Requests: r.Requests,
		Sessions: r.Sessions, Keyed: r.Keyed, Problems: append([]string{}, r.Problems...)}, nil
}
