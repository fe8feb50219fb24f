/**
 * The privileged acts, which node-helper does for us. Start at {@link
 * dev.cofferdam.node.helper.NodeHelper}.
 */
@NullMarked
package dev.cofferdam.node.helper;

import org.jspecify.annotations.NullMarked;
