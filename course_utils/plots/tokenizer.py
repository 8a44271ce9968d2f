"""Pieces, their lengths and ranks, and what pruning keeps."""
