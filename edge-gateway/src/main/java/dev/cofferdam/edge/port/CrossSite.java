package dev.cofferdam.edge.port;

import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import java.util.Locale;
import java.util.Optional;

/**
 * What a page of another origin has a browser send, with its cookies: all ports are one site to
 * SameSite, and others' programs are among them.
 */
final class CrossSite {
  private CrossSite() {}

  /**
   * @throws HttpError 403 for what another origin's page began, but for following a link
   */
  static void check(RequestHead head, String scheme) throws HttpError {
    Headers headers = head.headers();
    String own = scheme + "://" + head.authority().toLowerCase(Locale.ROOT);
    boolean otherOrigin =
        headers.all("origin").stream()
            .anyMatch(origin -> !origin.toLowerCase(Locale.ROOT).equals(own));
    Optional<String> site = headers.first("sec-fetch-site");
    boolean otherSite =
        site.isPresent() && !site.get().equals("same-origin") && !site.get().equals("none");
    boolean follows =
        (head.method().equals("GET") || head.method().equals("HEAD"))
            && headers.first("sec-fetch-mode").filter("navigate"::equals).isPresent()
            && headers.first("sec-fetch-dest").filter("document"::equals).isPresent();
    if (otherOrigin || (otherSite && !follows)) {
      throw new HttpError(
          403,
          "CROSS_ORIGIN",
          "a page of another origin sent the cookie of this port; let it send a token or a key");
    }
  }
}
