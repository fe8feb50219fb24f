package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.kit.egress.AmbiguousException;
import dev.cofferdam.kit.egress.RequestPath;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import java.util.List;
import java.util.Locale;

/**
 * Whatever a path and a query are: written anew they are what they were, with a value in one part
 * that one alone is another, and a path that a policy can judge stays where it is.
 */
public final class RequestTargetsFuzz {
  private RequestTargetsFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    StringBuilder visible = new StringBuilder("/");
    for (byte b : input) {
      // No other character gets through the reading of a head.
      if (b > 0x20 && b < 0x7f && b != '#') {
        visible.append((char) b);
      }
    }
    String target = visible.toString();
    Parsed parsed = RequestTarget.parse(target);
    check(target, parsed, "");
    check(target, parsed, HostileValue.placeholder(parsed.parts()));
    path(target);
    presigned(target);
  }

  private static void check(String target, Parsed parsed, String placeholder) {
    String written;
    try {
      written = HostileValue.render(parsed.template(), placeholder);
    } catch (Template.UnrepresentableException e) {
      throw new AssertionError(target, e);
    }
    boolean nothingFound = parsed.parts().stream().allMatch(part -> part.found().isEmpty());
    if (nothingFound && !written.equals(target)) {
      throw new AssertionError(target + "\nwritten as " + written);
    }
    List<Part> expected =
        parsed.parts().stream().map(part -> HostileValue.filled(part, placeholder)).toList();
    List<Part> read = RequestTarget.parse(written).parts();
    if (!read.equals(expected)) {
      throw new AssertionError(target + "\nwritten as " + written + "\nread as " + read);
    }
  }

  private static void path(String target) {
    int question = target.indexOf('?');
    String raw = question < 0 ? target : target.substring(0, question);
    try {
      RequestPath path = RequestPath.parse(raw);
      if (path.segments().stream().anyMatch(s -> s.isEmpty() || s.equals(".") || s.equals(".."))
          || path.text().chars().anyMatch(c -> c < 0x20 || c == '\\' || c == ';' || c == '%')) {
        throw new AssertionError(raw + " judged as " + path);
      }
    } catch (AmbiguousException e) {
      // As it should be.
    }
  }

  private static void presigned(String target) {
    RequestHead head =
        new RequestHead("GET", "s3.example.test", target, Headers.of(), 0, true, false);
    RequestHead unfolded = Presigned.unfolded(head);
    boolean left = unfolded.target().toLowerCase(Locale.ROOT).contains("x-amz-signature=");
    if (unfolded.headers().has("authorization") && left) {
      throw new AssertionError(target + " unfolded as " + unfolded);
    }
    String signature = "X-Amz-Signature";
    boolean there =
        RequestTarget.parse(RequestTarget.without(target, signature)).parts().stream()
            .anyMatch(part -> part.target().equals(new Target.Query(signature)));
    if (there) {
      throw new AssertionError(target + " still has " + signature);
    }
  }
}
