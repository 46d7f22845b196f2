package server_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

// The zero Config is a complete switch, and what is too large is cut.
func TestConfig(t *testing.T) {
	for _, c := range []struct {
		config  server.Config
		payload uint64
	}{
		{server.Config{}, 1 << 20},
		{server.Config{MaxPayload: 7}, 7},
		{server.Config{MaxPayload: -1}, 1 << 20},
		{server.Config{MaxPayload: 1 << 30}, server.MaxPayloadLimit},
	} {
		res, err := pb.NewDataServiceClient(servertest.New(t, c.config).Conn()).Login(t.Context(), &pb.LoginRequest{})
		if err != nil || res.GetMaxPayloadBytes() != c.payload || res.GetServerVersion() == "" {
			t.Errorf("%+v: Login says %v (%v)", c.config, res, err)
		}
	}
}

// A token is good for its principal alone, in every call.
func TestPrincipals(t *testing.T) {
	inFakeTime(t, forms[0], byName, func(s *scene) {
		alice, err := s.tryLogin(as(s.Context(), "alice"), &pb.LoginRequest{})
		if err != nil {
			s.Fatal(err)
		}
		c, token := pb.NewDataServiceClient(s.dial()), alice.session.GetSession()
		for who, want := range map[string]codes.Code{"alice": codes.OK, "bob": codes.PermissionDenied} {
			ctx := as(s.Context(), who)
			_, created := c.Create(ctx, &pb.CreateRequest{Session: token, Queue: "q"})
			_, sent := c.Send(ctx, &pb.SendRequest{Session: token, Queue: "q", Create: &pb.QueueOptions{}})
			_, subscribed := c.Subscribe(ctx, &pb.SubscribeRequest{Session: token, Queue: "q", Create: &pb.QueueOptions{}})
			for _, err := range []error{created, sent, subscribed} {
				if want == codes.OK && err != nil {
					s.Errorf("%s: %v", who, err)
				} else if want != codes.OK {
					s.isRefusal(refusalOf(err), want, pb.Reason_REASON_SESSION_NOT_YOURS)
				}
			}
		}
	})
}

// A journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// The log tells the life of the switch, and no secret of anybody.
func TestLog(t *testing.T) {
	var j journal
	cfg := byName
	cfg.Logger = slog.New(slog.NewTextHandler(&j, &slog.HandlerOptions{Level: slog.LevelDebug}))
	inFakeTime(t, forms[0], cfg, func(s *scene) {
		ctx := as(s.Context(), "root")
		p, err := s.tryLogin(ctx, &pb.LoginRequest{Name: "p"})
		if err != nil {
			s.Fatal(err)
		}
		token, c := p.session.GetSession(), pb.NewAdminServiceClient(s.dial())
		_, sent := pb.NewDataServiceClient(s.dial()).Send(ctx, &pb.SendRequest{Session: token, Queue: "q", Body: []byte("sesame"),
			Headers: map[string]string{"password": "sesame"}, Create: &pb.QueueOptions{}})
		_, purged := c.Purge(ctx, &pb.PurgeRequest{Queue: "q"})
		_, nobody := c.List(s.Context(), &pb.ListRequest{})
		_, shut := c.Shutdown(ctx, &pb.ShutdownRequest{})
		if err := errors.Join(sent, purged, shut); err != nil || nobody == nil {
			s.Error(err, nobody)
		}
		s.pass(time.Second)
		text := j.String()
		s.has(text, "msg=purged queue=q messages=1", "who are you?", "msg=draining", "msg=stopped")
		if strings.Contains(text, "sesame") || strings.Contains(text, token) {
			s.Errorf("the log tells a secret:\n%s", text)
		}
	})
}
