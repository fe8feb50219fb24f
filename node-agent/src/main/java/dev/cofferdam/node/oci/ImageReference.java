package dev.cofferdam.node.oci;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An image of a registry, as {@code host[:port]/name[:tag][@sha256:...]} (OCI distribution
 * specification, "Pulling manifests").
 *
 * @param authority the registry, as it was named
 * @param name of the repository in it
 * @param tag where no digest is given
 */
record ImageReference(String authority, String name, String tag, Optional<Digest> digest) {
  private static final Pattern FORM =
      Pattern.compile(
          "([A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?)"
              + "/([a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
              + "(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?");
  private static final int MAX = 512;

  static ImageReference parse(String text) throws ImageException {
    Matcher matcher = FORM.matcher(text);
    if (text.length() > MAX || !matcher.matches()) {
      throw new ImageException(
          "image is '%s', expected host[:port]/name[:tag][@sha256:...]"
              .formatted(text.length() > MAX ? text.substring(0, MAX) : text));
    }
    String tag = matcher.group(3);
    String digest = matcher.group(4);
    return new ImageReference(
        matcher.group(1),
        matcher.group(2),
        tag == null ? "latest" : tag,
        digest == null ? Optional.empty() : Optional.of(Digest.parse(digest)));
  }

  /** As the registry's API wants it. */
  String asked() {
    return digest.map(Digest::toString).orElse(tag);
  }
}
