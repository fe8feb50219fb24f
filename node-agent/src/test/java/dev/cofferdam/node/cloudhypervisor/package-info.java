/**
 * The Cloud Hypervisor driver's tests, against exchanges that were recorded from the real one. For
 * those against that itself see {@link dev.cofferdam.node.world}.
 */
@NullMarked
package dev.cofferdam.node.cloudhypervisor;

import org.jspecify.annotations.NullMarked;
