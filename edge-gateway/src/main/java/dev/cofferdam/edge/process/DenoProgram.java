package dev.cofferdam.edge.process;

import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.StatusException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where a sandbox has its Deno: its template's own, or the edge's, which the first call that needs
 * one puts there. For one session; safe for use by several threads.
 */
final class DenoProgram {
  /** In the path of every process. */
  private static final String INSTALLED = "/usr/local/bin/deno";

  private static final List<String> PLACES =
      List.of(INSTALLED, "/usr/bin/deno", "/root/.deno/bin/deno");

  private static final int EXECUTABLE = 0755;
  private static final Logger log = LoggerFactory.getLogger(DenoProgram.class);

  private final Optional<Path> source;
  private final ReentrantLock lock = new ReentrantLock();
  private Optional<String> known = Optional.empty();

  /**
   * @param source the edge's; empty: it has none to give
   */
  DenoProgram(Optional<Path> source) {
    this.source = source;
  }

  /** Its path in the sandbox. */
  String in(SessionContext context) throws SdkError, StatusException, InterruptedException {
    lock.lockInterruptibly();
    try {
      if (known.isEmpty()) {
        known = Optional.of(find(context));
      }
      return known.get();
    } finally {
      lock.unlock();
    }
  }

  private String find(SessionContext context)
      throws SdkError, StatusException, InterruptedException {
    for (String place : PLACES) {
      if (isThere(context, place)) {
        return place;
      }
    }
    Path from =
        source.orElseThrow(() ->
            new SdkError(
                "NotSupported",
                "NOT_SERVED",
                "this sandbox's template has no Deno, and the edge has none to give it"));
    try (InputStream content = Files.newInputStream(from)) {
      GuestScripts.write(context, INSTALLED, EXECUTABLE, content);
      return INSTALLED;
    } catch (IOException e) {
      log.atError().setMessage("deno_unreadable").addKeyValue("path", from).setCause(e).log();
      throw new SdkError("Error", "UNAVAILABLE", "the edge cannot read its Deno");
    }
  }

  static boolean isThere(SessionContext context, String path) throws StatusException {
    try {
      var _ =
          context
              .tenant()
              .files()
              .statFile(
                  StatFileRequest.newBuilder()
                      .setSandbox(context.sandbox())
                      .setPath(path)
                      .setFollow(true)
                      .build());
      return true;
    } catch (StatusException e) {
      if (SdkError.of(e).code().equals("ENOENT")) {
        return false;
      }
      throw e;
    }
  }
}
