package dev.cofferdam.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;

/**
 * A {@code .pub} file as ssh-keygen(1) writes it. The private half lies beside it under almost the
 * same name, so nothing but a public key gets out of here: no other text, not into a message
 * either, and no comment.
 */
final class PublicKeyFile {
  /** Many times what any key takes. */
  private static final int LIMIT = 65_536;

  /** A key of 32 bytes behind its type in SSH's form (RFC 8709 section 4), which is all here. */
  private static final Pattern KEY =
      Pattern.compile("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}");

  private static final Pattern OTHER_KIND =
      Pattern.compile(
          "(?:ssh-(?:rsa|dss)|ecdsa-sha2-nistp\\d{3}|sk-[a-z0-9-]{1,40}@openssh\\.com)");

  private PublicKeyFile() {}

  /**
   * @param file a path, or {@code -} for {@code in}
   * @return {@code ssh-ed25519 <base64>}
   * @throws ClientException if that is not what it holds
   */
  static String read(String file, InputStream in) {
    String name = file.equals("-") ? "standard input" : file;
    String text = text(file, name, in);
    if (text.contains("PRIVATE KEY-----") || text.startsWith("PuTTY-User-Key-File-")) {
      throw new ClientException(
          "%s is a private key, which goes to nobody and was not sent; expected its .pub file"
              .formatted(name));
    }
    List<String> lines = text.lines().map(String::strip).filter(l -> !l.isEmpty()).toList();
    if (lines.size() != 1) {
      throw new ClientException(
          "%s has %d lines, expected one: ssh-ed25519 <base64>".formatted(name, lines.size()));
    }
    String[] words = lines.getFirst().split("[ \t]+", 3);
    if (OTHER_KIND.matcher(words[0]).matches()) {
      throw new ClientException(
          "the key in %s is of the kind %s, expected ssh-ed25519 (ssh-keygen -t ed25519)"
              .formatted(name, words[0]));
    }
    if (!words[0].equals("ssh-ed25519")) {
      throw new ClientException(
          "%s holds no public key, expected one line: ssh-ed25519 <base64>".formatted(name));
    }
    String key = words.length < 2 ? words[0] : words[0] + " " + words[1];
    if (!KEY.matcher(key).matches()) {
      throw new ClientException("the key in %s is not whole".formatted(name));
    }
    return key;
  }

  private static String text(String file, String name, InputStream in) {
    try {
      byte[] bytes;
      if (file.equals("-")) {
        bytes = in.readNBytes(LIMIT + 1);
      } else {
        try (InputStream opened = Files.newInputStream(Path.of(file))) {
          bytes = opened.readNBytes(LIMIT + 1);
        }
      }
      if (bytes.length > LIMIT) {
        throw new ClientException(
            "%s has more than %d bytes, expected one key".formatted(name, LIMIT));
      }
      return new String(bytes, StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new ClientException("%s cannot be read: %s".formatted(name, e));
    }
  }
}
