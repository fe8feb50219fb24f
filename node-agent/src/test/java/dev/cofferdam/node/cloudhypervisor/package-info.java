/**
 * The Cloud Hypervisor driver's tests: against recorded exchanges always, against the real thing in
 * the world that {@code testkit/nested} makes.
 */
@NullMarked
package dev.cofferdam.node.cloudhypervisor;

import org.jspecify.annotations.NullMarked;
