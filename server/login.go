package server

import (
	"context"
	"strings"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// protocolVersion is the one that this switch speaks.
const protocolVersion = 1

// principal is who makes the call of ctx.
func (s *Server) principal(ctx context.Context) (string, error) {
	if s.config.Authenticate == nil {
		return "", nil
	}
	return s.config.Authenticate(ctx)
}

// session finds the live session of a token, for a principal.
func (s *Server) session(tx *engine.Tx, token, principal string) (queue.SessionID, error) {
	if token == "" {
		return 0, errSessionRequired
	}
	id, err := s.engine.ParseToken(token)
	if err != nil {
		return 0, err
	}
	sess := tx.State().Session(id)
	switch {
	case sess == nil:
		return 0, &queue.Error{Kind: queue.ErrSessionEnded, Text: "the session has ended; log in again"}
	case sess.Principal != principal:
		return 0, &queue.Error{Kind: queue.ErrSessionNotYours, Text: "the session belongs to another principal; log in yourself"}
	}
	return id, nil
}

// login opens or resumes a session. The answer lacks what only Attach knows.
func (s *Server) login(tx *engine.Tx, req *pb.LoginRequest, principal string) (queue.SessionID, *pb.LoginResponse, error) {
	if v := req.GetProtocolVersion(); v != 0 && v < protocolVersion {
		return 0, nil, errVersion
	}
	id, resumed, err := s.open(tx, req, principal)
	if err != nil {
		return 0, nil, err
	}
	sess := tx.State().Session(id)
	res := &pb.LoginResponse{
		ProtocolVersion: protocolVersion,
		Session:         s.engine.Token(id),
		TtlMs:           sess.TTL.Milliseconds(),
		GraceMs:         sess.Grace.Milliseconds(),
		Resumed:         resumed,
		MaxPayloadBytes: uint64(s.config.MaxPayload),
		ServerVersion:   s.config.Version,
	}
	sess.Pending(func(p queue.Pending) {
		res.Pending = append(res.Pending, &pb.PendingRequest{CorrelationId: p.CorrelationID, ReplyTo: p.ReplyTo, Queue: p.Queue, Running: p.Running})
	})
	return id, res, nil
}

func (s *Server) open(tx *engine.Tx, req *pb.LoginRequest, principal string) (id queue.SessionID, resumed bool, err error) {
	if req.GetSession() != "" {
		if id, err = s.session(tx, req.GetSession(), principal); err != nil {
			return 0, false, err
		}
		_, err = tx.Apply(&queue.Renew{Session: id})
		return id, true, err
	}
	id = tx.State().NewSessionID()
	_, err = tx.Apply(&queue.Login{
		Session:   id,
		Name:      strings.Clone(req.GetName()),
		Principal: principal,
		TTL:       millis(req.GetTtlMs()),
		Grace:     millis(req.GetGraceMs()),
		Producer:  string(req.GetProducer()),
	})
	return id, false, err
}
