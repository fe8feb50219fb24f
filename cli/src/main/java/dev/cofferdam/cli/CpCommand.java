package dev.cofferdam.cli;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.FileType;
import dev.cofferdam.v1.ReadFileRequest;
import dev.cofferdam.v1.ReadFileResponse;
import dev.cofferdam.v1.StatFileRequest;
import dev.cofferdam.v1.WriteFileRequest;
import dev.cofferdam.v1.WriteFileResponse;
import dev.cofferdam.v1.WriteFileTarget;
import io.grpc.Channel;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "cp",
    mixinStandardHelpOptions = true,
    description = "Copies one file into or out of a sandbox.")
final class CpCommand implements Callable<Integer> {
  private static final int CHUNK = 64 * 1024;
  private static final String MODE = "unix:mode";
  private static final Pattern REMOTE = Pattern.compile("(sb-[a-z2-7]+):(/.*)", Pattern.DOTALL);

  private final Context context;

  @Parameters(index = "0", paramLabel = "FROM", description = "FILE or SANDBOX:/PATH")
  private String from = "";

  @Parameters(index = "1", paramLabel = "TO", description = "FILE or SANDBOX:/PATH")
  private String to = "";

  CpCommand(Context context) {
    this.context = context;
  }

  @Override
  public Integer call() throws StatusException, IOException, InterruptedException {
    Optional<Remote> source = Remote.parse(from);
    Optional<Remote> target = Remote.parse(to);
    if (source.isPresent() == target.isPresent()) {
      throw new ClientException("one of FROM and TO has to be SANDBOX:/PATH, and only one");
    }
    try (Connections connections = context.connections().get()) {
      if (target.isPresent()) {
        upload(connections.api(), Path.of(from), target.get());
      } else {
        download(connections.api(), source.orElseThrow(), Path.of(to));
      }
      return 0;
    }
  }

  private static void upload(Channel channel, Path file, Remote target)
      throws StatusException, IOException, InterruptedException {
    if (!Files.isRegularFile(file)) {
      throw new ClientException(file + " is no file");
    }
    BlockingClientCall<WriteFileRequest, WriteFileResponse> call =
        FileServiceGrpc.newBlockingV2Stub(channel).writeFile();
    try (InputStream in = Files.newInputStream(file)) {
      boolean open =
          call.write(
              WriteFileRequest.newBuilder()
                  .setSandbox(target.sandbox())
                  .setTarget(
                      WriteFileTarget.newBuilder().setPath(target.path()).setMode(mode(file)))
                  .build());
      byte[] buffer = new byte[CHUNK];
      for (int count = in.read(buffer); open && count >= 0; count = in.read(buffer)) {
        open =
            call.write(
                WriteFileRequest.newBuilder()
                    .setData(ByteString.copyFrom(buffer, 0, count))
                    .build());
      }
      call.halfClose();
      WriteFileResponse answer = call.read();
      if (answer == null || answer.getSize() != Files.size(file)) {
        throw new ClientException("the sandbox did not confirm the whole of " + file);
      }
    } finally {
      call.cancel("done", null);
    }
  }

  private static void download(Channel channel, Remote source, Path file)
      throws StatusException, IOException, InterruptedException {
    Path target =
        Files.isDirectory(file)
            ? file.resolve(source.path().substring(source.path().lastIndexOf('/') + 1))
            : file;
    FileInfo info =
        FileServiceGrpc.newBlockingV2Stub(channel)
            .withDeadlineAfter(ExecOptions.deadlineSeconds(), TimeUnit.SECONDS)
            .statFile(
                StatFileRequest.newBuilder()
                    .setSandbox(source.sandbox())
                    .setPath(source.path())
                    .build());
    Path part = Files.createTempFile(target.toAbsolutePath().getParent(), ".cofferdam", ".part");
    BlockingClientCall<?, ReadFileResponse> call =
        FileServiceGrpc.newBlockingV2Stub(channel)
            .readFile(
                ReadFileRequest.newBuilder()
                    .setSandbox(source.sandbox())
                    .setPath(source.path())
                    .build());
    try {
      try (OutputStream out = Files.newOutputStream(part)) {
        for (ReadFileResponse chunk = call.read(); chunk != null; chunk = call.read()) {
          chunk.getData().writeTo(out);
        }
      }
      if (info.getType() == FileType.FILE_TYPE_REGULAR) {
        // A link's own mode says nothing. To let others of this machine write is not the guest's.
        Files.setAttribute(part, MODE, info.getMode() & 0755);
      }
      // A copy that broke leaves what was there before.
      Files.move(part, target, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(part);
      call.cancel("done", null);
    }
  }

  private static int mode(Path file) throws IOException {
    return (int) Files.getAttribute(file, MODE) & 0777;
  }

  private record Remote(String sandbox, String path) {
    static Optional<Remote> parse(String text) {
      Matcher matcher = REMOTE.matcher(text);
      return matcher.matches()
          ? Optional.of(new Remote(matcher.group(1), matcher.group(2)))
          : Optional.empty();
    }
  }
}
