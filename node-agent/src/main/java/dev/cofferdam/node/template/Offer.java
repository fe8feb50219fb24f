package dev.cofferdam.node.template;

/**
 * A template that is ready, as it is asked for.
 *
 * @param name that a start names it by
 * @param owner the tenant whose it is; empty: the operator's, for every tenant
 */
public record Offer(String name, Template template, String owner) {}
