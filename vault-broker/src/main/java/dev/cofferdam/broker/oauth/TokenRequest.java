package dev.cofferdam.broker.oauth;

import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.v1.ClientAuthentication;
import dev.cofferdam.v1.ClientCredentials;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.codec.base64.Base64;
import io.netty.handler.codec.base64.Base64Dialect;
import java.nio.charset.StandardCharsets;

/**
 * The request for a token, in HTTP/1.1. Written by hand, for a library would take the header with
 * the client's secret as a string.
 */
final class TokenRequest {
  private static final String HEX = "0123456789ABCDEF";

  private TokenRequest() {}

  /**
   * @param buffers zeroes what is released
   * @return for the caller to release
   */
  static ByteBuf write(OAuth client, SecretValue secret, ByteBufAllocator buffers) {
    ByteBuf body = buffers.directBuffer(256);
    ByteBuf request = buffers.directBuffer(1024);
    try {
      boolean inBody =
          client.spec().getAuthentication() == ClientAuthentication.CLIENT_AUTHENTICATION_POST;
      body(client.spec(), body);
      if (inBody) {
        parameter("client_id", client.spec().getClientId(), body);
        text("&client_secret=", body);
        form(secret, body);
      }
      text("POST " + client.target() + " HTTP/1.1\r\nHost: " + client.host(), request);
      text(client.port() == 443 ? "" : ":" + client.port(), request);
      text("\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n", request);
      text("User-Agent: cofferdam\r\nConnection: close\r\n", request);
      if (!inBody) {
        basic(client.spec().getClientId(), secret, buffers, request);
      }
      text("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ", request);
      text(body.readableBytes() + "\r\n\r\n", request);
      request.writeBytes(body);
      return request;
    } catch (RuntimeException | Error e) {
      request.release();
      throw e;
    } finally {
      body.release();
    }
  }

  private static void body(ClientCredentials spec, ByteBuf out) {
    text("grant_type=client_credentials", out);
    parameter("scope", spec.getScope(), out);
    parameter("audience", spec.getAudience(), out);
    parameter("resource", spec.getResource(), out);
  }

  private static void parameter(String name, String value, ByteBuf out) {
    if (!value.isEmpty()) {
      text("&" + name + "=", out);
      for (int i = 0; i < value.length(); i++) {
        form(value.charAt(i), out);
      }
    }
  }

  /** RFC 6749, section 2.3.1: both encoded as in a form, then in base64. */
  private static void basic(
      String clientId, SecretValue secret, ByteBufAllocator buffers, ByteBuf out) {
    ByteBuf pair = buffers.directBuffer(256);
    try {
      for (int i = 0; i < clientId.length(); i++) {
        form(clientId.charAt(i), pair);
      }
      text(":", pair);
      form(secret, pair);
      ByteBuf encoded =
          Base64.encode(pair, 0, pair.readableBytes(), false, Base64Dialect.STANDARD, buffers);
      try {
        text("Authorization: Basic ", out);
        out.writeBytes(encoded);
        text("\r\n", out);
      } finally {
        encoded.release();
      }
    } finally {
      pair.release();
    }
  }

  private static void form(SecretValue value, ByteBuf out) {
    for (int i = 0; i < value.length(); i++) {
      form(value.at(i) & 0xff, out);
    }
  }

  /** A byte as {@code application/x-www-form-urlencoded} has it. */
  private static void form(int unit, ByteBuf out) {
    boolean plain =
        (unit >= 'a' && unit <= 'z')
            || (unit >= 'A' && unit <= 'Z')
            || (unit >= '0' && unit <= '9')
            || unit == '*'
            || unit == '-'
            || unit == '.'
            || unit == '_';
    if (plain) {
      out.writeByte(unit);
    } else if (unit == ' ') {
      out.writeByte('+');
    } else {
      out.writeByte('%');
      out.writeByte(HEX.charAt(unit >> 4));
      out.writeByte(HEX.charAt(unit & 15));
    }
  }

  private static void text(String text, ByteBuf out) {
    out.writeCharSequence(text, StandardCharsets.US_ASCII);
  }
}
