package dev.cofferdam.node.cloudhypervisor;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Set;

/**
 * All of a snapshot but its memory, in one file: a line of JSON that says what follows, then Cloud
 * Hypervisor's {@code config.json}, then its {@code state.json}, byte by byte.
 *
 * @param version of the Cloud Hypervisor that wrote it: no other reads it
 * @param memoryBytes length of the memory's file beside it
 */
@SuppressWarnings("ArrayRecordComponent") // Only ever passed through.
record KeptState(String version, long memoryBytes, byte[] config, byte[] state) {
  /** Bytes of the whole. A machine with 64 processors has about 2 MB. */
  static final int MAX_BYTES = 32 << 20;

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String KIND = "cofferdam-cloud-hypervisor-state";

  /**
   * @throws IOException when there is no room, or a file of that name
   */
  void write(Path file) throws IOException {
    byte[] head =
        (JSON.createObjectNode()
                    .put("kind", KIND)
                    .put("version", version)
                    .put("memory_bytes", memoryBytes)
                    .put("config_bytes", config.length)
                    .put("state_bytes", state.length)
                + "\n")
            .getBytes(StandardCharsets.UTF_8);
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      for (byte[] part : new byte[][] {head, config, state}) {
        ByteBuffer bytes = ByteBuffer.wrap(part);
        while (bytes.hasRemaining()) {
          channel.write(bytes);
        }
      }
    }
  }

  /**
   * @throws IOException when it is not there, or anything else than a whole one
   */
  static KeptState read(Path file) throws IOException {
    byte[] bytes = bounded(file, MAX_BYTES);
    int end = 0;
    while (end < bytes.length && bytes[end] != '\n') {
      end++;
    }
    JsonNode head;
    try {
      head = JSON.readTree(bytes, 0, end);
    } catch (JsonProcessingException e) {
      throw new IOException("it begins with no line of JSON", e);
    }
    if (head == null || !head.path("kind").asText().equals(KIND)) {
      throw new IOException("it is not a state of Cloud Hypervisor");
    }
    long config = head.path("config_bytes").asLong(-1);
    long state = head.path("state_bytes").asLong(-1);
    if (config < 0 || state < 0 || config > MAX_BYTES || end + 1 + config + state != bytes.length) {
      throw new IOException(
          "it has %d bytes, expected %d of head, %d of configuration and %d of state"
              .formatted(bytes.length, end + 1, config, state));
    }
    int middle = end + 1 + (int) config;
    return new KeptState(
        head.path("version").asText(),
        head.path("memory_bytes").asLong(-1),
        Arrays.copyOfRange(bytes, end + 1, middle),
        Arrays.copyOfRange(bytes, middle, bytes.length));
  }

  /** The whole of a plain file, if it is no larger than that. */
  static byte[] bounded(Path file, int max) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS))) {
      if (channel.size() > max) {
        throw new IOException(
            "%s has %d bytes, expected at most %d"
                .formatted(file.getFileName(), channel.size(), max));
      }
      ByteBuffer bytes = ByteBuffer.allocate((int) channel.size());
      while (bytes.hasRemaining()) {
        if (channel.read(bytes) < 0) {
          throw new EOFException(file.getFileName() + " shrank while it was read");
        }
      }
      return bytes.array();
    }
  }
}
