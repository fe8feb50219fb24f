/**
 * The seam to a hypervisor: what a sandbox needs of a virtual machine, and nothing of how. Start at
 * {@link dev.cofferdam.node.machine.Hypervisor}.
 */
@NullMarked
package dev.cofferdam.node.machine;

import org.jspecify.annotations.NullMarked;
