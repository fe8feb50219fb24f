package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.snapshot.SnapshotStore;
import dev.cofferdam.node.volume.Volumes;
import dev.cofferdam.v1.ErrorReason;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A sandbox to start here.
 *
 * @param epoch of the assignment, at least 1
 * @param environment of every process; at most 512 entries and 128 KiB, for placeholders come on
 *     top of the tenant's
 * @param ticket for the gateway, opaque
 * @param caCertificate PEM, or empty
 * @param snapshot what it is made of instead of the template
 * @param idle it is suspended after so long without anything to do; zero: never
 * @param volumes ids of this node's by the directory they are mounted at, at {@code /} the
 *     sandbox's own disk; at most 8, and none with a snapshot
 * @param diskSource id of a volume of this node's that its own disk begins as a copy of; none with
 *     a snapshot or a volume as its disk
 */
public record StartOrder(
    String sandbox,
    long epoch,
    String template,
    MachineSize size,
    Map<String, String> environment,
    String ticket,
    String caCertificate,
    Optional<String> snapshot,
    Duration idle,
    SortedMap<String, String> volumes,
    Optional<String> diskSource) {
  private static final Pattern SANDBOX = Pattern.compile("sb-[a-z2-7]{20}");
  private static final Pattern VARIABLE = Pattern.compile("[A-Za-z_][A-Za-z0-9_]{0,127}");
  private static final int MAX_VARIABLES = 512;
  private static final int MAX_ENVIRONMENT = 128 << 10;

  public StartOrder {
    requireId(sandbox);
    if (epoch < 1) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "epoch is " + Long.toUnsignedString(epoch) + ", expected at least 1");
    }
    if (ticket.isEmpty()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, "attach_ticket is empty, expected a ticket");
    }
    snapshot.ifPresent(SnapshotStore::requireId);
    environment = Map.copyOf(environment);
    requireEnvironment(environment);
    volumes = Mounts.checked(volumes);
    if (snapshot.isPresent() && !volumes.isEmpty()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "snapshot and volumes are both set, expected one of them");
    }
    diskSource.ifPresent(Volumes::requireId);
    if (diskSource.isPresent() && (snapshot.isPresent() || Mounts.disk(volumes).isPresent())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "disk_source is set beside %s, expected one of them"
              .formatted(snapshot.isPresent() ? "snapshot" : "a volume at /"));
    }
  }

  /** Of the template, with volumes. */
  public StartOrder(
      String sandbox,
      long epoch,
      String template,
      MachineSize size,
      Map<String, String> environment,
      String ticket,
      String caCertificate,
      Map<String, String> volumes) {
    this(
        sandbox,
        epoch,
        template,
        size,
        environment,
        ticket,
        caCertificate,
        Optional.empty(),
        Duration.ZERO,
        new TreeMap<>(volumes),
        Optional.empty());
  }

  /** Without volumes. */
  public StartOrder(
      String sandbox,
      long epoch,
      String template,
      MachineSize size,
      Map<String, String> environment,
      String ticket,
      String caCertificate,
      Optional<String> snapshot,
      Duration idle) {
    this(
        sandbox,
        epoch,
        template,
        size,
        environment,
        ticket,
        caCertificate,
        snapshot,
        idle,
        new TreeMap<>(),
        Optional.empty());
  }

  /** All volumes of this node that it needs. */
  public List<String> volumeIds() {
    return Stream.concat(volumes.values().stream(), diskSource.stream()).toList();
  }

  /** MiB that its disk may come to take: none where a volume is its disk. */
  public int newDiskMib() {
    return Mounts.disk(volumes).isPresent() ? 0 : size.diskMib();
  }

  /**
   * Whether its disk has a content of its own: it boots then, for a template's memory fits no
   * other.
   */
  boolean bringsDisk() {
    return diskSource.isPresent() || Mounts.disk(volumes).isPresent();
  }

  /** Of the template, and never suspended by itself. */
  public StartOrder(
      String sandbox,
      long epoch,
      String template,
      MachineSize size,
      Map<String, String> environment,
      String ticket,
      String caCertificate) {
    this(
        sandbox,
        epoch,
        template,
        size,
        environment,
        ticket,
        caCertificate,
        Optional.empty(),
        Duration.ZERO);
  }

  /** A sandbox's id becomes a path: nothing but the one form gets in. */
  public static void requireId(String sandbox) {
    if (!SANDBOX.matcher(sandbox).matches()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "sandbox is '" + sandbox + "', expected " + SANDBOX);
    }
  }

  private static void requireEnvironment(Map<String, String> environment) {
    if (environment.size() > MAX_VARIABLES) {
      throw invalid(
          "env has " + environment.size() + " entries, expected at most " + MAX_VARIABLES);
    }
    int bytes = 0;
    for (Map.Entry<String, String> variable : environment.entrySet()) {
      if (!VARIABLE.matcher(variable.getKey()).matches()) {
        throw invalid("env has the name '" + variable.getKey() + "', expected " + VARIABLE);
      }
      if (variable.getValue().indexOf('\0') >= 0) {
        throw invalid("env " + variable.getKey() + " holds a NUL");
      }
      bytes += variable.getKey().length() + variable.getValue().length();
      if (bytes > MAX_ENVIRONMENT) {
        throw invalid("env is larger than " + MAX_ENVIRONMENT + " characters");
      }
    }
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_ENVIRONMENT_INVALID, message);
  }

  /** Neither the ticket nor the environment belongs in a log. */
  @Override
  public String toString() {
    return "StartOrder[%s, epoch %d, %s, %s]".formatted(sandbox, epoch, template, size);
  }
}
