package frames

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// ruinPool ruins what comes back, so that what came back too early is not what
// arrives.
type ruinPool struct {
	back chan *[]byte // never closed
}

func newRuinPool() *ruinPool { return &ruinPool{back: make(chan *[]byte, 1000)} }

func (p *ruinPool) Get(n int) *[]byte { b := make([]byte, n, max(n, 2048)); return &b }

func (p *ruinPool) Put(b *[]byte) {
	for i := range *b {
		(*b)[i] = 0xee
	}
	p.back <- b
}

func (p *ruinPool) outgoing(data []byte) *Outgoing {
	b := p.Get(len(data))
	copy(*b, data)
	return &Outgoing{Data: b, Pool: p}
}

// returned waits until n have come back, each once.
func (p *ruinPool) returned(t *testing.T, n int) {
	t.Helper()
	seen := make(map[*[]byte]bool)
	for range n {
		select {
		case b := <-p.back:
			if seen[b] {
				t.Error("a message came back twice")
			}
			seen[b] = true
		case <-time.After(10 * time.Second): // a bound, not a wait
			t.Fatalf("%d of %d messages came back", len(seen), n)
		}
	}
}

// none says that no more have come back. It is for when nobody holds any.
func (p *ruinPool) none(t *testing.T) {
	t.Helper()
	if n := len(p.back); n > 0 {
		t.Errorf("%d messages came back once too often", n)
	}
}

// echo is a service of two methods: it sends back what it gets, as it came, and
// answers a Drain with twice its bound.
type echo struct{ pool *ruinPool }

func (e *echo) stream(_ any, ss grpc.ServerStream) error {
	var in Incoming
	for {
		if err := ss.RecvMsg(&in); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		out := e.pool.outgoing(in.Bytes())
		in.Free()
		if err := ss.SendMsg(out); err != nil {
			return err
		}
	}
}

func (e *echo) unary(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var req pb.Drain
	if err := decode(&req); err != nil {
		return nil, err
	}
	return &pb.Drain{BoundMs: 2 * req.BoundMs}, nil
}

var echoStream = grpc.StreamDesc{StreamName: "Stream", ServerStreams: true, ClientStreams: true}

// dial starts an echo and connects to it. stop ends both; no buffer is held then.
func dial(t *testing.T, pool *ruinPool) (conn *grpc.ClientConn, stop func()) {
	t.Helper()
	e := &echo{pool: pool}
	both := echoStream
	both.Handler = e.stream
	s := grpc.NewServer(grpc.ForceServerCodecV2(Codec{}))
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "Echo",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: e.unary}},
		Streams:     []grpc.StreamDesc{both},
	}, e)
	l := bufconn.Listen(1 << 16)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }() // stop waits for it
	conn, err := grpc.NewClient("passthrough:///echo", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	return conn, func() {
		conn.Close()
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

func TestCodecOverAStream(t *testing.T) {
	server, client := newRuinPool(), newRuinPool()
	conn, stop := dial(t, server)
	ss, err := conn.NewStream(t.Context(), &echoStream, "/Echo/Stream", grpc.ForceCodecV2(Codec{}))
	if err != nil {
		t.Fatal(err)
	}
	// The last ones are larger than a stream's window, and than a frame of HTTP/2.
	sizes := []int{0, 1, 1000, 1025, 5000, 16_384, 70_000, 300_000, 3}
	var in Incoming
	for i, size := range sizes {
		data := bytes.Repeat([]byte{byte(i + 1)}, size)
		must(ss.SendMsg(client.outgoing(data)))
		must(ss.RecvMsg(&in))
		if !bytes.Equal(in.Bytes(), data) {
			t.Errorf("%d bytes came back as %d others", size, len(in.Bytes()))
		}
		in.Free()
	}
	must(ss.CloseSend())
	if err := ss.RecvMsg(&in); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	server.returned(t, len(sizes))
	client.returned(t, len(sizes))
	stop()
	server.none(t)
	client.none(t)
}

// Frames of ours arrive at a peer that has the generated code only, and back.
func TestCodecMeetsPlainProtobuf(t *testing.T) {
	server := newRuinPool()
	conn, stop := dial(t, server)
	defer stop()
	ss, err := conn.NewStream(t.Context(), &echoStream, "/Echo/Stream")
	if err != nil {
		t.Fatal(err)
	}
	in, out := requests()[0], new(pb.AttachRequest)
	must(ss.SendMsg(in))
	must(ss.RecvMsg(out))
	if !proto.Equal(in, out) {
		t.Errorf("%v came back as %v", in, out)
	}
	for _, option := range [][]grpc.CallOption{nil, {grpc.ForceCodecV2(Codec{})}} {
		var res pb.Drain
		must(conn.Invoke(t.Context(), "/Echo/Unary", &pb.Drain{BoundMs: 21}, &res, option...))
		if res.BoundMs != 42 {
			t.Errorf("the answer is %v", &res)
		}
	}
}

// What a lost stream leaves unsent comes back as well.
func TestOutgoingOfALostStream(t *testing.T) {
	server, client := newRuinPool(), newRuinPool()
	conn, stop := dial(t, server)
	ctx, cancel := context.WithCancel(t.Context())
	ss, err := conn.NewStream(ctx, &echoStream, "/Echo/Stream", grpc.ForceCodecV2(Codec{}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // nobody reads the echo, which is more than the window takes
		must(ss.SendMsg(client.outgoing(make([]byte, 60_000))))
	}
	cancel()
	client.returned(t, 2)
	stop()
	client.none(t)
	if n := len(server.back); n > 2 {
		t.Errorf("%d of 2 messages came back", n)
	}
}

// gRPC does not give back what is smaller than its threshold.
func TestSmallOutgoingIsLeftToTheCollector(t *testing.T) {
	for size, want := range map[int]int{1024: 0, 1025: 1} {
		pool := newRuinPool()
		data := make([]byte, 10, size)
		out, err := Codec{}.Marshal(&Outgoing{Data: &data, Pool: pool})
		must(err)
		out.Free()
		if got := len(pool.back); got != want {
			t.Errorf("of %d bytes, %d came back", size, got)
		}
	}
}

func TestIncomingHoldsItsMemory(t *testing.T) {
	pool := newRuinPool()
	data := mem.BufferSlice{mem.NewBuffer(pool.outgoing([]byte("message")).Data, pool)}
	var in Incoming
	must(Codec{}.Unmarshal(data, &in))
	data.Free() // as gRPC does when Unmarshal returns
	if string(in.Bytes()) != "message" {
		t.Errorf("read %q", in.Bytes())
	}
	in.Free()
	pool.returned(t, 1)
	in.Free()
	pool.none(t)

	parts := mem.BufferSlice{mem.SliceBuffer("in "), mem.SliceBuffer("parts")}
	must(Codec{}.Unmarshal(parts, &in))
	if string(in.Bytes()) != "in parts" {
		t.Errorf("read %q", in.Bytes())
	}
	in.Free()
	must(Codec{}.Unmarshal(nil, &in))
	if len(in.Bytes()) != 0 {
		t.Errorf("read %q", in.Bytes())
	}
	in.Free()
}

func TestCodecIsProtobufForTheRest(t *testing.T) {
	plain := encoding.GetCodecV2("proto")
	if (Codec{}).Name() != plain.Name() {
		t.Errorf("the codec's name is %q", Codec{}.Name())
	}
	got, err := Codec{}.Marshal(typicalAck)
	must(err)
	if want := encoded(typicalAck); !bytes.Equal(got.Materialize(), want) {
		t.Errorf("%x is not %x", got.Materialize(), want)
	}
	var back pb.AckRequest
	must(Codec{}.Unmarshal(got, &back))
	if !proto.Equal(&back, typicalAck) {
		t.Errorf("read %v", &back)
	}
	if _, err := (Codec{}).Marshal("text"); err == nil {
		t.Error("what is no message has been encoded")
	}
	if err := (Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer{8}}, &back); err == nil {
		t.Error("half a message has been decoded")
	}
}
