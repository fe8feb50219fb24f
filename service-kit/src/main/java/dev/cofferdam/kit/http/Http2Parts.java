package dev.cofferdam.kit.http;

import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.Http2Headers;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What HTTP/2 and HTTP/1.1 call the same things by. */
public final class Http2Parts {
  private Http2Parts() {}

  public static Headers headers(Http2Headers from) {
    List<Header> lines = new ArrayList<>(from.size());
    for (Map.Entry<CharSequence, CharSequence> entry : from) {
      if (entry.getKey().charAt(0) != ':') {
        lines.add(new Header(entry.getKey().toString(), entry.getValue().toString()));
      }
    }
    return new Headers(lines);
  }

  /** RFC 9113 section 8.2.3: crumbs become one header again, as HTTP/1.1 wants it. */
  static Headers joinCookies(Headers headers) {
    List<String> crumbs = headers.all("cookie");
    return crumbs.size() < 2
        ? headers
        : headers.without("cookie").with("cookie", String.join("; ", crumbs));
  }

  /**
   * @param values by the place of a header: what is sent in place of the text there
   */
  public static Http2Headers of(Headers headers, Map<Integer, ? extends CharSequence> values) {
    Http2Headers to = new DefaultHttp2Headers(false);
    List<Header> lines = headers.lines();
    for (int i = 0; i < lines.size(); i++) {
      CharSequence value = values.get(i);
      to.add(
          lines.get(i).name().toLowerCase(Locale.ROOT),
          value == null ? lines.get(i).value() : value);
    }
    return to;
  }

  public static Object end(End end) {
    return end.trailers().lines().isEmpty()
        ? new DefaultHttp2DataFrame(true)
        : new DefaultHttp2HeadersFrame(of(end.trailers(), Map.of()), true);
  }
}
