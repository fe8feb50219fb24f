package dev.cofferdam.broker.oauth;

import dev.cofferdam.broker.secret.SecretValue;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.util.Optional;
import java.util.Set;

/** Whatever an endpoint answers: it is read within its bounds, or refused. */
public final class JsonMembersFuzz {
  private JsonMembersFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    ByteBuf text = Unpooled.wrappedBuffer(input);
    try {
      JsonMembers members = new JsonMembers(text, Set.of("access_token", "expires_in"));
      var _ = members.count("expires_in");
      var _ = members.word("access_token");
      Optional<SecretValue> value = members.value("access_token");
      value.ifPresent(token -> {
        if (token.length() > input.length) {
          throw new AssertionError("more than there is");
        }
        token.close();
      });
    } catch (JsonMembers.MalformedException e) {
      // As it should be.
    }
  }
}
