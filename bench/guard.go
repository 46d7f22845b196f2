package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// epmdVariable tells Erlang's port mapper daemon its port. It leaves the server's
// process group, and is found again by this variable in its environment.
const epmdVariable = "ERL_EPMD_PORT"

// guardRole runs a RabbitMQ server until its input ends, and then ends everything
// that the server has started, which the death of a shell alone would not.
func guardRole(ctx context.Context, _ *child, j job) error {
	epmdAddr, err := freeAddr()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(epmdAddr)
	if err != nil {
		return err
	}
	cmd := exec.Command(j.Program)
	if cmd.Env, err = rabbitmqEnvironment(j.Dir, j.Addr, port); err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	var waited error // written before ended is closed
	ended := make(chan struct{})
	// The waiting goroutine ends with the server, which is killed below.
	go func() {
		waited = cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		err = fmt.Errorf("the server has ended: %w", waited)
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended meanwhile
		<-ended
	}
	endEPMD(port)
	return err
}

// endEPMD ends the port mapper that was started with that port.
func endEPMD(port string) {
	mark := []byte(epmdVariable + "=" + port + "\x00")
	for pid, name := range processes() {
		if name != "epmd" {
			continue
		}
		environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && bytes.Contains(environment, mark) {
			_ = syscall.Kill(pid, syscall.SIGTERM) // it may have ended meanwhile
		}
	}
}
