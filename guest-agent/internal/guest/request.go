package guest

import (
	"bytes"
	"encoding/pem"
	"regexp"
	"time"

	"cofferdam.dev/guest-agent/internal/gen/guestv1"
	"cofferdam.dev/guest-agent/internal/process"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const (
	minEntropy = 64
	maxEntropy = 4096
	minToken   = 32
)

var (
	machineID = regexp.MustCompile(`^[0-9a-f]{32}$`)
	hostname  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`) // A label of RFC 1123.
	// A guest whose clock is before this was told no time at all.
	earliest = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
)

// check refuses a request before any of it is done.
func check(request *guestv1.ConfigureRequest) error {
	if err := checkFresh(request); err != nil {
		return err
	}
	return checkIdentity(request)
}

// checkThaw wants of a copy's identity no entropy and no time: those come beside it.
func checkThaw(request *guestv1.ThawRequest) error {
	if err := checkFresh(request); err != nil {
		return err
	}
	if request.GetIdentity() == nil {
		return nil
	}
	return checkIdentity(request.GetIdentity())
}

type fresh interface {
	GetEntropy() []byte
	GetTimeNs() int64
}

func checkFresh(request fresh) error {
	switch {
	case len(request.GetEntropy()) < minEntropy || len(request.GetEntropy()) > maxEntropy:
		return refusal.Invalid("entropy of %d bytes: expected %d to %d", len(request.GetEntropy()), minEntropy, maxEntropy)
	case time.Unix(0, request.GetTimeNs()).Before(earliest):
		return refusal.Invalid("time_ns %d lies before 2024", request.GetTimeNs())
	}
	return nil
}

func checkIdentity(request *guestv1.ConfigureRequest) error {
	switch {
	case !hostname.MatchString(request.GetHostname()):
		return refusal.Invalid("hostname %q: expected [a-z0-9-]{1,63}", request.GetHostname())
	case !machineID.MatchString(request.GetMachineId()):
		return refusal.Invalid("machine_id: expected 32 hex digits in lower case")
	case len(request.GetToken()) < minToken:
		return refusal.Invalid("token of %d characters: expected at least %d", len(request.GetToken()), minToken)
	}
	if err := process.CheckEnvironment(request.GetEnv()); err != nil {
		return err
	}
	if err := checkVolumes(request.GetVolumes()); err != nil {
		return err
	}
	return checkCertificates(request.GetCaCertificate())
}

// checkCertificates wants PEM blocks of certificates and nothing else, for one that is none would spoil the whole bundle
// for OpenSSL. No certificate at all is fine: then no traffic is intercepted. What is in them is the broker's affair.
func checkCertificates(text string) error {
	for rest := []byte(text); len(bytes.TrimSpace(rest)) > 0; {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" || !bytes.HasPrefix(bytes.TrimSpace(rest), []byte("-----BEGIN CERTIFICATE-----")) {
			return refusal.Invalid("ca_certificate: expected PEM blocks of type CERTIFICATE and nothing else")
		}
		rest = after
	}
	return nil
}
