package dev.cofferdam.edge.port;

import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.kit.http.ResponseHead;
import dev.cofferdam.kit.http.WebSocketHandshake;
import java.util.ArrayList;
import java.util.List;

/** A URL with a key in it, which can be given to others. */
final class SharedLink {
  private static final String PARAMETER = "cofferdam_key";
  private static final String BEGIN = PARAMETER + "=";

  private SharedLink() {}

  static List<String> keys(String target) {
    List<String> keys = new ArrayList<>();
    int query = target.indexOf('?');
    if (query >= 0) {
      for (String part : target.substring(query + 1).split("&", -1)) {
        if (part.startsWith(BEGIN)) {
          keys.add(part.substring(BEGIN.length()));
        }
      }
    }
    return keys;
  }

  static String without(String target) {
    int query = target.indexOf('?');
    if (query < 0 || keys(target).isEmpty()) {
      return target;
    }
    List<String> left = new ArrayList<>();
    for (String part : target.substring(query + 1).split("&", -1)) {
      if (!part.startsWith(BEGIN)) {
        left.add(part);
      }
    }
    String path = target.substring(0, query);
    return left.isEmpty() ? path : path + "?" + String.join("&", left);
  }

  /**
   * Whether a person follows it, with a browser that will ask for more than this. Others are
   * answered at once: they may keep no cookies.
   */
  static boolean isFollowed(RequestHead head) {
    Headers headers = head.headers();
    return (head.method().equals("GET") || head.method().equals("HEAD"))
        && !WebSocketHandshake.asked(head)
        && headers
            .first("sec-fetch-mode")
            .map("navigate"::equals)
            .orElseGet(() -> headers.first("accept").orElse("").contains("text/html"));
  }

  /**
   * To the same page without the key: neither the page nor who is linked to from it is told of it.
   *
   * @param left the request without the key
   * @param cookie that has it from here on
   */
  static ResponseHead landing(RequestHead left, String scheme, String cookie) {
    return new ResponseHead(
        303,
        Headers.of(
            // Whole, for a path of two slashes would name another host.
            "location",
            scheme + "://" + left.authority() + left.target(),
            "set-cookie",
            cookie,
            "cache-control",
            "no-store",
            "referrer-policy",
            "no-referrer"),
        0);
  }
}
