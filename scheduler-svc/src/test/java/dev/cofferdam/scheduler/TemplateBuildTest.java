package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.MakeTemplateRequest;
import dev.cofferdam.internal.v1.MakeTemplateResponse;
import dev.cofferdam.internal.v1.StartSandboxRequest;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.CreateTemplateRequest;
import dev.cofferdam.v1.DebianSource;
import dev.cofferdam.v1.DeleteTemplateRequest;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.GetTemplateRequest;
import dev.cofferdam.v1.ListSandboxesRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.Template;
import dev.cofferdam.v1.TemplateServiceGrpc.TemplateServiceBlockingStub;
import dev.cofferdam.v1.TemplateSource;
import dev.cofferdam.v1.TemplateState;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Templates that are built in a sandbox: what it is, and that it goes whatever happens. */
class TemplateBuildTest extends MeshTest {
  private static final EgressPolicy POLICY =
      EgressPolicy.newBuilder()
          .addRules(EgressRule.newBuilder().setHost("deb.example").addPorts(80))
          .build();

  private TemplateServiceBlockingStub templates;

  @Override
  Map<String, String> settings() {
    return Map.of("quota.templates", "3", "quota.sandboxes", "2");
  }

  @BeforeEach
  void client() {
    templates = mesh.templates(token);
  }

  @Test
  void itIsBuiltInASandboxOfTheTenantsThatIsGoneBeforeItIsReady() {
    CountDownLatch answer = new CountDownLatch(1);
    mesh.node.making = held(answer, TemplateState.TEMPLATE_STATE_READY, "");
    Template begun = templates.createTemplate(of("mine").build());
    assertThat(begun.getState()).isEqualTo(TemplateState.TEMPLATE_STATE_MAKING);

    Sandbox builder = builder();
    assertThat(builder.getState()).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    assertThat(builder.getTemplate()).isEqualTo("debian");
    assertThat(builder.getLabelsMap()).containsExactly(Map.entry("cofferdam.dev/builds", "mine"));
    assertThat(builder.hasExpireTime()).isTrue();
    assertThat(mesh.broker.grants.getLast().getPolicy()).isEqualTo(POLICY);
    assertThat(mesh.broker.grants.getLast().getSecretsList()).isEmpty();
    StartSandboxRequest start = mesh.node.started.getLast();
    assertThat(start.getEnvMap()).isEmpty();
    awaitCall(mesh.node.calls, "MakeTemplate");
    MakeTemplateRequest order = mesh.node.templates.values().iterator().next();
    assertThat(order.getBuilder()).isEqualTo(builder.getId());
    assertThat(order.getSource().getDebian().getPackagesList()).containsExactly("hello");

    answer.countDown();
    assertThat(ended("mine").getState()).isEqualTo(TemplateState.TEMPLATE_STATE_READY);
    // Whoever is told that it is ready has their quota back.
    assertNothingLeft(builder.getId());
    Sandbox made = acme.createSandbox(from("mine"));
    assertThat(mesh.node.started.getLast().getTemplate()).isEqualTo(order.getTemplate());
    assertThat(made.getSize()).isEqualTo(begun.getDefaultSize());
  }

  @Test
  void aTenantsOwnTemplateOfTheBasesNameIsNotTheBase() {
    var _ =
        templates.createTemplate(
            CreateTemplateRequest.newBuilder()
                .setName("debian")
                .setSource(TemplateSource.newBuilder().setFile("image.tar"))
                .build());
    assertThat(ended("debian").getState()).isEqualTo(TemplateState.TEMPLATE_STATE_READY);
    var _ = templates.createTemplate(of("mine").build());
    assertThat(mesh.node.started.getLast().getTemplate()).isEqualTo("debian");
  }

  @Test
  void theBuildHasAtLeastTheTemplatesSize() {
    var _ =
        templates.createTemplate(
            of("mine")
                .setDefaultSize(SandboxSize.newBuilder().setMemoryMib(128).setDiskMib(4096))
                .build());
    SandboxSize size = mesh.node.started.getLast().getSize();
    assertThat(size.getMemoryMib()).isGreaterThan(128);
    assertThat(size.getDiskMib()).isEqualTo(4096);
    assertThat(ended("mine").getDefaultSize().getMemoryMib()).isEqualTo(128);
  }

  @Test
  void whatFailsIsToldWithItsOutputAndItsBuilderIsGone() {
    String output = "step 2 ended with 3: " + "x".repeat(1024);
    mesh.node.making = held(new CountDownLatch(0), TemplateState.TEMPLATE_STATE_FAILED, output);
    var _ = templates.createTemplate(of("mine").build());
    Template failed = ended("mine");
    assertThat(failed.getState()).isEqualTo(TemplateState.TEMPLATE_STATE_FAILED);
    assertThat(failed.getMessage()).isEqualTo(output);
    assertNothingLeft(mesh.node.started.getLast().getSandbox());
  }

  @Test
  void aBuilderThatDoesNotStartLeavesNoTemplateEither() {
    mesh.node.hook =
        failing(
            "StartSandbox",
            new dev.cofferdam.kit.error.Refusal(
                ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE, "no gateway"));
    assertRefused(
        () -> templates.createTemplate(of("mine").build()),
        Status.Code.UNAVAILABLE,
        ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE);
    assertThat(own()).isEmpty();
    awaitTrue(() -> mesh.broker.granted.isEmpty());
    mesh.node.hook = _ -> {};
    var _ = templates.createTemplate(of("mine").build());
    assertThat(ended("mine").getState()).isEqualTo(TemplateState.TEMPLATE_STATE_READY);
  }

  @Test
  void aBuilderCountsAgainstTheQuotaOfSandboxes() {
    create();
    create();
    assertRefused(
        () -> templates.createTemplate(of("mine").build()),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
    assertThat(own()).isEmpty();
    assertThat(mesh.node.calls).doesNotContain("MakeTemplate");
  }

  @Test
  void oneThatIsDeletedWhileItIsBuiltTakesItsBuilderAlong() {
    CountDownLatch answer = new CountDownLatch(1);
    mesh.node.making = held(answer, TemplateState.TEMPLATE_STATE_READY, "");
    var _ = templates.createTemplate(of("mine").build());
    String builder = builder().getId();
    awaitCall(mesh.node.calls, "MakeTemplate");
    drop("mine");
    awaitTrue(() -> !mesh.node.running.containsKey(builder));
    answer.countDown();
    awaitTrue(mesh.node.templates::isEmpty);
    assertThat(own()).isEmpty();
    assertNothingLeft(builder);
  }

  @Test
  void oneThatIsDeletedWhileItsBuilderStartsTakesItAlong() throws Exception {
    CountDownLatch reached = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook =
        called -> {
          if (called.equals("StartSandbox")) {
            reached.countDown();
            await(go);
          }
        };
    CompletableFuture<Template> call =
        CompletableFuture.supplyAsync(() -> templates.createTemplate(of("mine").build()));
    await(reached);
    drop("mine");
    go.countDown();
    var _ = call.get(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    String builder = mesh.node.started.getLast().getSandbox();
    // What could not be taken away yet is due again.
    mesh.clock.advance(Duration.ofSeconds(2));
    awaitTrue(() -> !mesh.node.running.containsKey(builder));
    awaitTrue(() -> mesh.broker.granted.isEmpty());
  }

  @Test
  void theNextSchedulerGoesOnWithABuild() throws Exception {
    mesh.node.making =
        _ ->
            MakeTemplateResponse.newBuilder().setState(TemplateState.TEMPLATE_STATE_MAKING).build();
    var _ = templates.createTemplate(of("mine").build());
    String builder = builder().getId();
    awaitCall(mesh.node.calls, "MakeTemplate");
    again();
    assertThat(mesh.node.running).containsKey(builder);
    mesh.node.making = held(new CountDownLatch(0), TemplateState.TEMPLATE_STATE_READY, "");
    assertThat(ended("mine").getState()).isEqualTo(TemplateState.TEMPLATE_STATE_READY);
    assertThat(mesh.node.templates.values())
        .extracting(MakeTemplateRequest::getBuilder)
        .containsExactly(builder);
    assertNothingLeft(builder);
  }

  @ParameterizedTest
  @ValueSource(strings = {"CreateGrants", "StartSandbox"})
  void aSchedulerThatStopsWhileTheBuilderStartsLeavesNone(String step) throws Exception {
    CountDownLatch reached = new CountDownLatch(1);
    CountDownLatch stopped = new CountDownLatch(1);
    mesh.node.hook =
        mesh.broker.hook =
            called -> {
              if (called.equals(step)) {
                reached.countDown();
                await(stopped);
                throw Status.UNAVAILABLE.asRuntimeException();
              }
            };
    CompletableFuture<Template> call =
        CompletableFuture.supplyAsync(() -> templates.createTemplate(of("mine").build()));
    await(reached);
    mesh.stop();
    mesh.node.hook = mesh.broker.hook = _ -> {};
    stopped.countDown();
    assertThat(call).failsWithin(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    mesh.start();
    var _ = mesh.connect();
    templates = mesh.templates(token);
    acme = mesh.sandboxes(token);
    awaitTrue(() -> own().stream().noneMatch(this::isBeingMade));
    awaitTrue(() -> mesh.broker.granted.isEmpty() && mesh.node.running.isEmpty());
  }

  @Test
  void aNodeThatIsAwayIsWaitedForAsLongAsABuildMayTake() {
    mesh.node.hook = failing("MakeTemplate", Status.UNAVAILABLE.asRuntimeException());
    var _ = templates.createTemplate(of("mine").build());
    awaitCall(mesh.node.calls, "MakeTemplate");
    assertThat(get("mine", false).getState()).isEqualTo(TemplateState.TEMPLATE_STATE_MAKING);
    awaitTrue(() -> {
      mesh.clock.advance(Duration.ofMinutes(10));
      return get("mine", false).getState() == TemplateState.TEMPLATE_STATE_FAILED;
    });
    assertThat(get("mine", false).getMessage()).contains("node n1");
  }

  @Test
  void itStaysAtTheNodeThatBuiltItAndIsBuiltNowhereElse() throws Exception {
    var _ = templates.createTemplate(of("mine").build());
    assertThat(ended("mine").getState()).isEqualTo(TemplateState.TEMPLATE_STATE_READY);
    mesh.node.calls.clear();
    mesh.connectAs("n2");
    // Another one goes to every node; by then the first would have gone there too.
    var _ =
        templates.createTemplate(
            CreateTemplateRequest.newBuilder()
                .setName("other")
                .setSource(TemplateSource.newBuilder().setFile("image.tar"))
                .build());
    awaitTrue(() -> Collections.frequency(mesh.node.calls, "MakeTemplate") >= 2);
    assertThat(mesh.node.templates.values())
        .filteredOn(order -> order.getSource().hasDebian())
        .hasSize(1);
  }

  @Test
  void aRepeatedRequestIsAnsweredWithWhatTheFirstOneMade() {
    CreateTemplateRequest request = of("mine").setRequestId("r1").build();
    var _ = templates.createTemplate(request);
    Template made = ended("mine");
    assertThat(templates.createTemplate(request)).isEqualTo(made);
    assertRefused(
        () -> templates.createTemplate(of("other").setRequestId("r1").build()),
        Status.Code.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_REQUEST_ID_REUSED);
    assertThat(Collections.frequency(mesh.node.calls, "StartSandbox")).isEqualTo(1);
    drop("mine");
    var _ = templates.createTemplate(request);
    assertThat(ended("mine").getState()).isEqualTo(TemplateState.TEMPLATE_STATE_READY);
    assertThat(Collections.frequency(mesh.node.calls, "StartSandbox")).isEqualTo(2);
  }

  @Test
  void whatCouldBeAnOptionACommandOrAnotherLineIsRefused() {
    List<DebianSource.Builder> bad = new ArrayList<>();
    for (String name :
        new String[] {
          "-y", "--allow-unauthenticated", "a", "", "hello-", "hello;id", "hello world", "$(id)",
          "hello\nworld", "../x", "./x.deb", "/x.deb", "Hello", "hello*", "^hello", "~nhello",
          "hello=", "hello=-1", "hello=1.0-", "hello=1*", "hello/stable", "h".repeat(129)
        }) {
      bad.add(DebianSource.newBuilder().addPackages(name));
    }
    for (String source :
        new String[] {
          "", "deb ", "rpm http://a b c", "deb http://a b c\ndeb http://d e f", "deb \0"
        }) {
      bad.add(DebianSource.newBuilder().addSources(source));
    }
    bad.add(DebianSource.newBuilder().addSteps(""));
    bad.add(DebianSource.newBuilder().addSteps("a\0b"));
    bad.add(DebianSource.newBuilder().addSteps("x".repeat((64 << 10) + 1)));
    bad.add(DebianSource.newBuilder().addAllSteps(Collections.nCopies(5, "x".repeat(60 << 10))));
    bad.add(DebianSource.newBuilder().addAllSteps(Collections.nCopies(65, "true")));
    bad.add(DebianSource.newBuilder().addAllPackages(Collections.nCopies(257, "hello")));
    for (DebianSource.Builder each : bad) {
      assertRefused(
          () -> templates.createTemplate(of("mine", each).build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
    assertThat(mesh.node.started).isEmpty();
    DebianSource.Builder good =
        DebianSource.newBuilder()
            .addPackages("g++")
            .addPackages("libstdc++-12-dev")
            .addPackages("python3.11=3.11.2-6+deb12u5~bpo")
            .addPackages("0ad=1:0.0.26-3");
    var _ = templates.createTemplate(of("mine", good).build());
    assertThat(mesh.node.started).hasSize(1);
  }

  private void again() throws Exception {
    mesh.stop();
    mesh.start();
    var _ = mesh.connect();
    templates = mesh.templates(token);
    acme = mesh.sandboxes(token);
  }

  private static java.util.function.Function<MakeTemplateRequest, MakeTemplateResponse> held(
      CountDownLatch until, TemplateState state, String message) {
    return _ -> {
      await(until);
      return MakeTemplateResponse.newBuilder()
          .setState(state)
          .setMessage(message)
          .setDigest("sha256:" + "0".repeat(64))
          .build();
    };
  }

  private Sandbox builder() {
    return acme.listSandboxes(ListSandboxesRequest.getDefaultInstance()).getSandboxesList().stream()
        .filter(each -> each.containsLabels("cofferdam.dev/builds"))
        .filter(each -> each.getState() == SandboxState.SANDBOX_STATE_RUNNING)
        .reduce((_, _) -> {
          throw new AssertionError("more than one builder");
        })
        .orElseThrow();
  }

  private void assertNothingLeft(String builder) {
    assertThat(mesh.node.running).doesNotContainKey(builder);
    assertThat(mesh.broker.granted).doesNotContain(builder);
  }

  private List<Template> own() {
    return templates
        .listTemplates(dev.cofferdam.v1.ListTemplatesRequest.getDefaultInstance())
        .getTemplatesList()
        .stream()
        .filter(each -> !each.getTenant().isEmpty())
        .toList();
  }

  private boolean isBeingMade(Template template) {
    return template.getState() == TemplateState.TEMPLATE_STATE_MAKING;
  }

  private Template ended(String name) {
    return get(name, true);
  }

  private Template get(String name, boolean wait) {
    return templates.getTemplate(
        GetTemplateRequest.newBuilder().setName(name).setWait(wait).build());
  }

  private void drop(String name) {
    var _ = templates.deleteTemplate(DeleteTemplateRequest.newBuilder().setName(name).build());
  }

  private static CreateTemplateRequest.Builder of(String name) {
    return of(
        name,
        DebianSource.newBuilder().addPackages("hello").addSteps("true").setEgressPolicy(POLICY));
  }

  private static CreateTemplateRequest.Builder of(String name, DebianSource.Builder source) {
    return CreateTemplateRequest.newBuilder()
        .setName(name)
        .setSource(TemplateSource.newBuilder().setDebian(source));
  }

  private static CreateSandboxRequest from(String template) {
    return CreateSandboxRequest.newBuilder().setTemplate(template).build();
  }
}
