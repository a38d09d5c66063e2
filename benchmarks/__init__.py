"""Questions about speed, and the commands that answer them."""
