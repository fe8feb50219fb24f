/**
 * Settings of a service from a file and the environment. Start at {@link
 * dev.cofferdam.kit.config.Settings}.
 */
@NullMarked
package dev.cofferdam.kit.config;

import org.jspecify.annotations.NullMarked;
