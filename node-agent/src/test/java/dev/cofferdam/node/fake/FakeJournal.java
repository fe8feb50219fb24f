package dev.cofferdam.node.fake;

import dev.cofferdam.node.journal.Journal;
import dev.cofferdam.node.journal.JournalEntry;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;

/** A real journal before and after whose writes the node agent can die. */
public final class FakeJournal implements Journal {
  private final Journal journal;
  private final Acts acts;

  public FakeJournal(Journal journal, Acts acts) {
    this.journal = journal;
    this.acts = acts;
  }

  @Override
  public void append(JournalEntry entry) {
    add(entry, journal::append);
  }

  @Override
  public void note(JournalEntry entry) {
    add(entry, journal::note);
  }

  private void add(JournalEntry entry, Consumer<JournalEntry> how) {
    String name = "journal." + entry.getClass().getSimpleName().toLowerCase(Locale.ROOT);
    acts.act(name);
    how.accept(entry);
    acts.act(name + ".written");
  }

  @Override
  public List<JournalEntry> latest() {
    return journal.latest();
  }

  @Override
  public void close() {
    journal.close();
  }
}
