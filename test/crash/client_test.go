package crash_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/server"
)

// mutations are the GraphQL documents that clients send. They ask for ids only,
// since those are the same however often and however late a key is sent again.
var mutations = map[string]string{
	"bindProcess":  document("bindProcess", "BindProcessInput", "binding { id }"),
	"startCase":    document("startCase", "StartCaseInput", "serviceCase { id number }"),
	"claimTask":    document("claimTask", "ClaimTaskInput", "task { id } serviceCase { id }"),
	"completeTask": document("completeTask", "CompleteTaskInput", "task { id } serviceCase { id } nextTasks { id }"),
	"sendMessage":  document("sendMessage", "SendMessageInput", "serviceCase { id } delivered"),
}

func document(operation, input, shows string) string {
	return fmt.Sprintf("mutation ($in: %s!) { %s(input: $in) { %s userErrors { code } } }", input, operation, shows)
}

// send is one mutation with its key, as it is sent and sent again.
type send struct {
	person, operation, key string
	input                  []byte // JSON
}

// client works cases one after the other, as people at a front end would, and
// keeps a journal. It holds on to a mutation until it is answered.
type client struct {
	name     string // begins all its keys
	place    string // zz, ny or yb: whose people it acts as
	region   string
	entrance *entrance
	journal  *journal
	rng      *rand.Rand
	cases    int
	acked    []acknowledged
	again    int                  // how many acknowledged mutations it has sent again
	retried  map[string]time.Time // keys that were cut off, and when they were sent for the answer
}

type acknowledged struct {
	send
	answer string
}

// repeatPermille is how often, after an acknowledgement, an old key is sent again.
const repeatPermille = 150

// work plays cases until the entrance closes; the last one is played to its end.
func (c *client) work(ctx context.Context) error {
	for !c.entrance.isClosing() {
		c.cases++
		script := enquiry
		if c.rng.IntN(3) == 0 {
			script = fibre
		}
		if err := c.play(ctx, fmt.Sprintf("%s-%d", c.name, c.cases), script); err != nil {
			return fmt.Errorf("client %s: %w", c.name, err)
		}
	}
	return nil
}

// play sends the steps of a script under keys that begin with prefix. It gives a
// case up when a step is refused, which the journal keeps for check.
func (c *client) play(ctx context.Context, prefix string, script []step) error {
	number := ""
	for i, s := range script {
		key := fmt.Sprintf("%s-%d", prefix, i+1)
		input := map[string]any{"idempotencyKey": key}
		for name, value := range s.input {
			input[name] = value
		}
		if s.operation == "startCase" {
			input["regionID"], input["title"] = c.region, key
		} else {
			input["caseNumber"] = number
		}
		body, err := json.Marshal(input)
		if err != nil {
			return err
		}
		answer, err := c.acknowledge(ctx, send{strings.ReplaceAll(s.person, "PLACE", c.place), s.operation, key, body})
		if err != nil {
			return err
		}
		var said struct {
			ServiceCase struct{ Number string }
			UserErrors  []struct{ Code string }
		}
		if err := json.Unmarshal([]byte(answer), &said); err != nil {
			return fmt.Errorf("answer %s of key %s: %w", answer, key, err)
		}
		if i == 0 {
			number = said.ServiceCase.Number
		}
		if len(said.UserErrors) > 0 || number == "" {
			return nil
		}
		if err := c.repeat(ctx); err != nil {
			return err
		}
	}
	return nil
}

// acknowledge sends a mutation until it is answered, whatever happens to the
// server meanwhile, and writes down both ends.
func (c *client) acknowledge(ctx context.Context, s send) (string, error) {
	if err := c.journal.write("try", s.key, s.operation, string(s.input)); err != nil {
		return "", err
	}
	answer, err := c.insist(ctx, s)
	if err != nil {
		return "", err
	}
	c.acked = append(c.acked, acknowledged{s, answer})
	return answer, c.journal.write("ack", s.key, answer)
}

// repeat now and then sends an acknowledged mutation again.
func (c *client) repeat(ctx context.Context) error {
	if c.rng.IntN(1000) >= repeatPermille {
		return nil
	}
	old := c.acked[c.rng.IntN(len(c.acked))]
	answer, err := c.insist(ctx, old.send)
	if err != nil {
		return err
	}
	c.again++
	return c.journal.write("again", old.key, answer)
}

// insist sends a mutation until it is answered. A connection that breaks means
// that the server is gone: then it waits for the next one. A server that answers
// "not now" is asked again.
func (c *client) insist(ctx context.Context, s send) (string, error) {
	const patience = 100
	var last error
	for attempt := range patience {
		door, err := c.entrance.open(ctx)
		if err != nil {
			return "", err
		}
		sent := time.Now()
		answer, err := post(ctx, door.url, s)
		switch {
		case err == nil:
			if attempt > 0 {
				c.retried[s.key] = sent
			}
			return answer, nil
		case errors.Is(err, errNotNow):
			last = err
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		case ctx.Err() != nil:
			return "", ctx.Err()
		default:
			c.entrance.gone(door)
		}
	}
	return "", fmt.Errorf("key %s has no answer after %d attempts: %w", s.key, patience, last)
}

// errNotNow is an answer that promises nothing: the mutation may be tried again.
var errNotNow = errors.New("not now")

// post sends a mutation once and returns the payload as the server wrote it.
func post(ctx context.Context, url string, s send) (string, error) {
	body, err := json.Marshal(map[string]any{"query": mutations[s.operation], "variables": map[string]any{"in": json.RawMessage(s.input)}})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(server.PersonHeader, s.person)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	var answer struct {
		Data   map[string]json.RawMessage
		Errors []json.RawMessage
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", err
	}
	payload := answer.Data[s.operation]
	if res.StatusCode != http.StatusOK || len(answer.Errors) > 0 || slices.Contains([]string{"", "null"}, string(payload)) {
		return "", fmt.Errorf("%w: %s: %s", errNotNow, res.Status, text)
	}
	return string(payload), nil
}
