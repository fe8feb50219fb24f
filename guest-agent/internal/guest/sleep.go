package guest

import (
	"context"
	"crypto/sha256"
	"maps"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/gen/guestv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

// A process in an uninterruptible call holds a freeze up until the call returns.
const freezeWithin = 10 * time.Second

// Tenant is everything that runs in the guest and is not the agent.
type Tenant interface {
	// Freeze returns once nothing of it runs; what fails lets go on what it has stopped.
	Freeze(ctx context.Context) error
	Thaw() error
	// CPU is what it has used so far.
	CPU() (time.Duration, error)
}

// errFrozen is what streams end with that are open when the guest is stopped.
var errFrozen = refusal.New(v1.ErrorReason_ERROR_REASON_SANDBOX_NOT_RUNNING, "the guest is being stopped; what runs in it goes on later")

// Freeze stops the tenant and lets go of the host. The agent keeps its processes and what they wrote: a client attaches
// again after the Thaw.
func (s *Service) Freeze(ctx context.Context, _ *guestv1.FreezeRequest) (*guestv1.FreezeResponse, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.identity.Load() == nil {
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_GUEST_NOT_CONFIGURED, "a guest that was not configured yet has nothing to stop")
	}
	if !s.frozen.Load() {
		if err := s.freeze(ctx); err != nil {
			return nil, refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "freeze: %v", err)
		}
	}
	s.prepared()
	return &guestv1.FreezeResponse{}, nil
}

func (s *Service) freeze(ctx context.Context) error {
	// First the door, so that nothing is started behind the back of what follows.
	s.frozen.Store(true)
	ctx, cancel := context.WithTimeout(ctx, freezeWithin)
	defer cancel()
	if err := s.tenant.Freeze(ctx); err != nil {
		s.frozen.Store(false)
		return err
	}
	unix.Sync()
	s.awake.end(errFrozen)
	return nil
}

// Thaw lets the tenant go on, in a guest that draws other random numbers than its copies and knows the time; in a copy,
// as somebody else. One that fails may be repeated. A guest that goes on already is only told the time: its machine may
// have stood still without a Freeze.
func (s *Service) Thaw(_ context.Context, request *guestv1.ThawRequest) (*guestv1.ThawResponse, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	current := s.identity.Load()
	if current == nil {
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_GUEST_NOT_CONFIGURED, "a guest that was not configured yet was not stopped either")
	}
	if err := checkThaw(request); err != nil {
		return nil, err
	}
	wanted := request.GetIdentity()
	if wanted != nil && !s.frozen.Load() {
		if !current.hasToken(wanted.GetToken()) {
			return nil, refusal.New(v1.ErrorReason_ERROR_REASON_TOKEN_INVALID, "the guest goes on already, and with another token")
		}
		return &guestv1.ThawResponse{}, nil
	}
	steps := []step{
		{"entropy", func() error { return s.machine.AddEntropy(request.GetEntropy()) }},
		{"clock", func() error { return s.machine.SetClock(time.Unix(0, request.GetTimeNs())) }},
	}
	if wanted != nil {
		steps = append(steps, s.naming(wanted)...)
	}
	if err := run(steps); err != nil {
		return nil, err
	}
	if !s.frozen.Load() {
		return &guestv1.ThawResponse{}, nil
	}
	if wanted != nil {
		s.assume(wanted)
	}
	if err := s.tenant.Thaw(); err != nil {
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "thaw: %v", err)
	}
	s.awake.begin()
	s.frozen.Store(false)
	return &guestv1.ThawResponse{}, nil
}

// assume makes the guest the one that the request describes. Who it was may still repeat the call that did so.
func (s *Service) assume(request *guestv1.ConfigureRequest) {
	opened := &identity{tokenDigest: sha256.Sum256([]byte(request.GetToken())), env: maps.Clone(request.GetEnv())}
	if request.GetCaCertificate() != "" {
		opened.defaults = trustEnvironment
	}
	if before := s.identity.Swap(opened); before != nil && before.tokenDigest != opened.tokenDigest {
		s.before.Store(before)
	}
}

// GetActivity looks, and changes nothing.
func (s *Service) GetActivity(context.Context, *guestv1.GetActivityRequest) (*guestv1.GetActivityResponse, error) {
	used, err := s.tenant.CPU()
	if err != nil {
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "cpu: %v", err)
	}
	connections, err := s.files.connections()
	if err != nil {
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "connections: %v", err)
	}
	return &guestv1.GetActivityResponse{
		Processes:   uint32(s.running()),
		Streams:     uint32(max(s.streams.Load(), 0)),
		Connections: uint32(connections),
		CpuMs:       uint64(used.Milliseconds()),
	}, nil
}

// awake is the time between two freezes, as a context of all streams that are open in it.
type awake struct{ now atomic.Pointer[span] }

type span struct {
	ctx context.Context
	end context.CancelCauseFunc
}

func (a *awake) begin() {
	ctx, end := context.WithCancelCause(context.Background())
	a.now.Store(&span{ctx, end})
}

func (a *awake) end(cause error) { a.now.Load().end(cause) }

// hold gives a stream's context an end with the present span's.
func (a *awake) hold(ctx context.Context) (held context.Context, release func()) {
	held, cancel := context.WithCancelCause(ctx)
	now := a.now.Load()
	stop := context.AfterFunc(now.ctx, func() { cancel(context.Cause(now.ctx)) })
	return held, func() {
		stop()
		cancel(nil)
	}
}

type step struct {
	name string
	do   func() error
}

func run(steps []step) error {
	for _, step := range steps {
		if err := step.do(); err != nil {
			return refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "%s: %v", step.name, err)
		}
	}
	return nil
}
