package dev.cofferdam.edge.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.linecorp.armeria.common.AggregatedHttpRequest;
import com.linecorp.armeria.common.HttpHeaderNames;
import com.linecorp.armeria.common.HttpMethod;
import com.linecorp.armeria.common.HttpRequest;
import com.linecorp.armeria.common.HttpResponse;
import com.linecorp.armeria.common.QueryParams;
import com.linecorp.armeria.server.HttpService;
import com.linecorp.armeria.server.ServiceRequestContext;
import dev.cofferdam.edge.mesh.DenoToken;
import dev.cofferdam.edge.mesh.MeshClient;
import dev.cofferdam.edge.mesh.Tenant;
import dev.cofferdam.edge.port.ExposeMethods;
import dev.cofferdam.edge.port.ExposedHosts;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.sandbox.Sandboxes;
import dev.cofferdam.edge.ssh.SshGateway;
import dev.cofferdam.edge.volume.Snapshots;
import dev.cofferdam.edge.volume.Volumes;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Everything under {@code /api} but the sockets. */
final class RestService implements HttpService {
  private static final Pattern SANDBOX = Pattern.compile("/api/v3/sandbox/([^/]{1,64})");
  private static final Pattern KILLED = Pattern.compile("/api/v3/sandboxes/([^/]{1,64})");
  private static final Pattern EXPOSED =
      Pattern.compile("/api/v3/sandbox/([^/]{1,64})/expose/(http|ssh|vscode)");

  private static final Pattern VOLUME = Pattern.compile("/api/v2/volumes/([^/]{1,64})");
  private static final Pattern VOLUME_SNAPSHOT =
      Pattern.compile("/api/v2/volumes/([^/]{1,64})/snapshot");
  private static final Pattern SNAPSHOT = Pattern.compile("/api/v2/snapshots/([^/]{1,64})");

  /** Of the platform that the SDKs are made for, or not yet of this one. */
  private static final Map<String, String> NOT_SERVED =
      Map.of(
          "apps", "apps",
          "revisions", "revisions",
          "layers", "layers",
          "timelines", "timelines",
          "sandboxes", "deploy");

  private static final Pattern PLATFORM = Pattern.compile("/api/v2/([a-z]+)(/.*)?");

  /** The JavaScript SDK asks for one page and knows of no other. */
  private static final int WHOLE = 1000;

  private static final Logger log = LoggerFactory.getLogger(RestService.class);

  private final MeshClient mesh;
  private final Sandboxes sandboxes;
  private final Volumes volumes;
  private final Snapshots snapshots;
  private final ExposedHosts hosts;
  private final Optional<SshGateway> ssh;
  private final Executor threads;
  private final int pageSize;
  private final Json json = new Json(4096);

  /**
   * @param threads makes a thread for each request
   */
  RestService(
      MeshClient mesh,
      Sandboxes sandboxes,
      Volumes volumes,
      Snapshots snapshots,
      ExposedHosts hosts,
      Optional<SshGateway> ssh,
      Executor threads,
      int pageSize) {
    this.mesh = mesh;
    this.sandboxes = sandboxes;
    this.volumes = volumes;
    this.snapshots = snapshots;
    this.hosts = hosts;
    this.ssh = ssh;
    this.threads = threads;
    this.pageSize = pageSize;
  }

  @Override
  public HttpResponse serve(ServiceRequestContext context, HttpRequest request) {
    // Each head is the first of its connection.
    context.initiateConnectionShutdown();
    return HttpResponse.of(
        request
            .aggregate()
            .thenCompose(
                whole -> CompletableFuture.supplyAsync(() -> answer(context, whole), threads)));
  }

  private HttpResponse answer(ServiceRequestContext context, AggregatedHttpRequest request) {
    try {
      Tenant tenant =
          DenoToken.ofHeader(request.headers().get(HttpHeaderNames.AUTHORIZATION, ""))
              .map(mesh::tenant)
              .orElseThrow(HttpError::invalidToken);
      return route(context, tenant, request);
    } catch (HttpError e) {
      return Answers.error(e);
    } catch (CallError e) {
      return Answers.error(HttpError.invalid("INVALID_REQUEST", String.valueOf(e.getMessage())));
    } catch (RuntimeException e) {
      log.atError().setMessage("request_failed").setCause(e).log();
      return Answers.error(Answers.internal());
    }
  }

  private HttpResponse route(
      ServiceRequestContext context, Tenant tenant, AggregatedHttpRequest request)
      throws HttpError, CallError {
    String path = context.path();
    HttpMethod method = request.method();
    if (method == HttpMethod.GET && path.equals("/api/v3/sandboxes")) {
      return page(context, tenant, pageSize);
    }
    if (method == HttpMethod.GET && path.equals("/api/v2/sandboxes")) {
      return page(context, tenant, WHOLE);
    }
    Matcher sandbox = SANDBOX.matcher(path);
    if (sandbox.matches() && method == HttpMethod.PATCH) {
      return extend(tenant, sandbox.group(1), request);
    }
    Matcher killed = KILLED.matcher(path);
    if (method == HttpMethod.DELETE && (sandbox.matches() || killed.matches())) {
      sandboxes.kill(tenant, sandbox.matches() ? sandbox.group(1) : killed.group(1));
      return Answers.ok(Json.object());
    }
    if (path.equals("/api/v2/volumes") && method == HttpMethod.GET) {
      return volumePage(context, tenant, volumes::list);
    }
    if (path.equals("/api/v2/volumes") && method == HttpMethod.POST) {
      return Answers.ok(volumes.create(tenant, fields(request)));
    }
    Matcher volume = VOLUME.matcher(path);
    if (volume.matches() && method == HttpMethod.GET) {
      return Answers.ok(volumes.get(tenant, volume.group(1)));
    }
    if (volume.matches() && method == HttpMethod.DELETE) {
      volumes.delete(tenant, volume.group(1));
      return Answers.ok(Json.object());
    }
    Matcher copied = VOLUME_SNAPSHOT.matcher(path);
    if (copied.matches() && method == HttpMethod.POST) {
      return Answers.ok(snapshots.create(tenant, copied.group(1), fields(request)));
    }
    if (path.equals("/api/v2/snapshots") && method == HttpMethod.GET) {
      return volumePage(context, tenant, snapshots::list);
    }
    Matcher snapshot = SNAPSHOT.matcher(path);
    if (snapshot.matches() && method == HttpMethod.GET) {
      return Answers.ok(snapshots.get(tenant, snapshot.group(1)));
    }
    if (snapshot.matches() && method == HttpMethod.DELETE) {
      snapshots.delete(tenant, snapshot.group(1));
      return Answers.ok(Json.object());
    }
    Matcher exposed = EXPOSED.matcher(path);
    if (exposed.matches() && method == HttpMethod.POST) {
      return exposed.group(2).equals("ssh")
          ? ssh(tenant, exposed.group(1))
          : domain(tenant, exposed.group(1), request);
    }
    if (exposed.matches()) {
      throw HttpError.notServed("expose " + exposed.group(2) + " by another method than POST");
    }
    Matcher platform = PLATFORM.matcher(path);
    String what = platform.matches() ? NOT_SERVED.get(platform.group(1)) : null;
    if (what != null) {
      throw HttpError.notServed(what);
    }
    throw new HttpError(404, "NOT_FOUND", "there is no such endpoint");
  }

  private HttpResponse extend(Tenant tenant, String id, AggregatedHttpRequest request)
      throws HttpError, CallError {
    long stopAt = new Params(fields(request)).number("stop_at_ms");
    return Answers.ok(
        Json.object().put("stop_at_ms", sandboxes.extend(tenant, id, stopAt).toEpochMilli()));
  }

  /** A name that the call {@code exposeHttp} makes stand for a port. */
  private HttpResponse domain(Tenant tenant, String id, AggregatedHttpRequest request)
      throws HttpError, CallError {
    // JavaScript says what for in that call alone; a port that is none is refused as soon as it
    // can.
    var _ = ExposeMethods.port(new Params(fields(request)));
    String sandbox = sandboxes.find(tenant, id).sandbox().getId();
    return Answers.ok(Json.object().put("domain", hosts.domain(sandbox)));
  }

  /** Who has a key that is registered gets in; nothing is opened by being asked. */
  private HttpResponse ssh(Tenant tenant, String id) throws HttpError {
    SshGateway gateway = ssh.orElseThrow(() -> HttpError.notServed("SSH"));
    return Answers.ok(
        Json.object()
            .put("hostname", gateway.host())
            .put("username", sandboxes.find(tenant, id).sandbox().getId())
            .put("port", gateway.publicPort()));
  }

  private JsonNode fields(AggregatedHttpRequest request) throws HttpError {
    byte[] body = request.content().array();
    return json.read(body, body.length)
        .filter(JsonNode::isObject)
        .orElseThrow(() -> HttpError.invalid("INVALID_REQUEST", "the body is no JSON object"));
  }

  /** Of volumes or their snapshots. */
  @FunctionalInterface
  private interface Listing {
    Volumes.Page list(Tenant tenant, String search, String cursor, int size) throws HttpError;
  }

  private HttpResponse volumePage(ServiceRequestContext context, Tenant tenant, Listing listing)
      throws HttpError {
    QueryParams query = context.queryParams();
    String limit = query.get("limit", Integer.toString(pageSize));
    if (!limit.matches("[1-9][0-9]{0,8}")) {
      throw HttpError.invalid("INVALID_LIMIT", "a limit is a number of 1 or more");
    }
    Volumes.Page page =
        listing.list(
            tenant,
            query.get("search", ""),
            cursor(query.get("cursor", "")),
            Math.min(Integer.parseInt(limit), pageSize));
    ArrayNode items = JsonNodeFactory.instance.arrayNode().addAll(page.volumes());
    return listed(context, items, page.next());
  }

  private HttpResponse page(ServiceRequestContext context, Tenant tenant, int size)
      throws HttpError {
    QueryParams query = context.queryParams();
    List<Map.Entry<String, String>> parameters =
        query.stream().map(entry -> Map.entry(entry.getKey(), entry.getValue())).toList();
    Map<String, String> labels = LabelFilters.of(parameters);
    Sandboxes.Page page = sandboxes.list(tenant, labels, cursor(query.get("cursor", "")), size);
    ArrayNode items = JsonNodeFactory.instance.arrayNode();
    for (Sandboxes.Listed listed : page.sandboxes()) {
      ObjectNode item =
          items
              .addObject()
              .put("id", listed.foreignId())
              .put("createdAt", listed.created().toString())
              .put("region", listed.region())
              .put("status", listed.running() ? "running" : "stopped");
      if (listed.running()) {
        item.putNull("stoppedAt");
      } else {
        item.put("stoppedAt", listed.ended().toString());
      }
    }
    return listed(context, items, page.next());
  }

  private static HttpResponse listed(ServiceRequestContext context, ArrayNode items, String next) {
    if (next.isEmpty()) {
      return Answers.ok(items);
    }
    String address =
        "%s://%s%s?cursor=%s"
            .formatted(
                context.sessionProtocol().isTls() ? "https" : "http",
                Optional.ofNullable(context.request().authority()).orElse("localhost"),
                context.path(),
                URLEncoder.encode(next, StandardCharsets.UTF_8));
    return Answers.page(items, "<" + address + ">; rel=\"next\"");
  }

  /** The Python SDK sends the whole address of the next page as its cursor. */
  private static String cursor(String sent) throws HttpError {
    if (!sent.startsWith("http://") && !sent.startsWith("https://")) {
      return sent;
    }
    try {
      String query = URI.create(sent).getRawQuery();
      return query == null ? "" : QueryParams.fromQueryString(query).get("cursor", "");
    } catch (IllegalArgumentException e) {
      throw HttpError.invalid("INVALID_CURSOR", "the cursor is no address of a page");
    }
  }
}
