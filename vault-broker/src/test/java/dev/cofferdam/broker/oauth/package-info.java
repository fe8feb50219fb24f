@org.jspecify.annotations.NullMarked
package dev.cofferdam.broker.oauth;
