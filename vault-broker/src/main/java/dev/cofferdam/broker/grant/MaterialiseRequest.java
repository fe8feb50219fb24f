package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.policy.Target;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.util.List;
import java.util.Optional;

/**
 * What a gateway asks for one request that is about to leave.
 *
 * @param gateway its instance, from its certificate
 * @param host canonical
 * @param path without the query
 * @param uses 1 to {@value #MAX_USES}
 */
public record MaterialiseRequest(
    String gateway,
    String sandbox,
    String slotAddress,
    long generation,
    String request,
    String host,
    int port,
    String method,
    String path,
    boolean tls,
    List<Found> uses) {
  public static final int MAX_USES = 16;

  private static final int HASH_LENGTH = 32;

  /**
   * A placeholder in the request.
   *
   * @param placeholderHash SHA-256 of it
   * @param target the part that holds it, as the gateway names it
   * @param occurrences at least 1
   * @param signing what to sign, where the target is one that is signed
   * @param unauthorised the last answer to a request with this secret was 401
   */
  public record Found(
      ByteString placeholderHash,
      String target,
      int occurrences,
      Optional<Signing> signing,
      boolean unauthorised) {
    public Found(ByteString placeholderHash, String target, int occurrences) {
      this(placeholderHash, target, occurrences, Optional.empty(), false);
    }

    public Found {
      if (placeholderHash.size() != HASH_LENGTH) {
        throw invalid(
            "a placeholder's hash has %d bytes, expected %d"
                .formatted(placeholderHash.size(), HASH_LENGTH));
      }
      if (occurrences < 1) {
        throw invalid("a placeholder occurs 0 times, expected at least 1");
      }
    }

    /** Empty for a part that no binding can name. */
    Optional<Target> knownTarget() {
      try {
        Target known = Target.parse(target);
        boolean pattern =
            known instanceof Target.AnyHeader
                || (known instanceof Target.Aws4(String region, String service)
                    && (region.equals("*") || service.equals("*")));
        // A key that signs is not handed out, whatever a gateway leaves out of its question.
        return pattern || known.signed() == signing.isEmpty()
            ? Optional.empty()
            : Optional.of(known);
      } catch (Refusal e) {
        return Optional.empty();
      }
    }
  }

  public MaterialiseRequest {
    uses = List.copyOf(uses);
    if (uses.isEmpty() || uses.size() > MAX_USES) {
      throw invalid(
          "the request holds %d placeholders, expected 1 to %d".formatted(uses.size(), MAX_USES));
    }
    if (request.length() > 64) {
      throw invalid("the request's id is too long, expected at most 64 characters");
    }
    if (host.isEmpty() || host.length() > 253) {
      throw invalid("the host is none, expected 1 to 253 characters");
    }
    List<Signing> signed = uses.stream().flatMap(found -> found.signing().stream()).toList();
    boolean alone = signed.stream().anyMatch(Aws4Signing.class::isInstance);
    if (uses.size() > 1 && (alone || signed.size() > 1)) {
      throw invalid("a request to sign holds other placeholders too, expected none");
    }
    for (Signing each : signed) {
      each.checkOf(host, path);
    }
    if (port < 1 || port > 65535) {
      throw invalid("the port is %d, expected 1 to 65535".formatted(port));
    }
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
