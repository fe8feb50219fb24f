package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Requests of HTTP/2 that HTTP/1.1 would read differently, or that name two hosts. */
final class Http2AttackTest extends AttackSuite {
  Http2AttackTest() {
    super(true);
  }

  /** The status, or that the stream was reset; another stream of the connection goes on. */
  private String ask(String authority, String path, Map<String, String> headers) throws Exception {
    try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
      return guest.ask(authority, path, headers);
    }
  }

  @AttackRow({1, 3})
  @ParameterizedTest
  @ValueSource(
      strings = {
        "other.example.test",
        "OTHER.example.test",
        "evil.example.test",
        "x.api.example.test",
        "api.example.test:1"
      })
  void anAuthorityOfAnotherHost(String authority) throws Exception {
    assertThat(ask(authority, "/", Map.of())).isEqualTo("421");
    nothingLeft();
  }

  @AttackRow({2, 3})
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "user@api.example.test",
        "api.example.test, other.example.test",
        "api.example.test/x",
        "api.example.test:1:1"
      })
  void anAuthorityThatIsNoHost(String authority) throws Exception {
    assertThat(ask(authority, "/", Map.of())).isIn("400", "closed");
    nothingLeft();
  }

  @AttackRow(3)
  @ParameterizedTest
  @ValueSource(strings = {"other.example.test", "api.example.test:1", "api.example.test.", ""})
  void aHostBesideTheAuthority(String host) throws Exception {
    assertThat(ask("api.example.test", "/", Map.of("host", host))).isIn("400", "closed");
    nothingLeft();
  }

  static List<Map<String, String>> headers() {
    return List.of(
        Map.of("transfer-encoding", "chunked"),
        Map.of("connection", "x-a", "x-a", "b"),
        Map.of("connection", "Upgrade", "upgrade", "websocket"),
        Map.of("content-length", "5"),
        Map.of("content-length", "0, 5"),
        Map.of("x-a", "b\r\nx-b: c"),
        Map.of("x-a", "b\nc"),
        Map.of("x-a", "b\0c"),
        Map.of("x-a\r\nx-b", "c"),
        Map.of("x a", "b"),
        Map.of("x-a:", "b"),
        Map.of("", "b"),
        Map.of("X-Upper", "b"),
        Map.of("te", "gzip"));
  }

  /** Each would become something else in a request of HTTP/1.1. */
  @AttackRow({7, 9})
  @ParameterizedTest
  @MethodSource("headers")
  void aHeaderThatHttp1WouldReadDifferently(Map<String, String> headers) throws Exception {
    assertThat(ask("api.example.test", "/", headers)).isIn("400", "closed");
    nothingLeft();
  }

  @AttackRow({2, 9})
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "https://other.example.test/",
        "x",
        "*",
        "/ HTTP/1.1\r\nhost: other.example.test\r\n\r\nGET /",
        "/a b",
        "/a#b",
        "/a\0b"
      })
  void aPathThatIsNone(String path) throws Exception {
    assertThat(ask("api.example.test", path, Map.of())).isIn("400", "closed");
    nothingLeft();
  }

  @AttackRow(3)
  @Test
  void aRefusedStreamLeavesTheOthers() throws Exception {
    try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
      assertThat(guest.ask("other.example.test", "/", Map.of())).isEqualTo("421");
      assertThat(guest.ask("api.example.test", "/", Map.of("x-a", "b\r\nc"))).isIn("400", "closed");
      assertThat(guest.ask("api.example.test", "/", Map.of())).isEqualTo("200");
    }
    assertThat(harness.upstream.received).hasSize(1);
  }
}
