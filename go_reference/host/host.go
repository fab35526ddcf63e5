// Package host serves a cluster, of whatever model, by the protocol of docs/protocol.md, and one node
// of a deployed cluster by its per-node part.
package host

import (
	"context"
	"io"
)

// A host answers requests for a whole cluster.
type host struct {
	*service
	model   Model
	control *control // nil while no cluster runs
}

// Serve answers the requests on in, with clusters of that model, until it ends or one asks to
// quit. It fails when ctx ends, or when reading or writing does. In any case no cluster is left
// running.
func Serve(ctx context.Context, model Model, in io.Reader, out, warn io.Writer) error {
	return serve(ctx, in, out, warn, func(s *service) (find, func()) {
		h := &host{service: s, model: model}
		return h.find, h.stopCluster
	})
}

func (h *host) find(op string) (perform, bool) { return bind(h, operations, op) }

// stopCluster ends the cluster, if there is one, after which nothing is left to be answered.
func (h *host) stopCluster() {
	if h.control != nil {
		h.control.stop()
		h.outcomes.Wait()
		h.control = nil
	}
}
