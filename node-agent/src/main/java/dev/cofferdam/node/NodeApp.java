package dev.cofferdam.node;

import dev.cofferdam.internal.v1.SandboxChanged;
import dev.cofferdam.kit.admin.AdminServer;
import dev.cofferdam.kit.app.Parts;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.identity.PeerIdentity;
import dev.cofferdam.kit.relay.OpaqueRelay;
import dev.cofferdam.kit.server.RpcServer;
import dev.cofferdam.node.api.GuestRouter;
import dev.cofferdam.node.api.NodeApi;
import dev.cofferdam.node.api.NodeRules;
import dev.cofferdam.node.api.TemplateCalls;
import dev.cofferdam.node.api.VisibleStates;
import dev.cofferdam.node.build.GuestBuilds;
import dev.cofferdam.node.disk.CpCopier;
import dev.cofferdam.node.disk.DiskRoom;
import dev.cofferdam.node.disk.MkfsDisks;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.drops.DropReporter;
import dev.cofferdam.node.gateway.GrpcGateway;
import dev.cofferdam.node.guest.UnixGuestConnector;
import dev.cofferdam.node.helper.HelperClient;
import dev.cofferdam.node.image.ImageMaker;
import dev.cofferdam.node.image.ImageStore;
import dev.cofferdam.node.journal.FileJournal;
import dev.cofferdam.node.journal.JournalException;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.LinuxProcessTable;
import dev.cofferdam.node.metrics.NodeMeters;
import dev.cofferdam.node.metrics.SandboxUsage;
import dev.cofferdam.node.oci.ImageLimits;
import dev.cofferdam.node.oci.RegistryClient;
import dev.cofferdam.node.oci.RootMaker;
import dev.cofferdam.node.pool.LinuxHostLoad;
import dev.cofferdam.node.pool.MachinePool;
import dev.cofferdam.node.pool.PoolMaker;
import dev.cofferdam.node.pool.PoolMetrics;
import dev.cofferdam.node.pressure.HostPressure;
import dev.cofferdam.node.pressure.LinuxHost;
import dev.cofferdam.node.registry.NodeFacts;
import dev.cofferdam.node.registry.RegistryConnection;
import dev.cofferdam.node.sandbox.Drain;
import dev.cofferdam.node.sandbox.Gateway;
import dev.cofferdam.node.sandbox.IdleWatch;
import dev.cofferdam.node.sandbox.PartitionWatch;
import dev.cofferdam.node.sandbox.SandboxMaker;
import dev.cofferdam.node.sandbox.SandboxMetrics;
import dev.cofferdam.node.sandbox.Sandboxes;
import dev.cofferdam.node.sandbox.SleepParts;
import dev.cofferdam.node.sandbox.Teardown;
import dev.cofferdam.node.slot.Occupants;
import dev.cofferdam.node.slot.SlotPool;
import dev.cofferdam.node.snapshot.SnapshotStore;
import dev.cofferdam.node.template.ImageSources;
import dev.cofferdam.node.template.OrderedTemplates;
import dev.cofferdam.node.template.TemplateCatalog;
import dev.cofferdam.node.template.TemplateMaker;
import dev.cofferdam.node.template.TemplateOrder;
import dev.cofferdam.node.template.TemplateStore;
import dev.cofferdam.node.template.Templates;
import dev.cofferdam.node.volume.Volumes;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.PortServiceGrpc;
import dev.cofferdam.v1.ProcessServiceGrpc;
import io.grpc.ManagedChannel;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.netty.handler.ssl.ClientAuth;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The wiring. Closing it lets go of everything and leaves every sandbox running. */
public final class NodeApp implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(NodeApp.class);
  private static final long HOUSEKEEPING_SECONDS = 5;
  private static final long FURTHER_AGAIN_SECONDS = 60;

  /** Of one layer, and others wait for it: whoever is slower than that is not waited for. */
  private static final Duration PULL = Duration.ofMinutes(15);

  private final Parts parts = new Parts();

  private final Runnable exit;

  private NodeApp(Runnable exit) {
    this.exit = exit;
  }

  /**
   * Starts the node agent: what ran is taken up before anything is served.
   *
   * @param exit ends the process, and with it this
   */
  public static NodeApp start(NodeConfig config, Runnable exit) throws Exception {
    NodeApp app = new NodeApp(exit);
    try {
      app.run(config);
      return app;
    } catch (Exception e) {
      app.close();
      throw e;
    }
  }

  @Override
  public void close() {
    parts.close();
  }

  private void run(NodeConfig config) throws Exception {
    SecureRandom random = new SecureRandom();
    PrometheusMeterRegistry meters = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    ExecutorService executor =
        parts.add(Executors.newVirtualThreadPerTaskExecutor(), ExecutorService::shutdownNow);
    ScheduledExecutorService scheduler =
        parts.add(
            Executors.newSingleThreadScheduledExecutor(
                Thread.ofPlatform().daemon().name("node-time").factory()),
            ScheduledExecutorService::shutdownNow);
    MeshTls tls = parts.add(MeshTls.open(config.tls()));
    tls.bindTo(meters);
    MeshChannels channels = new MeshChannels(tls);
    ManagedChannel toScheduler =
        parts.add(channels.to(config.scheduler(), "scheduler-svc"), ManagedChannel::shutdownNow);
    ManagedChannel toBroker =
        parts.add(channels.to(config.broker(), "vault-broker"), ManagedChannel::shutdownNow);
    ManagedChannel toGateway =
        parts.add(channels.to(config.gateway(), "egress-gateway"), ManagedChannel::shutdownNow);

    Files.createDirectories(config.stateDirectory());
    Files.setPosixFilePermissions(
        config.stateDirectory(), PosixFilePermissions.fromString("rwx------"));
    FileJournal journal =
        parts.add(
            FileJournal.open(config.stateDirectory().resolve("journal"), this::endWithoutJournal));
    HelperClient helper = parts.add(new HelperClient(config.helperSocket(), meters));
    SandboxFiles files =
        new SandboxFiles(config.sandboxRoot(), config.stateDirectory().resolve("tokens"), helper);
    LinuxProcessTable processes = new LinuxProcessTable();
    UnixGuestConnector guests = parts.add(new UnixGuestConnector(executor));
    helper.ensureGate();
    Driver driver = parts.add(Driver.choose(config, helper, processes, files, guests, journal));
    Hypervisor hypervisor = driver.hypervisor();
    Occupants occupants = new Occupants(InstantSource.system());
    SlotPool slots =
        new SlotPool(helper, config.slotsMax(), config.slotsSpare(), executor, occupants);
    Gateway gateway =
        new GrpcGateway(
            toGateway,
            new Guard("egress-gateway", ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE, meters));
    TemplateStore templateStore =
        new TemplateStore(config.templateRoot(), InstantSource.system(), random);
    ImageStore imageStore = new ImageStore(config.imageRoot());
    TemplateMaker templateMaker =
        new TemplateMaker(
            helper,
            hypervisor,
            slots,
            files,
            guests,
            templateStore,
            InstantSource.system(),
            random,
            System::nanoTime);
    Templates templates =
        new Templates(
            config.templates(),
            imageStore,
            templateMaker,
            config.prepared(),
            config.preparedFurther());
    SleepParts sleep =
        new SleepParts(
            helper,
            hypervisor,
            files,
            guests,
            gateway,
            occupants,
            new SnapshotStore(config.templateRoot()),
            journal,
            InstantSource.system(),
            random,
            executor);
    DiskRoom room =
        new DiskRoom(List.of(config.sandboxRoot(), config.volumeRoot()), config.diskReserveMib());
    Volumes volumes =
        new Volumes(
            config.volumeRoot(), MkfsDisks.forVolumes(), new CpCopier()::copy, room::promise);
    room.recount();
    HostPressure pressure =
        new HostPressure(new LinuxHost(config.sandboxRoot()), config.pressure());
    GuestBuilds builds =
        new GuestBuilds(
            config.stateDirectory().resolve("builds"),
            (long) config.oci().limitMib() << 20,
            () -> room.availableMib() << 20);
    OrderedTemplates ordered =
        new OrderedTemplates(
            config.stateDirectory().resolve("templates"),
            new ImageSources(
                config.oci().files(),
                config.oci().kernels(),
                parts.add(
                    new RegistryClient(
                        config.oci().registries(),
                        config.oci()::registryCredentials,
                        (long) config.oci().limitMib() << 20,
                        PULL,
                        executor)),
                builds::build,
                imageStore,
                config.templates().values().iterator().next()),
            new ImageMaker(
                config.oci().made(),
                new RootMaker(
                    ImageLimits.DEFAULT.withBytes((long) config.oci().limitMib() << 20),
                    () -> room.availableMib() << 20),
                new MkfsDisks()),
            templateMaker,
            pressure::admit,
            InstantSource.system(),
            executor);
    MachinePool pool =
        parts.add(
            new MachinePool(
                config.pool(),
                new PoolMaker(
                    helper,
                    hypervisor,
                    slots,
                    files,
                    guests,
                    InstantSource.system(),
                    random,
                    System::nanoTime),
                slots,
                () ->
                    Stream.concat(templates.offers().stream(), ordered.offers().stream()).toList(),
                new LinuxHostLoad(System::nanoTime),
                new PoolMetrics(meters),
                System::nanoTime,
                (pause, task) -> {
                  var _ =
                      scheduler.schedule(
                          () -> executor.execute(task), pause.toNanos(), TimeUnit.NANOSECONDS);
                }));
    TemplateCatalog catalog =
        (name, size) ->
            TemplateOrder.isId(name) ? ordered.require(name) : templates.require(name, size);
    Teardown teardown =
        new Teardown(helper, slots, config.slotPrefix(), files, gateway, journal, executor);
    Sandboxes sandboxes =
        parts.add(
            new Sandboxes(
                new SandboxMaker(
                    helper,
                    hypervisor,
                    files,
                    new MkfsDisks(),
                    volumes::copyOut,
                    guests,
                    gateway,
                    occupants,
                    InstantSource.system(),
                    random,
                    executor),
                teardown,
                catalog,
                config.limits(),
                slots,
                pool,
                hypervisor,
                guests,
                files,
                journal,
                helper,
                sleep,
                new SandboxMetrics(meters),
                System::nanoTime,
                executor,
                config.parallelStarts()));
    builds.within(sandboxes.states()::reach);
    sandboxes.admitBy(pressure);
    Drain drain =
        Drain.open(
            config.stateDirectory().resolve("drained"),
            drained -> {
              slots.drain(drained);
              pool.drain(drained);
            });
    sandboxes.checkBy(order -> {
      drain.requireNone();
      volumes.require(order.volumeIds());
      return room.promise(order.newDiskMib());
    });
    NodeMeters.register(
        meters, hypervisor, config.limits(), sandboxes, slots, pressure::now, config.sandboxRoot());
    NodeMeters.templates(meters, () -> templates.offers().size(), ordered::counts);
    SandboxUsage usage = new SandboxUsage(sandboxes::occupied, helper::usage, meters);
    sandboxes.recover(processes);

    RegistryConnection registry =
        parts.add(
            new RegistryConnection(
                toScheduler,
                new Guard("scheduler-svc", ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, meters),
                facts(config, hypervisor),
                new LiveView(sandboxes, slots, pool, templates, ordered, pressure, drain),
                scheduler,
                executor,
                random));
    sandboxes.onLoss(registry::lost);
    sandboxes
        .states()
        .onChange((sandbox, epoch, state, change, message) ->
            registry.changed(
                SandboxChanged.newBuilder()
                    .setSandbox(sandbox)
                    .setEpoch(epoch)
                    .setState(VisibleStates.of(state))
                    .setChange(change)
                    .setMessage(message)
                    .build()));
    everySecond(new IdleWatch(sandboxes, sleep, System::nanoTime)::look, scheduler, executor);
    everySecond(
        new PartitionWatch(
                sandboxes, config.onPartition(), registry::connected, System::nanoTime, executor)
            ::look,
        scheduler,
        executor);
    parts.add(
        RpcServer.builder("mesh", config.listen())
            .tls(tls.server(ClientAuth.REQUIRE), tls.trustDomain())
            .meters(meters)
            .rules(NodeRules.rules())
            .service(new NodeApi(sandboxes, volumes, new TemplateCalls(ordered, config.limits())))
            .service(
                OpaqueRelay.service(
                    ProcessServiceGrpc.getServiceDescriptor(), new GuestRouter(sandboxes)))
            .service(
                OpaqueRelay.service(
                    FileServiceGrpc.getServiceDescriptor(), new GuestRouter(sandboxes)))
            .service(
                OpaqueRelay.service(
                    PortServiceGrpc.getServiceDescriptor(), new GuestRouter(sandboxes)))
            .start());
    parts.add(
        new DropReporter(
                helper,
                toBroker,
                new Guard("vault-broker", ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, meters),
                name(config),
                occupants::at,
                meters)
            .start());
    parts.add(
        AdminServer.start(
            config.adminListen(),
            meters,
            Map.of(
                "journal",
                journal::failure,
                "templates",
                templates::notReady,
                "scheduler",
                () ->
                    registry.connected()
                        ? Optional.empty()
                        : Optional.of("the scheduler has not taken the registration"))));
    executor.execute(templateStore::removeAbandoned);
    executor.execute(() -> prepare(templates, ordered, registry, pressure, scheduler, executor));
    var _ =
        scheduler.scheduleWithFixedDelay(
            () ->
                executor.execute(() -> {
                  room.recount();
                  sandboxes.sweep();
                  slots.maintain();
                  pool.maintain();
                  usage.read();
                  ordered.sweep(sleep::images);
                }),
            HOUSEKEEPING_SECONDS,
            HOUSEKEEPING_SECONDS,
            TimeUnit.SECONDS);
  }

  /**
   * Without a journal this process can neither start nor remove anything, and does not know what is
   * on disk. Its end fences it: the scheduler places nothing here any more, while the sandboxes run
   * on. The next process reads anew, or does not start.
   */
  private void endWithoutJournal(JournalException failure) {
    log.atError().setMessage("journal_failed").setCause(failure).log();
    // Not on the thread that holds the journal: the way out closes it.
    Thread.ofPlatform().daemon().name("exit").start(exit);
  }

  /**
   * A node that can restore nothing yet is none to place on: it registers once its templates are
   * ready.
   */
  private static void prepare(
      Templates templates,
      OrderedTemplates ordered,
      RegistryConnection registry,
      HostPressure pressure,
      ScheduledExecutorService scheduler,
      ExecutorService executor) {
    if (templates.prepare()) {
      ordered.resume();
      registry.start();
      prepareFurther(templates, pressure, scheduler, executor);
    } else {
      var _ =
          scheduler.schedule(
              () ->
                  executor.execute(
                      () -> prepare(templates, ordered, registry, pressure, scheduler, executor)),
              HOUSEKEEPING_SECONDS,
              TimeUnit.SECONDS);
    }
  }

  /** Each try of what fails may cost a boot, and the node is of use without. */
  private static void prepareFurther(
      Templates templates,
      HostPressure pressure,
      ScheduledExecutorService scheduler,
      ExecutorService executor) {
    if (!templates.prepareFurther(pressure::admit)) {
      var _ =
          scheduler.schedule(
              () ->
                  executor.execute(() -> prepareFurther(templates, pressure, scheduler, executor)),
              FURTHER_AGAIN_SECONDS,
              TimeUnit.SECONDS);
    }
  }

  /** One look after another: a guest that does not answer must not be asked by many. */
  private static void everySecond(
      Runnable look, ScheduledExecutorService scheduler, ExecutorService executor) {
    AtomicBoolean looking = new AtomicBoolean();
    var _ =
        scheduler.scheduleWithFixedDelay(
            () -> {
              if (looking.compareAndSet(false, true)) {
                executor.execute(() -> {
                  try {
                    look.run();
                  } finally {
                    looking.set(false);
                  }
                });
              }
            },
            1,
            1,
            TimeUnit.SECONDS);
  }

  private static NodeFacts facts(NodeConfig config, Hypervisor hypervisor) {
    return new NodeFacts(
        config.advertised().getHostString() + ":" + config.advertised().getPort(),
        config.limits().vcpus(),
        config.limits().memoryMib(),
        config.limits().diskMib(),
        config.slotsMax(),
        hypervisor.isolation().label(),
        hypervisor.name(),
        config.slotPrefix().toString());
  }

  /** This node's name is the instance in its own certificate, as the scheduler sees it. */
  private static String name(NodeConfig config) throws IOException {
    try (InputStream in = Files.newInputStream(config.tls().certificate())) {
      X509Certificate certificate =
          (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
      return PeerIdentity.of(certificate, config.tls().trustDomain())
          .map(PeerIdentity::instance)
          .orElseThrow(() ->
              new IOException(
                  config.tls().certificate()
                      + " names no instance of trust domain "
                      + config.tls().trustDomain()));
    } catch (GeneralSecurityException e) {
      throw new IOException(config.tls().certificate() + " is no certificate", e);
    }
  }
}
