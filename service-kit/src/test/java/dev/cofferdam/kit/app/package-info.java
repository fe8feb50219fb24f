@org.jspecify.annotations.NullMarked
package dev.cofferdam.kit.app;
