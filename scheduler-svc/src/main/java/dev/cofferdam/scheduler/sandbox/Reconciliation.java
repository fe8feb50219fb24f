package dev.cofferdam.scheduler.sandbox;

import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Live;
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
   * @param lost live by the record, but not on the node
   * @param changed live and on the node, which says something newer of what it does
   * @param unsure changed by the record only since about the time the list was made, which differs:
   *     the list may be the older of the two, so the node has to say again
   * @param ahead reported with an epoch that no record has given out: a database restored from an
   *     old backup looks so, and a tenant's VM is not destroyed on such grounds
   */
  public record Outcome(
      List<String> remove,
      List<Sandbox> lost,
      List<Sandbox> changed,
      List<Sandbox> unsure,
      List<String> ahead) {
    public Outcome {
      remove = List.copyOf(remove);
      lost = List.copyOf(lost);
      changed = List.copyOf(changed);
      unsure = List.copyOf(unsure);
      ahead = List.copyOf(ahead);
    }
  }

  /**
   * What a node says of a sandbox.
   *
   * @param change its count of the changes of what it does; 0: not counted
   */
  public record Report(long epoch, Activity activity, long change) {}

  private Reconciliation() {}

  /**
   * @param records every record that has not ended and is assigned to the node, and those of all
   *     reported ids wherever they are
   * @param reported by id, as the node says
   * @param listMade the earliest time at which the node can have made its list
   */
  public static Outcome decide(
      String node, List<Sandbox> records, Map<String, Report> reported, Instant listMade) {
    Map<String, Sandbox> byId = new HashMap<>();
    records.forEach(record -> byId.put(record.id(), record));
    List<String> remove = new ArrayList<>();
    List<String> ahead = new ArrayList<>();
    reported.forEach((id, report) -> {
      long epoch = report.epoch();
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
    List<Sandbox> changed = new ArrayList<>();
    List<Sandbox> unsure = new ArrayList<>();
    for (Sandbox record : records) {
      if (record.node().equals(node) && record.state() instanceof Live live) {
        Report report = reported.get(record.id());
        if (report == null) {
          (live.since().isBefore(listMade) ? lost : unsure).add(record);
        } else if (report.epoch() == record.epoch() && isNews(live, report)) {
          boolean surelyNewer = report.change() > 0 || live.since().isBefore(listMade);
          (surelyNewer ? changed : unsure).add(record);
        }
      }
    }
    return new Outcome(remove, lost, changed, unsure, ahead);
  }

  private static boolean isNews(Live live, Report report) {
    return report.activity() != live.activity()
        && (report.change() == 0 || report.change() > live.change());
  }

  private static boolean gone(Sandbox record) {
    return switch (record.state()) {
      case Ended _ -> true;
      // Its removal is under way and needs the broker first.
      case Stopping _ -> false;
      case Starting _ -> false;
      case Live _ -> false;
    };
  }
}
