"""Where elements lie: integer expressions over loop variables, and what is read through them."""
