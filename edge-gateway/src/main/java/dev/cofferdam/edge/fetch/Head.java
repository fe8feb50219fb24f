package dev.cofferdam.edge.fetch;

import dev.cofferdam.edge.protocol.SdkError;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An answer's head, as curl passes it on from whoever gave it. */
record Head(int status, String reason, List<FetchRequest.Header> headers) {
  private static final Pattern STATUS =
      Pattern.compile("HTTP/[0-9](?:\\.[0-9])? ([1-5][0-9]{2})(?: (.*))?");

  private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);

  /** Of which the JavaScript SDK makes no answer that has a body, fetch's null body statuses. */
  private static final Set<Integer> WITHOUT_BODY = Set.of(101, 103, 204, 205, 304);

  Head {
    headers = List.copyOf(headers);
  }

  /**
   * @param lines without their ends, and without the empty one
   */
  static Head parse(List<String> lines) throws SdkError {
    Matcher first = STATUS.matcher(lines.isEmpty() ? "" : lines.getFirst());
    if (!first.matches()) {
      throw FetchRequest.failed("ERR_FETCH", "what answered speaks no HTTP");
    }
    List<FetchRequest.Header> headers = new ArrayList<>();
    for (String line : lines.subList(1, lines.size())) {
      int colon = line.indexOf(':');
      if (colon > 0) {
        headers.add(
            new FetchRequest.Header(
                line.substring(0, colon).strip(), line.substring(colon + 1).strip()));
      }
    }
    String reason = first.group(2) == null ? "" : first.group(2).strip();
    return new Head(Integer.parseInt(first.group(1)), reason, headers);
  }

  boolean last() {
    return status >= 200;
  }

  boolean redirects() {
    return REDIRECTS.contains(status);
  }

  boolean withoutBody() {
    return WITHOUT_BODY.contains(status);
  }

  Optional<String> value(String name) {
    return headers.stream()
        .filter(header -> header.name().equalsIgnoreCase(name))
        .map(FetchRequest.Header::value)
        .findFirst();
  }
}
