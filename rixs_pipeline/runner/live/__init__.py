"""What `watch` needs: the folder as it grows, what is kept, a replay."""
