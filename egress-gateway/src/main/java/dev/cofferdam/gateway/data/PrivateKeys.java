package dev.cofferdam.gateway.data;

import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** RFC 7468's labels, and what PGP (RFC 9580 section 6.2) and PuTTY write. */
final class PrivateKeys implements Detector {
  private static final byte[] BEGIN = "-----BEGIN ".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] END = "-----END ".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] PUTTY = "PuTTY-User-Key-File-".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] PUTTY_END = "Private-MAC:".getBytes(StandardCharsets.US_ASCII);
  private static final int MAX_LABEL = 64;

  @Override
  public Optional<Match> next(Text text, int from) {
    for (int at = from; at < text.length(); at++) {
      int c = text.at(at);
      if (c == '-' && starts(text, at, BEGIN)) {
        int label = label(text, at + BEGIN.length);
        if (label > 0) {
          return Optional.of(new Match(at, end(text, label, END)));
        }
      } else if (c == 'P' && starts(text, at, PUTTY)) {
        return Optional.of(new Match(at, end(text, at + PUTTY.length, PUTTY_END)));
      }
    }
    return Optional.empty();
  }

  /** The end of a label that names a private key; negative for another one. */
  private static int label(Text text, int from) {
    for (int at = from; at < from + MAX_LABEL; at++) {
      int c = text.at(at);
      if (c == '-') {
        String label = text.part(from, at);
        return label.endsWith("PRIVATE KEY") || label.endsWith("PRIVATE KEY BLOCK") ? at : -1;
      }
      if (!Text.upper(c) && !Text.digit(c) && c != ' ') {
        return -1;
      }
    }
    return -1;
  }

  /** Behind the line that ends it; the text's end where there is none. */
  private static int end(Text text, int from, byte[] last) {
    for (int at = from; at < text.length(); at++) {
      if (text.at(at) == last[0] && starts(text, at, last)) {
        int end = at + last.length;
        while (end < text.length()
            && text.at(end) != '\n'
            && text.at(end) != '\\'
            && text.at(end) != '"') {
          end++;
        }
        return end;
      }
    }
    return text.length();
  }

  private static boolean starts(Text text, int at, byte[] word) {
    for (int i = 0; i < word.length; i++) {
      if (text.at(at + i) != word[i]) {
        return false;
      }
    }
    return true;
  }
}
