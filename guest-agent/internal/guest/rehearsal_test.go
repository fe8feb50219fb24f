package guest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"cofferdam.dev/guest-agent/internal/apitest"
	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/gen/guestv1"
)

// rehearse gives what the process printed.
func (f *fixture) rehearse(ctx context.Context, argv ...string) (string, error) {
	stream, err := f.guest.Rehearse(ctx)
	if err != nil {
		return "", err
	}
	spec := &v1.StartProcessRequest_Spec{Spec: &v1.ProcessSpec{Argv: argv}}
	// EOF says that the stream has ended; why, only Recv tells.
	if err := stream.Send(&guestv1.RehearseRequest{Request: &v1.StartProcessRequest{Message: spec}}); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	var printed strings.Builder
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return printed.String(), nil
		}
		if err != nil {
			return "", err
		}
		printed.Write(response.GetEvent().GetStdout().GetData())
	}
}

func TestARehearsalRunsAProcessAndLeavesTheGateShut(t *testing.T) {
	f := newFixture(t)
	for range 2 {
		if printed, err := f.rehearse(t.Context(), "echo", "ready"); err != nil || printed != "ready\n" {
			t.Fatalf("%q %v", printed, err)
		}
	}
	_, err := f.processes.ListProcesses(with(t.Context(), "Bearer "+token), &v1.ListProcessesRequest{})
	apitest.Refused(t, err, codes.FailedPrecondition, "GUEST_NOT_CONFIGURED")
	if len(f.machine.told) != 0 {
		t.Errorf("a rehearsal changed the machine: %v", f.machine.told)
	}
	if _, err := f.guest.Configure(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	list, err := f.processes.ListProcesses(with(t.Context(), "Bearer "+token), &v1.ListProcessesRequest{})
	if err != nil || len(list.GetProcesses()) != 0 {
		t.Errorf("the sandbox sees %v, %v", list, err)
	}
	if name := f.text(t, "/etc/hostname"); name != "sb-abc\n" {
		t.Errorf("hostname %q", name)
	}
}

func TestARehearsedConfigureIsCarriedOutAndTakenBack(t *testing.T) {
	f := newFixture(t)
	bundle := filepath.Join(f.root, bundlePath)
	if err := os.MkdirAll(filepath.Dir(bundle), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bundle, []byte("others\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := request()
	r.Rehearsal = true
	r.CaCertificate += "\n\n"
	for range 2 {
		if _, err := f.guest.Configure(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if told := strings.Join(f.machine.told, ", "); strings.Count(told, "entropy rand") != 2 || !strings.HasSuffix(told, "hostname cofferdam") {
		t.Errorf("the machine was told %s", told)
	}
	for path, expected := range map[string]string{
		"/etc/hostname": "cofferdam\n", "/etc/machine-id": "\n", bundlePath: "others\n", rootPath: "",
	} {
		if got := f.text(t, path); got != expected {
			t.Errorf("%s: %q", path, got)
		}
	}
	_, err := f.processes.ListProcesses(with(t.Context(), "Bearer "+token), &v1.ListProcessesRequest{})
	apitest.Refused(t, err, codes.FailedPrecondition, "GUEST_NOT_CONFIGURED")

	real := request()
	real.Token = strings.Repeat("other-", 8)
	if _, err := f.guest.Configure(t.Context(), real); err != nil {
		t.Fatal(err)
	}
	if got := f.text(t, bundlePath); got != "others\n\n"+certificate {
		t.Errorf("bundle: %q", got)
	}
	_, err = f.processes.ListProcesses(with(t.Context(), "Bearer "+token), &v1.ListProcessesRequest{})
	apitest.Refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	told := len(f.machine.told)
	r.Token = real.Token
	if _, err := f.guest.Configure(t.Context(), r); err != nil || len(f.machine.told) != told {
		t.Errorf("a configured guest rehearsed: %v, %v", f.machine.told[told:], err)
	}
}

// Whoever holds the token could start processes anyhow; nobody else may, and none with the rehearsal's environment.
func TestNothingIsRehearsedAfterConfigure(t *testing.T) {
	f := newFixture(t)
	if _, err := f.guest.Configure(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	_, err := f.rehearse(t.Context(), "echo", "ready")
	apitest.Refused(t, err, codes.Unauthenticated, "TOKEN_MISSING")
	_, err = f.rehearse(with(t.Context(), "Bearer "+token), "echo", "ready")
	apitest.Refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
	if name := f.text(t, "/etc/hostname"); name != "sb-abc\n" {
		t.Errorf("hostname %q", name)
	}
}

func TestARehearsalWithoutASpecIsRefused(t *testing.T) {
	f := newFixture(t)
	_, err := f.rehearse(t.Context())
	apitest.Refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
}
