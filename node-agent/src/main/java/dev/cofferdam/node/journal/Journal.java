package dev.cofferdam.node.journal;

import java.util.List;

/**
 * What the node was about to do, oldest first; the last entry of a sandbox counts. Safe for use by
 * several threads.
 */
public interface Journal extends AutoCloseable {
  /**
   * Returns once the entry is durable.
   *
   * @throws JournalException when it is not, or may not be; the act that it announces must not
   *     happen
   */
  void append(JournalEntry entry);

  /**
   * Returns once the entry outlives this process; it outlives the host a moment later. For what
   * would not outlive the host itself: a machine's memory, a slot. It saves the wait for the disk
   * of a start; an {@link #append} that follows makes it as durable as its own entry.
   *
   * @throws JournalException as {@link #append} does
   */
  void note(JournalEntry entry);

  /** The last entry of every sandbox, in the order of those entries. */
  List<JournalEntry> latest();

  @Override
  void close();
}
