package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.placeholder.BodyFormat;
import dev.cofferdam.gateway.placeholder.BodyScanner;
import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.gateway.placeholder.Judge;
import dev.cofferdam.gateway.placeholder.Template;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.kit.http.RequestHead;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * A body of a format in which a secret is bound to targets at the request's host: kept until it was
 * read as a whole, judged by its parts, and where it holds placeholders written anew, unpacked.
 */
final class TargetedBody {
  /** Of the body, packed or not. */
  static final int MAX_BYTES = 1 << 20;

  /** Of one sandbox: what it may hold of the gateway's memory by them. */
  static final int MAX_AT_ONCE = 32;

  private static final int BOUNDARY_BYTES = 16;

  private final Judge judge;
  private final BodyFormat format;
  private final Optional<WholeCoding> coding;
  private final Host.Name host;
  private final boolean tls;
  private final String boundary;
  private @Nullable Template template;

  private TargetedBody(
      Judge judge,
      BodyFormat format,
      Optional<WholeCoding> coding,
      Host.Name host,
      boolean tls,
      String boundary) {
    this.judge = judge;
    this.format = format;
    this.coding = coding;
    this.host = host;
    this.tls = tls;
    this.boundary = boundary;
  }

  /** Empty where no secret of the sandbox has a target in a body of this type at this host. */
  static Optional<TargetedBody> of(
      Attachment attachment,
      RequestHead head,
      Host.Name host,
      boolean tls,
      RandomGenerator random) {
    if (head.bodyLength() == 0) {
      return Optional.empty();
    }
    return BodyFormat.of(head.headers())
        .filter(format -> attachment.judge().concerns(format, host))
        .map(format -> {
          byte[] unguessable = new byte[BOUNDARY_BYTES];
          random.nextBytes(unguessable);
          String boundary = "cofferdam-" + HexFormat.of().formatHex(unguessable);
          return new TargetedBody(
              attachment.judge(), format, WholeCoding.of(head.headers()), host, tls, boundary);
        });
  }

  /** Whether it can be looked into, though not piece by piece. */
  boolean readable() {
    return coding.isPresent();
  }

  /**
   * @param whole stays the caller's; unpacked, but for a coding that is unpacked as a whole
   * @param found in it, in whatever form
   * @param uses of the request's head
   */
  Judge.OfBody judge(ByteBuf whole, List<Candidates.Found> found, int uses)
      throws RequestBody.UnreadableException {
    byte[] plain = ByteBufUtil.getBytes(whole);
    List<Candidates.Found> all = found;
    if (coding.isPresent()) {
      plain = coding.get().unpack(plain, MAX_BYTES);
      try (BodyScanner scanner = new BodyScanner()) {
        scanner.feed(Unpooled.wrappedBuffer(plain), true).release();
        // What is packed may stand there as it is, and is one placeholder all the same.
        all = scanner.found().isEmpty() ? found : List.copyOf(scanner.found());
      }
    }
    Judge.OfBody judged = judge.judge(format, plain, all, host, tls, uses, boundary);
    if (judged instanceof Judge.OfBody.Filled filled) {
      template = filled.template();
    }
    return judged;
  }

  /** To be filled; empty where the body leaves as it came. */
  Optional<Template> template() {
    return Optional.ofNullable(template);
  }

  /** The head of what was written anew, but for its length. */
  RequestHead written(RequestHead head) {
    return template == null
        ? head
        : head.with(format.written(head.headers().without("content-encoding"), boundary));
  }
}
