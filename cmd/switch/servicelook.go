package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/d3b0a776/switch/client"
)

// serviceSummary is a service, as a document.
type serviceSummary struct {
	Service     string   `json:"service"`
	Description string   `json:"description,omitempty"`
	Versions    []string `json:"versions"`
	Instances   int      `json:"instances"`
	Connected   int      `json:"connected"` // of the instances
	Queues      []string `json:"queues"`
}

// serviceDocument is a service with its instances, as a document. What it says of
// itself is what the newest of them says.
type serviceDocument struct {
	Service     string                   `json:"service"`
	Description string                   `json:"description,omitempty"`
	Methods     []client.MethodInfo      `json:"methods"`
	Metadata    map[string]string        `json:"metadata,omitempty"`
	Instances   []client.ServiceInstance `json:"instances"`
}

// summarized is what instances of one service have in common; where they differ,
// the newest is right.
func summarized(instances []client.ServiceInstance) serviceSummary {
	s := serviceSummary{Service: instances[0].Info.Name, Description: newest(instances).Description, Instances: len(instances),
		Versions: distinct(instances, versionOf), Queues: distinct(instances, queueOf)}
	for _, in := range instances {
		if in.Connected {
			s.Connected++
		}
	}
	return s
}

// newest is what the instance says that came last.
func newest(instances []client.ServiceInstance) client.ServiceInfo {
	return slices.MinFunc(instances, func(a, b client.ServiceInstance) int { return int(a.Age - b.Age) }).Info
}

func (sh *shell) serviceLs(ctx context.Context, a *client.Admin, prefix string) error {
	all, err := services(ctx, a, prefix)
	if err != nil {
		return err
	}
	docs := make([]serviceSummary, len(all))
	for i, instances := range all {
		docs[i] = summarized(instances)
	}
	if sh.wantsJSON() {
		return jsonList(sh, docs)
	}
	if len(docs) == 0 && sh.outTerm {
		sh.notice("no server says what it is; switch list names the queues that are served")
	}
	t := sh.table("SERVICE", "VERSION", ">INSTANCES", "QUEUE", "WHAT IT DOES")
	for _, d := range docs {
		t.row(plain(d.Service), shown(d.Versions), connectedOf(d), shown(d.Queues), oneLine(d.Description))
	}
	return t.print()
}

// connectedOf counts instances: 3, or 2 of 3 when one has lost its connection.
func connectedOf(s serviceSummary) string {
	if s.Connected == s.Instances {
		return fmt.Sprint(s.Instances)
	}
	return fmt.Sprintf("%d of %d", s.Connected, s.Instances)
}

// shown are names in one cell.
func shown(names []string) string {
	cells := make([]string, len(names))
	for i, n := range names {
		cells[i] = plain(n)
	}
	return strings.Join(cells, ",")
}

// serviceInfo writes one fact a line.
func (sh *shell) serviceInfo(instances []client.ServiceInstance) error {
	s, info := summarized(instances), newest(instances)
	if sh.wantsJSON() {
		return sh.json(serviceDocument{info.Name, info.Description, info.Methods, info.Metadata, instances})
	}
	t := sh.table("", "")
	t.row("service", plain(s.Service))
	t.row("does", orNone(s.Description != "", oneLine(s.Description)))
	t.row("versions", orNone(len(s.Versions) > 0, shown(s.Versions)))
	t.row("queues", shown(s.Queues))
	for _, k := range slices.Sorted(maps.Keys(info.Metadata)) {
		t.row("metadata", plain(k)+"="+oneLine(info.Metadata[k]))
	}
	for _, m := range info.Methods {
		t.row("method", signature(m))
	}
	for _, in := range instances {
		t.row("instance", fmt.Sprintf("%s %s, session %s, queue %s, holds %d of %d, for %s%s", orElse(in.Info.Instance != "", plain(in.Info.Instance), "-"),
			orElse(in.Info.Version != "", plain(in.Info.Version), "without a version"), plain(in.SessionName), plain(in.Queue), in.Holding, in.Credit,
			brief(in.Age), orElse(in.Connected, "", ", connection lost")))
	}
	return t.print()
}

// signature is a method in one line: Get(stream Key) Value: what it does.
func signature(m client.MethodInfo) string {
	text := plain(m.Name)
	if m.RequestType != "" || m.ClientStreaming {
		text += "(" + strings.TrimSpace(orElse(m.ClientStreaming, "stream ", "")+oneLine(m.RequestType)) + ")"
	}
	if m.ResponseType != "" || m.ServerStreaming {
		text += " " + strings.TrimSpace(orElse(m.ServerStreaming, "stream ", "")+oneLine(m.ResponseType))
	}
	if m.Description != "" {
		text += ": " + oneLine(m.Description)
	}
	return text
}

func (sh *shell) serviceStats(instances []client.ServiceInstance) error {
	if sh.wantsJSON() {
		return jsonList(sh, instances)
	}
	t := sh.table("INSTANCE", "QUEUE", ">DELIVERED", ">REPLIED", ">FAILED", ">ACKED", ">RETURNED", ">ENDED", ">HELD", ">MEAN", "LAST FAILURE")
	for _, in := range instances {
		s := in.Stats
		failure := ""
		if s.LastFailureAge > 0 {
			failure = brief(s.LastFailureAge) + " ago: " + oneLine(s.LastFailure)
		}
		t.row(orElse(in.Info.Instance != "", plain(in.Info.Instance), "-"), plain(in.Queue), fmt.Sprint(s.Delivered), fmt.Sprint(s.Replied),
			fmt.Sprint(s.Failed), fmt.Sprint(s.Acked), fmt.Sprint(s.Returned), fmt.Sprint(s.Ended), fmt.Sprint(in.Holding), brief(s.Mean().Round(time.Microsecond)), failure)
	}
	return t.print()
}
