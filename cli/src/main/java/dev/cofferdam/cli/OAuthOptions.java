package dev.cofferdam.cli;

import dev.cofferdam.v1.ClientAuthentication;
import dev.cofferdam.v1.ClientCredentials;
import java.util.Optional;
import picocli.CommandLine.Option;

/** How access tokens are fetched with a client's secret. */
final class OAuthOptions {
  /** What the option takes; lower case, as all others. */
  private enum Authentication {
    basic,
    post
  }

  @Option(
      names = "--oauth-token-url",
      paramLabel = "URL",
      description =
          "The value is the secret of an OAuth 2.0 client: the placeholder stands for the access"
              + " token that is fetched from here with it. https:// alone.")
  private String tokenUrl = "";

  @Option(names = "--oauth-client-id", paramLabel = "ID", description = "Of that client.")
  private String clientId = "";

  @Option(
      names = "--oauth-scope",
      paramLabel = "SCOPE",
      description = "What is asked for, with blanks between. Default: what the server gives.")
  private String scope = "";

  @Option(
      names = "--oauth-audience",
      paramLabel = "TEXT",
      description = "The parameter audience, which some servers want.")
  private String audience = "";

  @Option(
      names = "--oauth-resource",
      paramLabel = "URI",
      description = "The parameter resource (RFC 8707).")
  private String resource = "";

  @Option(
      names = "--oauth-auth",
      description =
          "How the client proves itself: ${COMPLETION-CANDIDATES}, in the header or the body."
              + " Default: basic.")
  private Authentication authentication = Authentication.basic;

  /** Empty where the value itself is what is used. */
  Optional<ClientCredentials> client() {
    if (tokenUrl.isEmpty()) {
      if (!clientId.isEmpty() || !scope.isEmpty() || !audience.isEmpty() || !resource.isEmpty()) {
        throw new ClientException("--oauth-... without --oauth-token-url");
      }
      return Optional.empty();
    }
    return Optional.of(
        ClientCredentials.newBuilder()
            .setTokenUrl(tokenUrl)
            .setClientId(clientId)
            .setScope(scope)
            .setAudience(audience)
            .setResource(resource)
            .setAuthentication(
                authentication == Authentication.basic
                    ? ClientAuthentication.CLIENT_AUTHENTICATION_BASIC
                    : ClientAuthentication.CLIENT_AUTHENTICATION_POST)
            .build());
  }
}
