package dev.cofferdam.loadtest;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.SecretBinding;
import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * What broker and gateway add to the life of a sandbox: the calls that the scheduler and the node
 * make for each, without a VM. The database is the mesh's own, with fsync.
 */
@Command(
    name = "attach",
    mixinStandardHelpOptions = true,
    description = "The broker's and the gateway's share of a create and a delete.")
final class AttachCommand implements Callable<Integer> {
  @Option(names = "--cycles", description = "Sandboxes to attach (default: ${DEFAULT-VALUE}).")
  private int cycles = 500;

  @Option(
      names = "--warm-up",
      description = "Cycles that are not counted (default: ${DEFAULT-VALUE}).")
  private int warmUp = 300;

  @Option(names = "--parallel", description = "Cycles at a time (default: ${DEFAULT-VALUE}).")
  private int parallel = 1;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the results there too.")
  private @Nullable Path json;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException, ExecutionException {
    if (cycles < 1 || warmUp < 0 || parallel < 1 || parallel > MeshCalls.MAX_SLOTS) {
      throw new IllegalArgumentException(
          "cycles %d, warm-up %d, parallel %d: expected at least 1, 0 and 1 to %d"
              .formatted(cycles, warmUp, parallel, MeshCalls.MAX_SLOTS));
    }
    Report report =
        new Report(spec.commandLine().getOut(), "attach", InstantSource.system().instant());
    Map<String, String> environment = System.getenv();
    byte[] random = new byte[32];
    new SecureRandom().nextBytes(random);
    String run = HexFormat.of().formatHex(random, 0, 4);
    String secret = "load-" + run;
    try (Api api = Api.open(environment);
        MeshCalls mesh = MeshCalls.open(environment)) {
      api.put(
          PutSecretRequest.newBuilder()
              .setName(secret)
              .setValue(ByteString.copyFromUtf8(HexFormat.of().formatHex(random)))
              .addBindings(SecretBinding.newBuilder().addHosts(MeshCalls.HOST))
              .build());
      try {
        report.line(
            "broker and gateway: %d cycles after %d to warm up, %d at a time, one secret each"
                .formatted(cycles, warmUp, parallel));
        var _ = measure(mesh, run + "-w", secret, warmUp);
        tell(report, measure(mesh, run + "-m", secret, cycles));
      } finally {
        api.deleteSecret(secret);
      }
    }
    report.write(Optional.ofNullable(json));
    return 0;
  }

  private List<MeshCalls.Cycle> measure(MeshCalls mesh, String prefix, String secret, int count)
      throws InterruptedException, ExecutionException {
    List<MeshCalls.Cycle> measured = new ArrayList<>();
    try (ExecutorService workers = Executors.newFixedThreadPool(parallel)) {
      List<Future<MeshCalls.Cycle>> pending = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        String sandbox = "sb-load-" + prefix + i;
        // Of those that run at a time no two have the same slot.
        int slot = i % MeshCalls.MAX_SLOTS;
        pending.add(workers.submit(() -> mesh.cycle(sandbox, secret, slot)));
      }
      for (Future<MeshCalls.Cycle> one : pending) {
        measured.add(one.get());
      }
    }
    return measured;
  }

  private void tell(Report report, List<MeshCalls.Cycle> measured) {
    report.fact("parallel", parallel);
    report.line(Percentiles.HEADING);
    report.times("create_grants", "CreateGrants", of(measured, MeshCalls.Cycle::createGrants));
    report.times("attach_slot", "AttachSlot", of(measured, MeshCalls.Cycle::attachSlot));
    report.times("detach_slot", "DetachSlot", of(measured, MeshCalls.Cycle::detachSlot));
    report.times("revoke_grants", "RevokeGrants", of(measured, MeshCalls.Cycle::revokeGrants));
  }

  private static Percentiles of(
      List<MeshCalls.Cycle> measured, ToLongFunction<MeshCalls.Cycle> time) {
    return Percentiles.ofNanos(measured.stream().mapToLong(time).toArray());
  }
}
