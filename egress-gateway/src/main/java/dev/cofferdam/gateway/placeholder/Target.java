package dev.cofferdam.gateway.placeholder;

import java.util.Locale;
import java.util.Optional;

/** A part of a request. Its text is that of {@code SecretBinding.targets}. */
public sealed interface Target {
  /**
   * @param name lower case
   */
  record Header(String name) implements Target {
    public Header {
      name = name.toLowerCase(Locale.ROOT);
    }

    @Override
    public String toString() {
      return "header:" + name;
    }
  }

  /** Every header; only ever in a binding. */
  record AnyHeader() implements Target {
    @Override
    public String toString() {
      return "header:*";
    }
  }

  record BasicUsername() implements Target {
    @Override
    public String toString() {
      return "basic:username";
    }
  }

  record BasicPassword() implements Target {
    @Override
    public String toString() {
      return "basic:password";
    }
  }

  /** A segment of the path. */
  record Path() implements Target {
    @Override
    public String toString() {
      return "path";
    }
  }

  /** The value of a parameter of the query, by its decoded name. */
  record Query(String name) implements Target {
    @Override
    public String toString() {
      return "query:" + name;
    }
  }

  /** A string in a body of JSON, by its pointer (RFC 6901). */
  record Json(String pointer) implements Target {
    @Override
    public String toString() {
      return "json:" + pointer;
    }
  }

  /** A field of {@code application/x-www-form-urlencoded}, by its decoded name. */
  record Form(String name) implements Target {
    @Override
    public String toString() {
      return "form:" + name;
    }
  }

  /** A field of {@code multipart/form-data}. */
  record Multipart(String name) implements Target {
    @Override
    public String toString() {
      return "multipart:" + name;
    }
  }

  /**
   * The access key's id in an {@code Authorization} of AWS Signature Version 4, which the broker
   * signs anew.
   *
   * @param region in a binding {@code *} for any; empty for a credential that names none
   * @param service likewise
   */
  record Aws4(String region, String service) implements Target {
    private static Optional<Target> parse(String scope) {
      int slash = scope.indexOf('/');
      return slash < 1 || slash == scope.length() - 1
          ? Optional.empty()
          : Optional.of(new Aws4(scope.substring(0, slash), scope.substring(slash + 1)));
    }

    @Override
    public boolean permits(Target place) {
      return place instanceof Aws4(String placeRegion, String placeService)
          && (region.equals("*") || placeRegion.isEmpty() || region.equals(placeRegion))
          && (service.equals("*") || placeService.isEmpty() || service.equals(placeService));
    }

    @Override
    public String toString() {
      return "aws4:" + region + "/" + service;
    }
  }

  /** A text message of a WebSocket, whole. */
  record WebSocketFrame() implements Target {
    @Override
    public String toString() {
      return "websocket-frame";
    }
  }

  /**
   * A header in which a placeholder stands alone, and into which the broker's signature is written.
   *
   * @param header lower case
   */
  record Hmac(String header) implements Target {
    public Hmac {
      header = header.toLowerCase(Locale.ROOT);
    }

    @Override
    public String toString() {
      return "hmac:" + header;
    }
  }

  /** The same of a parameter of the query, by its decoded name. */
  record HmacQuery(String name) implements Target {
    @Override
    public String toString() {
      return "hmac-query:" + name;
    }
  }

  /** A part that no binding can name. */
  record Elsewhere(String part) implements Target {
    @Override
    public String toString() {
      return part;
    }
  }

  /** Empty for a target of a newer contract: nothing is ever put into it here. */
  static Optional<Target> parse(String text) {
    String kind = text.substring(0, text.indexOf(':') + 1);
    String name = text.substring(kind.length());
    if (name.isEmpty()) {
      return Optional.empty();
    }
    return switch (kind) {
      case "header:" -> Optional.of(name.equals("*") ? new AnyHeader() : new Header(name));
      case "basic:" ->
          switch (name) {
            case "username" -> Optional.of(new BasicUsername());
            case "password" -> Optional.of(new BasicPassword());
            default -> Optional.empty();
          };
      case "aws4:" -> Aws4.parse(name);
      case "hmac:" -> Optional.of(new Hmac(name));
      case "hmac-query:" -> Optional.of(new HmacQuery(name));
      case "query:" -> Optional.of(new Query(name));
      case "json:" -> Optional.of(new Json(name));
      case "form:" -> Optional.of(new Form(name));
      case "multipart:" -> Optional.of(new Multipart(name));
      default ->
          switch (name) {
            case "path" -> Optional.of(new Path());
            case "websocket-frame" -> Optional.of(new WebSocketFrame());
            default -> Optional.empty();
          };
    };
  }

  /** Without a name that a guest chose. */
  default Target kind() {
    return switch (this) {
      case Query _ -> new Elsewhere("query");
      case Json _, Form _, Multipart _ -> new Elsewhere("body");
      case Header _,
          AnyHeader _,
          BasicUsername _,
          BasicPassword _,
          Path _,
          WebSocketFrame _,
          Aws4 _,
          Hmac _,
          HmacQuery _,
          Elsewhere _ ->
          this;
    };
  }

  /** How a value is written there. */
  default Escape escape() {
    return switch (this) {
      case Path _ -> Escape.SEGMENT;
      case Query _, Form _, HmacQuery _ -> Escape.PERCENT;
      case Json _ -> Escape.JSON;
      case WebSocketFrame _ -> Escape.TEXT;
      case Header _,
          AnyHeader _,
          BasicUsername _,
          BasicPassword _,
          Multipart _,
          Aws4 _,
          Hmac _,
          Elsewhere _ ->
          Escape.NONE;
    };
  }

  /** Whether a binding that names this target lets a placeholder stand at {@code place}. */
  default boolean permits(Target place) {
    return equals(place) || (this instanceof AnyHeader && place instanceof Header);
  }
}
