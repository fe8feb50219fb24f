package dev.cofferdam.scheduler.tenant;

import com.google.protobuf.ByteString;
import dev.cofferdam.kit.call.Sha256;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;

/**
 * An Ed25519 key as SSH has it (RFC 8709).
 *
 * @param bytes 32 of them (RFC 8032 section 5.1.5)
 */
public record SshPublicKey(ByteString bytes) {
  private static final String TYPE = "ssh-ed25519";
  private static final int LENGTH = 32;
  private static final int SIGNATURE = 64;
  private static final int MAX_LINE = 1024;

  /** What stands before the key's bytes in its X.509 form (RFC 8410 section 4). */
  private static final byte[] X509 = HexFormat.of().parseHex("302a300506032b6570032100");

  public SshPublicKey {
    if (bytes.size() != LENGTH) {
      throw new IllegalArgumentException(
          "the key has " + bytes.size() + " bytes, expected " + LENGTH);
    }
  }

  /**
   * @param line of a {@code .pub} file
   * @throws IllegalArgumentException saying what is wrong, and nothing of the line itself: it may
   *     be of another file
   */
  public static SshPublicKey parse(String line) {
    String[] words = line.strip().split("[ \t]+", 3);
    if (line.length() > MAX_LINE || line.strip().indexOf('\n') >= 0 || words.length < 2) {
      throw new IllegalArgumentException(
          "public_key is no line of a .pub file, expected '%s <base64> [comment]'".formatted(TYPE));
    }
    if (!words[0].equals(TYPE)) {
      throw new IllegalArgumentException("public_key is of another kind, expected " + TYPE);
    }
    byte[] blob;
    try {
      blob = Base64.getDecoder().decode(words[1]);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("public_key is not whole: it is no Base64", e);
    }
    byte[] head = blob(new byte[LENGTH]);
    int before = head.length - LENGTH;
    if (blob.length != head.length || !Arrays.equals(blob, 0, before, head, 0, before)) {
      throw new IllegalArgumentException("public_key is not whole: it holds no key of its kind");
    }
    return new SshPublicKey(ByteString.copyFrom(blob, before, LENGTH));
  }

  /** As a line without comment. */
  public String line() {
    return TYPE + " " + Base64.getEncoder().encodeToString(blob(bytes.toByteArray()));
  }

  /** As OpenSSH shows it. */
  public String fingerprint() {
    return "SHA256:"
        + Base64.getEncoder().withoutPadding().encodeToString(Sha256.of(blob(bytes.toByteArray())));
  }

  /**
   * What a client signs with the key to get in as a user, to whom this connection alone counts (RFC
   * 4252 section 7).
   */
  public byte[] toBeSigned(byte[] sessionId, String user) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(all)) {
      string(out, sessionId);
      // SSH_MSG_USERAUTH_REQUEST
      out.writeByte(50);
      string(out, ascii(user));
      string(out, ascii("ssh-connection"));
      string(out, ascii("publickey"));
      out.writeBoolean(true);
      string(out, ascii(TYPE));
      string(out, blob(bytes.toByteArray()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return all.toByteArray();
  }

  public boolean signed(byte[] message, byte[] signature) {
    if (signature.length != SIGNATURE) {
      return false;
    }
    try {
      Signature verifier = Signature.getInstance("Ed25519");
      verifier.initVerify(decoded());
      verifier.update(message);
      return verifier.verify(signature);
    } catch (GeneralSecurityException e) {
      // No point of the curve either: nothing is signed by it.
      return false;
    }
  }

  private PublicKey decoded() throws GeneralSecurityException {
    byte[] encoded = Arrays.copyOf(X509, X509.length + LENGTH);
    bytes.copyTo(encoded, X509.length);
    return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded));
  }

  private static byte[] blob(byte[] key) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(all)) {
      string(out, ascii(TYPE));
      string(out, key);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return all.toByteArray();
  }

  private static void string(DataOutputStream out, byte[] text) throws IOException {
    out.writeInt(text.length);
    out.write(text);
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  @Override
  public String toString() {
    return fingerprint();
  }
}
