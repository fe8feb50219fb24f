/**
 * The hypervisor seam over Cloud Hypervisor: its REST API on a Unix socket and its event file.
 * Start at {@link dev.cofferdam.node.cloudhypervisor.CloudHypervisor}.
 */
@NullMarked
package dev.cofferdam.node.cloudhypervisor;

import org.jspecify.annotations.NullMarked;
