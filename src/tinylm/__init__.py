"""tinylm: from a text file to a small language model that writes, and exactly what it cost."""

__version__ = "0.1.0"
