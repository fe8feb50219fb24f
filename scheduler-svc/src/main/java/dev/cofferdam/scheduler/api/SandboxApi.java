package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.lifecycle.CreateSpec;
import dev.cofferdam.scheduler.lifecycle.ForkSpec;
import dev.cofferdam.scheduler.lifecycle.Lifecycle;
import dev.cofferdam.scheduler.lifecycle.Templates;
import dev.cofferdam.scheduler.sandbox.Activity;
import dev.cofferdam.scheduler.store.Position;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.scheduler.template.Template;
import dev.cofferdam.scheduler.tenant.Scope;
import dev.cofferdam.scheduler.volume.Volume;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.DeleteSandboxRequest;
import dev.cofferdam.v1.DeleteSandboxResponse;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ExtendSandboxRequest;
import dev.cofferdam.v1.ForkSandboxRequest;
import dev.cofferdam.v1.ForkSandboxResponse;
import dev.cofferdam.v1.GetSandboxRequest;
import dev.cofferdam.v1.ListSandboxesRequest;
import dev.cofferdam.v1.ListSandboxesResponse;
import dev.cofferdam.v1.PauseSandboxRequest;
import dev.cofferdam.v1.ResumeSandboxRequest;
import dev.cofferdam.v1.RollBackSandboxRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxEvent;
import dev.cofferdam.v1.SandboxServiceGrpc;
import dev.cofferdam.v1.SuspendSandboxRequest;
import dev.cofferdam.v1.UpdateSandboxPolicyRequest;
import dev.cofferdam.v1.WatchSandboxEventsRequest;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What tenants do with sandboxes. The listener has checked token and scope. */
public final class SandboxApi extends SandboxServiceGrpc.SandboxServiceImplBase {
  private final Lifecycle lifecycle;
  private final SandboxStore store;
  private final EventWatches watches;
  private final CreateDefaults defaults;
  private final Templates templates;

  public SandboxApi(
      Lifecycle lifecycle,
      SandboxStore store,
      EventWatches watches,
      CreateDefaults defaults,
      Templates templates) {
    this.lifecycle = lifecycle;
    this.templates = templates;
    this.store = store;
    this.watches = watches;
    this.defaults = defaults;
  }

  @Override
  public void createSandbox(CreateSandboxRequest request, StreamObserver<Sandbox> observer) {
    Caller.Tenant caller = Callers.tenant();
    Optional<Volume> disk;
    Optional<Template> own;
    try {
      disk =
          DiskRequests.volume(request).map(name -> lifecycle.volumes().get(caller.tenant(), name));
      own = own(caller.tenant(), request, disk);
    } catch (Refusal e) {
      requireUse(caller, request.getSecretsCount() > 0, "create");
      answer(
          observer,
          Wire.sandbox(lifecycle.creates().again(caller.tenant(), CreateRequests.key(request), e)));
      return;
    }
    CreateSpec spec =
        CreateRequests.check(
            request,
            defaults,
            own,
            disk,
            request.getSnapshot().isEmpty()
                ? Optional.empty()
                : Optional.of(
                    lifecycle.snapshots().getEver(caller.tenant(), request.getSnapshot())));
    requireUse(caller, !spec.secrets().isEmpty(), "create");
    answer(
        observer, Wire.sandbox(lifecycle.creates().create(caller.tenant(), Callers.token(), spec)));
  }

  private Optional<Template> own(
      String tenant, CreateSandboxRequest request, Optional<Volume> disk) {
    if (!request.getSnapshot().isEmpty()) {
      return Optional.empty();
    }
    if (disk.isPresent()) {
      Optional<Template> own =
          disk.get().base().flatMap(base -> templates.resolve(tenant, base.template()));
      var _ = DiskRequests.base(disk.get(), own);
      return own;
    }
    String name = request.getTemplate();
    return templates.resolve(tenant, name.isEmpty() ? defaults.template() : name);
  }

  @Override
  public void forkSandbox(
      ForkSandboxRequest request, StreamObserver<ForkSandboxResponse> observer) {
    Caller.Tenant caller = Callers.tenant();
    ForkSpec spec = CopyRequests.check(request);
    var source = lifecycle.sandboxes().get(caller.tenant(), spec.sandbox());
    requireUse(caller, !source.secrets().isEmpty(), "fork");
    ForkSandboxResponse.Builder response = ForkSandboxResponse.newBuilder();
    lifecycle.forks().fork(caller.tenant(), Callers.token(), spec).stream()
        .map(Wire::sandbox)
        .forEach(response::addSandboxes);
    answer(observer, response.build());
  }

  private static void requireUse(Caller.Tenant caller, boolean secrets, String what) {
    if (secrets && !caller.scopes().contains(Scope.SECRETS_USE.wireName())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SCOPE_MISSING,
          "a %s with secrets needs the scope %s; token %s lacks it"
              .formatted(what, Scope.SECRETS_USE.wireName(), caller.tokenId()));
    }
  }

  @Override
  public void rollBackSandbox(RollBackSandboxRequest request, StreamObserver<Sandbox> observer) {
    answer(
        observer,
        Wire.sandbox(
            lifecycle
                .states()
                .rollBack(Callers.tenant().tenant(), request.getSandbox(), request.getSnapshot())));
  }

  @Override
  public void getSandbox(GetSandboxRequest request, StreamObserver<Sandbox> observer) {
    answer(
        observer,
        Wire.sandbox(lifecycle.sandboxes().get(Callers.tenant().tenant(), request.getSandbox())));
  }

  @Override
  public void listSandboxes(
      ListSandboxesRequest request, StreamObserver<ListSandboxesResponse> observer) {
    String tenant = Callers.tenant().tenant();
    int size = Pages.size(request.getPageSize());
    Map<String, String> filter = CreateRequests.labels(request.getLabelFilterMap());
    boolean ended = request.getShowEnded();
    var listing = new OpaqueTokens.Listing("sandboxes", tenant, filter, String.valueOf(ended));
    Optional<Position> after =
        OpaqueTokens.parsePage(
            listing, dev.cofferdam.scheduler.sandbox.Sandbox::isId, request.getPageToken());
    // One more than asked for tells whether there is another page.
    List<dev.cofferdam.scheduler.sandbox.Sandbox> found =
        store.page(tenant, filter, ended, after, size + 1);
    ListSandboxesResponse.Builder response = ListSandboxesResponse.newBuilder();
    found.stream().limit(size).map(Wire::sandbox).forEach(response::addSandboxes);
    if (found.size() > size) {
      var last = found.get(size - 1);
      response.setNextPageToken(
          OpaqueTokens.page(listing, new Position(last.createTime(), last.id())));
    }
    answer(observer, response.build());
  }

  @Override
  public void extendSandbox(ExtendSandboxRequest request, StreamObserver<Sandbox> observer) {
    answer(
        observer,
        Wire.sandbox(
            lifecycle
                .sandboxes()
                .extend(
                    Callers.tenant().tenant(),
                    request.getSandbox(),
                    CreateRequests.lifetime(request.hasLifetime(), request.getLifetime()),
                    request.getEtag())));
  }

  @Override
  public void updateSandboxPolicy(
      UpdateSandboxPolicyRequest request, StreamObserver<Sandbox> observer) {
    answer(
        observer,
        Wire.sandbox(
            lifecycle
                .policies()
                .update(
                    Callers.tenant().tenant(),
                    Callers.token(),
                    request.getSandbox(),
                    CreateRequests.policy(request.getEgressPolicy()),
                    request.getEtag())));
  }

  @Override
  public void pauseSandbox(PauseSandboxRequest request, StreamObserver<Sandbox> observer) {
    change(request.getSandbox(), Activity.PAUSED, observer);
  }

  @Override
  public void resumeSandbox(ResumeSandboxRequest request, StreamObserver<Sandbox> observer) {
    change(request.getSandbox(), Activity.RUNNING, observer);
  }

  @Override
  public void suspendSandbox(SuspendSandboxRequest request, StreamObserver<Sandbox> observer) {
    change(request.getSandbox(), Activity.SUSPENDED, observer);
  }

  private void change(String id, Activity wanted, StreamObserver<Sandbox> observer) {
    answer(observer, Wire.sandbox(lifecycle.states().set(Callers.tenant().tenant(), id, wanted)));
  }

  @Override
  public void deleteSandbox(
      DeleteSandboxRequest request, StreamObserver<DeleteSandboxResponse> observer) {
    lifecycle.sandboxes().delete(Callers.tenant().tenant(), request.getSandbox());
    answer(observer, DeleteSandboxResponse.getDefaultInstance());
  }

  @Override
  public void watchSandboxEvents(
      WatchSandboxEventsRequest request, StreamObserver<SandboxEvent> observer) {
    String sandbox = request.getSandbox();
    String tenant = Callers.tenant().tenant();
    if (!sandbox.isEmpty()) {
      var _ = lifecycle.sandboxes().get(tenant, sandbox);
    }
    watches.watch(
        tenant,
        sandbox,
        request.getCursor(),
        request.getFollow(),
        (ServerCallStreamObserver<SandboxEvent>) observer);
  }

  private static <T> void answer(StreamObserver<T> observer, T response) {
    observer.onNext(response);
    observer.onCompleted();
  }
}
