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

	"retryFailure":     document("retryFailure", "RetryFailureInput", "failure { id }"),
	"setCaseVariables": document("setCaseVariables", "SetCaseVariablesInput", "serviceCase { id }"),
	"fetchTasks":       document("fetchTasks", "FetchTasksInput", "tasks { id case { number } }"),
	"failTask":         document("failTask", "FailTaskInput", "task { id }"),
	"completeTasks":    document("completeTasks", "CompleteTasksInput", "results { task { id } userErrors { code } }"),
	"createProcess":    document("createProcess", "CreateProcessInput", "processVersion { id }"),
	"submitProcess":    document("submitProcess", "SubmitProcessInput", "processVersion { id }"),
	"publishProcess":   document("publishProcess", "PublishProcessInput", "processVersion { id }"),
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
	patience time.Duration
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
		switch c.rng.IntN(8) {
		case 0, 1:
			script = fibre
		case 2, 3:
			script = asking
		case 4:
			script = broken
		}
		if _, err := c.play(ctx, fmt.Sprintf("%s-%d", c.name, c.cases), script); err != nil {
			return fmt.Errorf("client %s: %w", c.name, err)
		}
	}
	return nil
}

// play sends the steps of a script under keys that begin with prefix, and returns the
// number of the case. It gives a case up when a step is refused, which the journal keeps
// for check.
func (c *client) play(ctx context.Context, prefix string, script []step) (number string, err error) {
	id := ""
	for i, s := range script {
		key := fmt.Sprintf("%s-%d", prefix, i+1)
		if s.await != nil {
			if err := c.await(ctx, number, s.await); err != nil {
				return number, err
			}
		}
		input := map[string]any{"idempotencyKey": key}
		for name, value := range s.input {
			input[name] = value
		}
		switch s.operation {
		case "startCase":
			input["regionID"], input["title"] = c.region, key
			if s.input["processKey"] == askProcess {
				input["variables"] = values{"case": values{"ref": key}}
			}
		case "setCaseVariables":
			input["caseID"] = id
		case "retryFailure":
			failure, err := c.failure(ctx, number)
			if err != nil {
				return number, err
			}
			input["failureID"] = failure
		default:
			input["caseNumber"] = number
		}
		body, err := json.Marshal(input)
		if err != nil {
			return number, err
		}
		answer, err := c.acknowledge(ctx, send{strings.ReplaceAll(s.person, "PLACE", c.place), s.operation, key, body})
		if err != nil {
			return number, err
		}
		var said struct {
			ServiceCase struct{ ID, Number string }
			UserErrors  []struct{ Code string }
		}
		if err := json.Unmarshal([]byte(answer), &said); err != nil {
			return number, fmt.Errorf("answer %s of key %s: %w", answer, key, err)
		}
		if i == 0 {
			number, id = said.ServiceCase.Number, said.ServiceCase.ID
		}
		if len(said.UserErrors) > 0 || number == "" {
			return number, nil
		}
		if err := c.repeat(ctx); err != nil {
			return number, err
		}
	}
	return number, nil
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
	var last error
	for attempt, began := 0, time.Now(); time.Since(began) < c.patience; attempt++ {
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
	return "", fmt.Errorf("key %s has no answer after %v: %w", s.key, c.patience, last)
}

// patience is how long a client asks, or waits for what the product does by itself;
// unless it has less.
const patience = 2 * time.Minute

// ready reports whether an answer to a question about a case is what is waited for.
type ready func(answer map[string]any) bool

// await asks about a case until the product has brought it on.
func (c *client) await(ctx context.Context, number string, is ready) error {
	_, err := c.until(ctx, number, is)
	return err
}

// failure is the open failure of a case.
func (c *client) failure(ctx context.Context, number string) (id string, err error) {
	_, err = c.until(ctx, number, func(answer map[string]any) bool {
		for _, f := range nodes(answer, "failures") {
			if f["state"] == "open" {
				id = fmt.Sprint(f["id"])
				return true
			}
		}
		return false
	})
	return id, err
}

func (c *client) until(ctx context.Context, number string, is ready) (map[string]any, error) {
	body, err := json.Marshal(map[string]any{"query": fmt.Sprintf(
		`{ serviceCase(number: %q) { tasks(first: 20) { edges { node { nodeID state } } } failures(first: 50) { edges { node { id state } } } } }`, number)})
	if err != nil {
		return nil, err
	}
	for began := time.Now(); time.Since(began) < c.patience; {
		door, err := c.entrance.current(ctx)
		if err != nil {
			return nil, err
		}
		if answer, err := ask(ctx, door.url, "demo-admin", body); err == nil {
			var seen map[string]any
			if json.Unmarshal(answer["serviceCase"], &seen) == nil && is(seen) {
				return seen, nil
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, fmt.Errorf("case %s does not come on in %v", number, c.patience)
}

// nodes are the nodes of a list in an answer.
func nodes(answer map[string]any, list string) []map[string]any {
	connection, _ := answer[list].(map[string]any)
	edges, _ := connection["edges"].([]any)
	var out []map[string]any
	for _, e := range edges {
		edge, _ := e.(map[string]any)
		node, _ := edge["node"].(map[string]any)
		out = append(out, node)
	}
	return out
}

// errNotNow is an answer that promises nothing: the mutation may be tried again.
var errNotNow = errors.New("not now")

// post sends a mutation once and returns the payload as the server wrote it.
func post(ctx context.Context, url string, s send) (string, error) {
	body, err := json.Marshal(map[string]any{"query": mutations[s.operation], "variables": map[string]any{"in": json.RawMessage(s.input)}})
	if err != nil {
		return "", err
	}
	answer, err := ask(ctx, url, s.person, body)
	if err != nil {
		return "", err
	}
	payload := answer[s.operation]
	// Of a batch an item may have been cut off: sent again, it is done or answered.
	if slices.Contains([]string{"", "null"}, string(payload)) || bytes.Contains(payload, []byte(`"DATABASE_UNAVAILABLE"`)) {
		return "", fmt.Errorf("%w: %s", errNotNow, payload)
	}
	return string(payload), nil
}

// ask sends a document once and returns the data of the answer.
func ask(ctx context.Context, url, person string, body []byte) (map[string]json.RawMessage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(server.PersonHeader, person)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data   map[string]json.RawMessage
		Errors []json.RawMessage
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK || len(answer.Errors) > 0 {
		return nil, fmt.Errorf("%w: %s: %s", errNotNow, res.Status, text)
	}
	return answer.Data, nil
}
