package dev.cofferdam.edge;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Volumes as both SDKs ask for them, before a mesh that is made up. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class VolumeRequestsTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String PATH = "/api/v2/volumes";

  private final FakeMesh mesh;
  private final EdgeApp app;
  private final Sdk sdk;

  VolumeRequestsTest() throws Exception {
    mesh = new FakeMesh();
    app = TestEdge.start(mesh, Map.of("region", "ams", "limits.page-size", "2"));
    sdk = new Sdk(app.port());
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

  @Test
  void aVolumeIsMadeFoundAndDeleted() throws Exception {
    HttpResponse<String> made =
        send("POST", PATH, "{\"slug\":\"data\",\"region\":\"ord\",\"capacity\":\"1GiB\"}");
    assertThat(made.body())
        .isEqualTo(
            "{\"id\":\"data\",\"slug\":\"data\",\"region\":\"ams\",\"capacity\":1073741824,"
                + "\"estimated_allocated_size\":1073741824,\"estimated_flattened_size\":1073741824,"
                + "\"is_bootable\":false,\"base_snapshot\":null}");
    assertThat(send("GET", PATH + "/data", "").body()).isEqualTo(made.body());
    assertThat(send("DELETE", PATH + "/data", "").statusCode()).isEqualTo(200);
    HttpResponse<String> gone = send("GET", PATH + "/data", "");
    assertThat(gone.statusCode()).as("by which the SDKs know that there is none").isEqualTo(404);
    assertThat(gone.body()).contains("VOLUME_NOT_FOUND");
  }

  @Test
  void listsHavePages() throws Exception {
    for (String name : List.of("page-a", "page-b", "page-c", "page-d", "page-e")) {
      send(
          "POST",
          PATH,
          "{\"slug\":\"%s\",\"region\":\"ord\",\"capacity\":67108864}".formatted(name));
    }
    List<String> names = new ArrayList<>();
    String next = PATH + "?search=page-&limit=1000";
    int pages = 0;
    while (!next.isEmpty()) {
      HttpResponse<String> page = send("GET", next, "");
      for (JsonNode volume : JSON.readTree(page.body())) {
        names.add(volume.path("slug").asText());
      }
      String link = page.headers().firstValue("link").orElse("");
      next =
          link.isEmpty()
              ? ""
              : link.substring(link.indexOf(PATH), link.indexOf('>')) + "&search=page-";
      pages++;
    }
    assertThat(names).containsExactly("page-a", "page-b", "page-c", "page-d", "page-e");
    assertThat(pages).as("of two, whatever was asked").isEqualTo(3);
    assertThat(JSON.readTree(send("GET", PATH + "?limit=1&search=c", "").body()).size()).isZero();
    names.forEach(mesh.volumes::remove);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "POST   | /api/v2/volumes               | {\"slug\":\"a\"}                               |"
            + " 400",
        "POST   | /api/v2/volumes               | {\"slug\":\"a\",\"capacity\":true}              "
            + " | 400",
        "POST   | /api/v2/volumes               | {\"slug\":\"a\",\"capacity\":\"1 box\"}          "
            + "  | 400",
        "POST   | /api/v2/volumes               | {\"capacity\":67108864}                        |"
            + " 400",
        "POST   | /api/v2/volumes               |"
            + " {\"slug\":\"a\",\"capacity\":1,\"encrypted\":true} | 400",
        "POST   | /api/v2/volumes               | []                                           |"
            + " 400",
        "POST   | /api/v2/volumes               | {\"slug\":\"a\",\"capacity\":1,\"from\":\"s\"}   "
            + "    | 404",
        "GET    | /api/v2/volumes?limit=x       | ''                                           |"
            + " 400",
        "GET    | /api/v2/volumes?limit=0       | ''                                           |"
            + " 400",
        "DELETE | /api/v2/volumes/in-use        | ''                                           |"
            + " 409",
        "POST   | /api/v2/volumes/a/snapshot    | {\"slug\":\"s\"}                               |"
            + " 404",
        "PUT    | /api/v2/volumes/a             | {}                                           |"
            + " 404",
      })
  void whatCannotBeIsRefused(String method, String path, String body, int status) throws Exception {
    assertThat(send(method, path, body).statusCode()).isEqualTo(status);
    assertThat(mesh.volumes).doesNotContainKey("a");
  }

  @Test
  void aNameIsTakenOnce() throws Exception {
    String taken = "{\"slug\":\"taken\",\"region\":\"ord\",\"capacity\":67108864}";
    send("POST", PATH, taken);
    HttpResponse<String> again = send("POST", PATH, taken);
    assertThat(again.statusCode()).isEqualTo(409);
    assertThat(again.body()).contains("VOLUME_EXISTS");
    mesh.volumes.remove("taken");
  }
}
