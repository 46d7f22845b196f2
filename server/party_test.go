package server_test

import (
	"context"
	"errors"
	"strings"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// A party is one session in a scene. Its methods end the test when something
// goes otherwise than they say.
type party struct {
	*scene
	driver
	name    string
	session *pb.LoginResponse
}

// ask does a verb that may be refused.
func ask[Res proto.Message](p *party, verb proto.Message) (Res, error) {
	var none Res
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	res, err := p.do(ctx, verb)
	if err != nil {
		return none, err
	}
	return res.(Res), nil
}

// must does a verb that is answered well.
func must[Res proto.Message](p *party, verb proto.Message) Res {
	p.Helper()
	res, err := ask[Res](p, verb)
	if err != nil {
		p.Fatalf("%s: %T: %v", p.name, verb, err)
	}
	return res
}

// refused does a verb that is refused with a reason and its code.
func (p *party) refused(verb proto.Message, code codes.Code, reason pb.Reason) *pb.Failure {
	p.Helper()
	res, err := ask[proto.Message](p, verb)
	if err == nil {
		p.Fatalf("%s: %T was answered %v, not refused with %v", p.name, verb, res, reason)
	}
	return p.isRefusal(err, code, reason)
}

// isRefusal looks at an error that should be a refusal.
func (s *scene) isRefusal(err error, code codes.Code, reason pb.Reason) *pb.Failure {
	s.Helper()
	var r refusal
	if !errors.As(err, &r) || codes.Code(r.GetCode()) != code || r.GetReason() != reason {
		s.Fatalf("got %v, want %v %v", err, code, reason)
	}
	return r.Failure
}

func isReason(err error, reason pb.Reason) bool {
	var r refusal
	return errors.As(err, &r) && r.GetReason() == reason
}

func (p *party) create(queue string, o *pb.QueueOptions) {
	p.Helper()
	must[*pb.CreateResponse](p, &pb.CreateRequest{Queue: queue, Options: o})
}

// temporary makes a temporary queue and serves it, for replies.
func (p *party) temporary() string {
	p.Helper()
	queue := must[*pb.CreateResponse](p, &pb.CreateRequest{}).GetQueue()
	p.subscribe(queue, 100)
	return queue
}

// send sends messages, one after the other, and answers their ids.
func (p *party) send(queue string, bodies ...string) (ids []string) {
	p.Helper()
	for _, b := range bodies {
		ids = append(ids, must[*pb.SendResponse](p, &pb.SendRequest{Queue: queue, Body: []byte(b)}).GetMessageId())
	}
	return ids
}

// request sends a request whose correlation id is its body.
func (p *party) request(queue, replyTo, body string) {
	p.Helper()
	must[*pb.SendResponse](p, &pb.SendRequest{Queue: queue, ReplyTo: replyTo, CorrelationId: body, Body: []byte(body)})
}

func (p *party) subscribe(queue string, credit uint32) (consumer uint64) {
	p.Helper()
	return must[*pb.SubscribeResponse](p, &pb.SubscribeRequest{Queue: queue, Credit: credit}).GetConsumer()
}

func (p *party) unsubscribe(consumer uint64) {
	p.Helper()
	must[*pb.UnsubscribeResponse](p, &pb.UnsubscribeRequest{Consumer: consumer})
}

// take is the next delivery, whatever it is.
func (p *party) take() *pb.Delivery {
	p.Helper()
	return p.takeWithin(patience)
}

func (p *party) takeWithin(wait time.Duration) *pb.Delivery {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), wait+patience)
	defer cancel()
	d, err := p.next(ctx, wait)
	if err != nil {
		p.Fatalf("%s waits for a delivery: %v", p.name, err)
	}
	if d == nil {
		p.Fatalf("%s got no delivery", p.name)
	}
	return d
}

// gets takes deliveries, which have these bodies in this order.
func (p *party) gets(bodies ...string) (ds []*pb.Delivery) {
	p.Helper()
	for _, want := range bodies {
		d := p.take()
		if string(d.GetBody()) != want {
			p.Fatalf("%s got %q, want %q", p.name, d.GetBody(), want)
		}
		ds = append(ds, d)
	}
	return ds
}

// getsOne takes one delivery at an attempt.
func (p *party) getsOne(body string, attempt uint32) *pb.Delivery {
	p.Helper()
	d := p.gets(body)[0]
	if d.GetAttempt() != attempt {
		p.Fatalf("%s got %q at attempt %d, want %d", p.name, body, d.GetAttempt(), attempt)
	}
	return d
}

// getsNothing says that the switch has nothing for p now.
func (p *party) getsNothing() {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	d, err := p.next(ctx, 0)
	if err != nil {
		p.Fatalf("%s looks for a delivery: %v", p.name, err)
	}
	if d != nil {
		p.Fatalf("%s got %q, want nothing", p.name, d.GetBody())
	}
}

// isTold takes the failed reply to a request of p.
func (p *party) isTold(correlation string, code codes.Code, reason pb.Reason) *pb.Failure {
	p.Helper()
	d := p.take()
	f := d.GetFailure()
	if d.GetCorrelationId() != correlation || codes.Code(f.GetCode()) != code || f.GetReason() != reason {
		p.Fatalf("%s was told %v of %q, want %v %v of %q", p.name, f, d.GetCorrelationId(), code, reason, correlation)
	}
	p.ack(d)
	return f
}

func leasesOf(ds []*pb.Delivery) (leases []uint64) {
	for _, d := range ds {
		leases = append(leases, d.GetLease())
	}
	return leases
}

func (p *party) ack(ds ...*pb.Delivery) {
	p.Helper()
	res := must[*pb.AckResponse](p, &pb.AckRequest{Leases: leasesOf(ds)})
	if res.GetAcked() != uint64(len(ds)) {
		p.Fatalf("%s acked %d of %d: %v", p.name, res.GetAcked(), len(ds), res.GetFailures())
	}
}

func (p *party) nack(kind pb.NackKind, ds ...*pb.Delivery) {
	p.Helper()
	must[*pb.NackResponse](p, &pb.NackRequest{Leases: leasesOf(ds), Kind: kind})
}

func (p *party) retry(ds ...*pb.Delivery)   { p.Helper(); p.nack(pb.NackKind_NACK_KIND_RETRY, ds...) }
func (p *party) release(ds ...*pb.Delivery) { p.Helper(); p.nack(pb.NackKind_NACK_KIND_RELEASE, ds...) }
func (p *party) reject(ds ...*pb.Delivery)  { p.Helper(); p.nack(pb.NackKind_NACK_KIND_REJECT, ds...) }

func (p *party) reply(d *pb.Delivery, body string) {
	p.Helper()
	must[*pb.ReplyResponse](p, &pb.ReplyRequest{Lease: d.GetLease(), Body: []byte(body)})
}

// logout ends the session, and the stream with it.
func (p *party) logout() {
	p.Helper()
	must[*pb.LogoutResponse](p, &pb.LogoutRequest{})
}

// dies ends p's connection without a word. The switch has seen it when dies
// returns; a session without a stream ends by its TTL.
func (p *party) dies() {
	p.Helper()
	p.close()
	if p.form.name == "unary" {
		return
	}
	if p.fake {
		synctest.Wait() // the first look sees it: until takes time
	}
	p.until("the switch misses "+p.name, func() bool {
		for _, sess := range admin(p.scene, adminDiagnostics, &pb.DiagnosticsRequest{}).GetSessions() {
			if sess.GetName() == p.name && sess.GetConnected() {
				return false
			}
		}
		return true
	})
}

var adminDiagnostics = pb.AdminServiceClient.Diagnostics

// has says that a text names all of some things.
func (s *scene) has(text string, things ...string) {
	s.Helper()
	for _, thing := range things {
		if !strings.Contains(text, thing) {
			s.Errorf("%q does not name %q", text, thing)
		}
	}
}
