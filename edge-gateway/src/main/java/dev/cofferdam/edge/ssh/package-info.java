/**
 * SSH into sandboxes: Apache MINA SSHD, before the public API. Who gets in the scheduler decides,
 * by the client's own signature. Start at {@link dev.cofferdam.edge.ssh.SshGateway}.
 */
@NullMarked
package dev.cofferdam.edge.ssh;

import org.jspecify.annotations.NullMarked;
