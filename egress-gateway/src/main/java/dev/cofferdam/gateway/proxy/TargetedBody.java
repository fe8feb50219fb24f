package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.http.RequestHead;
import dev.cofferdam.gateway.placeholder.BodyFormat;
import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.gateway.placeholder.Judge;
import dev.cofferdam.gateway.placeholder.Template;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Attachment;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
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

  private static final int BOUNDARY_BYTES = 16;

  private final Judge judge;
  private final BodyFormat format;
  private final Host.Name host;
  private final boolean tls;
  private final String boundary;
  private @Nullable Template template;

  private TargetedBody(
      Judge judge, BodyFormat format, Host.Name host, boolean tls, String boundary) {
    this.judge = judge;
    this.format = format;
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
          return new TargetedBody(attachment.judge(), format, host, tls, boundary);
        });
  }

  /**
   * @param whole stays the caller's
   * @param found in it, in whatever form
   * @param uses of the request's head
   */
  Judge.OfBody judge(ByteBuf whole, List<Candidates.Found> found, int uses) {
    Judge.OfBody judged =
        judge.judge(format, ByteBufUtil.getBytes(whole), found, host, tls, uses, boundary);
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
