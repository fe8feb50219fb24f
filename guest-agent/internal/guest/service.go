// Package guest is cofferdam.internal.v1.GuestService: it makes a restored guest unique, and is the gate that no process
// passes before that.
//
// Start reading at Configure; gate.go decides which calls are let in.
package guest

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/gen/guestv1"
	"cofferdam.dev/guest-agent/internal/reaper"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const (
	maxWarmUp    = 64
	warmUpWithin = 2 * time.Minute
)

// Service answers the API. Safe for concurrent use.
type Service struct {
	guestv1.UnimplementedGuestServiceServer
	machine  Machine
	files    files
	reaper   *reaper.Reaper
	prepared func()
	tenant   Tenant
	running  func() int
	streams  atomic.Int32
	awake    awake

	// One call of this service at a time, but for GetActivity.
	turn     sync.Mutex
	identity atomic.Pointer[identity]
	// Who the guest was before its last Thaw made it another.
	before atomic.Pointer[identity]
	frozen atomic.Bool
}

// identity is what Configure gave. Its presence is what opens the gate.
type identity struct {
	tokenDigest [sha256.Size]byte
	defaults    map[string]string
	env         map[string]string
}

// NewService serves the guest whose files lie below root. The prepared function is called after a guest was made ready
// for its snapshot; it must not wait for the call that is being answered.
func NewService(machine Machine, root string, r *reaper.Reaper, tenant Tenant, prepared func()) *Service {
	s := &Service{machine: machine, files: files{root: root}, reaper: r, tenant: tenant, prepared: prepared, running: func() int { return 0 }}
	s.awake.begin()
	return s
}

// Counting sets what tells how many processes run that were started through the API. Before the first call.
func (s *Service) Counting(running func() int) { s.running = running }

// Environment is what every process starts with: the agent's defaults and, above them, the sandbox's.
func (s *Service) Environment() (defaults, sandbox map[string]string) {
	if i := s.identity.Load(); i != nil {
		return i.defaults, i.env
	}
	return nil, nil
}

// Configure makes the guest unique, entropy first, and only then opens the gate. One that fails may be repeated.
func (s *Service) Configure(_ context.Context, request *guestv1.ConfigureRequest) (*guestv1.ConfigureResponse, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if identity := s.identity.Load(); identity != nil {
		if !identity.hasToken(request.GetToken()) {
			return nil, refusal.New(v1.ErrorReason_ERROR_REASON_TOKEN_INVALID, "the guest was configured with another token")
		}
		return s.answer()
	}
	if err := check(request); err != nil {
		return nil, err
	}
	steps := append([]step{
		{"entropy", func() error { return s.machine.AddEntropy(request.GetEntropy()) }},
		{"clock", func() error { return s.machine.SetClock(time.Unix(0, request.GetTimeNs())) }},
	}, s.naming(request)...)
	if err := run(steps); err != nil {
		return nil, err
	}
	response, err := s.answer()
	if err != nil {
		return nil, err
	}
	if request.GetRehearsal() {
		if err := s.takeBack(request); err != nil {
			return nil, refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "take back: %v", err)
		}
		return response, nil
	}
	s.assume(request)
	return response, nil
}

// naming is what a guest is told of itself.
func (s *Service) naming(request *guestv1.ConfigureRequest) []step {
	return []step{
		{"hostname", func() error { return s.machine.SetHostname(request.GetHostname()) }},
		{"volumes", func() error { return s.machine.MountVolumes(request.GetVolumes()) }},
		{"names", func() error { return s.files.writeNames(request.GetHostname(), request.GetMachineId()) }},
		{"trust", func() error { return s.files.trust(request.GetCaCertificate()) }},
		{"disk", func() error {
			if !request.GetGrowDisk() {
				return nil
			}
			return s.machine.GrowDisk()
		}},
	}
}

func (s *Service) answer() (*guestv1.ConfigureResponse, error) {
	id, err := s.machine.BootID()
	if err != nil {
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "boot_id: %v", err)
	}
	return &guestv1.ConfigureResponse{BootId: id}, nil
}

// PrepareSnapshot leaves in memory what the warm-up has touched and little else.
func (s *Service) PrepareSnapshot(ctx context.Context, request *guestv1.PrepareSnapshotRequest) (*guestv1.PrepareSnapshotResponse, error) {
	if len(request.GetWarmUp()) > maxWarmUp {
		return nil, refusal.Invalid("%d warm_up commands: at most %d are allowed", len(request.GetWarmUp()), maxWarmUp)
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	// What was read while booting goes first, so that only the warm-up's pages stay.
	unix.Sync()
	s.dropCaches()
	for n, command := range request.GetWarmUp() {
		if err := s.warmUp(ctx, n, command); err != nil {
			return nil, err
		}
	}
	if err := rehearse(); err != nil {
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "rehearse: %v", err)
	}
	s.sweep("/tmp", "/var/tmp")
	if err := s.files.stage(); err != nil {
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "stage: %v", err)
	}
	unix.Sync()
	debug.FreeOSMemory()
	s.prepared()
	return &guestv1.PrepareSnapshotResponse{}, nil
}

// dropCaches asks the kernel to forget clean pages, directory entries and inodes (proc_sys_vm(5)).
func (s *Service) dropCaches() {
	if err := os.WriteFile(s.files.at("/proc/sys/vm/drop_caches"), []byte("3"), 0); err != nil {
		slog.Warn("caches_not_dropped", "cause", err.Error())
	}
}

// sweep removes what the warm-up left behind.
func (s *Service) sweep(directories ...string) {
	for _, directory := range directories {
		entries, err := os.ReadDir(s.files.at(directory))
		if err != nil {
			continue
		}
		for _, entry := range entries {
			_ = os.RemoveAll(filepath.Join(s.files.at(directory), entry.Name()))
		}
	}
}

func (s *Service) warmUp(ctx context.Context, n int, command string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "%v", err)
	}
	defer null.Close()
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
	child, err := s.reaper.Start("/bin/sh", []string{"sh", "-c", command}, &syscall.ProcAttr{
		Dir: "/", Env: env, Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "warm_up[%d]: %v", n, err)
	}
	ctx, cancel := context.WithTimeout(ctx, warmUpWithin)
	defer cancel()
	select {
	case <-child.Done():
	case <-ctx.Done():
		_ = child.SignalGroup(syscall.SIGKILL)
		<-child.Done()
		return refusal.Invalid("warm_up[%d]: %v", n, ctx.Err())
	}
	if status := child.Status(); !status.Exited() || status.ExitStatus() != 0 {
		return refusal.Invalid("warm_up[%d] failed: wait status %#x", n, uint32(status))
	}
	return nil
}
