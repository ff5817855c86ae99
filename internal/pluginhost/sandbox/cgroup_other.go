//go:build !linux

package sandbox

import "errors"

// Groups is where a server makes control groups for plugins; there are none here.
type Groups struct{}

// Group is the control group of one process.
type Group struct{}

// OpenGroups prepares control groups. The error says why this machine does not let it.
func OpenGroups() (*Groups, error) { return nil, errors.New("control groups are a part of Linux") }

// New makes a group for one process.
func (*Groups) New(GroupLimits) (*Group, error) { return nil, errors.ErrUnsupported }

// Close removes what the server has made.
func (*Groups) Close() error { return nil }

// Starved tells whether a process of the group was killed for want of memory.
func (*Group) Starved() bool { return false }

// Kill kills every process of the group.
func (*Group) Kill() {}

// Remove removes the group.
func (*Group) Remove() error { return nil }

// Weigh gives the process of the group its ordinary weight, or the least.
func (*Group) Weigh(bool) error { return errors.ErrUnsupported }

// Weigh gives a process its ordinary priority, or the least.
func Weigh(int, bool) error { return errors.ErrUnsupported }

func (*Group) joins() []string { return nil }
