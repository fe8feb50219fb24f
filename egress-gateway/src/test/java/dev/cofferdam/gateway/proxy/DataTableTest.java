package dev.cofferdam.gateway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.data.BodySearch;
import dev.cofferdam.gateway.data.DataGuard;
import dev.cofferdam.gateway.data.LabelledData;
import dev.cofferdam.gateway.policy.DataRules;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;

/** Holds the table of what data rules find and miss in docs/policy.md to what they do. */
final class DataTableTest {
  private static final Path DOCS = Path.of("..", "docs", "policy.md").toAbsolutePath().normalize();
  private static final Host.Name HOST = (Host.Name) Host.parse("api.example.com").orElseThrow();

  /** Of a body, so that every text stands across the border of two. */
  private static final int PIECE = 7;

  private static final Map<String, Function<String, byte[]>> WRITINGS = new LinkedHashMap<>();

  static {
    WRITINGS.put("as it is", DataTableTest::bytes);
    WRITINGS.put("JSON `\\u`", text -> bytes(each(text, "\\u%04x")));
    WRITINGS.put("percent", text -> bytes(each(text, "%%%02X")));
    WRITINGS.put("gzip", DataTableTest::bytes);
    WRITINGS.put("percent twice", text -> bytes(each(text, "%%25%02X")));
    WRITINGS.put("base64", text -> Base64.getEncoder().encode(bytes(text)));
    WRITINGS.put("hex", text -> bytes(HexFormat.of().formatHex(bytes(text))));
    WRITINGS.put("UTF-16", text -> text.getBytes(StandardCharsets.UTF_16BE));
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String each(String text, String format) {
    return text.chars().mapToObj(format::formatted).collect(Collectors.joining());
  }

  private static byte[] gzip(byte[] bytes) {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (OutputStream out = new GZIPOutputStream(packed)) {
      out.write(bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return packed.toByteArray();
  }

  private static boolean found(DataRules rules, byte[] text, boolean packed) throws Exception {
    Headers headers =
        packed ? Headers.of("content-encoding", "gzip") : Headers.of("content-type", "text/plain");
    RequestHead head = new RequestHead("POST", "api.example.com", "/", headers, -1, true, false);
    DataGuard guard = DataGuard.of(rules, HOST, head).orElseThrow();
    BodySearch search = guard.body(!packed, false);
    byte[] around = join(bytes("before "), text, bytes(" behind"));
    byte[] sent = packed ? gzip(around) : around;
    try (RequestBody body = new RequestBody(headers, UnpooledByteBufAllocator.DEFAULT)) {
      body.search(search);
      for (int at = 0; at < sent.length; at += PIECE) {
        ByteBuf piece = Unpooled.copiedBuffer(sent, at, Math.min(PIECE, sent.length - at));
        body.add(piece, false);
        drain(body);
      }
      body.add(Unpooled.EMPTY_BUFFER, true);
      drain(body);
      return body.unwanted().isPresent();
    }
  }

  private static void drain(RequestBody body) throws Exception {
    while (!body.search()) {
      // Another turn.
    }
  }

  private static byte[] join(byte[]... parts) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      all.writeBytes(part);
    }
    return all.toByteArray();
  }

  private static DataRules rules(LabelledData.Row row) {
    return DataRules.compile(
        EgressPolicy.newBuilder()
            .addData(DataRule.newBuilder().addDetectors(row.detector()))
            .build());
  }

  private static long count(LabelledData.Row row, String writing) throws Exception {
    DataRules rules = rules(row);
    long count = 0;
    for (String text : row.texts()) {
      byte[] written = WRITINGS.getOrDefault(writing, DataTableTest::bytes).apply(text);
      if (found(rules, written, writing.equals("gzip"))) {
        count++;
      }
    }
    return count;
  }

  @Test
  void theDocsSayWhatIsFoundAndWhatIsMissed() throws Exception {
    List<String> table = new ArrayList<>();
    table.add("| of 40 texts that hold | " + String.join(" | ", WRITINGS.keySet()) + " |");
    table.add("| --- |" + " --- |".repeat(WRITINGS.size()));
    for (LabelledData.Row row :
        LabelledData.rows().stream().filter(LabelledData.Row::holds).toList()) {
      StringBuilder line = new StringBuilder("| ").append(row.name()).append(" |");
      for (String writing : WRITINGS.keySet()) {
        line.append(' ').append(count(row, writing)).append(" |");
      }
      table.add(line.toString());
    }
    table.add("");
    table.add("| of 40 texts that only look like it | taken for it |");
    table.add("| --- | --- |");
    for (LabelledData.Row row : LabelledData.rows().stream().filter(row -> !row.holds()).toList()) {
      table.add("| %s | %d |".formatted(row.name(), count(row, "as it is")));
    }
    String expected = String.join("\n", table);
    assertThat(Files.readString(DOCS)).contains(expected);
  }
}
