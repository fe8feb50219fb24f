package dev.cofferdam.gateway;

import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;

/** What TLS clients begin with. */
public final class ClientHellos {
  private ClientHellos() {}

  /** Of a real client, the JDK's. */
  public static byte[] of(String name) throws Exception {
    SSLEngine engine = SSLContext.getDefault().createSSLEngine(name, 443);
    engine.setUseClientMode(true);
    SSLParameters parameters = engine.getSSLParameters();
    parameters.setServerNames(List.of(new SNIHostName(name)));
    engine.setSSLParameters(parameters);
    return first(engine);
  }

  private static byte[] first(SSLEngine engine) throws SSLException {
    ByteBuffer out = ByteBuffer.allocate(engine.getSession().getPacketBufferSize());
    engine.wrap(ByteBuffer.allocate(0), out);
    out.flip();
    byte[] bytes = new byte[out.remaining()];
    out.get(bytes);
    return bytes;
  }

  /**
   * The same with an encrypted_client_hello (RFC 9849) of the outer form, as browsers send one to
   * every server that has no keys for it: all of it is random but the algorithms' names.
   */
  public static byte[] withEncrypted(String name) throws Exception {
    byte[] plain = of(name);
    byte[] extension =
        HexFormat.of()
            .parseHex(
                "fe0d"
                    + "00ba"
                    + "00"
                    + "00010001"
                    + "2a"
                    + "0020"
                    + "5c".repeat(32)
                    + "0090"
                    + "a7".repeat(144));
    ByteBuffer out = ByteBuffer.allocate(plain.length + extension.length);
    out.put(plain);
    out.put(extension);
    // Record, handshake and extensions each tell their length.
    out.putShort(3, (short) (plain.length - 5 + extension.length));
    out.putShort(7, (short) (plain.length - 9 + extension.length));
    int at = 9 + 2 + 32;
    at += 1 + (out.get(at) & 0xff);
    at += 2 + (out.getShort(at) & 0xffff);
    at += 1 + (out.get(at) & 0xff);
    out.putShort(at, (short) (out.getShort(at) + extension.length));
    return out.array();
  }
}
