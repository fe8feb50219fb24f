package dev.cofferdam.kit.egress;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A query as forms write it (WHATWG URL, application/x-www-form-urlencoded). */
final class RequestQuery {
  private RequestQuery() {}

  /**
   * All values of each name, in their order.
   *
   * @param raw without the question mark
   */
  static Map<String, List<String>> parse(String raw) throws AmbiguousException {
    if (raw.indexOf(';') >= 0) {
      throw new AmbiguousException("the query has a semicolon, at which some servers divide it");
    }
    Map<String, List<String>> values = new LinkedHashMap<>();
    for (String field : raw.split("&", -1)) {
      if (!field.isEmpty()) {
        int equals = field.indexOf('=');
        String name = equals < 0 ? field : field.substring(0, equals);
        String value = equals < 0 ? "" : field.substring(equals + 1);
        values.computeIfAbsent(decoded(name), _ -> new ArrayList<>()).add(decoded(value));
      }
    }
    return values;
  }

  private static String decoded(String text) throws AmbiguousException {
    return Percent.decoded(text.replace('+', ' '));
  }
}
