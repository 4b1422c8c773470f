"""The client tier: what a person types, and what they see. It talks to its own PServer only, over REST."""

__version__ = "0.1.0"
