package crash_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// A journal is what one client can prove: a file to which it adds a line before
// it sends a mutation and another once it has the answer, each on disk before
// the client goes on. The lines are
//
//	try KEY OPERATION INPUT     the mutation is about to be sent; input is JSON
//	ack KEY ANSWER              its answer, as the server wrote it
//	again KEY ANSWER            the answer to sending an acknowledged one again
type journal struct{ file *os.File }

func newJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	return &journal{f}, err
}

// write adds a line and returns when it is on disk.
func (j *journal) write(words ...string) error {
	if _, err := j.file.WriteString(strings.Join(words, " ") + "\n"); err != nil {
		return err
	}
	return j.file.Sync()
}

// entry is what a journal says of one key.
type entry struct {
	key, operation, input string
	acked                 bool
	answer                string   // of the acknowledgement
	again                 []string // the answers to sending it again
}

// readJournal reads a journal back from its file: one entry for each key, in
// the order they were tried.
func readJournal(path string) ([]*entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []*entry
	byKey := map[string]*entry{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		key, rest, _ := strings.Cut(rest, " ")
		e := byKey[key]
		switch {
		case verb == "try" && e == nil:
			e = &entry{key: key}
			e.operation, e.input, _ = strings.Cut(rest, " ")
			byKey[key] = e
			list = append(list, e)
		case verb == "ack" && e != nil && !e.acked:
			e.acked, e.answer = true, rest
		case verb == "again" && e != nil && e.acked:
			e.again = append(e.again, rest)
		default:
			return nil, fmt.Errorf("%s: line out of place: %s", path, lines.Text())
		}
	}
	return list, lines.Err()
}
