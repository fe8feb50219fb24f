package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.RequestHead;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The parts of a request that its head consists of. */
final class HeadParts {
  private HeadParts() {}

  static List<Part> of(RequestHead head) {
    List<Part> parts = new ArrayList<>();
    parts.add(Part.of(new Target.Elsewhere("method"), head.method()));
    parts.add(Part.of(new Target.Elsewhere("host"), head.authority()));
    target(head.target(), parts);
    for (Header header : head.headers().lines()) {
      parts.add(Part.of(new Target.Elsewhere("header name"), header.name()));
      Optional<Basic> basic = Basic.of(header);
      Optional<Aws4> aws4 = Aws4.of(header);
      if (aws4.isPresent()) {
        parts.add(aws4.get().part());
        parts.add(Part.of(new Target.Elsewhere("header name"), aws4.get().signedHeaders()));
      } else if (basic.isPresent()) {
        parts.add(Part.of(new Target.BasicUsername(), basic.get().username()));
        parts.add(Part.of(new Target.BasicPassword(), basic.get().password()));
      } else {
        parts.add(Part.of(new Target.Header(header.name()), header.value()));
      }
    }
    return parts;
  }

  private static void target(String target, List<Part> parts) {
    List<Candidates.Found> found = Candidates.in(target);
    if (found.isEmpty()) {
      return;
    }
    List<Part> inside = RequestTarget.parse(target).parts();
    parts.addAll(inside);
    // A placeholder may reach over '?' or '&' in another spelling.
    if (inside.stream().mapToInt(part -> part.found().size()).sum() < found.size()) {
      parts.add(new Part(new Target.Elsewhere("path"), target, ""));
    }
  }

  /**
   * What a request authenticates by.
   *
   * @param targets of bindings that it is in
   * @param found whether a placeholder is in it
   */
  record Credential(List<Target> targets, boolean found) {}

  static List<Credential> credentials(RequestHead head) {
    List<Credential> credentials = new ArrayList<>();
    Parsed target = RequestTarget.parse(head.target());
    boolean inPath = false;
    for (Part part : target.parts()) {
      boolean found = !part.found().isEmpty();
      if (part.target() instanceof Target.Path) {
        inPath |= found;
      } else if (!part.text().isEmpty()) {
        credentials.add(new Credential(named(part.target()), found));
      }
    }
    credentials.add(new Credential(List.of(new Target.Path()), inPath));
    for (Header header : head.headers().lines()) {
      if (!header.value().isBlank()) {
        credentials.add(credential(header));
      }
    }
    return credentials;
  }

  /** A presigned URL is a credential as the header is that it stands for. */
  private static List<Target> named(Target target) {
    return !(target instanceof Target.Query(String name))
        ? List.of(target)
        : name.equalsIgnoreCase("x-amz-credential")
            ? List.of(target, new Target.HmacQuery(name), new Target.Aws4("", ""))
            : List.of(target, new Target.HmacQuery(name));
  }

  /** Whoever binds a half of Basic means the whole header: other schemes are in its place. */
  private static Credential credential(Header header) {
    Target itself = new Target.Header(header.name());
    boolean found = !Candidates.in(header.value()).isEmpty();
    Target signed = new Target.Hmac(header.name());
    if (!header.is("authorization")) {
      return new Credential(List.of(itself, signed), found);
    }
    Optional<Basic> basic = Basic.of(header);
    found |=
        basic
            .filter(b ->
                !Candidates.in(b.username()).isEmpty() || !Candidates.in(b.password()).isEmpty())
            .isPresent();
    return new Credential(
        List.of(
            itself,
            signed,
            new Target.BasicUsername(),
            new Target.BasicPassword(),
            new Target.Aws4("", "")),
        found);
  }
}
