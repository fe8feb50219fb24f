package guest

import (
	"strings"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/gen/guestv1"
	"cofferdam.dev/guest-agent/internal/process"
	"cofferdam.dev/guest-agent/internal/refusal"
)

// Rehearse runs one process for the host as StartProcess would, and writes the guest's names once: a restored machine
// meets there what it has of the kernel, of this agent and, under emulation, of the processor for the first time. It
// leaves the machine as it was: no process stays in the table, and Configure writes the same files again.
func (s *Service) Rehearse(stream guestv1.GuestService_RehearseServer) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.identity.Load() != nil {
		return refusal.New(v1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "the guest was configured: there is nothing left to rehearse")
	}
	if err := s.files.stage(); err != nil {
		return refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "stage: %v", err)
	}
	if err := s.files.writeNames(unnamed, strings.Repeat("0", 32)); err != nil {
		return refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "names: %v", err)
	}
	if _, err := s.machine.BootID(); err != nil {
		return refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "boot_id: %v", err)
	}
	// Its own: what the sandbox can list is the sandbox's.
	table := process.NewTable(s.reaper, func() (defaults, sandbox map[string]string) { return trustEnvironment, nil })
	return process.NewService(table).StartProcess(rehearsed{stream})
}

// unnamed is a guest's host name before Configure, as package boot has it.
const unnamed = "cofferdam"

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
