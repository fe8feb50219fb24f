package ninechecks

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cofferdam.dev/testkit/go/gen/cofferdamv1"
)

const (
	bound   = "api.echo.test"
	allowed = "other.echo.test"
	denied  = "denied.echo.test"
	secret  = "nine-checks-go"
	// As curl's options.
	authorization = `-H "Authorization: Bearer $API_KEY"`
)

// story is what one check leaves for the next.
type story struct {
	*mesh
	value, placeholder string
	sandbox            *sandbox
	mark               int
}

func must[T any](t *testing.T) func(value T, err error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNineChecks(t *testing.T) {
	m := must[*mesh](t)(openMesh())
	defer m.close()
	s := &story{mesh: m, value: must[string](t)(newValue())}
	defer func() {
		ctx := context.WithoutCancel(t.Context())
		if s.sandbox != nil {
			_ = s.sandbox.delete(ctx)
		}
		_, _ = m.secrets.DeleteSecret(ctx, &cofferdamv1.DeleteSecretRequest{Name: secret})
	}()
	for number, step := range []struct {
		claim string
		prove func(*testing.T, *story)
	}{
		{"a secret goes in and no call gives it back", secretGoesIn},
		{"a sandbox is a virtual machine", sandboxIsVM},
		{"inside there is a placeholder", placeholderInside},
		{"the upstream gets the key and the guest its placeholder back", substitution},
		{"elsewhere the placeholder is refused", refusedElsewhere},
		{"nothing else leaves and each try is an event", nothingElseLeaves},
		{"every use is on record", usesOnRecord},
		{"without the broker only what needs no secret passes", withoutBroker},
		{"after the delete nothing is left", nothingLeft},
	} {
		name := fmt.Sprintf("%d_%s", number+1, strings.ReplaceAll(step.claim, " ", "_"))
		if !t.Run(name, func(t *testing.T) { step.prove(t, s) }) {
			t.Fatalf("check %d does not hold; those after it build on it", number+1)
		}
	}
}

func secretGoesIn(t *testing.T, s *story) {
	put := must[*cofferdamv1.Secret](t)(s.secrets.PutSecret(t.Context(), &cofferdamv1.PutSecretRequest{
		Name: secret, Value: []byte(s.value), Bindings: []*cofferdamv1.SecretBinding{{Hosts: []string{bound}}},
	}))
	listed := must[*cofferdamv1.ListSecretsResponse](t)(s.secrets.ListSecrets(t.Context(), &cofferdamv1.ListSecretsRequest{PageSize: 1000}))
	if !slices.ContainsFunc(listed.Secrets, func(known *cofferdamv1.Secret) bool { return known.Name == secret }) {
		t.Errorf("%s is not in the list", secret)
	}
	for _, message := range []proto.Message{put, listed} {
		if bytes.Contains(must[[]byte](t)(proto.Marshal(message)), []byte(s.value)) {
			t.Errorf("%T holds the value", message)
		}
	}
	// No answer of the service has a field that could hold one.
	methods := cofferdamv1.File_cofferdam_v1_secret_proto.Services().ByName("SecretService").Methods()
	for i := range methods.Len() {
		fields := methods.Get(i).Output().Fields()
		for j := range fields.Len() {
			if fields.Get(j).Kind() == protoreflect.BytesKind {
				t.Errorf("%s has a field of bytes", fields.Get(j).FullName())
			}
		}
	}
}

func sandboxIsVM(t *testing.T, s *story) {
	created := must[*cofferdamv1.Sandbox](t)(s.sandboxes.CreateSandbox(t.Context(), &cofferdamv1.CreateSandboxRequest{
		Secrets: []*cofferdamv1.SecretReference{{Secret: secret, Env: "API_KEY"}},
		EgressPolicy: &cofferdamv1.EgressPolicy{Rules: []*cofferdamv1.EgressRule{
			{Host: bound, Action: cofferdamv1.RuleAction_RULE_ACTION_ALLOW},
			{Host: allowed, Action: cofferdamv1.RuleAction_RULE_ACTION_ALLOW},
		}},
	}))
	s.sandbox = &sandbox{s.mesh, created}
	for _, file := range []string{"/proc/sys/kernel/random/boot_id", "/proc/cmdline"} {
		inside := must[string](t)(s.sandbox.output(t.Context(), "cat "+file))
		outside := must[[]byte](t)(os.ReadFile(file))
		if inside == "" || inside == strings.TrimSpace(string(outside)) {
			t.Errorf("%s is %q inside and outside", file, inside)
		}
	}
	marker := fmt.Sprintf("%d.5", 1_000_000_000+os.Getpid())
	sleeper := must[*process](t)(s.sandbox.start(t.Context(), "sleep", marker))
	inside := must[string](t)(s.sandbox.output(t.Context(), fmt.Sprintf("tr '\\0' ' ' </proc/%d/cmdline", sleeper.pid)))
	if !strings.Contains(inside, marker) {
		t.Errorf("inside, process %d is %q", sleeper.pid, inside)
	}
	if seen := must[[]int](t)(withCommand(marker)); len(seen) > 0 {
		t.Errorf("the host sees the guest's process as %v", seen)
	}
	must[*cofferdamv1.SignalProcessResponse](t)(s.processes.SignalProcess(t.Context(), &cofferdamv1.SignalProcessRequest{
		Sandbox: s.sandbox.id(), Process: sleeper.id, Signal: 15,
	}))
	if done := must[completed](t)(sleeper.wait()); done.signal != 15 {
		t.Errorf("the sleeper ended with %+v", done)
	}
}

func placeholderInside(t *testing.T, s *story) {
	s.placeholder = must[string](t)(s.sandbox.output(t.Context(), "echo $API_KEY"))
	if len(s.placeholder) < 16 || s.placeholder == s.value {
		t.Errorf("the placeholder is %q", s.placeholder)
	}
}

// arrived is what the upstream received since the last call.
func (s *story) arrived(t *testing.T) []received {
	t.Helper()
	all, mark, err := s.requests(s.mark)
	check(t, err)
	s.mark = mark
	return all
}

func (s *story) curl(t *testing.T, url, options string) answer {
	t.Helper()
	return must[answer](t)(s.sandbox.curl(t.Context(), url, options))
}

func substitution(t *testing.T, s *story) {
	s.arrived(t)
	got := s.curl(t, "https://"+bound+"/headers", authorization)
	all := s.arrived(t)
	if len(all) != 1 || all[0].Headers.Get("Authorization") != "Bearer "+s.value || !all[0].TLS || all[0].Host != bound {
		t.Fatalf("the upstream received %+v", all)
	}
	if got.status != 200 || !strings.Contains(got.body, "Bearer "+s.placeholder) || strings.Contains(got.body, s.value) {
		t.Errorf("the guest got %+v", got)
	}
}

func refusedElsewhere(t *testing.T, s *story) {
	for _, try := range []struct{ host, options, reason string }{
		{bound, `-d "key=$API_KEY"`, "placeholder_outside_target"},
		{bound, `-A "agent $API_KEY"`, "placeholder_outside_target"},
		{allowed, authorization, "placeholder_host_not_bound"},
	} {
		got := s.curl(t, "https://"+try.host+"/echo", try.options)
		if got.status != 403 || got.reason != try.reason {
			t.Errorf("%s to %s: %+v", try.options, try.host, got)
		}
	}
	if all := s.arrived(t); len(all) > 0 {
		t.Errorf("the upstream received %+v", all)
	}
}

func nothingElseLeaves(t *testing.T, s *story) {
	before := must[int](t)(s.unexpected())
	for url, options := range map[string]string{
		"https://" + denied + "/":    "",
		"https://203.0.113.66/":      "-k --connect-timeout 5",
		"https://" + denied + "/raw": "-k --connect-timeout 5 --resolve " + denied + ":443:203.0.113.66",
	} {
		if got := s.curl(t, url, options); got.status != 0 && got.status != 403 {
			t.Errorf("%s: %+v", url, got)
		}
	}
	must[completed](t)(s.sandbox.run(t.Context(), "python3", "-c", packets))
	// A completed TLS handshake without a name is none of the gateway's.
	answered := must[string](t)(s.sandbox.output(t.Context(), fmt.Sprintf(`base=%s
for address in 169.254.0.22 198.18.0.1 192.0.2.2; do for offset in 0 10 11 20 30 50; do
  curl -sk --max-time 5 -o /dev/null -w "%%{time_appconnect} $address $offset\n" https://$address:$((base + offset))/ &
done; done | grep -v '^0.000000 '; true`, s.port)))
	if answered != "" {
		t.Errorf("the mesh answered at %q", answered)
	}
	s.expect(t, "the name", func(e *cofferdamv1.AuditEvent) bool {
		return e.Host == denied && e.Protocol == "dns" && e.Verdict == cofferdamv1.Verdict_VERDICT_DENIED
	})
	s.expect(t, "the raw address", func(e *cofferdamv1.AuditEvent) bool {
		return e.Type == cofferdamv1.AuditEventType_AUDIT_EVENT_TYPE_DECISION && e.Port == 443 && e.Protocol == "tls" &&
			e.Verdict == cofferdamv1.Verdict_VERDICT_DENIED
	})
	for _, protocol := range []string{"udp", "icmp", "ipv6"} {
		s.expect(t, "a dropped packet of "+protocol, func(e *cofferdamv1.AuditEvent) bool {
			return e.Type == cofferdamv1.AuditEventType_AUDIT_EVENT_TYPE_DROP && e.Protocol == protocol
		})
	}
	if all := s.arrived(t); len(all) > 0 {
		t.Errorf("the upstream received %+v", all)
	}
	if after := must[int](t)(s.unexpected()); after != before {
		t.Errorf("%d packets reached the uplink", after-before)
	}
}

// UDP, another DNS server, ICMP, and IPv6 as a frame made by hand, for the guest's kernel has it switched off.
const packets = `
import socket
for port, address in ((9, "203.0.113.66"), (53, "198.51.100.1"), (443, "203.0.113.66")):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"probe", (address, port))
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
    s.sendto(bytes((8, 0, 0xf7, 0xff, 0, 0, 0, 0)), ("203.0.113.66", 0))
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
    s.bind(("eth0", 0))
    header = bytes((0x60, 0, 0, 0, 0, 8, 17, 64)) + bytes(15) + b"\1" + bytes.fromhex("20010db8") + bytes(11) + b"\1"
    s.send(b"\xff" * 6 + s.getsockname()[4] + b"\x86\xdd" + header + bytes((0, 9, 0, 9, 0, 8, 0, 0)))
`

func (s *story) events(ctx context.Context) ([]*cofferdamv1.AuditEvent, error) {
	var all []*cofferdamv1.AuditEvent
	cursor := ""
	for {
		page, err := s.audit.ListAuditEvents(ctx, &cofferdamv1.ListAuditEventsRequest{PageSize: 1000, Cursor: cursor, Sandbox: s.sandbox.id()})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Events...)
		if cursor = page.NextCursor; cursor == "" {
			return all, nil
		}
	}
}

// expect waits for an event: gateways and nodes report in their own time.
func (s *story) expect(t *testing.T, what string, matches func(*cofferdamv1.AuditEvent) bool) *cofferdamv1.AuditEvent {
	t.Helper()
	var all []*cofferdamv1.AuditEvent
	var found *cofferdamv1.AuditEvent
	err := eventually("an event of "+what, func() bool {
		var err error
		if all, err = s.events(t.Context()); err != nil {
			return false
		}
		if at := slices.IndexFunc(all, matches); at >= 0 {
			found = all[at]
		}
		return found != nil
	})
	if err != nil {
		t.Fatalf("%v; there are %v", err, all)
	}
	return found
}

func usesOnRecord(t *testing.T, s *story) {
	use := s.expect(t, "the use", func(e *cofferdamv1.AuditEvent) bool {
		return e.Type == cofferdamv1.AuditEventType_AUDIT_EVENT_TYPE_USE
	})
	got := []string{use.Secret, use.Host, use.Method, use.Path, use.Target, use.Verdict.String()}
	if want := []string{secret, bound, "GET", "/headers", "header:authorization", "VERDICT_ALLOWED"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, expected %q", got, want)
	}
	outcome := s.expect(t, "its outcome", func(e *cofferdamv1.AuditEvent) bool {
		return e.Request == use.Request && e.Type == cofferdamv1.AuditEventType_AUDIT_EVENT_TYPE_DECISION
	})
	if outcome.Status != 200 || outcome.Verdict != cofferdamv1.Verdict_VERDICT_ALLOWED {
		t.Errorf("the outcome is %v", outcome)
	}
}

func withoutBroker(t *testing.T, s *story) {
	check(t, s.without("vault-broker", func() error {
		if got := s.curl(t, "https://"+bound+"/headers", authorization); got.status != 503 || got.reason != "broker_unavailable" {
			t.Errorf("with the secret: %+v", got)
		}
		if got := s.curl(t, "https://"+allowed+"/headers", ""); got.status != 200 {
			t.Errorf("without: %+v", got)
		}
		return nil
	}))
	if all := s.arrived(t); len(all) != 1 || all[0].Host != allowed {
		t.Errorf("the upstream received %+v", all)
	}
	check(t, eventually("a use after the broker's return", func() bool {
		return s.curl(t, "https://"+bound+"/headers", authorization).status == 200
	}))
}

func nothingLeft(t *testing.T, s *story) {
	gone := s.sandbox
	files := filepath.Join(s.state, "node", "sandboxes", gone.id())
	if _, err := os.Stat(files); err != nil {
		t.Fatalf("before the delete: %v", err)
	}
	vmms := must[[]int](t)(s.mesh.vmms(gone.id()))
	if len(vmms) == 0 {
		t.Fatal("before the delete its VM is to be seen")
	}
	check(t, s.mesh.markSlot(vmms[0], gone.id()))
	if !must[bool](t)(s.mesh.marked(gone.id())) {
		t.Fatal("before the delete its slot is to be seen")
	}
	// The broker was away a moment ago, and the scheduler may not have looked again since.
	var refused error
	if err := eventually("its delete", func() bool { refused = gone.delete(t.Context()); return refused == nil }); err != nil {
		t.Fatalf("%v: %v", err, refused)
	}
	check(t, eventually("the end of its VM", func() bool {
		return !slices.ContainsFunc(vmms, func(pid int) bool { _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); return err == nil })
	}))
	check(t, eventually("the end of "+files, func() bool { _, err := os.Stat(files); return os.IsNotExist(err) }))
	check(t, eventually("the end of its slot", func() bool {
		left, err := s.mesh.marked(gone.id())
		return err == nil && !left
	}))
	_, err := gone.run(t.Context(), "true")
	if code, reason := refusal(err); code != codes.FailedPrecondition || reason != "SANDBOX_NOT_RUNNING" {
		t.Errorf("a command in it: %v", err)
	}
	s.sandbox = nil
	// With the same secret: were the old grant alive, nothing else would stand in its way.
	heir := must[*cofferdamv1.Sandbox](t)(s.sandboxes.CreateSandbox(t.Context(), &cofferdamv1.CreateSandboxRequest{
		EgressPolicy: &cofferdamv1.EgressPolicy{Rules: []*cofferdamv1.EgressRule{{Host: bound}}},
		Secrets:      []*cofferdamv1.SecretReference{{Secret: secret, Env: "API_KEY"}},
	}))
	s.sandbox = &sandbox{s.mesh, heir}
	s.arrived(t)
	got := s.curl(t, "https://"+bound+"/headers", fmt.Sprintf("-H 'Authorization: Bearer %s'", s.placeholder))
	if got.status != 403 || got.reason != "placeholder_foreign" {
		t.Errorf("the dead placeholder: %+v", got)
	}
	if all := s.arrived(t); len(all) > 0 {
		t.Errorf("the upstream received %+v", all)
	}
	if got := s.curl(t, "https://"+bound+"/headers", authorization); got.status != 200 {
		t.Errorf("the heir's own placeholder: %+v", got)
	}
}
