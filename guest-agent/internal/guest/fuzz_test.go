package guest

import (
	"encoding/pem"
	"strings"
	"testing"

	"cofferdam.dev/guest-agent/internal/gen/guestv1"
	"google.golang.org/protobuf/proto"
)

// FuzzConfigure gives check whatever can come over the link. What it lets through is written to /etc, to every process's environment and to the trust
// store: no line of it may become two, no name another path.
func FuzzConfigure(f *testing.F) {
	good := &guestv1.ConfigureRequest{
		Entropy: make([]byte, minEntropy), TimeNs: earliest.UnixNano(), Hostname: "sb-a", MachineId: strings.Repeat("0a", 16), Token: strings.Repeat("t", minToken),
		Env: map[string]string{"A": "b"}, CaCertificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})),
	}
	for _, change := range []func(*guestv1.ConfigureRequest){
		func(*guestv1.ConfigureRequest) {},
		func(r *guestv1.ConfigureRequest) { r.Hostname = "a\n" },
		func(r *guestv1.ConfigureRequest) { r.Hostname = "../a" },
		func(r *guestv1.ConfigureRequest) { r.MachineId += "\n" },
		func(r *guestv1.ConfigureRequest) { r.Env = map[string]string{"A=B": ""} },
		func(r *guestv1.ConfigureRequest) { r.Env = map[string]string{"A": "\x00"} },
		func(r *guestv1.ConfigureRequest) { r.CaCertificate += "PRIVATE" },
		func(r *guestv1.ConfigureRequest) { r.CaCertificate = "-----BEGIN CERTIFICATE-----\n" },
		func(r *guestv1.ConfigureRequest) { r.TimeNs = -1 << 63 },
	} {
		request := proto.Clone(good).(*guestv1.ConfigureRequest)
		change(request)
		text, err := proto.Marshal(request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		request := &guestv1.ConfigureRequest{}
		if proto.Unmarshal(text, request) != nil || check(request) != nil {
			return
		}
		if strings.ContainsAny(request.GetHostname()+request.GetMachineId(), "\n/\x00. ") || len(request.GetHostname()) > 63 || len(request.GetMachineId()) != 32 {
			t.Errorf("names %q and %q", request.GetHostname(), request.GetMachineId())
		}
		if len(request.GetToken()) < minToken || len(request.GetEntropy()) < minEntropy {
			t.Errorf("token of %d, entropy of %d", len(request.GetToken()), len(request.GetEntropy()))
		}
		for name, value := range request.GetEnv() {
			if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
				t.Errorf("environment %q=%q", name, value)
			}
		}
		for rest := []byte(request.GetCaCertificate()); ; {
			block, after := pem.Decode(rest)
			if block == nil {
				if strings.TrimSpace(string(rest)) != "" {
					t.Errorf("the trust store would get %q", rest)
				}
				break
			}
			if block.Type != "CERTIFICATE" {
				t.Errorf("the trust store would get a %s", block.Type)
			}
			rest = after
		}
	})
}
