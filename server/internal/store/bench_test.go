package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/d3b0a776/switch/server/internal/store"
)

// plain is a message of 1 KiB as a program sends it.
func plain(sequence uint64) store.Message {
	return store.Message{
		Queue: 1, Sequence: sequence, Body: make([]byte, 1024), Sender: "01234567-89ab", Sent: noon.UnixNano(),
		Headers: []store.Header{{Key: "traceparent", Value: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}},
	}
}

// Commits of 64 messages of 1 KiB to the disk of the temporary directory, each
// synced; with acks, the 64 before are deleted in the same batch.
func BenchmarkCommit(b *testing.B) {
	for _, acks := range []bool{false, true} {
		b.Run(fmt.Sprintf("acks=%v", acks), func(b *testing.B) {
			d := open(b, nil, b.TempDir())
			begin(b, d)
			const messages = 64
			m := plain(0)
			b.ReportAllocs()
			for b.Loop() {
				batch := d.NewBatch()
				for range messages {
					m.Sequence++
					batch.PutMessage(&m)
					if acks && m.Sequence > messages {
						old := m
						old.Sequence -= messages
						batch.DeleteMessage(&old)
					}
				}
				batch.PutStat(1, store.Stat{Messages: messages, Bytes: messages << 10}, 0)
				batch.PutSequence(m.Sequence)
				if err := batch.Commit(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(m.Sequence)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// What a message costs before the disk.
func BenchmarkPutMessage(b *testing.B) {
	d := open(b, nil, b.TempDir())
	m := plain(0)
	batch := d.NewBatch()
	b.ReportAllocs()
	for b.Loop() {
		m.Sequence++
		batch.PutMessage(&m)
		if batch.Size() > 60<<10 {
			batch.Reset()
		}
	}
}

func BenchmarkMessages(b *testing.B) {
	d := open(b, nil, b.TempDir())
	const messages = 100_000
	m := plain(0)
	for m.Sequence < messages {
		commit(b, d, func(batch *store.Batch) {
			for range 1000 {
				m.Sequence++
				batch.PutMessage(&m)
			}
		})
	}
	read := 0
	b.ReportAllocs()
	for from := uint64(1); b.Loop(); {
		through, err := d.Messages(1, from, messages, 256, 1<<20, func(*store.Message) { read++ })
		if err != nil {
			b.Fatal(err)
		}
		if from = through + 1; from > messages {
			from = 1
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "messages/s")
}

// Opening and starting with a backlog of 200 MiB; each time it was closed well.
func BenchmarkReopen(b *testing.B) {
	dir := b.TempDir()
	d := open(b, nil, dir)
	m := plain(0)
	for range 200 {
		commit(b, d, func(batch *store.Batch) {
			for range 1000 {
				m.Sequence++
				batch.PutMessage(&m)
			}
		})
	}
	b.ResetTimer()
	for range b.N {
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
		var err error
		if d, err = store.Open(dir, store.Options{}); err != nil {
			b.Fatal(err)
		}
		if _, err := d.Start(time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
}
