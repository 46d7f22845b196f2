package main

import (
	"fmt"

	"github.com/d3b0a776/switch/client"
)

// words are a phase in words.
func (p *phase) words(queue string) string {
	took := brief(p.took)
	switch p.Phase {
	case "queued":
		return "queued " + took + p.behind()
	case "lost", "failed":
		return fmt.Sprintf("attempt %d %s after %s: %s", p.Attempt, p.Phase, took, oneLine(p.Why))
	case "returned":
		return fmt.Sprintf("attempt %d did not count: %s after %s", p.Attempt, p.Why, took)
	case "running":
		text := fmt.Sprintf("attempt %d running for %s", p.Attempt, took)
		if p.live.Timeout > 0 {
			text += " of " + brief(p.took+p.live.Timeout)
		}
		text += " at " + plain(p.Server)
		if !p.live.ServerConnected {
			text += ", whose connection is lost"
		}
		if p.live.CallerState == client.CallerGone {
			text += ", for nobody"
		}
		return text
	case "waiting":
		return "waiting for " + took + p.behind() + p.whyWaiting(queue)
	}
	return p.endWords(took)
}

// behind says how many were in the queue before it.
func (p *phase) behind() string {
	if p.Ahead == 0 {
		return ""
	}
	return " behind " + plural(p.Ahead, "other")
}

// whyWaiting says why a call that waits was not begun.
func (p *phase) whyWaiting(queue string) string {
	c, text := p.live, ""
	switch {
	case c.State == client.MessageDelayed:
		text = ": it is to be tried again later"
	case c.Consumers == 0 && c.Unserved > 0:
		text = fmt.Sprintf(": nobody has served queue %s for %s", plain(queue), brief(c.Unserved))
	case c.Consumers == 0:
		text = fmt.Sprintf(": nobody has ever served queue %s", plain(queue))
	default:
		text = fmt.Sprintf(": %s of queue %s have not begun it", plural(c.Consumers, "consumer"), plain(queue))
		if c.Consumers == 1 {
			text = fmt.Sprintf(": the consumer of queue %s has not begun it", plain(queue))
		}
	}
	if c.Start > 0 {
		text += fmt.Sprintf("; it has to be begun within %s", brief(c.Start))
	}
	if c.Timeout > 0 {
		text += fmt.Sprintf("; it expires in %s", brief(c.Timeout))
	}
	return text
}

// endWords say how a call ended, and after what time in all.
func (p *phase) endWords(took string) string {
	kind := client.TraceKind(p.Phase)
	switch {
	case p.unasked:
		return fmt.Sprintf("attempt %d ended %s after it was sent, for nobody", p.Attempt, took)
	case p.Why != "" && (kind == client.TraceCancelled || kind == client.TraceAbandoned):
		return fmt.Sprintf("cancelled after %s: %s", took, oneLine(p.Why))
	}
	switch kind {
	case client.TraceReplied:
		return fmt.Sprintf("attempt %d answered it, %s after it was sent", p.Attempt, took)
	case client.TraceAcked:
		return fmt.Sprintf("attempt %d acked it, %s after it was sent", p.Attempt, took)
	case client.TraceCancelled:
		return "its caller withdrew it after " + took
	case client.TraceAbandoned:
		return fmt.Sprintf("its caller gave it up after %s, while attempt %d ran, whose server was told", took, p.Attempt)
	case client.TraceDead:
		return fmt.Sprintf("given up after %s: %s", took, oneLine(p.Why))
	default:
	}
	return fmt.Sprintf("ended after %s: %s", took, oneLine(p.Why))
}
