/** Templates that are built in a sandbox. Start at {@link dev.cofferdam.node.build.GuestBuilds}. */
@NullMarked
package dev.cofferdam.node.build;

import org.jspecify.annotations.NullMarked;
