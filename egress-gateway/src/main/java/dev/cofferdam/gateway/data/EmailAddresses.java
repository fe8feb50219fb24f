package dev.cofferdam.gateway.data;

import com.google.common.net.InternetDomainName;
import java.util.Optional;

/** Addresses as HTML takes them for such, under a domain that somebody can have registered. */
final class EmailAddresses implements Detector {
  private static final String LOCAL = ".!#$%&'*+/=?^_`{|}~-";
  private static final int MAX_LOCAL = 64;
  private static final int MAX_DOMAIN = 253;

  @Override
  public Optional<Match> next(Text text, int from) {
    for (int at = from; at < text.length(); at++) {
      if (text.at(at) == '@') {
        int start = start(text, at, from);
        int end = end(text, at + 1);
        if (start < at && end > at && registered(text, at + 1, end)) {
          return Optional.of(new Match(start, end));
        }
      }
    }
    return Optional.empty();
  }

  private static int start(Text text, int at, int from) {
    int start = at;
    while (start > from && at - start < MAX_LOCAL && local(text.at(start - 1))) {
      start--;
    }
    while (start < at && !Text.alphanumeric(text.at(start)) && text.at(start) != '_') {
      start++;
    }
    return start;
  }

  private static boolean local(int c) {
    return Text.alphanumeric(c) || (c > 0 && LOCAL.indexOf(c) >= 0);
  }

  private static int end(Text text, int from) {
    int end = from;
    while (end - from <= MAX_DOMAIN
        && (Text.alphanumeric(text.at(end)) || text.at(end) == '-' || text.at(end) == '.')) {
      end++;
    }
    while (end > from && (text.at(end - 1) == '.' || text.at(end - 1) == '-')) {
      end--;
    }
    return end;
  }

  private static boolean registered(Text text, int from, int end) {
    String domain = text.part(from, end);
    return domain.indexOf('.') > 0
        && InternetDomainName.isValid(domain)
        && InternetDomainName.from(domain).isUnderRegistrySuffix();
  }
}
