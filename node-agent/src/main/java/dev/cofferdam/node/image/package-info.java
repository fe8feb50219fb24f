/** Guest images as they lie on disk. Start at {@link dev.cofferdam.node.image.ImageStore}. */
@NullMarked
package dev.cofferdam.node.image;

import org.jspecify.annotations.NullMarked;
