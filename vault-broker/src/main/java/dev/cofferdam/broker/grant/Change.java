package dev.cofferdam.broker.grant;

import dev.cofferdam.internal.v1.Attachment;

/** News for a gateway. Several changes of one sandbox may have become one. */
public sealed interface Change {
  /** Rises with every change at the gateway. */
  long sequence();

  record Attached(long sequence, Attachment attachment) implements Change {}

  record Updated(long sequence, Attachment attachment) implements Change {}

  record Detached(long sequence, String sandbox) implements Change {}
}
