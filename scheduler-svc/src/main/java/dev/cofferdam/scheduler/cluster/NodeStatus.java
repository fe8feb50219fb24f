package dev.cofferdam.scheduler.cluster;

import dev.cofferdam.scheduler.placement.NodeView;

/**
 * A node as an operator sees it.
 *
 * @param view as placement sees it
 * @param pressure what its host is short of; empty: all is well
 * @param sandboxes that have a place there
 */
public record NodeStatus(
    NodeView view, String hypervisor, boolean draining, String pressure, int sandboxes) {}
