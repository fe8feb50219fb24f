package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.grant.MaterialiseRequest.Found;
import dev.cofferdam.broker.policy.Hmac;
import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.v1.EgressReason;
import java.util.List;
import java.util.Optional;

/** What was decided of one materialisation: all of it or nothing. */
sealed interface Outcome {
  /**
   * One use that is allowed, and where its value lies.
   *
   * @param inherited by a placeholder of the sandbox that this one is a copy of
   * @param hmac how it signs, where it does by HMAC
   * @param oauth how an access token is fetched, where one stands for it
   */
  record Release(
      Found found, SecretKey key, boolean inherited, Optional<Hmac> hmac, Optional<OAuth> oauth) {}

  /**
   * One use that is refused.
   *
   * @param secret its name; empty where the placeholder is none of this sandbox's
   */
  record Denial(Found found, String secret, EgressReason reason) {}

  /** In the order of the uses. */
  record Released(String tenant, List<Release> releases) implements Outcome {
    public Released {
      releases = List.copyOf(releases);
    }
  }

  /**
   * Every use, those that are to blame first; the first one's reason is told.
   *
   * @param tenant empty where the sandbox is not known, and so nobody's
   */
  record Refused(String tenant, EgressReason reason, List<Denial> denials) implements Outcome {
    public Refused {
      denials = List.copyOf(denials);
    }
  }
}
