package queue_test

import (
	"bytes"
	"strings"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// verbs are the commands of the scripts. The first argument of most is the
// session.
var verbs = map[string]func(*script){
	"wait":      (*script).wait,
	"idle":      (*script).idle,
	"show":      (*script).show,
	"list":      (*script).list,
	"sessions":  (*script).listSessions,
	"pending":   (*script).pending,
	"services":  (*script).services,
	"trace":     (*script).trace,
	"sync":      (*script).sync,
	"load":      (*script).load,
	"crash":     (*script).crash,
	"disk":      (*script).showDisk,
	"login":     (*script).login,
	"send":      (*script).send,
	"part":      (*script).part,
	"subscribe": (*script).subscribe,
	"resume":    (*script).resume,
	"pull":      (*script).pull,
	"nack":      (*script).nack,
	"purge":     (*script).purge,
	"renew":     func(s *script) { s.do(&queue.Renew{Session: s.who()}) },
	"attach":    func(s *script) { s.do(&queue.Attach{Session: s.who(), Sink: s.str("stream")}) },
	"retell":    func(s *script) { s.do(&queue.Retell{Session: s.who()}) },
	"detach":    func(s *script) { s.do(&queue.Detach{Session: s.who(), Sink: s.str("stream")}) },
	"logout":    func(s *script) { s.do(&queue.Logout{Session: s.who()}) },
	"destroy":   func(s *script) { s.do(&queue.Destroy{Session: s.who(), Queue: s.at(1)}) },
	"unsubscribe": func(s *script) {
		s.do(&queue.Unsubscribe{Session: s.who(), Consumer: queue.ConsumerID(toInt(s.at(1)))})
	},
	"close-pull": func(s *script) { s.do(&queue.ClosePull{Session: s.who(), Sink: s.str("sink")}) },
	"cancel":     func(s *script) { s.do(&queue.Cancel{Session: s.who(), ReplyTo: s.at(1), CorrelationID: s.at(2)}) },
	"end-call":   (*script).endCall,
	"calls":      (*script).calls,
	"join": func(s *script) {
		op := &queue.Join{Session: s.who(), Queue: s.at(1), Key: s.str("key"), ReplyTo: s.str("reply"), CorrelationID: s.str("corr")}
		if n := s.num("id"); n != 0 {
			op.ID = queue.ID{Epoch: uint64(s.num("epoch")), Sequence: uint64(n)}
		}
		s.do(op)
	},
	"tick":  func(s *script) { s.do(&queue.Tick{}) },
	"drain": func(s *script) { s.do(&queue.Drain{}) },
	"create": func(s *script) {
		s.do(&queue.Create{Session: s.who(), Queue: s.at(1), Temporary: s.has("temporary"), Options: s.options()})
	},
	"ack": func(s *script) {
		s.do(&queue.Ack{Session: s.who(), Leases: s.leases(), Consumer: queue.ConsumerID(s.num("consumer")), Through: queue.Lease(s.num("through")),
			Sync: s.has("sync")})
	},
	"extend": func(s *script) {
		s.do(&queue.Extend{Session: s.who(), Leases: s.leases(), Lease: s.dur("lease")})
	},
	"reply": func(s *script) {
		s.do(&queue.Reply{Session: s.who(), Lease: queue.Lease(toInt(s.at(1))) + s.firstLease(), Body: s.body(), Headers: s.headers(), Failure: []byte(s.str("failure")),
			FailureText: s.str("failure"), Parts: uint64(s.num("parts"))})
	},
}

func (s *script) login() {
	id := s.state.NewSessionID()
	ttl := s.dur("ttl")
	if ttl == 0 {
		ttl = time.Hour // so that scripts about other things need not renew
	}
	s.do(&queue.Login{Session: id, Name: s.at(0), TTL: ttl, Grace: s.dur("grace"), Producer: s.str("producer"),
		Principal: s.str("principal")})
	if s.state.Session(id) != nil {
		s.sessions[s.at(0)] = id
	}
}

func (s *script) options() queue.Options {
	o := queue.Options{MaxMessages: s.num("max-messages"), MaxBytes: s.num("max-bytes"), MaxAge: s.dur("max-age"), MaxAttempts: s.num("max-attempts"),
		DeadLetterQueue: s.str("dead-letter"), NoDeadLetter: s.has("no-dead-letter"), Lease: s.dur("queue-lease")}
	switch {
	case s.has("drop-oldest"):
		o.Overflow = queue.DropOldest
	case s.has("reject"):
		o.Overflow = queue.Reject
	}
	switch {
	case s.has("durable"):
		o.Durability = queue.Durable
	case s.has("memory"):
		o.Durability = queue.Memory
	}
	return o
}

func (s *script) body() []byte {
	if n := s.num("size"); n > 0 {
		return bytes.Repeat([]byte("x"), n)
	}
	return []byte(s.str("body"))
}

// headers are given as key:value.
func (s *script) headers() (hs []queue.Header) {
	for _, pair := range s.strs("headers") {
		k, v, _ := strings.Cut(pair, ":")
		hs = append(hs, queue.Header{Key: long(k), Value: long(v)})
	}
	return hs
}

func (s *script) send() {
	s.do(&queue.Send{Session: s.who(), Queue: s.at(1), Body: s.body(), Headers: s.headers(), CorrelationID: s.str("corr"), ReplyTo: s.str("reply"),
		Timeout: s.dur("timeout"), Producer: s.str("producer"), Sequence: uint64(s.num("seq")), Create: s.has("create"),
		CreateOptions: s.options(), RequireConsumer: s.has("require-consumer"), MaxAttempts: s.num("attempts"), Stream: s.has("stream"),
		Key: s.str("key"), Digest: queue.DigestOf(s.body()), KeyTTL: s.dur("key-ttl"),
		Parent: queue.ID{Sequence: uint64(s.num("parent"))}, StartWithin: s.dur("start")})
}

// part is from who holds the lease that it names, else from who sent the request.
func (s *script) part() {
	op := &queue.Part{Session: s.who(), Inbox: s.str("inbox"), ReplyTo: s.str("reply"), CorrelationID: s.str("corr"), Number: uint64(s.num("number")),
		Body: s.body(), Headers: s.headers(), End: s.has("end"), Ask: s.has("ask")}
	if l := s.num("lease"); l != 0 {
		op.Lease = queue.Lease(l) + s.firstLease()
	}
	s.do(op)
}

// subscribe pushes to the session's name, or elsewhere, or waits to be pulled.
func (s *script) subscribe() {
	op := &queue.Subscribe{Session: s.who(), Queue: s.at(1), Credit: s.num("credit"), CreditBytes: s.num("credit-bytes"), Lease: s.dur("lease"),
		Create: s.has("create"), CreateOptions: s.options(), Service: s.str("service"), ServiceInfo: []byte(s.str("info"))}
	if sink := s.str("sink"); sink != "" {
		op.Sink = sink
	} else if !s.has("pulled") {
		op.Sink = s.at(0)
	}
	s.do(op)
}

// resume is Subscribe of a consumer that exists.
func (s *script) resume() {
	op := &queue.Subscribe{Session: s.who(), Consumer: queue.ConsumerID(toInt(s.at(1))), Credit: s.num("credit"), CreditBytes: s.num("credit-bytes"),
		Lease: s.dur("lease"), AfterLease: queue.Lease(s.num("after")), Service: s.str("service"), ServiceInfo: []byte(s.str("info"))}
	if sink := s.str("sink"); sink != "" {
		op.Sink = sink
	}
	s.do(op)
}

func (s *script) pull() {
	op := &queue.Pull{Session: s.who(), Messages: s.num("messages"), Bytes: s.num("bytes"), AfterLease: queue.Lease(s.num("after")), Sink: s.str("sink")}
	for _, id := range s.strs("consumers") {
		op.Consumers = append(op.Consumers, queue.ConsumerID(toInt(id)))
	}
	s.do(op)
}

// leases are the arguments after the session.
func (s *script) leases() (all []queue.Lease) {
	all = make([]queue.Lease, s.num("more")) // zeros, for lists that are too long
	for i := 1; s.at(i) != ""; i++ {
		word := s.at(i)
		if word == "retry" || word == "release" || word == "reject" || word == "sync" {
			continue
		}
		all = append(all, queue.Lease(toInt(word))+s.firstLease())
	}
	return all
}

func (s *script) nack() {
	op := &queue.Nack{Session: s.who(), Leases: s.leases(), Delay: s.dur("delay"), Cause: s.str("cause")}
	switch {
	case s.has("release"):
		op.Kind = queue.Release
	case s.has("reject"):
		op.Kind = queue.Refuse
	}
	s.do(op)
}

func (s *script) purge() {
	op := &queue.Purge{Queue: s.at(0)}
	for _, id := range s.strs("ids") {
		op.IDs = append(op.IDs, queue.ID{Sequence: uint64(toInt(id))})
	}
	if q, err := s.state.QueueNamed(op.Queue); err == nil && s.life != nil {
		op.Stored = s.life.disk.find(q.Number(), q.Spilled(op.IDs))
	}
	s.do(op)
}
