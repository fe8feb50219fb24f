package dev.cofferdam.edge.process;

import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.StatusException;
import java.util.Optional;

/** Ports that the edge gives to processes, and whether they are served at. */
final class Listening {
  /** Below those that the kernel gives to connections. */
  private static final int FIRST_PORT = 20_000;

  private static final int PORTS = 10_000;
  private static final long SOON_MILLIS = 50;
  private static final long SELDOM_MILLIS = 1_000;

  private Listening() {}

  /** One that no other process of the session was told of lately. */
  static int port(SessionContext context) {
    return FIRST_PORT + (int) (context.outputs().number() % PORTS);
  }

  /** True once something listens, false where the process ends before. */
  static boolean await(SessionContext context, Running process, int port)
      throws StatusException, InterruptedException {
    for (long pause = SOON_MILLIS; ; pause = Math.min(2 * pause, SELDOM_MILLIS)) {
      if (listens(context, port)) {
        return true;
      }
      if (process.ended(pause)) {
        return false;
      }
    }
  }

  private static boolean listens(SessionContext context, int port)
      throws StatusException, InterruptedException {
    try {
      PortCall.open(context, port).close();
      return true;
    } catch (StatusException e) {
      if (Refusals.reason(e).equals(Optional.of(ErrorReason.ERROR_REASON_PORT_CLOSED))) {
        return false;
      }
      throw e;
    }
  }
}
