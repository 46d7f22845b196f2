package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
)

const serviceDescription = `
Services are servers of queues that say what they are: those of switch serve QUEUE, whose service
is called as the queue unless --service says otherwise, and Go programs with rpc.Describe.

ls names the services that begin with PREFIX; info tells what one says of itself, and who its
instances are; stats counts for each instance what became of the requests that it was given, since
it subscribed: failed is a part of replied, returned is what it gave back or lost, and the mean is
from delivery to reply. ping sends requests that the instances answer themselves, one after the
other, and tells how long each took on its way there and back, with the wait for its turn. The
switch chooses who answers; where others serve the same queue, who might take a ping for a request,
none is sent.

Off a terminal the columns of ls are: service, versions, instances, queues, what it does; of stats:
instance, queue, delivered, replied, failed, acked, returned, ended, held, mean, last
failure; of ping: queue, instance, version, time.`

// The words of service, and the flags that each of them takes.
var serviceWords = map[string][]string{
	"ls":    {},
	"info":  {},
	"stats": {},
	"ping":  {"count", "timeout"},
}

// mostPings is more than shows anything new.
const mostPings = 10_000

func (sh *shell) serviceCommand() *cli.Command {
	return &cli.Command{
		Name: "service", Category: groupLook, Usage: "look at services and ping them",
		ArgsUsage:   "ls [PREFIX]\ninfo NAME\nstats NAME\nping NAME [--count N] [--timeout TIME]",
		Description: serviceDescription,
		Flags: flags(
			&cli.UintFlag{Name: "count", Aliases: []string{"n"}, DefaultText: "one for each instance", Usage: "`N`: how many pings for each queue; at most 10000"},
			durationFlag("timeout", "`TIME`: how long to wait for each answer", 2*time.Second),
			sh.outputFlag(formatTable, formatJSON, formatJSONL), nameFlag(), addrFlag()),
		Action: sh.service,
	}
}

func (sh *shell) service(c *cli.Context) error {
	words := slices.DeleteFunc(c.Args().Slice(), func(w string) bool { return w == "--" })
	types := "type: " + strings.Join(usageLines(c.Command), "\n  or: ")
	if len(words) == 0 {
		return usage("what shall service do?").hint("%s", types)
	}
	takes, ok := serviceWords[words[0]]
	if !ok {
		return usage("service knows no %q", words[0]).hint("%s", types)
	}
	for _, f := range sh.line.flags {
		if slices.Contains(serviceWords["ping"], f.name) && !slices.Contains(takes, f.name) {
			return usage("service %s has no flag %s", words[0], dashed(f.name)).hint("see: %s --help", c.Command.HelpName)
		}
	}
	verb, words := words[0], words[1:]
	switch {
	case len(words) > 1:
		return usage("service %s takes no %q", verb, words[1]).hint("%s", types)
	case verb == "ls":
		words = append(words, "")
		return sh.withAdmin(c, func(a *client.Admin) error { return sh.serviceLs(c.Context, a, words[0]) })
	case len(words) == 0 || words[0] == "":
		return usage("NAME is missing").hint("%s", types)
	case c.IsSet("count") && (c.Uint("count") < 1 || c.Uint("count") > mostPings):
		return usage("--count %d: from 1 to %d", c.Uint("count"), mostPings)
	case verb == "ping":
		return sh.withClient(c, func(cl *client.Client) error {
			return sh.servicePing(c.Context, cl, words[0], int(c.Uint("count")), duration(c, "timeout"))
		})
	}
	return sh.withAdmin(c, func(a *client.Admin) error {
		instances, err := instancesOf(c.Context, a, words[0])
		switch {
		case err != nil:
			return err
		case verb == "info":
			return sh.serviceInfo(instances)
		}
		return sh.serviceStats(instances)
	})
}

// services are the instances whose services' names begin with prefix, by service.
func services(ctx context.Context, a *client.Admin, prefix string) (all [][]client.ServiceInstance, err error) {
	for in, err := range a.Services(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if last := len(all) - 1; last >= 0 && all[last][0].Info.Name == in.Info.Name {
			all[last] = append(all[last], in)
		} else {
			all = append(all, []client.ServiceInstance{in})
		}
	}
	return all, nil
}

// instancesOf are those of one service, which must have some.
func instancesOf(ctx context.Context, a *client.Admin, name string) ([]client.ServiceInstance, error) {
	all, err := services(ctx, a, name)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 || all[0][0].Info.Name != name { // the shortest name comes first
		return nil, &client.Error{Code: codes.NotFound, Message: fmt.Sprintf("no service is called %s, or none of its instances is there", plain(name))}
	}
	return all[0], nil
}

// distinct are the values that f has for the instances, in order, without the
// empty ones.
func distinct(instances []client.ServiceInstance, f func(client.ServiceInstance) string) []string {
	all := []string{} // never null in JSON
	for _, in := range instances {
		if v := f(in); v != "" {
			all = append(all, v)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func versionOf(in client.ServiceInstance) string { return in.Info.Version }
func queueOf(in client.ServiceInstance) string   { return in.Queue }
