package dev.cofferdam.edge.session;

import dev.cofferdam.edge.mesh.Tenant;
import java.util.concurrent.Executor;

/**
 * What a part of a session may use.
 *
 * @param servers ports that Deno processes of the session were told to serve at, by pid
 * @param executor a thread for each task; calls to the mesh that are made on it end with the
 *     session
 */
public record SessionContext(
    Tenant tenant,
    String sandbox,
    Peer peer,
    InputStreams inputs,
    OutputStreams outputs,
    Umask umask,
    Aborts aborts,
    MemoryBudget.Account memory,
    java.util.concurrent.ConcurrentMap<Long, Integer> servers,
    Executor executor) {
  /** Some of the calls that a session answers. */
  @FunctionalInterface
  public interface Part {
    java.util.Map<String, Method> methods();
  }

  /** Makes a session's part. */
  @FunctionalInterface
  public interface PartFactory {
    Part of(SessionContext context);
  }
}
