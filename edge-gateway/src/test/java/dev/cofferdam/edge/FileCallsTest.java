package dev.cofferdam.edge;

import static dev.cofferdam.edge.Eventually.eventually;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.google.protobuf.Message;
import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.CopyFileRequest;
import dev.cofferdam.v1.FileType;
import dev.cofferdam.v1.MakeDirectoryRequest;
import dev.cofferdam.v1.MakeLinkRequest;
import dev.cofferdam.v1.MakeTemporaryRequest;
import dev.cofferdam.v1.OpenFileRequest;
import dev.cofferdam.v1.OpenFileTarget;
import dev.cofferdam.v1.SetFileAttributesRequest;
import dev.cofferdam.v1.WalkDirectoryRequest;
import dev.cofferdam.v1.WriteFileTarget;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The calls on files over a socket, before a mesh that is made up. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class FileCallsTest {

  private final FakeMesh mesh;
  private final EdgeApp app;
  private final Sdk sdk;
  private final Sdk.Socket socket;

  FileCallsTest() throws Exception {
    mesh = new FakeMesh();
    app = TestEdge.start(mesh, Map.of());
    sdk = new Sdk(app.port());
    socket = sdk.create(Sdk.BOTH, "{}");
  }

  @AfterEach
  void forget() {
    mesh.files.asked.clear();
  }

  @AfterAll
  void close() {
    sdk.close();
    app.close();
    mesh.close();
  }

  private <M extends Message> M asked(Class<M> type) {
    return type.cast(mesh.files.asked.getLast());
  }

  @Test
  void aStatHasEveryMember() throws Exception {
    JsonNode stat = socket.ok("stat", "{\"path\":\"/a/link\"}");
    assertThat(stat.size()).as("zod wants them all").isEqualTo(21);
    assertThat(stat.path("isFile").asBoolean()).isTrue();
    assertThat(stat.path("mode").asInt()).as("with its type, as stat(2)").isEqualTo(0100640);
    assertThat(stat.path("uid").asLong()).isEqualTo(4_294_967_294L);
    assertThat(stat.path("mtime").asText()).isEqualTo("2001-09-09T01:46:40.123Z");
    JsonNode link = socket.ok("lstat", "{\"path\":\"/a/link\"}");
    assertThat(link.path("isSymlink").asBoolean()).isTrue();
    assertThat(socket.ok("readLink", "{\"path\":\"/a/link\"}").asText()).isEqualTo("../else");
    assertThat(socket.ask("readLink", "{\"path\":\"/a/file\"}").at("/result/error/code").asText())
        .isEqualTo("EINVAL");
    assertThat(socket.ok("realPath", "{\"path\":\"x\"}").asText()).isEqualTo("/real/root/x");
  }

  @Test
  void attributesAreSetAsAsked() throws Exception {
    socket.ok("chmod", "{\"path\":\"f\",\"mode\":0}");
    SetFileAttributesRequest set = asked(SetFileAttributesRequest.class);
    assertThat(set.getPath()).isEqualTo("/root/f");
    assertThat(set.hasMode() && set.getMode() == 0 && !set.hasSize() && !set.hasUid()).isTrue();
    socket.ok("chown", "{\"path\":\"/f\",\"uid\":null,\"gid\":4294967294}");
    set = asked(SetFileAttributesRequest.class);
    assertThat(set.hasUid()).isFalse();
    assertThat(set.getGid()).isEqualTo(-2);
    socket.ok("truncate", "{\"name\":\"/f\",\"length\":null}");
    set = asked(SetFileAttributesRequest.class);
    assertThat(set.hasSize() && set.getSize() == 0).isTrue();
    socket.ok("utime", "{\"path\":\"/f\",\"atime\":1.5,\"mtime\":\"2001-09-09T01:46:40.123Z\"}");
    set = asked(SetFileAttributesRequest.class);
    assertThat(set.getAccessTime())
        .isEqualTo(Timestamp.newBuilder().setSeconds(1).setNanos(500_000_000).build());
    assertThat(set.getModifyTime().getSeconds()).isEqualTo(1_000_000_000);
  }

  @Test
  void aLinksTargetIsTakenAsItIs() throws Exception {
    socket.ok("symlink", "{\"target\":\"../a\",\"path\":\"b\",\"options\":null}");
    MakeLinkRequest made = asked(MakeLinkRequest.class);
    assertThat(made.getSymbolic()).isTrue();
    assertThat(made.getTarget()).isEqualTo("../a");
    assertThat(made.getPath()).isEqualTo("/root/b");
    socket.ok("link", "{\"target\":\"a\",\"path\":\"/b\"}");
    made = asked(MakeLinkRequest.class);
    assertThat(made.getSymbolic()).isFalse();
    assertThat(made.getTarget()).as("of a name, the path").isEqualTo("/root/a");
    socket.ok("copyFile", "{\"fromPath\":\"a\",\"toPath\":\"/b\"}");
    assertThat(asked(CopyFileRequest.class).getSource()).isEqualTo("/root/a");
  }

  @Test
  void temporariesHaveTheirNames() throws Exception {
    String options = "{\"options\":{\"dir\":\"/d\",\"prefix\":\"p\",\"suffix\":\".s\"}}";
    assertThat(socket.ok("makeTempFile", options).asText()).isEqualTo("/d/p1.s");
    assertThat(asked(MakeTemporaryRequest.class).getType()).isEqualTo(FileType.FILE_TYPE_REGULAR);
    socket.ok("makeTempDir", "{\"options\":null}");
    assertThat(asked(MakeTemporaryRequest.class).getType()).isEqualTo(FileType.FILE_TYPE_DIRECTORY);
  }

  /** The agent knows no mask: what is made has the modes that umask(2) would leave. */
  @Test
  void theMaskIsTakenOffWhatIsMade() throws Exception {
    assertThat(socket.ok("umask", "{\"mask\":null}").asInt()).isEqualTo(022);
    assertThat(socket.ok("umask", "{\"mask\":%d}".formatted(0177077)).asInt()).isEqualTo(022);
    try {
      assertThat(socket.ok("umask", "{}").asInt()).as("its nine bits").isEqualTo(077);
      socket.ok("writeTextFile", "{\"path\":\"/new\",\"content\":\"\"}");
      assertThat(asked(WriteFileTarget.class).getMode()).isEqualTo(0600);
      socket.ok("writeTextFile", "{\"path\":\"/new\",\"content\":\"\",\"options\":{\"mode\":493}}");
      assertThat(asked(WriteFileTarget.class).getMode()).as("by a chmod, in Deno").isEqualTo(0755);
      socket.ok("writeTextFile", "{\"path\":\"/there\",\"content\":\"\"}");
      assertThat(asked(WriteFileTarget.class).getMode()).as("as it was").isEqualTo(0640);
      socket.ok("mkdir", "{\"path\":\"/d\"}");
      assertThat(asked(MakeDirectoryRequest.class).getMode()).isEqualTo(0700);
      socket.ok("mkdir", "{\"path\":\"/d\",\"options\":{\"mode\":457}}");
      assertThat(asked(MakeDirectoryRequest.class).getMode()).isEqualTo(0700);
      socket.ok("create", "{\"path\":\"/f\"}");
      assertThat(asked(OpenFileTarget.class).getMode()).isEqualTo(0600);
      socket.ok(
          "open", "{\"path\":\"/f\",\"options\":{\"write\":true,\"createNew\":true,\"mode\":420}}");
      assertThat(asked(OpenFileTarget.class).getMode()).isEqualTo(0600);
      socket.ok(
          "writeTextFile",
          "{\"path\":\"/f\",\"content\":\"\",\"options\":{\"createNew\":true,\"create\":false}}");
      assertThat(asked(OpenFileTarget.class).getMode()).isEqualTo(0600);
      socket.ok(
          "writeTextFile",
          "{\"path\":\"/f\",\"content\":\"\",\"options\":{\"append\":true,\"create\":false}}");
      assertThat(asked(OpenFileTarget.class).getMode()).as("nothing is made").isZero();
      socket.ok("umask", "{\"mask\":0}");
      socket.ok("mkdir", "{\"path\":\"/d\"}");
      assertThat(asked(MakeDirectoryRequest.class).getMode()).isEqualTo(0777);
      socket.ok("create", "{\"path\":\"/f\"}");
      assertThat(asked(OpenFileTarget.class).getMode()).isEqualTo(0666);
      socket.ok("umask", "{\"mask\":%d}".formatted(077));
      mesh.files.asked.clear();
      JsonNode none = socket.ask("mkdir", "{\"path\":\"/d\",\"options\":{\"mode\":63}}");
      assertThat(none.at("/result/error/constructorName").asText()).isEqualTo("NotSupported");
      assertThat(mesh.files.asked).as("no mode is a wider one to the API").isEmpty();
    } finally {
      assertThat(socket.ok("umask", "{\"mask\":18}").asInt()).isEqualTo(077);
    }
    Sdk.Socket other = sdk.create(Sdk.BOTH, "{}");
    other.call(1, "umask", "{}");
    assertThat(other.answer(1).at("/result/ok").asInt()).as("another session's").isEqualTo(022);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "umask    | {\"mask\":-1}",
        "umask    | {\"mask\":\"22\"}",
        "chown    | {\"path\":\"/f\",\"uid\":-1}",
        "chown    | {\"path\":\"/f\",\"uid\":4294967295}",
        "chmod    | {\"path\":\"/f\"}",
        "truncate | {\"name\":\"/f\",\"length\":-1}",
        "utime    | {\"path\":\"/f\",\"atime\":\"yesterday\",\"mtime\":0}",
        "utime    | {\"path\":\"/f\",\"atime\":1e99,\"mtime\":0}",
        "utime    | {\"path\":\"/f\",\"atime\":1e999999999,\"mtime\":0}",
        "utime    | {\"path\":\"/f\",\"atime\":\"+12000-01-01T00:00:00Z\",\"mtime\":0}",
        "walk     | {\"path\":\"/f\",\"match\":[\"a\"]}",
        "fileSeek | {\"fileHandleId\":1,\"offset\":0,\"whence\":3}",
        "fileSeek | {\"fileHandleId\":1,\"offset\":\"x\",\"whence\":0}",
      })
  void whatIsNoParameterIsRefusedBeforeTheSandboxHearsOfIt(String method, String params)
      throws Exception {
    assertThat(socket.ask(method, params).at("/error/code").asInt()).isEqualTo(-32602);
    assertThat(mesh.files.asked).isEmpty();
  }

  @Test
  void anOpenFileIsReadWrittenAndClosed() throws Exception {
    int before = mesh.files.open.get();
    String of =
        "{\"fileHandleId\":%d,"
            .formatted(
                socket
                    .ok(
                        "open",
                        "{\"path\":\"f\",\"options\":{\"read\":true,\"write\":true,\"create\":true,"
                            + "\"mode\":420,\"append\":null}}")
                    .path("fileHandleId")
                    .asLong());
    OpenFileTarget target = asked(OpenFileTarget.class);
    assertThat(target.getPath()).isEqualTo("/root/f");
    assertThat(target.getRead() && target.getWrite() && target.getCreate()).isTrue();
    assertThat(target.getMode()).isEqualTo(0644);
    String large = "x".repeat(150_000);
    assertThat(socket.ok("fileWrite", of + "\"data\":\"%s\"}".formatted(base64(large))).toString())
        .isEqualTo("{\"bytesWritten\":150000}");
    assertThat(
            socket.ok("fileSeek", of + "\"offset\":\"0\",\"whence\":0}").path("position").asLong())
        .isZero();
    String read = socket.ok("fileRead", of + "\"length\":149000}").path("data").asText();
    assertThat(new String(Base64.getDecoder().decode(read), StandardCharsets.UTF_8))
        .as("over the limit of one message to the guest")
        .isEqualTo(large.substring(0, 149_000));
    socket.ok("fileRead", of + "\"length\":5000}");
    assertThat(socket.ok("fileRead", of + "\"length\":10}").path("data").isNull())
        .as("its end")
        .isTrue();
    JsonNode failed = socket.ask("fileSeek", of + "\"offset\":-1,\"whence\":0}");
    assertThat(failed.at("/result/error/code").asText()).isEqualTo("EINVAL");
    assertThat(socket.ok("fileStat", of + "\"x\":0}").size()).as("open still").isEqualTo(21);
    socket.ok("fileClose", of + "\"x\":0}");
    assertThat(socket.ask("fileClose", of + "\"x\":0}").at("/result/error/code").asText())
        .isEqualTo("EBADF");
    // One of a test before may end late.
    eventually(() -> mesh.files.open.get() <= before, "the end of its call");
  }

  @Test
  void aFileIsAskedForOnceHoweverMuchIsReadAndEndsWhereItEnds() throws Exception {
    String of = opened("long");
    String written = "0123456789".repeat(40_000);
    socket.ok("fileWrite", of + "\"data\":\"%s\"}".formatted(base64(written)));
    socket.ok("fileSeek", of + "\"offset\":0,\"whence\":0}");
    int before = mesh.files.reads.get();
    assertThat(read(of, 390_000)).isEqualTo(written.substring(0, 390_000));
    assertThat(read(of, 390_000)).isEqualTo(written.substring(390_000));
    assertThat(mesh.files.reads.get() - before).isEqualTo(2);
    assertThat(socket.ok("fileRead", of + "\"length\":10}").path("data").isNull()).isTrue();
    socket.ok("fileClose", of + "\"x\":0}");
  }

  @Test
  void whatWasReadBeforeAFailureIsAnsweredAndTheFileStaysOpen() throws Exception {
    String of = opened("broken");
    String written = "0123456789".repeat(12_000);
    socket.ok("fileWrite", of + "\"data\":\"%s\"}".formatted(base64(written)));
    socket.ok("fileSeek", of + "\"offset\":0,\"whence\":0}");
    assertThat(read(of, 100_000)).isEqualTo(written.substring(0, FakeFiles.PART));
    assertThat(socket.ask("fileRead", of + "\"length\":100000}").toString()).contains("it broke");
    socket.ok("fileSeek", of + "\"offset\":0,\"whence\":0}");
    assertThat(read(of, 10)).isEqualTo("0123456789");
    socket.ok("fileClose", of + "\"x\":0}");
  }

  /** How a call about it begins. */
  private String opened(String path) throws Exception {
    return "{\"fileHandleId\":%d,"
        .formatted(
            socket
                .ok(
                    "open",
                    "{\"path\":\"%s\",\"options\":{\"read\":true,\"write\":true}}".formatted(path))
                .path("fileHandleId")
                .asLong());
  }

  private String read(String of, int length) throws Exception {
    String data =
        socket.ok("fileRead", of + "\"length\":%d}".formatted(length)).path("data").asText();
    return new String(Base64.getDecoder().decode(data), StandardCharsets.UTF_8);
  }

  /** JavaScript's len, Python's size. */
  @ParameterizedTest
  @CsvSource({"len,7", "size,7", "other,0"})
  void aSizeHasTwoNames(String name, long size) throws Exception {
    long id = socket.ok("create", "{\"path\":\"f\"}").path("fileHandleId").asLong();
    socket.ok("fileTruncate", "{\"fileHandleId\":%d,\"%s\":7}".formatted(id, name));
    assertThat(asked(OpenFileRequest.class).getTruncate()).isEqualTo(size);
    socket.ok("fileClose", "{\"fileHandleId\":%d}".formatted(id));
  }

  @Test
  void aLockIsWaitedForWithoutHoldingUpOthersAndEndsWithTheFile() throws Exception {
    long id = socket.ok("create", "{\"path\":\"f\"}").path("fileHandleId").asLong();
    int before = mesh.files.locking.get();
    int locking = socket.call("fileLock", "{\"fileHandleId\":%d,\"exclusive\":true}".formatted(id));
    eventually(() -> mesh.files.locking.get() > before, "the lock's being asked for");
    socket.ok("stat", "{\"path\":\"/f\"}");
    int closing = socket.call("fileClose", "{\"fileHandleId\":%d}".formatted(id));
    List<Integer> answered = new ArrayList<>();
    while (answered.size() < 2) {
      answered.add(socket.next().path("id").asInt());
    }
    assertThat(answered).containsExactlyInAnyOrder(locking, closing);
  }

  @Test
  void filesCloseWithTheirSessionAndAreSoMany() throws Exception {
    int before = mesh.files.open.get();
    Sdk.Socket other = sdk.create(Sdk.BOTH, "{}");
    for (int id = 1; id <= 129; id++) {
      other.call(id, "open", "{\"path\":\"f\"}");
      JsonNode answer = other.answer(id);
      assertThat(answer.at("/result/error/code").asText()).isEqualTo(id <= 128 ? "" : "EMFILE");
    }
    assertThat(mesh.files.open.get()).isEqualTo(before + 128);
    other.call(130, "fileClose", "{\"fileHandleId\":5}");
    other.answer(130);
    other.call(131, "open", "{\"path\":\"/missing\"}");
    assertThat(other.answer(131).at("/result/error/code").asText()).isEqualTo("ENOENT");
    other.call(132, "open", "{\"path\":\"f\"}");
    assertThat(other.answer(132).at("/result/ok/fileHandleId").isNumber())
        .as("what could not be opened took no room")
        .isTrue();
    other.socket().abort();
    eventually(() -> mesh.files.open.get() == before, "the end of their calls");
  }

  @Test
  void appendingAndMakingAnewGoIntoTheFileItself() throws Exception {
    socket.ok(
        "writeTextFile",
        "{\"path\":\"/f\",\"content\":\"text\",\"options\":{\"append\":true,\"create\":false}}");
    OpenFileTarget target = asked(OpenFileTarget.class);
    assertThat(target.getAppend()).isTrue();
    assertThat(target.getCreate()).isFalse();
    socket.ok(
        "writeTextFile", "{\"path\":\"/f\",\"content\":\"\",\"options\":{\"createNew\":true}}");
    assertThat(asked(OpenFileTarget.class).getCreateNew()).isTrue();
    socket.ok("writeTextFile", "{\"path\":\"/a/link\",\"content\":\"x\",\"options\":null}");
    assertThat(asked(OpenFileTarget.class).getTruncate()).as("where the link leads").isTrue();
    JsonNode absent =
        socket.ask(
            "writeFile", "{\"path\":\"/missing\",\"content\":\"\",\"options\":{\"create\":false}}");
    assertThat(absent.at("/result/error/code").asText()).isEqualTo("ENOENT");
  }

  @Test
  void aGlobIsAWalkOfWhereItBegins() throws Exception {
    assertThat(streamed("{\"glob\":\"w/*.txt\",\"exclude\":[\"w/b*\"],\"root\":\"/r\"}"))
        .isEqualTo(4);
    WalkDirectoryRequest walked = asked(WalkDirectoryRequest.class);
    assertThat(walked.getPath()).isEqualTo("/r/w");
    assertThat(walked.getMatchList()).containsExactly("^/r/w/[^/]*\\.txt$");
    assertThat(walked.getSkipList()).containsExactly("^/r/w/b[^/]*$");
    assertThat(walked.getMaxDepth()).isEqualTo(1);
    assertThat(streamed("{\"glob\":\"/missing/**\"}")).as("nothing is there").isZero();
    assertThat(asked(WalkDirectoryRequest.class).hasMaxDepth()).isFalse();
    assertThat(streamed("{\"glob\":\"/w/*/\",\"root\":null}")).as("directories alone").isEqualTo(1);
  }

  private int streamed(String params) throws Exception {
    var _ = socket.call("expandGlob", params);
    int entries = 0;
    JsonNode message = socket.next();
    while (!message.path("method").asText().endsWith("end")) {
      assertThat(message.has("error")).as(message.toString()).isFalse();
      entries += message.path("method").asText().endsWith("enqueue") ? 1 : 0;
      message = socket.next();
    }
    return entries;
  }

  @Test
  void aWalkIsAStreamOfWhatIsWanted() throws Exception {
    String options =
        "\"includeDirs\":null,\"includeSymlinks\":false,\"exts\":[\"txt\"],\"maxDepth\":2,"
            + "\"match\":[{\"source\":\"a|c\",\"flags\":\"gi\"}],\"skip\":null";
    var _ = socket.call("walk", "{\"path\":\"/w\"," + options + "}");
    List<String> messages = new ArrayList<>();
    JsonNode message = socket.next();
    while (!message.path("method").asText().endsWith("end")) {
      if (message.path("method").asText().endsWith("enqueue")) {
        byte[] data = Base64.getDecoder().decode(message.at("/params/data").asText());
        messages.add(new String(data, StandardCharsets.UTF_8));
      }
      message = socket.next();
    }
    assertThat(messages)
        .containsExactly(
            "{\"path\":\"/w/a.txt\",\"name\":\"a.txt\",\"isFile\":true,\"isDirectory\":false,"
                + "\"isSymlink\":false}");
    WalkDirectoryRequest walked = asked(WalkDirectoryRequest.class);
    assertThat(walked.getMatchList()).containsExactly("(?i)a|c");
    assertThat(walked.getMaxDepth()).isEqualTo(2);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "walk | {\"path\":\"/missing\"}                                     | ENOENT",
        "walk | {\"path\":\"/w\",\"followSymlinks\":true}                   | NOT_SERVED",
        "walk | {\"path\":\"/w\",\"skip\":[{\"source\":\"a\",\"flags\":\"y\"}]} | NOT_SERVED",
        "expandGlob | {\"glob\":\"/w/!(a)\"} | NOT_SERVED",
        "open | {\"path\":\"/missing\"}                                     | ENOENT",
        "stat | {\"path\":\"/missing\"}                                     | ENOENT",
        "stat | {\"path\":\"/a\\u0000b\"}                                      | EINVAL",
        "stat | {\"path\":\"/old\"}                                         | NOT_SERVED",
        "fileRead | {\"fileHandleId\":999,\"length\":1}                     | EBADF",
      })
  void aFailureIsTheCallsOwn(String method, String params, String code) throws Exception {
    assertThat(socket.ask(method, params).at("/result/error/code").asText()).isEqualTo(code);
  }

  private static String base64(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }
}
