/**
 * Which hypervisor this node uses, decided by booting a guest. Start at {@link
 * dev.cofferdam.node.probe.HypervisorChoice}.
 */
@NullMarked
package dev.cofferdam.node.probe;

import org.jspecify.annotations.NullMarked;
