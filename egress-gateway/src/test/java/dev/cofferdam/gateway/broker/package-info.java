@org.jspecify.annotations.NullMarked
package dev.cofferdam.gateway.broker;
