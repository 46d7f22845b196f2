package client_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
)

func TestAdminSeesEverything(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		a := w.c.Admin()
		if _, err := w.c.Create(t.Context(), "q", client.QueueOptions{MaxAttempts: 3, Lease: time.Minute, MaxAge: time.Hour, Overflow: client.DropOldest}); err != nil {
			t.Fatal(err)
		}
		x := w.caller()
		x.request("q")
		w.send("q", "waits")
		worker, _ := w.dial(client.Config{Name: "worker"})
		w.subscribe(worker, "q", client.ConsumeOptions{Credit: 1}).next(t)
		time.Sleep(10 * time.Second)

		d, err := a.Describe(t.Context(), "q")
		if err != nil || d.Options.MaxAttempts != 3 || d.Options.Lease != time.Minute || d.Options.MaxAge != time.Hour ||
			d.Options.Overflow != client.DropOldest || d.Options.Durability != client.Memory || d.Age < 10*time.Second ||
			d.Counters.Sent != 2 || len(d.Consumers) != 1 || d.Consumers[0].SessionName != "worker" || d.Consumers[0].Holding != 1 {
			t.Errorf("describe: %+v, %v", d, err)
		}
		ms, err := a.Peek(t.Context(), "q", 0)
		if err != nil || len(ms) != 2 {
			t.Fatalf("peek: %+v, %v", ms, err)
		}
		i := slices.IndexFunc(ms, func(m client.MessageInfo) bool { return m.State == client.MessageLeased })
		if i < 0 || ms[i].Caller != client.CallerWaiting || ms[i].Holder != "worker" || ms[i].Held != 10*time.Second || !ms[i].HolderConnected {
			t.Errorf("the leased request: %+v", ms)
		}
		if m := ms[1-i]; m.State != client.MessageWaiting || string(m.Body) != "waits" || m.Sender != "test" || m.Caller != "" {
			t.Errorf("the waiting message: %+v", m)
		}
		dg, err := a.Diagnostics(t.Context(), 0)
		i = slices.IndexFunc(dg.Queues, func(q client.QueueDiagnosis) bool { return q.Summary.Queue == "q" })
		if err != nil || i < 0 || dg.Queues[i].Health != client.HealthRunning || len(dg.Queues[i].Messages) != 2 || len(dg.Sessions) != 2 ||
			dg.DefaultDurability != client.Memory || dg.ServerVersion != w.c.ServerVersion() || !dg.Started.Equal(time.Now().Add(-dg.Uptime)) {
			t.Errorf("diagnostics: %+v, %v", dg, err)
		}
		if n, err := a.Purge(t.Context(), "q", ms[0].MessageID, ms[1].MessageID); n != 2 || err != nil {
			t.Errorf("purged %d, %v", n, err)
		}
		x.wants("1 failed: PURGED")
		_, err = a.Describe(t.Context(), "nowhere")
		wantError(t, err, client.ErrQueueNotFound, codes.NotFound)
	})
}

func TestTraceFollows(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.send("q", "one")
		var kinds []client.TraceKind
		var last uint64
		for e, err := range w.c.Admin().Trace(t.Context(), client.TraceQuery{Queue: "q"}) {
			if err != nil {
				t.Fatal(err)
			}
			kinds, last = append(kinds, e.Kind), e.Number
		}
		if !slices.Equal(kinds, []client.TraceKind{client.TraceCreated, client.TraceSent}) {
			t.Errorf("traced %v", kinds)
		}
		go func() { // the loop below waits for what it does
			time.Sleep(time.Minute)
			w.send("q", "two")
		}()
		for e, err := range w.c.Admin().Trace(t.Context(), client.TraceQuery{Queue: "q", After: last, Follow: true}) {
			if err != nil || e.Kind != client.TraceSent || string(e.BodyPrefix) != "two" || e.Sender != "test" || !e.Time.Equal(time.Now()) {
				t.Errorf("then %+v, %v", e, err)
			}
			break
		}
		synctest.Wait()
	})
}

// TestJSON is what -o json of the command prints; scripts rely on the names.
func TestJSON(t *testing.T) {
	for want, value := range map[string]any{
		`{"durability":"durable","max_messages":0,"max_bytes":0,"overflow":"default","max_attempts":0,"dead_letter_queue":"","no_dead_letter":false,"max_age_ms":1500,"lease_ms":0}`: client.QueueOptions{Durability: client.Durable, MaxAge: 1500 * time.Millisecond},
		`"oldest_age_ms":60000`:                          client.QueueSummary{OldestAge: time.Minute},
		`"age_ms":1000`:                                  client.QueueDescription{Age: time.Second},
		`"summary":{"queue":"q"`:                         client.QueueDescription{Summary: client.QueueSummary{Queue: "q"}},
		`"held_ms":2000`:                                 client.MessageInfo{Held: 2 * time.Second},
		`"uptime_ms":3000`:                               client.Diagnostics{Uptime: 3 * time.Second},
		`"expires_ms":4000`:                              client.SessionInfo{Expires: 4 * time.Second},
		`"took_ms":0.25`:                                 client.TraceEvent{Took: 250 * time.Microsecond},
		`"health":"never started"`:                       client.QueueDiagnosis{Health: client.HealthNeverStarted},
		`"message_id":"7","duplicate":true,"durability"`: client.Receipt{MessageID: "7", Duplicate: true},
	} {
		got, err := json.Marshal(value)
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%T is %s, %v; want %s in it", value, got, err, want)
		}
	}
}
