package server

import (
	"crypto/rand"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// The verbs as both sides use them: unary calls and frames. Each applies one
// operation under the lock that tx holds.

func (s *Server) create(tx *engine.Tx, id queue.SessionID, req *pb.CreateRequest) (*pb.CreateResponse, error) {
	if err := checkEnums(req.GetOptions()); err != nil {
		return nil, err
	}
	op := &queue.Create{Session: id, Queue: req.GetQueue(), Options: options(req.GetOptions())}
	if req.GetQueue() == "" {
		o := req.GetOptions()
		limits := &pb.QueueOptions{MaxMessages: o.GetMaxMessages(), MaxBytes: o.GetMaxBytes()}
		if o.GetDurability() == pb.Durability_DURABILITY_MEMORY {
			limits.Durability = o.GetDurability()
		}
		if o != nil && !proto.Equal(o, limits) {
			return nil, invalid("a temporary queue takes no options but max_messages and max_bytes; leave the others out, or give the queue a name")
		}
		op.Temporary, op.Queue = true, queue.TemporaryPrefix+rand.Text()
	}
	fx, err := tx.Apply(op)
	if err != nil {
		return nil, err
	}
	return &pb.CreateResponse{Queue: fx.Queue.Name, Created: fx.Created, Options: pbOptions(fx.Queue.Options)}, nil
}

func (s *Server) destroy(tx *engine.Tx, id queue.SessionID, req *pb.DestroyRequest) (*pb.DestroyResponse, error) {
	fx, err := tx.Apply(&queue.Destroy{Session: id, Queue: req.GetQueue()})
	if err != nil {
		return nil, err
	}
	return &pb.DestroyResponse{Messages: uint64(fx.Count)}, nil
}

// subscribe makes or resumes a consumer that pushes to sink; nil means that it
// is pulled from.
func (s *Server) subscribe(tx *engine.Tx, id queue.SessionID, req *pb.SubscribeRequest, sink any) (*pb.SubscribeResponse, error) {
	if err := checkEnums(req.GetCreate()); err != nil {
		return nil, err
	}
	op := &queue.Subscribe{
		Session:       id,
		Queue:         req.GetQueue(),
		Consumer:      queue.ConsumerID(req.GetConsumer()),
		Credit:        int(req.GetCredit()),
		CreditBytes:   toInt(req.GetCreditBytes()),
		Lease:         millis(req.GetLeaseMs()),
		Create:        req.GetCreate() != nil,
		CreateOptions: options(req.GetCreate()),
		AfterLease:    queue.Lease(req.GetAfterLease()),
		Sink:          sink,
	}
	if err := service(op, req.GetService()); err != nil {
		return nil, err
	}
	fx, err := tx.Apply(op)
	if err != nil {
		return nil, err
	}
	return &pb.SubscribeResponse{Consumer: uint64(fx.Consumer.ID), LeaseMs: fx.Consumer.Lease.Milliseconds()}, nil
}

func (s *Server) unsubscribe(tx *engine.Tx, id queue.SessionID, req *pb.UnsubscribeRequest) (*pb.UnsubscribeResponse, error) {
	_, err := tx.Apply(&queue.Unsubscribe{Session: id, Consumer: queue.ConsumerID(req.GetConsumer())})
	return &pb.UnsubscribeResponse{}, err
}

func (s *Server) nack(tx *engine.Tx, id queue.SessionID, req *pb.NackRequest) (*pb.NackResponse, error) {
	kinds := map[pb.NackKind]queue.NackKind{
		pb.NackKind_NACK_KIND_UNSPECIFIED: queue.Retry,
		pb.NackKind_NACK_KIND_RETRY:       queue.Retry,
		pb.NackKind_NACK_KIND_RELEASE:     queue.Release,
		pb.NackKind_NACK_KIND_REJECT:      queue.Refuse,
	}
	kind, ok := kinds[req.GetKind()]
	if !ok {
		return nil, invalid("kind is %d: it must be retry, release or reject", req.GetKind())
	}
	fx, err := tx.Apply(&queue.Nack{Session: id, Leases: leases(req.GetLeases()), Kind: kind,
		Delay: millis(req.GetDelayMs()), Cause: req.GetCause()})
	if err != nil {
		return nil, err
	}
	return &pb.NackResponse{Nacked: uint64(fx.Count), Failures: s.refusals(fx)}, nil
}

func (s *Server) extend(tx *engine.Tx, id queue.SessionID, req *pb.ExtendRequest) (*pb.ExtendResponse, error) {
	fx, err := tx.Apply(&queue.Extend{Session: id, Leases: leases(req.GetLeases()), Lease: millis(req.GetLeaseMs())})
	if err != nil {
		return nil, err
	}
	return &pb.ExtendResponse{Extended: uint64(fx.Count), Failures: s.refusals(fx), Cancelled: numbers(fx.CallersGone)}, nil
}

func (s *Server) cancel(tx *engine.Tx, id queue.SessionID, req *pb.CancelRequest) (*pb.CancelResponse, error) {
	fx, err := tx.Apply(&queue.Cancel{Session: id, ReplyTo: req.GetReplyTo(), CorrelationID: req.GetCorrelationId()})
	if err != nil {
		return nil, err
	}
	return &pb.CancelResponse{State: map[queue.CancelState]pb.CancelState{
		queue.CancelUnknown:   pb.CancelState_CANCEL_STATE_UNKNOWN,
		queue.CancelWithdrawn: pb.CancelState_CANCEL_STATE_WITHDRAWN,
		queue.CancelRunning:   pb.CancelState_CANCEL_STATE_RUNNING,
		queue.CancelLeft:      pb.CancelState_CANCEL_STATE_LEFT,
	}[fx.Cancel]}, nil
}

func (s *Server) join(tx *engine.Tx, id queue.SessionID, req *pb.JoinRequest) (*pb.JoinResponse, error) {
	op := &queue.Join{Session: id, Queue: req.GetQueue(), Key: req.GetKey(), ReplyTo: req.GetReplyTo(), CorrelationID: req.GetCorrelationId()}
	if req.GetMessageId() != "" {
		var err error
		if op.ID, err = queue.ParseID(req.GetMessageId()); err != nil {
			return nil, err
		}
	}
	fx, err := tx.Apply(op)
	if err != nil {
		return nil, err
	}
	return &pb.JoinResponse{MessageId: fx.ID.String(), Queue: fx.Queue.Name, Answered: fx.Answered}, nil
}

func (s *Server) logout(tx *engine.Tx, id queue.SessionID, _ *pb.LogoutRequest) (*pb.LogoutResponse, error) {
	_, err := tx.Apply(&queue.Logout{Session: id})
	return &pb.LogoutResponse{}, err
}

func ackResponse(s *Server, fx *queue.Effects) *pb.AckResponse {
	return &pb.AckResponse{Acked: uint64(fx.Count), Failures: s.refusals(fx)}
}

// durability is what a message of q has achieved; a duplicate whose queue is
// gone has achieved what the first one did, which nobody knows any more.
func durability(q *queue.Queue) pb.Durability {
	if q == nil {
		return pb.Durability_DURABILITY_UNSPECIFIED
	}
	return pb.Durability(q.Options.Durability)
}

func (s *Server) refusals(fx *queue.Effects) []*pb.LeaseFailure {
	var out []*pb.LeaseFailure
	for _, r := range fx.Refused {
		out = append(out, &pb.LeaseFailure{Lease: uint64(r.Lease), Failure: s.failure(r.Err)})
	}
	return out
}

// malformed says which message of the protocol could not be read.
func malformed(what string) error {
	return &queue.Error{Kind: frames.ErrMalformed, Text: what + " can't be read: it is not protobuf, or a string in it is not UTF-8"}
}

// invalid is an INVALID_ARGUMENT that only the translation can see.
func invalid(format string, args ...any) error {
	return &queue.Error{Kind: queue.ErrInvalid, Text: fmt.Sprintf(format, args...)}
}

// errAnswerLost leaves it open whether the request has run.
var errAnswerLost = status.Error(codes.Unavailable, "the switch was restarted, and has lost the answer to the request")

// answerLost refuses a request that was sent before, and whose answer will not come
// any more.
func answerLost(tx *engine.Tx, op *queue.Send, fx *queue.Effects) error {
	if fx.Duplicate && tx.State().AnswerLost(op, fx.ID) {
		return errAnswerLost
	}
	return nil
}
