"""The peer: shares a folder, looks files up through a neighbour, and moves them straight from peer to peer."""

__version__ = "0.1.0"
