package server

import (
	"context"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// dataService is DataService: its unary verbs here, Transfer in poll.go and
// Attach in attach.go.
type dataService struct {
	pb.UnimplementedDataServiceServer
	s *Server
}

// unary does one verb for the session that its request names, and waits until
// what it answers is on disk.
func unary[Req interface{ GetSession() string }, Res any](ctx context.Context, s *Server, req Req,
	do func(*engine.Tx, queue.SessionID, Req) (Res, error),
) (res Res, err error) {
	var none Res
	principal, err := s.principal(ctx)
	if err != nil {
		return none, s.status(err)
	}
	res, wait, err := underLock(s, func(tx *engine.Tx) (res Res, wait *engine.Ticket, err error) {
		id, err := s.session(tx, req.GetSession(), principal)
		if err == nil {
			res, err = do(tx, id, req)
		}
		if err == nil {
			wait = tx.Ticket()
		}
		return res, wait, err
	})
	if err == nil {
		err = wait.Wait(ctx)
	}
	if err != nil {
		return none, s.status(err)
	}
	return res, nil
}

// underLock does f under the engine's lock.
func underLock[Res any](s *Server, f func(*engine.Tx) (Res, *engine.Ticket, error)) (Res, *engine.Ticket, error) {
	var tx engine.Tx
	s.engine.Begin(&tx)
	defer tx.End()
	return f(&tx)
}

func (d *dataService) Login(ctx context.Context, req *pb.LoginRequest) (*pb.LoginResponse, error) {
	principal, err := d.s.principal(ctx)
	if err != nil {
		return nil, d.s.status(err)
	}
	var tx engine.Tx
	d.s.engine.Begin(&tx)
	defer tx.End()
	_, res, err := d.s.login(&tx, req, principal)
	if err != nil {
		return nil, d.s.status(err)
	}
	return res, nil
}

func (d *dataService) Logout(ctx context.Context, req *pb.LogoutRequest) (*pb.LogoutResponse, error) {
	return unary(ctx, d.s, req, d.s.logout)
}

func (d *dataService) Create(ctx context.Context, req *pb.CreateRequest) (*pb.CreateResponse, error) {
	return unary(ctx, d.s, req, d.s.create)
}

func (d *dataService) Destroy(ctx context.Context, req *pb.DestroyRequest) (*pb.DestroyResponse, error) {
	return unary(ctx, d.s, req, d.s.destroy)
}

func (d *dataService) Send(ctx context.Context, req *pb.SendRequest) (*pb.SendResponse, error) {
	var digest [16]byte
	if req.GetKey() != "" {
		digest = queue.DigestOf(req.GetBody()) // without the lock
	}
	return unary(ctx, d.s, req, func(tx *engine.Tx, id queue.SessionID, req *pb.SendRequest) (*pb.SendResponse, error) {
		if err := checkEnums(req.GetCreate()); err != nil {
			return nil, err
		}
		parent, err := parentID(req.GetParent())
		if err != nil {
			return nil, err
		}
		op := queue.Send{
			Session:         id,
			Queue:           req.GetQueue(),
			Body:            req.GetBody(),
			Headers:         headers(headersOf(req.GetHeaders())),
			CorrelationID:   req.GetCorrelationId(),
			ReplyTo:         req.GetReplyTo(),
			Timeout:         millis(req.GetTimeoutMs()),
			Producer:        string(req.GetProducer()),
			Sequence:        req.GetSequence(),
			Create:          req.GetCreate() != nil,
			CreateOptions:   options(req.GetCreate()),
			RequireConsumer: req.GetRequireConsumer(),
			MaxAttempts:     int(req.GetMaxAttempts()),
			Stream:          req.GetStream(),
			Key:             req.GetKey(),
			Digest:          digest,
			KeyTTL:          millis(req.GetKeyTtlMs()),
			Parent:          parent,
			StartWithin:     millis(req.GetStartMs()),
		}
		fx, err := tx.Apply(&op)
		if err != nil {
			return nil, err
		}
		if err := answerLost(tx, &op, fx); err != nil {
			return nil, err
		}
		return &pb.SendResponse{MessageId: fx.ID.String(), Duplicate: fx.Duplicate, Durability: durability(fx.Queue), Joined: fx.Joined}, nil
	})
}

func (d *dataService) Subscribe(ctx context.Context, req *pb.SubscribeRequest) (*pb.SubscribeResponse, error) {
	return unary(ctx, d.s, req, func(tx *engine.Tx, id queue.SessionID, req *pb.SubscribeRequest) (*pb.SubscribeResponse, error) {
		if req.GetAfterLease() != 0 {
			return nil, invalid("after_lease is for streams; a poller gives it to Transfer")
		}
		return d.s.subscribe(tx, id, req, nil)
	})
}

func (d *dataService) Unsubscribe(ctx context.Context, req *pb.UnsubscribeRequest) (*pb.UnsubscribeResponse, error) {
	return unary(ctx, d.s, req, d.s.unsubscribe)
}

func (d *dataService) Ack(ctx context.Context, req *pb.AckRequest) (*pb.AckResponse, error) {
	return unary(ctx, d.s, req, func(tx *engine.Tx, id queue.SessionID, req *pb.AckRequest) (*pb.AckResponse, error) {
		fx, err := tx.Apply(&queue.Ack{Session: id, Leases: leases(req.GetLeases()),
			Consumer: queue.ConsumerID(req.GetConsumer()), Through: queue.Lease(req.GetThrough()), Sync: req.GetSync()})
		if err != nil {
			return nil, err
		}
		return ackResponse(d.s, fx), nil
	})
}

func (d *dataService) Nack(ctx context.Context, req *pb.NackRequest) (*pb.NackResponse, error) {
	return unary(ctx, d.s, req, d.s.nack)
}

func (d *dataService) Extend(ctx context.Context, req *pb.ExtendRequest) (*pb.ExtendResponse, error) {
	return unary(ctx, d.s, req, d.s.extend)
}

func (d *dataService) Reply(ctx context.Context, req *pb.ReplyRequest) (*pb.ReplyResponse, error) {
	return unary(ctx, d.s, req, func(tx *engine.Tx, id queue.SessionID, req *pb.ReplyRequest) (*pb.ReplyResponse, error) {
		m := frames.Reply{Lease: req.GetLease(), Headers: headersOf(req.GetHeaders()), Parts: req.GetParts()}
		if req.GetFailure() != nil {
			m.Failure = marshal(req.GetFailure())
		}
		var op queue.Reply
		if err := replyOp(&op, &m); err != nil {
			return nil, err
		}
		op.Session, op.Body = id, req.GetBody()
		fx, err := tx.Apply(&op)
		if err != nil {
			return nil, err
		}
		if err := fx.Undelivered(op.Lease); err != nil {
			return nil, err
		}
		return &pb.ReplyResponse{}, nil
	})
}

func (d *dataService) Join(ctx context.Context, req *pb.JoinRequest) (*pb.JoinResponse, error) {
	return unary(ctx, d.s, req, d.s.join)
}

func (d *dataService) Cancel(ctx context.Context, req *pb.CancelRequest) (*pb.CancelResponse, error) {
	return unary(ctx, d.s, req, d.s.cancel)
}

func (d *dataService) Part(ctx context.Context, req *pb.PartRequest) (*pb.PartResponse, error) {
	return unary(ctx, d.s, req, func(tx *engine.Tx, id queue.SessionID, req *pb.PartRequest) (*pb.PartResponse, error) {
		m := frames.Part{Lease: req.GetLease(), Headers: headersOf(req.GetHeaders()), ReplyTo: req.GetReplyTo(),
			CorrelationID: req.GetCorrelationId(), Part: req.GetPart(), End: req.GetEnd(), Ask: req.GetAsk()}
		var op queue.Part
		partOp(&op, &m)
		op.Session, op.Body = id, req.GetBody()
		fx, err := tx.Apply(&op)
		if err != nil {
			return nil, err
		}
		return partResponse(fx.Half), nil
	})
}
