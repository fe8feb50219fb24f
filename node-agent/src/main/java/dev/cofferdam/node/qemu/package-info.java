/**
 * The hypervisor seam over QEMU: its command line and its QMP socket. Start at {@link
 * dev.cofferdam.node.qemu.QemuHypervisor}.
 */
@NullMarked
package dev.cofferdam.node.qemu;

import org.jspecify.annotations.NullMarked;
