package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// stranger is a connection that keeps to no rules.
type stranger struct {
	*scene
	net.Conn
	*http2.Framer
}

// withStranger plays with a stranger on the port of a switch, while others go
// on.
func withStranger(t *testing.T, play func(*stranger)) {
	s := newScene(t, forms[0], transports[1], server.Config{})
	defer s.goOn()()
	conn, err := net.Dial("tcp", s.sw.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	play(&stranger{s, conn, http2.NewFramer(conn, conn)})
}

func (s *stranger) writes(text string) {
	s.Helper()
	if _, err := s.Write([]byte(text)); err != nil {
		s.Fatal(err)
	}
}

// shownOut says that the switch closes the connection, of its own accord.
func (s *stranger) shownOut() {
	s.Helper()
	if _, err := io.Copy(io.Discard, s.Conn); err != nil {
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			s.Error("the connection stays open")
		}
	}
}

// shakesHands begins HTTP/2 as one should.
func (s *stranger) shakesHands() {
	s.Helper()
	s.writes(http2.ClientPreface)
	if err := errors.Join(s.WriteSettings(), s.WriteSettingsAck()); err != nil {
		s.Fatal(err)
	}
}

// calls opens a stream for a method.
func (s *stranger) calls(stream uint32, method string, headers ...hpack.HeaderField) error {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: method}, {Name: ":authority", Value: "x"},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	}, headers...) {
		if err := enc.WriteField(h); err != nil {
			return err
		}
	}
	first := block.Next(16 << 10)
	err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndHeaders: block.Len() == 0})
	for block.Len() > 0 && err == nil {
		next := block.Next(16 << 10)
		err = s.WriteContinuation(stream, block.Len() == 0, next)
	}
	return err
}

// hears reads frames until one is as it should be.
func (s *stranger) hears(what string, is func(http2.Frame) bool) {
	s.Helper()
	for {
		f, err := s.ReadFrame()
		if err != nil {
			s.Fatalf("no %s: %v", what, err)
		}
		if is(f) {
			return
		}
	}
}

// What does not speak HTTP/2 is shown out.
func TestOtherProtocols(t *testing.T) {
	for name, text := range map[string]string{
		"garbage":             strings.Repeat("\x00\xff\x80garbage", 1000),
		"an HTTP/1.1 request": "GET / HTTP/1.1\r\nHost: switch\r\nConnection: keep-alive\r\n\r\n",
		"a TLS hello":         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("r", 600),
		"a preface and more":  http2.ClientPreface + strings.Repeat("\xff", 64),
	} {
		t.Run(name, func(t *testing.T) {
			withStranger(t, func(s *stranger) {
				s.writes(text)
				s.shownOut()
			})
		})
	}
}

// Who begins to shake hands and falls silent is shown out, too.
func TestHalfOpen(t *testing.T) {
	for name, text := range map[string]string{
		"saying nothing":      "",
		"in the preface":      http2.ClientPreface[:10],
		"before the settings": http2.ClientPreface,
		"within the settings": http2.ClientPreface + "\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, forms[0], server.Config{}, func(s *scene) {
				began := time.Now()
				conn, err := s.sw.Dial(s.Context())
				if err != nil {
					s.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				go func() { _, _ = conn.Write([]byte(text)) }() // ends with the connection
				_, _ = io.Copy(io.Discard, conn)
				if took := time.Since(began); took != server.ConnectionTimeout {
					s.Errorf("it stayed for %v", took)
				}
			})
		})
	}
}

// A connection has a bound of streams; the others are refused, not queued.
func TestTooManyStreams(t *testing.T) {
	const many = 10_000
	withStranger(t, func(s *stranger) {
		s.shakesHands()
		failed := make(chan error, 1)
		go func() { // ends when all is written
			for i := range uint32(many) {
				if err := s.calls(2*i+1, pb.DataService_Attach_FullMethodName); err != nil {
					failed <- err
					return
				}
			}
			failed <- s.WritePing(false, [8]byte{42})
		}()
		refused := 0
		s.hears("answer to the ping behind all", func(f http2.Frame) bool {
			if rst, ok := f.(*http2.RSTStreamFrame); ok && rst.ErrCode == http2.ErrCodeRefusedStream {
				refused++
			}
			ping, ok := f.(*http2.PingFrame)
			return ok && ping.IsAck() && ping.Data[0] == 42
		})
		if err := <-failed; err != nil || refused != many-server.MaxStreams {
			s.Errorf("%d streams of %d were refused: %v", refused, many, err)
		}
	})
}

// Headers of a call have a bound.
func TestHugeHeaders(t *testing.T) {
	withStranger(t, func(s *stranger) {
		s.shakesHands()
		if err := s.calls(1, pb.DataService_Login_FullMethodName, hpack.HeaderField{Name: "x", Value: strings.Repeat("v", 2*server.MaxHeaderBytes)}); err != nil {
			s.Fatal(err)
		}
		s.shownOut()
		// A client of gRPC is told by its own library.
		ctx := metadata.AppendToOutgoingContext(s.Context(), "x", strings.Repeat("v", 2*server.MaxHeaderBytes))
		_, err := s.tryLogin(ctx, &pb.LoginRequest{})
		s.has(s.isRefusal(err, codes.Internal, pb.Reason_REASON_UNSPECIFIED).GetMessage(), fmt.Sprint(server.MaxHeaderBytes))
	})
}

// Who pings all the time is shown out.
func TestTooManyPings(t *testing.T) {
	withStranger(t, func(s *stranger) {
		s.shakesHands()
		for i := range byte(10) {
			if err := s.WritePing(false, [8]byte{i}); err != nil {
				break // it is closed already
			}
		}
		s.hears("farewell", func(f http2.Frame) bool {
			away, ok := f.(*http2.GoAwayFrame)
			return ok && away.ErrCode == http2.ErrCodeEnhanceYourCalm
		})
		s.shownOut()
	})
}

// A message that says it is 4 GiB long is refused before it comes.
func TestLyingLength(t *testing.T) {
	withStranger(t, func(s *stranger) {
		s.shakesHands()
		if err := s.calls(1, pb.DataService_Send_FullMethodName); err != nil {
			s.Fatal(err)
		}
		if err := s.WriteData(1, false, []byte{0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3}); err != nil {
			s.Fatal(err)
		}
		dec := hpack.NewDecoder(4096, nil)
		s.hears("trailers", func(f http2.Frame) bool {
			h, ok := f.(*http2.HeadersFrame)
			if !ok {
				return false
			}
			fields, err := dec.DecodeFull(h.HeaderBlockFragment())
			if err != nil {
				s.Fatal(err)
			}
			for _, field := range fields {
				if field.Name == "grpc-status" {
					if field.Value != fmt.Sprint(int(codes.ResourceExhausted)) {
						s.Errorf("the status is %v", fields)
					}
					return true
				}
			}
			return false
		})
	})
}

// Who hangs up in the middle of a message leaves nothing behind.
func TestHalfACall(t *testing.T) {
	withStranger(t, func(s *stranger) {
		s.shakesHands()
		if err := errors.Join(s.calls(1, pb.DataService_Send_FullMethodName), s.WriteData(1, false, []byte{0, 0, 0, 1, 0, 1, 2, 3}),
			s.calls(3, pb.DataService_Attach_FullMethodName), s.WriteData(3, false, []byte{0, 0, 0, 1, 0, 1, 2, 3})); err != nil {
			s.Fatal(err)
		}
		_ = s.Close()
	})
}

// What is not a method of the switch's is unimplemented.
func TestUnknownMethod(t *testing.T) {
	withStranger(t, func(s *stranger) {
		err := s.dial().Invoke(s.Context(), "/messageswitch.v1.DataService/Delete", &pb.LoginRequest{}, &pb.LoginResponse{})
		s.has(s.isRefusal(refusalOf(err), codes.Unimplemented, pb.Reason_REASON_UNSPECIFIED).GetMessage(), "Delete")
	})
}
