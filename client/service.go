package client

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// ServiceInfo is what a consumer says of the service that it is an instance of,
// for operators to see. At most 16 KiB in all, on the wire.
type ServiceInfo struct {
	// Name is the service's. Required; 1 to 255 bytes without control characters.
	// Instances of one service have the same, on one queue or on several.
	Name string `json:"name"`
	// Version is as in semver.org: 1.4.2. Empty: it has none.
	Version string `json:"version,omitempty"`
	// Description is for people.
	Description string `json:"description,omitempty"`
	// Methods are what can be asked of it; at most 256.
	Methods []MethodInfo `json:"methods,omitempty"`
	// Metadata is what else there is to say, such as a commit or a region; at most
	// 64 entries.
	Metadata map[string]string `json:"metadata,omitempty"`
	// Instance names this one instance, as no other is named. Empty: it has no
	// name. At most 255 bytes.
	Instance string `json:"instance,omitempty"`
	// AnswersPings says that it answers pings itself, as rpc.Serve does; see
	// messageswitch.v1.ServiceInfo for what that takes.
	AnswersPings bool `json:"answers_pings"`
}

// MethodInfo is one thing that can be asked of a service.
type MethodInfo struct {
	// Name is the method's. Required; 1 to 255 bytes without control characters.
	Name string `json:"name"`
	// RequestType and ResponseType name the types of its bodies, such as
	// google.protobuf.Duration. Empty: not said.
	RequestType  string `json:"request_type,omitempty"`
	ResponseType string `json:"response_type,omitempty"`
	// ClientStreaming and ServerStreaming say that requests, and replies, are
	// streams.
	ClientStreaming bool `json:"client_streaming,omitempty"`
	ServerStreaming bool `json:"server_streaming,omitempty"`
	// Description is for people.
	Description string `json:"description,omitempty"`
}

// maxServiceBytes is the protocol's limit on a description.
const maxServiceBytes = 16 << 10

// wire is a copy of i for the wire; nil stays nil. It refuses what would not fit
// into a frame.
func (i *ServiceInfo) wire() (*pb.ServiceInfo, error) {
	if i == nil {
		return nil, nil
	}
	p := &pb.ServiceInfo{Name: i.Name, Version: i.Version, Description: i.Description, Metadata: maps.Clone(i.Metadata),
		Instance: i.Instance, AnswersPings: i.AnswersPings}
	for _, m := range i.Methods {
		p.Methods = append(p.Methods, &pb.MethodInfo{Name: m.Name, RequestType: m.RequestType, ResponseType: m.ResponseType,
			ClientStreaming: m.ClientStreaming, ServerStreaming: m.ServerStreaming, Description: m.Description})
	}
	if n := proto.Size(p); n > maxServiceBytes {
		return nil, invalid("the description of service %q takes %d bytes: at most %d", clip(i.Name, maxNameBytes), n, maxServiceBytes)
	}
	return p, nil
}

func serviceInfo(p *pb.ServiceInfo) ServiceInfo {
	return ServiceInfo{Name: p.GetName(), Version: p.GetVersion(), Description: p.GetDescription(), Metadata: p.GetMetadata(),
		Instance: p.GetInstance(), AnswersPings: p.GetAnswersPings(), Methods: each(p.GetMethods(), methodInfo)}
}

func methodInfo(p *pb.MethodInfo) MethodInfo {
	return MethodInfo{Name: p.GetName(), RequestType: p.GetRequestType(), ResponseType: p.GetResponseType(),
		ClientStreaming: p.GetClientStreaming(), ServerStreaming: p.GetServerStreaming(), Description: p.GetDescription()}
}

// ServiceInstance is a consumer that said what it is.
type ServiceInstance struct {
	Info        ServiceInfo   `json:"info"`
	Queue       string        `json:"queue"`
	Consumer    uint64        `json:"consumer"`     // unique in its session
	SessionName string        `json:"session_name"` // given at Login
	Connected   bool          `json:"connected"`    // false while its connection is lost and the grace runs
	Holding     int           `json:"holding"`      // how many deliveries it holds
	Credit      int           `json:"credit"`       // how many it will hold
	Age         time.Duration `json:"-"`            // since it first said what it is
	Stats       ServiceStats  `json:"stats"`        // of that time
}

// MarshalJSON writes durations as numbers of milliseconds.
func (i ServiceInstance) MarshalJSON() ([]byte, error) {
	type plain ServiceInstance
	return json.Marshal(struct {
		plain
		AgeMS int64 `json:"age_ms"`
	}{plain(i), i.Age.Milliseconds()})
}

func serviceInstance(p *pb.ServiceInstance) ServiceInstance {
	return ServiceInstance{Info: serviceInfo(p.GetInfo()), Queue: p.GetQueue(), Consumer: p.GetConsumer(), SessionName: p.GetSessionName(),
		Connected: p.GetConnected(), Holding: int(p.GetHolding()), Credit: int(p.GetCredit()), Age: millis(p.GetAgeMs()), Stats: serviceStats(p.GetStats())}
}

// ServiceStats count what became of an instance's deliveries. Each is held, or
// counted in one of Replied, Acked, Returned and Ended. Pings count like requests.
type ServiceStats struct {
	Delivered uint64        `json:"delivered"` // redeliveries among them
	Replied   uint64        `json:"replied"`   // with a failure or without
	Failed    uint64        `json:"failed"`    // replied to with a failure
	Acked     uint64        `json:"acked"`     // without a reply
	Returned  uint64        `json:"returned"`  // given back or rejected, or their leases ended
	Ended     uint64        `json:"ended"`     // while they were held: purged, cancelled, expired
	Busy      time.Duration `json:"-"`         // from delivery to the end of the lease, of all together

	LastFailure    string        `json:"last_failure,omitempty"` // what the last failure or return said
	LastFailureAge time.Duration `json:"-"`                      // how long ago that was; zero: there was none
}

// Mean is how long a delivery was held on average; zero before the first has
// ended.
func (s ServiceStats) Mean() time.Duration {
	n := s.Replied + s.Acked + s.Returned + s.Ended
	if n == 0 {
		return 0
	}
	return s.Busy / time.Duration(n)
}

// MarshalJSON writes durations as numbers of microseconds and milliseconds.
func (s ServiceStats) MarshalJSON() ([]byte, error) {
	type plain ServiceStats
	return json.Marshal(struct {
		plain
		BusyUS           int64 `json:"busy_us"`
		MeanUS           int64 `json:"mean_us"`
		LastFailureAgeMS int64 `json:"last_failure_age_ms,omitempty"`
	}{plain(s), s.Busy.Microseconds(), s.Mean().Microseconds(), s.LastFailureAge.Milliseconds()})
}

func serviceStats(p *pb.ServiceStats) ServiceStats {
	return ServiceStats{Delivered: p.GetDelivered(), Replied: p.GetReplied(), Failed: p.GetFailed(), Acked: p.GetAcked(),
		Returned: p.GetReturned(), Ended: p.GetEnded(), Busy: time.Duration(p.GetBusyUs()) * time.Microsecond,
		LastFailure: p.GetLastFailure(), LastFailureAge: millis(p.GetLastFailureAgeMs())}
}

// Services gives the consumers that said what service they are instances of,
// by the names of those services, which begin with prefix, and then by age; page
// after page.
func (a *Admin) Services(ctx context.Context, prefix string) iter.Seq2[ServiceInstance, error] {
	return func(yield func(ServiceInstance, error) bool) {
		req := &pb.ListServicesRequest{Prefix: prefix}
		for {
			res, err := admin(ctx, a, req, a.service.ListServices)
			if err != nil {
				yield(ServiceInstance{}, err)
				return
			}
			for _, p := range res.GetInstances() {
				if !yield(serviceInstance(p), nil) {
					return
				}
			}
			if req.Cursor = res.GetCursor(); req.GetCursor() == "" {
				return
			}
		}
	}
}
