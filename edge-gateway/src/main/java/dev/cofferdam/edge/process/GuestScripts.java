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

/** Files of the edge's in a guest. */
final class GuestScripts {
  private static final int CHUNK = 64 << 10;
  private static final int PRIVATE = 0600;

  private GuestScripts() {}

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
