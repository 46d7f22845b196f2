package client

import (
	"encoding/json"
	"time"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// Health says whether a queue is being served.
type Health string

// The healths of a queue.
const (
	// HealthRunning: a connected consumer serves it, or nothing waits and nobody
	// ever did.
	HealthRunning Health = "running"
	// HealthNeverStarted: messages wait, and nobody has ever served it.
	HealthNeverStarted Health = "never started"
	// HealthStopped: it was served, and every consumer is lost or gone.
	HealthStopped Health = "stopped"
	// HealthStuck: messages wait, and the consumers hold on to what they have for
	// longer than a lease.
	HealthStuck Health = "stuck"
)

// String is the health.
func (h Health) String() string { return string(h) }

// Diagnostics is the state of a switch: who waits on whom.
type Diagnostics struct {
	ServerVersion     string           `json:"server_version"`
	Uptime            time.Duration    `json:"-"`
	Started           time.Time        `json:"started"`
	DefaultDurability Durability       `json:"default_durability"` // of queues that ask for none
	Queues            []QueueDiagnosis `json:"queues"`             // by name
	Sessions          []SessionInfo    `json:"sessions"`           // by name
	Truncated         bool             `json:"truncated"`          // there are more than are shown
	Store             *StoreDiagnosis  `json:"store,omitempty"`    // nil: everything is in memory
}

// MarshalJSON writes durations as numbers of milliseconds.
func (d Diagnostics) MarshalJSON() ([]byte, error) {
	type plain Diagnostics
	return json.Marshal(struct {
		plain
		UptimeMS int64 `json:"uptime_ms"`
	}{plain(d), d.Uptime.Milliseconds()})
}

func diagnostics(p *pb.DiagnosticsResponse) Diagnostics {
	return Diagnostics{
		ServerVersion:     p.GetServerVersion(),
		Uptime:            millis(p.GetUptimeMs()),
		Started:           time.UnixMilli(p.GetStartedUnixMs()),
		DefaultDurability: Durability(p.GetDefaultDurability()),
		Queues:            each(p.GetQueues(), queueDiagnosis),
		Sessions:          each(p.GetSessions(), sessionInfo),
		Truncated:         p.GetTruncated(),
		Store:             storeDiagnosis(p.GetStore()),
	}
}

// StoreDiagnosis says how the disk of the data directory is doing.
type StoreDiagnosis struct {
	DataDir      string `json:"data_dir"`      // as the switch names it
	FreeBytes    uint64 `json:"free_bytes"`    // that the switch may still use, its ballast among it
	BallastBytes uint64 `json:"ballast_bytes"` // of the file that holds space for the switch; zero: it was given up
	TotalBytes   uint64 `json:"total_bytes"`   // of the disk
	ReserveBytes uint64 `json:"reserve_bytes"` // below so much nothing new is stored
	Refusing     bool   `json:"refusing"`      // durable queues take nothing new
}

func storeDiagnosis(p *pb.StoreDiagnosis) *StoreDiagnosis {
	if p == nil {
		return nil
	}
	return &StoreDiagnosis{DataDir: p.GetDataDir(), FreeBytes: p.GetFreeBytes(), BallastBytes: p.GetBallastBytes(),
		TotalBytes: p.GetTotalBytes(), ReserveBytes: p.GetReserveBytes(), Refusing: p.GetRefusing()}
}

// QueueDiagnosis is a queue with what waits in it, and on whom.
type QueueDiagnosis struct {
	Summary   QueueSummary   `json:"summary"`
	Health    Health         `json:"health"`
	Messages  []MessageInfo  `json:"messages"` // the oldest
	Consumers []ConsumerInfo `json:"consumers"`
	Owner     string         `json:"owner,omitempty"` // of a temporary queue: the name of its session
}

func queueDiagnosis(p *pb.QueueDiagnosis) QueueDiagnosis {
	return QueueDiagnosis{
		Summary:   queueSummary(p.GetSummary()),
		Health:    Health(enumName(p.GetHealth(), "HEALTH_")),
		Messages:  each(p.GetMessages(), messageInfo),
		Consumers: each(p.GetConsumers(), consumerInfo),
		Owner:     p.GetOwner(),
	}
}

// SessionInfo is a client as an operator sees it.
type SessionInfo struct {
	Name            string        `json:"name"`
	Principal       string        `json:"principal,omitempty"` // who it is, when the switch authenticates
	Connected       bool          `json:"connected"`           // false while its connection is lost and the grace runs
	Expires         time.Duration `json:"-"`                   // until it ends if it stays silent; zero: it is connected
	TemporaryQueues int           `json:"temporary_queues"`
	Consumers       int           `json:"consumers"`
	Leases          int           `json:"leases"`
	PendingRequests int           `json:"pending_requests"` // that wait for a reply
	Age             time.Duration `json:"-"`                // since it logged in
}

// MarshalJSON writes durations as numbers of milliseconds.
func (s SessionInfo) MarshalJSON() ([]byte, error) {
	type plain SessionInfo
	return json.Marshal(struct {
		plain
		ExpiresMS int64 `json:"expires_ms,omitempty"`
		AgeMS     int64 `json:"age_ms"`
	}{plain(s), s.Expires.Milliseconds(), s.Age.Milliseconds()})
}

func sessionInfo(p *pb.SessionInfo) SessionInfo {
	return SessionInfo{
		Name:            p.GetName(),
		Principal:       p.GetPrincipal(),
		Connected:       p.GetConnected(),
		Expires:         millis(p.GetExpiresMs()),
		TemporaryQueues: int(p.GetTemporaryQueues()),
		Consumers:       int(p.GetConsumers()),
		Leases:          int(p.GetLeases()),
		PendingRequests: int(p.GetPendingRequests()),
		Age:             millis(p.GetAgeMs()),
	}
}
