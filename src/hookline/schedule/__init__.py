"""Time: what is due when, and who appends it."""
