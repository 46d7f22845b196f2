package client

import (
	"encoding/json"
	"time"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// QueueSummary counts what is in a queue.
type QueueSummary struct {
	Queue      string        `json:"queue"`
	Temporary  bool          `json:"temporary"`
	Durability Durability    `json:"durability"`
	Waiting    uint64        `json:"waiting"`   // messages, delayed ones among them
	Leased     uint64        `json:"leased"`    // messages
	Delayed    uint64        `json:"delayed"`   // messages that wait for their retry
	Bytes      uint64        `json:"bytes"`     // of bodies, waiting and leased
	Consumers  int           `json:"consumers"` // whose session lives
	OldestAge  time.Duration `json:"-"`         // of the oldest message; zero: none
}

// MarshalJSON writes durations as numbers of milliseconds.
func (s QueueSummary) MarshalJSON() ([]byte, error) {
	type plain QueueSummary
	return json.Marshal(struct {
		plain
		OldestAgeMS int64 `json:"oldest_age_ms"`
	}{plain(s), s.OldestAge.Milliseconds()})
}

func queueSummary(p *pb.QueueSummary) QueueSummary {
	return QueueSummary{
		Queue:      p.GetQueue(),
		Temporary:  p.GetTemporary(),
		Durability: Durability(p.GetDurability()),
		Waiting:    p.GetWaiting(),
		Leased:     p.GetLeased(),
		Delayed:    p.GetDelayed(),
		Bytes:      p.GetBytes(),
		Consumers:  int(p.GetConsumers()),
		OldestAge:  millis(p.GetOldestAgeMs()),
	}
}

// QueueDescription tells about one queue.
type QueueDescription struct {
	Summary   QueueSummary   `json:"summary"`
	Options   QueueOptions   `json:"options"` // in force, defaults filled in
	Consumers []ConsumerInfo `json:"consumers"`
	Counters  QueueCounters  `json:"counters"`
	Owner     string         `json:"owner,omitempty"` // of a temporary queue: the name of its session
	Age       time.Duration  `json:"-"`               // since it was made
}

// MarshalJSON writes durations as numbers of milliseconds.
func (d QueueDescription) MarshalJSON() ([]byte, error) {
	type plain QueueDescription
	return json.Marshal(struct {
		plain
		AgeMS int64 `json:"age_ms"`
	}{plain(d), d.Age.Milliseconds()})
}

func queueDescription(p *pb.DescribeResponse) QueueDescription {
	return QueueDescription{
		Summary:   queueSummary(p.GetSummary()),
		Options:   queueOptions(p.GetOptions()),
		Consumers: each(p.GetConsumers(), consumerInfo),
		Counters:  queueCounters(p.GetCounters()),
		Owner:     p.GetOwner(),
		Age:       millis(p.GetAgeMs()),
	}
}

// ConsumerInfo is one subscription.
type ConsumerInfo struct {
	Consumer    uint64 `json:"consumer"`
	SessionName string `json:"session_name"`
	Connected   bool   `json:"connected"` // false while its connection is lost and the grace runs
	Credit      int    `json:"credit"`    // how many deliveries it will hold
	Holding     int    `json:"holding"`   // how many it holds
}

func consumerInfo(p *pb.ConsumerInfo) ConsumerInfo {
	return ConsumerInfo{
		Consumer:    p.GetConsumer(),
		SessionName: p.GetSessionName(),
		Connected:   p.GetConnected(),
		Credit:      int(p.GetCredit()),
		Holding:     int(p.GetHolding()),
	}
}

// QueueCounters count since the queue was made.
type QueueCounters struct {
	Sent        uint64 `json:"sent"`        // without duplicates
	Delivered   uint64 `json:"delivered"`   // redeliveries among them
	Acked       uint64 `json:"acked"`       // or replied to
	Redelivered uint64 `json:"redelivered"` // deliveries after a message's first
	Expired     uint64 `json:"expired"`
	Dead        uint64 `json:"dead"`       // dead-lettered, or dropped for want of a dead-letter queue
	Dropped     uint64 `json:"dropped"`    // by an overflow
	Refused     uint64 `json:"refused"`    // Sends, because the queue was full
	Duplicates  uint64 `json:"duplicates"` // Sends
}

func queueCounters(p *pb.QueueCounters) QueueCounters {
	return QueueCounters{
		Sent:        p.GetSent(),
		Delivered:   p.GetDelivered(),
		Acked:       p.GetAcked(),
		Redelivered: p.GetRedelivered(),
		Expired:     p.GetExpired(),
		Dead:        p.GetDead(),
		Dropped:     p.GetDropped(),
		Refused:     p.GetRefused(),
		Duplicates:  p.GetDuplicates(),
	}
}
