package dev.cofferdam.gateway.slot;

import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.placeholder.Grant;
import dev.cofferdam.gateway.policy.Rule;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;

/** A sandbox's place in the network, while it is attached. Safe for use by several threads. */
public final class Slot {
  /** Something that lives under the slot's policy, such as a guest's connection. */
  public interface Tenant {
    /** Called by any thread: ends what the attachment no longer allows. */
    void reconsider(Attachment attachment);

    /** Called by any thread. */
    void end();
  }

  private final SyntheticNames names;
  private final Set<Tenant> tenants = ConcurrentHashMap.newKeySet();
  private final Tally connections = new Tally();
  private final Tally upstreamConnections = new Tally();
  private final Tally wideConnections = new Tally();
  private final Tally materialisations = new Tally();
  private final Tally webSockets = new Tally();
  private final Tally unendedFrames = new Tally();
  private final CapUse capUse = new CapUse();
  private final Map<ByteString, CapUse> capUseByRule = new ConcurrentHashMap<>();
  private final Tally keptBodies = new Tally();
  private final Set<String> unauthorised = ConcurrentHashMap.newKeySet();
  private volatile Attachment attachment;
  private volatile boolean ended;

  Slot(Attachment attachment, SyntheticNames names) {
    this.attachment = attachment;
    this.names = names;
  }

  public Attachment attachment() {
    return attachment;
  }

  /** Of the sandbox's lineage. */
  public SyntheticNames names() {
    return names;
  }

  /** False: the slot was detached; nothing may begin. */
  public boolean add(Tenant tenant) {
    tenants.add(tenant);
    if (ended) {
      tenants.remove(tenant);
      return false;
    }
    return true;
  }

  public void remove(Tenant tenant) {
    tenants.remove(tenant);
  }

  /** Of the guest. */
  public Tally connections() {
    return connections;
  }

  /** To upstreams, those kept for later included. */
  public Tally upstreamConnections() {
    return upstreamConnections;
  }

  /** Those of HTTP/2, on either side, on which more may wait to be taken than on others. */
  public Tally wideConnections() {
    return wideConnections;
  }

  /** On connections of their own and on streams of HTTP/2, which cost about the same memory. */
  public Tally webSockets() {
    return webSockets;
  }

  /** Bytes of their frames and messages that have not ended. */
  public Tally unendedFrames() {
    return unendedFrames;
  }

  /** Requests that wait for the broker's values. */
  public Tally materialisations() {
    return materialisations;
  }

  /**
   * A place under the caps, for a request under the rule.
   *
   * @param now of a clock that is not set, nanoseconds
   */
  public Allowance.Taken allow(Rule rule, long now) {
    CapUse underRule = capUseByRule.computeIfAbsent(rule.terms().identity(), _ -> new CapUse());
    return Allowance.take(this, capUse, underRule, rule, now);
  }

  /** Requests whose bodies are kept until they were read as a whole. */
  public Tally keptBodies() {
    return keptBodies;
  }

  /**
   * What an upstream answered to a use of a grant.
   *
   * @param grant its id
   */
  public void answered(String grant, boolean unauthorised) {
    if (unauthorised) {
      this.unauthorised.add(grant);
    } else {
      this.unauthorised.remove(grant);
    }
  }

  /** Whether the last answer to a use of it was 401, told once. */
  public boolean takeUnauthorised(String grant) {
    return unauthorised.remove(grant);
  }

  void update(Attachment newer) {
    attachment = newer;
    // What a rule counted is forgotten with the rule, or updates without end would fill the memory.
    capUseByRule
        .keySet()
        .retainAll(
            newer.policy().all().stream()
                .map(rule -> rule.terms().identity())
                .collect(Collectors.toSet()));
    unauthorised.retainAll(newer.grants().stream().map(Grant::id).toList());
    tenants.forEach(tenant -> tenant.reconsider(newer));
  }

  void end() {
    ended = true;
    endTenants();
  }

  /** Ends what is there; what begins later is asked on its own. */
  void endTenants() {
    tenants.forEach(Tenant::end);
  }
}
