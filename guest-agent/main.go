// Command guest-agent is PID 1 of a sandbox's guest. The host reaches it over gRPC on the private link: it makes the
// guest unique after a restore, runs processes, moves files and connects to ports.
//
// It decides nothing about what the sandbox may do, and nothing secret is known to it: whoever is root in the guest can
// read all of its memory.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"cofferdam.dev/guest-agent/internal/boot"
	"cofferdam.dev/guest-agent/internal/file"
	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/gen/guestv1"
	"cofferdam.dev/guest-agent/internal/guest"
	"cofferdam.dev/guest-agent/internal/image"
	"cofferdam.dev/guest-agent/internal/port"
	"cofferdam.dev/guest-agent/internal/process"
	"cofferdam.dev/guest-agent/internal/reaper"
	"cofferdam.dev/guest-agent/internal/server"
	"cofferdam.dev/guest-agent/internal/tenant"
)

const (
	maxMessageBytes  = 1 << 20
	maxStreams       = 1024 // of one connection
	pingAfterSilence = 30 * time.Second
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest-agent: this is the init of a Cofferdam guest and runs as its PID 1 only")
		os.Exit(2)
	}
	if err := run(); err != nil {
		slog.Error("agent_failed", "cause", err.Error())
		boot.PowerOff()
	}
}

func run() error {
	said, err := boot.Initramfs()
	if err != nil {
		return err
	}
	if err := boot.System(); err != nil {
		return err
	}
	// Root in the guest may send PID 1 what it likes. A handler, unlike SIG_IGN, is not inherited by the processes.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	listener, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", boot.Address.Addr(), port.Own))
	if err != nil {
		return err
	}
	group, err := tenant.Open("/sys/fs/cgroup")
	if err != nil {
		return err
	}
	slog.Info("listening", "address", listener.Addr().String())
	if said.Directory != "" {
		// As container engines do. What stands in its way is told at the first start of a process.
		_ = os.MkdirAll(said.Directory, 0o755)
	}
	return newServer(listener, group, said).Serve(context.Background())
}

func newServer(listener net.Listener, group *tenant.Group, said image.Image) *server.Server {
	var s *server.Server
	children := reaper.NewIn(group)
	gate := guest.NewService(guest.Kernel{}, "/", children, group, func() { s.DropConnections() })
	table := process.NewTable(children, gate.Environment)
	table.Default(said)
	gate.Counting(table.Running)
	processes := process.NewService(table)
	s = server.New(listener, boot.Gateway, func() *grpc.Server {
		g := grpc.NewServer(
			grpc.UnaryInterceptor(gate.Unary),
			grpc.StreamInterceptor(gate.Stream),
			grpc.MaxRecvMsgSize(maxMessageBytes),
			grpc.MaxConcurrentStreams(maxStreams),
			// A host that vanished without a word must not hold a process back for ever.
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfterSilence, Timeout: pingAfterSilence}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		)
		guestv1.RegisterGuestServiceServer(g, gate)
		v1.RegisterProcessServiceServer(g, processes)
		v1.RegisterFileServiceServer(g, file.Service{})
		v1.RegisterPortServiceServer(g, port.Service{})
		grpc_health_v1.RegisterHealthServer(g, health.NewServer())
		return g
	})
	return s
}
