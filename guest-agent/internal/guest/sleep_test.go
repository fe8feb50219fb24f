package guest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"

	"cofferdam.dev/guest-agent/internal/apitest"
	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/gen/guestv1"
)

// group writes down what it was told, among what the machine was.
type group struct {
	told *[]string
	fail error
	used time.Duration
}

func (g *group) Freeze(context.Context) error {
	*g.told = append(*g.told, "freeze")
	return g.fail
}

func (g *group) Thaw() error {
	*g.told = append(*g.told, "thaw")
	return g.fail
}

func (g *group) CPU() (time.Duration, error) { return g.used, nil }

const otherToken = "fedcba9876543210fedcba9876543210"

func thaw() *guestv1.ThawRequest {
	return &guestv1.ThawRequest{
		Entropy: []byte(strings.Repeat("more", 16)), TimeNs: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC).UnixNano(),
	}
}

// other is the identity of a copy: entropy and time come beside it.
func other() *guestv1.ConfigureRequest {
	return &guestv1.ConfigureRequest{
		Hostname: "sb-def", MachineId: strings.Repeat("1e", 16), Token: otherToken,
		Env: map[string]string{"API_KEY": "the copy's"}, CaCertificate: certificate,
	}
}

// asleep is a guest that was configured and stopped.
func asleep(t *testing.T) (*fixture, context.Context) {
	t.Helper()
	f := newFixture(t)
	if _, err := f.guest.Configure(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	ctx := with(t.Context(), "Bearer "+token)
	if _, err := f.guest.Freeze(ctx, &guestv1.FreezeRequest{}); err != nil {
		t.Fatal(err)
	}
	<-f.prepared
	f.machine.told = nil
	return f, ctx
}

func TestAStoppedGuestServesThawAlone(t *testing.T) {
	f, ctx := asleep(t)
	calls := f.calls()
	calls["health"] = func(ctx context.Context) error {
		_, err := f.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return err
	}
	calls["activity"] = func(ctx context.Context) error {
		_, err := f.guest.GetActivity(ctx, &guestv1.GetActivityRequest{})
		return err
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) { apitest.Refused(t, call(ctx), codes.FailedPrecondition, "SANDBOX_NOT_RUNNING") })
	}
	// An answer that was lost is asked for again, by who may.
	if _, err := f.guest.Freeze(ctx, &guestv1.FreezeRequest{}); err != nil {
		t.Error(err)
	}
	<-f.prepared
	if len(f.machine.told) != 0 {
		t.Errorf("a repeat was carried out: %v", f.machine.told)
	}
	for _, wrong := range []string{"Bearer " + otherToken, "Bearer "} {
		_, err := f.guest.Thaw(with(t.Context(), wrong), thaw())
		apitest.Refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	}
	_, err := f.guest.Thaw(t.Context(), thaw())
	apitest.Refused(t, err, codes.Unauthenticated, "TOKEN_MISSING")
	if len(f.machine.told) != 0 {
		t.Errorf("somebody else let the guest go on: %v", f.machine.told)
	}
}

func TestNothingOfTheTenantRunsBeforeTheGuestIsReseeded(t *testing.T) {
	f, ctx := asleep(t)
	for range 2 {
		if _, err := f.guest.Thaw(ctx, thaw()); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(f.machine.told, ", "); got != "entropy more, clock 2031-05-06T07:08:09Z, thaw, entropy more, clock 2031-05-06T07:08:09Z" {
		t.Errorf("the machine was told %s", got)
	}
	for name, call := range f.calls() {
		if err := call(ctx); err != nil {
			t.Errorf("%s after Thaw: %v", name, err)
		}
	}
	if got := f.text(t, "/etc/hostname"); got != "sb-abc\n" {
		t.Errorf("who was only asleep is %q", got)
	}
}

func TestACopyIsSomebodyElseBeforeAnythingOfItRuns(t *testing.T) {
	f, ctx := asleep(t)
	r := thaw()
	r.Identity = other()
	if _, err := f.guest.Thaw(ctx, r); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.machine.told, ", "); got != "entropy more, clock 2031-05-06T07:08:09Z, hostname sb-def, thaw" {
		t.Errorf("the machine was told %s", got)
	}
	if id, name := f.text(t, "/etc/machine-id"), f.text(t, "/etc/hostname"); id != strings.Repeat("1e", 16)+"\n" || name != "sb-def\n" {
		t.Errorf("machine-id %q, hostname %q", id, name)
	}
	if strings.Count(f.text(t, bundlePath), certificate) != 1 {
		t.Error("the lineage's root is in the bundle twice")
	}
	if _, env := f.service.Environment(); env["API_KEY"] != "the copy's" {
		t.Errorf("environment %v", env)
	}
	// Whose token it was before drives it no more; it only learns, once more, that the copy goes on.
	_, err := f.processes.ListProcesses(ctx, &v1.ListProcessesRequest{})
	apitest.Refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	if _, err := f.processes.ListProcesses(with(t.Context(), "Bearer "+otherToken), &v1.ListProcessesRequest{}); err != nil {
		t.Error(err)
	}
	told := len(f.machine.told)
	if _, err := f.guest.Thaw(ctx, r); err != nil {
		t.Errorf("a repeat: %v", err)
	}
	r.Identity.Token = strings.Repeat("z", 32)
	_, err = f.guest.Thaw(ctx, r)
	apitest.Refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	if len(f.machine.told) != told {
		t.Errorf("a repeat was carried out: %v", f.machine.told)
	}
}

func TestThawThatFailsLeavesTheGuestStoppedAndCanBeRepeated(t *testing.T) {
	f, ctx := asleep(t)
	for name, change := range map[string]func(*guestv1.ThawRequest){
		"little entropy": func(r *guestv1.ThawRequest) { r.Entropy = r.Entropy[:63] },
		"no time":        func(r *guestv1.ThawRequest) { r.TimeNs = 0 },
		"no token":       func(r *guestv1.ThawRequest) { r.Identity.Token = "short" },
		"two names":      func(r *guestv1.ThawRequest) { r.Identity.Hostname = "a\nb" },
		"no certificate": func(r *guestv1.ThawRequest) { r.Identity.CaCertificate = "text" },
	} {
		r := thaw()
		r.Identity = other()
		change(r)
		_, err := f.guest.Thaw(ctx, r)
		t.Run(name, func(t *testing.T) { apitest.Refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT") })
	}
	if len(f.machine.told) != 0 {
		t.Fatalf("a refused request was carried out: %v", f.machine.told)
	}
	f.machine.fail = errors.New("no device")
	_, err := f.guest.Thaw(ctx, thaw())
	apitest.Refused(t, err, codes.Internal, "INTERNAL")
	if strings.Contains(strings.Join(f.machine.told, " "), "thaw") {
		t.Error("the tenant runs in a guest that was not reseeded")
	}
	f.machine.fail = nil
	f.tenant.fail = errors.New("no cgroup")
	_, err = f.guest.Thaw(ctx, thaw())
	apitest.Refused(t, err, codes.Internal, "INTERNAL")
	_, err = f.processes.ListProcesses(ctx, &v1.ListProcessesRequest{})
	apitest.Refused(t, err, codes.FailedPrecondition, "SANDBOX_NOT_RUNNING")
	f.tenant.fail = nil
	if _, err := f.guest.Thaw(ctx, thaw()); err != nil {
		t.Error(err)
	}
}

func TestFreezeThatFailsLeavesTheGuestAsItWas(t *testing.T) {
	f := newFixture(t)
	_, err := f.guest.Freeze(t.Context(), &guestv1.FreezeRequest{})
	apitest.Refused(t, err, codes.FailedPrecondition, "GUEST_NOT_CONFIGURED")
	_, err = f.guest.Thaw(t.Context(), thaw())
	apitest.Refused(t, err, codes.FailedPrecondition, "GUEST_NOT_CONFIGURED")
	if _, err := f.guest.Configure(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	ctx := with(t.Context(), "Bearer "+token)
	f.tenant.fail = errors.New("a process does not stop")
	_, err = f.guest.Freeze(ctx, &guestv1.FreezeRequest{})
	apitest.Refused(t, err, codes.Internal, "INTERNAL")
	for name, call := range f.calls() {
		if err := call(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	select {
	case <-f.prepared:
		t.Error("connections were dropped")
	default:
	}
}

// A client that follows a process is told why it has to come back, and finds what it missed.
func TestOpenStreamsEndWithAReasonAndGoOnWhereTheyWere(t *testing.T) {
	f := newFixture(t)
	if _, err := f.guest.Configure(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	ctx := with(t.Context(), "Bearer "+token)
	stream, err := f.processes.StartProcess(ctx)
	if err != nil {
		t.Fatal(err)
	}
	spec := &v1.ProcessSpec{Process: "cat", Argv: []string{"cat"}}
	if err := stream.Send(&v1.StartProcessRequest{Message: &v1.StartProcessRequest_Spec{Spec: spec}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	activity, err := f.guest.GetActivity(ctx, &guestv1.GetActivityRequest{})
	if err != nil || activity.GetProcesses() != 1 || activity.GetStreams() != 1 {
		t.Errorf("%v %v", activity, err)
	}
	if _, err := f.guest.Freeze(ctx, &guestv1.FreezeRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	apitest.Refused(t, err, codes.FailedPrecondition, "SANDBOX_NOT_RUNNING")
	if _, err := f.guest.Thaw(ctx, thaw()); err != nil {
		t.Fatal(err)
	}
	again, err := f.processes.AttachProcess(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Send(&v1.AttachProcessRequest{Message: &v1.AttachProcessRequest_Point{Point: &v1.AttachPoint{Process: "cat"}}})
	_ = again.Send(&v1.AttachProcessRequest{Message: &v1.AttachProcessRequest_Stdin{Stdin: []byte("still here\n")}})
	_ = again.Send(&v1.AttachProcessRequest{Message: &v1.AttachProcessRequest_CloseStdin{CloseStdin: &v1.CloseStdin{}}})
	var output string
	for event, err := again.Recv(); err == nil; event, err = again.Recv() {
		output += string(event.GetStdout().GetData())
	}
	if output != "still here\n" {
		t.Errorf("%q", output)
	}
}

func TestActivityCountsWhoIsOutside(t *testing.T) {
	f := newFixture(t)
	if _, err := f.guest.Configure(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	f.tenant.used = 1500 * time.Millisecond
	// From a guest: a listener, one to a host, one of loopback, the agent's own, one that is closing, one over IPv6 to loopback.
	table := `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 1500FEA9:8CA0 010012C6:01BB 01 00000000:00000000 00:00000000 00000000     0        0 2
   2: 0100007F:1F90 0100007F:8CA2 01 00000000:00000000 00:00000000 00000000     0        0 3
   3: 1500FEA9:0400 1600FEA9:8CA4 01 00000000:00000000 00:00000000 00000000     0        0 4
   4: 1500FEA9:8CA6 010012C6:01BB 06 00000000:00000000 00:00000000 00000000     0        0 5
`
	table6 := `  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:8CA8 01 0
   1: 0000000000000000FFFF00001500FEA9:8CAA 0000000000000000FFFF0000010012C6:01BB 02 0
`
	for path, text := range map[string]string{"/proc/net/tcp": table, "/proc/net/tcp6": table6} {
		full := filepath.Join(f.root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	activity, err := f.guest.GetActivity(with(t.Context(), "Bearer "+token), &guestv1.GetActivityRequest{})
	if err != nil || activity.GetConnections() != 2 || activity.GetCpuMs() != 1500 || activity.GetProcesses() != 0 || activity.GetStreams() != 0 {
		t.Errorf("%v %v", activity, err)
	}
}
