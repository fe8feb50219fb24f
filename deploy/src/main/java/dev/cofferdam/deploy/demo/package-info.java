/** The main job shown as nine checks. Start at {@link dev.cofferdam.deploy.demo.Demo}. */
@NullMarked
package dev.cofferdam.deploy.demo;

import org.jspecify.annotations.NullMarked;
