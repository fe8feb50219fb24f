package dev.cofferdam.edge.process;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.v1.FileType;
import dev.cofferdam.v1.MakeTemporaryRequest;
import dev.cofferdam.v1.WriteFileRequest;
import dev.cofferdam.v1.WriteFileResponse;
import dev.cofferdam.v1.WriteFileTarget;
import io.grpc.StatusException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** What the edge runs in guests, and files of the edge's there. */
final class GuestScripts {
  private static final int CHUNK = 64 << 10;
  private static final int PRIVATE = 0600;

  private GuestScripts() {}

  /** One of the edge's own. */
  static String text(String resource) {
    try (InputStream in = GuestScripts.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IllegalStateException(resource + " is not in the program");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A text under a name that nothing had. */
  static String write(SessionContext context, String text, String suffix)
      throws StatusException, InterruptedException {
    String path =
        context
            .tenant()
            .files()
            .makeTemporary(
                MakeTemporaryRequest.newBuilder()
                    .setSandbox(context.sandbox())
                    .setPrefix("deno-")
                    .setSuffix(suffix)
                    .setType(FileType.FILE_TYPE_REGULAR)
                    .build())
            .getPath();
    try (InputStream in = ByteString.copyFromUtf8(text).newInput()) {
      write(context, path, PRIVATE, in);
      return path;
    } catch (IOException e) {
      throw new IllegalStateException("memory can be read", e);
    }
  }

  /** In place of what is there, at once or not at all. */
  static void write(SessionContext context, String path, int mode, InputStream content)
      throws IOException, StatusException, InterruptedException {
    TwoWayCall<WriteFileRequest, WriteFileResponse> call = context.tenant().writeFile();
    try {
      boolean taken =
          call.write(
              WriteFileRequest.newBuilder()
                  .setSandbox(context.sandbox())
                  .setTarget(WriteFileTarget.newBuilder().setPath(path).setMode(mode))
                  .build());
      byte[] part = content.readNBytes(CHUNK);
      while (taken && part.length > 0) {
        taken =
            call.write(WriteFileRequest.newBuilder().setData(ByteString.copyFrom(part)).build());
        part = content.readNBytes(CHUNK);
      }
      call.halfClose();
      while (call.read().isPresent()) {
        // The one answer, then its end.
      }
    } finally {
      call.cancel("done");
    }
  }
}
