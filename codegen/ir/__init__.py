"""The one node that every graph is made of, and its printer."""
