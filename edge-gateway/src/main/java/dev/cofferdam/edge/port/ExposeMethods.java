package dev.cofferdam.edge.port;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.Method;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.kit.call.ExposedHost;
import dev.cofferdam.v1.CreatePortKeyRequest;
import io.grpc.StatusException;
import java.util.Map;
import java.util.Optional;

/**
 * {@code exposeHttp}: a name that {@code expose/http} answered comes to stand for a port, for
 * everybody. The scheduler keeps that, and ends it with the sandbox; the edge keeps nothing.
 */
public final class ExposeMethods implements SessionContext.Part {
  private static final int MAX_PORT = 65535;

  private final SessionContext context;
  private final ExposedHosts hosts;

  public ExposeMethods(SessionContext context, ExposedHosts hosts) {
    this.context = context;
    this.hosts = hosts;
  }

  @Override
  public Map<String, Method> methods() {
    return Map.of("exposeHttp", this::exposeHttp);
  }

  /**
   * What is to be exposed, where it is said: Python does with the request for a name too.
   *
   * @throws CallError for a port that is none, and for a port and a pid
   */
  public static Optional<Integer> port(Params params) throws CallError {
    Optional<Long> port = params.optionalNumber("port");
    if (port.isPresent() && (port.get() < 1 || port.get() > MAX_PORT)) {
      throw CallError.parameter("port", "number of 1 to " + MAX_PORT);
    }
    if (port.isPresent() && params.optionalNumber("pid").isPresent()) {
      throw CallError.parameter("pid", "none beside a port");
    }
    return port.map(Math::toIntExact);
  }

  private JsonNode exposeHttp(Params params) throws CallError, SdkError, StatusException {
    ExposedHost host =
        hosts
            .host(params.text("domain"))
            .filter(name -> name.sandbox().equals(context.sandbox()))
            .orElseThrow(() ->
                CallError.parameter("domain", "one that expose/http answered for this sandbox"));
    Optional<Integer> port = port(params);
    var _ =
        context
            .tenant()
            .portKeys()
            .createPortKey(
                CreatePortKeyRequest.newBuilder()
                    .setSandbox(context.sandbox())
                    .setPort(port.isPresent() ? port.get() : ofProcess(params.number("pid")))
                    .setPublic(true)
                    .setHost(host.label())
                    .build());
    return NullNode.getInstance();
  }

  private int ofProcess(long pid) throws SdkError {
    Integer port = context.servers().get(pid);
    if (port == null) {
      throw new SdkError(
          "NotFound",
          "ENOENT",
          "no Deno process %d of this socket serves HTTP, expected one of deno.run that runs, or a port"
              .formatted(pid));
    }
    return port;
  }
}
