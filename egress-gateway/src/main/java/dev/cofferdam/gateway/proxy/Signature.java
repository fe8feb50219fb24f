package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What the broker gave for a request that it signed. Of the key itself nothing is in it. */
sealed interface Signature extends AutoCloseable permits Aws4Signature, HmacSignature {
  /** By AWS and by HMAC alike, of which the last may be empty. */
  int LINES = 3;

  /** What is in it and must not come back to the guest. */
  List<SecretValue> parts();

  /** What to write in the place of its placeholder in the query; empty where that is elsewhere. */
  Optional<SecretValue> inTarget();

  /** With a line for each that has to be added, which {@link #of} then fills. */
  Headers prepared(Headers headers);

  /** The value to send in a header; empty where it stays as it is. */
  Optional<SecretValue> of(Header header);

  @Override
  void close();

  /** The three lines of the broker's answer, for the caller to close. */
  static List<SecretValue> lines(SecretValue answer) {
    List<Integer> ends = new ArrayList<>();
    for (int i = 0; i < answer.length(); i++) {
      if (answer.at(i) == '\n') {
        ends.add(i);
      }
    }
    ends.add(answer.length());
    if (ends.size() != LINES) {
      throw new IllegalArgumentException(
          "the broker's signature has %d lines, expected %d".formatted(ends.size(), LINES));
    }
    List<SecretValue> lines = new ArrayList<>();
    int start = 0;
    for (int end : ends) {
      lines.add(slice(answer, start, end));
      start = end + 1;
    }
    return lines;
  }

  static SecretValue slice(SecretValue from, int start, int end) {
    SecretValue slice = new SecretValue(end - start);
    for (int i = start; i < end; i++) {
      slice.set(i - start, (byte) from.at(i));
    }
    return slice;
  }

  static SecretValue copy(SecretValue of) {
    return slice(of, 0, of.length());
  }
}
