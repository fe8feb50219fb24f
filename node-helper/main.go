// Node-helper is the one privileged program of Cofferdam: a closed list of acts, for node-agent and the launcher.
//
// docs/architecture.md says what it builds; package helper is the list.
//
// Of the two settings below each would keep descriptors of the runtime's own open where gateway-exec and the jail need theirs.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"

	"cofferdam.dev/node-helper/internal/config"
	"cofferdam.dev/node-helper/internal/confine"
	"cofferdam.dev/node-helper/internal/gateway"
	"cofferdam.dev/node-helper/internal/helper"
	"cofferdam.dev/node-helper/internal/network"
	"cofferdam.dev/node-helper/internal/vmm"
	"cofferdam.dev/node-helper/internal/wire"
	"golang.org/x/sys/unix"
)

// Version is the protocol's, not the build's: it rises when a verb changes.
const version = "node-helper 2"

const usage = `usage:
  node-helper serve --config FILE
  node-helper gateway-exec --mesh NAME --user USER -- CMD ARGS...
  node-helper teardown --config FILE
  node-helper version`

var errUsage = errors.New(usage)

// The main goroutine keeps the main thread: its namespace is what /proc/<pid> shows, and no other goroutine may leave it changed.
func init() { runtime.LockOSThread() }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "node-helper:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	switch args[0] {
	case vmm.StageVerb:
		return vmm.Stage()
	case "gateway-exec":
		return gatewayExec(args[1:])
	case "serve":
		return withConfig(args[1:], serve)
	case "teardown":
		return withConfig(args[1:], teardown)
	case "version":
		fmt.Println(version)
		return nil
	default:
		return errUsage
	}
}

func flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	return f
}

func withConfig(args []string, act func(*config.Config, *slog.Logger) error) error {
	f := flags("config")
	path := f.String("config", "", "")
	if err := f.Parse(args); err != nil || *path == "" || f.NArg() > 0 {
		return errUsage
	}
	if os.Geteuid() != 0 {
		return errors.New("must run as root")
	}
	// Files and sockets are root's alone until their owner and mode are set.
	unix.Umask(0o077)
	c, err := config.Load(*path)
	if err != nil {
		return err
	}
	return act(c, slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("mesh", c.Mesh))
}

func serve(c *config.Config, log *slog.Logger) error {
	if err := os.MkdirAll(filepath.Dir(c.Socket), 0o755); err != nil {
		return err
	}
	lock, err := onlyOne(c.Socket + ".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	h := helper.New(c, log)
	if err := h.Recover(); err != nil {
		return err
	}
	listener, err := wire.Listen(c.Socket, c.AgentGID)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM, unix.SIGINT)
	served := make(chan error, 1)
	server := &wire.Server{UID: c.AgentUID, Verbs: h.Verbs(), Watches: h.Watches(), Log: log}
	go func() { served <- server.Serve(listener) }()
	log.Info("helper_ready", "socket", c.Socket, "landlock_abi", confine.LandlockABI())
	select {
	case err := <-served:
		return err
	case <-stop:
		// Slots and VMMs stay: ending them is teardown.
		return listener.Close()
	}
}

// onlyOne keeps a second helper of the same mesh from taking links and log groups from under the first. The lock ends with the process.
func onlyOne(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: another helper serves this mesh: %w", path, err), f.Close())
	}
	return f, nil
}

func teardown(c *config.Config, log *slog.Logger) error {
	lock, err := onlyOne(c.Socket + ".lock")
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return helper.New(c, log).Teardown()
		}
		return err
	}
	defer lock.Close()
	return errors.Join(helper.New(c, log).Teardown(), os.Remove(lock.Name()))
}

func gatewayExec(args []string) error {
	if err := gateway.ReserveFDs(); err != nil {
		return err
	}
	f := flags("gateway-exec")
	mesh := f.String("mesh", "", "")
	user := f.String("user", "", "")
	if err := f.Parse(args); err != nil || f.NArg() == 0 || *user == "" {
		return errUsage
	}
	if !config.ValidMesh(*mesh) {
		return fmt.Errorf("mesh %q: expected 1 to 8 of a-z0-9, a letter first", *mesh)
	}
	if os.Geteuid() != 0 {
		return errors.New("must run as root")
	}
	return gateway.Exec(network.NewGate(*mesh), *user, f.Args())
}
