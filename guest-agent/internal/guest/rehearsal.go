package guest

import (
	"errors"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/gen/guestv1"
	"cofferdam.dev/guest-agent/internal/process"
	"cofferdam.dev/guest-agent/internal/refusal"
)

// unnamed is a guest's host name before Configure, as package boot has it.
const unnamed = "cofferdam"

// takeBack undoes what a rehearsed Configure left behind. The entropy stays: what is mixed in does no harm, and the real
// one comes with its own.
func (s *Service) takeBack(request *guestv1.ConfigureRequest) error {
	return errors.Join(
		s.machine.SetHostname(unnamed),
		s.files.writeNames(unnamed, ""),
		s.files.distrust(request.GetCaCertificate()),
	)
}

// Rehearse runs one process for the host as StartProcess would: a restored machine meets there what it has of the
// kernel, of this agent and, under emulation, of the processor for the first time. Nothing of it stays in the table.
func (s *Service) Rehearse(stream guestv1.GuestService_RehearseServer) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.identity.Load() != nil {
		return refusal.New(v1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "the guest was configured: there is nothing left to rehearse")
	}
	// Its own: what the sandbox can list is the sandbox's.
	table := process.NewTable(s.reaper, func() (defaults, sandbox map[string]string) { return trustEnvironment, nil })
	return process.NewService(table).StartProcess(rehearsed{stream})
}

// rehearsed lets a rehearsal's stream pass for one of StartProcess.
type rehearsed struct {
	guestv1.GuestService_RehearseServer
}

func (r rehearsed) Recv() (*v1.StartProcessRequest, error) {
	request, err := r.GuestService_RehearseServer.Recv()
	return request.GetRequest(), err
}

func (r rehearsed) Send(event *v1.ProcessEvent) error {
	return r.GuestService_RehearseServer.Send(&guestv1.RehearseResponse{Event: event})
}
