"""The loop vocabulary, and the way from clusters of operations to loops."""
