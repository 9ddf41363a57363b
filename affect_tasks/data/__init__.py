"""Images and labels: scan, decode, relabel, split, augment."""
