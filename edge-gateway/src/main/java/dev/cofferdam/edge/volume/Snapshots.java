package dev.cofferdam.edge.volume;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.edge.mesh.Tenant;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.CreateVolumeRequest;
import dev.cofferdam.v1.DeleteSnapshotRequest;
import dev.cofferdam.v1.DeleteVolumeRequest;
import dev.cofferdam.v1.GetSnapshotRequest;
import dev.cofferdam.v1.GetVolumeRequest;
import dev.cofferdam.v1.ListSnapshotsRequest;
import dev.cofferdam.v1.ListSnapshotsResponse;
import dev.cofferdam.v1.ListVolumesRequest;
import dev.cofferdam.v1.ListVolumesResponse;
import dev.cofferdam.v1.Snapshot;
import dev.cofferdam.v1.Volume;
import io.grpc.StatusException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Snapshots as the SDKs know them are two things of the mesh's.
 *
 * <ul>
 *   <li>What the SDKs make, a snapshot of a volume, is a copy of that volume, under a name that
 *       says so. No sandbox of the edge's gets it, so that it stays what it was; the disk of one
 *       that boots from it begins as a copy.
 *   <li>A snapshot of a sandbox is what other clients of the public API make. Its id is its slug.
 * </ul>
 *
 * Safe for use by several threads.
 */
public final class Snapshots {
  /** Of volumes that are snapshots; what follows is the slug. */
  private static final String PREFIX = "deno-snapshot-";

  /** Of a page's token: which of the two lists it goes on with. */
  private static final String OF_SANDBOXES = "sandboxes.";

  private static final String OF_VOLUMES = "volumes.";

  /** Where a volume of the mesh's is the disk of a sandbox. */
  private static final String DISK = "/";

  private final String region;

  /**
   * @param region of each: the mesh has one, and keeps none
   */
  public Snapshots(String region) {
    this.region = region;
  }

  /** Whether a volume of the mesh's is none to the SDKs. */
  public static boolean isOne(String volume) {
    return volume.startsWith(PREFIX);
  }

  /** The name of the volume that a slug stands for. */
  static String volume(String slug) {
    return PREFIX + slug;
  }

  /** The slug of what a volume began as a copy of, where that is a snapshot. */
  static Optional<String> slug(String volume) {
    return isOne(volume) ? Optional.of(volume.substring(PREFIX.length())) : Optional.empty();
  }

  /** Whether it names a snapshot of a sandbox. */
  public static boolean ofSandbox(String slug) {
    return slug.matches("sn-[a-z2-7]{20}");
  }

  /**
   * A copy of a volume as it is now.
   *
   * @param fields what the SDK sent
   */
  public JsonNode create(Tenant tenant, String volume, JsonNode fields)
      throws CallError, HttpError {
    Volumes.refuseUnknown(fields, Set.of("slug"));
    String slug = new Params(fields).text("slug");
    if (ofSandbox(slug)) {
      throw HttpError.invalid("INVALID_SLUG", "snapshots of sandboxes have such names");
    }
    if (isOne(volume)) {
      throw Volumes.notFound(volume);
    }
    try {
      if (found(tenant, slug).isPresent()) {
        // The API would answer the same request with what it made the first time.
        throw new HttpError(409, "SNAPSHOT_EXISTS", "there is a snapshot " + slug);
      }
      return json(
          tenant
              .volumes()
              .createVolume(
                  CreateVolumeRequest.newBuilder()
                      .setName(volume(slug))
                      .setSource(volume)
                      .build()));
    } catch (StatusException e) {
      throw HttpError.of(e);
    }
  }

  public JsonNode get(Tenant tenant, String slug) throws HttpError {
    try {
      if (ofSandbox(slug)) {
        return json(
            tenant
                .snapshots()
                .getSnapshot(GetSnapshotRequest.newBuilder().setSnapshot(slug).build()));
      }
      return json(found(tenant, slug).orElseThrow(() -> notFound(slug)));
    } catch (StatusException e) {
      throw HttpError.of(e);
    }
  }

  /**
   * Makes a create boot from what the SDKs name as its root: a snapshot of a sandbox or of a
   * volume, or, changing with the sandbox, a volume.
   */
  public void boot(Tenant tenant, String root, CreateSandboxRequest.Builder create)
      throws HttpError {
    if (ofSandbox(root)) {
      create.setSnapshot(root);
      return;
    }
    if (create.containsVolumes(DISK)) {
      throw HttpError.invalid("INVALID_CONFIGURATION", "root is set beside a volume at " + DISK);
    }
    try {
      if (!isOne(root) && volume(tenant, root).isPresent()) {
        create.putVolumes(DISK, root);
      } else if (found(tenant, root).isPresent()) {
        create.setDiskSource(volume(root));
      } else {
        throw new HttpError(404, "VOLUME_NOT_FOUND", "there is no volume or snapshot " + root);
      }
    } catch (StatusException e) {
      throw HttpError.of(e);
    }
  }

  private static HttpError notFound(String slug) {
    return new HttpError(404, "SNAPSHOT_NOT_FOUND", "there is no snapshot " + slug);
  }

  private static Optional<Volume> found(Tenant tenant, String slug)
      throws StatusException, HttpError {
    return volume(tenant, volume(slug));
  }

  private static Optional<Volume> volume(Tenant tenant, String name)
      throws StatusException, HttpError {
    try {
      return Optional.of(
          tenant.volumes().getVolume(GetVolumeRequest.newBuilder().setName(name).build()));
    } catch (StatusException e) {
      if (HttpError.of(e).status() == 404) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /** One that is not there is deleted already, of either kind. */
  public void delete(Tenant tenant, String slug) throws HttpError {
    try {
      if (ofSandbox(slug)) {
        var _ =
            tenant
                .snapshots()
                .deleteSnapshot(DeleteSnapshotRequest.newBuilder().setSnapshot(slug).build());
      } else {
        var _ =
            tenant
                .volumes()
                .deleteVolume(DeleteVolumeRequest.newBuilder().setName(volume(slug)).build());
      }
    } catch (StatusException e) {
      throw HttpError.of(e);
    }
  }

  /**
   * Those of volumes by name, then those of sandboxes, newest first.
   *
   * @param search a part of the slug. A page has those of {@code size} volumes or snapshots of the
   *     mesh's that have it.
   */
  public Volumes.Page list(Tenant tenant, String search, String cursor, int size) throws HttpError {
    try {
      return cursor.startsWith(OF_SANDBOXES)
          ? ofSandboxes(tenant, search, cursor.substring(OF_SANDBOXES.length()), size)
          : ofVolumes(tenant, search, token(cursor), size);
    } catch (StatusException e) {
      throw HttpError.of(e);
    }
  }

  private static String token(String cursor) throws HttpError {
    if (!cursor.isEmpty() && !cursor.startsWith(OF_VOLUMES)) {
      throw HttpError.invalid("INVALID_CURSOR", "the cursor is of no page of snapshots");
    }
    return cursor.isEmpty() ? "" : cursor.substring(OF_VOLUMES.length());
  }

  private Volumes.Page ofVolumes(Tenant tenant, String search, String token, int size)
      throws StatusException {
    ListVolumesResponse page =
        tenant
            .volumes()
            .listVolumes(
                ListVolumesRequest.newBuilder().setPageSize(size).setPageToken(token).build());
    List<JsonNode> found = new ArrayList<>();
    for (Volume volume : page.getVolumesList()) {
      if (slug(volume.getName()).filter(slug -> slug.contains(search)).isPresent()) {
        found.add(json(volume));
      }
    }
    if (!page.getNextPageToken().isEmpty()) {
      return new Volumes.Page(found, OF_VOLUMES + page.getNextPageToken());
    }
    if (found.size() >= size) {
      return new Volumes.Page(found, OF_SANDBOXES);
    }
    Volumes.Page others = ofSandboxes(tenant, search, "", size - found.size());
    found.addAll(others.volumes());
    return new Volumes.Page(found, others.next());
  }

  private Volumes.Page ofSandboxes(Tenant tenant, String search, String token, int size)
      throws StatusException {
    ListSnapshotsResponse page =
        tenant
            .snapshots()
            .listSnapshots(
                ListSnapshotsRequest.newBuilder().setPageSize(size).setPageToken(token).build());
    String next = page.getNextPageToken();
    return new Volumes.Page(
        page.getSnapshotsList().stream()
            .filter(snapshot -> snapshot.getId().contains(search))
            .map(this::json)
            .toList(),
        next.isEmpty() ? "" : OF_SANDBOXES + next);
  }

  /** Of its size, the mesh knows its capacity alone. */
  private JsonNode json(Volume volume) {
    String slug = slug(volume.getName()).orElse(volume.getName());
    ObjectNode json = json(slug, (long) volume.getSizeMib() << 20, !volume.getTemplate().isEmpty());
    if (volume.getSource().isEmpty()) {
      json.putNull("volume");
    } else {
      json.set("volume", Volumes.named(volume.getSource()));
    }
    return json;
  }

  private JsonNode json(Snapshot snapshot) {
    return json(snapshot.getId(), snapshot.getBytes(), true).putNull("volume");
  }

  private ObjectNode json(String slug, long bytes, boolean bootable) {
    return Json.object()
        .put("id", slug)
        .put("slug", slug)
        .put("region", region)
        .put("allocated_size", bytes)
        .put("flattened_size", bytes)
        .put("is_bootable", bootable)
        .putNull("base_snapshot");
  }
}
