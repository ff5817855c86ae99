package crash_test

import (
	"context"
	"sync"
)

// entrance is where clients find the server that runs now.
type entrance struct {
	mu      sync.Mutex
	door    door
	moved   chan struct{} // closed when the door changes
	sent    int           // mutations asked for through the door, ever
	target  int           // reached is closed at this many
	reached chan struct{}
	closing bool
}

// door is the address of one server process; number tells them apart.
type door struct {
	url    string // "" while no server runs
	number int
}

func newEntrance() *entrance { return &entrance{moved: make(chan struct{})} }

// replace makes url the door, "" for none.
func (e *entrance) replace(url string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.set(url)
}

func (e *entrance) set(url string) {
	e.door = door{url, e.door.number + 1}
	close(e.moved)
	e.moved = make(chan struct{})
}

// gone reports that a door does not answer any more.
func (e *entrance) gone(d door) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.door == d {
		e.set("")
	}
}

// open waits for a door and counts the mutation that is about to go through it.
func (e *entrance) open(ctx context.Context) (door, error) {
	for {
		e.mu.Lock()
		d, moved := e.door, e.moved
		if d.url != "" {
			if e.sent++; e.reached != nil && e.sent >= e.target {
				close(e.reached)
				e.reached = nil
			}
			e.mu.Unlock()
			return d, nil
		}
		e.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return door{}, ctx.Err()
		}
	}
}

// current waits for a door, for what is not counted.
func (e *entrance) current(ctx context.Context) (door, error) {
	for {
		e.mu.Lock()
		d, moved := e.door, e.moved
		e.mu.Unlock()
		if d.url != "" {
			return d, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return door{}, ctx.Err()
		}
	}
}

// after returns a channel that is closed when n more mutations have been sent.
func (e *entrance) after(n int) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.target, e.reached = e.sent+n, make(chan struct{})
	return e.reached
}

// sentSoFar returns how many mutations have been asked for.
func (e *entrance) sentSoFar() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sent
}

// closeSoon asks the clients to begin no new case.
func (e *entrance) closeSoon() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closing = true
}

func (e *entrance) isClosing() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closing
}
