package pluginhost

import (
	"context"

	"google.golang.org/grpc"
)

// Conn is the connection to the running process of an artifact, for who measures what
// the host adds to it.
func (h *Host) Conn(a Artifact) (*grpc.ClientConn, error) {
	u, err := h.unit(a)
	if err != nil {
		return nil, err
	}
	return u.ready(context.Background())
}
