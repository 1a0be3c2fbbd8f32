"""What the artist sees. One file per feature, named as in operators/."""
