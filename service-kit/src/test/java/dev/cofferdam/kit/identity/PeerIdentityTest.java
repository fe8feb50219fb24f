package dev.cofferdam.kit.identity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PeerIdentityTest {
  @Test
  void aUriAndBack() {
    PeerIdentity node = new PeerIdentity("node-agent", "node-1");
    assertThat(PeerIdentity.parse(node.uri("cofferdam.local"), "cofferdam.local"))
        .isEqualTo(Optional.of(node));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "spiffe://other.local/node-agent/node-1",
        "https://cofferdam.local/node-agent/node-1",
        "spiffe://cofferdam.local/node-agent",
        "spiffe://cofferdam.local/node-agent/node-1/x",
        "spiffe://cofferdam.local//node-1",
        "spiffe://cofferdam.local/node-agent/node-1?x",
        "spiffe://cofferdam.local/node-agent/node-1#x",
        "spiffe://cofferdam.local:1/node-agent/node-1",
        "spiffe://a@cofferdam.local/node-agent/node-1",
        "spiffe://cofferdam.local/Node-Agent/node-1",
        "spiffe://cofferdam.local/node%2dagent/node-1",
        "not a uri"
      })
  void anythingElseIsNobody(String uri) {
    assertThat(PeerIdentity.parse(uri, "cofferdam.local")).isEmpty();
  }

  @Test
  void refusesNames() {
    assertThatThrownBy(() -> new PeerIdentity("", "x")).hasMessageContaining("service is ''");
    assertThatThrownBy(() -> new PeerIdentity("x", "a/b"))
        .hasMessageContaining("instance is 'a/b'");
  }
}
