package client_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

func resizer() *client.ServiceInfo {
	return &client.ServiceInfo{Name: "resize", Version: "1.2.3", Description: "makes pictures smaller", Instance: "i1", AnswersPings: true,
		Metadata: map[string]string{"region": "eu"},
		Methods: []client.MethodInfo{{Name: "Resize", RequestType: "Picture", ResponseType: "Picture", ClientStreaming: true, ServerStreaming: true, Description: "one"},
			{Name: "Sizes"}}}
}

// services are all that are known to a switch.
func services(t *testing.T, sw *servertest.Switch, prefix string) (all []client.ServiceInstance) {
	t.Helper()
	c, err := client.New(client.Config{Conn: sw.Conn()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for in, err := range c.Admin().Services(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, in)
	}
	return all
}

// What a consumer says of itself is known, and after a lost connection what was
// counted still is.
func TestServiceIsKnown(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		worker, l := w.dial(client.Config{Name: "worker"})
		got := w.subscribe(worker, "q", client.ConsumeOptions{Service: resizer()})
		w.send("q", "x")
		d := got.next(t)
		time.Sleep(2 * time.Second)
		if err := d.AckWait(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			all := services(t, w.sw, "res")
			if len(all) != 1 {
				t.Fatalf("the services are %+v", all)
			}
			in := all[0]
			if in.Queue != "q" || in.SessionName != "worker" || !in.Connected || in.Credit != 64 || in.Age < 2*time.Second || !reflect.DeepEqual(in.Info, *resizer()) {
				t.Errorf("it is %+v", in)
			}
			if st := in.Stats; st.Delivered != 1 || st.Acked != 1 || st.Busy != 2*time.Second || st.Mean() != 2*time.Second {
				t.Errorf("it counts %+v", st)
			}
			l.cut()
			time.Sleep(time.Second)
			if all := services(t, w.sw, ""); len(all) != 1 || all[0].Connected {
				t.Errorf("cut off it is %+v", all)
			}
			l.join(w.sw.Conn())
			time.Sleep(5 * time.Second)
		}
	})
}

// A restart forgets what consumers said, so they say it again: those that go on in
// their session, and those that begin anew.
func TestServiceIsSaidAgain(t *testing.T) {
	for name, durable := range map[string]bool{"session kept": true, "session lost": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cfg server.Config
				if durable {
					cfg.DataDir = t.TempDir()
				}
				w := newWorld(t, cfg)
				got := w.subscribe(w.c, "q", client.ConsumeOptions{Service: resizer(), Create: &client.QueueOptions{}})
				before := services(t, w.sw, "")
				if err := w.sw.Close(); err != nil {
					t.Fatal(err)
				}
				again := servertest.New(t, cfg)
				if all := services(t, again, ""); len(all) != 0 {
					t.Errorf("before it is back there is %+v", all)
				}
				w.line.join(again.Conn())
				time.Sleep(30 * time.Second)
				all := services(t, again, "")
				if len(before) != 1 || len(all) != 1 || !reflect.DeepEqual(all[0].Info, before[0].Info) {
					t.Errorf("it was %+v and is %+v", before, all)
				}
				select {
				case err := <-got.ended:
					t.Errorf("the subscription ended: %v", err)
				default:
				}
			})
		})
	}
}

// What can't be said is refused before it is sent, or by the switch, and harms no
// other verb.
func TestServiceIsRefused(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		for _, bad := range []*client.ServiceInfo{
			{},
			{Name: "a\nb"},
			{Name: "s", Description: strings.Repeat("d", 17_000)},
			{Name: "s", Version: "\xff"},
			{Name: "s", Methods: []client.MethodInfo{{}}},
		} {
			_, err := w.c.Subscribe(t.Context(), "q", client.ConsumeOptions{Service: bad}, client.SubscriptionHandler{Deliver: func(*client.Delivery) {}})
			wantError(t, err, client.ErrInvalid, codes.InvalidArgument)
		}
		w.send("q", "x")
	})
}

func TestServiceAsJSON(t *testing.T) {
	b, err := json.Marshal(client.ServiceInstance{Info: client.ServiceInfo{Name: "s"}, Queue: "q", Age: time.Second,
		Stats: client.ServiceStats{Delivered: 3, Replied: 2, Busy: 3 * time.Millisecond, LastFailureAge: time.Minute}})
	want := `{"info":{"name":"s","answers_pings":false},"queue":"q","consumer":0,"session_name":"","connected":false,"holding":0,"credit":0,` +
		`"stats":{"delivered":3,"replied":2,"failed":0,"acked":0,"returned":0,"ended":0,"busy_us":3000,"mean_us":1500,"last_failure_age_ms":60000},"age_ms":1000}`
	if string(b) != want || err != nil {
		t.Errorf("got  %s, %v\nwant %s", b, err, want)
	}
}
