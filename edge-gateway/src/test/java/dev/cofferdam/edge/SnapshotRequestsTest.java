package dev.cofferdam.edge;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.cofferdam.v1.Snapshot;
import java.net.http.HttpResponse;
import java.net.http.WebSocketHandshakeException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Snapshots as both SDKs ask for them, before a mesh that is made up. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class SnapshotRequestsTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String VOLUMES = "/api/v2/volumes";
  private static final String SNAPSHOTS = "/api/v2/snapshots";
  private static final String OF_SANDBOX = "sn-abcdefghij234567abcd";

  private final FakeMesh mesh;
  private final EdgeApp app;
  private final Sdk sdk;

  SnapshotRequestsTest() throws Exception {
    mesh = new FakeMesh();
    app = TestEdge.start(mesh, Map.of("region", "ams", "limits.page-size", "2"));
    sdk = new Sdk(app.port());
    mesh.snapshots.put(
        OF_SANDBOX, Snapshot.newBuilder().setId(OF_SANDBOX).setBytes(12_345).build());
    send("POST", VOLUMES, "{\"slug\":\"data\",\"region\":\"ord\",\"capacity\":\"64MiB\"}");
  }

  @AfterAll
  void close() {
    sdk.close();
    app.close();
    mesh.close();
  }

  private HttpResponse<String> send(String method, String path, String body) throws Exception {
    return sdk.send(method, path, Sdk.BOTH, body);
  }

  private List<String> slugs(String path) throws Exception {
    List<String> slugs = new ArrayList<>();
    String next = path;
    while (!next.isEmpty()) {
      HttpResponse<String> page = send("GET", next, "");
      assertThat(page.statusCode()).as(page.body()).isEqualTo(200);
      for (JsonNode item : JSON.readTree(page.body())) {
        slugs.add(item.path("slug").asText());
      }
      String link = page.headers().firstValue("link").orElse("");
      next =
          link.isEmpty()
              ? ""
              : link.substring(link.indexOf("/api"), link.indexOf('>')) + "&limit=1";
    }
    return slugs;
  }

  @Test
  void aSnapshotOfAVolumeIsMadeFoundBegunFromAndDeleted() throws Exception {
    HttpResponse<String> made =
        send("POST", VOLUMES + "/data/snapshot", "{\"slug\":\"first\",\"token\":\"ddo_x\"}");
    assertThat(made.body())
        .isEqualTo(
            "{\"id\":\"first\",\"slug\":\"first\",\"region\":\"ams\",\"allocated_size\":67108864,"
                + "\"flattened_size\":67108864,\"is_bootable\":false,\"base_snapshot\":null,"
                + "\"volume\":{\"id\":\"data\",\"slug\":\"data\"}}");
    assertThat(send("GET", SNAPSHOTS + "/first", "").body()).isEqualTo(made.body());
    HttpResponse<String> again = send("POST", VOLUMES + "/data/snapshot", "{\"slug\":\"first\"}");
    assertThat(again.statusCode()).as("no old one is taken for a new one").isEqualTo(409);
    assertThat(again.body()).contains("SNAPSHOT_EXISTS");

    JsonNode begun =
        JSON.readTree(
            send(
                    "POST",
                    VOLUMES,
                    "{\"slug\":\"copy\",\"region\":\"ord\",\"capacity\":\"128MiB\",\"from\":\"first\"}")
                .body());
    assertThat(begun.path("base_snapshot").toString())
        .isEqualTo("{\"id\":\"first\",\"slug\":\"first\"}");
    assertThat(begun.path("capacity").asLong()).isEqualTo(128 << 20);

    assertThat(slugs(VOLUMES)).as("no snapshot among them").containsExactly("copy", "data");
    assertThat(slugs(SNAPSHOTS)).containsExactly("first", OF_SANDBOX);
    assertThat(slugs(SNAPSHOTS + "?search=irs")).containsExactly("first", OF_SANDBOX);

    assertThat(send("DELETE", SNAPSHOTS + "/first", "").statusCode()).isEqualTo(200);
    HttpResponse<String> gone = send("GET", SNAPSHOTS + "/first", "");
    assertThat(gone.statusCode()).isEqualTo(404);
    assertThat(gone.body()).contains("SNAPSHOT_NOT_FOUND");
    send("DELETE", VOLUMES + "/copy", "");
  }

  @Test
  void aSnapshotOfASandboxIsShownBootedFromAndDeleted() throws Exception {
    JsonNode shown = JSON.readTree(send("GET", SNAPSHOTS + "/" + OF_SANDBOX, "").body());
    assertThat(shown.path("is_bootable").asBoolean()).isTrue();
    assertThat(shown.path("flattened_size").asLong()).isEqualTo(12_345);
    var _ =
        sdk.create(Sdk.BOTH, "{\"root\":{\"volume\":\"" + OF_SANDBOX + "\"},\"memory_mb\":1280}");
    assertThat(mesh.created.getLast().getSnapshot()).isEqualTo(OF_SANDBOX);
    assertThat(mesh.created.getLast().getSize().getMemoryMib()).as("the snapshot's").isZero();
    String other = OF_SANDBOX.replace('a', 'b');
    mesh.snapshots.put(other, Snapshot.newBuilder().setId(other).build());
    assertThat(send("DELETE", SNAPSHOTS + "/" + other, "").statusCode()).isEqualTo(200);
    assertThat(mesh.snapshots).containsOnlyKeys(OF_SANDBOX);
    assertThat(send("GET", SNAPSHOTS + "/" + other, "").statusCode()).isEqualTo(404);
  }

  @Test
  void aVolumeForATemplateIsBootedFromAndSoAreItsSnapshotsWhichStayAsTheyWere() throws Exception {
    for (String builtin : List.of("debian-13", "debian", "web")) {
      String body =
          "{\"slug\":\"disk\",\"capacity\":\"2GiB\",\"from\":\"builtin:%s\"}".formatted(builtin);
      assertThat(JSON.readTree(send("POST", VOLUMES, body).body()).path("is_bootable").asBoolean())
          .isTrue();
      assertThat(mesh.volumes)
          .hasEntrySatisfying(
              "disk",
              volume -> {
                assertThat(volume.getTemplate())
                    .isEqualTo(builtin.equals("web") ? "web" : "debian");
                assertThat(volume.getSource()).isEmpty();
              });
      send("DELETE", VOLUMES + "/disk", "");
    }
    send("POST", VOLUMES, "{\"slug\":\"disk\",\"capacity\":\"2GiB\",\"from\":\"builtin:debian\"}");
    JsonNode kept =
        JSON.readTree(send("POST", VOLUMES + "/disk/snapshot", "{\"slug\":\"tools\"}").body());
    assertThat(kept.path("is_bootable").asBoolean()).isTrue();

    var _ = sdk.create(Sdk.BOTH, "{\"root\":{\"volume\":\"disk\"}}");
    assertThat(mesh.created.getLast().getVolumesMap()).containsExactly(Map.entry("/", "disk"));
    assertThat(mesh.created.getLast().getDiskSource()).isEmpty();
    var _ =
        sdk.create(Sdk.BOTH, "{\"root\":{\"volume\":\"tools\"},\"volumes\":{\"/data\":\"data\"}}");
    assertThat(mesh.created.getLast().getVolumesMap()).containsExactly(Map.entry("/data", "data"));
    assertThat(mesh.created.getLast().getDiskSource()).isEqualTo("deno-snapshot-tools");

    for (String root : List.of("none", "deno-snapshot-tools")) {
      assertThat(refused("{\"root\":{\"volume\":\"%s\"}}".formatted(root)))
          .contains("VOLUME_NOT_FOUND");
    }
    assertThat(refused("{\"root\":{\"volume\":\"disk\"},\"volumes\":{\"/\":\"data\"}}"))
        .contains("INVALID_CONFIGURATION");
    send("DELETE", SNAPSHOTS + "/tools", "");
    send("DELETE", VOLUMES + "/disk", "");
  }

  /** What a create was answered that was refused. */
  private String refused(String config) {
    AtomicReference<String> body = new AtomicReference<>("");
    assertThatThrownBy(() -> sdk.create(Sdk.BOTH, config))
        .isInstanceOf(CompletionException.class)
        .cause()
        .isInstanceOfSatisfying(
            WebSocketHandshakeException.class,
            answer -> body.set(String.valueOf(answer.getResponse().body())));
    return body.get();
  }

  /** A snapshot that something could write to would be none: no way of the SDKs' leads there. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "GET    | /api/v2/volumes/deno-snapshot-kept          | ''             | 404",
        "DELETE | /api/v2/volumes/deno-snapshot-kept          | ''             | 404",
        "POST   | /api/v2/volumes/deno-snapshot-kept/snapshot | {\"slug\":\"s\"} | 404",
        "POST   | /api/v2/volumes | {\"slug\":\"deno-snapshot-a\",\"capacity\":67108864} | 400",
        "POST   | /api/v2/volumes/none/snapshot | {\"slug\":\"s\"} | 404",
        "POST   | /api/v2/volumes/data/snapshot | {\"slug\":\"sn-abcdefghij234567abcd\"} | 400",
        "POST   | /api/v2/volumes/data/snapshot | {\"slug\":\"s\",\"encrypted\":true} | 400",
        "POST   | /api/v2/volumes/data/snapshot | {}                            | 400",
        "GET    | /api/v2/volumes/data/snapshot | ''                            | 404",
        "GET    | /api/v2/snapshots?cursor=x    | ''                            | 400",
        "PUT    | /api/v2/snapshots/kept        | {}                            | 404",
        "POST   | /api/v2/volumes | {\"slug\":\"a\",\"capacity\":67108864,\"from\":\"none\"} | 404",
        "POST   | /api/v2/volumes | {\"slug\":\"a\",\"capacity\":67108864,\"from\":\"data\"} | 404",
        "POST   | /api/v2/volumes |"
            + " {\"slug\":\"a\",\"capacity\":1,\"from\":\"sn-abcdefghij234567abcd\"} | 501",
      })
  void whatCannotBeIsRefused(String method, String path, String body, int status) throws Exception {
    send("POST", VOLUMES + "/data/snapshot", "{\"slug\":\"kept\"}");
    HttpResponse<String> answer = send(method, path, body);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(status);
    assertThat(mesh.volumes).containsOnlyKeys("data", "deno-snapshot-kept");
    send("DELETE", SNAPSHOTS + "/kept", "");
  }
}
