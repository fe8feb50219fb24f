package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.lifecycle.Templates;
import dev.cofferdam.scheduler.lifecycle.Volumes;
import dev.cofferdam.scheduler.store.Position;
import dev.cofferdam.scheduler.store.VolumeStore;
import dev.cofferdam.scheduler.template.Template;
import dev.cofferdam.v1.CreateVolumeRequest;
import dev.cofferdam.v1.DeleteVolumeRequest;
import dev.cofferdam.v1.DeleteVolumeResponse;
import dev.cofferdam.v1.GetVolumeRequest;
import dev.cofferdam.v1.ListVolumesRequest;
import dev.cofferdam.v1.ListVolumesResponse;
import dev.cofferdam.v1.Volume;
import dev.cofferdam.v1.VolumeServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What tenants do with volumes. The listener has checked token and scope. */
public final class VolumeApi extends VolumeServiceGrpc.VolumeServiceImplBase {
  private final Volumes volumes;
  private final VolumeStore store;
  private final Templates templates;

  public VolumeApi(Volumes volumes, VolumeStore store, Templates templates) {
    this.volumes = volumes;
    this.store = store;
    this.templates = templates;
  }

  @Override
  public void createVolume(CreateVolumeRequest request, StreamObserver<Volume> observer) {
    String tenant = Callers.tenant().tenant();
    answer(
        observer,
        Wire.volume(
            volumes.create(
                tenant, VolumeRequests.check(request, base(tenant, request.getTemplate())))));
  }

  /**
   * @throws Refusal TEMPLATE_NOT_FOUND, TEMPLATE_NOT_READY
   */
  private Optional<dev.cofferdam.scheduler.volume.Volume.Base> base(
      String tenant, String template) {
    if (template.isEmpty()) {
      return Optional.empty();
    }
    Optional<Template> own = templates.resolve(tenant, template);
    if (own.isEmpty() && !templates.operators().contains(template)) {
      throw Templates.notFound(tenant, template);
    }
    return Optional.of(
        new dev.cofferdam.scheduler.volume.Volume.Base(
            template, own.map(Template::id).orElse(template)));
  }

  @Override
  public void getVolume(GetVolumeRequest request, StreamObserver<Volume> observer) {
    answer(observer, Wire.volume(volumes.get(Callers.tenant().tenant(), request.getName())));
  }

  @Override
  public void listVolumes(
      ListVolumesRequest request, StreamObserver<ListVolumesResponse> observer) {
    String tenant = Callers.tenant().tenant();
    int size = Pages.size(request.getPageSize());
    var listing = new OpaqueTokens.Listing("volumes", tenant, Map.of(), "");
    String after =
        OpaqueTokens.parsePage(
                listing, dev.cofferdam.scheduler.volume.Volume::isName, request.getPageToken())
            .map(Position::id)
            .orElse("");
    List<dev.cofferdam.scheduler.volume.Volume> found = store.page(tenant, after, size + 1);
    ListVolumesResponse.Builder response = ListVolumesResponse.newBuilder();
    found.stream().limit(size).map(Wire::volume).forEach(response::addVolumes);
    if (found.size() > size) {
      var last = found.get(size - 1);
      response.setNextPageToken(
          OpaqueTokens.page(listing, new Position(last.createTime(), last.name())));
    }
    answer(observer, response.build());
  }

  @Override
  public void deleteVolume(
      DeleteVolumeRequest request, StreamObserver<DeleteVolumeResponse> observer) {
    volumes.delete(Callers.tenant().tenant(), request.getName());
    answer(observer, DeleteVolumeResponse.getDefaultInstance());
  }

  private static <T> void answer(StreamObserver<T> observer, T response) {
    observer.onNext(response);
    observer.onCompleted();
  }
}
