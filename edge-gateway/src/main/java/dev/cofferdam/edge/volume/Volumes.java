package dev.cofferdam.edge.volume;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.edge.mesh.Tenant;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.v1.CreateVolumeRequest;
import dev.cofferdam.v1.DeleteVolumeRequest;
import dev.cofferdam.v1.GetVolumeRequest;
import dev.cofferdam.v1.ListVolumesRequest;
import dev.cofferdam.v1.ListVolumesResponse;
import dev.cofferdam.v1.Volume;
import io.grpc.StatusException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A volume's id and its slug are its name in the mesh. Safe for use by several threads. */
public final class Volumes {
  private static final Set<String> KNOWN = Set.of("slug", "region", "capacity", "from");

  /** {@code Volume.create} and {@code Snapshot.create} of JavaScript send their client's too. */
  private static final Set<String> OF_CLIENT = Set.of("token", "org", "apiEndpoint");

  /** What a volume can begin as beside a snapshot: nothing but what a template has. */
  private static final Pattern BUILTIN =
      Pattern.compile("builtin:(?:(debian)(?:-[0-9]{1,2})?|(.+))");

  private final String region;

  /**
   * @param region of each: the mesh has one, and keeps none
   */
  public Volumes(String region) {
    this.region = region;
  }

  /**
   * @param next names the following page; empty on the last
   */
  public record Page(List<JsonNode> volumes, String next) {}

  /**
   * @param fields what the SDK sent
   */
  public JsonNode create(Tenant tenant, JsonNode fields) throws CallError, HttpError {
    refuseUnknown(fields, KNOWN);
    Params params = new Params(fields);
    String slug = params.text("slug");
    if (Snapshots.isOne(slug)) {
      throw HttpError.invalid("INVALID_SLUG", "snapshots have such names");
    }
    Optional<String> from = params.optionalText("from");
    if (from.isPresent() && Snapshots.ofSandbox(from.get())) {
      throw HttpError.notServed("a volume that begins as the snapshot of a sandbox");
    }
    Matcher builtin = BUILTIN.matcher(from.orElse(""));
    JsonNode capacity = fields.path("capacity");
    if (!capacity.isTextual() && !capacity.isIntegralNumber()) {
      throw HttpError.invalid("INVALID_CAPACITY", "a capacity is a number or a text");
    }
    CreateVolumeRequest.Builder request =
        CreateVolumeRequest.newBuilder().setName(slug).setSizeMib(Capacity.mib(capacity.asText()));
    if (builtin.matches()) {
      // The mesh's Debian is of one release, whichever is named.
      request.setTemplate(builtin.group(1) == null ? builtin.group(2) : builtin.group(1));
    } else {
      request.setSource(from.map(Snapshots::volume).orElse(""));
    }
    try {
      return json(tenant.volumes().createVolume(request.build()));
    } catch (StatusException e) {
      throw HttpError.of(e);
    }
  }

  static void refuseUnknown(JsonNode fields, Set<String> known) throws HttpError {
    Set<String> unknown = new TreeSet<>();
    fields.fieldNames().forEachRemaining(unknown::add);
    unknown.removeAll(known);
    unknown.removeAll(OF_CLIENT);
    if (!unknown.isEmpty()) {
      throw HttpError.invalid("UNKNOWN_OPTION", "options that are not known here: " + unknown);
    }
  }

  static HttpError notFound(String name) {
    return new HttpError(404, "VOLUME_NOT_FOUND", "there is no volume " + name);
  }

  public JsonNode get(Tenant tenant, String name) throws HttpError {
    refuseSnapshot(name);
    try {
      return json(tenant.volumes().getVolume(GetVolumeRequest.newBuilder().setName(name).build()));
    } catch (StatusException e) {
      throw HttpError.of(e);
    }
  }

  private static void refuseSnapshot(String name) throws HttpError {
    if (Snapshots.isOne(name)) {
      throw notFound(name);
    }
  }

  /**
   * By name.
   *
   * @param search a part of the name. A page has those of {@code size} volumes that have it.
   */
  public Page list(Tenant tenant, String search, String cursor, int size) throws HttpError {
    try {
      ListVolumesResponse page =
          tenant
              .volumes()
              .listVolumes(
                  ListVolumesRequest.newBuilder().setPageSize(size).setPageToken(cursor).build());
      return new Page(
          page.getVolumesList().stream()
              .filter(volume -> !Snapshots.isOne(volume.getName()))
              .filter(volume -> volume.getName().contains(search))
              .map(this::json)
              .toList(),
          page.getNextPageToken());
    } catch (StatusException e) {
      throw HttpError.of(e);
    }
  }

  public void delete(Tenant tenant, String name) throws HttpError {
    refuseSnapshot(name);
    try {
      var _ = tenant.volumes().deleteVolume(DeleteVolumeRequest.newBuilder().setName(name).build());
    } catch (StatusException e) {
      throw HttpError.of(e);
    }
  }

  /** How much of its capacity is used the mesh does not tell: the estimates are all of it. */
  private JsonNode json(Volume volume) {
    long bytes = (long) volume.getSizeMib() << 20;
    ObjectNode json =
        Json.object()
            .put("id", volume.getName())
            .put("slug", volume.getName())
            .put("region", region)
            .put("capacity", bytes)
            .put("estimated_allocated_size", bytes)
            .put("estimated_flattened_size", bytes)
            .put("is_bootable", !volume.getTemplate().isEmpty());
    Optional<String> base = Snapshots.slug(volume.getSource());
    if (base.isPresent()) {
      json.set("base_snapshot", named(base.get()));
    } else {
      json.putNull("base_snapshot");
    }
    return json;
  }

  /** Where one names another: the SDKs tell ids and slugs apart, the mesh has names. */
  static ObjectNode named(String slug) {
    return Json.object().put("id", slug).put("slug", slug);
  }
}
