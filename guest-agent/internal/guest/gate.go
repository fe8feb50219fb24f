package guest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/gen/guestv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const scheme = "Bearer "

// maxStreams of all connections. The transport's own bound, which clients wait at without a word, is higher.
const maxStreams = 512

// admit is the uniqueness gate, shut while the guest is stopped, and after Configure the lock: the host's token opens it, the guest's own users have none.
func (s *Service) admit(ctx context.Context, method string) error {
	if method == guestv1.GuestService_Configure_FullMethodName {
		return nil // Carries the token in its body; see Configure.
	}
	if s.frozen.Load() && method != guestv1.GuestService_Freeze_FullMethodName && method != guestv1.GuestService_Thaw_FullMethodName {
		return refusal.New(v1.ErrorReason_ERROR_REASON_SANDBOX_NOT_RUNNING, "the guest is stopped")
	}
	identity := s.identity.Load()
	if identity == nil {
		if strings.HasPrefix(method, "/cofferdam.v1.") {
			return refusal.New(v1.ErrorReason_ERROR_REASON_GUEST_NOT_CONFIGURED, "the guest was not configured yet")
		}
		return nil
	}
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return refusal.New(v1.ErrorReason_ERROR_REASON_TOKEN_MISSING, "the call has no authorization")
	}
	token, isBearer := strings.CutPrefix(values[0], scheme)
	if len(values) != 1 || !isBearer || !identity.hasToken(token) && !s.mayRepeat(method, token) {
		return refusal.New(v1.ErrorReason_ERROR_REASON_TOKEN_INVALID, "the token is not the guest's")
	}
	return nil
}

// mayRepeat lets who the guest was before its Thaw ask for the answer once more.
func (s *Service) mayRepeat(method, token string) bool {
	before := s.before.Load()
	return method == guestv1.GuestService_Thaw_FullMethodName && before != nil && before.hasToken(token)
}

// hasToken compares digests, so that neither content nor length shows in the time.
func (i *identity) hasToken(token string) bool {
	digest := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(digest[:], i.tokenDigest[:]) == 1
}

// Unary guards calls with one message each way.
func (s *Service) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
	defer recovered(info.FullMethod, &err)
	if err := s.admit(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

// Stream guards streams.
func (s *Service) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer recovered(info.FullMethod, &err)
	if err := s.admit(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		return refusal.New(v1.ErrorReason_ERROR_REASON_QUOTA_EXCEEDED, "%d streams are open: no more are allowed", maxStreams)
	}
	defer s.streams.Add(-1)
	ctx, release := s.awake.hold(stream.Context())
	defer release()
	return handler(server, &heldStream{stream, ctx})
}

// heldStream ends with the guest's being awake.
type heldStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *heldStream) Context() context.Context { return s.ctx }

// recovered keeps a defect in one call from ending PID 1, and the guest with it.
func recovered(method string, err *error) {
	if cause := recover(); cause != nil {
		slog.Error("call_failed", "method", method, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
		*err = refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "the agent failed; its log has the cause")
	}
}
