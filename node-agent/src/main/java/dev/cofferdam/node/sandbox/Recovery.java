package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.journal.JournalEntry;
import dev.cofferdam.node.machine.ProcessTable;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * What to do with what an earlier process left behind.
 *
 * @param adopt ran, and its VMM still does
 * @param goOn stood still, and its VMM is there
 * @param asleep all of it is on disk, or beside what it was
 * @param remove half made, half torn down, or dead
 * @param fences ended
 * @param strays names on disk that no entry accounts for
 */
record Recovery(
    List<JournalEntry.Running> adopt,
    List<JournalEntry.Halted> goOn,
    List<JournalEntry> asleep,
    List<JournalEntry> remove,
    List<JournalEntry.Ended> fences,
    Set<String> strays) {
  static Recovery plan(List<JournalEntry> latest, ProcessTable processes, Set<String> present) {
    List<JournalEntry.Running> adopt = new ArrayList<>();
    List<JournalEntry.Halted> goOn = new ArrayList<>();
    List<JournalEntry> asleep = new ArrayList<>();
    List<JournalEntry> remove = new ArrayList<>();
    List<JournalEntry.Ended> fences = new ArrayList<>();
    Set<String> strays = new TreeSet<>(present);
    for (JournalEntry entry : latest) {
      switch (entry) {
        case JournalEntry.Claimed claimed -> remove.add(claimed);
        case JournalEntry.Removing removing -> remove.add(removing);
        case JournalEntry.Running running -> {
          if (processes.alive(running.process())) {
            adopt.add(running);
          } else {
            remove.add(running);
          }
        }
        case JournalEntry.Halted halted -> {
          if (processes.alive(halted.process())) {
            goOn.add(halted);
          } else {
            remove.add(halted);
          }
        }
        case JournalEntry.Suspended suspended -> asleep.add(suspended);
        case JournalEntry.RollingBack back -> asleep.add(back);
        case JournalEntry.Ended ended -> fences.add(ended);
      }
      if (!(entry instanceof JournalEntry.Ended)) {
        strays.remove(entry.sandbox());
      }
    }
    return new Recovery(adopt, goOn, asleep, remove, fences, strays);
  }

  /** The slots that something of ours is, or may be, in. */
  Set<Integer> slots() {
    Set<Integer> slots = new TreeSet<>();
    adopt.forEach(running -> slots.add(running.slot()));
    goOn.forEach(halted -> slots.add(halted.slot()));
    asleep.forEach(entry -> slots.add(slot(entry)));
    for (JournalEntry entry : remove) {
      slots.add(slot(entry));
    }
    return slots;
  }

  static int slot(JournalEntry entry) {
    return switch (entry) {
      case JournalEntry.Claimed claimed -> claimed.slot();
      case JournalEntry.Running running -> running.slot();
      case JournalEntry.Halted halted -> halted.slot();
      case JournalEntry.Suspended suspended -> suspended.slot();
      case JournalEntry.RollingBack back -> back.slot();
      case JournalEntry.Removing removing -> removing.slot();
      case JournalEntry.Ended ended ->
          throw new IllegalArgumentException(ended.sandbox() + " has ended and has no slot");
    };
  }
}
