package dev.cofferdam.loadtest;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;

/** The request that a client makes again and again. */
final class LoadRequest {
  private static final int PIECE = 16 << 10;

  private final byte[] head;
  private final byte[] piece;
  private final long body;
  private final int status;

  private LoadRequest(byte[] head, byte[] piece, long body, int status) {
    this.head = head;
    this.piece = piece;
    this.body = body;
    this.status = status;
  }

  /**
   * @param upload bytes of a body that does not compress; 0 for none, and GET
   * @param status that its answer has to have
   */
  static LoadRequest of(String host, String path, List<String> headers, long upload, int status) {
    StringBuilder text = new StringBuilder(upload > 0 ? "POST " : "GET ").append(path);
    text.append(" HTTP/1.1\r\nHost: ").append(host).append("\r\n");
    headers.forEach(header -> text.append(header).append("\r\n"));
    if (upload > 0) {
      text.append("Content-Type: application/octet-stream\r\n");
      text.append("Content-Length: ").append(upload).append("\r\n");
    }
    byte[] piece = new byte[PIECE];
    new Random(1).nextBytes(piece);
    return new LoadRequest(
        text.append("\r\n").toString().getBytes(StandardCharsets.US_ASCII), piece, upload, status);
  }

  int status() {
    return status;
  }

  void writeTo(OutputStream out) throws IOException {
    out.write(head);
    for (long left = body; left > 0; left -= piece.length) {
      out.write(piece, 0, (int) Math.min(left, piece.length));
    }
    out.flush();
  }
}
