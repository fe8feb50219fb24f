package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.MakeTemplateRequest;
import dev.cofferdam.internal.v1.MakeTemplateResponse;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.CreateTemplateRequest;
import dev.cofferdam.v1.DeleteTemplateRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.GetTemplateRequest;
import dev.cofferdam.v1.ListTemplatesRequest;
import dev.cofferdam.v1.ListTemplatesResponse;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.Template;
import dev.cofferdam.v1.TemplateServiceGrpc.TemplateServiceBlockingStub;
import dev.cofferdam.v1.TemplateSource;
import dev.cofferdam.v1.TemplateState;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Tenants' templates: made, used, listed, hidden from others, and gone. */
class TemplateTest extends MeshTest {
  private TemplateServiceBlockingStub templates;

  @Override
  Map<String, String> settings() {
    return Map.of("quota.templates", "3");
  }

  @BeforeEach
  void client() {
    templates = mesh.templates(token);
  }

  @Test
  void oneIsMadeAtTheNodeAndSandboxesAreMadeOfIt() {
    Template begun =
        templates.createTemplate(
            of("mine").setDefaultSize(SandboxSize.newBuilder().setMemoryMib(256)).build());
    assertThat(begun.getTenant()).isEqualTo("acme");
    Template made = ready("mine");
    assertThat(made.getDigest()).startsWith("sha256:");
    assertThat(made.getDefaultSize().getMemoryMib()).isEqualTo(256);
    assertThat(made.getDefaultSize().getDiskMib()).isEqualTo(2048);
    assertThat(made.getSource()).isEqualTo(begun.getSource());

    String id = id("mine");
    assertThat(mesh.node.templates.values())
        .extracting(order -> order.getSource().getFile())
        .containsExactly("image.tar");
    Sandbox sandbox = acme.createSandbox(from("mine"));
    assertThat(sandbox.getTemplate()).isEqualTo("mine");
    assertThat(sandbox.getSize()).isEqualTo(made.getDefaultSize());
    assertThat(mesh.node.started.getLast().getTemplate()).isEqualTo(id);
    // The operator's goes by its name.
    assertThat(create().getTemplate()).isEqualTo("debian");
    assertThat(mesh.node.started.getLast().getTemplate()).isEqualTo("debian");
  }

  @Test
  void whatTheNodeCannotMakeIsFailedWithItsReason() {
    mesh.node.making = _ -> answer(TemplateState.TEMPLATE_STATE_FAILED, "no such\nimage");
    create("mine");
    Template failed = get("mine", true);
    assertThat(failed.getState()).isEqualTo(TemplateState.TEMPLATE_STATE_FAILED);
    assertThat(failed.getMessage()).isEqualTo("no such?image");
    assertRefused(
        () -> acme.createSandbox(from("mine")),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_TEMPLATE_NOT_READY);
    assertRefused(
        () -> create("mine"), Status.Code.ALREADY_EXISTS, ErrorReason.ERROR_REASON_TEMPLATE_EXISTS);
    drop("mine");
    mesh.node.making = _ -> answer(TemplateState.TEMPLATE_STATE_READY, "");
    create("mine");
    assertThat(ready("mine").getMessage()).isEmpty();
  }

  @Test
  void oneThatIsBeingMadeIsNotThereYetAndAWaitEndsBeforeItsCall() {
    CountDownLatch asked = new CountDownLatch(2);
    mesh.node.making =
        _ -> {
          asked.countDown();
          return answer(TemplateState.TEMPLATE_STATE_MAKING, "");
        };
    create("mine");
    // The node's answer that it is not done is no end.
    await(asked);
    assertRefused(
        () -> acme.createSandbox(from("mine")),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_TEMPLATE_NOT_READY);
    Template still =
        templates
            .withDeadlineAfter(5, TimeUnit.SECONDS)
            .getTemplate(GetTemplateRequest.newBuilder().setName("mine").setWait(true).build());
    assertThat(still.getState()).isEqualTo(TemplateState.TEMPLATE_STATE_MAKING);
    drop("mine");
    awaitTrue(mesh.node.templates::isEmpty);
  }

  @Test
  void aTenantsOwnHidesTheOperatorsFromItAlone() {
    create("debian");
    ready("debian");
    String id = id("debian");
    acme.createSandbox(from("debian"));
    assertThat(mesh.node.started.getLast().getTemplate()).isEqualTo(id);
    // Also for a create that names none.
    create();
    assertThat(mesh.node.started.getLast().getTemplate()).isEqualTo(id);

    String other = mesh.token("globex", Mesh.ALL_SCOPES);
    mesh.sandboxes(other).createSandbox(from("debian"));
    assertThat(mesh.node.started.getLast().getTemplate()).isEqualTo("debian");
    assertThat(mesh.templates(other).getTemplate(named("debian")).getTenant()).isEmpty();
    assertThat(get("debian", false).getTenant()).isEqualTo("acme");

    drop("debian");
    assertThat(get("debian", false).getTenant()).isEmpty();
    acme.createSandbox(from("debian"));
    assertThat(mesh.node.started.getLast().getTemplate()).isEqualTo("debian");
  }

  @Test
  void anotherTenantsIsNobodysAlsoByTheNodesNameForIt() {
    create("mine");
    ready("mine");
    String id = id("mine");
    String other = mesh.token("globex", Mesh.ALL_SCOPES);
    for (String name : List.of("mine", id)) {
      assertRefused(
          () -> mesh.sandboxes(other).createSandbox(from(name)),
          Status.Code.NOT_FOUND,
          ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND);
      assertRefused(
          () -> mesh.templates(other).getTemplate(named(name)),
          Status.Code.NOT_FOUND,
          ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND);
      assertRefused(
          () ->
              mesh.templates(other)
                  .deleteTemplate(DeleteTemplateRequest.newBuilder().setName(name).build()),
          Status.Code.NOT_FOUND,
          ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND);
    }
    assertThat(mesh.templates(other).listTemplates(page("", 0)).getTemplatesList())
        .extracting(Template::getName)
        .containsExactly("debian");
    assertRefused(
        () -> acme.createSandbox(from(id)),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND);
    // Nor do the operator's go away by a tenant's word.
    assertRefused(
        () -> drop("debian"), Status.Code.NOT_FOUND, ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND);
  }

  @Test
  void allAreListedByNameInPages() {
    create("z");
    create("a");
    ready("z");
    ready("a");
    List<String> names = new ArrayList<>();
    String token = "";
    do {
      ListTemplatesResponse page = templates.listTemplates(page(token, 1));
      assertThat(page.getTemplatesCount()).isEqualTo(1);
      names.add(page.getTemplates(0).getName());
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    assertThat(names).containsExactly("a", "debian", "z");
    String others = templates.listTemplates(page("", 1)).getNextPageToken();
    assertRefused(
        () -> mesh.templates(mesh.token("globex", Mesh.ALL_SCOPES)).listTemplates(page(others, 1)),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID);
  }

  @Test
  void aTenantHasItsQuota() {
    for (String name : List.of("a", "b", "c")) {
      create(name);
    }
    assertRefused(
        () -> create("d"), Status.Code.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
    drop("b");
    create("d");
  }

  @Test
  void whatIsNoNameOrSourceIsRefused() {
    for (CreateTemplateRequest bad :
        List.of(
            of("Mine").build(),
            of("").build(),
            of("a".repeat(64)).build(),
            of("x").clearSource().build(),
            of("x").setSource(TemplateSource.newBuilder().setFile("../secret")).build(),
            of("x").setSource(TemplateSource.newBuilder().setFile("/etc/shadow")).build(),
            of("x").setSource(TemplateSource.newBuilder().setFile("")).build(),
            of("x").setSource(TemplateSource.newBuilder().setRegistry("a b")).build(),
            of("x")
                .setSource(TemplateSource.newBuilder().setFile("f").setKernel("../vmlinuz"))
                .build())) {
      assertRefused(
          () -> templates.createTemplate(bad),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
    assertThat(mesh.node.calls).doesNotContain("MakeTemplate");
  }

  @Test
  void onlyWhoMayWriteSandboxesMakesTemplates() {
    TemplateServiceBlockingStub reader = mesh.templates(mesh.token("acme", "sandboxes:read"));
    assertRefused(
        () -> reader.createTemplate(of("mine").build()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    create("mine");
    assertThat(reader.getTemplate(named("mine")).getName()).isEqualTo("mine");
    assertRefused(
        () -> reader.deleteTemplate(DeleteTemplateRequest.newBuilder().setName("mine").build()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
  }

  @Test
  void aNodeThatIsAwayIsAskedLaterAndACrashForgetsNothing() throws Exception {
    mesh.node.hook = failing("MakeTemplate", Status.UNAVAILABLE.asRuntimeException());
    create("mine");
    awaitCall(mesh.node.calls, "MakeTemplate");
    mesh.stop();
    mesh.node.hook = _ -> {};
    mesh.start();
    var _ = mesh.connect();
    templates = mesh.templates(token);
    assertThat(ready("mine").getState()).isEqualTo(TemplateState.TEMPLATE_STATE_READY);

    String id = id("mine");
    mesh.node.hook = failing("RemoveTemplate", Status.UNAVAILABLE.asRuntimeException());
    drop("mine");
    awaitCall(mesh.node.calls, "RemoveTemplate " + id);
    mesh.stop();
    mesh.node.hook = _ -> {};
    mesh.start();
    var _ = mesh.connect();
    awaitTrue(mesh.node.templates::isEmpty);
  }

  @Test
  void whatANodeHasAndNobodyWantsIsTakenAway() throws Exception {
    String stray = "tp-zzzzzzzzzzzzzzzzzzzz";
    mesh.node.templates.put(stray, MakeTemplateRequest.getDefaultInstance());
    var _ = mesh.connect(mesh.port(), mesh.registration().addTemplates(stray).build());
    awaitTrue(() -> !mesh.node.templates.containsKey(stray));
  }

  @Test
  void aNodeThatComesLaterGetsItToo() throws Exception {
    create("mine");
    ready("mine");
    String id = id("mine");
    mesh.node.calls.clear();
    // It has lost everything.
    var _ = mesh.connect();
    awaitCall(mesh.node.calls, "MakeTemplate");
    awaitTrue(() -> mesh.node.templates.containsKey(id));
    // Known to the placement once the node has said so.
    awaitTrue(() -> started("mine"));
  }

  private boolean started(String template) {
    try {
      return !acme.createSandbox(from(template)).getId().isEmpty();
    } catch (io.grpc.StatusRuntimeException e) {
      return false;
    }
  }

  @Test
  void aNodeThatWasShortOnceIsAskedAgain() {
    mesh.node.hook = failing("MakeTemplate", Status.UNAVAILABLE.asRuntimeException());
    create("mine");
    awaitCall(mesh.node.calls, "MakeTemplate");
    mesh.node.hook = _ -> {};
    awaitTrue(() -> {
      mesh.clock.advance(Duration.ofMinutes(1));
      return get("mine", false).getState() == TemplateState.TEMPLATE_STATE_READY;
    });
  }

  @Test
  void aRepeatedCreateIsAnsweredAsTheFirstWhateverBecameOfItsTemplate() {
    create("mine");
    ready("mine");
    CreateSandboxRequest request = from("mine").toBuilder().setRequestId("once").build();
    Sandbox made = acme.createSandbox(request);
    drop("mine");
    assertThat(acme.createSandbox(request)).isEqualTo(made);

    // One of that name is being made anew.
    mesh.node.making = _ -> answer(TemplateState.TEMPLATE_STATE_MAKING, "");
    create("mine");
    assertThat(acme.createSandbox(request)).isEqualTo(made);
    assertRefused(
        () -> acme.createSandbox(request.toBuilder().setRequestId("other").build()),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_TEMPLATE_NOT_READY);
    assertRefused(
        () -> acme.createSandbox(request.toBuilder().putLabels("a", "b").build()),
        Status.Code.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_REQUEST_ID_REUSED);
    assertThat(mesh.node.calls).filteredOn(call -> call.startsWith("StartSandbox")).hasSize(1);
  }

  private String id(String name) {
    return mesh.node.templates.entrySet().stream()
        .filter(entry -> entry.getValue().getTemplate().equals(entry.getKey()))
        .map(Map.Entry::getKey)
        .reduce((_, _) -> {
          throw new AssertionError("more than one template, looking for " + name);
        })
        .orElseThrow();
  }

  private Template ready(String name) {
    Template template = get(name, true);
    assertThat(template.getState())
        .as(template.getMessage())
        .isEqualTo(TemplateState.TEMPLATE_STATE_READY);
    return template;
  }

  private Template get(String name, boolean wait) {
    return templates.getTemplate(
        GetTemplateRequest.newBuilder().setName(name).setWait(wait).build());
  }

  private static GetTemplateRequest named(String name) {
    return GetTemplateRequest.newBuilder().setName(name).build();
  }

  private Template create(String name) {
    return templates.createTemplate(of(name).build());
  }

  private void drop(String name) {
    var _ = templates.deleteTemplate(DeleteTemplateRequest.newBuilder().setName(name).build());
  }

  private static CreateTemplateRequest.Builder of(String name) {
    return CreateTemplateRequest.newBuilder()
        .setName(name)
        .setSource(TemplateSource.newBuilder().setFile("image.tar"));
  }

  private static CreateSandboxRequest from(String template) {
    return CreateSandboxRequest.newBuilder().setTemplate(template).build();
  }

  private static ListTemplatesRequest page(String token, int size) {
    return ListTemplatesRequest.newBuilder().setPageToken(token).setPageSize(size).build();
  }

  private static MakeTemplateResponse answer(TemplateState state, String message) {
    return MakeTemplateResponse.newBuilder().setState(state).setMessage(message).build();
  }
}
