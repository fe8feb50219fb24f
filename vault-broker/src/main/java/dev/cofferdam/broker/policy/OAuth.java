package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.egress.UnknownParts;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ClientAuthentication;
import dev.cofferdam.v1.ClientCredentials;
import dev.cofferdam.v1.ErrorReason;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where and how access tokens are fetched with a secret's value (RFC 6749, section 4.4).
 *
 * @param spec as its owner wrote it, but for what was left out: that is filled in
 */
public record OAuth(ClientCredentials spec) {
  /** Of the client's secret, in bytes. */
  public static final int MAX_SECRET = 4096;

  private static final int MAX_TEXT = 1024;

  /** What a browser would write in another way is not taken, so that it is read in one way only. */
  private static final Pattern URL =
      Pattern.compile(
          "https://([^/:?#@\\[\\]]+)(?::([1-9][0-9]{0,4}))?(/[\\x21-\\x7e&&[^#\"<>\\\\^`{|}]]*)");

  private static final Pattern VISIBLE = Pattern.compile("[\\x21-\\x7e]*");

  /** RFC 6749, section 3.3. */
  private static final Pattern SCOPE =
      Pattern.compile("([\\x21\\x23-\\x5b\\x5d-\\x7e]+( [\\x21\\x23-\\x5b\\x5d-\\x7e]+)*)?");

  public OAuth {
    UnknownParts.first(spec)
        .ifPresent(what -> {
          throw invalid("has what is not known: " + what);
        });
    if (spec.getTokenUrl().length() > MAX_TEXT) {
      throw invalid(
          "has a token URL of %d characters, expected at most %d"
              .formatted(spec.getTokenUrl().length(), MAX_TEXT));
    }
    Matcher url = URL.matcher(spec.getTokenUrl());
    if (!url.matches() || (url.group(2) != null && Integer.parseInt(url.group(2)) > 65535)) {
      throw invalid("has a token URL that is none, expected https://<name>[:<port>]/<path>");
    }
    var _ = new HostPattern(url.group(1), false);
    if (spec.getClientId().isEmpty()
        || spec.getClientId().length() > 256
        || !VISIBLE.matcher(spec.getClientId()).matches()) {
      throw invalid("has a client id that is none, expected 1 to 256 visible characters of ASCII");
    }
    if (spec.getScope().length() > MAX_TEXT || !SCOPE.matcher(spec.getScope()).matches()) {
      throw invalid("has a scope that is none, expected words with one blank between them");
    }
    checkParameter("audience", spec.getAudience());
    checkParameter("resource", spec.getResource());
    spec =
        switch (spec.getAuthentication()) {
          case CLIENT_AUTHENTICATION_UNSPECIFIED ->
              spec.toBuilder()
                  .setAuthentication(ClientAuthentication.CLIENT_AUTHENTICATION_BASIC)
                  .build();
          case CLIENT_AUTHENTICATION_BASIC, CLIENT_AUTHENTICATION_POST -> spec;
          case UNRECOGNIZED -> throw invalid("proves itself in a way that is not known here");
        };
  }

  private static void checkParameter(String name, String value) {
    if (value.length() > MAX_TEXT || !VISIBLE.matcher(value).matches()) {
      throw invalid(
          "has the parameter %s, expected at most %d visible characters of ASCII"
              .formatted(name, MAX_TEXT));
    }
  }

  private Matcher url() {
    Matcher url = URL.matcher(spec.getTokenUrl());
    if (!url.matches()) {
      throw new IllegalStateException("was checked");
    }
    return url;
  }

  /** Canonical. */
  public String host() {
    return url().group(1);
  }

  public int port() {
    String port = url().group(2);
    return port == null ? 443 : Integer.parseInt(port);
  }

  /** Path and query. */
  public String target() {
    return url().group(3);
  }

  /** Without the query. */
  public String path() {
    String target = target();
    int query = target.indexOf('?');
    return query < 0 ? target : target.substring(0, query);
  }

  private static Refusal invalid(String why) {
    return new Refusal(ErrorReason.ERROR_REASON_BINDING_INVALID, "the client " + why);
  }
}
