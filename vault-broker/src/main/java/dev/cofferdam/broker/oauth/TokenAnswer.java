package dev.cofferdam.broker.oauth;

import dev.cofferdam.broker.secret.SecretRules;
import dev.cofferdam.broker.secret.SecretValue;
import io.netty.buffer.ByteBuf;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;

/** What a token endpoint says (RFC 6749, sections 5.1 and 5.2). */
final class TokenAnswer {
  /** Of a token, in characters. */
  static final int MAX_TOKEN = 16_384;

  /** Of one whose endpoint does not say how long it is good. */
  static final Duration UNSAID = Duration.ofMinutes(1);

  /** What of an error is told: a code, and no other text. */
  private static final Set<String> CODES =
      Set.of(
          "invalid_request",
          "invalid_client",
          "invalid_grant",
          "unauthorized_client",
          "unsupported_grant_type",
          "invalid_scope",
          "invalid_target");

  private TokenAnswer() {}

  /**
   * @param body stays the caller's
   * @return for the caller to close
   */
  static AccessToken read(int status, ByteBuf body) {
    if (status != 200) {
      throw refusal(status, body);
    }
    try {
      return token(new JsonMembers(body, Set.of("access_token", "token_type", "expires_in")));
    } catch (JsonMembers.MalformedException e) {
      throw TokenException.unavailable(
          "the token endpoint's answer cannot be used: " + e.getMessage());
    }
  }

  private static AccessToken token(JsonMembers members) throws JsonMembers.MalformedException {
    if (members.word("token_type").filter("bearer"::equalsIgnoreCase).isEmpty()) {
      // A client must not use what it does not know (section 7.1).
      throw new JsonMembers.MalformedException("token_type is not bearer");
    }
    Optional<Long> seconds = members.count("expires_in");
    SecretValue token =
        members
            .value("access_token")
            .orElseThrow(() -> new JsonMembers.MalformedException("access_token is not there"));
    if (token.length() < SecretRules.MIN_LENGTH || token.length() > MAX_TOKEN) {
      int length = token.length();
      token.close();
      throw new JsonMembers.MalformedException(
          "access_token has %d characters, expected %d to %d"
              .formatted(length, SecretRules.MIN_LENGTH, MAX_TOKEN));
    }
    return new AccessToken(token, seconds.map(Duration::ofSeconds).orElse(UNSAID));
  }

  private static TokenException refusal(int status, ByteBuf body) {
    String message = "the token endpoint answered with status %d".formatted(status);
    if (status != 400 && status != 401 && status != 403) {
      return TokenException.unavailable(message);
    }
    try {
      Optional<String> code =
          new JsonMembers(body, Set.of("error")).word("error").filter(CODES::contains);
      return TokenException.refused(message + code.map(known -> ", " + known).orElse(""));
    } catch (JsonMembers.MalformedException e) {
      return TokenException.refused(message);
    }
  }
}
