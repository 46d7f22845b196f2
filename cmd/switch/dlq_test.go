package main

import (
	"strings"
	"testing"

	"github.com/d3b0a776/switch/client"
)

// kill sends messages to a queue and rejects them. It gives the ids of the dead
// letters.
func (d *daemon) kill(t *testing.T, queue, why string, bodies ...string) (ids []string) {
	t.Helper()
	c, err := client.New(client.Config{Addr: d.addr})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, b := range bodies {
		if _, err := c.Send(t.Context(), queue, client.Message{Body: []byte(b), Headers: map[string]string{"own": b}, Create: &client.QueueOptions{}}); err != nil {
			t.Fatal(err)
		}
	}
	left := len(bodies)
	for m, err := range c.Consume(t.Context(), queue, client.ConsumeOptions{Credit: 1}) {
		if err == nil {
			err = m.Reject(t.Context(), why)
		}
		if err != nil {
			t.Fatal(err)
		}
		if left--; left == 0 {
			break
		}
	}
	for line := range strings.Lines(d.run(t, "dlq", "show", queue+".dead", "-n1000").out) {
		id, rest, _ := strings.Cut(line, "\t")
		if strings.HasPrefix(rest, queue+"\t") {
			ids = append(ids, id)
		}
	}
	return ids[len(ids)-len(bodies):]
}

func TestDLQ(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "dlq", "ls").want(t, 0, "")
	d.run(t, "dlq", "ls", "-o", "json").want(t, 0, "[]\n")
	ids := d.kill(t, "foo", "no\tgood", "one", "two", "three")
	d.run(t, "create", "empty").says(t, 0)

	cells := strings.Split(strings.TrimSuffix(d.run(t, "dlq", "ls").out, "\n"), "\t")
	if len(cells) != 6 || cells[0] != "foo.dead" || cells[1] != "3" || cells[2] != "11" || cells[4] != "foo" || !strings.Contains(cells[5], "rejected the message (no good)") {
		t.Errorf("%q", cells)
	}
	queues := decode[[]deadQueue](t, d.run(t, "dlq", "ls", "-o", "json"))
	if len(queues) != 1 || queues[0].Letters != 3 || queues[0].Bytes != 11 || strings.Join(queues[0].Sources, ",") != "foo" || !strings.Contains(queues[0].LastReason, "no\tgood") {
		t.Errorf("%+v", queues)
	}
	cells = strings.Split(strings.TrimSuffix(d.run(t, "dlq", "show", "foo.dead", "--count", "1").out, "\n"), "\t")
	if len(cells) != 7 || cells[0] != ids[0] || cells[1] != "foo" || cells[3] != "1" || cells[4] != "3" || !strings.Contains(cells[5], "no good") || cells[6] != `"one"` {
		t.Errorf("%q", cells)
	}
	letters := decode[[]letter](t, d.run(t, "dlq", "show", "foo.dead", "-o", "json"))
	if len(letters) != 3 || letters[2].Queue != "foo" || letters[2].Attempts != 1 || letters[2].DeadID == "" || string(letters[2].Body) != "three" ||
		len(letters[2].Headers) != 1 || letters[2].Headers["own"] != "three" {
		t.Errorf("%+v", letters)
	}

	r := d.run(t, "dlq", "replay", "foo.dead", ids[1])
	r.want(t, 0, "")
	r.says(t, 0, "1 letter replayed from foo.dead")
	d.run(t, "recv", "foo").want(t, 0, "two")
	d.run(t, "dlq", "replay", "foo.dead", ids[1], "-o", "json").says(t, 69, `"MESSAGE_NOT_FOUND"`, "1 letter left in foo.dead, the first because: ")
	d.run(t, "create", "bar").says(t, 0)
	d.run(t, "dlq", "replay", "foo.dead", "--to", "bar", ids[2]).says(t, 0, "1 letter replayed")
	d.run(t, "recv", "bar").want(t, 0, "three")
	d.run(t, "dlq", "replay", "--all", "foo.dead", "-o", "json").want(t, 0, "{\n  \"queue\": \"foo.dead\",\n  \"replayed\": 1,\n  \"left\": 0\n}\n")
	d.run(t, "recv", "foo").want(t, 0, "one")

	ids = d.kill(t, "foo", "again", "a", "b", "c")
	d.run(t, "dlq", "purge", "foo.dead", ids[1], "-o", "json").want(t, 0, "{\n  \"queue\": \"foo.dead\",\n  \"purged\": 1\n}\n")
	d.run(t, "destroy", "foo").says(t, 0)
	d.run(t, "dlq", "ls", "-o", "jsonl").says(t, 0)
	d.run(t, "dlq", "replay", "foo.dead", "--all").says(t, 69, "0 letters replayed", "2 letters left in foo.dead", `there is no queue "foo"`)
	d.run(t, "dlq", "purge", "foo.dead", "--all").says(t, 0, "2 letters deleted from foo.dead")
	d.run(t, "dlq", "ls").want(t, 0, "")
}

func TestDLQUsage(t *testing.T) {
	for typed, says := range map[string]string{
		"dlq":                      "what shall dlq do?",
		"dlq list":                 `dlq knows no "list"`,
		"dlq ls foo":               `dlq ls takes no "foo"`,
		"dlq ls --all":             "dlq ls has no flag --all",
		"dlq show":                 "QUEUE is missing",
		"dlq show foo bar":         `dlq show takes no "bar"`,
		"dlq show foo --to bar":    "dlq show has no flag --to",
		"dlq show foo -n 0":        "--count 0: from 1 to 1000",
		"dlq replay foo":           "type: switch dlq replay foo --all",
		"dlq purge foo":            "type: switch dlq purge foo --all",
		"dlq purge foo x --all":    "--all and ids exclude each other",
		"dlq purge foo x --to bar": "dlq purge has no flag --to",
	} {
		start(t, nil, append([]string{"switch"}, strings.Fields(typed)...)...).wait(t).says(t, 2, says)
	}
}

func TestCompleteDLQ(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "create", "foo.dead").says(t, 0)
	for words, want := range map[string]string{
		"dlq ": "ls,show,replay,purge", "dlq re": "replay", "dlq show f": "foo.dead", "dlq ls f": "", "dlq show foo.dead f": "", "ba": "backup",
	} {
		if got := firstColumn(d.run(t, append([]string{"__complete", "--"}, strings.Split(words, " ")...)...).out); got != want {
			t.Errorf("%q: %s, want %s", words, got, want)
		}
	}
}
