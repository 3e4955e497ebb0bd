"""The tensor graph: gradients, algebra, and what is computed together."""
