package dev.cofferdam.edge.http;

import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.Http2Headers;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What HTTP/2 and HTTP/1.1 call the same things by. */
final class Http2Parts {
  private Http2Parts() {}

  static Headers headers(Http2Headers from) {
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

  static Http2Headers of(Headers headers) {
    Http2Headers to = new DefaultHttp2Headers(false);
    for (Header line : headers.lines()) {
      to.add(line.name().toLowerCase(Locale.ROOT), line.value());
    }
    return to;
  }

  static Object end(End end) {
    return end.trailers().lines().isEmpty()
        ? new DefaultHttp2DataFrame(true)
        : new DefaultHttp2HeadersFrame(of(end.trailers()), true);
  }
}
