"""Delivery: durable subscriptions, attempts, verdicts and dead letters."""
