package dev.cofferdam.broker.ca;

import dev.cofferdam.broker.ca.CertificateAuthority.Draft;
import dev.cofferdam.kit.reserve.Reservoir;
import java.util.function.Supplier;

/**
 * Roots made ahead: a key and its certificate take longer than all else that a sandbox's first
 * grants need. Their keys are in memory until they are taken. Safe for use by several threads.
 */
public final class RootReservoir implements AutoCloseable {
  /** A burst of creates finds one each; all are made anew within a second. */
  private static final int AHEAD = 32;

  private final CertificateAuthority authority;
  private final Reservoir<Draft> drafts;

  /**
   * @param ids of new lineages, each once
   */
  public RootReservoir(CertificateAuthority authority, Supplier<String> ids) {
    this.authority = authority;
    this.drafts = new Reservoir<>("roots", AHEAD, () -> authority.draft(ids.get()), Draft::wipe);
  }

  /** Makes one itself when none is ready. */
  public LineageRoot take(String tenant) {
    return authority.seal(drafts.take(), tenant);
  }

  /** How many can be had at once. */
  public int size() {
    return drafts.available();
  }

  @Override
  public void close() {
    drafts.close();
  }
}
