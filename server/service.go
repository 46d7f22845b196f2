package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// Bounds of what a service says of itself, and of ListServices, from the
// protocol's comments.
const (
	maxMethods         = 256
	maxServiceMetadata = 64
	defaultServices    = 1000
	maxServices        = 10_000
)

// service sets what op says of the consumer's service.
func service(op *queue.Subscribe, info *pb.ServiceInfo) error {
	if info == nil {
		return nil
	}
	if err := checkService(info); err != nil {
		return err
	}
	b, err := proto.Marshal(info)
	if err != nil {
		return invalid("service: %v", err)
	}
	op.Service, op.ServiceInfo = strings.Clone(info.GetName()), b
	return nil
}

// checkService looks at all but the size, which the core bounds.
func checkService(info *pb.ServiceInfo) error {
	switch {
	case len(info.GetMethods()) > maxMethods:
		return invalid("service.methods are %d: at most %d", len(info.GetMethods()), maxMethods)
	case len(info.GetMetadata()) > maxServiceMetadata:
		return invalid("service.metadata has %d entries: at most %d", len(info.GetMetadata()), maxServiceMetadata)
	case len(info.GetInstance()) > queue.MaxNameBytes:
		return invalid("service.instance is %d bytes: at most %d", len(info.GetInstance()), queue.MaxNameBytes)
	}
	if err := queue.CheckName("service.name", info.GetName()); err != nil {
		return err
	}
	for i, m := range info.GetMethods() {
		if err := queue.CheckName(fmt.Sprintf("service.methods[%d].name", i), m.GetName()); err != nil {
			return err
		}
	}
	for key := range info.GetMetadata() {
		if err := queue.CheckName("a key of service.metadata", key); err != nil {
			return err
		}
	}
	return nil
}

// ListServices copies what it needs under the lock, and decodes it without.
func (a *adminService) ListServices(ctx context.Context, req *pb.ListServicesRequest) (*pb.ListServicesResponse, error) {
	limit, err := bounded("limit", req.GetLimit(), defaultServices, maxServices)
	var after queue.ServiceKey
	if err == nil {
		after, err = parseServiceCursor(req.GetCursor())
	}
	if err != nil {
		return nil, a.s.status(err)
	}
	var infos [][]byte
	res, err := glance(ctx, a.s, func(tx *engine.Tx) (*pb.ListServicesResponse, error) {
		res, room := &pb.ListServicesResponse{}, maxAnswer
		cs, more := tx.State().Services(req.GetPrefix(), after, limit)
		for i, c := range cs {
			in, info := serviceInstance(tx.Now, c), c.Service().Info
			if room -= proto.Size(in) + len(info); room < 0 && i > 0 {
				more = true
				break
			}
			res.Instances, infos, after = append(res.Instances, in), append(infos, info), c.ServiceKey()
		}
		if more {
			res.Cursor = serviceCursor(after)
		}
		return res, nil
	})
	if err != nil {
		return nil, err
	}
	for i, in := range res.GetInstances() {
		in.Info = &pb.ServiceInfo{}
		if err := proto.Unmarshal(infos[i], in.Info); err != nil {
			return nil, a.s.status(fmt.Errorf("decode what a service says: %w", err)) // it came over the wire
		}
	}
	return res, nil
}

// serviceInstance is c as an operator sees it, without what it says of itself.
func serviceInstance(now queue.Instant, c *queue.Consumer) *pb.ServiceInstance {
	sv := c.Service()
	st := &sv.Stats
	in := &pb.ServiceInstance{
		Queue:       c.Queue.Name,
		Consumer:    uint64(c.ID),
		SessionName: c.Session.Name,
		Connected:   c.Session.Connected(),
		AgeMs:       now.Sub(sv.Since).Milliseconds(),
		Holding:     uint32(c.Holding()),
		Credit:      uint32(c.Credit),
		Stats: &pb.ServiceStats{Delivered: st.Delivered, Replied: st.Replied, Failed: st.Failed, Acked: st.Acked, Returned: st.Returned,
			Ended: st.Ended, BusyUs: st.Busy.Microseconds(), LastFailure: strings.ToValidUTF8(st.LastFailure, "\uFFFD")},
	}
	if st.LastFailureAt != 0 {
		in.Stats.LastFailureAgeMs = max(1, now.Sub(st.LastFailureAt).Milliseconds())
	}
	return in
}

// serviceCursor is a place in the list: the name comes last, as it may hold
// anything.
func serviceCursor(k queue.ServiceKey) string {
	return strconv.FormatUint(uint64(k.Session), 36) + "." + strconv.FormatUint(uint64(k.Consumer), 36) + "." + k.Name
}

func parseServiceCursor(cursor string) (k queue.ServiceKey, err error) {
	if cursor == "" {
		return k, nil
	}
	parts := strings.SplitN(cursor, ".", 3)
	if len(parts) == 3 {
		session, err1 := strconv.ParseUint(parts[0], 36, 64)
		consumer, err2 := strconv.ParseUint(parts[1], 36, 64)
		if err1 == nil && err2 == nil {
			return queue.ServiceKey{Name: parts[2], Session: queue.SessionID(session), Consumer: queue.ConsumerID(consumer)}, nil
		}
	}
	return k, invalid("cursor %.40q is none of an answer; leave it out to begin anew", cursor)
}
