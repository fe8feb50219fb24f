package dev.cofferdam.kit.identity;

import java.net.URI;
import java.net.URISyntaxException;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Who a process of the mesh is: the URI {@code spiffe://<trust-domain>/<service>/<instance>} in its
 * certificate.
 *
 * @param service the service's name, {@code [a-z][a-z0-9-]{0,62}}
 * @param instance which of its instances, {@code [a-z0-9][a-z0-9-]{0,62}}
 */
public record PeerIdentity(String service, String instance) {
  private static final Pattern SERVICE = Pattern.compile("[a-z][a-z0-9-]{0,62}");
  private static final Pattern INSTANCE = Pattern.compile("[a-z0-9][a-z0-9-]{0,62}");
  private static final int URI_NAME = 6;

  public PeerIdentity {
    if (!SERVICE.matcher(service).matches()) {
      throw new IllegalArgumentException("service is '" + service + "', expected " + SERVICE);
    }
    if (!INSTANCE.matcher(instance).matches()) {
      throw new IllegalArgumentException("instance is '" + instance + "', expected " + INSTANCE);
    }
  }

  public String uri(String trustDomain) {
    return "spiffe://" + trustDomain + "/" + service + "/" + instance;
  }

  /** Empty for anything that is not exactly a URI of this trust domain. */
  public static Optional<PeerIdentity> parse(String uri, String trustDomain) {
    try {
      URI parsed = new URI(uri);
      @Nullable String path = parsed.getRawPath();
      if (!"spiffe".equals(parsed.getScheme())
          || !trustDomain.equals(parsed.getRawAuthority())
          || parsed.getRawQuery() != null
          || parsed.getRawFragment() != null
          || path == null) {
        return Optional.empty();
      }
      String[] parts = path.split("/", -1);
      if (parts.length != 3
          || !SERVICE.matcher(parts[1]).matches()
          || !INSTANCE.matcher(parts[2]).matches()) {
        return Optional.empty();
      }
      return Optional.of(new PeerIdentity(parts[1], parts[2]));
    } catch (URISyntaxException e) {
      return Optional.empty();
    }
  }

  /**
   * Of a verified certificate. Empty unless it carries exactly one URI, as SPIFFE's X.509-SVID
   * asks.
   */
  public static Optional<PeerIdentity> of(X509Certificate certificate, String trustDomain) {
    List<String> uris = new ArrayList<>();
    try {
      @Nullable Collection<List<?>> names = certificate.getSubjectAlternativeNames();
      if (names == null) {
        return Optional.empty();
      }
      for (List<?> name : names) {
        if (Integer.valueOf(URI_NAME).equals(name.get(0))) {
          uris.add(String.valueOf(name.get(1)));
        }
      }
    } catch (CertificateParsingException e) {
      return Optional.empty();
    }
    return uris.size() == 1 ? parse(uris.getFirst(), trustDomain) : Optional.empty();
  }
}
