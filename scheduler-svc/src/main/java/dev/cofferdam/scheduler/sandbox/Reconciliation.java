package dev.cofferdam.scheduler.sandbox;

import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Running;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What follows from a node's list of running sandboxes. The record decides whether a sandbox should
 * be; the node decides whether it is.
 */
public final class Reconciliation {
  /**
   * @param remove ids that the node has to remove: no record, ended, or assigned elsewhere since
   * @param lost running by the record, but not on the node
   * @param unsure running only since about the time the list was made, and not in it: the list may
   *     be the older of the two, so the node has to say again
   * @param ahead reported with an epoch that no record has given out: a database restored from an
   *     old backup looks so, and a tenant's VM is not destroyed on such grounds
   */
  public record Outcome(
      List<String> remove, List<Sandbox> lost, List<Sandbox> unsure, List<String> ahead) {
    public Outcome {
      remove = List.copyOf(remove);
      lost = List.copyOf(lost);
      unsure = List.copyOf(unsure);
      ahead = List.copyOf(ahead);
    }
  }

  private Reconciliation() {}

  /**
   * @param records every record that has not ended and is assigned to the node, and those of all
   *     reported ids wherever they are
   * @param reported id to epoch, as the node says
   * @param listMade the earliest time at which the node can have made its list
   */
  public static Outcome decide(
      String node, List<Sandbox> records, Map<String, Long> reported, Instant listMade) {
    Map<String, Sandbox> byId = new HashMap<>();
    records.forEach(record -> byId.put(record.id(), record));
    List<String> remove = new ArrayList<>();
    List<String> ahead = new ArrayList<>();
    reported.forEach((id, epoch) -> {
      Sandbox record = byId.get(id);
      if (record == null) {
        remove.add(id);
      } else if (epoch > record.epoch()) {
        ahead.add(id);
      } else if (epoch < record.epoch() || !record.node().equals(node) || gone(record)) {
        remove.add(id);
      }
    });
    List<Sandbox> lost = new ArrayList<>();
    List<Sandbox> unsure = new ArrayList<>();
    for (Sandbox record : records) {
      if (record.node().equals(node)
          && !reported.containsKey(record.id())
          && record.state() instanceof Running running) {
        (running.since().isBefore(listMade) ? lost : unsure).add(record);
      }
    }
    return new Outcome(remove, lost, unsure, ahead);
  }

  private static boolean gone(Sandbox record) {
    return switch (record.state()) {
      case Ended _ -> true;
      // Its removal is under way and needs the broker first.
      case Stopping _ -> false;
      case Starting _ -> false;
      case Running _ -> false;
    };
  }
}
