package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"cofferdam.dev/guest-agent/internal/apitest"
	"cofferdam.dev/guest-agent/internal/file"
	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/gen/guestv1"
	"cofferdam.dev/guest-agent/internal/process"
	"cofferdam.dev/guest-agent/internal/reaper"
)

var children = reaper.New()

const (
	token       = "0123456789abcdef0123456789abcdef"
	certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
)

// machine writes down what it was told.
type machine struct {
	told     []string
	fail     error
	onVolume func()
}

func (m *machine) AddEntropy(entropy []byte) error {
	m.told = append(m.told, "entropy "+string(entropy[:4]))
	return m.fail
}

func (m *machine) SetClock(now time.Time) error {
	m.told = append(m.told, "clock "+now.UTC().Format(time.RFC3339Nano))
	return nil
}

func (m *machine) SetHostname(name string) error {
	m.told = append(m.told, "hostname "+name)
	return nil
}

func (m *machine) MountVolumes(directories []string) error {
	for number, directory := range directories {
		m.onVolume()
		m.told = append(m.told, fmt.Sprintf("volume %d at %s", number, directory))
	}
	return nil
}

func (m *machine) BootID() (string, error) { return "boot-1", nil }

func (m *machine) GrowDisk() error {
	m.told = append(m.told, "grow disk")
	return nil
}

type fixture struct {
	service   *Service
	machine   *machine
	tenant    *group
	root      string
	prepared  chan struct{}
	guest     guestv1.GuestServiceClient
	processes v1.ProcessServiceClient
	files     v1.FileServiceClient
	health    grpc_health_v1.HealthClient
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{machine: &machine{}, root: t.TempDir(), prepared: make(chan struct{}, 1)}
	f.tenant = &group{told: &f.machine.told}
	gate := NewService(f.machine, f.root, children, f.tenant, func() { f.prepared <- struct{}{} })
	f.service = gate
	table := process.NewTable(children, gate.Environment)
	gate.Counting(table.Running)
	server := grpc.NewServer(grpc.UnaryInterceptor(gate.Unary), grpc.StreamInterceptor(gate.Stream))
	guestv1.RegisterGuestServiceServer(server, gate)
	v1.RegisterProcessServiceServer(server, process.NewService(table))
	v1.RegisterFileServiceServer(server, file.Service{})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	connection := apitest.Serve(t, server)
	f.guest, f.processes = guestv1.NewGuestServiceClient(connection), v1.NewProcessServiceClient(connection)
	f.files, f.health = v1.NewFileServiceClient(connection), grpc_health_v1.NewHealthClient(connection)
	return f
}

func request() *guestv1.ConfigureRequest {
	return &guestv1.ConfigureRequest{
		Entropy: []byte(strings.Repeat("rand", 16)), TimeNs: time.Date(2030, 5, 6, 7, 8, 9, 10, time.UTC).UnixNano(),
		Hostname: "sb-abc", MachineId: strings.Repeat("0f", 16), Token: token,
		Env: map[string]string{"API_KEY": "placeholder"}, CaCertificate: certificate,
	}
}

func with(ctx context.Context, values ...string) context.Context {
	for _, value := range values {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
	}
	return ctx
}

func (f *fixture) text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestConfigureMakesTheGuestUniqueEntropyFirst(t *testing.T) {
	f := newFixture(t)
	bundle := filepath.Join(f.root, bundlePath)
	if err := os.MkdirAll(filepath.Dir(bundle), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bundle, []byte("others\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	response, err := f.guest.Configure(t.Context(), request())
	if err != nil || response.GetBootId() != "boot-1" {
		t.Fatal(response, err)
	}
	expected := "entropy rand, clock 2030-05-06T07:08:09.00000001Z, hostname sb-abc"
	if got := strings.Join(f.machine.told, ", "); got != expected {
		t.Errorf("the machine was told %s", got)
	}
	for path, expected := range map[string]string{
		"/etc/hostname": "sb-abc\n", "/etc/machine-id": strings.Repeat("0f", 16) + "\n",
		bundlePath: "others\n\n" + certificate, rootPath: certificate,
	} {
		if got := f.text(t, path); got != expected {
			t.Errorf("%s: %q", path, got)
		}
	}
	if hosts := f.text(t, "/etc/hosts"); !strings.Contains(hosts, "127.0.1.1\tsb-abc\n") {
		t.Errorf("/etc/hosts: %q", hosts)
	}
}

func TestOnlyADiskThatHasGrownIsGrownInto(t *testing.T) {
	f := newFixture(t)
	r := request()
	r.GrowDisk = true
	if _, err := f.guest.Configure(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if last := f.machine.told[len(f.machine.told)-1]; last != "grow disk" {
		t.Errorf("the machine was told %v", f.machine.told)
	}
}

func TestConfigureMountsVolumesByNumberBeforeItWritesFiles(t *testing.T) {
	f := newFixture(t)
	r := request()
	r.Volumes = []string{"/data", "/data/cache"}
	f.machine.onVolume = func() {
		if _, err := os.Stat(filepath.Join(f.root, "/etc/hostname")); err == nil {
			t.Error("files were written that a volume may come to hide")
		}
	}
	if _, err := f.guest.Configure(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	expected := "hostname sb-abc, volume 0 at /data, volume 1 at /data/cache"
	if got := strings.Join(f.machine.told, ", "); !strings.HasSuffix(got, expected) {
		t.Errorf("the machine was told %s", got)
	}
}

func TestConfigureIsRepeatedWithItsTokenOnly(t *testing.T) {
	f := newFixture(t)
	if _, err := f.guest.Configure(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	told := len(f.machine.told)
	if response, err := f.guest.Configure(t.Context(), request()); err != nil || response.GetBootId() != "boot-1" {
		t.Errorf("%v %v", response, err)
	}
	other := request()
	other.Token = strings.Repeat("x", 32)
	_, err := f.guest.Configure(t.Context(), other)
	apitest.Refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	if len(f.machine.told) != told || strings.Count(f.text(t, bundlePath), certificate) != 1 {
		t.Errorf("a repeat was carried out: %v", f.machine.told)
	}
}

func TestConfigureThatFailsLeavesTheGateShutAndCanBeRepeated(t *testing.T) {
	f := newFixture(t)
	f.machine.fail = errors.New("no device")
	_, err := f.guest.Configure(t.Context(), request())
	apitest.Refused(t, err, codes.Internal, "INTERNAL")
	_, err = f.processes.ListProcesses(with(t.Context(), "Bearer "+token), &v1.ListProcessesRequest{})
	apitest.Refused(t, err, codes.FailedPrecondition, "GUEST_NOT_CONFIGURED")
	f.machine.fail = nil
	if _, err := f.guest.Configure(t.Context(), request()); err != nil {
		t.Error(err)
	}
}

func TestConfigureRefusesNonsense(t *testing.T) {
	f := newFixture(t)
	for name, change := range map[string]func(*guestv1.ConfigureRequest){
		"little entropy":   func(r *guestv1.ConfigureRequest) { r.Entropy = r.Entropy[:63] },
		"much entropy":     func(r *guestv1.ConfigureRequest) { r.Entropy = make([]byte, maxEntropy+1) },
		"no time":          func(r *guestv1.ConfigureRequest) { r.TimeNs = 0 },
		"no hostname":      func(r *guestv1.ConfigureRequest) { r.Hostname = "" },
		"two hostnames":    func(r *guestv1.ConfigureRequest) { r.Hostname = "a\n127.0.0.1 b" },
		"long hostname":    func(r *guestv1.ConfigureRequest) { r.Hostname = strings.Repeat("a", 64) },
		"short machine id": func(r *guestv1.ConfigureRequest) { r.MachineId = "00" },
		"short token":      func(r *guestv1.ConfigureRequest) { r.Token = "short" },
		"no certificate":   func(r *guestv1.ConfigureRequest) { r.CaCertificate = "text" },
		"a key": func(r *guestv1.ConfigureRequest) {
			r.CaCertificate = strings.ReplaceAll(certificate, "CERTIFICATE", "PRIVATE KEY")
		},
		"text between":                func(r *guestv1.ConfigureRequest) { r.CaCertificate = certificate + "text\n" + certificate },
		"half a certificate":          func(r *guestv1.ConfigureRequest) { r.CaCertificate = certificate[:len(certificate)-9] },
		"a volume at the root":        func(r *guestv1.ConfigureRequest) { r.Volumes = []string{"/"} },
		"a volume at no path":         func(r *guestv1.ConfigureRequest) { r.Volumes = []string{"data"} },
		"a volume on a way up":        func(r *guestv1.ConfigureRequest) { r.Volumes = []string{"/data/../proc"} },
		"a volume over the kernel's":  func(r *guestv1.ConfigureRequest) { r.Volumes = []string{"/proc/1"} },
		"two volumes at one place":    func(r *guestv1.ConfigureRequest) { r.Volumes = []string{"/data", "/data"} },
		"more volumes than are given": func(r *guestv1.ConfigureRequest) { r.Volumes = strings.Split(strings.Repeat(" /v", 9), " ")[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			r := proto.CloneOf(request())
			change(r)
			_, err := f.guest.Configure(t.Context(), r)
			apitest.Refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
		})
	}
	r := request()
	r.Env = map[string]string{"A=B": "x"}
	_, err := f.guest.Configure(t.Context(), r)
	apitest.Refused(t, err, codes.InvalidArgument, "ENVIRONMENT_INVALID")
	if len(f.machine.told) != 0 {
		t.Errorf("a refused request was carried out: %v", f.machine.told)
	}
}

// calls are one of each kind and service behind the gate.
func (f *fixture) calls() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"unary": func(ctx context.Context) error {
			_, err := f.processes.ListProcesses(ctx, &v1.ListProcessesRequest{})
			return err
		},
		"bidirectional stream": func(ctx context.Context) error {
			s, err := f.processes.StartProcess(ctx)
			if err != nil {
				return err
			}
			spec := &v1.ProcessSpec{Argv: []string{"true"}}
			_ = s.Send(&v1.StartProcessRequest{Message: &v1.StartProcessRequest_Spec{Spec: spec}})
			_, err = s.Recv()
			return err
		},
		"server stream": func(ctx context.Context) error {
			s, err := f.files.ReadFile(ctx, &v1.ReadFileRequest{Path: "/etc/passwd"})
			if err != nil {
				return err
			}
			_, err = s.Recv()
			return err
		},
		"file": func(ctx context.Context) error {
			_, err := f.files.StatFile(ctx, &v1.StatFileRequest{Path: "/"})
			return err
		},
	}
}

func TestNothingRunsBeforeConfigureAndOnlyTheTokenAfterIt(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	for name, call := range f.calls() {
		t.Run(name+" before", func(t *testing.T) {
			apitest.Refused(t, call(with(ctx, "Bearer "+token)), codes.FailedPrecondition, "GUEST_NOT_CONFIGURED")
		})
	}
	if _, err := f.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("health before Configure: %v", err)
	}
	if _, err := f.guest.Configure(ctx, request()); err != nil {
		t.Fatal(err)
	}
	calls := f.calls()
	calls["health"] = func(ctx context.Context) error {
		_, err := f.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return err
	}
	for name, call := range calls {
		t.Run(name+" after", func(t *testing.T) {
			apitest.Refused(t, call(ctx), codes.Unauthenticated, "TOKEN_MISSING")
			for _, wrong := range []string{"", token, "Bearer ", "Bearer " + token[1:], "Bearer " + token + "x", "Basic " + token, "bearer " + token[:31] + "x"} {
				apitest.Refused(t, call(with(ctx, wrong)), codes.Unauthenticated, "TOKEN_INVALID")
			}
			apitest.Refused(t, call(with(ctx, "Bearer "+token, "Bearer "+token)), codes.Unauthenticated, "TOKEN_INVALID")
			if err := call(with(ctx, "Bearer "+token)); err != nil {
				t.Errorf("with the token: %v", err)
			}
		})
	}
	_, err := f.guest.PrepareSnapshot(ctx, &guestv1.PrepareSnapshotRequest{})
	apitest.Refused(t, err, codes.Unauthenticated, "TOKEN_MISSING")
}

func TestOpenStreamsAreBounded(t *testing.T) {
	f := newFixture(t)
	if _, err := f.guest.Configure(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	read := func() error {
		stream, err := f.files.ReadFile(with(t.Context(), "Bearer "+token), &v1.ReadFileRequest{Path: "/dev/null"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		return err
	}
	f.service.streams.Store(maxStreams)
	apitest.Refused(t, read(), codes.ResourceExhausted, "QUOTA_EXCEEDED")
	if open := f.service.streams.Load(); open != maxStreams {
		t.Errorf("%d streams are open after a refusal", open)
	}
	f.service.streams.Store(maxStreams - 1)
	apitest.Refused(t, read(), codes.InvalidArgument, "PATH_INVALID") // /dev/null is no regular file: it was let in.
}

func TestPrepareSnapshotWarmsUpSweepsAndTells(t *testing.T) {
	f := newFixture(t)
	marker := filepath.Join(t.TempDir(), "marker")
	left := filepath.Join(f.root, "tmp/left/over")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.guest.PrepareSnapshot(t.Context(), &guestv1.PrepareSnapshotRequest{
		WarmUp: []string{"echo one >> " + marker, "echo two >> " + marker},
	}); err != nil {
		t.Fatal(err)
	}
	<-f.prepared
	if text, err := os.ReadFile(marker); string(text) != "one\ntwo\n" {
		t.Errorf("%q %v", text, err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
	_, err := f.guest.PrepareSnapshot(t.Context(), &guestv1.PrepareSnapshotRequest{WarmUp: []string{"exit 3"}})
	apitest.Refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
	_, err = f.guest.PrepareSnapshot(t.Context(), &guestv1.PrepareSnapshotRequest{WarmUp: make([]string, maxWarmUp+1)})
	apitest.Refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
	select {
	case <-f.prepared:
		t.Error("a failed preparation was told as done")
	default:
	}
}

func TestPanicInOneCallIsAnErrorOfThatCall(t *testing.T) {
	s := NewService(&machine{}, t.TempDir(), children, &group{}, func() {})
	_, err := s.Unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/x"}, func(context.Context, any) (any, error) { panic("defect") })
	apitest.Refused(t, err, codes.Internal, "INTERNAL")
}
