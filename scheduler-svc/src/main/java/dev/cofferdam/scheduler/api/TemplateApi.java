package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.scheduler.lifecycle.Templates;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.store.Position;
import dev.cofferdam.v1.CreateTemplateRequest;
import dev.cofferdam.v1.DeleteTemplateRequest;
import dev.cofferdam.v1.DeleteTemplateResponse;
import dev.cofferdam.v1.GetTemplateRequest;
import dev.cofferdam.v1.ListTemplatesRequest;
import dev.cofferdam.v1.ListTemplatesResponse;
import dev.cofferdam.v1.Template;
import dev.cofferdam.v1.TemplateServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** What tenants do with templates. The listener has checked token and scope. */
public final class TemplateApi extends TemplateServiceGrpc.TemplateServiceImplBase {
  /** The operator's names are the nodes' to choose. */
  private static final Pattern ANY_NAME = Pattern.compile("[!-~]{1,128}");

  private final Templates templates;
  private final SandboxSize defaultSize;

  public TemplateApi(Templates templates, SandboxSize defaultSize) {
    this.templates = templates;
    this.defaultSize = defaultSize;
  }

  @Override
  public void createTemplate(CreateTemplateRequest request, StreamObserver<Template> observer) {
    answer(
        observer,
        Wire.template(
            templates.create(
                Callers.tenant().tenant(),
                Callers.token(),
                TemplateRequests.check(request, defaultSize))));
  }

  @Override
  public void getTemplate(GetTemplateRequest request, StreamObserver<Template> observer) {
    String tenant = Callers.tenant().tenant();
    String name = request.getName();
    Template template =
        (request.getWait() ? templates.await(tenant, name) : templates.find(tenant, name))
            .map(Wire::template)
            .or(() -> Optional.of(name).filter(templates.operators()::contains).map(Wire::template))
            .orElseThrow(() -> Templates.notFound(tenant, name));
    answer(observer, template);
  }

  @Override
  public void listTemplates(
      ListTemplatesRequest request, StreamObserver<ListTemplatesResponse> observer) {
    String tenant = Callers.tenant().tenant();
    int size = Pages.size(request.getPageSize());
    var listing = new OpaqueTokens.Listing("templates", tenant, Map.of(), "");
    String after =
        OpaqueTokens.parsePage(listing, ANY_NAME.asMatchPredicate(), request.getPageToken())
            .map(Position::id)
            .orElse("");
    // One more than asked for tells whether there is another page.
    TreeMap<String, Template> found = new TreeMap<>();
    templates.operators().stream()
        .filter(name -> name.compareTo(after) > 0)
        .forEach(name -> found.put(name, Wire.template(name)));
    // A tenant's own hide the operator's.
    templates
        .page(tenant, after, size + 1)
        .forEach(own -> found.put(own.name(), Wire.template(own)));
    List<Template> page = found.values().stream().limit(size).toList();
    ListTemplatesResponse.Builder response =
        ListTemplatesResponse.newBuilder().addAllTemplates(page);
    if (found.size() > size) {
      response.setNextPageToken(
          OpaqueTokens.page(listing, new Position(Instant.EPOCH, page.getLast().getName())));
    }
    answer(observer, response.build());
  }

  @Override
  public void deleteTemplate(
      DeleteTemplateRequest request, StreamObserver<DeleteTemplateResponse> observer) {
    templates.delete(Callers.tenant().tenant(), request.getName());
    answer(observer, DeleteTemplateResponse.getDefaultInstance());
  }

  private static <T> void answer(StreamObserver<T> observer, T response) {
    observer.onNext(response);
    observer.onCompleted();
  }
}
