package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.snapshot.SnapshotStore;
import dev.cofferdam.v1.ErrorReason;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

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
 * @param volumes ids of this node's by the directory they are mounted at; at most 8, and none with
 *     a snapshot
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
    Map<String, String> volumes) {
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
        volumes);
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
        Map.of());
  }

  /** The volumes by their number: parents are mounted before what lies in them. */
  public List<String> volumeIds() {
    return List.copyOf(volumes.values());
  }

  /** Where, by number. */
  List<String> mountPoints() {
    return List.copyOf(volumes.keySet());
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
