package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

// config says where the switch is, and who we are.
func (sh *shell) config(c *cli.Context, log *slog.Logger) (client.Config, error) {
	addr := c.String("addr")
	if err := checkAddr("--addr", addr); err != nil {
		return client.Config{}, err
	}
	sh.addr = addr
	name := c.String("name")
	if name == "" {
		name = sessionName(c.Command.Name)
	}
	return client.Config{Addr: addr, Name: name, Logger: log}, nil
}

// sessionName tells people which process this is. It is no identity: in
// containers many a process has the same.
func sessionName(verb string) string {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Sprintf("%s:%d", verb, os.Getpid())
	}
	host, _, _ = strings.Cut(host, ".")
	return fmt.Sprintf("%s:%d@%s", verb, os.Getpid(), clip(host, 24))
}

// dial connects and logs in, so that a switch that isn't there is noticed at
// once instead of being waited for.
func (sh *shell) dial(c *cli.Context, log *slog.Logger) (*client.Client, error) {
	cfg, err := sh.config(c, log)
	if err != nil {
		return nil, err
	}
	cl, err := client.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := cl.Connect(c.Context); err != nil {
		_ = cl.Close() // it has nothing to add
		return nil, err
	}
	return cl, nil
}

// withAdmin runs f with a switch to look at. It needs no session.
func (sh *shell) withAdmin(c *cli.Context, f func(*client.Admin) error) error {
	cfg, err := sh.config(c, nil)
	if err != nil {
		return err
	}
	cl, err := client.New(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = cl.Close() }() // what it would tell has been told
	return f(cl.Admin())
}

// withClient runs f with a client that is logged in.
func (sh *shell) withClient(c *cli.Context, f func(*client.Client) error) error {
	cl, err := sh.dial(c, nil)
	if err != nil {
		return err
	}
	defer func() { _ = cl.Close() }() // what it would tell has been told
	return f(cl)
}
